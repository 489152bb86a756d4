//! Rules that grant to somebody else: what they can say.

use super::rule::RuleSection;
use super::*;
use crate::domain::program::GrantTo;

/// Only what is bought or done can be for somebody, and only units can be theirs.
pub(super) fn check(rule: &RuleSection, r: &mut Reader) {
    let Some(to) = rule.to.as_ref().filter(|to| to.value == GrantTo::Recipient) else { return };
    if let Some(on) = rule.on.as_ref().filter(|on| !matches!(on.value, Trigger::Order | Trigger::Event)) {
        r.fault_at(on, "only an `order` or an `event` names a recipient", Some("remove `to`"));
    }
    let Some(then) = &rule.then else { return };
    let (unit, life) = match &then.value {
        Then::Earn(Earn { unit, life, .. }) | Then::Bonus(Bonus { unit, life, .. }) => (unit, life),
        Then::Multiply(_) => {
            return r.fault_at(to, "what `multiply` adds goes where the base goes", Some("remove `to`"));
        }
        Then::Stamps(_) | Then::Voucher(_) | Then::Tag(_) | Then::Draw(_) => {
            let hint = "write `earn` or `bonus`, or remove `to`";
            return r.fault_at(to, "only units can be granted to somebody else", Some(hint));
        }
    };
    let unit_waits = r.names.lives.get(unit).is_some_and(|life| life.awaits.is_some());
    let waits = unit_waits || life.as_ref().is_some_and(|life| life.awaits.is_some());
    if waits && rule.on.as_ref().is_some_and(|on| on.value == Trigger::Order) {
        let message = format!("{unit} wait for an event of the order, of which the recipient's account never hears");
        r.fault_at(then, message, Some("grant units that wait for none"));
    }
}
