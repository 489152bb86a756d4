//! What a case can do and look up. A table gives what is used most its own words; every other method of the contract is
//! there under its own name. Their fields, effects and refusals come from the contract itself.

use std::sync::OnceLock;

use prost_reflect::{Kind, MessageDescriptor, MethodDescriptor};

use super::words::{Field, Sort, contract, fields, snake};

/// Something that happens in a case: a call of one method.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct StepWord {
    pub(super) word: String,
    /// Service and name: `CheckoutService/Commit`.
    pub(super) method: String,
    /// Messages of the request whose fields are written as those of the step.
    pub(super) flat: &'static [&'static str],
    /// The field that is meant when the step has a single word instead of a mapping.
    pub(super) main: String,
    pub(super) about: String,
}

/// A row: word, method, flat, main, about.
type Row = (&'static str, &'static str, &'static [&'static str], &'static str, &'static str);

const STEPS: &[Row] = &[
    ("enroll", "MemberService/Enroll", &["profile"], "member", "a member joins"),
    ("update", "MemberService/UpdateMember", &["change"], "member", "what is known of a member changes"),
    ("quote", "CheckoutService/Quote", &["order"], "id", "a cart is shown: nothing happens"),
    ("reserve", "CheckoutService/Reserve", &["order"], "id", "a checkout holds units for an order"),
    ("order", "CheckoutService/Commit", &["order"], "id", "an order is placed"),
    ("release", "CheckoutService/Release", &[], "order", "a checkout gives back what it held"),
    ("quote_return", "CheckoutService/QuoteReturn", &["what"], "order", "a return is shown: nothing happens"),
    ("return", "CheckoutService/Return", &["what"], "order", "goods come back; without `lines`, all of them"),
    ("order_event", "CheckoutService/RecordOrderEvent", &[], "order", "something happens to an order: sent, delivered"),
    ("claim", "CheckoutService/ClaimOrder", &[], "order", "a member says that a guest's order was theirs"),
    ("adjust", "MemberService/Adjust", &[], "member", "an agent credits or debits by hand"),
    ("code", "ReferralService/CreateCode", &[], "member", "a member asks for a code for friends"),
    ("attribute", "ReferralService/Attribute", &[], "member", "a member names a friend's code"),
];

/// All steps: those of the table, then the other methods that change something, by name.
pub(super) fn steps() -> &'static [StepWord] {
    static ALL: OnceLock<Vec<StepWord>> = OnceLock::new();
    ALL.get_or_init(|| {
        let rows = STEPS.iter().map(|(word, method, flat, main, about)| StepWord {
            word: (*word).to_owned(),
            method: (*method).to_owned(),
            flat,
            main: (*main).to_owned(),
            about: (*about).to_owned(),
        });
        let mut steps: Vec<StepWord> = rows.collect();
        for method in methods() {
            let input = method.input();
            let name = name_of(&method);
            let writes = input.get_field_by_name("request_id").is_some() && input.get_field_by_name("fence").is_none();
            if !writes || steps.iter().any(|step| step.method == name) {
                continue;
            }
            let word = snake(method.name());
            let about = format!("calls `{name}`");
            let main = main_field(&input);
            steps.push(StepWord { word, method: name, flat: &[], main, about });
        }
        steps
    })
}

/// What a single word means where the table does not say: the member, else whatever the request names first.
fn main_field(input: &MessageDescriptor) -> String {
    let names = fields(input).into_iter().filter(|field| field.sort == Sort::Text && !field.is_list());
    let names: Vec<Field> = names.filter(|field| field.raw.name() != "request_id").collect();
    let member = names.iter().find(|field| field.raw.name() == "member_id");
    member.or(names.first()).map(|field| field.name.clone()).unwrap_or_default()
}

fn methods() -> Vec<MethodDescriptor> {
    let services = contract().into_iter().flat_map(|pool| pool.services());
    let services = services.filter(|service| service.package_name() == super::words::PACKAGE);
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    methods.filter(|method| !method.is_server_streaming() && !method.is_client_streaming()).collect()
}

fn name_of(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().name(), method.name())
}

/// Something that an expectation can look at beside the answer to its step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Lookup {
    pub(super) word: String,
    pub(super) method: String,
    /// The field of the request that takes what is looked up.
    pub(super) key: String,
    /// Where in the answer it is.
    pub(super) path: Vec<String>,
    /// The key is a member whose record names what is looked up here.
    pub(super) via: Option<(&'static str, &'static [&'static str])>,
    pub(super) about: String,
}

/// A row: word, method, key, path, via, about.
type LookupRow = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    Option<(&'static str, &'static [&'static str])>,
    &'static str,
);

const MEMBER: &str = "MemberService/GetMember";

const LOOKUPS: &[LookupRow] = &[
    (
        "balances",
        MEMBER,
        "member_id",
        &["member", "balances"],
        None,
        "units of a member, by unit; a number alone is what is available",
    ),
    ("members", MEMBER, "member_id", &["member"], None, "what is known of a member"),
    ("orders", "CheckoutService/GetOrder", "order_id", &[], None, "an order as it is recorded"),
    (
        "rewards",
        "RewardService/ListRewards",
        "member_id",
        &["rewards"],
        None,
        "what is on offer to a member outside an order",
    ),
    ("entries", "MemberService/ListEntries", "member_id", &["entries"], None, "the ledger of a member"),
    (
        "audit_entries",
        "LedgerService/ListAuditEntries",
        "member_id",
        &["entries"],
        None,
        "administrative writes for a member, those refused too",
    ),
    (
        "referrals",
        "ReferralService/GetReferral",
        "referral_id",
        &["referral"],
        Some((MEMBER, &["member", "referral_id"])),
        "the referral of a friend, by the friend",
    ),
];

/// All lookups: those of the table, then the other methods `Get...` and `List...`, by what they give.
pub(super) fn lookups() -> &'static [Lookup] {
    static ALL: OnceLock<Vec<Lookup>> = OnceLock::new();
    ALL.get_or_init(|| {
        let rows = LOOKUPS.iter().map(|(word, method, key, path, via, about)| Lookup {
            word: (*word).to_owned(),
            method: (*method).to_owned(),
            key: (*key).to_owned(),
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            via: *via,
            about: (*about).to_owned(),
        });
        let mut lookups: Vec<Lookup> = rows.collect();
        for method in methods() {
            let name = name_of(&method);
            if lookups.iter().any(|lookup| lookup.method == name) {
                continue;
            }
            let found = by_name(&method).filter(|found| lookups.iter().all(|lookup| lookup.word != found.word));
            lookups.extend(found);
        }
        lookups
    })
}

/// `ListVouchers` gives `vouchers` of a member, `GetAccount` gives `accounts` by id.
fn by_name(method: &MethodDescriptor) -> Option<Lookup> {
    let (input, output) = (method.input(), method.output());
    if input.get_field_by_name("request_id").is_some() || input.get_field_by_name("fence").is_some() {
        return None;
    }
    let snake = snake(method.name());
    let word = match (snake.strip_prefix("list_"), snake.strip_prefix("get_")) {
        (Some(list), _) => list.to_owned(),
        (None, Some(one)) => format!("{one}s"),
        (None, None) => return None,
    };
    let texts = input.fields().filter(|field| field.kind() == Kind::String && field.name() != "program_id");
    let own: Vec<_> = texts.filter(|field| field.name() != "page_token").collect();
    // A thing by its own id; else what belongs to a member.
    let key = own.iter().find(|field| field.name() != "member_id").or(own.first())?;
    let parts: Vec<_> = output.fields().filter(|field| field.name() != "next_page_token").collect();
    let path = match parts.as_slice() {
        [only] if matches!(only.kind(), Kind::Message(_)) => vec![only.name().to_owned()],
        _ => Vec::new(),
    };
    let name = name_of(method);
    Some(Lookup {
        word,
        key: key.name().to_owned(),
        path,
        via: None,
        about: format!("what `{name}` gives"),
        method: name,
    })
}

/// What fields hold when a case does not say it. `#` is the number of the step, or of the line in its list.
pub(super) const DEFAULTS: &[(&str, &str, &str)] = &[
    ("Line", "line_id", "#"),
    ("Line", "quantity", "1"),
    ("Order", "order_id", "order-#"),
    ("ReturnRequest", "return_id", "return-#"),
    ("ReturnRequest", "cause", "return"),
    ("QuoteReturnRequest", "cause", "return"),
    ("RecordOrderEventRequest", "event_id", "event-#"),
    ("RecordEventRequest", "event_id", "event-#"),
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
    ("TierStanding", "level"),
    ("RewardOffer", "available"),
];

/// The field for a single value in a message.
pub(super) fn main_of(message: &str) -> Option<&'static str> {
    MAINS.iter().find(|(name, _)| *name == message).map(|(_, field)| *field)
}

#[cfg(test)]
mod tests {
    use super::super::request::step_fields;
    use super::super::words::method;
    use super::*;

    #[test]
    fn every_row_is_in_the_contract() {
        for step in steps() {
            let request = method(&step.method).unwrap_or_else(|| panic!("{}", step.method)).input();
            // Bug: a single word for `create_account` meant a field that it does not have.
            let known = step_fields(step);
            assert!(known.iter().any(|field| field.name == step.main), "{}: {}", step.word, step.main);
            for flat in step.flat {
                assert!(request.get_field_by_name(flat).is_some(), "{}: {flat}", step.word);
            }
        }
        for lookup in lookups() {
            let request = method(&lookup.method).unwrap_or_else(|| panic!("{}", lookup.method)).input();
            assert!(request.get_field_by_name(&lookup.key).is_some(), "{}", lookup.word);
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
