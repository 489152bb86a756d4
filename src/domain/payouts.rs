//! Commission of partners, from where it is earned to where it is paid out.
//!
//! It accrues in the partition of the friend who brings it, so that a partner with a million friends has a small record
//! and is written to as often as a day begins, not as often as friends buy. On the day on which it falls due what has
//! gathered there goes to the partner's account in one sum; what comes back later makes a later sum smaller, or negative.

use serde::{Deserialize, Serialize};

use super::id::{AccountId, UnitId};
use super::ledger::{Entry, Fact};
use super::time::Instant;

/// So much more, or less, that one partner has coming.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Accrual {
    pub partner: AccountId,
    pub unit: UnitId,
    pub change: i64,
    pub due_at: Instant,
}

/// What accrues by entries.
pub fn accruals(entries: &[Entry]) -> Vec<Accrual> {
    let of = |entry: &Entry| match &entry.fact {
        Fact::Accrued { partner, unit, change, due_at, .. } => {
            let (partner, unit) = (partner.clone(), unit.clone());
            Some(Accrual { partner, unit, change: *change, due_at: *due_at })
        }
        _ => None,
    };
    entries.iter().filter_map(of).collect()
}

/// What one partner has coming from the friends of one partition, of one unit.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AccrualRecord {
    /// Rises with each change.
    pub version: u64,
    /// What the feed held up to here is in.
    pub through: u64,
    /// By when it falls due, ascending; none is zero. At most [`AccrualRecord::PENDING_MAX`].
    pub pending: Vec<(Instant, i64)>,
    /// Has fallen due and is not on its way yet; below zero: was sent and has come back.
    pub due: i64,
    /// Taken back before it fell due, ever.
    pub voided: i64,
    /// Sums sent so far: names the next.
    pub batches: u64,
}

impl AccrualRecord {
    /// Dates kept apart: a hold of a year and more. What falls due on yet other dates waits for the next of them.
    pub const PENDING_MAX: usize = 400;

    /// Takes in what an item of the feed says, unless it is in already. A sum leaves its bounds only with more money than
    /// there is: it stays at them.
    pub fn take(&mut self, position: u64, accruals: &[&Accrual], now: Instant) {
        if position <= self.through {
            return;
        }
        self.through = position;
        self.version += 1;
        for Accrual { change, due_at, .. } in accruals {
            if *due_at <= now {
                self.due = self.due.saturating_add(*change);
                continue;
            }
            if *change < 0 {
                self.voided = self.voided.saturating_sub(*change);
            }
            match self.pending.binary_search_by_key(due_at, |(at, _)| *at) {
                Ok(at) => {
                    if let Some((_, sum)) = self.pending.get_mut(at) {
                        *sum = sum.saturating_add(*change);
                    }
                }
                Err(at) => self.pending.insert(at, (*due_at, *change)),
            }
        }
        self.pending.retain(|(_, sum)| *sum != 0);
        while AccrualRecord::PENDING_MAX < self.pending.len() {
            let (_, earliest) = self.pending.remove(0);
            if let Some((_, next)) = self.pending.first_mut() {
                *next = next.saturating_add(earliest);
            }
        }
    }

    /// When there is something to send; `None`: nothing is coming.
    pub fn next_due(&self) -> Option<Instant> {
        if self.due != 0 { Some(Instant(0)) } else { self.pending.first().map(|(at, _)| *at) }
    }

    /// Takes out what has fallen due, to be sent as one sum: its number and the sum, which may be negative.
    pub fn send(&mut self, now: Instant) -> Option<(u64, i64)> {
        let due = self.pending.iter().take_while(|(at, _)| *at <= now);
        let sum = due.fold(self.due, |sum, (_, n)| sum.saturating_add(*n));
        self.pending.retain(|(at, _)| now < *at);
        self.version += 1;
        self.due = 0;
        if sum == 0 {
            return None;
        }
        self.batches += 1;
        Some((self.batches, sum))
    }

    /// Not due yet.
    pub fn not_due(&self, now: Instant) -> i64 {
        self.pending.iter().filter(|(at, _)| now < *at).fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }

    /// Due, and not on its way yet.
    pub fn is_due(&self, now: Instant) -> i64 {
        let due = self.pending.iter().filter(|(at, _)| *at <= now);
        due.fold(self.due, |sum, (_, n)| sum.saturating_add(*n))
    }
}

/// What a partner has of one unit, wherever it is by now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Commission {
    /// Earned, and may still be taken back without trace: it is not due.
    pub pending: i64,
    /// Due and on its way to the account, or there. Below zero: owed, and the next payout is so much less.
    pub due: i64,
    /// In payouts that are prepared.
    pub in_payout: i64,
    pub paid: i64,
    /// Taken back before it fell due.
    pub voided: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accrual(change: i64, due_at: i64) -> Accrual {
        Accrual {
            partner: AccountId::parse("acme").expect("an id"),
            unit: UnitId::parse("cents").expect("an id"),
            change,
            due_at: Instant(due_at),
        }
    }

    #[test]
    fn r19_commission_is_pending_then_due_then_sent_once() {
        // What accrues (change, due), told of at 100; what is sent at 200; what is left; what was voided.
        for (accrues, sent, left, voided) in [
            (vec![(50, 200)], Some((1, 50)), 0, 0),
            (vec![(50, 201)], None, 50, 0),
            (vec![(50, 200), (-20, 200)], Some((1, 30)), 0, 20),
            (vec![(50, 200), (-50, 200)], None, 0, 50),
            (vec![(50, 200), (7, 300)], Some((1, 50)), 7, 0),
            // It was paid out long ago, and comes back now.
            (vec![(-50, 90)], Some((1, -50)), 0, 0),
            (vec![(-50, 90), (50, 150)], None, 0, 0),
        ] {
            let mut record = AccrualRecord::default();
            for (position, (change, due)) in (1..).zip(&accrues) {
                let accrual = accrual(*change, *due);
                record.take(position, &[&accrual], Instant(100));
                let before = record.clone();
                record.take(position, &[&accrual], Instant(100));
                assert_eq!(record, before, "told again, it counts once: {accrues:?}");
            }
            assert_eq!(record.send(Instant(200)), sent, "{accrues:?}");
            assert_eq!(record.send(Instant(200)), None, "{accrues:?}");
            assert_eq!((record.not_due(Instant(200)), record.voided), (left, voided), "{accrues:?}");
        }
    }

    #[test]
    fn r19_the_record_is_bounded_and_loses_nothing() {
        let mut record = AccrualRecord::default();
        for day in 1..=1_000 {
            record.take(day, &[&accrual(1, 1_000 * day as i64)], Instant(0));
        }
        assert_eq!(record.pending.len(), AccrualRecord::PENDING_MAX);
        assert_eq!(record.send(Instant(1_000_000)), Some((1, 1_000)));
        assert_eq!(record.next_due(), None);
    }
}
