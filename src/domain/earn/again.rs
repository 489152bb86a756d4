//! An order that has earned, looked at once more: what it earns after lines have gone or come.

use super::super::conditions::{View, holds, is_on};
use super::super::id::RuleId;
use super::super::program::{Conditions, Rule};
use super::{Besides, Earned, OutOfBounds, Spent, by_rules};

/// How the order was before, and which rules have granted something for it.
///
/// The member is not who they were when the order was placed, so a rule is judged by what the order's change does to it:
/// one that granted stands unless it would hold for the order as it was and does not for the order as it is now; one that
/// did not comes in only if it does not hold for the former and does for the latter.
#[derive(Clone, Copy)]
pub struct Again<'a> {
    pub before: View<'a>,
    pub granted: &'a [RuleId],
    /// Whether rules that have granted nothing are considered at all.
    pub others: bool,
}

impl Again<'_> {
    /// Whether a rule has granted something.
    pub(super) fn has(&self, rule: &Rule) -> bool {
        self.granted.contains(&rule.id)
    }

    /// Whether a rule applies now. `holds_now`: whether all that it asks holds for the order as it is now.
    pub(super) fn stands(&self, now: &View<'_>, rule: &Rule, amounts: &[i64], holds_now: bool) -> bool {
        if !self.has(rule) {
            return self.others && holds_now && !self.held_before(rule);
        }
        holds_now || (!self.held_before(rule) && holds(now, &of_order(&rule.conditions), Some(amounts), &mut None))
    }

    fn held_before(&self, rule: &Rule) -> bool {
        let before = &self.before;
        let Some(seen) = before.order else { return false };
        let lines = seen.order.lines.iter().zip(seen.earning);
        let selector = &rule.conditions.lines;
        let amounts: Vec<i64> = lines.map(|(line, e)| if selector.selects(line) { *e } else { 0 }).collect();
        is_on(before, before.program.campaign_of(rule), &mut None)
            && holds(before, &rule.conditions, Some(&amounts), &mut None)
    }
}

/// What a rule asks of the order alone.
fn of_order(conditions: &Conditions) -> Conditions {
    Conditions {
        spend_min: conditions.spend_min.clone(),
        spend_max: conditions.spend_max.clone(),
        quantity: conditions.quantity.clone(),
        lines: conditions.lines.clone(),
        ..Conditions::default()
    }
}

/// What an order earns as it is now; `None`: a number does not fit. `spent` as with [`earn`](super::earn), of rules that
/// have granted nothing.
pub fn earn_again(view: &View<'_>, again: Again<'_>, spent: Spent<'_>) -> Option<Earned> {
    let seen = view.order?;
    let spent = |rule: &Rule| !again.has(rule) && spent(rule);
    match by_rules(view, seen, false, Besides { spent: &spent, again: Some(again) }) {
        Ok((grants, explain, awards)) => {
            Some(Earned { earning: seen.earning.to_vec(), grants, refusals: Vec::new(), explain, awards })
        }
        Err(OutOfBounds) => None,
    }
}
