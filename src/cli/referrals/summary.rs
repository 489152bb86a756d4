//! What a record of vouchings came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::vouchings::{Came, Graph, Tree};
use crate::cli::replay::summary::{Latency, Totals, Verification, grouped};
use crate::domain::time::Instant;
use crate::grpc::wire;

/// Differences that are spelled out; the others are counted.
const SHOWN_MAX: usize = 20;

/// How a member stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Standing {
    pub member: wire::Member,
    pub referral: Option<wire::Referral>,
    pub proof: wire::VerifyMemberResponse,
}

/// The record itself. As JSON its keys are stable.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Record {
    pub members: u64,
    pub vouchings: u64,
    /// First vouchings for somebody.
    pub first: u64,
    /// Of these, what closes no circle.
    pub attributed: u64,
    pub circles: u64,
    pub too_deep: u64,
    /// Vouchings for somebody who was vouched for before.
    pub later: u64,
    /// The most that stand above anybody.
    pub depth: u64,
    /// How many advocates have brought so many friends.
    pub brought: BTreeMap<u64, u64>,
}

impl Record {
    pub fn of(graph: &Graph, tree: &Tree) -> Record {
        let (first, vouchings) = (tree.came.len() as u64, graph.vouchings.len() as u64);
        Record {
            members: graph.members.len() as u64,
            vouchings,
            first,
            attributed: tree.count(|came| matches!(came, Came::By(_))),
            circles: tree.count(|came| matches!(came, Came::InACircle(_))),
            too_deep: tree.count(|came| matches!(came, Came::TooDeep(_))),
            later: vouchings.saturating_sub(first),
            depth: tree.depth(),
            brought: tree.brought(),
        }
    }
}

/// What one run came to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Run {
    /// SHA-256 over who was brought by whom and over every balance, member by member: runs that agree have the same.
    pub hash: String,
    pub totals: Totals,
    pub verification: Verification,
    /// Members who do not stand where the record puts them: how many, and the first of them.
    pub astray: u64,
    pub astray_first: Vec<String>,
    /// Figures of referrals, where the program keeps them, against the ledgers folded again.
    pub figures: Option<Figures>,
    pub calls: u64,
    /// Answers that were given before, to the same request id.
    pub replayed: u64,
    /// Calls that were sent again and answered otherwise.
    pub differed: u64,
    /// Attempts that failed and were repeated.
    pub repeated: u64,
    /// How often the server was stopped and started again.
    pub restarts: u64,
    pub latency: BTreeMap<String, Latency>,
    pub elapsed_ms: u64,
}

/// What folding all ledgers again says of the figures that the server keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Figures {
    pub compared: i64,
    pub differing: i64,
    /// Partitions that did not stand still.
    pub moving: i64,
}

impl Run {
    pub fn is_good(&self) -> bool {
        let figures = self.figures.is_none_or(|of| of.differing == 0 && of.moving == 0 && 0 < of.compared);
        self.verification.all() && self.astray == 0 && self.differed == 0 && figures
    }
}

/// Adds up how everybody stands, ascending by id, and holds it against the record.
pub fn sum_up(graph: &Graph, tree: &Tree, as_of: Instant, standings: &[Standing]) -> Run {
    let mut hash = Sha256::new();
    let mut totals = Totals::new(as_of, tree.came.len() as u64, tree.came.len() as u64, standings.len() as u64);
    let mut verification = Verification::default();
    let (mut astray, mut astray_first) = (0, Vec::new());
    for (who, standing) in (0..).zip(standings) {
        let Standing { member, referral, proof } = standing;
        totals.add(member);
        verification.add(&member.member_id, proof);
        hash.update(line(standing));
        let expected = match tree.came.get(&who) {
            None => String::new(),
            Some(Came::By(advocate)) => format!("brought by {}", graph.id(*advocate)),
            Some(Came::InACircle(advocate)) => format!("in a circle with {}", graph.id(*advocate)),
            Some(Came::TooDeep(advocate)) => format!("too deep below {}", graph.id(*advocate)),
        };
        let found = referral.as_ref().map_or_else(String::new, place);
        if found != expected {
            astray += 1;
            if astray_first.len() < SHOWN_MAX {
                astray_first.push(format!("{}: {found:?}, should be {expected:?}", member.member_id));
            }
        }
    }
    let hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Run {
        hash,
        totals,
        verification,
        astray,
        astray_first,
        figures: None,
        calls: 0,
        replayed: 0,
        differed: 0,
        repeated: 0,
        restarts: 0,
        latency: BTreeMap::new(),
        elapsed_ms: 0,
    }
}

fn place(referral: &wire::Referral) -> String {
    let wire::Referral { advocate_member_id: by, .. } = referral;
    match (referral.state(), referral.rejected_for()) {
        (wire::ReferralState::Qualified, _) => format!("brought by {by}"),
        (wire::ReferralState::Rejected, wire::ReferralRejection::Circle) => format!("in a circle with {by}"),
        (wire::ReferralState::Rejected, wire::ReferralRejection::ChainTooLong) => format!("too deep below {by}"),
        (state, why) => format!("{} {} by {by}", state.as_str_name(), why.as_str_name()),
    }
}

/// All that must be the same in every run.
fn line(standing: &Standing) -> String {
    let Standing { member, referral, .. } = standing;
    let mut line = format!("{}|{}|", member.member_id, referral.as_ref().map_or_else(String::new, place));
    let mut balances: Vec<&wire::Balance> = member.balances.iter().collect();
    balances.sort_by(|a, b| a.unit.cmp(&b.unit));
    for balance in balances {
        let wire::Balance { unit, available, pending, held, debt, .. } = balance;
        let _ = write!(line, "{unit} {available} {pending} {held} {debt}|"); // a string takes everything
    }
    let _ = writeln!(line, "{}", member.friends_qualified);
    line
}

/// The result. As JSON its keys are stable.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Summary {
    pub record: Record,
    /// The first in order; the others shuffled, with calls sent twice and the server restarted.
    pub runs: Vec<Run>,
}

impl Summary {
    /// Whether every run stands where the record puts it, every ledger verifies, and all runs agree.
    pub fn is_good(&self) -> bool {
        let same = self.runs.windows(2).all(|pair| matches!(pair, [a, b] if a.hash == b.hash));
        same && self.runs.iter().all(Run::is_good)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { members, vouchings, first, attributed, circles, too_deep, later, depth, brought } = &self.record;
        for (name, value) in [
            ("members", members),
            ("vouchings", vouchings),
            ("  first ones", first),
            ("    attributed", attributed),
            ("    circles", circles),
            ("    too deep", too_deep),
            ("  later ones", later),
            ("depth", depth),
        ] {
            writeln!(f, "{name:<16}{:>18}", grouped(i128::from(*value)))?;
        }
        writeln!(f, "\nfriends brought, by how many advocates")?;
        for (friends, advocates) in brought {
            writeln!(f, "  {friends:<14}{:>18}", grouped(i128::from(*advocates)))?;
        }
        for (nth, run) in (1..).zip(&self.runs) {
            let (seconds, tenths) = (run.elapsed_ms / 1_000, run.elapsed_ms % 1_000 / 100);
            writeln!(f, "\nrun {nth}: {} calls in {seconds}.{tenths} s", grouped(run.calls.into()))?;
            writeln!(f, "  {}", run.hash)?;
            writeln!(f, "  {} friends qualified", grouped(run.totals.referrals.qualified.into()))?;
            for (unit, units) in &run.totals.units {
                writeln!(f, "  {} {unit} outstanding", grouped(units.outstanding.into()))?;
            }
            if 0 < run.restarts {
                writeln!(f, "  the server was restarted {} times", run.restarts)?;
            }
            if 0 < run.replayed {
                writeln!(f, "  {} answers had been given before", grouped(run.replayed.into()))?;
            }
            if 0 < run.repeated {
                writeln!(f, "  {} calls had to be sent again", grouped(run.repeated.into()))?;
            }
            if 0 < run.differed {
                writeln!(f, "  {} CALLS WERE ANSWERED OTHERWISE WHEN SENT AGAIN", grouped(run.differed.into()))?;
            }
            let (members, entries) = (run.verification.members, grouped(run.verification.entries.into()));
            if run.verification.all() {
                writeln!(f, "  every ledger verified: {} members, {entries} entries", grouped(members.into()))?;
            } else {
                let failed = members.saturating_sub(run.verification.verified);
                writeln!(f, "  {} LEDGERS DO NOT VERIFY, among them:", grouped(failed.into()))?;
                for (member, fault) in &run.verification.failed {
                    writeln!(f, "    {member}: {fault}")?;
                }
            }
            if let Some(Figures { compared, differing, moving }) = run.figures {
                writeln!(f, "  {} figures compared with the ledgers", grouped(compared.into()))?;
                if differing != 0 || moving != 0 {
                    writeln!(f, "  {differing} FIGURES DIFFER, {moving} PARTITIONS DID NOT STAND STILL")?;
                }
            }
            if 0 < run.astray {
                writeln!(f, "  {} MEMBERS STAND ELSEWHERE, among them:", grouped(run.astray.into()))?;
                for line in &run.astray_first {
                    writeln!(f, "    {line}")?;
                }
            }
        }
        let verdict = match (self.is_good(), self.runs.len()) {
            (true, 1) => "as it should be",
            (true, _) => "all runs agree",
            (false, _) => "NOT AS IT SHOULD BE",
        };
        writeln!(f, "\n{verdict}")
    }
}
