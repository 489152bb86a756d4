//! What a replay came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::orders::History;
use crate::cli::client::{Meter, Timing};
use crate::domain::time::Instant;
use crate::grpc::wire;

/// How many members whose ledger does not verify are spelled out; the others are counted.
const FAILED_SHOWN_MAX: usize = 20;

/// The result of a replay. As JSON its keys are stable.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Summary {
    pub totals: Totals,
    pub verification: Verification,
    pub calls: Calls,
    pub input: Input,
    /// By method.
    pub latency: BTreeMap<String, Latency>,
    pub elapsed_ms: u64,
}

/// What an independent computation must come to as well.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Totals {
    /// The midnight up to which everything due has happened.
    pub as_of: String,
    pub orders: u64,
    pub lines: u64,
    pub members: u64,
    pub referrals: Referrals,
    /// Whole units over all members, by unit.
    pub units: BTreeMap<String, Units>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Referrals {
    /// Members who came by a code.
    pub attributed: u64,
    /// Friends who qualified and still count.
    pub qualified: i64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Units {
    pub granted: i64,
    pub redeemed: i64,
    pub expired: i64,
    pub reversed: i64,
    pub available: i64,
    pub pending: i64,
    pub held: i64,
    /// Available, pending and held together.
    pub outstanding: i64,
    pub debt: i64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Verification {
    pub members: u64,
    pub verified: u64,
    pub entries: i64,
    pub orders: i64,
    /// Members whose ledger does not verify, with the first fault: at most 20.
    pub failed: Vec<(String, String)>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Calls {
    /// Orders committed by a call of this run or an earlier call under the same request id.
    pub committed: u64,
    pub committed_before: u64,
    pub refused: u64,
    /// Order id and reason: at most 20.
    pub refused_first: Vec<(String, String)>,
    pub reservations: u64,
    /// Answers that were given before, to the same request id.
    pub replayed: u64,
    /// Attempts that failed and were repeated.
    pub repeated: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Input {
    pub rows: u64,
    pub rows_skipped: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Latency {
    pub calls: u64,
    pub p50_us: u64,
    pub p90_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
}

impl From<&Timing> for Latency {
    fn from(timing: &Timing) -> Latency {
        let us = &timing.latency_us;
        Latency {
            calls: us.len(),
            p50_us: us.value_at_quantile(0.5),
            p90_us: us.value_at_quantile(0.9),
            p99_us: us.value_at_quantile(0.99),
            p999_us: us.value_at_quantile(0.999),
            max_us: us.max(),
        }
    }
}

impl Totals {
    /// Counts alone; no units yet.
    pub fn new(as_of: Instant, orders: u64, lines: u64, members: u64) -> Totals {
        let (referrals, units) = (Referrals::default(), BTreeMap::new());
        Totals { as_of: as_of.text(), orders, lines, members, referrals, units }
    }

    /// The counts of a history; no units yet.
    pub fn of(history: &History, as_of: Instant) -> Totals {
        let lines = history.orders.iter().map(|order| order.lines.len() as u64).sum();
        Totals::new(as_of, history.orders.len() as u64, lines, history.members.len() as u64)
    }

    /// A table of units, for people.
    pub fn write_units(&self, f: &mut impl fmt::Write) -> fmt::Result {
        for (unit, units) in &self.units {
            writeln!(f, "\n{unit}")?;
            row(f, "  issued", units.granted.into())?;
            row(f, "  redeemed", units.redeemed.into())?;
            row(f, "  expired", units.expired.into())?;
            row(f, "  reversed", units.reversed.into())?;
            row(f, "  outstanding", units.outstanding.into())?;
            row(f, "    available", units.available.into())?;
            row(f, "    pending", units.pending.into())?;
            row(f, "    held", units.held.into())?;
            row(f, "  debt", units.debt.into())?;
        }
        Ok(())
    }

    /// Adds one member's balances.
    pub fn add(&mut self, member: &wire::Member) {
        self.referrals.attributed += u64::from(!member.referral_id.is_empty());
        self.referrals.qualified = self.referrals.qualified.saturating_add(member.friends_qualified);
        for balance in &member.balances {
            let units = self.units.entry(balance.unit.clone()).or_default();
            for (sum, part) in [
                (&mut units.granted, balance.lifetime_granted),
                (&mut units.redeemed, balance.lifetime_redeemed),
                (&mut units.expired, balance.lifetime_expired),
                (&mut units.reversed, balance.lifetime_reversed),
                (&mut units.available, balance.available),
                (&mut units.pending, balance.pending),
                (&mut units.held, balance.held),
                (&mut units.debt, balance.debt),
            ] {
                *sum = sum.saturating_add(part);
            }
            units.outstanding = units.available.saturating_add(units.pending).saturating_add(units.held);
        }
    }
}

impl Verification {
    pub fn add(&mut self, member_id: &str, proof: &wire::VerifyMemberResponse) {
        self.members += 1;
        self.verified += u64::from(proof.verified);
        self.entries = self.entries.saturating_add(proof.entries);
        self.orders = self.orders.saturating_add(proof.orders);
        if !proof.verified && self.failed.len() < FAILED_SHOWN_MAX {
            let fault = proof.faults.first().cloned().unwrap_or_default();
            self.failed.push((member_id.to_owned(), fault));
        }
    }

    pub fn all(&self) -> bool {
        self.verified == self.members
    }
}

impl Summary {
    /// Whether everything went as it should: every order is committed and every ledger verifies.
    pub fn is_good(&self) -> bool {
        self.verification.all() && self.calls.refused == 0
    }
}

/// Latencies of all methods called, and attempts that were repeated.
pub fn latencies(meter: &Meter) -> (BTreeMap<String, Latency>, u64) {
    let timings = meter.snapshot();
    let repeated = timings.values().map(|timing| timing.repeated).sum();
    (timings.iter().map(|(method, timing)| ((*method).to_owned(), timing.into())).collect(), repeated)
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { totals, verification, calls, input, latency, elapsed_ms } = self;
        let rate = totals.orders.saturating_mul(1_000).checked_div(*elapsed_ms).unwrap_or(0);
        writeln!(f, "As of {}", totals.as_of)?;
        writeln!(f)?;
        row(f, "orders", totals.orders.into())?;
        row(f, "lines", totals.lines.into())?;
        row(f, "members", totals.members.into())?;
        row(f, "referrals", totals.referrals.attributed.into())?;
        row(f, "  qualified", totals.referrals.qualified.into())?;
        if 0 < input.rows_skipped {
            row(f, "rows skipped", input.rows_skipped.into())?;
        }
        totals.write_units(f)?;
        let (seconds, tenths) = (elapsed_ms / 1_000, elapsed_ms % 1_000 / 100);
        writeln!(
            f,
            "\nlatency, ms {:>12}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "calls", "p50", "p90", "p99", "p99.9", "max"
        )?;
        for (method, l) in latency {
            write!(f, "  {method:<14}{:>8}", l.calls)?;
            for us in [l.p50_us, l.p90_us, l.p99_us, l.p999_us, l.max_us] {
                write!(f, "{:>10}", ms(us))?;
            }
            writeln!(f)?;
        }
        writeln!(f, "\n{} orders committed in {seconds}.{tenths} s, {rate} a second", grouped(calls.committed.into()))?;
        if 0 < calls.reservations {
            writeln!(f, "{} orders held units before", grouped(calls.reservations.into()))?;
        }
        if 0 < calls.committed_before {
            writeln!(f, "{} orders had been committed before", grouped(calls.committed_before.into()))?;
        }
        if 0 < calls.replayed {
            writeln!(f, "{} answers were those of an earlier run", grouped(calls.replayed.into()))?;
        }
        if 0 < calls.repeated {
            writeln!(f, "{} calls had to be sent again", grouped(calls.repeated.into()))?;
        }
        if 0 < calls.refused {
            writeln!(f, "{} ORDERS WERE REFUSED, among them:", grouped(calls.refused.into()))?;
            for (order, reason) in &calls.refused_first {
                writeln!(f, "  {order}: {reason}")?;
            }
        }
        let (members, entries) = (grouped(verification.members.into()), grouped(verification.entries.into()));
        if verification.all() {
            return writeln!(f, "every ledger verified: {members} members, {entries} entries");
        }
        let failed = verification.members - verification.verified;
        writeln!(f, "{} OF {members} LEDGERS DO NOT VERIFY, among them:", grouped(failed.into()))?;
        for (member, fault) in &verification.failed {
            writeln!(f, "  {member}: {fault}")?;
        }
        Ok(())
    }
}

fn row(f: &mut impl fmt::Write, name: &str, value: i128) -> fmt::Result {
    writeln!(f, "{name:<16}{:>18}", grouped(value))
}

/// Digits in groups of three.
pub fn grouped(value: i128) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut out = String::new();
    if value < 0 {
        out.push('-');
    }
    for (at, digit) in digits.chars().enumerate() {
        if 0 < at && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Milliseconds with two decimals.
fn ms(us: u64) -> String {
    format!("{}.{:02}", us / 1_000, us % 1_000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (value, expected) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (-1_234_567, "-1,234,567"), (123_456, "123,456")]
        {
            assert_eq!(grouped(value), expected);
        }
        assert_eq!(ms(12_345), "12.34");
    }

    #[test]
    fn balances_add_up_by_unit() {
        let history = super::super::orders::Builder::new(Vec::new()).finish();
        let mut totals = Totals::of(&history, Instant(1_500_000_000_000));
        let balance = |unit: &str, available, pending, held| wire::Balance {
            unit: unit.to_owned(),
            available,
            pending,
            held,
            lifetime_granted: 100,
            ..wire::Balance::default()
        };
        for balances in
            [vec![balance("points", 1, 2, 3), balance("crumbs", 5, 0, 0)], vec![balance("points", 10, 0, 0)]]
        {
            totals.add(&wire::Member { balances, referral_id: "r".to_owned(), ..wire::Member::default() });
        }
        assert_eq!(totals.referrals.attributed, 2);
        let points = totals.units.get("points").expect("points");
        assert_eq!((points.available, points.outstanding, points.granted), (11, 16, 200));
        assert_eq!(totals.units.get("crumbs").expect("crumbs").outstanding, 5);
    }

    #[test]
    fn a_ledger_that_does_not_verify_makes_the_replay_fail() {
        let mut verification = Verification::default();
        verification.add("m1", &wire::VerifyMemberResponse { verified: true, entries: 3, ..Default::default() });
        assert!(verification.all());
        let faults = vec!["hash 2 differs".to_owned()];
        verification.add("m2", &wire::VerifyMemberResponse { verified: false, faults, ..Default::default() });
        assert!(!verification.all());
        assert_eq!(verification.failed, [("m2".to_owned(), "hash 2 differs".to_owned())]);
    }
}
