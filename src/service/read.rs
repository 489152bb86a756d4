//! Reads and previews: always from a fresh load, never from the cache; nothing is committed.

use std::sync::Arc;

use super::write::{Deed, Wanted, find};
use super::{Error, Inner, Preview, codes, quotas, recipients, signals, touches};
use crate::domain::account::{AccountState, HomeWhy, Inbound, Salt};
use crate::domain::answer::{
    AccountView, Answer, CardView, DrawView, EntryView, MemberView, OrderView, ReferralRewardView, ReferralView,
    RewardState,
};
use crate::domain::command::Command;
use crate::domain::decide::{DecideError, Snapshot, as_of, decide, partner_due};
use crate::domain::draw::Seed;
use crate::domain::event_record::DeedRecord;
use crate::domain::id::{AccountId, DrawId, MemberId, OrderId, ProgramId, ReferralId, UnitId};
use crate::domain::ledger::{Entry, Hash, decode};
use crate::domain::money::split;
use crate::domain::order_record::OrderRecord;
use crate::domain::program::{Draw, Program, Timeline};
use crate::domain::progress;
use crate::domain::referral::credit::WHOLE_PPM;
use crate::domain::referral::fraud::SideState;
use crate::domain::referral::{Referral, SentGrant};
use crate::domain::time::Instant;
use crate::domain::value::Profile;
use crate::store::{self, Key};

/// The account under a member id, and the order asked for, as stored.
pub(super) async fn stored(
    inner: &Inner,
    program: &ProgramId,
    account: &AccountId,
    order: Option<&OrderId>,
) -> Result<(AccountId, Option<Arc<AccountState>>, Option<Box<OrderRecord>>), Error> {
    Ok(find(inner, program, account, Wanted { order, ..Wanted::default() }).await?.into_found())
}

pub(super) fn damaged(error: DecideError) -> Error {
    match error {
        DecideError::NoProgram => Error::ProgramUnknown,
        DecideError::Inconsistent(what) => Error::Store(store::Error::Corrupt { what: what.to_owned() }),
    }
}

pub(super) async fn preview(inner: &Inner, preview: Preview) -> Result<Answer, Error> {
    let timeline = inner.timeline(&preview.program)?;
    let order = match &preview.command {
        Command::Commit(commit) => Some(&commit.order.order_id),
        Command::Return(what) => Some(&what.order_id),
        _ => None,
    };
    let (account_id, account, order) = match &preview.member {
        Some(member) => {
            let wanted = Wanted { order, known_will_do: true, ..Wanted::default() };
            let found = find(inner, &preview.program, &AccountId::from(member), wanted).await?.into_found();
            (Some(found.0), found.1, found.2)
        }
        None => (None, None, None),
    };
    let program = preview.program.clone();
    let hashed = signals::hashed(inner, &program, &preview.command).await?;
    let command = hashed.as_deref().unwrap_or(&preview.command);
    let visitor = touches::of(inner, &program, command).await?;
    let codes = codes::named(inner, &program, command, visitor.as_ref()).await?;
    let upline = signals::upline(inner, &program, command, account.as_deref(), &codes).await?;
    let member = preview.member.clone();
    let mut snapshot = Snapshot {
        program,
        account_id,
        account,
        order,
        codes,
        inbound: None,
        member,
        salt: Salt::default(),
        set_aside: Vec::new(),
        deed: None,
        recipient: recipients::named(inner, &preview.program, command, None).await?,
        code_claim: None,
        visitor,
        upline,
        signals: signals::sent(command),
    };
    let times = inner.times(preview.occurred_at);
    let mut decision = decide(&timeline, &snapshot, command, times, None, true).map_err(damaged)?;
    for _ in 0..quotas::ROUNDS_MAX {
        if decision.wants.is_empty() {
            break;
        }
        Box::pin(quotas::peek(inner, &decision.wants, &mut snapshot.set_aside)).await?;
        decision = decide(&timeline, &snapshot, command, times, None, true).map_err(damaged)?;
    }
    let mut answer = decision.answer;
    if let Answer::Commit(commit) = &mut answer {
        // A commit tells what is there afterwards, its preview what is there now.
        let now = times.now.max(times.effective_at);
        let before = snapshot.account.map(|state| as_of(&timeline, state, now)).transpose().map_err(damaged)?;
        commit.balances = before.map_or_else(Vec::new, |state| state.balances());
    }
    Ok(answer)
}

pub(super) async fn member(inner: &Inner, program: &ProgramId, member: &MemberId) -> Result<MemberView, Error> {
    let timeline = inner.timeline(program)?;
    let (account, state, _) = stored(inner, program, &AccountId::from(member), None).await?;
    let state = state.ok_or(Error::NotFound { field: "member_id" })?;
    let entries = state.sequence;
    let now = inner.clock.now(None).max(state.posted_at);
    let state = as_of(&timeline, state, now).map_err(damaged)?;
    let holds = state.holds.iter().filter(|hold| hold.is_open()).flat_map(|hold| {
        hold.units.iter().map(|units| (hold.order.clone(), units.unit.clone(), units.total(), hold.at))
    });
    Ok(MemberView {
        member: member.clone(),
        account,
        enrolled_at: state.enrolled_at,
        as_of: now,
        balances: state.balances(),
        orders: state.orders,
        holds: holds.collect(),
        referral: state.referral.as_ref().map(|referral| referral.referral.clone()),
        codes: state.codes.iter().map(|own| own.code.clone()).collect(),
        friends_qualified: state.friends_qualified,
        entries,
        kind: state.kind,
        tiers: progress::tiers(&timeline, &state, now).map_err(damaged)?,
        goals: timeline.at(now).map_or_else(Vec::new, |program| progress::goals(program, &state, now)),
        person: state.acting(member).cloned(),
        erased_at: state.erased_at,
        homes: of_homes(&state),
        cards: cards(&state, timeline.at(now)),
        tags: state.tags.iter().map(|known| known.tag.clone()).collect(),
        value: timeline.at(now).and_then(|program| Some(Profile::of(program, &state, now)?.view())),
        vouchers: state.vouchers,
    })
}

/// The members merged into an account.
fn of_homes(state: &AccountState) -> Vec<MemberId> {
    let merged = state.homes.iter().filter(|home| matches!(home.why, HomeWhy::Merged { .. }));
    merged.map(|home| MemberId::from(&home.account)).collect()
}

pub(super) async fn account(inner: &Inner, program: &ProgramId, account: &AccountId) -> Result<AccountView, Error> {
    let timeline = inner.timeline(program)?;
    let (account, state, _) = stored(inner, program, account, None).await?;
    let state = state.ok_or(Error::NotFound { field: "account_id" })?;
    let entries = state.sequence;
    let now = inner.clock.now(None).max(state.posted_at);
    let state = as_of(&timeline, state, now).map_err(damaged)?;
    let people = state.people.iter().map(|person| (person.member.clone(), person.role, person.joined_at));
    Ok(AccountView {
        account,
        kind: state.kind,
        created_at: state.enrolled_at,
        as_of: now,
        people: people.collect(),
        balances: state.balances(),
        entries,
    })
}

/// The cards of the program, and those that the account has begun under an earlier one.
fn cards(state: &AccountState, program: Option<&Arc<Program>>) -> Vec<CardView> {
    let known = state.cards.iter().filter(|known| known.open.is_some() || 0 < known.owed);
    let mut views: Vec<CardView> = known
        .map(|known| CardView {
            card: known.card.clone(),
            stamps: known.progress().map_or(0, |(stamps, _)| stamps),
            goal: known.progress().map_or(0, |(_, goal)| goal),
            expires_at: known.open.as_ref().map_or(Instant::MAX, |open| open.expires_at),
            owed: known.owed,
        })
        .collect();
    for terms in program.iter().flat_map(|program| &program.stamp_cards) {
        match views.iter_mut().find(|view| view.card == terms.id) {
            Some(view) if view.goal == 0 => view.goal = terms.goal,
            Some(_) => {}
            None => views.push(CardView {
                card: terms.id.clone(),
                stamps: 0,
                goal: terms.goal,
                expires_at: Instant::MAX,
                owed: 0,
            }),
        }
    }
    views
}

/// The draw as the program has it now.
pub(super) fn draw(inner: &Inner, program: &ProgramId, draw: &DrawId) -> Result<DrawView, Error> {
    let timeline = inner.timeline(program)?;
    let (terms, over) = terms_of(inner, &timeline, draw)?;
    Ok(DrawView {
        draw: terms.id.clone(),
        title: terms.title.clone(),
        commitment: terms.commitment,
        ends_at: terms.ends_at,
        of: terms.of,
        prizes: terms.prizes.iter().map(|prize| (prize.id.clone(), prize.tickets)).collect(),
        ready: terms.seed.is_some(),
        seed: terms.seed.as_ref().filter(|_| over).map(Seed::reveal),
        once: terms.once,
    })
}

/// The draw as the program has it now, and whether it is over: nothing is drawn once the seed is shown, for both go by the
/// same clock and instant.
pub(super) fn terms_of<'t>(inner: &Inner, timeline: &'t Timeline, draw: &DrawId) -> Result<(&'t Draw, bool), Error> {
    let now = inner.clock.now(None);
    let versions = timeline.versions.iter().rev();
    let terms = versions.filter(|(from, _)| *from <= now).find_map(|(_, program)| program.draw(draw));
    let terms = terms.ok_or(Error::NotFound { field: "draw_id" })?;
    // As long as any version that may yet decide draws by the seed, it stays a secret.
    let by_seed = timeline.versions.iter().flat_map(|(_, program)| &program.draws);
    let over_at = by_seed.filter(|other| other.commitment == terms.commitment).map(|other| other.ends_at).max();
    let over = over_at.is_some_and(|over_at| over_at.plus_ms(REVEAL_AFTER_MS) <= now);
    Ok((terms, over))
}

/// Clocks of instances differ a little: a slower one may draw for a moment longer.
const REVEAL_AFTER_MS: i64 = 60_000;

pub(super) async fn order(
    inner: &Inner,
    program: &ProgramId,
    member: &MemberId,
    order: &OrderId,
) -> Result<OrderView, Error> {
    inner.timeline(program)?;
    let wanted = Wanted { order: Some(order), deed: Some(Deed::Recovery(order)), ..Wanted::default() };
    let basis = find(inner, program, &AccountId::from(member), wanted).await?;
    let recovery = match basis.deed() {
        Some(DeedRecord::Recovery(recovery)) => Some(recovery.clone()),
        Some(DeedRecord::Event(_)) | None => None,
    };
    let (_, state, record) = basis.into_found();
    if state.is_none() && !member.is_guest() {
        return Err(Error::NotFound { field: "member_id" });
    }
    let record = record.ok_or(Error::NotFound { field: "order_id" })?;
    Ok(OrderView { recovery, ..record.view() })
}

pub(super) async fn referral(inner: &Inner, program: &ProgramId, id: &ReferralId) -> Result<ReferralView, Error> {
    const NOT_FOUND: Error = Error::NotFound { field: "referral_id" };
    let timeline = inner.timeline(program)?;
    let friend = id.friend().ok_or(NOT_FOUND)?;
    let (_, state, _) = stored(inner, program, &friend, None).await?;
    let now = inner.clock.now(None);
    let state = state.map(|state| as_of(&timeline, state, now)).transpose().map_err(damaged)?;
    let state = state.ok_or(NOT_FOUND)?;
    let referral = state.referrals().find(|referral| referral.referral == *id).cloned().ok_or(NOT_FOUND)?;
    let due_at = partner_due_at(&timeline, &referral);
    let mut rewards = Vec::new();
    for (place, (advocate, ppm)) in referral.credits().into_iter().enumerate() {
        let Some(sent) = referral.sent(place) else { continue };
        let wanted = Wanted { grant: Some(&sent.grant), ..Wanted::default() };
        let basis = find(inner, program, advocate, wanted).await?;
        rewards.push(of_advocate(advocate, ppm, sent, basis.inbound(), due_at, now));
    }
    rewards.extend(referral.friend.iter().map(|side| ReferralRewardView {
        to_advocate: false,
        beneficiary: friend.clone(),
        share_ppm: WHOLE_PPM,
        unit: side.unit.clone(),
        amount: side.amount,
        reversed: side.reversed,
        limited: 0,
        state: reward_state(side.amount, side.amount.saturating_sub(side.reversed), side.dates.activates_at, now),
        due_at: side.dates.activates_at,
    }));
    rewards.extend(in_review(&timeline, &referral, &friend));
    Ok(ReferralView { referral, friend, rewards })
}

/// What would be paid, and waits for a review or was rejected by one.
fn in_review(timeline: &Timeline, referral: &Referral, friend: &AccountId) -> Vec<ReferralRewardView> {
    let Some(review) = &referral.review else { return Vec::new() };
    let terms = timeline.at(referral.attributed_at).and_then(|program| program.campaign(&referral.campaign));
    let Some(terms) = terms else { return Vec::new() };
    let stands = |side: &Option<SideState>| match side {
        Some(SideState::Open) => Some(RewardState::InReview),
        Some(SideState::Rejected | SideState::Lapsed) => Some(RewardState::Rejected),
        Some(SideState::Approved) | None => None,
    };
    let view = |to_advocate, beneficiary: &AccountId, share_ppm, unit: &UnitId, amount, state| ReferralRewardView {
        to_advocate,
        beneficiary: beneficiary.clone(),
        share_ppm,
        unit: unit.clone(),
        amount,
        reversed: 0,
        limited: 0,
        state,
        due_at: Instant::MAX,
    };
    let mut views = Vec::new();
    if let (Some(side), Some(state), None) = (&terms.advocate, stands(&review.advocate), &referral.advocate_grant) {
        let credits = referral.credits();
        let weights: Vec<i64> = credits.iter().map(|(_, ppm)| *ppm).collect();
        for ((advocate, ppm), amount) in credits.into_iter().zip(split(side.units, &weights)) {
            views.push(view(true, advocate, ppm, &side.unit, amount, state));
        }
    }
    if let (Some(side), Some(state), None) = (&terms.friend, stands(&review.friend), &referral.friend) {
        views.push(view(false, friend, WHOLE_PPM, &side.unit, side.units, state));
    }
    views
}

/// When a partner's reward falls due, which reaches the account in one sum with others and is not told apart there.
fn partner_due_at(timeline: &Timeline, referral: &Referral) -> Option<Instant> {
    let program = timeline.at(referral.qualified_at?)?;
    let terms = timeline.at(referral.attributed_at)?.campaign(&referral.campaign)?;
    partner_due(program, terms, referral.qualified_at?)
}

/// What the advocate has of it: their account says, once it has arrived there; a partner's day, for a partner.
fn of_advocate(
    advocate: &AccountId,
    share_ppm: i64,
    sent: &SentGrant,
    inbound: Option<&Inbound>,
    partner_due_at: Option<Instant>,
    now: Instant,
) -> ReferralRewardView {
    let (beneficiary, unit, to_advocate) = (advocate.clone(), sent.unit.clone(), true);
    let Some(inbound) = inbound else {
        let reversed = sent.amount.saturating_sub(sent.net);
        let due_at = partner_due_at.unwrap_or(Instant::MAX);
        let state = reward_state(sent.amount, sent.net, due_at, now);
        return ReferralRewardView {
            to_advocate,
            beneficiary,
            share_ppm,
            unit,
            amount: sent.amount,
            reversed,
            limited: 0,
            state,
            due_at,
        };
    };
    let stands = inbound.granted();
    let brought = inbound.brought.as_ref();
    let asked = sent.amount.saturating_mul(brought.map_or(1, |brought| brought.times.max(1)));
    let limited = brought.map_or(0, |brought| brought.desired.saturating_sub(brought.granted));
    let gross = asked.saturating_sub(limited);
    let due_at = inbound.dates.activates_at;
    ReferralRewardView {
        to_advocate,
        beneficiary,
        share_ppm,
        unit,
        amount: gross,
        reversed: gross.saturating_sub(stands),
        limited,
        state: reward_state(gross, stands, due_at, now),
        due_at,
    }
}

fn reward_state(gross: i64, stands: i64, due_at: Instant, now: Instant) -> RewardState {
    match (stands, due_at <= now) {
        (0, _) if 0 < gross => RewardState::Reversed,
        (_, true) => RewardState::Paid,
        (_, false) => RewardState::Pending,
    }
}

/// The inverse of [`hex`].
pub(super) fn from_hex_bytes(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// Lower-case hexadecimal.
pub(super) fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn read_entry(log: &Key, bytes: &[u8]) -> Result<Entry, Error> {
    decode(bytes).map_err(|e| Error::Store(store::Error::Corrupt { what: format!("an entry of `{}` {e}", log.name) }))
}

pub(super) fn view(entry: &Entry, hash: Hash) -> Result<EntryView, Error> {
    let corrupt = || Error::Store(store::Error::Corrupt { what: format!("entry {} does not add up", entry.sequence) });
    let postings = entry.postings().ok_or_else(corrupt)?;
    Ok(EntryView {
        sequence: entry.sequence,
        posted_at: entry.posted_at,
        effective_at: entry.effective_at,
        fact: entry.fact.name(),
        detail_json: detail(entry),
        postings: postings.into_iter().map(|p| (p.book.name(), p.unit, p.amount)).collect(),
        hash,
        balances: Vec::new(),
    })
}

/// The fact's fields as JSON: instants as text, hashes in hexadecimal.
fn detail(entry: &Entry) -> String {
    let mut value = serde_json::to_value(&entry.fact).unwrap_or_default();
    if let serde_json::Value::Object(variants) = &mut value
        && let Some(fields) = variants.values_mut().next()
    {
        readable(fields, 0);
        if let serde_json::Value::Object(fields) = fields {
            fields.insert("program_version".to_owned(), entry.version.to_string().into());
            let request = entry.request.as_ref().map(|request| request.as_str().to_owned());
            fields.insert("request_id".to_owned(), request.into());
        }
        return fields.to_string();
    }
    // A fact without fields.
    let request = entry.request.as_ref().map(|request| request.as_str().to_owned());
    serde_json::json!({"program_version": entry.version.to_string(), "request_id": request}).to_string()
}

/// Facts are a few levels deep; deeper would not be one of ours.
const DEPTH_MAX: usize = 16;

fn readable(value: &mut serde_json::Value, depth: usize) {
    use crate::domain::time::Instant;
    use serde_json::Value;
    if DEPTH_MAX < depth {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let is_instant = name.ends_with("_at") || name == "qualify_by";
                match (is_instant, field.as_i64()) {
                    (true, Some(ms)) if Instant(ms) == Instant::MAX => *field = Value::Null,
                    (true, Some(ms)) => *field = Instant(ms).text().into(),
                    _ if name == "digest" => {
                        let bytes = field.as_array().map(|bytes| bytes.iter().filter_map(Value::as_u64));
                        let bytes: Option<Vec<u8>> = bytes.map(|b| b.filter_map(|n| u8::try_from(n).ok()).collect());
                        *field = bytes.map_or(Value::Null, |bytes| hex(&bytes).into());
                    }
                    _ => readable(field, depth + 1),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| readable(item, depth + 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
