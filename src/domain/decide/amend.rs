//! An order is edited, or goods are exchanged: lines go out and others come in, as one decision.
//!
//! What goes out is given back as by a return, and counts as returned from then on. What comes in is decided under the
//! version of the program that decided the order, as of when the order was placed: rules grant what they would grant for
//! the order as it is now, less what they have granted. What is new falls on the lines that came in, so that a return of
//! everything takes back exactly everything.

use std::cell::RefCell;

use super::super::answer::{AmendAnswer, Answer, Decided, OrderState, Reason, Refund, ReturnStatus, Subject};
use super::super::awards::{Award, Stands};
use super::super::command::{Amend, Command, Redeem, RedeemMode, ReturnCause, ReturnWhat, Tender};
use super::super::counters::{self, Tally};
use super::super::desk::Desk;
use super::super::earn::{Earned, Plan, earning_amounts};
use super::super::id::RuleId;
use super::super::ledger::{Fact, digest, encode};
use super::super::money::split;
use super::super::order::Order;
use super::super::order_record::{AmendmentRecord, OrderRecord, TenderRecord};
use super::super::program::GrantTo;
use super::super::redeem::{Cover, Redemption, redeem};
use super::super::sent_order::SentOrder;
use super::super::time::Times;
use super::super::value;
use super::checkout::{give_as, line_records, note_redeemed, show_uses, spend, use_stock, use_vouchers};
use super::purse::{self, Before, Wallet};
use super::readjudicate::{self, As};
use super::{
    Decision, Halt, OVERFLOW, Scene, awards, elsewhere, giveback, limits, no, referral, refusal_answer, ripple,
};

pub(super) fn amend(scene: &Scene<'_>, command: &Amend) -> Result<Decision, Halt> {
    let mut desk = scene.desk()?;
    let Some(record) = &scene.snapshot.order else { return Err(no(Subject::Order, Reason::OrderUnknown)) };
    let content = digest(&encode(&(&command.remove, &command.add, &command.redeem, &command.tenders)));
    if let Some(known) = record.amendments.iter().find(|a| a.amendment_id == command.amendment_id) {
        if known.content != content {
            return Err(no(Subject::Order, Reason::AmendmentDiffers));
        }
        let answer = Answer::Amend(AmendAnswer {
            status: ReturnStatus::AlreadyApplied,
            decided: known.decided.clone(),
            refund: Some(known.refund.clone()),
            due_minor: known.due_minor,
            order_state: Some(record.state),
            balances: desk.state.balances(),
        });
        return Ok(scene.unchanged(answer, true));
    }
    scene.check_times(Subject::Order)?;
    if scene.times.stated && scene.times.effective_at < record.committed_at {
        return Err(no(Subject::Order, Reason::BeforeOrder));
    }
    check(record, command)?;
    let before = As::kept_of(record)?;
    let mut record = record.clone();
    record.call_off(desk.now, &desk.state);
    if !command.remove.is_empty() {
        giveback::mark_returned(&mut record, &ReturnWhat::Lines(command.remove.clone()), ReturnCause::Return)?;
    }
    if command.add.is_empty() && record.is_all_returned() {
        return Err(no(Subject::Order, Reason::NothingKept));
    }
    let mut decided = scene.decided();
    let units = giveback::restore(scene, &mut desk, &mut record, &mut decided)?;
    desk.advance(scene.timeline)?;
    let refund = Refund { units, ..giveback::refund(&mut record)? };

    let added = Order { lines: command.add.clone(), ..record.order() };
    let standing = Before::of(scene, &record)?;
    let (redemption, whole) = redemption_of(scene, &desk, command, &added, &standing);
    decided.refusals.extend(redemption.refusals.iter().cloned());
    if redemption.falls_short && whole {
        scene.ask_nothing();
        let wrapped = Command::Amend(command.clone());
        return Ok(scene.unchanged(refusal_answer(&wrapped, scene.decided(), redemption.refusals), true));
    }
    let program = readjudicate::program_of(scene, &record).clone();
    let (uses, debts) = spend(&program, &mut desk, &added, &redemption, scene.times.effective_at)?;
    note_redeemed(scene, &mut desk, &uses)?;
    show_uses(&added, &redemption, &mut decided, &debts);
    let vouchers = use_vouchers(&mut desk, &added, &redemption, scene.times.effective_at, &mut decided)?;

    let count = added.lines.len();
    let earning = earning_amounts(&program, &added, record.committed_at, &redemption);
    let earning = if program.earning.order_kinds.contains(&added.kind) { earning } else { vec![0; count] };
    let lines = line_records(&added, &redemption, &Earned { earning: earning.clone(), ..Earned::default() });
    let due_minor = lines.iter().try_fold(0i64, |sum, line| sum.checked_add(line.money_minor)).ok_or(OVERFLOW)?;
    let places = record.lines.len();
    take_tenders(&mut record, command, due_minor);
    record.take_in(lines, &SentOrder::of(&added));
    for mut used in uses {
        used.shares = behind(places, used.shares);
        record.uses.push(used);
    }
    for mut used in vouchers {
        used.shares = behind(places, used.shares);
        record.vouchers.push(used);
    }
    for mut used in use_stock(scene.program, &mut desk, &redemption) {
        used.shares = behind(places, used.shares);
        record.stock.push(used);
    }

    let looked = ripple::look(scene, &desk);
    giveback::reverse(scene, &mut desk, &mut record, &mut decided)?;
    awards::return_vouchers(scene, &mut desk, &mut record, &mut decided)?;
    giveback::return_stock(&mut desk, &mut record)?;
    awards::undo_for(scene, &mut desk, &mut record, &mut decided)?;
    giveback::uncount(scene, &mut desk, &mut record)?;
    let mut tallies = count_added(scene, &program, &mut desk, &record, &added, &earning, &redemption)?;
    let redeemed = purse::more_tallies(scene, &redemption, &record.counts, scene.times.effective_at)?;
    desk.count(scene.times.effective_at, redeemed.iter().map(Tally::change).collect())?;
    tallies.extend(redeemed);
    record.counts.extend(tallies.into_iter().map(|tally| Tally { shares: behind(places, tally.shares), ..tally }));
    grant_more(scene, &mut desk, &mut record, command, &before, &mut decided)?;
    let mut outgoing = elsewhere::on_return(scene, &mut desk, &mut record, &mut decided)?;
    let amendment = &command.amendment_id;
    let brought = referral::on_amend(scene, &mut desk, &mut record, amendment, places, &mut decided)?;
    outgoing.extend(brought.outgoing);
    ripple::settle(scene, &mut desk, looked, &mut decided)?;

    record.amendments.push(AmendmentRecord {
        amendment_id: command.amendment_id.clone(),
        content,
        effective_at: scene.times.effective_at,
        lines_before: places,
        refund: refund.clone(),
        due_minor,
        decided: decided.clone(),
    });
    let digest = digest(&record.to_stored());
    let (order, amendment_id) = (record.order_id.clone(), command.amendment_id.clone());
    desk.post(scene.times.effective_at, Fact::OrderAmended { order, amendment_id, digest })?;
    desk.advance(scene.timeline)?;
    let answer = Answer::Amend(AmendAnswer {
        status: ReturnStatus::Applied,
        decided,
        refund: Some(refund),
        due_minor,
        order_state: Some(record.state),
        balances: desk.state.balances(),
    });
    let transfers = brought.transfers;
    Ok(Decision { order: Some(record), transfers, outgoing, ..scene.done(desk, answer) })
}

/// What can be told without looking at the goods.
fn check(record: &OrderRecord, command: &Amend) -> Result<(), Halt> {
    if matches!(record.state, OrderState::Returned | OrderState::Cancelled) {
        return Err(no(Subject::Return, Reason::NothingLeft));
    }
    if let Some(line) = command.add.iter().find(|line| record.lines.iter().any(|of| of.line_id == line.line_id)) {
        return Err(no(Subject::Line(line.line_id.clone()), Reason::LineExists));
    }
    let lines = record.lines.len().saturating_add(command.add.len());
    let amounts = record.lines.iter().map(|line| line.amount_minor).chain(command.add.iter().map(|l| l.amount_minor));
    let costs = amounts.fold(0i64, i64::saturating_add);
    let many = OrderRecord::RETURNS_MAX <= record.amendments.len() || Order::LINES_MAX < lines;
    if many || Order::AMOUNT_MINOR_MAX < costs {
        return Err(no(Subject::Order, Reason::TooLarge));
    }
    Ok(())
}

/// Shares of the lines that came in, behind those of the lines that were there.
fn behind(places: usize, shares: Vec<i64>) -> Vec<i64> {
    if shares.is_empty() {
        return shares;
    }
    let mut all = vec![0; places];
    all.extend(shares);
    all
}

/// What is used on the lines that come in, and whether it is that or nothing.
fn redemption_of(
    scene: &Scene<'_>,
    desk: &Desk,
    command: &Amend,
    added: &Order,
    before: &Before,
) -> (Redemption, bool) {
    let amendment = &command.amendment_id;
    let nothing = Redeem::default();
    let asked = command.redeem.as_ref().unwrap_or(&nothing);
    let at = scene.times.effective_at;
    let wallet = Wallet {
        own: &[],
        before,
        counted: true,
        scene,
        desk,
        order: Some(&added.order_id),
        at,
        promised: None,
        kept: false,
        stock: RefCell::default(),
        deed: &["stock", added.order_id.as_str(), amendment.as_str()],
        store: added.store.as_ref(),
    };
    let redemption = redeem(scene.program, added, at, asked, &wallet, Cover::Balance);
    let redemption = super::checkout::allowed(scene, desk, redemption, false);
    (redemption, asked.mode == RedeemMode::AllOrNothing)
}

/// From now on the tenders sum to the money, so that what each gets back of what came before stays as it was.
fn take_tenders(record: &mut OrderRecord, command: &Amend, due_minor: i64) {
    let known = !record.tenders.is_empty() || record.money_minor == 0;
    if command.tenders.is_empty() || !known {
        return;
    }
    let paid: Vec<i64> = record.tenders.iter().map(|of| of.tender.amount_minor).collect();
    for (of, amount) in record.tenders.iter_mut().zip(split(record.money_minor, &paid)) {
        of.tender.amount_minor = amount;
    }
    let paid: Vec<i64> = command.tenders.iter().map(|tender| tender.amount_minor).collect();
    for (tender, amount_minor) in command.tenders.iter().zip(split(due_minor, &paid)) {
        match record.tenders.iter_mut().find(|of| of.tender.tender == tender.tender) {
            Some(of) => of.tender.amount_minor = of.tender.amount_minor.saturating_add(amount_minor),
            None => {
                let tender = Tender { amount_minor, ..tender.clone() };
                record.tenders.push(TenderRecord { tender, refunded_minor: 0 });
            }
        }
    }
}

/// Counts what came in: it is no order and no visit of its own.
fn count_added(
    scene: &Scene<'_>,
    program: &super::super::program::Program,
    desk: &mut Desk,
    record: &OrderRecord,
    added: &Order,
    earning: &[i64],
    redemption: &Redemption,
) -> Result<Vec<Tally>, Halt> {
    if !program.earning.order_kinds.contains(&added.kind) || added.lines.is_empty() {
        return Ok(Vec::new());
    }
    let free = redemption.free_items(added.lines.len());
    let mut tallies = counters::of_order(program, added, earning, &free, record.committed_at)?;
    tallies.extend(value::of_order(program, &desk.state, added, earning, record.committed_at)?);
    tallies.retain(|tally| !tally.shares.is_empty());
    desk.count(scene.times.effective_at, tallies.iter().map(Tally::change).collect())?;
    Ok(tallies)
}

/// Grants what rules would grant for the order as it is now, beyond what they have granted.
fn grant_more(
    scene: &Scene<'_>,
    desk: &mut Desk,
    record: &mut OrderRecord,
    command: &Amend,
    before: &As,
    decided: &mut Decided,
) -> Result<(), Halt> {
    let program = readjudicate::program_of(scene, record).clone();
    if command.add.is_empty() || !program.earning.order_kinds.contains(&record.sent.kind) {
        return Ok(());
    }
    let mut before = before.clone();
    before.pad(&record.order());
    let now = As::kept_of(record)?;
    let mut rules: Vec<RuleId> = record.grants.iter().map(|grant| grant.rule.clone()).collect();
    rules.extend(record.sent_grants.iter().map(|sent| sent.rule.clone()));
    rules.extend(record.consequences.iter().map(|done| done.rule.clone()));
    let earned = readjudicate::again(scene, &program, &desk.state, record, &before, &now, &rules, true);
    let Some(earned) = earned else { return Ok(()) };
    let places = record.lines.len().saturating_sub(command.add.len());
    let stands = |rule: &RuleId| {
        let of_rule = record.grants.iter().filter(|grant| grant.rule == *rule);
        of_rule.fold(0i64, |sum, grant| sum.saturating_add(grant.amount.saturating_sub(grant.reversed)))
    };
    // What goes to others falls with what goes out, and does not rise: whom it went to may be gone.
    let plans = earned.grants.iter().filter(|plan| plan.to == GrantTo::Account).filter_map(|plan| {
        let amount = plan.amount.checked_sub(stands(&plan.rule)).filter(|more| 0 < *more)?;
        Some(Plan { amount, shares: split(amount, &weights(places, &plan.shares, &now)), ..plan.clone() })
    });
    let awards = earned.awards.iter().filter_map(|award| of_added(places, award, &rules));
    let more = Earned { grants: plans.collect(), awards: awards.collect(), ..earned.clone() };
    // As of when the order was placed, under what decided it.
    let times = Times { effective_at: record.committed_at, ..scene.times };
    let then = scene.as_of(&program, times);
    note_granted(&then, record)?;
    let given = give_as(&then, desk, &now.order, &more, &[command.amendment_id.as_str()], decided)?;
    scene.adopt(then);
    record.grants.extend(given.grants);
    record.consequences.extend(given.consequences);
    record.counts.extend(given.counts);
    Ok(())
}

/// On which of the lines that came in something falls: where the rule puts it, else by what they cost.
fn weights(places: usize, shares: &[i64], now: &As) -> Vec<i64> {
    let behind = |of: &mut dyn Iterator<Item = i64>| -> Vec<i64> {
        of.enumerate().map(|(at, n)| if at < places { 0 } else { n }).collect()
    };
    let by_rule = behind(&mut shares.iter().copied());
    if by_rule.iter().any(|n| 0 < *n) {
        return by_rule;
    }
    let by_amount = behind(&mut now.order.lines.iter().map(|line| line.amount_minor));
    if by_amount.iter().any(|n| 0 < *n) { by_amount } else { behind(&mut now.order.lines.iter().map(|_| 1)) }
}

/// What a rule hands out besides units for what came in: line by line, or once for an order that had not brought it.
fn of_added(places: usize, award: &Award, rules: &[RuleId]) -> Option<Award> {
    match &award.stands {
        Stands::ByLine(shares) => {
            let shares: Vec<i64> = shares.iter().enumerate().map(|(at, n)| if at < places { 0 } else { *n }).collect();
            let count = shares.iter().fold(0i64, |sum, n| sum.saturating_add(*n));
            (0 < count).then(|| Award { count, stands: Stands::ByLine(shares), ..award.clone() })
        }
        Stands::Always | Stands::While { .. } => (!rules.contains(&award.rule)).then(|| award.clone()),
    }
}

/// What the order has been given counts for the bounds of an order.
fn note_granted(then: &Scene<'_>, record: &OrderRecord) -> Result<(), Halt> {
    let mut grants = record.grants.iter();
    grants.try_for_each(|grant| {
        let stands = grant.amount.saturating_sub(grant.reversed);
        limits::note_of(then, &grant.rule, Some(&grant.unit), stands)
    })
}
