//! What an order would have earned without what has come back, and with what has come to it since.

use std::sync::Arc;

use super::super::account::AccountState;
use super::super::conditions::{Seen, View};
use super::super::desk::Desk;
use super::super::earn::{Again, Earned, earn_again};
use super::super::id::{MemberId, RuleId};
use super::super::order::{Currency, Line, Order};
use super::super::order_record::{LineRecord, OrderRecord, Returned};
use super::super::program::{GrantTo, Program, Rule, Then};
use super::super::redeem::Redemption;
use super::{Halt, OVERFLOW, Scene, limits};

/// Of each rule that granted units for an order, what it would grant for what is kept of it, where the program says that a
/// return leaves that. Rules that cannot be asked again are not listed.
pub(super) fn kept(scene: &Scene<'_>, desk: &Desk, record: &OrderRecord) -> Result<Vec<(RuleId, i64)>, Halt> {
    let program = program_of(scene, record);
    if !program.returns.readjudicate || record.grants.is_empty() || record.is_all_returned() {
        return Ok(Vec::new());
    }
    let granted: Vec<RuleId> = record.grants.iter().map(|grant| grant.rule.clone()).collect();
    let now = As::kept_of(record)?;
    let earned = again(scene, program, &desk.state, record, &As::committed(record), &now, &granted, false);
    let Some(earned) = earned else { return Ok(Vec::new()) };
    let mut kept: Vec<(RuleId, i64)> = Vec::new();
    for rule in granted {
        let of_rule = earned.grants.iter().filter(|plan| plan.rule == rule && plan.to == GrantTo::Account);
        let amount = of_rule.fold(0i64, |sum, plan| sum.saturating_add(plan.amount));
        // What a draw has given stands, and the multiplier of a level that was lost since does not tell what it would give.
        let by_rate = |rule: &Rule| matches!(rule.then, Then::Earn(_) | Then::Multiply(_) | Then::Bonus(_));
        let known = program.rule(&rule).is_some_and(by_rate) || 0 < amount;
        if known && kept.iter().all(|(other, _)| *other != rule) {
            kept.push((rule, amount));
        }
    }
    Ok(kept)
}

/// The version that decided the order.
pub(super) fn program_of<'s>(scene: &'s Scene<'_>, record: &OrderRecord) -> &'s Arc<Program> {
    let recorded = scene.timeline.versions.iter().map(|(_, program)| program);
    let recorded = recorded.into_iter().find(|program| program.version == record.decided.version);
    recorded.or_else(|| scene.timeline.at(record.committed_at)).unwrap_or(scene.program)
}

/// An order, of each line what earns, and how many items were free.
#[derive(Clone)]
pub(super) struct As {
    pub(super) order: Order,
    pub(super) earning: Vec<i64>,
    pub(super) free: Vec<i64>,
}

impl As {
    fn seen(&self, currency: Currency) -> Seen<'_> {
        Seen { order: &self.order, earning: &self.earning, currency, free: &self.free }
    }

    /// As it is recorded, whatever has come back.
    pub(super) fn committed(record: &OrderRecord) -> As {
        let free = Redemption::recorded(record).free_items(record.lines.len());
        let earning = record.lines.iter().map(|line| line.earning_minor).collect();
        As { order: record.order(), earning, free }
    }

    /// Takes in the lines that `order` has more, as if they were not there.
    pub(super) fn pad(&mut self, order: &Order) {
        let more = order.lines.iter().skip(self.order.lines.len());
        let empty = more.map(|line| Line { quantity: 0, amount_minor: 0, tax_minor: 0, ..line.clone() });
        self.order.lines.extend(empty);
        self.earning.resize(self.order.lines.len(), 0);
        self.free.resize(self.order.lines.len(), 0);
    }

    /// What is kept of it. Lines stay in their places.
    pub(super) fn kept_of(record: &OrderRecord) -> Result<As, Halt> {
        let mut kept = As::committed(record);
        let lines = kept.order.lines.iter_mut().zip(&mut kept.earning).zip(&mut kept.free);
        for (((line, earning), free), of) in lines.zip(&record.lines) {
            let left = |whole: i64| of.returned_of(whole).and_then(|back| whole.checked_sub(back)).ok_or(OVERFLOW);
            line.quantity = items_left(of)?;
            line.amount_minor = left(line.amount_minor)?;
            line.tax_minor = left(line.tax_minor)?;
            *earning = left(*earning)?;
            *free = (*free).min(line.quantity);
        }
        Ok(kept)
    }
}

/// Items come back whole; what comes back by its amount is none fewer.
fn items_left(line: &LineRecord) -> Result<i64, Halt> {
    match line.returned {
        Returned::None | Returned::Amount(_) => Ok(line.quantity),
        Returned::Quantity(back) => line.quantity.checked_sub(back).ok_or(OVERFLOW),
        Returned::All => Ok(0),
    }
}

/// What the version that decided an order would grant for it as it is now. `None`: that cannot be told.
#[expect(clippy::too_many_arguments, reason = "each names one thing of the order")]
pub(super) fn again(
    scene: &Scene<'_>,
    program: &Program,
    state: &AccountState,
    record: &OrderRecord,
    before: &As,
    now: &As,
    granted: &[RuleId],
    others: bool,
) -> Option<Earned> {
    let currency = program.earning_currency(record.currency, record.committed_at)?;
    // The order under consideration is one more: it must not count itself.
    let state = AccountState { orders: state.orders.saturating_sub(1), ..state.clone() };
    let member: Option<&MemberId> = scene.member().as_ref();
    let view =
        View { program, at: record.committed_at, state: &state, member, order: Some(now.seen(currency)), event: None };
    let before = View { order: Some(before.seen(currency)), ..view };
    let spent = |rule: &Rule| limits::is_spent(scene, &state, rule, &now.order, record.committed_at);
    earn_again(&view, Again { before, granted, others }, &spent)
}
