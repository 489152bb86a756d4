//! What happens when an occasion comes: rules fire on it, as of when it came.

use super::super::account::ApplyError;
use super::super::desk::Desk;
use super::super::ledger::Fact;
use super::super::occasions::Coming;
use super::super::program::Timeline;
use super::super::time::Times;
use super::{Scene, Snapshot, ripple, rules};

/// Posts that an occasion is near, or that it is there and what follows.
pub(in crate::domain) fn fall_due(desk: &mut Desk, timeline: &Timeline, coming: &Coming) -> Result<(), ApplyError> {
    let Some(program) = timeline.at(coming.at) else { return Err(ApplyError::Inconsistent("there is no program")) };
    let Some(rule) = program.rules.get(coming.rule) else {
        return Err(ApplyError::Inconsistent("there is no such rule"));
    };
    let version = std::mem::replace(&mut desk.version, program.version.clone());
    let request = desk.request.take();
    let (id, member, occasion_at) = (rule.id.clone(), coming.member.clone(), coming.occasion_at);
    let posted = if coming.is_notice {
        desk.post(coming.at, Fact::Noticed { rule: id, member, occasion_at })
    } else {
        desk.post(coming.at, Fact::Occurred { rule: id, member, occasion_at })
    };
    if posted.is_ok() && !coming.is_notice {
        let snapshot = Snapshot { member: Some(coming.member.clone()), ..Snapshot::empty(program.id.clone()) };
        let times = Times { now: desk.now, effective_at: coming.at, stated: false };
        let scene = Scene::new(timeline, program, &snapshot, times, None, false);
        let day = occasion_at.text();
        let day = day.get(..10).unwrap_or_default();
        // What an account has no room for keeps it from nothing else: then the occasion has come, and brings nothing.
        let mut trial = desk.clone();
        let mut decided = scene.decided();
        let cause = ["occasion", coming.member.as_str(), day];
        let before = ripple::look(&scene, &trial);
        let fired = rules::fire(&scene, &mut trial, |fired| fired.id == rule.id, &cause, coming.at, &mut decided);
        if fired.and_then(|_| ripple::settle(&scene, &mut trial, before, &mut decided)).is_ok() {
            *desk = trial;
        }
    }
    desk.version = version;
    desk.request = request;
    posted
}
