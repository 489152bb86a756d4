//! What limits leave of what a rule would give.
//!
//! What has been given is counted for each account by counters that no program can name; limits over all accounts are
//! claimed from quotas. All bounds of a rule hold: its own, those of its group and campaign, and those of its unit.

use super::super::account::AccountState;
use super::super::answer::{Bound, Decided, Reason, Refusal, Subject};
use super::super::counters::{CounterChange, Tally, bucket_of};
use super::super::desk::Desk;
use super::super::id::{CounterId, GrantId, Label, RuleId, UnitId};
use super::super::ledger::Book;
use super::super::order::Order;
use super::super::program::{
    Brake, CounterWindow, ForEach, GrantTo, Limit, LimitOf, LimitOver, LimitPer, OnReach, Rule, RuleCampaign, Then,
};
use super::super::quota::{QuotaKey, Want};
use super::super::time::{Instant, Period};
use super::super::value;
use super::{Halt, OVERFLOW, Scene, outstanding};

/// What a rule would give.
pub(super) struct Gift<'a> {
    pub(super) rule: &'a RuleId,
    /// `None`: it is not units.
    pub(super) unit: Option<&'a UnitId>,
    /// How many; at least 1.
    pub(super) desired: i64,
    /// Names it; the same deed is claimed once.
    pub(super) deed: &'a GrantId,
    /// Whether it goes to the account that is decided on, whose balance may be bounded.
    pub(super) here: bool,
    /// In which store it was earned.
    pub(super) store: Option<&'a Label>,
    pub(super) at: Instant,
}

/// One limit and whose it is: `rule:base`, `group:promo`, `campaign:may`, `unit:points`.
type Owned<'a> = (String, &'a Limit);

/// Of those that leave too little, the tightest.
pub(super) type Tightest = Option<Tight>;

pub(super) struct Tight {
    left: i64,
    /// Whose it is.
    of: String,
    /// How it reads.
    text: String,
    reason: Reason,
}

impl Tight {
    pub(super) fn limit(left: i64, of: &str, text: String) -> Tightest {
        Some(Tight { left, of: of.to_owned(), text, reason: Reason::LimitReached })
    }
}

/// How much may be given. The least that any bound leaves; what falls short is told as a refusal and in the trace.
pub(super) fn allow(scene: &Scene<'_>, desk: &Desk, gift: &Gift<'_>, decided: &mut Decided) -> Result<i64, Halt> {
    let program = scene.program;
    let rule = program.rule(gift.rule);
    if let Some(until) = rule.and_then(|rule| cooling(scene, &desk.state, rule, gift.at)) {
        let text = format!("it pauses until {}", until.text());
        withhold(decided, gift.rule, &text, true);
        let bound = Bound { rule: gift.rule.clone(), of: format!("rule:{}", gift.rule), text };
        decided.refusals.push(Refusal::new(Subject::Bound(bound), Reason::CoolingDown));
        return Ok(0);
    }
    let mut granted = gift.desired;
    let mut tightest: Tightest = None;
    let bounds = bounds(scene, rule, gift.unit);
    let of_member = |(_, limit): &&Owned<'_>| limit.over == LimitOver::Member;
    for (owner, limit) in bounds.iter().filter(of_member) {
        let left = left(scene, &desk.state, owner, limit, gift.at)?;
        clamp(&mut granted, &mut tightest, owner, limit, left);
    }
    if let Some(unit) = gift.unit.filter(|_| gift.here)
        && let Some((left, most)) = below_balance_max(scene, desk, unit)
        && left < granted
    {
        granted = left;
        tightest = Tight::limit(left, &format!("unit:{unit}"), format!("a balance of at most {most} {unit}"));
    }
    for (owner, limit) in bounds.iter().filter(|bound| !of_member(bound)) {
        if granted <= 0 {
            break;
        }
        claim(scene, gift, owner, limit, &mut granted, &mut tightest);
    }
    if let Some(unit) = gift.unit {
        brake(scene, rule, gift, &mut granted, &mut tightest);
        outstanding::claim(scene, gift, unit, &mut granted, &mut tightest);
    }
    if let Some(Tight { left, of, text, reason }) = tightest.filter(|_| granted < gift.desired) {
        let (desired, left) = (gift.desired, left.max(0));
        withhold(decided, gift.rule, &format!("{text}, leaves {left}: {granted} of {desired}"), granted <= 0);
        let bound = Subject::Bound(Bound { rule: gift.rule.clone(), of, text });
        decided.refusals.push(Refusal::short(bound, reason, desired, left));
    }
    if 0 < granted {
        note(scene, &bounds, granted)?;
    }
    Ok(granted)
}

/// Notes in the trace what a bound does; `all`: it leaves nothing.
pub(super) fn withhold(decided: &mut Decided, rule: &RuleId, why: &str, all: bool) {
    let rules = decided.explain.as_mut().map(|explain| &mut explain.rules);
    let Some(rule) = rules.and_then(|rules| rules.iter_mut().find(|considered| considered.rule == *rule)) else {
        return;
    };
    rule.steps.push(why.to_owned());
    if all {
        rule.applied = false;
        rule.left_out = why.to_owned();
    }
}

/// Takes from the nearest misses of a trace what bounds would keep back anyway: no order that is larger gets more than
/// they leave. What limits over all accounts leave is not known here.
pub(super) fn temper(scene: &Scene<'_>, desk: &Desk, at: Instant, decided: &mut Decided) -> Result<(), Halt> {
    let Some(explain) = &mut decided.explain else { return Ok(()) };
    let mut kept = Vec::with_capacity(explain.nearest.len());
    for mut miss in std::mem::take(&mut explain.nearest) {
        if let Some(rule) = scene.program.rule(&miss.rule) {
            let (unit, desired) = match &rule.then {
                Then::Bonus(bonus) => (Some(&bonus.unit), bonus.units),
                Then::Earn(earn) => (Some(&earn.unit), i64::MAX),
                Then::Multiply(multiply) => (Some(&multiply.unit), i64::MAX),
                Then::Stamps(_) | Then::Voucher(_) | Then::Tag(_) | Then::Draw(_) => (None, i64::MAX),
            };
            let room = room(scene, desk, rule, unit, desired, at)?;
            if room <= 0 {
                continue;
            }
            if room < desired && matches!(rule.then, Then::Bonus(_)) {
                miss.text.push_str(&format!(", of which limits leave {room}"));
            }
        }
        kept.push(miss);
    }
    explain.nearest = kept;
    Ok(())
}

/// How many of `desired` the bounds on one account leave to a rule.
fn room(
    scene: &Scene<'_>,
    desk: &Desk,
    rule: &Rule,
    unit: Option<&UnitId>,
    desired: i64,
    at: Instant,
) -> Result<i64, Halt> {
    if cooling(scene, &desk.state, rule, at).is_some() {
        return Ok(0);
    }
    let mut granted = desired;
    let of_member = |(_, limit): &Owned<'_>| limit.over == LimitOver::Member;
    for (owner, limit) in bounds(scene, Some(rule), unit).into_iter().filter(of_member) {
        let left = left(scene, &desk.state, &owner, limit, at)?;
        clamp(&mut granted, &mut None, &owner, limit, left);
    }
    let mine = unit.filter(|_| rule.to == GrantTo::Account);
    let fits = mine.and_then(|unit| below_balance_max(scene, desk, unit));
    Ok(fits.map_or(granted, |(left, _)| granted.min(left)))
}

/// What still fits under the most units that an account may have, and how many these are.
fn below_balance_max(scene: &Scene<'_>, desk: &Desk, unit: &UnitId) -> Option<(i64, i64)> {
    let most = scene.program.limits_of(unit)?.balance_max?;
    let held = [Book::Available, Book::Pending, Book::Held].map(|book| desk.state.amount(unit, book));
    let has = held.iter().fold(0i64, |sum, n| sum.saturating_add(*n));
    Some((most.saturating_sub(has).max(0), most))
}

/// All bounds on what a rule gives.
fn bounds<'s>(scene: &'s Scene<'_>, rule: Option<&'s Rule>, unit: Option<&UnitId>) -> Vec<Owned<'s>> {
    let mut found: Vec<Owned<'s>> = Vec::new();
    if let Some(rule) = rule {
        let group = rule.combine.group.as_ref().and_then(|group| scene.program.group(group));
        let campaign = scene.program.campaign_of(rule);
        found.extend(rule.limits.iter().map(|limit| (format!("rule:{}", rule.id), limit)));
        let of_group = group.into_iter().flat_map(|group| group.limits.iter().map(move |l| (&group.id, l)));
        found.extend(of_group.map(|(id, limit)| (format!("group:{id}"), limit)));
        let of_campaign = campaign.into_iter().flat_map(|c| c.limits.iter().map(move |l| (&c.id, l)));
        found.extend(of_campaign.map(|(id, limit)| (format!("campaign:{id}"), limit)));
    }
    if let Some((unit, limits)) = unit.and_then(|unit| Some((unit, scene.program.limits_of(unit)?))) {
        found.extend(limits.limits.iter().map(|limit| (format!("unit:{unit}"), limit)));
    }
    found
}

fn clamp(granted: &mut i64, tightest: &mut Tightest, owner: &str, limit: &Limit, left: i64) {
    let fits = match limit.counts {
        LimitOf::Units => left.max(0),
        LimitOf::Times if left < 1 => 0,
        LimitOf::Times => return,
    };
    if fits < *granted {
        *granted = if limit.on_reach == OnReach::Refuse { 0 } else { fits };
        *tightest = Tight::limit(left, owner, text(owner, limit));
    }
}

/// For people.
fn text(owner: &str, limit: &Limit) -> String {
    let what = limit.counts.word();
    let per = match limit.per {
        LimitPer::Order => "an order".to_owned(),
        LimitPer::Window(window) => window.text(),
    };
    format!("the limit of {owner}, {} {what} per {per}", limit.most)
}

fn counter(owner: &str, counts: LimitOf) -> Result<CounterId, Halt> {
    CounterId::parse(&format!("{owner}:{}", counts.word())).map_err(|_| OVERFLOW)
}

/// What a limit of the account leaves.
fn left(scene: &Scene<'_>, state: &AccountState, owner: &str, limit: &Limit, at: Instant) -> Result<i64, Halt> {
    let used = match limit.per {
        LimitPer::Order => {
            let tab = scene.tab.borrow();
            tab.iter().find(|(known, _)| known == owner).map_or(0, |(_, used)| *used)
        }
        LimitPer::Window(window) => state.counted_around(scene.program, &counter(owner, limit.counts)?, window, at),
    };
    Ok(limit.most.saturating_sub(used))
}

/// Until when a rule pauses, when it does.
fn cooling(scene: &Scene<'_>, state: &AccountState, rule: &Rule, at: Instant) -> Option<Instant> {
    let pause: Period = rule.cool_down?;
    let id = counter(&format!("rule:{}", rule.id), LimitOf::Times).ok()?;
    let until = pause.after(state.last_counted(&id)?, &scene.program.zone);
    (at < until).then_some(until)
}

/// The quota of a limit over all accounts.
fn quota_of(scene: &Scene<'_>, owner: &str, limit: &Limit, store: Option<&Label>, at: Instant) -> QuotaKey {
    let program = scene.program;
    let store = match limit.over {
        LimitOver::Store => store.map_or("-", Label::as_str),
        LimitOver::Member | LimitOver::Program => "",
    };
    let of = ["limit", owner, limit.counts.word(), store];
    match limit.per {
        LimitPer::Window(CounterWindow::Calendar(period)) => {
            QuotaKey::of_period(&program.id, &of, period, at, &program.zone)
        }
        LimitPer::Window(_) | LimitPer::Order => QuotaKey::ever(&program.id, &of),
    }
}

/// Whether limits leave nothing of what a rule would give on an order, as far as is known before it is worked out: it pauses,
/// a limit is reached, or less is left than a fixed bonus that is given whole or not at all.
pub(super) fn is_spent(scene: &Scene<'_>, state: &AccountState, rule: &Rule, order: &Order, at: Instant) -> bool {
    if cooling(scene, state, rule, at).is_some() {
        return true;
    }
    let (unit, fixed) = match &rule.then {
        Then::Earn(earn) => (Some(&earn.unit), 1),
        Then::Multiply(multiply) => (Some(&multiply.unit), 1),
        Then::Bonus(bonus) if matches!(bonus.for_each, ForEach::Order | ForEach::Visit) => {
            (Some(&bonus.unit), bonus.units)
        }
        Then::Bonus(bonus) => (Some(&bonus.unit), 1),
        Then::Stamps(_) | Then::Voucher(_) | Then::Tag(_) | Then::Draw(_) => (None, 1),
    };
    let deed = || GrantId::of(&[order.order_id.as_str(), rule.id.as_str()]);
    let left_nothing = |quota: &QuotaKey, name: &str| {
        let mut claims = scene.snapshot.set_aside.iter();
        claims.any(|claim| claim.quota == *quota && *claim.deed == *name && claim.granted < 1)
    };
    if let (Some((campaign, brake)), Some(_)) = (braked(scene, Some(rule)), unit) {
        let quota = brake.quota(&scene.program.id, &campaign.id, at, &scene.program.zone);
        if left_nothing(&quota, &[deed().as_str(), "brake"].join("|")) {
            return true;
        }
    }
    bounds(scene, Some(rule), unit).into_iter().any(|(owner, limit)| {
        let whole = limit.counts == LimitOf::Units && limit.on_reach == OnReach::Refuse;
        let least = if whole { fixed } else { 1 };
        match limit.over {
            LimitOver::Member => left(scene, state, &owner, limit, at).is_ok_and(|left| left < least),
            LimitOver::Program | LimitOver::Store => {
                let quota = quota_of(scene, &owner, limit, order.store.as_ref(), at);
                let name = [deed().as_str(), &owner, limit.counts.word()].join("|");
                left_nothing(&quota, &name)
            }
        }
    })
}

/// Claims from a quota over all accounts.
fn claim(scene: &Scene<'_>, gift: &Gift<'_>, owner: &str, limit: &Limit, granted: &mut i64, tightest: &mut Tightest) {
    let quota = quota_of(scene, owner, limit, gift.store, gift.at);
    let what = limit.counts.word();
    let desired = if limit.counts == LimitOf::Times { 1 } else { *granted };
    let whole = limit.counts == LimitOf::Times || limit.on_reach == OnReach::Refuse;
    let taken = scene.take(desired, vec![scene.want(quota, &[gift.deed.as_str(), owner, what], limit.most, whole)]);
    if taken.granted < desired {
        *granted = if limit.counts == LimitOf::Times { 0 } else { taken.granted };
        *tightest = Tight::limit(taken.short.unwrap_or(0), owner, text(owner, limit));
    }
}

/// Claims from what a campaign may give until it pauses.
fn brake(scene: &Scene<'_>, rule: Option<&Rule>, gift: &Gift<'_>, granted: &mut i64, tightest: &mut Tightest) {
    let Some((campaign, brake)) = braked(scene, rule) else { return };
    let program = scene.program;
    if *granted <= 0 {
        return;
    }
    let quota = brake.quota(&program.id, &campaign.id, gift.at, &program.zone);
    let want = scene.want(quota, &[gift.deed.as_str(), "brake"], brake.most, false);
    let want = Want { pause: Some(brake.pause(&program.id, &campaign.id)), ..want };
    let taken = scene.take(*granted, vec![want]);
    if taken.granted < *granted {
        *granted = taken.granted;
        let text =
            format!("the brake of campaign:{}, above {} units per {}", campaign.id, brake.most, brake.per.name());
        let (left, of) = (taken.short.unwrap_or(0), format!("campaign:{}", campaign.id));
        *tightest = Some(Tight { left, of, text, reason: Reason::CampaignPaused });
    }
}

fn braked<'s>(scene: &'s Scene<'_>, rule: Option<&Rule>) -> Option<(&'s RuleCampaign, Brake)> {
    let campaign = scene.program.campaign_of(rule?)?;
    Some((campaign, campaign.brake?))
}

/// Notes what was given for the bounds within the order.
fn note(scene: &Scene<'_>, bounds: &[Owned<'_>], granted: i64) -> Result<(), Halt> {
    let mut tab = scene.tab.borrow_mut();
    let of_order = bounds.iter().filter(|(_, limit)| limit.per == LimitPer::Order);
    let mut owners: Vec<&String> = of_order.map(|(owner, _)| owner).collect();
    // Two such limits of one owner look at the same sum.
    owners.dedup();
    for owner in owners {
        match tab.iter_mut().find(|(known, _)| known == owner) {
            Some((_, used)) => *used = used.checked_add(granted).ok_or(OVERFLOW)?,
            None => tab.push((owner.clone(), granted)),
        }
    }
    Ok(())
}

/// The same of what was given before.
pub(super) fn note_of(scene: &Scene<'_>, rule: &RuleId, unit: Option<&UnitId>, granted: i64) -> Result<(), Halt> {
    note(scene, &bounds(scene, scene.program.rule(rule), unit), granted)
}

/// What was given, for the counters of its limits and for the value profile. `shares`: how it falls on the lines of an
/// order; empty: it stands or falls as a whole.
pub(super) fn tallies(scene: &Scene<'_>, gift: &Gift<'_>, granted: i64, shares: &[i64]) -> Result<Vec<Tally>, Halt> {
    let Gift { rule, unit, at, .. } = *gift;
    let known = scene.program.rule(rule);
    let mut wanted: Vec<(CounterId, LimitOf, CounterWindow)> = Vec::new();
    let mut want = |owner: &str, counts: LimitOf, window: CounterWindow| -> Result<(), Halt> {
        let id = counter(owner, counts)?;
        match wanted.iter_mut().find(|(known, _, _)| *known == id) {
            // Windows of several sorts are told apart day by day.
            Some((_, _, known)) if *known != window => *known = CounterWindow::Days(1),
            Some(_) => {}
            None => wanted.push((id, counts, window)),
        }
        Ok(())
    };
    for (owner, limit) in bounds(scene, known, unit) {
        if let (LimitPer::Window(window), LimitOver::Member) = (limit.per, limit.over) {
            want(&owner, limit.counts, window)?;
        }
    }
    if known.is_some_and(|rule| rule.cool_down.is_some()) {
        want(&format!("rule:{rule}"), LimitOf::Times, CounterWindow::Days(1))?;
    }
    let made = wanted.into_iter().map(|(counter, counts, window)| {
        let day = bucket_of(window, at, &scene.program.zone);
        let (amount, shares) = match counts {
            LimitOf::Units => (granted, shares.to_vec()),
            LimitOf::Times => (1, Vec::new()),
        };
        Tally { counter, day, amount, shares, reversed: 0 }
    });
    let mixed = known
        .zip(unit)
        .filter(|_| gift.here)
        .and_then(|(rule, unit)| value::of_kind(scene.program, rule.kind, unit, granted, at));
    let mixed = mixed.map(|CounterChange { counter, day, change }| Tally {
        counter,
        day,
        amount: change,
        shares: shares.to_vec(),
        reversed: 0,
    });
    Ok(made.chain(mixed).collect())
}
