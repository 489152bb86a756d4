//! The figures, as tables.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::load::{Answered, histogram};
use crate::subject::{GUERDON_MEMORY, GUERDON_REDIS, LIMITADOR_MEMORY, Programs};

/// Of one subject with so many calls in flight, all turns together.
struct Figures {
    subject: &'static str,
    in_flight: usize,
    took: Duration,
    /// Processor time of the server and of Redis.
    spent: [Duration; 2],
    latency_us: Histogram<u64>,
    /// Calls a second of each turn: how far they are apart says how quiet the machine was.
    turns: Vec<f64>,
}

pub struct Report {
    head: String,
    figures: Vec<Figures>,
}

impl Report {
    /// Notes what the figures are of, and how busy the machine is before anything is measured.
    pub fn begin(programs: &Programs, one_counter: bool) -> Report {
        let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let counters = if one_counter { "one counter for everybody" } else { "a counter for each member" };
        let head = format!(
            "{cores} cores ({}); load before: {}; {}; Node {}; {}; limitador with {counters}\n",
            model.trim_start_matches([' ', '\t', ':']),
            busy(),
            said(&programs.guerdon.to_string_lossy()),
            said("node"),
            said("redis-server"),
        );
        Report { head, figures: Vec::new() }
    }

    pub fn add(&mut self, subject: &'static str, in_flight: usize, answered: Answered, spent: [Duration; 2]) {
        let known = self.figures.iter().position(|f| f.subject == subject && f.in_flight == in_flight);
        let at = known.unwrap_or_else(|| {
            let (took, latency_us) = (Duration::ZERO, histogram());
            self.figures.push(Figures { subject, in_flight, took, spent: [took; 2], latency_us, turns: Vec::new() });
            self.figures.len() - 1
        });
        let figures = &mut self.figures[at];
        figures.turns.push(answered.latency_us.len() as f64 / answered.took.as_secs_f64());
        figures.took += answered.took;
        figures.spent = [0, 1].map(|part| figures.spent[part] + spent[part]);
        figures.latency_us.add(answered.latency_us).expect("all have the same bounds");
    }

    /// The subject that was measured last, to show that something goes on.
    pub fn last(&self) -> String {
        self.figures.last().map_or_else(String::new, |figures| {
            let rate = figures.turns.last().copied().unwrap_or_default();
            format!("{}, {} in flight: {rate:.0} calls/s", figures.subject, figures.in_flight)
        })
    }

    pub fn text(&self) -> String {
        let mut text = format!("{}Load after: {}\n\n", self.head, busy());
        text.push_str(
            "| subject | in flight | calls/s | of turns | server µs/call | Redis µs/call | p50 ms | p99 ms |\n\
             |---|---|---|---|---|---|---|---|\n",
        );
        for figures in &self.figures {
            let [rate, server, redis, p50, p99] = figures.values();
            let (least, most) = figures.turns.iter().fold((f64::MAX, 0.0), |(a, b), r| (r.min(a), r.max(b)));
            let _ = writeln!(
                text,
                "| {} | {} | {rate:.0} | {least:.0} to {most:.0} | {server:.1} | {redis:.1} | {p50:.2} | {p99:.2} |",
                figures.subject, figures.in_flight
            );
        }
        let any = |ours| self.figures.iter().any(|figures| figures.subject.contains("Guerdon") == ours);
        if any(true) && any(false) {
            text.push_str(
                "\n| Guerdon : other | in flight | calls/s | server µs/call | both µs/call | p50 | p99 |\n\
                 |---|---|---|---|---|---|---|\n",
            );
        }
        for ours in &self.figures {
            let same = |other: &&Figures| {
                other.in_flight == ours.in_flight
                    && match ours.subject {
                        GUERDON_REDIS => other.subject != GUERDON_MEMORY && other.subject != GUERDON_REDIS,
                        GUERDON_MEMORY => other.subject == LIMITADOR_MEMORY,
                        _ => false,
                    }
            };
            for other in self.figures.iter().filter(same) {
                let ([rate, server, redis, p50, p99], theirs) = (ours.values(), other.values());
                let _ = writeln!(
                    text,
                    "| {} : {} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
                    ours.subject,
                    other.subject,
                    ours.in_flight,
                    rate / theirs[0],
                    server / theirs[1],
                    (server + redis) / (theirs[1] + theirs[2]),
                    p50 / theirs[3],
                    p99 / theirs[4],
                );
            }
        }
        text
    }
}

impl Figures {
    /// Calls a second; µs of the server and of Redis for each; p50 and p99 in milliseconds.
    fn values(&self) -> [f64; 5] {
        let calls = self.latency_us.len() as f64;
        let each = |spent: Duration| spent.as_secs_f64() * 1e6 / calls;
        let ms = |quantile| self.latency_us.value_at_quantile(quantile) as f64 / 1_000.0;
        [calls / self.took.as_secs_f64(), each(self.spent[0]), each(self.spent[1]), ms(0.5), ms(0.99)]
    }
}

/// Averages of the last 1, 5 and 15 minutes.
fn busy() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// What a program calls its version.
fn said(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
