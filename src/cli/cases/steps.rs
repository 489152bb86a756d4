//! What a case can do and look up: one table each. A new method of the contract becomes a step by a row here; its
//! fields, effects and refusals need nothing more.

/// Something that happens in a case: a call of one method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct StepWord {
    pub(super) word: &'static str,
    pub(super) method: &'static str,
    /// Messages of the request whose fields are written as those of the step.
    pub(super) flat: &'static [&'static str],
    /// The field that is meant when the step has a single word instead of a mapping.
    pub(super) main: &'static str,
    pub(super) about: &'static str,
}

const fn step(
    word: &'static str,
    method: &'static str,
    flat: &'static [&'static str],
    main: &'static str,
    about: &'static str,
) -> StepWord {
    StepWord { word, method, flat, main, about }
}

pub(super) const STEPS: &[StepWord] = &[
    step("enroll", "MemberService/Enroll", &[], "member", "a member joins"),
    step("update", "MemberService/UpdateMember", &[], "member", "what is known of a member changes"),
    step("quote", "CheckoutService/Quote", &["order"], "id", "a cart is shown: nothing happens"),
    step("reserve", "CheckoutService/Reserve", &["order"], "id", "a checkout holds units for an order"),
    step("order", "CheckoutService/Commit", &["order"], "id", "an order is placed"),
    step("release", "CheckoutService/Release", &[], "order", "a checkout gives back what it held"),
    step("quote_return", "CheckoutService/QuoteReturn", &["what"], "order", "a return is shown: nothing happens"),
    step("return", "CheckoutService/Return", &["what"], "order", "goods come back; without `lines`, all of them"),
    step("adjust", "MemberService/Adjust", &[], "member", "an agent credits or debits by hand"),
    step("code", "ReferralService/CreateCode", &[], "member", "a member asks for a code for friends"),
    step("attribute", "ReferralService/Attribute", &[], "member", "a member names a friend's code"),
];

/// Something that an expectation can look at beside the answer to its step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Lookup {
    pub(super) word: &'static str,
    pub(super) method: &'static str,
    /// The field of the request that takes what is looked up.
    pub(super) key: &'static str,
    /// Where in the answer it is.
    pub(super) path: &'static [&'static str],
    /// The key is a member whose record names what is looked up here.
    pub(super) via: Option<(&'static str, &'static [&'static str])>,
    pub(super) about: &'static str,
}

const MEMBER: &str = "MemberService/GetMember";

pub(super) const LOOKUPS: &[Lookup] = &[
    Lookup {
        word: "balances",
        method: MEMBER,
        key: "member_id",
        path: &["member", "balances"],
        via: None,
        about: "units of a member, by unit; a number alone is what is available",
    },
    Lookup {
        word: "members",
        method: MEMBER,
        key: "member_id",
        path: &["member"],
        via: None,
        about: "what is known of a member",
    },
    Lookup {
        word: "orders",
        method: "CheckoutService/GetOrder",
        key: "order_id",
        path: &[],
        via: None,
        about: "an order as it is recorded",
    },
    Lookup {
        word: "entries",
        method: "MemberService/ListEntries",
        key: "member_id",
        path: &["entries"],
        via: None,
        about: "the ledger of a member",
    },
    Lookup {
        word: "referrals",
        method: "ReferralService/GetReferral",
        key: "referral_id",
        path: &["referral"],
        via: Some((MEMBER, &["member", "referral_id"])),
        about: "the referral of a friend, by the friend",
    },
];

/// What fields hold when a case does not say it. `#` is the number of the step, or of the line in its list.
pub(super) const DEFAULTS: &[(&str, &str, &str)] = &[
    ("Line", "line_id", "#"),
    ("Line", "quantity", "1"),
    ("Order", "order_id", "order-#"),
    ("ReturnRequest", "return_id", "return-#"),
    ("ReturnRequest", "cause", "return"),
    ("QuoteReturnRequest", "cause", "return"),
    ("AdjustRequest", "reason", "goodwill"),
    ("AdjustRequest", "agent_id", "case"),
];

/// The field that is meant when a single value stands where an expectation could have a mapping.
pub(super) const MAINS: &[(&str, &str)] = &[
    ("Balance", "available"),
    ("ExplainRule", "applied"),
    ("LineShare", "amount"),
    ("UnitAmount", "amount"),
    ("Tender", "amount"),
    ("Entry", "fact"),
    ("Refusal", "reason"),
];

/// The field for a single value in a message.
pub(super) fn main_of(message: &str) -> Option<&'static str> {
    MAINS.iter().find(|(name, _)| *name == message).map(|(_, field)| *field)
}

#[cfg(test)]
mod tests {
    use super::super::words::{contract, fields, method};
    use super::*;

    #[test]
    fn every_row_is_in_the_contract() {
        for step in STEPS {
            let request = method(step.method).unwrap_or_else(|| panic!("{}", step.method)).input();
            for flat in step.flat {
                assert!(request.get_field_by_name(flat).is_some(), "{}: {flat}", step.word);
            }
        }
        for lookup in LOOKUPS {
            let request = method(lookup.method).unwrap_or_else(|| panic!("{}", lookup.method)).input();
            assert!(request.get_field_by_name(lookup.key).is_some(), "{}", lookup.word);
        }
        let pool = contract().expect("the contract");
        let message = |name: &str| pool.get_message_by_name(&format!("guerdon.v1.{name}")).expect(name);
        for (name, field, _) in DEFAULTS {
            assert!(message(name).get_field_by_name(field).is_some(), "{name}.{field}");
        }
        for (name, field) in MAINS {
            assert!(fields(&message(name)).iter().any(|known| known.name == *field), "{name}.{field}");
        }
    }
}
