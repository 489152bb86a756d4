//! Rules on what is no order: events, and occasions that come with time.

use serde_json::json;

use super::rule::RuleSection;
use super::*;
use crate::domain::predicate::Needs;
use crate::domain::program::Occasion;

words!(LeapDayWord -> bool {
    "28_february" => false, "on 28 February";
    "1_march" => true, "on 1 March";
});

section! {
    /// How an occasion comes: as the day begins in the member's zone, else in the program's; once a year, however often
    /// the birthday is changed.
    OccasionSection = "occasion" {
        /// How long before there is a notice, for whoever wants to write to the member: see LedgerService.ListNotices.
        notice: Length, Without("there is none");
        /// How long what follows is good for, where `then` does not say: units expire, a voucher ends. To the instant: of
        /// the unit's own terms neither `expiry_rounded_to` nor `activates_after` holds then; `life` keeps them.
        valid_for: Length, Without("as long as such things are");
        /// When those have it in other years who were born, or joined, on 29 February.
        leap_day: LeapDayWord, Default("28_february");
    }
}

impl Build for OccasionSection {
    type Out = Occasion;

    fn build(self, _: Pos, _: &mut Reader) -> Option<Occasion> {
        Some(Occasion {
            notice: self.notice.map(|at| at.value),
            valid_for: self.valid_for.map(|at| at.value),
            inactive_for: None,
            leap_day_later: self.leap_day?.value,
        })
    }
}

/// What rules on events and occasions can say, and what only they can. Answers how the occasion comes.
pub(super) fn check(rule: &RuleSection, r: &mut Reader) -> Option<Occasion> {
    let on = rule.on.as_ref()?;
    if let Some(then) = &rule.then
        && let Then::Bonus(Bonus { for_each_value: Some(_), .. }) = &then.value
        && on.value != Trigger::Event
    {
        r.fault_at(then, "only an event has a value that units could be `for_each_value` of", Some("remove it"));
    }
    match (&rule.events, on.value) {
        (Some(events), trigger) if trigger != Trigger::Event => {
            r.fault_at(events, "only a rule on `event` names events", Some("remove it"));
        }
        (None, Trigger::Event) => r.lacks_at(on, "names no events", Some("add `events: [...]`")),
        _ => {}
    }
    if let (Some(occasion), false) = (&rule.occasion, on.value.is_occasion()) {
        r.fault_at(occasion, "only what comes with time has an `occasion`", Some("remove it"));
    }
    match (&rule.inactive_for, on.value) {
        (Some(length), trigger) if trigger != Trigger::Inactivity => {
            r.fault_at(length, "only a rule on `inactivity` asks how long", Some("remove it"));
        }
        (None, Trigger::Inactivity) => r.fault_at(on, "does not say how long", Some("add `inactive_for: 90 days`")),
        _ => {}
    }
    if let Some(occasion) = &rule.occasion
        && on.value == Trigger::Inactivity
        && occasion.value.notice.is_some()
    {
        r.fault_at(occasion, "an absence gives no notice: it may end any day", Some("remove `notice`"));
    }
    if on.value != Trigger::Event && !on.value.is_occasion() {
        return None;
    }
    no_order(rule, r);
    on.value.is_occasion().then(|| {
        let none = Occasion { notice: None, valid_for: None, inactive_for: None, leap_day_later: false };
        let stated = rule.occasion.as_ref().map_or(none, |at| at.value);
        Occasion { inactive_for: rule.inactive_for.as_ref().map(|at| at.value), ..stated }
    })
}

fn no_order(rule: &RuleSection, r: &mut Reader) {
    if let Some(lines) = rule.lines.as_ref().filter(|lines| lines.value != Selector::default()) {
        r.fault_at(lines, "there is no order, hence there are no lines", Some("remove `lines`"));
    }
    if let Some(then) = rule.then.as_ref().filter(|then| matches!(then.value, Then::Earn(_) | Then::Multiply(_))) {
        r.fault_at(then, "nothing is spent that units could be in proportion to", Some("write `bonus`"));
    }
    let Some(when) = &rule.when else { return };
    for (field, pos) in when.value.uses.iter().filter(|(field, _)| field.needs() == Needs::Order) {
        r.fault(
            *pos,
            format!("there is no order, hence no `{field}`"),
            Some("ask for something of the member or the time"),
        );
    }
    let stated = &when.value.conditions;
    let of_order = !stated.channels.is_empty() || !stated.stores.is_empty() || stated.spend_min.is_some();
    if of_order {
        let message = "there is no order: no `channels`, `stores` or `spend_at_least` can hold";
        r.fault_at(when, message, Some("remove them"));
    }
}
