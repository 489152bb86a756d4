//! What other accounts' deeds grant here.
//!
//! An effect states the whole, so what came before it, after it or twice does not matter: the highest revision stands.
//! Of what a friend brought, this account decides how much it is: it alone knows which friend it was by number, what its
//! limits leave, and who brought it in turn. What is kept per friend lies in a record of its own, never in the account.

use super::super::super::account::{AccountState, Inbound};
use super::super::super::answer::{Answer, ReferralState};
use super::super::super::command::{Brought, Outgoing, Transfer};
use super::super::super::counters::{self, CounterChange};
use super::super::super::desk::Desk;
use super::super::super::id::{AccountId, CounterId, GrantId, UnitId};
use super::super::super::ledger::{Dates, Fact};
use super::super::super::money::share_floor;
use super::super::super::program::{Campaign, CapOf, Kind};
use super::super::super::referral::BroughtState;
use super::super::super::time::Day;
use super::super::super::value;
use super::super::giveback::{TakeBack, sources};
use super::super::{Decision, Halt, OVERFLOW, Scene, ripple};

/// What is to be granted here in all, and what is known of it then.
struct Target {
    granted: i64,
    brought: Option<BroughtState>,
}

pub(in super::super) fn receive(scene: &Scene<'_>, transfer: &Transfer) -> Result<Decision, Halt> {
    let mut desk = scene.desk_of_any()?;
    let known = scene.snapshot.inbound.as_ref();
    if known.is_some_and(|known| transfer.revision <= known.revision) {
        return Ok(Decision { received: true, ..scene.unchanged(Answer::Done, true) });
    }
    let had = known.map_or(0, Inbound::granted);
    let dates =
        known.map_or(Dates { activates_at: transfer.activates_at, expires_at: transfer.expires_at }, |k| k.dates);
    let Some(target) = target(scene, &desk, transfer, known) else {
        // Who brought this account is not settled: what goes on to them waits with it.
        return Ok(scene.unchanged(Answer::Done, true));
    };
    let before = ripple::look(scene, &desk);
    let friends = friends(transfer, known, &target);
    take_in(scene, &mut desk, transfer, (had, target.granted), friends, dates)?;
    let at = transfer.effective_at;
    let of_program = counters::of_friend(scene.program, friends, at);
    let change = target.granted.checked_sub(had).ok_or(OVERFLOW)?;
    let units = counters::of_units(scene.program, &transfer.unit, change, at);
    desk.count(at, units.into_iter().chain(of_program).collect())?;
    // By what is the same of all revisions, in whatever order they come.
    let valued = value::of_kind(scene.program, transfer.kind, &transfer.unit, change, dates.activates_at);
    desk.count(at, valued.into_iter().collect())?;
    let mut outgoing = Vec::new();
    if let (Some(brought), Some(state)) = (&transfer.brought, &target.brought) {
        let was = known.and_then(|known| known.brought.clone()).unwrap_or_default();
        count(&mut desk, brought, &was, state, transfer)?;
        send_on(&mut desk, transfer, brought, &was, state, &mut outgoing)?;
    }
    ripple::settle(scene, &mut desk, before, &mut scene.decided())?;
    desk.advance(scene.timeline)?;
    let inbound = Inbound { revision: transfer.revision, net: transfer.net, dates, brought: target.brought };
    let inbound = Some((transfer.grant.clone(), inbound));
    Ok(Decision { inbound, outgoing, received: true, ..scene.done(desk, Answer::Done) })
}

/// Whether one friend more counts (1), one less (-1), or neither.
fn friends(transfer: &Transfer, known: Option<&Inbound>, target: &Target) -> i64 {
    let counted = known.and_then(|known| known.brought.as_ref()).is_some_and(|state| state.counted);
    let counts = target.brought.as_ref().is_some_and(|state| state.counted);
    let is_friend = transfer.brought.as_ref().is_some_and(|brought| brought.counts);
    if is_friend { i64::from(counts) - i64::from(counted) } else { 0 }
}

/// Posts what raises or lowers what was granted.
fn take_in(
    scene: &Scene<'_>,
    desk: &mut Desk,
    transfer: &Transfer,
    (had, granted): (i64, i64),
    friends: i64,
    dates: Dates,
) -> Result<(), Halt> {
    let at = transfer.effective_at;
    let change = granted.checked_sub(had).ok_or(OVERFLOW)?;
    let (grant, unit, revision) = (transfer.grant.clone(), transfer.unit.clone(), transfer.revision);
    if 0 < change || (change == 0 && 0 < friends) {
        let repaid = desk.repays(&unit, change, dates);
        let (rule, kind) = (transfer.rule.clone(), transfer.kind);
        let net = granted;
        desk.post(
            at,
            Fact::Received { grant, rule, kind, unit, revision, net, amount: change, repaid, dates, friends },
        )?;
    } else if change < 0 || friends < 0 {
        let amount = change.checked_neg().ok_or(OVERFLOW)?;
        let source = sources(scene, desk, &unit, dates, amount, TakeBack::Clawback)?;
        let net = granted;
        desk.post(
            at,
            Fact::Recalled {
                grant,
                rule: transfer.rule.clone(),
                unit,
                revision,
                net,
                dates,
                taken: source.taken,
                lapsed: source.lapsed,
                debt: source.debt,
                forgiven: source.forgiven,
                friends,
            },
        )?;
    }
    Ok(())
}

/// What is to be granted in all; `None`: that cannot be told yet.
fn target(scene: &Scene<'_>, desk: &Desk, transfer: &Transfer, known: Option<&Inbound>) -> Option<Target> {
    let plain = Target { granted: transfer.net, brought: None };
    let Some(brought) = &transfer.brought else { return Some(plain) };
    let Some(terms) = terms(scene, brought) else { return Some(plain) };
    if transfer.net == 0 {
        // Nothing is left of it. Had this come first, nothing would be known of it either.
        return Some(Target { granted: 0, brought: Some(BroughtState::default()) });
    }
    let mut state = known.and_then(|known| known.brought.clone()).unwrap_or_default();
    if state.times == 0 {
        // The first that is heard of it: now it gets its number.
        let friends = desk.state.counted_ever(&CounterId::referral(&terms.id, "friends"));
        state.times = if brought.counts { terms.times(friends.saturating_add(1)) } else { 1 };
        state.day = Day::at(brought.earned_at, &scene.program.zone);
        state.onward = onward(&desk.state, brought, terms)?;
    }
    state.desired = transfer.net.checked_mul(state.times).unwrap_or(i64::MAX);
    state.counted = brought.counts;
    state.granted = state.desired.min(left(scene, desk, &transfer.unit, terms, &state, brought));
    let share = brought.generation_share(terms);
    state.onward_net = match (&state.onward, share) {
        (Some(_), Some(bps)) => share_floor(bps, brought.base, 10_000).unwrap_or(0),
        _ => 0,
    };
    Some(Target { granted: state.granted, brought: Some(state) })
}

fn terms<'s>(scene: &'s Scene<'_>, brought: &Brought) -> Option<&'s Campaign> {
    scene.timeline.at(brought.terms_at)?.campaign(&brought.campaign)
}

/// What this grant may come to, by the account's limits.
fn left(
    scene: &Scene<'_>,
    desk: &Desk,
    unit: &UnitId,
    terms: &Campaign,
    state: &BroughtState,
    brought: &Brought,
) -> i64 {
    let mut left = i64::MAX;
    let units = units_of(unit);
    for cap in &terms.caps {
        let (first, until) = cap.per.days(brought.earned_at, &scene.program.zone);
        let (what, own) = match cap.counts {
            CapOf::Friends if !brought.counts => continue,
            CapOf::Friends => ("rewarded", i64::from(0 < state.granted)),
            CapOf::Units => (units.as_str(), state.granted),
        };
        let before = desk.state.counted_from(&CounterId::referral(&terms.id, what), first, until);
        let room = cap.most.saturating_sub(before.saturating_sub(own)).max(0);
        match cap.counts {
            CapOf::Friends if room < 1 => left = 0,
            CapOf::Friends => {}
            CapOf::Units => left = left.min(room),
        }
    }
    left
}

/// Each kind of unit is counted by itself.
fn units_of(unit: &UnitId) -> String {
    format!("units-{unit}")
}

/// Moves the counters by which limits and numbers go, in the period in which the reward counts.
fn count(
    desk: &mut Desk,
    brought: &Brought,
    was: &BroughtState,
    is: &BroughtState,
    transfer: &Transfer,
) -> Result<(), Halt> {
    let rewarded = |state: &BroughtState| i64::from(brought.counts && 0 < state.granted);
    let of = |what: &str, change: i64| CounterChange {
        counter: CounterId::referral(&brought.campaign, what),
        day: if is.times == 0 { was.day } else { is.day },
        change,
    };
    let changes = vec![
        of("friends", i64::from(is.counted) - i64::from(was.counted)),
        of("rewarded", rewarded(is) - rewarded(was)),
        of(&units_of(&transfer.unit), is.granted.checked_sub(was.granted).ok_or(OVERFLOW)?),
    ];
    Ok(desk.count(transfer.effective_at, changes)?)
}

/// To whom a share goes on: whoever had brought this account by then. The outer `None`: that is not settled yet.
fn onward(state: &AccountState, brought: &Brought, terms: &Campaign) -> Option<Option<AccountId>> {
    if brought.generation_share(terms).is_none() || state.erased_at.is_some() {
        return Some(None);
    }
    let by_then = state
        .referral
        .as_ref()
        .filter(|own| own.state != ReferralState::Rejected && own.attributed_at <= brought.earned_at);
    match by_then {
        Some(own) if !own.confirmed => None,
        Some(own) => Some(Some(own.advocate.clone())),
        None => Some(None),
    }
}

/// Sends on what the share has become.
fn send_on(
    desk: &mut Desk,
    transfer: &Transfer,
    brought: &Brought,
    was: &BroughtState,
    is: &BroughtState,
    outgoing: &mut Vec<Outgoing>,
) -> Result<(), Halt> {
    let change = is.onward_net.checked_sub(was.onward_net).ok_or(OVERFLOW)?;
    let target = is.onward.clone().or_else(|| was.onward.clone());
    let Some(target) = target.filter(|_| change != 0) else { return Ok(()) };
    let at = transfer.effective_at;
    let generation = brought.generation.saturating_add(1);
    let grant = GrantId::of(&[&format!("g{generation}"), brought.origin(&transfer.grant)]);
    let (rule, unit, revision) = (transfer.rule.clone(), transfer.unit.clone(), transfer.revision);
    desk.post(
        at,
        Fact::GrantedElsewhere {
            grant: grant.clone(),
            rule: rule.clone(),
            kind: Kind::Advocacy,
            target: target.clone(),
            unit: unit.clone(),
            revision,
            change,
        },
    )?;
    outgoing.push(Outgoing::Transfer(Transfer {
        target,
        grant,
        rule,
        kind: Kind::Advocacy,
        unit,
        revision,
        net: is.onward_net,
        activates_at: transfer.activates_at,
        expires_at: transfer.expires_at,
        effective_at: at,
        brought: Some(Brought { generation, counts: false, ..brought.clone() }),
    }));
    Ok(())
}
