//! Events: what members do outside orders.

use serde_json::json;

use super::member::{AskedAttributes, asked_attributes};
use super::rule::RuleSection;
use super::*;
use crate::domain::predicate::{Field, Needs, Predicate, Relation, Whole as Number};
use crate::domain::program::{Approval, EventTerms, ProofScope};
use crate::domain::time::Period;

/// A type of event that the program declares.
pub(in crate::program) struct EventName;

impl Value for EventName {
    type Out = Label;

    fn read(node: &Node, r: &mut Reader) -> Option<Label> {
        let event = LabelText::read(node, r)?;
        let known = r.names.declared("events");
        if known.contains(&event.as_str()) {
            return Some(event);
        }
        let hint = r.suggestion(event.as_str(), &known);
        let hint = hint.unwrap_or_else(|| "declare it under `events`".to_owned());
        r.fault(node.pos, format!("{} is no event type of this program", quoted(event.as_str())), Some(&hint));
        None
    }

    fn phrase() -> String {
        "the name of an event type that `events` declares".to_owned()
    }

    fn schema() -> Json {
        LabelText::schema()
    }
}

words!(ProofWord -> bool {
    "none" => false, "none is asked for";
    "required" => true, "an event without one is refused";
});

words!(ProofScopeWord -> ProofScope {
    "member" => ProofScope::Member, "once for each account and type";
    "program" => ProofScope::Program, "once for each type, whoever brings it";
});

words!(ApprovalWord -> bool {
    "auto" => false, "at once";
    "manual" => true, "when a review approves it";
});

section! {
    /// A type of event. `sign_up`, `profile_completed`, `share`, `follow`, `post`, `review`, `survey`,
    /// `referral_shared`, `check_in` and `quiz` are names that reports know; any other will do as well.
    EventSection = "event" {
        /// Whether a proof is asked for: the address of a post, the number of a receipt. A proof that is given counts once
        /// in any case, whatever becomes of the event.
        proof: ProofWord, Default("none");
        /// Where a proof counts once.
        proof_scope: ProofScopeWord, Default("program");
        /// When rules on the event fire.
        approval: ApprovalWord, Default("auto");
        /// With `approval: manual`: how long an event waits for its review. After that it has lapsed for good.
        lapses_after: Length, Without("30 days");
        /// After an event, for how long the same member has no other of the type, whatever becomes of the first.
        cool_down: Length, Without("none");
        /// The largest value that an event may carry.
        value_max: Whole<0, 1_000_000_000_000>, Without("any");
        /// What an event may carry besides, by name, and what values it has.
        attributes: ByName<LabelText, AttributeTypeWord, 0, ATTRIBUTES_MAX>, Default("{}");
    }
}

const LAPSES_AFTER: Period = Period::Days(30);

impl Build for EventSection {
    /// The type is the key that the section stands under.
    type Out = EventTerms;

    fn build(self, _: Pos, r: &mut Reader) -> Option<EventTerms> {
        let manual = self.approval?.value;
        if let (false, Some(lapses_after)) = (manual, &self.lapses_after) {
            r.fault_at(lapses_after, "nothing waits for a review", Some("add `approval: manual`, or remove it"));
        }
        let lapses_after = self.lapses_after.map_or(LAPSES_AFTER, |at| at.value);
        Some(EventTerms {
            proof_required: self.proof?.value,
            proof_scope: self.proof_scope?.value,
            approval: if manual { Approval::Manual { lapses_after } } else { Approval::Auto },
            cool_down: self.cool_down.map(|at| at.value),
            value_max: self.value_max.map(|at| at.value),
            attributes: self.attributes?.value.into_iter().collect(),
        })
    }
}

section! {
    /// What is asked of the event that fires the rule: everything stated must hold.
    AskedEventSection = "asked of an event" {
        /// It carries a value of at least this; equal is enough.
        value_at_least: Whole<0, 1_000_000_000_000>, Without("whatever the value");
        /// It carries a value of at most this, inclusive.
        value_at_most: Whole<0, 1_000_000_000_000>, Without("whatever the value");
        /// Of each of these attributes, one of the values.
        attributes: AskedOfEvents, Without("with any");
    }
}

/// What must hold of the event.
pub(in crate::program) struct AskedOfEvent {
    pub(super) all: Vec<Predicate>,
}

impl AskedOfEvent {
    /// What it looks at.
    pub(super) fn fields(&self) -> impl Iterator<Item = Field> + use<> {
        let mut fields = Vec::new();
        self.all.iter().for_each(|part| part.fields(&mut |field| fields.push(field.clone())));
        fields.into_iter()
    }
}

impl Build for AskedEventSection {
    type Out = AskedOfEvent;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<AskedOfEvent> {
        if let (Some(least), Some(most)) = (&self.value_at_least, &self.value_at_most)
            && most.value < least.value
        {
            let hint = "`value_at_most` must not be below `value_at_least`";
            r.fault_at(most, "no value is at once that large and that small", Some(hint));
        }
        let value = |how: Relation, asked: Option<At<i64>>| {
            let left = Number::Field(Field::EventValue);
            asked.map(|at| Predicate::Compare { left, how, right: Number::Constant(at.value) })
        };
        let bounds = [value(Relation::AtLeast, self.value_at_least), value(Relation::AtMost, self.value_at_most)];
        let mut all: Vec<Predicate> = bounds.into_iter().flatten().collect();
        all.extend(self.attributes.map(|at| at.value).unwrap_or_default());
        // A field that is faulty, or misspelt, is missing here too; that has been told.
        if all.is_empty() && r.faults.is_empty() {
            r.fault(pos, "asks nothing of the event", Some("leave it out"));
            return None;
        }
        Some(AskedOfEvent { all })
    }
}

/// Values by attribute of events, each of the attribute's type.
pub(in crate::program) struct AskedOfEvents;

impl Value for AskedOfEvents {
    type Out = Vec<Predicate>;

    fn read(node: &Node, r: &mut Reader) -> Option<Vec<Predicate>> {
        let declared = &r.names.event_attributes;
        let of_one_type = declared.iter().filter_map(|(name, kinds)| match kinds.as_slice() {
            [(_, kind)] => Some((name.clone(), *kind)),
            _ => None,
        });
        let of_one_type = of_one_type.collect();
        if let Content::Map(entries) = &node.content {
            for entry in entries {
                let kinds = r.names.event_attributes.iter().find(|(name, _)| name.as_str() == entry.key);
                let Some([(one, _), (other, _), ..]) = kinds.map(|(_, kinds)| kinds.as_slice()) else { continue };
                let (one, other, name) = (one.clone(), other.clone(), quoted(&entry.key));
                let message = format!("{name} is of one type for event `{one}` and of another for `{other}`");
                r.fault(entry.key_pos, message, Some("give one of the two another name"));
                return None;
            }
        }
        asked_attributes(node, &of_one_type, "events", Field::EventAttribute, r)
    }

    fn phrase() -> String {
        format!(
            "a mapping from attributes that `events` declare to lists of 1 to {} values of their type",
            Predicate::LISTED_MAX
        )
    }

    fn schema() -> Json {
        AskedAttributes::schema()
    }
}

/// Only a rule on events sees one, and only what an event of its types can carry.
pub(super) fn check(rule: &RuleSection, r: &mut Reader) {
    let (Some(on), Some(when)) = (&rule.on, &rule.when) else { return };
    let uses = when.value.uses.iter().filter(|(field, _)| field.needs() == Needs::Event);
    if on.value != Trigger::Event {
        for (field, pos) in uses {
            let message = format!("only a rule on `event` sees one, hence there is no `{field}`");
            r.fault(*pos, message, Some("ask for something else, or write `on: event`"));
        }
        return;
    }
    let Some(events) = &rule.events else { return };
    for (field, pos) in uses {
        let Field::EventAttribute(name) = field else { continue };
        let carried = events.value.iter().any(|event| r.names.carries(event.as_str(), name));
        if !carried {
            let listed = events.value.iter().map(Label::as_str).collect::<Vec<_>>().join(", ");
            let message = format!("events of type {listed} carry no attribute `{name}`");
            r.fault(*pos, message, Some("declare it among the `attributes` of the event type"));
        }
    }
}
