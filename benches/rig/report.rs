//! The figures, as tables.

use std::fmt::Write as _;

use guerdon::cli::load::measured::{Measured, quantiles};
use guerdon::cli::load::pace::Pace;
use hdrhistogram::Histogram;

use crate::scale::{self, Scaled};
use crate::touches::{self, Touches};

/// How calls are named that the server refused because it, or its store, had too many.
pub(crate) const REFUSED: [&str; 2] = ["OVERLOADED", "STORE_UNAVAILABLE"];

/// What a subject does with so many calls in flight.
pub(crate) struct Capacity {
    pub(crate) subject: String,
    pub(crate) workload: String,
    pub(crate) in_flight: u64,
    pub(crate) per_second: u64,
    /// Processor time of the server for one call, in microseconds, and of Redis.
    pub(crate) server_us: f64,
    pub(crate) redis_us: f64,
    pub(crate) latency_us: Option<Histogram<u64>>,
}

/// Latency against offered rate.
pub(crate) struct Curve {
    pub(crate) subject: &'static str,
    /// The most that it did, a second.
    pub(crate) most: u64,
    pub(crate) points: Vec<Measured>,
}

#[derive(Default)]
pub(crate) struct Report {
    pub(crate) capacities: Vec<Capacity>,
    pub(crate) curves: Vec<Curve>,
    pub(crate) compared: Option<Compared>,
    pub(crate) scaled: Vec<Scaled>,
    pub(crate) touches: Vec<Touches>,
}

/// What was measured in turns: medians, and medians of the ratios of each turn.
pub(crate) struct Compared {
    pub(crate) turns: usize,
    pub(crate) commit_us: f64,
    pub(crate) echo_us: f64,
    pub(crate) commit_redis_us: f64,
    pub(crate) quote_us: f64,
    pub(crate) get_us: f64,
    pub(crate) commits_per_second: f64,
    pub(crate) cpu: f64,
    pub(crate) redis_cpu: f64,
    pub(crate) rate: f64,
    pub(crate) quote_rate: f64,
    pub(crate) quote_cpu: f64,
    /// To the echo and to Commits, a second.
    pub(crate) offered: u64,
    pub(crate) p99_ms: [f64; 2],
    pub(crate) p99: f64,
    /// Of what was offered, in all turns: refused or failed, by the echo and by Commits.
    pub(crate) refused: [u64; 2],
}

impl Compared {
    fn lines(&self, text: &mut String) {
        let [echo_p99, commit_p99] = self.p99_ms;
        let [echo_refused, commit_refused] = self.refused;
        let lines = [
            format!(
                "server CPU, Commit on Redis : echo | {:.2} ({:.1} µs, {:.1} µs)",
                self.cpu, self.commit_us, self.echo_us
            ),
            format!(
                "Redis CPU of a Commit : server CPU of the echo | {:.2} ({:.1} µs)",
                self.redis_cpu, self.commit_redis_us
            ),
            format!("calls/s, Commit on Redis : echo | {:.2} ({:.0} a second)", self.rate, self.commits_per_second),
            format!("calls/s, Quote on Redis : echo and GET | {:.2}", self.quote_rate),
            format!(
                "server CPU, Quote on Redis : echo and GET | {:.2} ({:.1} µs, {:.1} µs)",
                self.quote_cpu, self.quote_us, self.get_us
            ),
            format!(
                "p99 at {} calls/s, Commit on Redis : echo | {:.2} ({commit_p99:.2} ms, {echo_p99:.2} ms; refused {commit_refused} and {echo_refused})",
                self.offered, self.p99
            ),
        ];
        for line in lines {
            let _ = writeln!(text, "| {line} |");
        }
        let _ = writeln!(text, "| in turns, each | {} times |", self.turns);
    }
}

impl Report {
    pub(crate) fn capacity(&mut self, capacity: Capacity) {
        self.capacities.push(capacity);
    }

    pub(crate) fn curve(&mut self, curve: Curve) {
        self.curves.push(curve);
    }

    /// The last line, to show that something goes on.
    pub(crate) fn last(&self) -> String {
        self.capacities.last().map_or_else(String::new, line)
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::from(
            "| subject | workload | in flight | calls/s | server µs/call | Redis µs/call | p50 ms | p99 ms | p99.9 ms |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        for capacity in &self.capacities {
            let _ = writeln!(text, "{}", line(capacity));
        }
        text.push_str("\n| subject | offered/s | of its most | answered/s | refused | p50 ms | p90 ms | p99 ms | p99.9 ms | max ms |\n|---|---|---|---|---|---|---|---|---|---|\n");
        for curve in &self.curves {
            for point in &curve.points {
                let Pace::PerSecond(rate) = point.pace else { continue };
                let refused: u64 = point.failed.values().sum();
                let _ = write!(
                    text,
                    "| {} | {rate} | {} % | {} | {refused} |",
                    curve.subject,
                    rate * 100 / curve.most.max(1),
                    point.per_second()
                );
                for us in point.all_us().iter().flat_map(quantiles) {
                    let _ = write!(text, " {:.2} |", us as f64 / 1_000.0);
                }
                text.push('\n');
            }
        }
        if !self.scaled.is_empty() {
            let _ = writeln!(text, "\n{}{}", scale::table(&self.scaled), touches::table(&self.touches));
        }
        self.ratios(&mut text);
        text
    }

    /// What the goals are stated in.
    fn ratios(&self, text: &mut String) {
        let of = |subject: &str, workload: &str| {
            self.capacities.iter().find(|c| c.subject == subject && c.workload == workload && c.in_flight == 64)
        };
        let _ = writeln!(text, "\n| ratio | |\n|---|---|");
        if let Some(compared) = &self.compared {
            compared.lines(text);
        }
        if let (Some(with), Some(without)) = (of(crate::WITH_BUDGET, "Uniform"), of(crate::WITHOUT_BUDGET, "Uniform")) {
            let ratio = without.per_second as f64 / with.per_second as f64;
            let _ = writeln!(text, "| what a Commit costs with a budget that all take from : without | {ratio:.2} |");
            let _ = writeln!(text, "| server CPU of it | {:.2} |", with.server_us / without.server_us);
        }
        let alone = self.capacities.iter().find(|c| c.subject.starts_with("Redis alone"));
        if let (Some(redis), Some(alone)) = (of("redis", "Uniform"), alone) {
            let ratio = redis.per_second as f64 / alone.per_second as f64;
            let _ = writeln!(text, "| calls/s, Commit on Redis : Redis alone | {ratio:.2} |");
            let _ = writeln!(text, "| Redis CPU, Commit : Redis alone | {:.2} |", redis.redis_us / alone.redis_us);
        }
    }
}

fn line(capacity: &Capacity) -> String {
    let Capacity { subject, workload, in_flight, per_second, server_us, redis_us, latency_us } = capacity;
    let ms = latency_us.as_ref().map(quantiles).map(|q| q.map(|us| us as f64 / 1_000.0));
    let latencies = match ms {
        Some([p50, _, p99, p999, _]) => format!("{p50:.2} | {p99:.2} | {p999:.2}"),
        None => "not measured | |".to_owned(),
    };
    format!("| {subject} | {workload} | {in_flight} | {per_second} | {server_us:.1} | {redis_us:.1} | {latencies} |")
}
