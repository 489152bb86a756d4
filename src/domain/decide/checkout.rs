//! Quote, Reserve, Commit, Release.

use std::borrow::Cow;
use std::cell::RefCell;

use super::super::account::{AccountState, Hold, Voucher, VoucherState};
use super::super::answer::{
    Answer, CommitAnswer, CommitStatus, Decided, Discount, Effect, Explain, Granted, OrderState, Reason, Redeemed,
    Refusal, ReleaseAnswer, Reservation, ReservationState, ReserveAnswer, Share, Subject, VoucherEffect,
};
use super::super::command::{Commit, PayAmount, PayWithUnits, Redeem, RedeemMode, Release, Reserve};
use super::super::conditions::Seen;
use super::super::counters::{self, Tally};
use super::super::desk::Desk;
use super::super::earn::{Cut, Earned, Plan, earn, earning_amounts, in_order, scaled_tax};
use super::super::id::{AccountId, GrantId, MemberId, UnitId};
use super::super::ledger::{Dates, Fact, Part, Unhold, UnitParts, digest, encode};
use super::super::money::split;
use super::super::order::{Line, Order};
use super::super::order_record::{GrantRecord, LineRecord, OrderRecord, Returned, TenderRecord, UseRecord, VoucherUse};
use super::super::program::{Activity, GrantTo, OnLapsed, Overdraw, Program, Rule, SettlesAs};
use super::super::redeem::{Cover, Purse, Redemption, redeem};
use super::super::sent_order::SentOrder;
use super::super::stats;
use super::super::stock::{self, StockUse};
use super::super::tiers;
use super::super::time::{Day, Instant, SECOND_MS};
use super::super::value;
use super::awards::{self, Given};
use super::elsewhere::{Place, grant_of};
use super::limits::{self, Gift};
use super::purse::{self, NOTHING_BEFORE, Wallet};
use super::quoted::Standing;
use super::{
    Decision, Halt, OVERFLOW, Scene, claim, elsewhere, no, order_event, promise, recall, referral, refusal_answer,
    ripple, same_order,
};

/// How long the mark of a release that overtook its Reserve stands: as long as a request may linger on its way.
const MARK_MS: i64 = 600 * SECOND_MS;

/// The hash of what the caller sent as the order.
fn content(order: &Order) -> [u8; 32] {
    let zone = order.zone.as_ref().and_then(|zone| zone.iana_name());
    let head = (&order.order_id, &order.currency, &order.channel, &order.store, zone, order.prices_include_tax);
    digest(&encode(&(head, &order.lines, order.kind, &order.recipient)))
}

pub(super) fn reserve(scene: &Scene<'_>, command: &Reserve, standing: &Standing<'_>) -> Result<Decision, Halt> {
    let order = &command.order;
    let at = scene.times.effective_at;
    scene.check_times(Subject::Order)?;
    let mut desk = scene.desk()?;
    if scene.snapshot.order.is_some() {
        return Err(no(Subject::Reservation, Reason::OrderCommitted));
    }
    if let Some(refusal) = standing.refusal() {
        return Err(refusal.into());
    }
    let before = desk.state.hold(&order.order_id).cloned();
    if let Some(mark) = before.as_ref().filter(|hold| hold.revision == 0 && desk.now < hold.at.plus_ms(MARK_MS)) {
        // A Reserve that says it happened after the release is another attempt; one that says nothing is the one
        // that was overtaken.
        if at <= mark.effective_at || !scene.times.stated {
            return Err(no(Subject::Reservation, Reason::ReleasedBefore));
        }
    }
    check_enrolled(scene, &desk)?;
    let open = desk.state.holds.iter().filter(|hold| hold.is_open() && hold.order != order.order_id).count();
    if AccountState::HOLDS_OPEN_MAX <= open {
        let max = AccountState::HOLDS_OPEN_MAX as i64;
        return Err(Refusal::short(Subject::Reservation, Reason::TooManyReservations, max + 1, max).into());
    }
    desk.unhold(&order.order_id, Unhold::Replaced, at)?;
    let revision = before.as_ref().map_or(0, |hold| hold.revision).saturating_add(1);
    let attempt = revision.to_string();
    let with = |scene: &Scene<'_>, own: &[(UnitId, i64)]| {
        let wallet = Wallet {
            scene,
            desk: &desk,
            order: Some(&order.order_id),
            at,
            promised: None,
            kept: false,
            counted: true,
            before: NOTHING_BEFORE,
            // What the order held, by now or until a moment ago.
            stock: RefCell::new(desk.freed.clone()),
            deed: &["stock", order.order_id.as_str(), &attempt],
            store: order.store.as_ref(),
            own,
        };
        redeem(scene.program, order, at, &command.redeem, &wallet, Cover::Balance)
    };
    let redemption = with(scene, &same_order::usable(scene, &desk, order, with)?);
    let redemption = allowed(scene, &desk, redemption, false);
    let short = redemption.falls_short && command.redeem.mode == RedeemMode::AllOrNothing;
    let nothing = redemption.is_empty() && !redemption.refusals.is_empty();
    let mut decided = scene.decided();
    decided.refusals = redemption.refusals.clone();
    if short || nothing {
        // What was held before stays held, and nothing is taken out of any stock.
        scene.ask_nothing();
        let reservation = before.as_ref().filter(|hold| hold.is_open()).map(Hold::view);
        let answer = Answer::Reserve(ReserveAnswer { reserved: false, reservation, decided });
        return Ok(scene.unchanged(answer, true));
    }
    let units = redemption.units().into_iter().map(|(unit, amount)| {
        let parts = desk.state.book(&unit).map_or_else(Vec::new, |book| book.pick(amount));
        UnitParts { unit, parts }
    });
    let units: Vec<UnitParts> = units.collect();
    let ttl_s = command.ttl_s.unwrap_or(scene.program.reservations.ttl_s_default);
    let ttl_s = ttl_s.min(scene.program.reservations.ttl_s_max);
    let expires_at = desk.now.plus_ms(ttl_s.saturating_mul(SECOND_MS));
    let redeem = settled(&command.redeem, &redemption);
    let (order_id, promises) = (order.order_id.clone(), promise::of(&redemption));
    let stock = redemption.stock();
    stock::keep(&mut desk.freed, &stock);
    let pin = match standing {
        Standing::Pinned(pin) => Some(Box::new((*pin).clone())),
        Standing::Free | Standing::Lost(..) => None,
    };
    let by = if desk.state.is_shared() { scene.member().clone() } else { None };
    desk.post(at, Fact::Held { order: order_id, revision, expires_at, redeem, units, promises, stock, pin, by })?;
    show_uses(order, &redemption, &mut decided, &[]);
    let same = standing.wants_the_same(Some(&command.redeem));
    decided.changes = standing.changes(&decided, false, same).unwrap_or_default();
    for known in desk.state.vouchers.iter().filter(|known| known.order.as_ref() == Some(&order.order_id)) {
        decided.effects.push(Effect::Voucher(VoucherEffect {
            voucher: known.voucher.clone(),
            reward: known.reward.clone(),
            state: known.state,
            expires_at: known.expires_at,
            rule: None,
            kind: None,
        }));
    }
    if command.explain {
        let (earned, _) = earn_on(scene, &mut desk.clone(), order, &redemption, true)?;
        decided.explain = earned.explain;
    }
    desk.advance(scene.timeline)?;
    let reservation = desk.state.hold(&order.order_id).map(Hold::view);
    let answer = Answer::Reserve(ReserveAnswer { reserved: true, reservation, decided });
    Ok(scene.done(desk, answer))
}

/// What a Commit is to redeem of a reservation: what was reserved, and no more.
fn settled(asked: &Redeem, redemption: &Redemption) -> Redeem {
    let pay = redemption
        .payment
        .as_ref()
        .map(|payment| PayWithUnits { unit: Some(payment.unit.clone()), amount: PayAmount::Exactly(payment.units) });
    let own = redemption.rewards.iter().filter(|used| used.voucher.is_none());
    let rewards = own.map(|used| used.reward.clone()).collect();
    let vouchers = redemption.rewards.iter().filter_map(|used| used.voucher.clone()).collect();
    Redeem { mode: asked.mode, pay, rewards, vouchers }
}

/// Counts the order, and works out what it earns: what rules ask of counters includes it. An order of a kind that
/// earns nothing counts for nothing either.
pub(super) fn earn_on(
    scene: &Scene<'_>,
    desk: &mut Desk,
    order: &Order,
    redemption: &Redemption,
    explain: bool,
) -> Result<(Earned, Vec<Tally>), Halt> {
    let at = scene.times.effective_at;
    let lines = order.lines.len();
    if !scene.program.earning.order_kinds.contains(&order.kind) {
        let refusals = vec![Refusal::new(Subject::Earn, Reason::KindEarnsNothing)];
        let explain = explain.then(|| Explain {
            rules_left_out: u32::try_from(scene.program.rules.len()).unwrap_or(u32::MAX),
            ..Explain::default()
        });
        return Ok((
            Earned { earning: vec![0; lines], grants: Vec::new(), refusals, explain, awards: Vec::new() },
            Vec::new(),
        ));
    }
    let earning = earning_amounts(scene.program, order, at, redemption);
    let free = redemption.free_items(lines);
    let mut tallies = counters::of_order(scene.program, order, &earning, &free, at)?;
    desk.count(at, tallies.iter().map(Tally::change).collect())?;
    let currency = scene.program.earning_currency(order.currency, at).unwrap_or(order.currency);
    let seen = Seen { order, earning: &earning, currency, free: &free };
    let state = &desk.state;
    let spent = |rule: &Rule| limits::is_spent(scene, state, rule, order, at);
    let mut earned = earn(&scene.view(state, Some(seen)), explain, &spent);
    for plan in &mut earned.grants {
        // How long units of another member last is nothing that one's own status says.
        if plan.to == GrantTo::Account {
            plan.life = plan.life.take().or_else(|| tiers::life(scene.program, &desk.state, &plan.unit, at));
        }
    }
    // Only now: rules look at the profile as it was before the order.
    let valued = value::of_order(scene.program, &desk.state, order, &earning, at)?;
    desk.count(at, valued.iter().map(Tally::change).collect())?;
    tallies.extend(valued);
    Ok((earned, tallies))
}

pub(super) fn commit(scene: &Scene<'_>, command: &Commit, standing: &Standing<'_>) -> Result<Decision, Halt> {
    let order = &command.order;
    if let Some(record) = &scene.snapshot.order {
        if record.content != content(order) {
            return Err(no(Subject::Order, Reason::OrderDiffers));
        }
        let balances = scene.desk()?.state.balances();
        let status = CommitStatus::AlreadyCommitted;
        let mut decided = record.decided.clone();
        if scene.preview {
            // What is shown was decided then: a Commit now would change nothing.
            decided.refusals.push(Refusal::new(Subject::Order, Reason::OrderCommitted));
        }
        let answer = Answer::Commit(CommitAnswer { status, decided, balances });
        return Ok(scene.unchanged(answer, true));
    }
    scene.check_times(Subject::Order)?;
    let lost = standing.refusal();
    if let Some(refusal) = lost.clone().filter(|_| !command.paid) {
        return Err(refusal.into());
    }
    if scene.snapshot.account_id.as_ref().is_some_and(AccountId::is_guest) {
        return claim::commit_as_guest(scene, command, content(order));
    }
    let at = scene.times.effective_at;
    let guest = scene.preview && scene.snapshot.account_id.is_none();
    let mut desk = match (&scene.snapshot.account, guest) {
        (None, true) => scene.desk_of(AccountState::new(AccountId::from(&MemberId::guest(&order.order_id))))?,
        _ => scene.desk()?,
    };
    if !guest {
        check_enrolled(scene, &desk)?;
    }
    let reserved = desk.state.hold(&order.order_id).cloned();
    desk.unhold(&order.order_id, Unhold::Committed, at)?;
    let own = same_order::usable(scene, &desk, order, |apart, own| {
        redemption_of(apart, &desk, command, reserved.as_ref(), own).0
    })?;
    let (redemption, whole) = redemption_of(scene, &desk, command, reserved.as_ref(), &own);
    if redemption.falls_short && whole && !command.paid {
        scene.ask_nothing();
        let wrapped = super::Command::Commit(command.clone());
        let mut decided = scene.decided();
        if command.explain {
            let (earned, _) = earn_on(scene, &mut desk, order, &redemption, true)?;
            decided.explain = earned.explain;
        }
        return Ok(scene.unchanged(refusal_answer(&wrapped, decided, redemption.refusals), true));
    }
    let mut decided = scene.decided();
    decided.refusals = redemption.refusals.clone();
    if let Some(hold) = reserved.as_ref().filter(|hold| stands(hold, command.paid)) {
        decided.changes = promise::changes(&hold.promises, &promise::of(&redemption), &decided.refusals);
    }
    let spent_before = own.is_empty();
    let mut uses = Vec::new();
    if spent_before {
        uses = use_units(scene, &mut desk, order, &redemption, &mut decided)?;
    }
    let vouchers = use_vouchers(&mut desk, order, &redemption, at, &mut decided)?;
    let stock = use_stock(scene.program, &mut desk, &redemption);

    let before = ripple::look(scene, &desk);
    let keeps_trace = !scene.preview && recall::keeps_trace(scene.program, &order.order_id);
    let (earned, mut counts) = earn_on(scene, &mut desk, order, &redemption, command.explain || keeps_trace)?;
    let given = give_all(scene, &mut desk, order, &earned, &mut decided)?;
    let Given { grants, consequences, counts: limited, sent: mut sent_grants } = given;
    if !spent_before {
        uses = use_units(scene, &mut desk, order, &redemption, &mut decided)?;
    }
    let mut outgoing = elsewhere::effects(&sent_grants, scene)?;
    let trace = decided.explain.clone().filter(|_| keeps_trace);
    decided.explain = decided.explain.filter(|_| command.explain);

    counts.extend(limited);
    let redeemed = purse::tallies(scene, &redemption, at)?;
    desk.count(at, redeemed.iter().map(Tally::change).collect())?;
    counts.extend(redeemed);
    let brought = referral::on_order(scene, &mut desk, command, &earned, &mut decided)?;
    counts.extend(brought.counts);
    sent_grants.extend(brought.sent_grants);
    outgoing.extend(brought.outgoing);
    // Last: a level that the order reaches does not multiply what the order itself earns.
    ripple::settle(scene, &mut desk, before, &mut decided)?;
    decided.refusals.extend(lost);
    // What was reserved on the quote is what was quoted, as far as it was there.
    let of_reservation = command.redeem.is_none() && reserved.as_ref().is_some_and(|hold| hold.pin.is_some());
    let same = of_reservation || standing.wants_the_same(command.redeem.as_ref());
    if let Some(changes) = standing.changes(&decided, true, same) {
        decided.changes = changes;
    }

    // Nobody keeps the record of a preview.
    let record = (!scene.preview).then(|| {
        let lines = line_records(order, &redemption, &earned);
        let member = scene.member().clone().unwrap_or_else(|| MemberId::from(&desk.state.account));
        let mut record = record_of(command, content(order), member, lines, at, &decided);
        (record.grants, record.uses, record.counts, record.sent_grants) = (grants, uses, counts, sent_grants);
        (record.consequences, record.vouchers, record.stock) = (consequences, vouchers, stock);
        record.measured = stats::measured(scene.program, &desk.state, at);
        record
    });
    desk.stir(scene.program, None, Activity::Order, at)?;
    let order_stored = record.as_ref().map(|record| record.to_stored());
    let digest = order_stored.as_deref().map_or([0; 32], digest);
    desk.post(at, Fact::OrderCommitted { order: order.order_id.clone(), digest })?;
    desk.advance(scene.timeline)?;
    // A guest has nothing yet: balances would be those of nobody.
    let balances = if guest { Vec::new() } else { desk.state.balances() };
    let answer = Answer::Commit(CommitAnswer { status: CommitStatus::Committed, decided, balances });
    let transfers = brought.transfers;
    Ok(Decision { order: record, order_stored, transfers, trace, outgoing, ..scene.done(desk, answer) })
}

/// Uses the units of a redemption, and shows what they are used for; answers the uses for the record.
fn use_units(
    scene: &Scene<'_>,
    desk: &mut Desk,
    order: &Order,
    redemption: &Redemption,
    decided: &mut Decided,
) -> Result<Vec<UseRecord>, Halt> {
    let (uses, debts) = spend(scene.program, desk, order, redemption, scene.times.effective_at)?;
    note_redeemed(scene, desk, &uses)?;
    show_uses(order, redemption, decided, &debts);
    Ok(uses)
}

/// Hands out what the order earns, as far as there is room; tells what it does not earn.
pub(super) fn give_all(
    scene: &Scene<'_>,
    desk: &mut Desk,
    order: &Order,
    earned: &Earned,
    decided: &mut Decided,
) -> Result<Given, Halt> {
    decided.explain = earned.explain.clone();
    give_as(scene, desk, order, earned, &[], decided)
}

/// The same, under names of their own: `more` tells them from what the order earned before.
pub(super) fn give_as(
    scene: &Scene<'_>,
    desk: &mut Desk,
    order: &Order,
    earned: &Earned,
    more: &[&str],
    decided: &mut Decided,
) -> Result<Given, Halt> {
    decided.refusals.extend(earned.refusals.iter().cloned());
    let mut given = Given::default();
    // Of what limits have left less than was planned, others get less too.
    let mut cut: Vec<Cut> = Vec::new();
    for planned in in_order(&earned.grants) {
        let plan = planned.after(&cut).ok_or(OVERFLOW)?;
        if plan.amount <= 0 {
            limits::withhold(decided, &plan.rule, "limits leave nothing of what it builds on", true);
            continue;
        }
        let mut left = |shares: &[i64]| {
            cut.push(Cut { rule: plan.rule.clone(), unit: plan.unit.clone(), shares: shares.to_vec() });
        };
        let place = match elsewhere::place(scene, desk, plan.to) {
            Ok(place) => place,
            // A refused earn never refuses an order.
            Err(reason) => {
                decided.refusals.push(Refusal::new(Subject::Recipient, reason));
                left(&vec![0; plan.shares.len()]);
                continue;
            }
        };
        let life = plan.life.as_ref().or_else(|| scene.program.unit(&plan.unit).map(|terms| &terms.life));
        let awaits = life.and_then(|life| Some((life, life.awaits.as_ref()?)));
        let dates = scene.dates(&plan.unit, plan.life.as_ref());
        let has_room = match awaits {
            _ if place != Place::Here => true,
            Some(_) => order_event::has_room(desk, &plan),
            None => desk.state.book(&plan.unit).is_none_or(|book| book.has_room(dates, desk.now)),
        };
        if !has_room {
            decided.refusals.push(Refusal::new(Subject::Earn, Reason::TooLarge));
            left(&vec![0; plan.shares.len()]);
            continue;
        }
        let named = [&[order.order_id.as_str(), plan.rule.as_str()], more].concat();
        let grant = grant_of(desk, &named, plan.to);
        let gift = Gift {
            rule: &plan.rule,
            here: place == Place::Here,
            unit: Some(&plan.unit),
            desired: plan.amount,
            deed: &grant,
            store: order.store.as_ref(),
            at: scene.times.effective_at,
        };
        let amount = limits::allow(scene, desk, &gift, decided)?;
        if amount <= 0 {
            left(&vec![0; plan.shares.len()]);
            continue;
        }
        let clamped = if amount < plan.amount {
            let shares = split(amount, &plan.shares);
            left(&shares);
            Cow::Owned(Plan { amount, shares, ..plan.as_ref().clone() })
        } else {
            Cow::Borrowed(plan.as_ref())
        };
        let tallies = limits::tallies(scene, &gift, amount, &clamped.shares)?;
        desk.count(gift.at, tallies.iter().map(Tally::change).collect())?;
        given.counts.extend(tallies);
        if let Place::There(target) = place {
            let sent = elsewhere::grant(scene, desk, target, grant, &clamped, plan.amount, decided)?;
            given.sent.push(sent);
            continue;
        }
        given.grants.push(match awaits {
            Some(awaits) => order_event::await_units(scene, desk, grant, &clamped, order, awaits, decided)?,
            None => make_grant(scene, desk, grant, &clamped, order, decided)?,
        });
        if let Some(Effect::Granted(granted)) = decided.effects.last_mut() {
            granted.desired = plan.amount;
        }
    }
    for award in &earned.awards {
        let cause = GrantId::of(&[&[order.order_id.as_str(), award.rule.as_str()], more].concat());
        let store = order.store.as_ref();
        given.extend(awards::give_in(scene, desk, award, cause, scene.times.effective_at, store, decided)?);
    }
    limits::temper(scene, desk, scene.times.effective_at, decided)?;
    Ok(given)
}

/// The record of an order of which nothing was granted, used or returned.
pub(super) fn record_of(
    command: &Commit,
    content: [u8; 32],
    member: MemberId,
    lines: Vec<LineRecord>,
    at: Instant,
    decided: &Decided,
) -> Box<OrderRecord> {
    let order = &command.order;
    Box::new(OrderRecord {
        order_id: order.order_id.clone(),
        member,
        content,
        currency: order.currency,
        committed_at: at,
        state: OrderState::Committed,
        money_minor: lines.iter().map(|line| line.money_minor).sum(),
        lines,
        grants: Vec::new(),
        uses: Vec::new(),
        tenders: command.tenders.iter().map(|t| TenderRecord { tender: t.clone(), refunded_minor: 0 }).collect(),
        money_refunded_minor: 0,
        returns: Vec::new(),
        decided: Decided { explain: None, ..decided.clone() },
        counts: Vec::new(),
        sent_grants: Vec::new(),
        sent: SentOrder::of(order),
        codes: Vec::new(),
        touches: Vec::new(),
        claimed_at: None,
        measured: None,
        consequences: Vec::new(),
        vouchers: Vec::new(),
        events: Vec::new(),
        amendments: Vec::new(),
        stock: Vec::new(),
    })
}

/// What the order redeems, and whether it is that or nothing: what the request says, else what was reserved for the
/// order. A reservation that has lapsed is covered from the balance, whole or not at all, for the shopper was told
/// of a price; when the order has been paid it stands in any case, even released. `own`: what the order itself earns and
/// may be used on it.
pub(super) fn redemption_of(
    scene: &Scene<'_>,
    desk: &Desk,
    command: &Commit,
    reserved: Option<&Hold>,
    own: &[(UnitId, i64)],
) -> (Redemption, bool) {
    let order = &command.order;
    let at = scene.times.effective_at;
    // What was reserved stands once it is paid, whatever has become of the voucher since.
    let promised = reserved.and_then(|hold| hold.redeem.as_ref()).filter(|_| command.paid);
    let wallet = Wallet {
        scene,
        desk,
        order: Some(&order.order_id),
        at,
        promised,
        kept: false,
        counted: true,
        before: NOTHING_BEFORE,
        // What the order held, by now or until a moment ago.
        stock: RefCell::new(desk.freed.clone()),
        deed: &["stock", order.order_id.as_str()],
        store: order.store.as_ref(),
        own,
    };
    if let Some(asked) = &command.redeem {
        let exact = asked.pay.as_ref().is_none_or(|pay| matches!(pay.amount, PayAmount::Exactly(_)));
        let cover = if command.paid && exact { Cover::Debt } else { Cover::Balance };
        let redemption = redeem(scene.program, order, at, asked, &wallet, cover);
        let redemption = allowed(scene, desk, redemption, command.paid);
        return (redemption, asked.mode == RedeemMode::AllOrNothing);
    }
    let kept = reserved.filter(|hold| stands(hold, command.paid)).and_then(|hold| Some((hold, hold.redeem.as_ref()?)));
    let Some((hold, kept)) = kept else {
        // What lines cost a member is nothing that has to be asked for.
        return (redeem(scene.program, order, at, &Redeem::default(), &wallet, Cover::Balance), false);
    };
    let lapsed = hold.state == ReservationState::Expired && !command.paid;
    if lapsed && scene.program.reservations.on_lapsed == OnLapsed::Refuse {
        let refusals = vec![Refusal::new(Subject::Reservation, Reason::ReservationLapsed)];
        return (Redemption { refusals, falls_short: true, ..Redemption::default() }, true);
    }
    // Lines may have become fewer since: what fits is used, the rest is released.
    let kept = Redeem { mode: RedeemMode::AsPossible, ..kept.clone() };
    let program = scene.timeline.at(hold.effective_at).unwrap_or(scene.program);
    let wallet = Wallet { at: hold.effective_at, kept: true, counted: !lapsed, ..wallet };
    let mut redemption = redeem(program, order, hold.effective_at, &kept, &wallet, Cover::Debt);
    let short = redemption.units().into_iter().find(|(unit, units)| wallet.available(unit) < *units);
    // A voucher that went with the reservation is no fewer lines.
    let gone = |refusal: &Refusal| matches!(&refusal.subject, Subject::Voucher(id) if wallet.voucher(id).is_err());
    // Nor is a reward of which none is left.
    let none_left = |refusal: &Refusal| refusal.reason == Reason::OutOfStock;
    // Nor is one that others have had instead since the reservation lapsed.
    let limits = [Reason::RewardLimit, Reason::DiscountedOrdersMax];
    let used_up = |refusal: &Refusal| lapsed && limits.contains(&refusal.reason);
    let lost = |refusal: &Refusal| gone(refusal) || none_left(refusal) || used_up(refusal);
    redemption.falls_short = !command.paid && redemption.refusals.iter().any(lost);
    if let (Some((unit, units)), false) = (short, command.paid) {
        let there = wallet.available(&unit);
        redemption.refusals.push(Refusal::short(Subject::Reservation, Reason::BalanceTooLow, units, there));
        redemption.falls_short = true;
    }
    (redemption, true)
}

/// Whether what a reservation holds, or held, is what a Commit redeems: one that was released is not, unless the order
/// has been paid on the strength of it.
fn stands(hold: &Hold, paid: bool) -> bool {
    paid || hold.state != ReservationState::Released
}

/// Nobody buys as a member before they are one. An account that others have become part of has their past as well.
pub(super) fn check_enrolled(scene: &Scene<'_>, desk: &Desk) -> Result<(), Halt> {
    let began = desk.state.people.iter().map(|person| person.joined_at).chain([desk.state.enrolled_at]).min();
    let early = scene.times.stated && began.is_some_and(|began| scene.times.effective_at < began);
    if early && desk.state.homes.is_empty() {
        return Err(no(Subject::Order, Reason::BeforeEnrolment));
    }
    Ok(())
}

/// Uses the vouchers of a redemption; answers them for the record.
pub(super) fn use_vouchers(
    desk: &mut Desk,
    order: &Order,
    redemption: &Redemption,
    at: Instant,
    decided: &mut Decided,
) -> Result<Vec<VoucherUse>, Halt> {
    let mut uses = Vec::new();
    for used in &redemption.rewards {
        let Some(known) = used.voucher.as_ref().and_then(|id| desk.state.voucher(id)).cloned() else { continue };
        let issue = known.issue();
        let Voucher { voucher, reward, expires_at, .. } = known;
        // One that was given back since stands as it was promised, is paid for again, and is nothing that could come back.
        if known.state == VoucherState::Cancelled {
            let refusal = Refusal::new(Subject::Voucher(voucher), Reason::VoucherCancelled);
            decided.refusals.push(refusal);
            continue;
        }
        decided.effects.push(Effect::Voucher(VoucherEffect {
            voucher: voucher.clone(),
            reward,
            state: VoucherState::Used,
            expires_at,
            rule: None,
            kind: None,
        }));
        // One that stands as it was promised may be used elsewhere, or be held for another order: that stays.
        if !matches!(known.state, VoucherState::Used | VoucherState::Held) {
            desk.post(at, Fact::VoucherUsed { voucher, order: order.order_id.clone() })?;
        }
        uses.push(VoucherUse { issue, shares: used.rests_on().to_vec(), given_back: false });
    }
    Ok(uses)
}

/// What a redemption has taken out of the stock of rewards, for the record.
pub(super) fn use_stock(program: &Program, desk: &mut Desk, redemption: &Redemption) -> Vec<StockUse> {
    stock::keep(&mut desk.freed, &redemption.stock());
    let uses = redemption.rewards.iter().filter_map(|used| {
        let taken = used.stock.clone()?;
        let terms = program.reward(&taken.reward).and_then(|reward| reward.stock.as_ref());
        let comes_back = terms.is_some_and(|stock| stock.comes_back);
        Some(StockUse { taken, shares: used.rests_on().to_vec(), comes_back, given_back: false })
    });
    uses.collect()
}

/// Takes out what the role of the person who acts does not allow in a shared account; what has been paid stands.
pub(super) fn allowed(scene: &Scene<'_>, desk: &Desk, redemption: Redemption, paid: bool) -> Redemption {
    if redemption.is_empty() || paid {
        return redemption;
    }
    match may_redeem(scene, desk, redemption.units()) {
        Ok(()) => redemption,
        Err(refusal) => {
            scene.ask_nothing();
            let refusals = redemption.refusals.into_iter().chain([refusal]).collect();
            Redemption { refusals, falls_short: true, prices: redemption.prices, ..Redemption::default() }
        }
    }
}

/// Whether the role of the person who acts allows it to use so many units of a shared account.
pub(super) fn may_redeem(scene: &Scene<'_>, desk: &Desk, needs: Vec<(UnitId, i64)>) -> Result<(), Refusal> {
    if !desk.state.is_shared() {
        return Ok(());
    }
    let person = scene.member().as_ref().and_then(|member| desk.state.acting(member));
    let terms = person.map(|person| scene.program.accounts.role(person.role));
    let Some((person, terms)) = person.zip(terms).filter(|(_, terms)| terms.redeem) else {
        return Err(Refusal::new(Subject::Member, Reason::RoleMayNot));
    };
    let day = Day::at(desk.now, &scene.program.zone);
    for (unit, units) in needs {
        let Some(max) = terms.redeem_per_day_max.get(&unit) else { continue };
        let used = person.redeemed.iter().find(|(of, on, _)| *of == unit && *on == day).map_or(0, |(_, _, n)| *n);
        let used = used.saturating_add(held_by(desk, &person.member, &unit));
        let left = max.saturating_sub(used).max(0);
        if left < units {
            return Err(Refusal::short(Subject::Payment(unit), Reason::DailyLimit, units, left));
        }
    }
    Ok(())
}

/// What a person has reserved of a unit and not committed yet.
fn held_by(desk: &Desk, member: &MemberId, unit: &UnitId) -> i64 {
    let open = desk.state.holds.iter().filter(|hold| hold.is_open() && hold.by.as_ref() == Some(member));
    let parts = open.flat_map(|hold| &hold.units).filter(|held| held.unit == *unit).flat_map(|held| &held.parts);
    parts.fold(0i64, |sum, part| sum.saturating_add(part.amount))
}

/// Counts what the person who acts has redeemed, where their role has a limit by day.
pub(super) fn note_redeemed(scene: &Scene<'_>, desk: &mut Desk, uses: &[UseRecord]) -> Result<(), Halt> {
    if !desk.state.is_shared() {
        return Ok(());
    }
    let Some(person) = scene.member().as_ref().and_then(|member| desk.state.acting(member)) else { return Ok(()) };
    let (member, terms) = (person.member.clone(), scene.program.accounts.role(person.role));
    let day = Day::at(desk.now, &scene.program.zone);
    for used in uses.iter().filter(|used| terms.redeem_per_day_max.contains_key(&used.unit)) {
        let (unit, amount) = (used.unit.clone(), used.units);
        desk.post(scene.times.effective_at, Fact::PersonRedeemed { member: member.clone(), unit, amount, day })?;
    }
    Ok(())
}

/// Posts what the redemption uses. Answers the uses for the record, and what of each became debt.
pub(super) fn spend(
    program: &Program,
    desk: &mut Desk,
    order: &Order,
    redemption: &Redemption,
    at: Instant,
) -> Result<(Vec<UseRecord>, Vec<i64>), Halt> {
    let rewards = redemption.rewards.iter().filter_map(|used| {
        let (unit, units) = used.price.clone()?;
        Some((unit, units, used.unit_shares.clone()))
    });
    let payment = redemption.payment.iter().map(|p| (p.unit.clone(), p.units, p.unit_shares.clone()));
    let mut uses = Vec::new();
    let mut debts = Vec::new();
    for (unit, units, shares) in rewards.chain(payment) {
        let parts: Vec<Part> = desk.state.book(&unit).map_or_else(Vec::new, |book| book.pick(units));
        let covered = super::super::ledger::sum(&parts).ok_or(OVERFLOW)?;
        let short = units.checked_sub(covered).ok_or(OVERFLOW)?;
        let terms = program.unit(&unit).map(|terms| terms.debt).unwrap_or_default();
        // The price has been paid: what may not be owed is forgiven.
        let debt = match terms.on_paid_order {
            Overdraw::Allow => terms.room(desk.state.debt(&unit), short),
            Overdraw::Clamp | Overdraw::Refuse => 0,
        };
        let forgiven = short.checked_sub(debt).ok_or(OVERFLOW)?;
        let (order, parts_posted) = (order.order_id.clone(), parts.clone());
        desk.post(at, Fact::Spent { order, unit: unit.clone(), parts: parts_posted, debt, forgiven })?;
        desk.stir(program, Some(&unit), Activity::Redeem, at)?;
        uses.push(UseRecord { unit, units, shares, parts, debt, restored: 0, forgiven });
        debts.push(debt);
    }
    Ok((uses, debts))
}

/// Shows rewards and payment as effects; `debts` in the order in which `spend` posted them.
pub(super) fn show_uses(order: &Order, redemption: &Redemption, decided: &mut Decided, debts: &[i64]) {
    let mut debts = debts.iter().copied();
    decided.effects.extend(redemption.prices.iter().cloned().map(Effect::MemberPrice));
    for used in &redemption.rewards {
        let debt = if used.price.is_some() { debts.next().unwrap_or(0) } else { 0 };
        decided.effects.push(Effect::Discount(Discount {
            reward: used.reward.clone(),
            amount_minor: used.amount_minor,
            shares: shares_of(&order.lines, &used.shares),
            price: used.price.clone(),
            unit_shares: if used.price.is_some() { shares_of(&order.lines, &used.unit_shares) } else { Vec::new() },
            debt,
            voucher: used.voucher.clone(),
            free: shares_of(&order.lines, &used.free),
            desired_minor: used.desired_minor,
            rail: used.rail,
            to_add: used.to_add.clone(),
        }));
    }
    if let Some(payment) = &redemption.payment {
        decided.effects.push(Effect::Redeemed(Redeemed {
            unit: payment.unit.clone(),
            units: payment.units,
            value_minor: payment.value_minor,
            settles_as: payment.settles_as,
            value_shares: shares_of(&order.lines, &payment.shares),
            unit_shares: shares_of(&order.lines, &payment.unit_shares),
            debt: debts.next().unwrap_or(0),
        }));
    }
}

/// Shares by line id; lines with nothing are left out.
pub(super) fn shares_of(lines: &[Line], shares: &[i64]) -> Vec<Share> {
    let pairs = lines.iter().zip(shares).filter(|(_, amount)| **amount != 0);
    pairs.map(|(line, amount)| Share { line_id: line.line_id.clone(), amount: *amount }).collect()
}

fn make_grant(
    scene: &Scene<'_>,
    desk: &mut Desk,
    grant: GrantId,
    plan: &Plan,
    order: &Order,
    decided: &mut Decided,
) -> Result<GrantRecord, Halt> {
    let granted = grant_units(scene, desk, grant, plan)?;
    let record = GrantRecord {
        grant: granted.grant.clone(),
        unit: plan.unit.clone(),
        amount: plan.amount,
        dates: Dates { activates_at: granted.activates_at, expires_at: granted.expires_at },
        shares: plan.shares.clone(),
        reversed: 0,
        awaits: None,
        rule: plan.rule.clone(),
    };
    decided.effects.push(Effect::Granted(Granted { shares: shares_of(&order.lines, &plan.shares), ..granted }));
    Ok(record)
}

/// Posts a grant; units that pay a debt go to no lot.
pub(super) fn grant_units(scene: &Scene<'_>, desk: &mut Desk, grant: GrantId, plan: &Plan) -> Result<Granted, Halt> {
    let dates = scene.dates(&plan.unit, plan.life.as_ref());
    grant_dated(scene, desk, grant, plan, dates)
}

/// The same, with dates of its own.
pub(super) fn grant_dated(
    scene: &Scene<'_>,
    desk: &mut Desk,
    grant: GrantId,
    plan: &Plan,
    dates: Dates,
) -> Result<Granted, Halt> {
    let at = scene.times.effective_at;
    let repaid = desk.repays(&plan.unit, plan.amount, dates);
    desk.post(
        at,
        Fact::Granted {
            grant: grant.clone(),
            rule: plan.rule.clone(),
            kind: plan.kind,
            unit: plan.unit.clone(),
            amount: plan.amount,
            repaid,
            dates,
        },
    )?;
    desk.stir(scene.program, Some(&plan.unit), Activity::Earn, dates.activates_at)?;
    let mut counted = counters::of_units(scene.program, &plan.unit, plan.amount, at);
    counted.retain(|change| !scene.program.uncounted(&plan.rule).contains(&change.counter));
    desk.count(at, counted)?;
    Ok(Granted {
        grant,
        rule: plan.rule.clone(),
        kind: plan.kind,
        unit: plan.unit.clone(),
        desired: plan.amount,
        granted: plan.amount,
        repaid,
        activates_at: dates.activates_at,
        expires_at: dates.expires_at,
        shares: Vec::new(),
        awaits: None,
    })
}

pub(super) fn line_records(order: &Order, redemption: &Redemption, earned: &Earned) -> Vec<LineRecord> {
    // A tender leaves the price as it is, and with it the tax; a discount lowers both.
    let lowers = redemption.payment.as_ref().is_some_and(|payment| payment.settles_as == SettlesAs::Discount);
    let lines = order.lines.iter().zip(&earned.earning).enumerate();
    lines
        .map(|(at, (line, earning))| {
            let (discount, payment) = (redemption.discount(at, line), redemption.payment(at));
            let net = line.amount_minor - discount - payment;
            let taxed = if lowers { net } else { line.amount_minor - discount };
            let on_top = if order.prices_include_tax { 0 } else { scaled_tax(line, taxed) };
            LineRecord {
                line_id: line.line_id.clone(),
                quantity: line.quantity,
                amount_minor: line.amount_minor,
                reduced_minor: discount + payment,
                money_minor: net + on_top,
                earning_minor: *earning,
                returned: Returned::None,
            }
        })
        .collect()
}

pub(super) fn release(scene: &Scene<'_>, command: &Release) -> Result<Decision, Halt> {
    scene.check_times(Subject::Reservation)?;
    let at = scene.times.effective_at;
    let mut desk = scene.desk_of_any()?;
    let order_id = &command.order_id;
    let answer = |released: bool, reservation: Option<Reservation>| {
        Answer::Release(ReleaseAnswer { released, reservation, refusals: Vec::new() })
    };
    if scene.snapshot.order.is_some() {
        let reservation = Reservation {
            order_id: order_id.clone(),
            revision: 0,
            state: ReservationState::Committed,
            expires_at: at,
            held: Vec::new(),
        };
        let refusals = vec![Refusal::new(Subject::Order, Reason::OrderCommitted)];
        let kept = ReleaseAnswer { released: false, reservation: Some(reservation), refusals };
        return Ok(scene.unchanged(Answer::Release(kept), true));
    }
    match desk.state.hold(order_id).cloned() {
        Some(hold) if !hold.is_open() => Ok(scene.unchanged(answer(false, Some(hold.view())), true)),
        Some(_) => {
            desk.unhold(order_id, Unhold::Released, at)?;
            desk.advance(scene.timeline)?;
            let reservation = desk.state.hold(order_id).map(Hold::view);
            Ok(scene.done(desk, answer(true, reservation)))
        }
        None => {
            desk.post(at, Fact::Unheld { order: order_id.clone(), why: Unhold::Released, units: Vec::new() })?;
            let reservation = desk.state.hold(order_id).map(Hold::view);
            Ok(scene.done(desk, answer(true, reservation)))
        }
    }
}
