//! What a load came to: latencies by kind of call, and what went wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::pace::Pace;
use super::shape::{self, Verdict};

/// Part of the figures, filled by some of the calls.
#[derive(Default)]
pub struct Shard {
    latency_us: BTreeMap<&'static str, Histogram<u64>>,
    failed: BTreeMap<String, u64>,
    wrong: BTreeMap<String, u64>,
}

/// Different wrong answers that are told apart.
const WRONG_SHOWN_MAX: usize = 20;

impl Shard {
    pub fn note(&mut self, series: &'static str, verdict: Verdict, took: Duration) {
        let kept = match verdict {
            Verdict::Fine => {
                if let Some(latency_us) = known(&mut self.latency_us, series) {
                    latency_us.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
                }
                return;
            }
            Verdict::Failed(reason) => (&mut self.failed, format!("{series}: {reason}")),
            Verdict::Wrong(what) => (&mut self.wrong, format!("{series}: {what}")),
        };
        let (kinds, what) = kept;
        let what = if kinds.len() < WRONG_SHOWN_MAX || kinds.contains_key(&what) { what } else { "others".to_owned() };
        *kinds.entry(what).or_default() += 1;
    }
}

/// One microsecond to ten minutes; three digits are exact.
fn known<'a>(
    all: &'a mut BTreeMap<&'static str, Histogram<u64>>,
    series: &'static str,
) -> Option<&'a mut Histogram<u64>> {
    if !all.contains_key(series) {
        all.insert(series, Histogram::new_with_bounds(1, 600_000_000, 3).ok()?);
    }
    all.get_mut(series)
}

/// What came of a load.
pub struct Measured {
    pub pace: Pace,
    /// From the first call to the last answer.
    pub took: Duration,
    /// Of calls that were answered as they must be, by kind.
    pub latency_us: BTreeMap<&'static str, Histogram<u64>>,
    /// Calls that failed, by kind and reason.
    pub failed: BTreeMap<String, u64>,
    /// Answers that were not what they must be.
    pub wrong: BTreeMap<String, u64>,
    /// Calls that were due while too many were under way.
    pub unsent: u64,
}

impl Measured {
    pub fn of(shards: impl Iterator<Item = Shard>, pace: Pace, took: Duration, unsent: u64) -> Measured {
        let mut all = Measured {
            pace,
            took,
            latency_us: BTreeMap::new(),
            failed: BTreeMap::new(),
            wrong: BTreeMap::new(),
            unsent,
        };
        for shard in shards {
            for (series, part) in shard.latency_us {
                match all.latency_us.get_mut(series) {
                    Some(sum) => {
                        // All have the same bounds.
                        let _ = sum.add(part);
                    }
                    None => {
                        all.latency_us.insert(series, part);
                    }
                }
            }
            for (what, count) in shard.failed {
                *all.failed.entry(what).or_default() += count;
            }
            for (what, count) in shard.wrong {
                *all.wrong.entry(what).or_default() += count;
            }
        }
        all
    }

    /// Both together, one after the other.
    pub fn and(mut self, after: Measured) -> Measured {
        self.took += after.took;
        self.unsent += after.unsent;
        for (series, part) in after.latency_us {
            match self.latency_us.get_mut(series) {
                Some(sum) => {
                    // All have the same bounds.
                    let _ = sum.add(part);
                }
                None => {
                    self.latency_us.insert(series, part);
                }
            }
        }
        for (what, count) in after.failed {
            *self.failed.entry(what).or_default() += count;
        }
        for (what, count) in after.wrong {
            *self.wrong.entry(what).or_default() += count;
        }
        self
    }

    /// How the calls of other members fare while all name one code, against while they name many: p50 and p99 of the one
    /// in thousandths of the other; `None`: the load was another.
    pub fn hot_code_permille(&self) -> Option<[u64; 2]> {
        let of = |series: &str| self.latency_us.get(series).map(quantiles);
        let ([many_p50, _, many_p99, ..], [one_p50, _, one_p99, ..]) =
            (of(shape::OTHERS_WITH_MANY)?, of(shape::OTHERS_WITH_ONE)?);
        Some([one_p50 * 1_000 / many_p50.max(1), one_p99 * 1_000 / many_p99.max(1)])
    }

    /// Whether there were calls, and every one was sent, and answered as it must be.
    pub fn is_fine(&self) -> bool {
        0 < self.answered() && self.failed.is_empty() && self.wrong.is_empty() && self.unsent == 0
    }

    /// Whether no call was even due.
    pub fn is_empty(&self) -> bool {
        self.answered() == 0 && self.failed.is_empty() && self.wrong.is_empty() && self.unsent == 0
    }

    /// Calls answered as they must be.
    pub fn answered(&self) -> u64 {
        self.latency_us.values().map(Histogram::len).sum()
    }

    /// Of those, how many a second.
    pub fn per_second(&self) -> u64 {
        let per_second = u128::from(self.answered()) * 1_000_000 / self.took.as_micros().max(1);
        u64::try_from(per_second).unwrap_or(u64::MAX)
    }

    /// Of all kinds of call together; `None`: nothing was answered.
    pub fn all_us(&self) -> Option<Histogram<u64>> {
        let mut kinds = self.latency_us.values();
        let mut sum = kinds.next()?.clone();
        for kind in kinds {
            // All have the same bounds.
            let _ = sum.add(kind);
        }
        Some(sum)
    }

    /// For people. Latencies in milliseconds.
    pub fn table(&self) -> String {
        let offered = match self.pace {
            Pace::PerSecond(rate) => format!("{rate} calls a second offered"),
            Pace::InFlight(calls) => format!("{calls} calls in flight"),
        };
        let (took, rate) = (self.took.as_millis(), self.per_second());
        let mut text = format!("{offered}, {rate} a second answered, {}.{:03} s\n\n", took / 1_000, took % 1_000);
        let _ = writeln!(
            text,
            "{:<20} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "milliseconds", "calls", "p50", "p90", "p99", "p99.9", "max"
        );
        let all = self.all_us().filter(|_| 1 < self.latency_us.len());
        for (series, latency_us) in
            self.latency_us.iter().map(|(series, l)| (*series, l)).chain(all.iter().map(|l| ("all", l)))
        {
            let _ = write!(text, "{series:<20} {:>9}", latency_us.len());
            for us in quantiles(latency_us) {
                let _ = write!(text, " {:>9}", format!("{}.{:03}", us / 1_000, us % 1_000));
            }
            text.push('\n');
        }
        if let Some([p50, p99]) = self.hot_code_permille() {
            let ratio = |permille: u64| format!("{}.{:02}", permille / 1_000, permille % 1_000 / 10);
            let (p50, p99) = (ratio(p50), ratio(p99));
            let _ = writeln!(text, "\nothers, one code against many: p50 {p50} times, p99 {p99} times");
        }
        for (what, count) in &self.failed {
            let _ = writeln!(text, "failed {count}: {what}");
        }
        for (what, count) in &self.wrong {
            let _ = writeln!(text, "wrong {count}: {what}");
        }
        if 0 < self.unsent {
            let _ = writeln!(text, "not sent {}: too many were under way", self.unsent);
        }
        text
    }

    /// For machines. Latencies in microseconds.
    pub fn json(&self) -> String {
        let series = |latency_us: &Histogram<u64>| {
            let [p50, p90, p99, p999, max] = quantiles(latency_us);
            serde_json::json!({"calls": latency_us.len(), "p50_us": p50, "p90_us": p90, "p99_us": p99,
                "p999_us": p999, "max_us": max})
        };
        let by_series: BTreeMap<_, _> = self.latency_us.iter().map(|(name, l)| (*name, series(l))).collect();
        let (offered, in_flight) = match self.pace {
            Pace::PerSecond(rate) => (Some(rate), None),
            Pace::InFlight(calls) => (None, Some(calls)),
        };
        serde_json::json!({
            "offered_per_second": offered, "in_flight": in_flight, "answered_per_second": self.per_second(),
            "took_ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX), "series": by_series,
            "hot_code_permille": self.hot_code_permille().map(|[p50, p99]| serde_json::json!({"p50": p50, "p99": p99})),
            "failed": self.failed, "wrong": self.wrong, "unsent": self.unsent,
        })
        .to_string()
    }
}

/// p50, p90, p99, p99.9 and the most.
pub fn quantiles(latency_us: &Histogram<u64>) -> [u64; 5] {
    let at = |quantile| latency_us.value_at_quantile(quantile);
    [at(0.5), at(0.9), at(0.99), at(0.999), latency_us.max()]
}
