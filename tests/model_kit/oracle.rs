//! What must be so, worked out from nothing but what callers were answered: sums, never rules.

use std::collections::BTreeMap;

use guerdon::domain::account::AccountState;
use guerdon::domain::answer::{
    Answer, CommitStatus, Decided, Effect, MemberView, OrderState, Reason, Refund, ReservationState, ReturnStatus,
    Share, Subject as About,
};
use guerdon::domain::command::{Command, Measure};
use guerdon::domain::id::{AccountId, GrantId, LineId, MemberId, OrderId, RuleId, UnitId};
use guerdon::domain::ledger::{Book, Entry, decode};
use guerdon::domain::order::Order;
use guerdon::domain::time::{DAY_MS, Instant};

use super::programs::Subject;

/// Fails the step with a text.
macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}
pub(crate) use ensure;

pub(crate) type Checked = Result<(), String>;

/// A member's entries, summed and folded as they come.
pub(crate) struct Ledger {
    pub(crate) folded: AccountState,
    /// By unit and name of the book.
    pub(crate) books: BTreeMap<(UnitId, &'static str), i64>,
    /// Issued to the member themselves.
    granted: BTreeMap<UnitId, i64>,
}

impl Ledger {
    pub(crate) fn new(member: &MemberId) -> Ledger {
        let folded = AccountState::new(AccountId::from(member));
        Ledger { folded, books: BTreeMap::new(), granted: BTreeMap::new() }
    }

    /// Every entry sums to zero by unit, and what they make is sound: no lot is below zero, books and lots agree.
    pub(crate) fn read(&mut self, entries: &[Vec<u8>]) -> Checked {
        for bytes in entries {
            let entry: Entry = decode(bytes).map_err(|error| format!("an entry {error}"))?;
            let mut all: BTreeMap<UnitId, i64> = BTreeMap::new();
            for posting in entry.postings().ok_or("an entry overflows")? {
                *all.entry(posting.unit.clone()).or_default() += posting.amount;
                if posting.book == Book::Issued && matches!(entry.fact.name(), "granted" | "awaited") {
                    *self.granted.entry(posting.unit.clone()).or_default() -= posting.amount;
                }
                *self.books.entry((posting.unit, posting.book.name())).or_default() += posting.amount;
            }
            let account = &self.folded.account;
            ensure!(all.values().all(|sum| *sum == 0), "{account}: entry {} does not sum to zero", entry.sequence);
            self.folded.apply(&entry).map_err(|error| format!("entry {}: {error}", entry.sequence))?;
        }
        let faults = if entries.is_empty() { Vec::new() } else { self.folded.faults() };
        ensure!(faults.is_empty(), "{}: {faults:?}", self.folded.account);
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct Oracle {
    /// By member and unit.
    sums: BTreeMap<(String, UnitId), Sums>,
    grants: BTreeMap<(String, GrantId), Grant>,
    pub(crate) orders: BTreeMap<OrderId, Known>,
    holds: BTreeMap<OrderId, Hold>,
    /// By place and period.
    budgets: BTreeMap<(usize, i64), i64>,
}

#[derive(Default, Debug, PartialEq, Eq)]
struct Sums {
    granted: i64,
    reversed: i64,
    redeemed: i64,
    adjusted: i64,
}

struct Grant {
    order: Option<OrderId>,
    rule: RuleId,
    granted: i64,
    reversed: i64,
}

/// An order that was committed.
pub(crate) struct Known {
    pub(crate) member: String,
    pub(crate) state: OrderState,
    /// What was paid in money, where that follows from what was sent.
    money: Option<i64>,
    refunded: i64,
    spent: BTreeMap<UnitId, i64>,
    restored: BTreeMap<UnitId, i64>,
    lines: BTreeMap<LineId, Line>,
}

struct Line {
    quantity: i64,
    amount: i64,
    back: i64,
    back_amount: i64,
}

#[derive(Debug)]
struct Hold {
    member: String,
    units: BTreeMap<UnitId, i64>,
    expires_at: Instant,
}

fn sum(shares: &[Share]) -> i64 {
    shares.iter().map(|share| share.amount).sum()
}

pub(crate) fn decided(answer: &Answer) -> Option<&Decided> {
    match answer {
        Answer::Enroll(a) => Some(&a.decided),
        Answer::Reserve(a) => Some(&a.decided),
        Answer::Commit(a) => Some(&a.decided),
        Answer::Return(a) => Some(&a.decided),
        Answer::Adjust(a) => Some(&a.decided),
        Answer::Attribute(a) => Some(&a.decided),
        Answer::OrderEvent(a) => Some(&a.decided),
        Answer::Send(a) => Some(&a.decided),
        Answer::Amend(a) => Some(&a.decided),
        _ => None,
    }
}

/// Whether it was done now: neither refused nor done before.
pub(crate) fn is_done(answer: &Answer) -> bool {
    match answer {
        Answer::Enroll(a) => a.enrolled,
        Answer::Reserve(a) => a.reserved,
        Answer::Commit(a) => a.status == CommitStatus::Committed,
        Answer::Release(a) => a.released,
        Answer::Return(a) => a.status == ReturnStatus::Applied,
        Answer::Amend(a) => a.status == ReturnStatus::Applied,
        Answer::Adjust(a) => a.adjusted,
        Answer::CreateCode(a) => a.created,
        Answer::Attribute(a) => a.attributed,
        Answer::Send(a) => a.sent,
        Answer::OrderEvent(a) => a.status == guerdon::domain::answer::OrderEventStatus::Recorded,
        other => panic!("nobody asks for {other:?}"),
    }
}

/// What was asked for, for counts.
pub(crate) fn name(answer: &Answer) -> &'static str {
    match answer {
        Answer::Enroll(_) => "Enroll",
        Answer::Reserve(_) => "Reserve",
        Answer::Commit(_) => "Commit",
        Answer::Release(_) => "Release",
        Answer::Return(_) => "Return",
        Answer::Amend(_) => "AmendOrder",
        Answer::Adjust(_) => "Adjust",
        Answer::CreateCode(_) => "CreateCode",
        Answer::Attribute(_) => "Attribute",
        Answer::Send(_) => "Transfer",
        Answer::OrderEvent(_) => "RecordOrderEvent",
        other => panic!("nobody asks for {other:?}"),
    }
}

/// The parts of every effect sum to its whole, and what keeps it back says so.
pub(crate) fn parts_sum(decided: &Decided) -> Checked {
    for effect in &decided.effects {
        match effect {
            Effect::Granted(g) => {
                ensure!(0 < g.granted && g.granted <= g.desired, "{g:?}: granted is not within what was desired");
                ensure!((0..=g.granted).contains(&g.repaid), "{g:?}: repaid");
                ensure!(g.shares.is_empty() || sum(&g.shares) == g.granted, "{g:?}: shares do not sum");
                let told = decided.refusals.iter().any(|refusal| {
                    refusal.reason == Reason::LimitReached
                        && matches!(&refusal.subject, About::Bound(bound) if bound.rule == g.rule)
                });
                ensure!(g.granted == g.desired || told, "{g:?}: nothing says what kept it back");
            }
            Effect::Redeemed(r) => {
                ensure!(sum(&r.value_shares) == r.value_minor, "{r:?}: shares of the value do not sum");
                ensure!(sum(&r.unit_shares) == r.units, "{r:?}: shares of the units do not sum");
                ensure!((0..=r.units).contains(&r.debt), "{r:?}: debt");
            }
            Effect::Discount(d) => {
                ensure!(sum(&d.shares) == d.amount_minor, "{d:?}: shares do not sum");
                let price = d.price.as_ref().map_or(0, |(_, units)| *units);
                ensure!(sum(&d.unit_shares) == price, "{d:?}: shares of the price do not sum");
            }
            Effect::Reversed { amount, debt, forgiven, expired, .. } => {
                let parts = [*debt, *forgiven, *expired];
                ensure!(parts.iter().all(|n| 0 <= *n), "{effect:?}: below zero");
                ensure!(parts.iter().sum::<i64>() <= *amount, "{effect:?}: more than was taken back");
            }
            Effect::Restored { amount, lots, repaid, expired, .. } => {
                let all = lots.iter().map(|lot| lot.amount).sum::<i64>() + repaid + expired;
                ensure!(all == *amount, "{effect:?}: parts do not sum to {amount}");
            }
            _ => {}
        }
    }
    Ok(())
}

impl Oracle {
    /// Takes in a write that was answered for the first time. `alone`: nothing else happened meanwhile.
    pub(crate) fn note(
        &mut self,
        subject: &Subject,
        member: &str,
        command: &Command,
        answer: &Answer,
        now: Instant,
        alone: bool,
    ) -> Checked {
        if let Some(decided) = decided(answer) {
            parts_sum(decided)?;
        }
        match (command, answer) {
            (Command::Commit(commit), Answer::Commit(told)) if told.status == CommitStatus::Refused && commit.paid => {
                let excuses = [
                    Reason::MemberUnknown,
                    Reason::OrderDiffers,
                    Reason::InFuture,
                    Reason::TooFarBack,
                    Reason::BeforeEnrolment,
                ];
                let excused = told.decided.refusals.iter().any(|refusal| excuses.contains(&refusal.reason));
                ensure!(excused, "an order that has been paid is refused: {:?}", told.decided.refusals);
            }
            _ => {}
        }
        if !is_done(answer) {
            return Ok(());
        }
        let order = order_of(command);
        // A reservation shows what its Commit will do.
        if let Some(decided) = decided(answer).filter(|_| !matches!(answer, Answer::Reserve(_))) {
            self.note_effects(member, order.as_ref(), decided)?;
            if matches!(answer, Answer::Commit(_) | Answer::Amend(_)) {
                self.note_budgets(subject, decided, alone && matches!(answer, Answer::Commit(_)))?;
            }
        }
        match (command, answer) {
            (Command::Reserve(_), Answer::Reserve(told)) => {
                let held = told.reservation.as_ref().ok_or("a reservation without itself")?;
                ensure!(held.state == ReservationState::Held && now < held.expires_at, "{held:?}");
                let hold = Hold {
                    member: member.into(),
                    units: held.held.iter().cloned().collect(),
                    expires_at: held.expires_at,
                };
                self.holds.insert(held.order_id.clone(), hold);
            }
            (Command::Release(release), _) => drop(self.holds.remove(&release.order_id)),
            (Command::Commit(commit), Answer::Commit(told)) => {
                self.holds.remove(&commit.order.order_id);
                let id = &commit.order.order_id;
                ensure!(!self.orders.contains_key(id), "order {id} was committed before");
                self.orders.insert(id.clone(), self.known(member, &commit.order, &told.decided, commit.paid)?);
            }
            (Command::Return(back), Answer::Return(told)) => {
                let refund = told.refund.clone().unwrap_or_default();
                let lines = match &back.what {
                    guerdon::domain::command::ReturnWhat::Lines(lines)
                        if back.cause == guerdon::domain::command::ReturnCause::Return =>
                    {
                        lines.as_slice()
                    }
                    _ => &[],
                };
                self.note_return(&back.order_id, lines, &refund, told.order_state, &told.decided)?;
                self.check_returned(subject, &back.order_id)?;
            }
            (Command::Amend(amend), Answer::Amend(told)) => {
                let refund = told.refund.clone().unwrap_or_default();
                self.note_return(&amend.order_id, &amend.remove, &refund, told.order_state, &told.decided)?;
                let known = self.orders.get_mut(&amend.order_id).ok_or("an order that nobody knows was amended")?;
                known.money = known.money.map(|money| money + told.due_minor);
                for line in &amend.add {
                    let line_known =
                        Line { quantity: line.quantity, amount: line.amount_minor, back: 0, back_amount: 0 };
                    known.lines.insert(line.line_id.clone(), line_known);
                }
                let spent = spent(&told.decided);
                for (unit, units) in spent {
                    *known.spent.entry(unit).or_default() += units;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What an order comes to, from what was sent and what was answered.
    fn known(&self, member: &str, order: &Order, decided: &Decided, paid: bool) -> Result<Known, String> {
        let mut off = 0;
        for effect in &decided.effects {
            match effect {
                Effect::Discount(d) => off += d.amount_minor,
                Effect::Redeemed(r) => {
                    ensure!(paid || r.debt == 0, "an order that has not been paid made a debt: {r:?}");
                    off += r.value_minor;
                }
                _ => {}
            }
        }
        let amount: i64 = order.lines.iter().map(|line| line.amount_minor).sum();
        ensure!(off <= amount, "{off} is taken off {amount}");
        let line = |line: &guerdon::domain::order::Line| {
            let known = Line { quantity: line.quantity, amount: line.amount_minor, back: 0, back_amount: 0 };
            (line.line_id.clone(), known)
        };
        Ok(Known {
            member: member.into(),
            state: OrderState::Committed,
            money: order.prices_include_tax.then_some(amount - off),
            refunded: 0,
            spent: spent(decided),
            restored: BTreeMap::new(),
            lines: order.lines.iter().map(line).collect(),
        })
    }

    fn note_effects(&mut self, member: &str, order: Option<&OrderId>, decided: &Decided) -> Checked {
        for effect in &decided.effects {
            let mut sums = |unit: &UnitId, change: &dyn Fn(&mut Sums)| {
                change(self.sums.entry((member.into(), unit.clone())).or_default());
            };
            match effect {
                Effect::Granted(g) => {
                    sums(&g.unit, &|sums| sums.granted += g.granted);
                    let grant = Grant {
                        order: order.filter(|_| g.rule.as_str().starts_with("o_")).cloned(),
                        rule: g.rule.clone(),
                        granted: g.granted,
                        reversed: 0,
                    };
                    let before = self.grants.insert((member.into(), g.grant.clone()), grant);
                    ensure!(before.is_none(), "grant {} was made before", g.grant);
                }
                Effect::Redeemed(r) => sums(&r.unit, &|sums| sums.redeemed += r.units),
                Effect::Discount(d) => {
                    if let Some((unit, units)) = &d.price {
                        sums(unit, &|sums| sums.redeemed += units);
                    }
                }
                Effect::Restored { unit, amount, .. } => sums(unit, &|sums| sums.redeemed -= amount),
                Effect::Adjusted { unit, amount, .. } => sums(unit, &|sums| sums.adjusted += amount),
                Effect::Reversed { grant, unit, amount, .. } => {
                    sums(unit, &|sums| sums.reversed += amount);
                    if let Some(known) = self.grants.get_mut(&(member.into(), grant.clone())) {
                        known.reversed += amount;
                        ensure!(
                            known.reversed <= known.granted,
                            "{} of {} is taken back of grant {grant}",
                            known.reversed,
                            known.granted
                        );
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// No budget is overspent; where `exactly`, each gives what there is.
    fn note_budgets(&mut self, subject: &Subject, decided: &Decided, exactly: bool) -> Checked {
        for (at, budget) in subject.budgets.iter().enumerate() {
            let period = if budget.per_day { decided.effective_at.0.div_euclid(DAY_MS) } else { 0 };
            let spent = self.budgets.entry((at, period)).or_default();
            let mut given: BTreeMap<&RuleId, i64> = BTreeMap::new();
            for effect in &decided.effects {
                let Effect::Granted(g) = effect else { continue };
                if !budget.rules.contains(&g.rule.as_str()) {
                    continue;
                }
                let left = budget.most - *spent;
                *spent += g.granted;
                *given.entry(&g.rule).or_default() += g.granted;
                ensure!(*spent <= budget.most, "{spent} of a budget of {} are spent by {g:?}", budget.most);
                let whole = if budget.clamps { g.desired.min(left) } else { g.desired };
                ensure!(
                    !exactly || !budget.alone || g.granted == whole,
                    "{g:?}: of a budget with {left} left it should be {whole}"
                );
            }
            for refusal in decided.refusals.iter().filter(|_| exactly && budget.alone) {
                if let About::Bound(bound) = &refusal.subject
                    && budget.rules.contains(&bound.rule.as_str())
                    && refusal.reason == Reason::LimitReached
                {
                    let left = budget.most - *spent + given.get(&bound.rule).copied().unwrap_or(0);
                    let short = refusal.required.is_some_and(|desired| left < desired);
                    ensure!(short, "{refusal:?}: there are {left} left");
                }
            }
        }
        Ok(())
    }

    fn note_return(
        &mut self,
        order: &OrderId,
        lines: &[(LineId, Measure)],
        refund: &Refund,
        state: Option<OrderState>,
        decided: &Decided,
    ) -> Checked {
        let known = self.orders.get_mut(order).ok_or_else(|| format!("{order} came back and was never committed"))?;
        known.state = state.ok_or("a return says nothing of its order")?;
        known.refunded += refund.money_minor;
        ensure!(0 <= refund.money_minor, "{refund:?}");
        for (line, measure) in lines {
            let line = known.lines.get_mut(line).ok_or_else(|| format!("{order} has no line {line}"))?;
            match measure {
                Measure::Quantity(n) => line.back += n,
                Measure::Amount(n) => line.back_amount += n,
            }
            ensure!(
                line.back <= line.quantity && line.back_amount <= line.amount,
                "more of {order} is back than was bought"
            );
        }
        if let Some(money) = known.money {
            ensure!(known.refunded <= money, "{} are refunded of {order}, {money} were paid", known.refunded);
        }
        for effect in &decided.effects {
            if let Effect::Restored { unit, amount, .. } = effect {
                *known.restored.entry(unit.clone()).or_default() += amount;
            }
        }
        for (unit, restored) in &known.restored {
            let spent = known.spent.get(unit).copied().unwrap_or(0);
            ensure!(*restored <= spent, "{restored} {unit} came back of {order}, {spent} were spent");
        }
        Ok(())
    }

    /// Once all is back, all has gone back: money, units spent and what was granted, to the unit.
    fn check_returned(&self, subject: &Subject, order: &OrderId) -> Checked {
        let Some(known) = self.orders.get(order) else { return Ok(()) };
        if !matches!(known.state, OrderState::Returned | OrderState::Cancelled) {
            return Ok(());
        }
        if let Some(money) = known.money {
            ensure!(known.refunded == money, "all of {order} is back: {} of {money} are refunded", known.refunded);
        }
        for (unit, spent) in &known.spent {
            let restored = known.restored.get(unit).copied().unwrap_or(0);
            ensure!(restored == *spent, "all of {order} is back: {restored} of {spent} {unit}");
        }
        for ((member, grant), known) in &self.grants {
            if known.order.as_ref() == Some(order) && subject.called_off_tells() {
                ensure!(
                    known.reversed == known.granted,
                    "all of {order} is back: {member} lost {} of the {} of {grant} ({})",
                    known.reversed,
                    known.granted,
                    known.rule
                );
            }
        }
        Ok(())
    }

    /// The account is what its answers made it.
    pub(crate) fn check_member(
        &mut self,
        subject: &Subject,
        view: &MemberView,
        ledger: &Ledger,
        now: Instant,
    ) -> Checked {
        let member = view.member.as_str();
        // What has fallen due since the last entry is in the view and in no entry yet.
        let is_fresh = ledger.folded.posted_at == now;
        let of = |unit: &UnitId, book: Book| ledger.books.get(&(unit.clone(), book.name())).copied().unwrap_or(0);
        for balance in &view.balances {
            let unit = &balance.unit;
            let parts = [balance.available, balance.pending, balance.held, balance.debt];
            ensure!(parts.iter().all(|n| 0 <= *n), "{member}: below zero: {balance:?}");
            ensure!(balance.available == 0 || balance.debt == 0, "{member} owes and has: {balance:?}");
            ensure!(balance.expiries.iter().all(|(at, _)| now < *at), "{member}: something has expired: {balance:?}");
            let posted = of(unit, Book::Available) + of(unit, Book::Held);
            if is_fresh {
                ensure!(
                    balance.available == posted - balance.held && balance.held == of(unit, Book::Held),
                    "{member}: available is not posted ({posted}) less held: {balance:?}"
                );
                let owed = -of(unit, Book::Debt);
                ensure!(
                    balance.debt == owed && balance.pending == of(unit, Book::Pending),
                    "{member}: {owed} {balance:?}"
                );
            }
            let held: i64 = view.holds.iter().filter(|(_, of, _, _)| of == unit).map(|(_, _, n, _)| n).sum();
            ensure!(held == balance.held, "{member}: holds name {held}, the balance {}", balance.held);
            let told = Sums {
                granted: ledger.granted.get(unit).copied().unwrap_or(0),
                reversed: of(unit, Book::Reversed),
                redeemed: of(unit, Book::Redeemed),
                adjusted: -of(unit, Book::Adjusted),
            };
            let known = self.sums.entry((member.into(), unit.clone())).or_default();
            ensure!(
                known.redeemed == told.redeemed && known.adjusted == told.adjusted,
                "{member}: answers sum to {known:?}, the ledger to {told:?} {unit}"
            );
            if subject.told {
                ensure!(*known == told, "{member}: answers sum to {known:?}, the ledger to {told:?} {unit}");
            }
        }
        let mut holds: Vec<(OrderId, UnitId, i64, Instant)> = Vec::new();
        for (order, hold) in self.holds.iter().filter(|(_, hold)| hold.member == member && now < hold.expires_at) {
            for (unit, units) in hold.units.iter().filter(|(_, units)| **units != 0) {
                holds.push((order.clone(), unit.clone(), *units, hold.expires_at));
            }
        }
        let mut found = view.holds.clone();
        found.retain(|(_, _, units, _)| *units != 0);
        found.sort();
        holds.sort();
        ensure!(holds == found, "{member}: holds {found:?}, and should {holds:?}");
        Ok(())
    }

    pub(crate) fn check_order(&self, view: &guerdon::domain::answer::OrderView) -> Checked {
        let Some(known) = self.orders.get(&view.order_id) else {
            return Err(format!("{} is there and was never committed", view.order_id));
        };
        ensure!(known.state == view.state, "{} is {:?} and should be {:?}", view.order_id, view.state, known.state);
        for line in &view.lines {
            let within = line.returned_quantity <= line.quantity && line.returned_amount_minor <= line.amount_minor;
            ensure!(within && line.reduced_minor <= line.amount_minor, "{line:?}");
        }
        Ok(())
    }

    /// A member is told to have none of these units but by other members' deeds.
    pub(crate) fn members_orders(&self, member: &str) -> usize {
        self.orders.values().filter(|known| known.member == member).count()
    }
}

impl Subject {
    /// Whether every unit that is taken back is told in the answer of a return.
    fn called_off_tells(&self) -> bool {
        self.name != "parcels"
    }
}

fn spent(decided: &Decided) -> BTreeMap<UnitId, i64> {
    let mut spent: BTreeMap<UnitId, i64> = BTreeMap::new();
    for effect in &decided.effects {
        match effect {
            Effect::Redeemed(r) => *spent.entry(r.unit.clone()).or_default() += r.units,
            Effect::Discount(d) => {
                if let Some((unit, units)) = &d.price {
                    *spent.entry(unit.clone()).or_default() += units;
                }
            }
            _ => {}
        }
    }
    spent
}

fn order_of(command: &Command) -> Option<OrderId> {
    match command {
        Command::Commit(c) => Some(c.order.order_id.clone()),
        Command::Return(c) => Some(c.order_id.clone()),
        Command::Amend(c) => Some(c.order_id.clone()),
        _ => None,
    }
}
