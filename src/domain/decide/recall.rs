//! Why an order earned what it earned, told again from the ledger, however long ago it was.
//!
//! Nothing of this is stored but what is stored anyway: the entries give the account as it stood before the order, the
//! record gives the order as it was sent, and the program version that decided lives as long as orders name it. What lies
//! beside the ledger may have changed since, and then the answer says so.

use std::sync::Arc;

use super::super::account::{AccountState, Salt};
use super::super::answer::{Effect, Explanation, ExplanationCaveat, ExplanationSource, Granted};
use super::super::command::Recipient;
use super::super::desk::Desk;
use super::super::id::{AccountId, GrantId, OrderId, UnitId};
use super::super::ledger::{Entry, Fact};
use super::super::order_record::OrderRecord;
use super::super::program::{GrantTo, Program, Timeline};
use super::super::quota::{Asked, SetAside, Want};
use super::super::redeem::Redemption;
use super::super::time::Times;
use super::checkout::{earn_on, give_all};
use super::{ApplyError, DecideError, Halt, Scene, Snapshot};

/// One deed in an account's ledger: the account before it, and the entries that it posted.
#[derive(Clone, PartialEq, Debug)]
pub struct Deed {
    pub before: AccountState,
    pub entries: Vec<Entry>,
}

/// Finds the deed that committed an order in a ledger that is read entry by entry from its beginning.
#[derive(Clone, Debug)]
pub struct DeedFinder {
    /// Folded up to the deed that is being read.
    before: AccountState,
    entries: Vec<Entry>,
}

impl DeedFinder {
    /// `account`: before its first entry.
    pub fn new(account: AccountState) -> DeedFinder {
        DeedFinder { before: account, entries: Vec::new() }
    }

    /// Takes the next entry. Answers the deed once it is the one that committed the order.
    pub fn take(mut self, entry: Entry, is_wanted: impl Fn(&Fact) -> bool) -> Result<Found, ApplyError> {
        let goes_on = self.entries.first().is_some_and(|first| {
            first.posted_at == entry.posted_at && (first.request == entry.request || entry.request.is_none())
        });
        if !goes_on {
            let done = std::mem::take(&mut self.entries);
            done.iter().try_for_each(|entry| self.before.apply(entry))?;
        }
        let found = is_wanted(&entry.fact);
        self.entries.push(entry);
        Ok(if found {
            Found::Deed(Box::new(Deed { before: self.before, entries: self.entries }))
        } else {
            Found::NotYet(Box::new(self))
        })
    }
}

/// What looking at one more entry came to.
#[derive(Clone, Debug)]
pub enum Found {
    Deed(Box<Deed>),
    NotYet(Box<DeedFinder>),
}

/// As often as a decision may ask for more claims.
const ROUNDS_MAX: usize = 64;

/// Works out again why an order earned what it earned. `present`: the account as it is now, for what lies beside the
/// ledger.
pub fn recall(
    timeline: &Timeline,
    program_id: &super::ProgramId,
    deed: &Deed,
    record: &OrderRecord,
    present: Option<&AccountState>,
) -> Result<Explanation, DecideError> {
    let record = &record.as_committed();
    let mut caveats = Vec::new();
    let recorded = timeline.versions.iter().map(|(_, program)| program);
    let recorded = recorded.clone().find(|program| program.version == record.decided.version);
    let program = match recorded.or_else(|| timeline.at(record.committed_at)) {
        Some(program) => program,
        None => return Err(DecideError::NoProgram),
    };
    if program.version != record.decided.version {
        caveats.push(ExplanationCaveat::OtherVersion);
    }
    let inconsistent = |error: ApplyError| match error {
        ApplyError::Inconsistent(what) => DecideError::Inconsistent(what),
        ApplyError::Overflow | ApplyError::TooLarge => DecideError::Inconsistent("the ledger does not fold"),
    };
    // What the order used was used before it was asked what it earns.
    let mut state = deed.before.clone();
    for entry in deed.entries.iter().take_while(|entry| is_of_use(&entry.fact)) {
        state.apply(entry).map_err(inconsistent)?;
    }
    if with_profiles(&mut state, present) {
        caveats.push(ExplanationCaveat::ProfileChanged);
    }
    let last = deed.entries.last();
    let now = last.map_or(record.committed_at, |entry| entry.posted_at);
    let request = last.and_then(|entry| entry.request.as_ref());
    let mut snapshot = Snapshot {
        program: program_id.clone(),
        account_id: Some(state.account.clone()),
        account: Some(Arc::new(state)),
        order: None,
        codes: Vec::new(),
        inbound: None,
        member: Some(record.member.clone()),
        salt: Salt::default(),
        set_aside: Vec::new(),
        deed: None,
        recipient: None,
        code_claim: None,
        visitor: None,
        upline: Vec::new(),
        signals: None,
    };
    snapshot.recipient = recipient_of(&snapshot, record);
    let times = Times { now, effective_at: record.committed_at, stated: true };
    for _ in 0..ROUNDS_MAX {
        let scene = Scene::new(timeline, program, &snapshot, times, request, false);
        let told = again(&scene, record, &caveats);
        let Asked { wants, .. } = scene.asked.into_inner();
        if wants.is_empty() {
            return match told {
                Ok(told) => Ok(told),
                Err(Halt::Apply(error)) => Err(inconsistent(error)),
                Err(Halt::Refused(_)) => Err(DecideError::Inconsistent("what was committed is refused")),
            };
        }
        snapshot.set_aside.extend(wants.into_iter().map(|want| as_granted(want, record)));
    }
    Err(DecideError::Inconsistent("a decision does not come to an end of what it wants"))
}

/// Who was found as the recipient then, by what went there.
fn recipient_of(snapshot: &Snapshot, record: &OrderRecord) -> Option<Recipient> {
    let named = record.sent.recipient.as_ref()?;
    if let Some(sent) = record.sent_grants.first() {
        return Some(Recipient::Found(sent.target.clone()));
    }
    let account = snapshot.account.as_ref().filter(|state| {
        state.is_home_of(&AccountId::from(named)) || state.people.iter().any(|person| person.member == *named)
    });
    Some(account.map_or(Recipient::Unknown, |state| Recipient::Found(state.account.clone())))
}

/// Whether an entry of a Commit was posted for what the order uses.
fn is_of_use(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Unheld { .. }
            | Fact::Spent { .. }
            | Fact::VoucherUsed { .. }
            | Fact::Active { .. }
            | Fact::Outstanding { .. }
            | Fact::OrderClaimed { .. }
            // What fell due before.
            | Fact::Matured { .. }
            | Fact::Expired { .. }
            | Fact::Settled { .. }
    )
}

/// Lends the profiles of today to the people of then; whether one of them was another then.
fn with_profiles(state: &mut AccountState, present: Option<&AccountState>) -> bool {
    let mut changed = false;
    for person in &mut state.people {
        let today = present.and_then(|present| present.person(&person.member));
        changed |= today.map(|today| today.profile_digest) != Some(person.profile_digest);
        if let Some(today) = today {
            person.profile = today.profile.clone();
        }
    }
    changed
}

fn again(scene: &Scene<'_>, record: &OrderRecord, caveats: &[ExplanationCaveat]) -> Result<Explanation, Halt> {
    let order = record.order();
    let redemption = Redemption::recorded(record);
    let state = scene.snapshot.account.clone();
    let state = state.ok_or(Halt::Apply(ApplyError::Inconsistent("there is no account to decide on")))?;
    let version = scene.program.version.clone();
    let mut desk = Desk::new(state, scene.times.now, version, scene.request.cloned(), true);
    let (earned, _) = earn_on(scene, &mut desk, &order, &redemption, true)?;
    let mut decided = scene.decided();
    let mut grants: Vec<(GrantId, UnitId, i64)> = Vec::new();
    if record.member.is_guest() {
        decided.refusals.clone_from(&earned.refusals);
        decided.explain.clone_from(&earned.explain);
        let own = earned.grants.iter().filter(|plan| plan.to == GrantTo::Account);
        grants.extend(own.map(|plan| {
            let grant = GrantId::of(&[order.order_id.as_str(), plan.rule.as_str()]);
            (grant, plan.unit.clone(), plan.amount)
        }));
    } else {
        give_all(scene, &mut desk, &order, &earned, &mut decided)?;
        grants = granted(&order.order_id, &decided.effects);
    }
    let mut then = granted(&order.order_id, &record.decided.effects);
    then.sort();
    grants.sort();
    Ok(Explanation {
        source: ExplanationSource::Ledger,
        reproduces: then == grants,
        caveats: caveats.to_vec(),
        refusals: decided.refusals,
        trace: decided.explain.unwrap_or_default(),
    })
}

/// Units that an order earned by rules, by grant; what a friend got for coming is not among them.
fn granted(order: &OrderId, effects: &[Effect]) -> Vec<(GrantId, UnitId, i64)> {
    let by_rule = |granted: &Granted| granted.grant == GrantId::of(&[order.as_str(), granted.rule.as_str()]);
    let all = effects.iter().filter_map(|effect| match effect {
        Effect::Granted(granted) | Effect::Claimable { granted, .. } if by_rule(granted) => {
            Some((granted.grant.clone(), granted.unit.clone(), granted.granted))
        }
        Effect::GrantedTo(given) => Some((given.grant.clone(), given.unit.clone(), given.amount)),
        _ => None,
    });
    all.collect()
}

/// What a limit over all members left then: what was granted of it. Which deed a claim is for begins with its grant.
fn as_granted(want: Want, record: &OrderRecord) -> SetAside {
    let grant = want.deed.split('|').next().unwrap_or_default();
    let units = record.decided.effects.iter().find_map(|effect| match effect {
        Effect::Granted(granted) if granted.grant.as_str() == grant => Some(granted.granted),
        Effect::GrantedTo(given) if given.grant.as_str() == grant => Some(given.amount),
        _ => None,
    });
    let others = record.consequences.iter().find(|done| done.cause.as_str() == grant).map(|done| done.count);
    let granted = units.or(others).unwrap_or(0).min(want.amount);
    SetAside { quota: want.quota, deed: want.deed, granted, left: granted, number: None }
}

/// Whether the trace of an order is kept beside it: the same few of a thousand orders whoever asks.
pub(super) fn keeps_trace(program: &Program, order: &OrderId) -> bool {
    if program.explain_sample_permille == 0 {
        return false;
    }
    let hash = super::super::ledger::digest(order.as_str().as_bytes());
    let (head, _) = hash.split_at(8);
    let number = head.iter().fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
    i64::try_from(number % 1_000).is_ok_and(|number| number < program.explain_sample_permille)
}
