//! What was lost, once more: recorded entries applied to an account that has gone another way since.
//!
//! Nothing is decided again. What was granted stays granted and what was spent stays spent, under the ids that they had;
//! sequence and hash are new. Units that are gone from their lots are taken from others, and what is not there is owed.

use super::account::{AccountState, ApplyError, UnitBook};
use super::ledger::{Book, Entry, Fact, Part, Unhold};

/// The account with what was lost, and the entries that were posted for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reapplied {
    pub state: AccountState,
    pub entries: Vec<Entry>,
}

/// Applies lost entries to the account as it stands, `None`: there is none. `lost` is the account as they had left it.
///
/// # Errors
/// An entry that means nothing to the account as it stands, such as a hold of units that are gone.
pub fn reapply(current: Option<AccountState>, lost: &AccountState, entries: &[Entry]) -> Result<Reapplied, ApplyError> {
    let mut state = current.unwrap_or_else(|| AccountState::new(lost.account.clone()));
    let mut posted = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some(fact) = fitted(&state, &entry.fact, entry.posted_at.max(state.posted_at))? else { continue };
        let entry = Entry {
            sequence: state.sequence + 1,
            posted_at: entry.posted_at.max(state.posted_at),
            fact,
            ..entry.clone()
        };
        state.apply(&entry)?;
        if let Fact::ProfileChanged { member, .. } = &entry.fact
            && let Some(profile) = lost.people.iter().find(|person| person.member == *member)
            && let Some(person) = state.people.iter_mut().find(|person| person.member == *member)
        {
            // It lies beside what entries fold to.
            person.profile.clone_from(&profile.profile);
        }
        posted.push(entry);
    }
    Ok(Reapplied { state, entries: posted })
}

/// The fact as it can be told of this account; `None`: there is nothing left to tell.
fn fitted(state: &AccountState, fact: &Fact, posted_at: super::time::Instant) -> Result<Option<Fact>, ApplyError> {
    let book = |unit| state.book(unit);
    let repaid = |unit, amount: i64, active: bool| if active { state.debt(unit).min(amount) } else { 0 };
    let fact = match fact.clone() {
        Fact::Enrolled if !state.people.is_empty() => return Ok(None),
        // What comes with time comes again by itself.
        Fact::Matured { .. }
        | Fact::Expired { .. }
        | Fact::Settled { .. }
        | Fact::Unheld { why: Unhold::Lapsed, .. }
        | Fact::CalledOff { returned: false, .. }
        | Fact::ReferralExpired { .. }
        | Fact::ReviewLapsed { .. }
        | Fact::CardExpired { .. }
        | Fact::VoucherExpired { .. } => return Ok(None),
        Fact::Unheld { order, why, .. } => {
            let Some(hold) = state.hold(&order).filter(|hold| hold.is_open()) else { return Ok(None) };
            Fact::Unheld { order, why, units: hold.units.clone() }
        }
        Fact::Held { order, revision, expires_at, redeem, mut units, promises, stock, pin, by } => {
            for held in &mut units {
                let (parts, short) = refitted(book(&held.unit), &held.parts);
                if 0 < short {
                    return Err(ApplyError::Inconsistent("units that were held are gone"));
                }
                held.parts = parts;
            }
            Fact::Held { order, revision, expires_at, redeem, units, promises, stock, pin, by }
        }
        Fact::Granted { grant, rule, kind, unit, amount, dates, .. } => {
            let repaid = repaid(&unit, amount, dates.active_at(posted_at));
            Fact::Granted { grant, rule, kind, unit, amount, repaid, dates }
        }
        Fact::Received { grant, rule, kind, unit, revision, net, amount, dates, friends, .. } => {
            let repaid = repaid(&unit, amount, dates.active_at(posted_at));
            Fact::Received { grant, rule, kind, unit, revision, net, amount, repaid, dates, friends }
        }
        Fact::Credited { reason, agent, unit, amount, dates, order, .. } => {
            let repaid = repaid(&unit, amount, dates.active_at(posted_at));
            Fact::Credited { reason, agent, unit, amount, repaid, dates, order }
        }
        Fact::Spent { order, unit, parts, debt, forgiven } => {
            let (parts, short) = refitted(book(&unit), &parts);
            let debt = debt.checked_add(short).ok_or(ApplyError::Overflow)?;
            Fact::Spent { order, unit, parts, debt, forgiven }
        }
        Fact::Debited { reason, agent, unit, parts, debt } => {
            let (parts, short) = refitted(book(&unit), &parts);
            let debt = debt.checked_add(short).ok_or(ApplyError::Overflow)?;
            Fact::Debited { reason, agent, unit, parts, debt }
        }
        Fact::Reversed { grant, unit, dates, taken, lapsed, debt, forgiven } => {
            let (taken, short) = refitted(book(&unit), &taken);
            let debt = debt.checked_add(short).ok_or(ApplyError::Overflow)?;
            Fact::Reversed { grant, unit, dates, taken, lapsed, debt, forgiven }
        }
        Fact::Recalled { grant, rule, unit, revision, net, dates, taken, lapsed, debt, forgiven, friends } => {
            let (taken, short) = refitted(book(&unit), &taken);
            let debt = debt.checked_add(short).ok_or(ApplyError::Overflow)?;
            Fact::Recalled { grant, rule, unit, revision, net, dates, taken, lapsed, debt, forgiven, friends }
        }
        Fact::Restored { order, unit, parts, repaid, unforgiven } => {
            // What has been repaid otherwise since goes to the lot after all.
            let owed = state.amount(&unit, Book::Debt).saturating_neg();
            if owed < repaid {
                return Err(ApplyError::Inconsistent("a debt that was repaid is not owed"));
            }
            Fact::Restored { order, unit, parts, repaid, unforgiven }
        }
        other => other,
    };
    Ok(Some(fact))
}

/// As many units out of the lots as they stand: of the same lots where they have them, else of others in the order in
/// which they are spent; and how many there are not.
fn refitted(book: Option<&UnitBook>, parts: &[Part]) -> (Vec<Part>, i64) {
    let mut free: Vec<Part> = Vec::new();
    for lot in book.into_iter().flat_map(|book| &book.lots) {
        free.push(Part { dates: lot.dates, amount: lot.free });
    }
    let spendable = |at: &Part| book.is_some_and(|book| book.spendable().any(|lot| lot.dates == at.dates));
    let mut taken: Vec<Part> = Vec::new();
    let mut short = 0_i64;
    let mut take = |lot: &mut Part, amount: i64| {
        let here = amount.min(lot.amount).max(0);
        lot.amount -= here;
        match taken.iter_mut().find(|part| part.dates == lot.dates) {
            Some(part) => part.amount += here,
            None if 0 < here => taken.push(Part { dates: lot.dates, amount: here }),
            None => {}
        }
        amount - here
    };
    for part in parts {
        let mut left = part.amount;
        if let Some(lot) = free.iter_mut().find(|lot| lot.dates == part.dates) {
            left = take(lot, left);
        }
        short = short.saturating_add(left);
    }
    for lot in free.iter_mut().filter(|lot| spendable(lot)) {
        short = take(lot, short);
    }
    (taken, short)
}
