//! The member is forgotten, and the books stay whole.

use super::super::account::{AccountState, HomeWhy, Profile};
use super::super::answer::{Answer, Effect, EraseAnswer, Reason, Subject};
use super::super::command::{Forget, Outgoing};
use super::super::desk::Desk;
use super::super::ledger::{Entry, Fact, Unhold};
use super::{Decision, Halt, Scene, no};

pub(super) fn erase(scene: &Scene<'_>) -> Result<Decision, Halt> {
    scene.check_times(Subject::Member)?;
    let mut desk: Desk = scene.desk()?;
    let at = scene.times.effective_at;
    if desk.state.is_shared() {
        return Err(no(Subject::Member, Reason::NotMovable));
    }
    let open = desk.state.holds.iter().filter(|hold| hold.is_open()).map(|hold| hold.order.clone());
    for order in open.collect::<Vec<_>>() {
        desk.unhold(&order, Unhold::Released, at)?;
    }
    let forget = Forget {
        account: desk.state.account.clone(),
        homes: desk
            .state
            .homes
            .iter()
            .filter(|home| home.why != HomeWhy::Left)
            .map(|home| home.account.clone())
            .collect(),
        codes: desk.state.codes.iter().map(|own| own.code.clone()).collect(),
        effective_at: at,
    };
    let before = desk.entries.len();
    desk.post(at, Fact::Erased)?;
    forget_profiles(desk.state_mut());
    desk.advance(scene.timeline)?;
    let mut decided = scene.decided();
    decided.effects.extend(desk.entries.iter().skip(before).filter_map(forfeited));
    let answer = Answer::Erase(EraseAnswer { erased: true, decided });
    Ok(Decision { outgoing: vec![Outgoing::Forget(forget)], ..scene.done(desk, answer) })
}

fn forget_profiles(state: &mut AccountState) {
    state.people.iter_mut().for_each(|person| person.profile = Profile::default());
}

fn forfeited(entry: &Entry) -> Option<Effect> {
    let Fact::Forfeited { unit, parts, debt } = &entry.fact else { return None };
    let amount = super::super::ledger::sum(parts)?;
    Some(Effect::Forfeited { unit: unit.clone(), amount, debt: *debt })
}
