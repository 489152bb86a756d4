//! The contract in the words of a case file: every message, field and enum value has a name for people, derived from
//! its name in the contract. What the contract gains, cases can say.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};

use crate::grpc::wire;

pub(super) const PACKAGE: &str = "guerdon.v1";
const TIMESTAMP: &str = "google.protobuf.Timestamp";
const MONEY: &str = "guerdon.v1.Money";

/// Fields that the driver of a case takes care of.
const HIDDEN: &[&str] = &["program_id", "replayed", "page_size", "page_token", "next_page_token"];

/// Every message of the contract; `None` only if this program was built wrong.
pub(super) fn contract() -> Option<&'static DescriptorPool> {
    static POOL: OnceLock<Option<DescriptorPool>> = OnceLock::new();
    POOL.get_or_init(|| DescriptorPool::decode(wire::FILE_DESCRIPTOR_SET).ok()).as_ref()
}

/// A method by service and name, such as `CheckoutService/Commit`.
pub(super) fn method(name: &str) -> Option<MethodDescriptor> {
    let (service, method) = name.split_once('/')?;
    let service = contract()?.get_service_by_name(&format!("{PACKAGE}.{service}"))?;
    service.methods().find(|found| found.name() == method)
}

/// The path by which a method is called.
pub(super) fn path_of(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// What a field holds, and so how it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    Text,
    Flag,
    Whole,
    /// Minor units of the currency that the message is about.
    Minor,
    /// A message of currency and minor units.
    Money,
    Instant,
    /// In seconds.
    Length,
    Word(EnumDescriptor),
    /// A text that is JSON: read without a schema.
    Json,
    Message(MessageDescriptor),
}

/// One field with its name in case files.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) raw: FieldDescriptor,
    pub(super) sort: Sort,
}

impl Field {
    pub(super) fn is_list(&self) -> bool {
        self.raw.is_list()
    }

    /// Of a mapping from names, what each name has.
    pub(super) fn values_of_map(&self) -> Option<Field> {
        match self.raw.kind() {
            Kind::Message(entry) if self.raw.is_map() => {
                let raw = entry.map_entry_value_field();
                Some(Field { name: self.name.clone(), sort: sort_of(&raw), raw })
            }
            _ => None,
        }
    }

    /// What the contract says about it, as one paragraph.
    pub(super) fn about(&self) -> String {
        comment_of(&self.raw)
    }

    /// What to write for one value.
    pub(super) fn phrase(&self) -> String {
        match &self.sort {
            Sort::Text => "a text".to_owned(),
            Sort::Json => "a mapping".to_owned(),
            Sort::Flag => "true or false".to_owned(),
            Sort::Whole => "a whole number".to_owned(),
            Sort::Minor | Sort::Money => "an amount such as GBP 12.50".to_owned(),
            Sort::Instant => "a point in time such as 2026-05-01T09:00".to_owned(),
            Sort::Length => "a length of time such as 15 minutes".to_owned(),
            Sort::Word(words) => one_of(&words_of(words)),
            Sort::Message(message) => format!("a mapping of {}", snake(message.name()).replace('_', " ")),
        }
    }
}

fn sort_of(field: &FieldDescriptor) -> Sort {
    let name = field.name();
    match field.kind() {
        Kind::Message(message) if message.full_name() == TIMESTAMP => Sort::Instant,
        Kind::Message(message) if message.full_name() == MONEY => Sort::Money,
        Kind::Message(message) => Sort::Message(message),
        Kind::Enum(words) => Sort::Word(words),
        Kind::Bool => Sort::Flag,
        Kind::Int64 if name.ends_with("_minor") => Sort::Minor,
        Kind::Int64 | Kind::Int32 | Kind::Uint32 if name.ends_with("_seconds") => Sort::Length,
        Kind::Int32
        | Kind::Int64
        | Kind::Uint32
        | Kind::Uint64
        | Kind::Sint32
        | Kind::Sint64
        | Kind::Fixed32
        | Kind::Fixed64
        | Kind::Sfixed32
        | Kind::Sfixed64 => Sort::Whole,
        Kind::String if name.ends_with("_json") => Sort::Json,
        Kind::String | Kind::Bytes | Kind::Double | Kind::Float => Sort::Text,
    }
}

/// The fields of a message that case files see.
pub(super) fn fields(message: &MessageDescriptor) -> Vec<Field> {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let shown: Vec<FieldDescriptor> = message.fields().filter(|field| !HIDDEN.contains(&field.name())).collect();
    for field in &shown {
        *taken.entry(short(message, field)).or_default() += 1;
    }
    let raws: Vec<&str> = shown.iter().map(FieldDescriptor::name).collect();
    let named = shown.iter().map(|field| {
        let short = short(message, field);
        let is_clear = taken.get(&short) == Some(&1) && (short == field.name() || !raws.contains(&short.as_str()));
        let name = if is_clear { short } else { field.name().to_owned() };
        Field { name, raw: field.clone(), sort: sort_of(field) }
    });
    named.collect()
}

/// What a request names itself by, where its name does not say so.
const OWN_IDS: &[(&str, &str)] = &[("RecordOrderEventRequest", "event_id"), ("RecordEventRequest", "event_id")];

/// `amount_minor` is an amount, `line_id` names a line, and a line's own `line_id` is its `id`.
fn short(message: &MessageDescriptor, field: &FieldDescriptor) -> String {
    let name = field.name();
    if field.kind() == Kind::String {
        let own = format!("{}_id", snake(message.name()).trim_end_matches("_request"));
        if name == own || OWN_IDS.contains(&(message.name(), name)) {
            return "id".to_owned();
        }
        if let Some(base) = name.strip_suffix("_id") {
            return base.to_owned();
        }
        if let Some(base) = name.strip_suffix("_ids") {
            return format!("{base}s");
        }
        if name == "currency_code" {
            return "currency".to_owned();
        }
    }
    match sort_of(field) {
        Sort::Minor => name.trim_end_matches("_minor").to_owned(),
        Sort::Json => name.trim_end_matches("_json").to_owned(),
        Sort::Length => name.trim_end_matches("_seconds").to_owned(),
        _ => name.to_owned(),
    }
}

/// The field for a single value of this look, where a message holds one value of several sorts.
pub(super) fn field_by_look(message: &MessageDescriptor, text: &str, plain: bool) -> Option<Field> {
    let choices = fields(message).into_iter().filter(|field| field.raw.containing_oneof().is_some());
    let mut choices: Vec<Field> = choices.filter(|field| !field.is_list()).collect();
    let wanted = match (plain, text) {
        (true, "true" | "false") => Sort::Flag,
        (true, text) if text.parse::<i64>().is_ok() => Sort::Whole,
        _ => Sort::Text,
    };
    let at = choices.iter().position(|field| field.sort == wanted)?;
    Some(choices.swap_remove(at))
}

/// The values of an enum without their common beginning, in lower case, and without "unspecified".
pub(super) fn words_of(words: &EnumDescriptor) -> Vec<String> {
    words.values().filter(|value| value.number() != 0).map(|value| word_of(words, value.name())).collect()
}

fn word_of(words: &EnumDescriptor, value: &str) -> String {
    let prefix = format!("{}_", snake(words.name()).to_uppercase());
    value.strip_prefix(&prefix).unwrap_or(value).to_lowercase()
}

/// The number of a word; `None`: no such word.
pub(super) fn number_of(words: &EnumDescriptor, word: &str) -> Option<i32> {
    words.values().find(|value| value.number() != 0 && word_of(words, value.name()) == word).map(|v| v.number())
}

/// The word of a number; `None` for "unspecified".
pub(super) fn word(words: &EnumDescriptor, number: i32) -> Option<String> {
    if number == 0 {
        return None;
    }
    Some(words.get_value(number).map_or_else(|| number.to_string(), |value| word_of(words, value.name())))
}

/// `UnitsGranted` as `units_granted`.
pub(super) fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for (at, c) in name.char_indices() {
        if c.is_uppercase() && 0 < at {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// "a, b or c"
pub(super) fn one_of<T: AsRef<str>>(words: &[T]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [only] => only.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} or {}", first.join(", "), last.as_ref())
        }
    }
}

fn comment_of(field: &FieldDescriptor) -> String {
    let path = field.path();
    let file = field.parent_file();
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = info.into_iter().flat_map(|info| &info.location);
    let comment = locations
        .filter(|location| location.path == path)
        .find_map(|location| location.leading_comments.clone().or_else(|| location.trailing_comments.clone()));
    comment.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(message: &str) -> Vec<String> {
        let message = contract().and_then(|pool| pool.get_message_by_name(&format!("guerdon.v1.{message}")));
        fields(&message.expect("a message")).into_iter().map(|field| field.name).collect()
    }

    #[test]
    fn fields_have_names_for_people() {
        let line = names("Line");
        for name in ["id", "sku", "categories", "amount", "list_amount", "tax", "kind", "seller"] {
            assert!(line.contains(&name.to_owned()), "{name}: {line:?}");
        }
        // Two fields would be called `subject`: both keep their own names.
        let refusal = names("Refusal");
        assert!(refusal.contains(&"subject".to_owned()) && refusal.contains(&"subject_id".to_owned()), "{refusal:?}");
        let reserve = names("ReserveRequest");
        assert!(reserve.contains(&"ttl".to_owned()) && reserve.contains(&"member".to_owned()), "{reserve:?}");
        assert!(!reserve.contains(&"program".to_owned()), "{reserve:?}");
    }

    #[test]
    fn enum_values_are_words() {
        let cause = contract().and_then(|pool| pool.get_enum_by_name("guerdon.v1.ReturnCause")).expect("an enum");
        assert_eq!(words_of(&cause), ["return", "cancel"]);
        assert_eq!(number_of(&cause, "cancel"), Some(2));
        assert_eq!(number_of(&cause, "unspecified"), None);
        assert_eq!(word(&cause, 1).as_deref(), Some("return"));
    }

    #[test]
    fn the_contract_explains_its_fields() {
        let message = contract().and_then(|pool| pool.get_message_by_name("guerdon.v1.Line")).expect("a message");
        for field in fields(&message) {
            assert!(!field.about().is_empty(), "{}", field.name);
        }
    }
}
