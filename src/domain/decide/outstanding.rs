//! What all members together have outstanding of a unit, kept below what the program allows.
//!
//! It is a quota: what rules grant is claimed from it, and whatever else an account comes to have or ceases to have is
//! told to it afterwards. Each account says in its own ledger how much of it has been told, so that nothing is told twice
//! and nothing is left out, whatever has moved the units.

use super::super::desk::Desk;
use super::super::id::UnitId;
use super::super::ledger::{Book, Fact};
use super::super::quota::{OutstandingChange, QuotaKey, Want};
use super::limits::{Gift, Tight, Tightest};
use super::{Decision, Halt, OVERFLOW, Scene};

/// The quota of a unit, and how much there is in all; `None`: it has no bound.
fn quota_of(scene: &Scene<'_>, unit: &UnitId) -> Option<(QuotaKey, i64)> {
    let most = scene.program.limits_of(unit)?.outstanding_max?;
    Some((QuotaKey::ever(&scene.program.id, &["outstanding", unit.as_str()]), most))
}

/// Claims what a rule would give.
pub(super) fn claim(scene: &Scene<'_>, gift: &Gift<'_>, unit: &UnitId, granted: &mut i64, tightest: &mut Tightest) {
    let Some((quota, most)) = quota_of(scene, unit).filter(|_| 0 < *granted) else { return };
    let taken = scene.take(*granted, vec![scene.want(quota, &[gift.deed.as_str(), "outstanding"], most, false)]);
    if taken.granted < *granted {
        *granted = taken.granted;
        let text = format!("at most {most} {unit} outstanding of all members together");
        *tightest = Tight::limit(taken.short.unwrap_or(0), &format!("unit:{unit}"), text);
    }
}

/// Notes in the account what it has outstanding since, and what of that its claims do not cover.
pub(super) fn settle(scene: &Scene<'_>, decision: &mut Decision) -> Result<(), Halt> {
    let bounded = scene.program.unit_limits.iter().filter(|limits| limits.outstanding_max.is_some());
    let units: Vec<&UnitId> = bounded.map(|limits| &limits.unit).collect();
    if units.is_empty() || decision.entries.is_empty() {
        return Ok(());
    }
    let Some(state) = decision.account.take() else { return Ok(()) };
    let (version, request) = (scene.program.version.clone(), scene.request.cloned());
    let mut desk = Desk::new(state, scene.times.now, version, request, scene.preview);
    for unit in units {
        let Some((quota, most)) = quota_of(scene, unit) else { continue };
        let held = [Book::Available, Book::Pending, Book::Held].map(|book| desk.state.amount(unit, book));
        let has = held.into_iter().try_fold(0i64, i64::checked_add).ok_or(OVERFLOW)?;
        let told = desk.state.outstanding_told(unit);
        if has != told {
            desk.post(scene.times.effective_at, Fact::Outstanding { unit: unit.clone(), amount: has })?;
        }
        let asked = scene.asked.borrow();
        let claimed = asked.used.iter().filter(|used| used.quota == quota);
        let claimed = claimed.map(|used| used.amount).try_fold(0i64, i64::checked_add).ok_or(OVERFLOW)?;
        let change = has.checked_sub(told).and_then(|more| claimed.checked_sub(more)).ok_or(OVERFLOW)?;
        if change != 0 {
            let Want { capacity, since, .. } = scene.want(quota.clone(), &[], most, false);
            decision.outstanding.push(OutstandingChange { quota, back: change, capacity, since });
        }
    }
    decision.entries.append(&mut desk.entries);
    decision.stored.append(&mut desk.stored);
    decision.account = Some(desk.state);
    Ok(())
}
