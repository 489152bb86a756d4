//! Events: what members do outside orders.

use serde_json::json;

use super::*;
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
