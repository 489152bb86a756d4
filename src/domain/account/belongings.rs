//! All that an account owns, as it moves to another account: by a merge, by joining a household, and back.

use serde::{Deserialize, Serialize};

use super::{
    AccountState, ApplyError, Arrival, Awaiting, CardState, GoalState, Holding, LadderState, LastEvent, OccasionState,
    Tag, UnitBook, Voucher,
};
use crate::domain::counters::{Bucket, CounterState};
use crate::domain::event_record::EventState;
use crate::domain::id::{AccountId, MemberId, UnitId};
use crate::domain::ledger::{Book, Part, Posting, sum};
use crate::domain::referral::{OwnCode, Referral};
use crate::domain::time::Instant;

/// What one account hands over to another. Holds no personal data: it is part of ledger facts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Belongings {
    pub units: Vec<OwnedUnits>,
    pub orders: u64,
    pub orders_returned: u64,
    pub codes: Vec<OwnCode>,
    pub friends_qualified: i64,
    pub counters: Vec<CounterState>,
    /// Who brought the member, and those who had been merged into them.
    pub referrals: Vec<Referral>,
    /// Where records of theirs lie besides.
    pub homes: Vec<Home>,
    pub cards: Vec<CardState>,
    pub vouchers: Vec<Voucher>,
    pub tags: Vec<Tag>,
    pub events: Vec<LastEvent>,
    pub occasions: Vec<OccasionState>,
    /// See [`AccountState::active_at`].
    pub active_at: Instant,
    /// See [`AccountState::ordered_at`].
    pub ordered_at: Instant,
    pub ladders: Vec<LadderState>,
    pub goals: Vec<GoalState>,
}

/// What is owned, and owed, of one unit. Nothing of it is held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OwnedUnits {
    pub unit: UnitId,
    /// With the dates of the lots they lie in.
    pub parts: Vec<Part>,
    pub debt: i64,
    /// Expired lots that a return may still ask about.
    pub lapsed: Vec<Part>,
    /// Grants that wait for an event of their order.
    pub awaiting: Vec<Awaiting>,
    /// See [`UnitBook::idle_at`].
    pub idle_at: Instant,
}

/// Another account under which records lie that count here: orders, receipts, effects that came in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Home {
    pub account: AccountId,
    pub why: HomeWhy,
    pub since: Instant,
    /// Which of its departures this was.
    pub revision: u32,
    /// What it brought.
    pub brought: Option<Box<Belongings>>,
    /// Where this account stood on the ladders that it brought, too: what an undo goes back to.
    pub ladders_before: Vec<LadderState>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum HomeWhy {
    /// Merged into this person.
    Merged { into: MemberId },
    /// The own account of somebody who joined.
    Joined,
    /// This account was part of that one for a time.
    Left,
}

/// The account is part of another one: the ledger stands still until it is back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Away {
    pub to: AccountId,
    /// Counts the departures of this account.
    pub revision: u32,
}

impl OwnedUnits {
    fn is_something(&self) -> bool {
        !self.parts.is_empty() || self.debt != 0 || !self.lapsed.is_empty() || !self.awaiting.is_empty()
    }
}

impl Belongings {
    /// How units move between the books of the account that parts with them; the other's are the reverse.
    pub fn postings(&self, posted_at: Instant, leaves: bool) -> Option<Vec<Posting>> {
        let mut postings = Vec::new();
        for owned in &self.units {
            let (mut available, mut pending) = (0i64, 0i64);
            for part in &owned.parts {
                let to = if part.dates.active_at(posted_at) { &mut available } else { &mut pending };
                *to = to.checked_add(part.amount)?;
            }
            for waits in &owned.awaiting {
                pending = pending.checked_add(waits.amount)?;
            }
            let lapsed = sum(&owned.lapsed)?;
            let all = available.checked_add(pending)?.checked_add(lapsed)?.checked_sub(owned.debt)?;
            for (book, amount) in [
                (Book::Available, available),
                (Book::Pending, pending),
                (Book::Expired, lapsed),
                (Book::Debt, owned.debt.checked_neg()?),
                (Book::InTransit, all.checked_neg()?),
            ] {
                let amount = if leaves { amount.checked_neg()? } else { amount };
                if amount != 0 {
                    postings.push(Posting { book, unit: owned.unit.clone(), amount });
                }
            }
        }
        Some(postings)
    }

    /// Units to spend at once, units pending, and debt, of each unit.
    pub fn totals(&self, at: Instant) -> Vec<(UnitId, i64, i64, i64)> {
        let total = |parts: &[Part], active: bool| {
            let parts = parts.iter().filter(|part| part.dates.active_at(at) == active);
            parts.fold(0i64, |sum, part| sum.saturating_add(part.amount))
        };
        let waits = |u: &OwnedUnits| u.awaiting.iter().fold(0i64, |sum, waits| sum.saturating_add(waits.amount));
        let of = |u: &OwnedUnits| {
            let pending = total(&u.parts, false).saturating_add(waits(u));
            (u.unit.clone(), total(&u.parts, true), pending, u.debt)
        };
        self.units
            .iter()
            .map(of)
            .filter(|(_, available, pending, debt)| (*available, *pending, *debt) != (0, 0, 0))
            .collect()
    }

    pub fn lots(&self) -> usize {
        self.units.iter().map(|owned| owned.parts.len()).max().unwrap_or(0)
    }
}

impl AccountState {
    /// Other accounts whose records count here.
    pub const HOMES_MAX: usize = 16;

    /// Everything but what is held.
    pub fn belongings(&self) -> Belongings {
        // Whoever adds a field to the account decides here whether it moves.
        let AccountState {
            units: _,
            orders: _,
            orders_returned: _,
            codes: _,
            friends_qualified: _,
            counters: _,
            referral: _,
            referrals_merged: _,
            homes: _,
            cards: _,
            vouchers: _,
            tags: _,
            events: _,
            occasions: _,
            active_at: _,
            ordered_at: _,
            // Told of each account for itself.
            outstanding: _,
            ladders: _,
            goals: _,
            // What the account is, and not what it owns: it stays.
            account: _,
            enrolled_at: _,
            sequence: _,
            head: _,
            posted_at: _,
            kind: _,
            // Nothing that is held moves, and resolved holds are asked for where they were.
            holds: _,
            // Who they are goes along as a profile; seats and the day's transfers end with the account.
            people: _,
            seats: _,
            transfers: _,
            // Names entries of this very ledger.
            weighed: _,
            // Partners do not move.
            payouts: _,
            // That it is away, and how often it was, is told by its own entries.
            away: _,
            departures: _,
            erased_at: _,
        } = self;
        let units = self.units.iter().map(|book| OwnedUnits {
            unit: book.unit.clone(),
            parts: free_parts(book),
            debt: self.debt(&book.unit),
            lapsed: book.lapsed.clone(),
            awaiting: book.awaiting.clone(),
            idle_at: book.idle_at,
        });
        Belongings {
            units: units.filter(OwnedUnits::is_something).collect(),
            orders: self.orders,
            orders_returned: self.orders_returned,
            codes: self.codes.clone(),
            friends_qualified: self.friends_qualified,
            counters: self.counters.clone(),
            referrals: self.referrals().cloned().collect(),
            homes: self.homes.clone(),
            cards: self.cards.clone(),
            vouchers: self.vouchers.clone(),
            tags: self.tags.clone(),
            events: self.events.clone(),
            occasions: self.occasions.clone(),
            active_at: self.active_at,
            ordered_at: self.ordered_at,
            ladders: self.ladders.clone(),
            goals: self.goals.clone(),
        }
    }

    /// What is left of what a home brought, as it lies now.
    pub fn left_of(&self, brought: &Belongings, home: &AccountId, at: Instant) -> Belongings {
        let mut units = Vec::new();
        for owned in &brought.units {
            let Some(book) = self.book(&owned.unit) else { continue };
            let mut free: Vec<Part> = free_parts(book);
            let mut parts: Vec<Part> = Vec::new();
            for part in &owned.parts {
                let dates = part.dates.lot_at(at);
                let Some(lot) = free.iter_mut().find(|lot| lot.dates == dates) else { continue };
                let amount = part.amount.min(lot.amount);
                lot.amount -= amount;
                match parts.iter_mut().find(|part| part.dates == dates) {
                    Some(part) => part.amount = part.amount.saturating_add(amount),
                    None => parts.push(Part { dates, amount }),
                }
            }
            parts.retain(|part| 0 < part.amount);
            // What has expired since, and what had before.
            let mut lapsed: Vec<Part> = Vec::new();
            let mut expired = book.lapsed.clone();
            for part in owned.parts.iter().chain(&owned.lapsed) {
                let dates = part.dates.lot_at(at);
                let Some(there) = expired.iter_mut().find(|known| known.dates == dates) else { continue };
                let amount = part.amount.min(there.amount);
                there.amount -= amount;
                match lapsed.iter_mut().find(|known| known.dates == dates) {
                    Some(known) => known.amount = known.amount.saturating_add(amount),
                    None => lapsed.push(Part { dates, amount }),
                }
            }
            lapsed.retain(|part| 0 < part.amount);
            let debt = owned.debt.min(self.debt(&owned.unit));
            let ours = |waits: &&Awaiting| owned.awaiting.iter().any(|known| known.grant == waits.grant);
            let awaiting = book.awaiting.iter().filter(ours).cloned().collect();
            let (unit, idle_at) = (owned.unit.clone(), book.idle_at);
            let back = OwnedUnits { unit, parts, debt, lapsed, awaiting, idle_at };
            if back.is_something() {
                units.push(back);
            }
        }
        let own = |id: &AccountId| id == home || brought.homes.iter().any(|home| home.account == *id);
        let ours = |referral: &&Referral| brought.referrals.iter().any(|known| known.referral == referral.referral);
        Belongings {
            units,
            orders: brought.orders.min(self.orders),
            orders_returned: brought.orders_returned.min(self.orders_returned),
            codes: self.codes.iter().filter(|own| brought.codes.iter().any(|b| b.code == own.code)).cloned().collect(),
            friends_qualified: brought.friends_qualified.min(self.friends_qualified).max(0),
            counters: self.counted_of(&brought.counters),
            referrals: self.referrals().filter(ours).cloned().collect(),
            homes: self.homes.iter().filter(|known| known.account != *home && own(&known.account)).cloned().collect(),
            // As they stand now.
            cards: brought.cards.iter().filter_map(|card| self.left_of_card(card)).collect(),
            vouchers: self
                .vouchers
                .iter()
                .filter(|voucher| brought.vouchers.iter().any(|b| b.voucher == voucher.voucher))
                .cloned()
                .collect(),
            tags: brought.tags.iter().filter(|tag| self.has_tag(&tag.tag)).cloned().collect(),
            // Status cannot be told apart any more: each goes on with what they had.
            ladders: brought.ladders.clone(),
            goals: brought.goals.iter().map(|goal| self.left_of_goal(goal)).collect(),
            ..self.remembered_of(&MemberId::from(home))
        }
    }

    /// Of two levels the higher counts, of two that are equal the one that lasts longer.
    fn take_status(&mut self, what: &Belongings) {
        for theirs in &what.ladders {
            let Some(own) = self.ladders.iter_mut().find(|known| known.ladder == theirs.ladder) else {
                self.ladders.push(theirs.clone());
                continue;
            };
            for holding in &theirs.held {
                let same = |known: &&mut Holding| known.level == holding.level && known.source == holding.source;
                match own.held.iter_mut().find(same) {
                    Some(known) if known.until < holding.until => *known = holding.clone(),
                    Some(_) => {}
                    None => own.held.push(holding.clone()),
                }
            }
            for arrival in &theirs.arrivals {
                if own.arrivals.iter().all(|known| known.level != arrival.level) {
                    own.arrivals.push(arrival.clone());
                }
            }
        }
        what.goals.iter().for_each(|goal| self.take_goal(goal));
    }

    /// Levels that came with a home go with it, but for those that were here before.
    fn part_with_status(&mut self, theirs: &LadderState, before: &LadderState) {
        let Some(own) = self.ladders.iter_mut().find(|known| known.ladder == theirs.ladder) else { return };
        own.held.retain(|holding| !theirs.held.contains(holding) || before.held.contains(holding));
        for holding in &before.held {
            // One that lasted less long had given way.
            let same = |known: &Holding| known.level == holding.level && known.source == holding.source;
            if !own.held.iter().any(same) {
                own.held.push(holding.clone());
            }
        }
        let had = |level: &Arrival| before.arrivals.iter().any(|known| known.level == level.level);
        own.arrivals.retain(|arrival| !theirs.arrivals.contains(arrival) || had(arrival));
    }

    /// When a member's events and occasions were, so that none comes again elsewhere.
    pub fn remembered_of(&self, member: &MemberId) -> Belongings {
        Belongings {
            events: self.events.iter().filter(|last| last.member == *member).cloned().collect(),
            occasions: self.occasions.iter().filter(|known| known.member == *member).cloned().collect(),
            active_at: self.active_at,
            ordered_at: self.ordered_at,
            ..Belongings::default()
        }
    }

    /// Remembers what was brought along, for a member who may have another name here.
    pub(super) fn remember(&mut self, what: &Belongings, name: impl Fn(&MemberId) -> MemberId) {
        for last in &what.events {
            self.note_event(&last.kind, &name(&last.member), EventState::Approved, last.at);
        }
        for known in &what.occasions {
            let member = name(&known.member);
            self.note_occasion(&known.rule, &member, known.came_at, true);
            self.note_occasion(&known.rule, &member, known.noticed_at, false);
        }
        self.was_active(what.active_at);
        self.ordered_at = self.ordered_at.max(what.ordered_at);
    }

    /// Of what was counted elsewhere and brought along, what the counters here still hold.
    fn counted_of(&self, brought: &[CounterState]) -> Vec<CounterState> {
        let of = |theirs: &CounterState| {
            let ours = self.counters.iter().find(|known| known.counter == theirs.counter)?;
            let least = |a: i64, b: i64| if (0 < a) == (0 < b) { if a.abs() < b.abs() { a } else { b } } else { 0 };
            let buckets = theirs.buckets.iter().filter_map(|bucket| {
                let here = ours.buckets.iter().find(|known| known.day == bucket.day)?;
                Some(Bucket { day: bucket.day, count: least(bucket.count, here.count) })
            });
            let buckets = buckets.filter(|bucket| bucket.count != 0).collect();
            let counter = theirs.counter.clone();
            let last_at = theirs.last_at;
            Some(CounterState { counter, older: least(theirs.older, ours.older), buckets, last_at })
        };
        brought.iter().filter_map(of).collect()
    }

    /// Applies that belongings leave. `before`: where this account stands besides on the ladders that are among them.
    pub(super) fn part_with(&mut self, what: &Belongings, before: &[LadderState]) -> Result<(), ApplyError> {
        for owned in &what.units {
            let book = self.unit(&owned.unit);
            owned.parts.iter().try_for_each(|part| book.take(part.dates, part.amount))?;
            owned.awaiting.iter().try_for_each(|waits| book.stop_waiting(&waits.grant, waits.amount))?;
            for lapsed in &owned.lapsed {
                let there = book.lapsed.iter_mut().find(|part| part.dates == lapsed.dates);
                let there = there.filter(|part| lapsed.amount <= part.amount);
                there.ok_or(ApplyError::Inconsistent("more leaves of a lapsed lot than there is"))?.amount -=
                    lapsed.amount;
            }
        }
        self.move_counts(what, false)?;
        self.codes.retain(|own| what.codes.iter().all(|gone| gone.code != own.code));
        let leaves = |referral: &Referral| what.referrals.iter().any(|known| known.referral == referral.referral);
        if self.referral.as_ref().is_some_and(leaves) {
            self.referral = None;
        }
        self.referrals_merged.retain(|referral| !leaves(referral));
        self.homes.retain(|home| !what.homes.iter().any(|known| known.account == home.account));
        what.cards.iter().try_for_each(|card| self.part_with_card(card))?;
        self.vouchers.retain(|voucher| !what.vouchers.contains(voucher));
        self.part_with_tags(&what.tags);
        for theirs in &what.ladders {
            match before.iter().find(|known| known.ladder == theirs.ladder) {
                Some(before) => self.part_with_status(theirs, before),
                None => self.ladders.retain(|ladder| ladder != theirs),
            }
        }
        what.goals.iter().for_each(|goal| self.part_with_goal(goal));
        self.events.retain(|last| !what.events.contains(last));
        self.occasions.retain(|known| !what.occasions.contains(known));
        Ok(())
    }

    /// Applies that belongings arrive.
    pub(super) fn take_in(&mut self, what: &Belongings, at: Instant) -> Result<(), ApplyError> {
        for owned in &what.units {
            let book = self.unit(&owned.unit);
            // The later of the two: either was active as the same account.
            book.idle_at = match (book.idle_at, owned.idle_at) {
                (Instant::MAX, theirs) if book.lots.is_empty() => theirs,
                (own, Instant::MAX) => own,
                (own, theirs) => own.max(theirs),
            };
            book.awaiting.extend(owned.awaiting.iter().cloned());
            for part in &owned.parts {
                book.put(part.dates.lot_at(at), part.amount, part.dates.active_at(at))?;
            }
            for lapsed in &owned.lapsed {
                book.lapse(lapsed.dates, lapsed.amount)?;
            }
        }
        self.move_counts(what, true)?;
        let new = |code: &&OwnCode| self.codes.iter().all(|own| own.code != code.code);
        let new = what.codes.iter().filter(new).cloned().collect::<Vec<_>>();
        self.codes.extend(new);
        for referral in &what.referrals {
            match &self.referral {
                None => self.referral = Some(referral.clone()),
                Some(_) => self.referrals_merged.push(referral.clone()),
            }
        }
        for home in &what.homes {
            self.homes.retain(|known| known.account != home.account);
            self.homes.push(home.clone());
        }
        what.cards.iter().try_for_each(|card| self.take_card(card))?;
        for voucher in &what.vouchers {
            if self.vouchers.iter().all(|known| known.voucher != voucher.voucher) {
                self.vouchers.push(voucher.clone());
            }
        }
        self.take_tags(&what.tags);
        self.remember(what, MemberId::clone);
        self.take_status(what);
        Ok(())
    }

    fn move_counts(&mut self, what: &Belongings, arrives: bool) -> Result<(), ApplyError> {
        let number = |stands: u64, n: u64| if arrives { stands.checked_add(n) } else { stands.checked_sub(n) };
        self.orders = number(self.orders, what.orders).ok_or(ApplyError::Overflow)?;
        self.orders_returned = number(self.orders_returned, what.orders_returned).ok_or(ApplyError::Overflow)?;
        let sign = if arrives { 1 } else { -1 };
        let friends = what.friends_qualified.checked_mul(sign).and_then(|n| self.friends_qualified.checked_add(n));
        self.friends_qualified = friends.ok_or(ApplyError::Overflow)?;
        self.count_along(&what.counters, sign)
    }

    /// Who brought the account's owner, then those who brought members merged into it.
    pub fn referrals(&self) -> impl Iterator<Item = &Referral> {
        self.referral.iter().chain(&self.referrals_merged)
    }

    pub(super) fn referrals_mut(&mut self) -> impl Iterator<Item = &mut Referral> {
        self.referral.iter_mut().chain(&mut self.referrals_merged)
    }

    /// Whether an account is this one, or has become part of it.
    pub fn is_home_of(&self, account: &AccountId) -> bool {
        let part = |home: &Home| home.account == *account && home.why != HomeWhy::Left;
        self.account == *account || self.homes.iter().any(part)
    }
}

fn free_parts(book: &UnitBook) -> Vec<Part> {
    let free = book.lots.iter().filter(|lot| 0 < lot.free);
    free.map(|lot| Part { dates: lot.dates, amount: lot.free }).collect()
}
