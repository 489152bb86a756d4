//! Whether a touch is kept.

use super::super::super::answer::{Answer, Reason, Subject, TouchAnswer};
use super::super::super::command::RecordTouch;
use super::super::super::referral::CodeState;
use super::super::super::referral::touch::Touch;
use super::super::super::stats;
use super::super::{Decision, Halt, Scene, no};

/// A touch of a code that leads anywhere is kept with its visitor, unless a machine made it or there are too many. Whether
/// it counts is decided when the visitor turns out to be somebody: a code may be blocked, or unblocked, by then.
pub(in super::super) fn record_touch(scene: &Scene<'_>, command: &RecordTouch) -> Result<Decision, Halt> {
    let subject = || Subject::Code(command.code.raw.clone());
    scene.check_times(subject())?;
    let owner = command.code.code.as_ref().and_then(|code| Some((code, scene.snapshot.owner_of(code)?)));
    let known = owner.filter(|(_, owner)| matches!(owner.state, CodeState::Active | CodeState::Blocked));
    let Some((code, owner)) = known else {
        let mistyped = |code| scene.program.campaigns.iter().any(|campaign| campaign.codes.pattern.is_mistyped(code));
        let mistyped = owner.is_none() && command.code.code.as_ref().is_some_and(mistyped);
        return Err(no(subject(), if mistyped { Reason::CodeMistyped } else { Reason::CodeUnknown }));
    };
    if scene.program.campaign(&owner.campaign).is_none() {
        return Err(no(subject(), Reason::CodeNotActive));
    }
    let touch = Touch {
        kind: command.kind,
        code: code.clone(),
        campaign: owner.campaign.clone(),
        channel: command.channel.clone(),
        source: command.source.clone(),
        at: scene.times.effective_at,
    };
    let mut visitor = scene.snapshot.visitor.clone().unwrap_or_default();
    let dropped = visitor.record(touch.clone(), &command.user_agent, &scene.program.touches).err();
    let figures = stats::of_touch(scene.program, &touch, dropped.is_none());
    let answer = Answer::Touch(TouchAnswer { recorded: dropped.is_none(), dropped, refusals: Vec::new() });
    Ok(Decision { visitor: Some(visitor), figures, ..scene.unchanged(answer, true) })
}
