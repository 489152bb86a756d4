//! What an order earns as means to redeem on that very order, where the program allows it.
//!
//! What is redeemed lowers what the order earns, which lowers what can be redeemed. What may be used is the most that the
//! order still earns once that much has been used; it is found by trying, on copies, with the functions that decide.

use super::super::desk::Desk;
use super::super::id::UnitId;
use super::super::ledger::Book;
use super::super::order::Order;
use super::super::redeem::Redemption;
use super::checkout::{earn_on, give_all};
use super::{Halt, Scene};

/// So many of each unit.
pub(super) type Units = Vec<(UnitId, i64)>;

/// What a redemption may use besides the balance. `redeem` redeems with so much of it.
pub(super) fn usable(
    scene: &Scene<'_>,
    desk: &Desk,
    order: &Order,
    redeem: impl Fn(&Scene<'_>, &[(UnitId, i64)]) -> Redemption,
) -> Result<Units, Halt> {
    if !scene.program.redemption.with_own_earn {
        return Ok(Vec::new());
    }
    // With at most `most` of each: whether what is used is covered then, and what the order earns.
    let attempt = |all: Option<&Units>, most: i64| -> Result<(bool, Units), Halt> {
        let apart = scene.as_of(scene.program, scene.times);
        let more: Units = all.into_iter().flatten().map(|(unit, units)| (unit.clone(), most.min(*units))).collect();
        let redemption = redeem(&apart, &more);
        let earned = earned(&apart, desk, order, &redemption)?;
        let of = |unit: &UnitId| earned.iter().find(|(known, _)| known == unit).map_or(0, |(_, units)| *units);
        let has = |unit: &UnitId| desk.state.amount(unit, Book::Available).saturating_add(of(unit));
        let covered = redemption.units().iter().all(|(unit, units)| *units <= has(unit));
        Ok((covered, earned))
    };
    // No order earns more than with nothing of its own used on it.
    let (_, all) = attempt(None, 0)?;
    let (mut fits, mut beyond) = (0i64, all.iter().map(|(_, units)| *units).max().unwrap_or(0).saturating_add(1));
    // Most orders fit at once.
    let mut next = beyond.saturating_sub(1);
    while fits.saturating_add(1) < beyond {
        if attempt(Some(&all), next)?.0 {
            fits = next;
        } else {
            beyond = next;
        }
        next = fits.midpoint(beyond);
    }
    Ok(all.into_iter().map(|(unit, units)| (unit, fits.min(units))).collect())
}

/// What an order adds to what can be spent at once.
fn earned(scene: &Scene<'_>, desk: &Desk, order: &Order, redemption: &Redemption) -> Result<Units, Halt> {
    let mut after = desk.clone();
    let (earned, _) = earn_on(scene, &mut after, order, redemption, false)?;
    give_all(scene, &mut after, order, &earned, &mut scene.decided())?;
    let units = scene.program.units.iter().map(|terms| {
        let [before, after] = [desk, &after].map(|desk| desk.state.amount(&terms.unit, Book::Available));
        (terms.unit.clone(), after.saturating_sub(before).max(0))
    });
    Ok(units.filter(|(_, units)| 0 < *units).collect())
}
