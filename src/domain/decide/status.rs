//! Status by hand.

use super::super::account::TierChange;
use super::super::answer::{Answer, Reason, SetTierAnswer, Subject};
use super::super::command::SetTier;
use super::super::ledger::Fact;
use super::super::time::Instant;
use super::{Decision, Halt, Scene, no, ripple};

/// Gives a level by hand, or ends the one that was given so. What is earned goes on beside it; the higher one counts.
pub(super) fn set_tier(scene: &Scene<'_>, command: &SetTier) -> Result<Decision, Halt> {
    scene.check_times(Subject::Tier)?;
    let at = scene.times.effective_at;
    let mut desk = scene.desk()?;
    let ladder = match (&command.ladder, scene.program.ladders.as_slice()) {
        (Some(id), _) => scene.program.ladder(id),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let ladder = ladder.ok_or_else(|| no(Subject::Tier, Reason::LadderUnknown))?;
    if command.level.as_ref().is_some_and(|level| ladder.rank(level).is_none()) {
        return Err(no(Subject::Tier, Reason::LevelUnknown));
    }
    let until = command.until.unwrap_or(Instant::MAX);
    if command.level.is_some() && until <= desk.now {
        return Err(no(Subject::Tier, Reason::OutOfBounds));
    }
    let before = ripple::look(scene, &desk);
    let change =
        TierChange::Set { level: command.level.clone(), until, reason: command.reason, agent: command.agent.clone() };
    desk.post(at, Fact::Tier { ladder: ladder.id.clone(), change })?;
    let mut decided = scene.decided();
    if let Some(level) = command.level.clone() {
        ripple::arrive(scene, &mut desk, &ladder.id, level, true, at, &mut decided)?;
    }
    ripple::settle(scene, &mut desk, before, &mut decided)?;
    desk.advance(scene.timeline)?;
    Ok(scene.done(desk, Answer::SetTier(SetTierAnswer { set: true, decided })))
}
