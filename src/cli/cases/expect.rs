//! Expectations: what they can name is checked against the contract when they are read, so that a typo is a fault and
//! not a test that cannot fail.

use jiff::tz::TimeZone;
use prost_reflect::MessageDescriptor;

use super::readable::{BECAUSE, length_text, moment_text};
use super::steps::{Lookup, StepWord, lookups, main_of};
use super::words::{Field, Sort, field_by_look, fields, method, one_of, snake, words_of};
use crate::domain::order::Currency;
use crate::domain::time::{Instant, Period};
use crate::program::document::{Content, Node, Place, Reading, minor_of, money_text};

/// One thing that is expected, and where it is said.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) place: Place,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Is(Leaf),
    /// Something is there, whatever it is.
    Any,
    /// Nothing is there.
    Nothing,
    /// All of these hold.
    All(Vec<Test>),
    /// These fields; others may be there.
    Fields(Vec<(String, Expected)>),
    /// Each of these, in any order; others may be there.
    Has(Vec<Expected>),
    /// These and no others, in this order.
    Exactly(Vec<Expected>),
    /// The item of a list by its first field, which is named first.
    Keyed(String, Vec<(String, Expected)>),
    Count(i64),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Leaf {
    /// A text or a word.
    Text(String),
    Flag(bool),
    Whole(i64),
    /// Without a currency: in that of the answer.
    Money(Option<Currency>, String),
    Instant(Instant),
    Length(i64),
}

#[derive(Clone, Debug)]
pub(super) enum Test {
    AtLeast(Leaf),
    AtMost(Leaf),
    Not(Leaf),
    Contains(String),
}

/// What a step expects.
#[derive(Clone, Debug, Default)]
pub(super) struct Expectation {
    /// Of the answer, by path.
    pub(super) answer: Vec<(Vec<&'static str>, String, Expected)>,
    /// Units granted by the step, by unit.
    pub(super) earned: Option<Expected>,
    /// With the keys that are looked up.
    pub(super) lookups: Vec<(Lookup, Vec<(String, Expected)>)>,
    /// The call fails, and for this reason.
    pub(super) error: Option<(Place, String)>,
    pub(super) names_refusals: bool,
}

const EARNED: &str = "earned";
const REFUSED: &str = "refused";
const ERROR: &str = "error";
/// Whatever was refused, or nothing.
const IGNORE: &str = "ignore";
const TESTS: &[&str] = &["at_least", "at_most", "not", "contains"];
const LIST_TESTS: &[&str] = &["exactly", "count"];

/// A field of an answer that expectations can name, and where it is.
struct Slot {
    name: String,
    path: Vec<&'static str>,
    field: Field,
}

fn slots(answer: &MessageDescriptor) -> Vec<Slot> {
    let mut slots = Vec::new();
    for field in fields(answer) {
        match (&field.sort, field.name.as_str()) {
            (Sort::Message(inner), "decision") => {
                let inside = fields(inner).into_iter();
                slots.extend(inside.map(|field| Slot { name: called(&field), path: vec!["decision"], field }));
            }
            _ => slots.push(Slot { name: called(&field), path: Vec::new(), field }),
        }
    }
    slots.retain(|slot| lookups().iter().all(|lookup| lookup.word != slot.name));
    slots
}

/// Refusals are what was `refused`.
fn called(field: &Field) -> String {
    if field.name == "refusals" { REFUSED.to_owned() } else { field.name.clone() }
}

/// What an answer can be asked, for the reference.
pub(super) fn answer_fields(step: &StepWord) -> Vec<(String, Field)> {
    let answer = method(&step.method).map(|method| method.output());
    answer.map(|answer| slots(&answer).into_iter().map(|slot| (slot.name, slot.field)).collect()).unwrap_or_default()
}

/// Reads the value of `expect`. `step` is none where only time passes.
pub(super) fn read(step: Option<&StepWord>, node: &Node, r: &mut Reading) -> Option<Expectation> {
    let answer = step.and_then(|step| method(&step.method)).map(|method| method.output());
    let slots = answer.as_ref().map(slots).unwrap_or_default();
    let decides = slots.iter().any(|slot| slot.name == "effects");
    let mut known: Vec<&str> = slots.iter().map(|slot| slot.name.as_str()).collect();
    known.extend(lookups().iter().map(|lookup| lookup.word.as_str()));
    known.extend(decides.then_some(EARNED));
    known.extend(step.is_some().then_some(ERROR));
    let entries = r.map(node, &format!("a mapping of {}", one_of(&known)))?;
    let mut expectation = Expectation::default();
    let mut complete = true;
    for entry in entries {
        let key = entry.key.as_str();
        if let Some(slot) = slots.iter().find(|slot| slot.name == key) {
            expectation.names_refusals |= key == REFUSED;
            if key == REFUSED && entry.value.text() == Some(IGNORE) {
                continue;
            }
            match r.within(key, |r| of_field(&slot.field, &entry.value, r)) {
                Some(expected) => expectation.answer.push((slot.path.clone(), slot.field.name.clone(), expected)),
                None => complete = false,
            }
        } else if let Some(lookup) = lookups().iter().find(|lookup| lookup.word == key) {
            match r.within(key, |r| of_lookup(lookup, &entry.value, r)) {
                Some(keys) => expectation.lookups.push((lookup.clone(), keys)),
                None => complete = false,
            }
        } else if key == EARNED && decides {
            match r.within(key, |r| of_earned(&entry.value, r)) {
                Some(expected) => expectation.earned = Some(expected),
                None => complete = false,
            }
        } else if key == ERROR && step.is_some() {
            match r.within(key, |r| of_error(&entry.value, r)) {
                Some(reason) => expectation.error = Some((entry.value.place, reason)),
                None => complete = false,
            }
        } else {
            r.unknown_field(entry, "`expect`", &known);
            complete = false;
        }
    }
    complete.then_some(expectation)
}

/// Why a call may fail.
pub(super) fn error_words() -> Vec<String> {
    let reasons = super::words::contract().and_then(|pool| pool.get_enum_by_name("guerdon.v1.ErrorReason"));
    reasons.map(|reasons| words_of(&reasons)).unwrap_or_default()
}

fn of_error(node: &Node, r: &mut Reading) -> Option<String> {
    let known = error_words();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let text = r.scalar(node, "the reason of an error")?;
    if !known.contains(&text) {
        r.unknown_word(node.place, "the reason of an error", text, &known);
        return None;
    }
    Some(text.to_owned())
}

fn of_earned(node: &Node, r: &mut Reading) -> Option<Expected> {
    let place = node.place;
    if node.text() == Some("none") {
        return Some(Expected { place, what: What::Nothing });
    }
    let entries = r.map(node, "units by unit such as {points: 12}, or none")?;
    let read = entries.iter().map(|entry| {
        let value = r.within(&entry.key, |r| of_leaf(&Sort::Whole, &entry.value, r));
        value.map(|value| (entry.key.clone(), value))
    });
    let read: Vec<Option<(String, Expected)>> = read.collect();
    Some(Expected { place, what: What::Fields(read.into_iter().collect::<Option<_>>()?) })
}

fn of_lookup(lookup: &Lookup, node: &Node, r: &mut Reading) -> Option<Vec<(String, Expected)>> {
    let answer = method(&lookup.method)?.output();
    let entries = r.map(node, "a mapping from whose it is to what is expected")?;
    let read = entries.iter().map(|entry| {
        let expected = r.within(&entry.key, |r| of_path(&answer, &lookup.path, &entry.value, r));
        expected.map(|expected| (entry.key.clone(), expected))
    });
    let read: Vec<Option<_>> = read.collect();
    read.into_iter().collect()
}

fn of_path(message: &MessageDescriptor, path: &[String], node: &Node, r: &mut Reading) -> Option<Expected> {
    let Some((first, rest)) = path.split_first() else { return of_message(message, node, r) };
    let field = fields(message).into_iter().find(|field| field.raw.name() == *first)?;
    match (&field.sort, rest) {
        (_, []) => of_field(&field, node, r),
        (Sort::Message(inner), rest) => of_path(inner, rest, node, r),
        _ => None,
    }
}

fn of_field(field: &Field, node: &Node, r: &mut Reading) -> Option<Expected> {
    let place = node.place;
    if let Some(word) = present(node) {
        return Some(word);
    }
    if let Some(values) = field.values_of_map() {
        let entries = r.map(node, "a mapping")?;
        let read = entries.iter().map(|entry| {
            let value = r.within(&entry.key, |r| of_value(&values, &entry.value, r));
            value.map(|value| (entry.key.clone(), value))
        });
        let read: Vec<Option<_>> = read.collect();
        return Some(Expected { place, what: What::Fields(read.into_iter().collect::<Option<_>>()?) });
    }
    if field.is_list() { of_list(field, node, r) } else { of_value(field, node, r) }
}

/// `any` and `none` stand for every value.
fn present(node: &Node) -> Option<Expected> {
    let what = match &node.content {
        Content::Scalar { text, plain: true } if text == "any" => What::Any,
        Content::Scalar { text, plain: true } if text == "none" => What::Nothing,
        _ => return None,
    };
    Some(Expected { place: node.place, what })
}

fn of_list(field: &Field, node: &Node, r: &mut Reading) -> Option<Expected> {
    let place = node.place;
    match &node.content {
        Content::List(items) => {
            let items = of_items(field, items, r)?;
            Some(Expected { place, what: What::Has(items) })
        }
        Content::Map(entries) => {
            if let [only] = entries.as_slice()
                && LIST_TESTS.contains(&only.key.as_str())
            {
                return r.within(&only.key, |r| of_list_test(field, &only.key, &only.value, r));
            }
            let Sort::Message(of) = &field.sort else {
                r.wrong(node, "a list, {exactly: [...]} or {count: ...}", None);
                return None;
            };
            let first = fields(of).into_iter().next().filter(|first| !matches!(first.sort, Sort::Message(_)));
            let Some(first) = first else {
                let hint = "write [{...}], or {exactly: [...]} when there must be no others";
                r.wrong(node, "a list", Some(hint));
                return None;
            };
            if let Sort::Word(words) = &first.sort {
                let known = words_of(words);
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
                    r.unknown_word(entry.key_place, &one_of(&known), &entry.key, &known);
                }
            }
            let read = entries.iter().map(|entry| {
                let value = r.within(&entry.key, |r| match present(&entry.value) {
                    Some(word) => Some(word),
                    None => of_value(field, &entry.value, r),
                });
                value.map(|value| (entry.key.clone(), value))
            });
            let read: Vec<Option<_>> = read.collect();
            Some(Expected { place, what: What::Keyed(first.name, read.into_iter().collect::<Option<_>>()?) })
        }
        // One value: the list has it.
        Content::Scalar { .. } => {
            let item = of_value(field, node, r)?;
            Some(Expected { place, what: What::Has(vec![item]) })
        }
        Content::Broken => None,
    }
}

fn of_items(field: &Field, items: &[Node], r: &mut Reading) -> Option<Vec<Expected>> {
    let read = items.iter().enumerate().map(|(index, item)| r.item(index, |r| of_value(field, item, r)));
    let read: Vec<Option<Expected>> = read.collect();
    read.into_iter().collect()
}

fn of_list_test(field: &Field, test: &str, node: &Node, r: &mut Reading) -> Option<Expected> {
    let place = node.place;
    if test == "count" {
        let text = r.scalar(node, "a whole number")?;
        let Ok(count) = text.parse() else {
            r.wrong(node, "a whole number", None);
            return None;
        };
        return Some(Expected { place, what: What::Count(count) });
    }
    let items = r.list(node, "a list")?;
    let items = of_items(field, items, r)?;
    Some(Expected { place, what: What::Exactly(items) })
}

fn of_value(field: &Field, node: &Node, r: &mut Reading) -> Option<Expected> {
    // A share is of units, or of money in minor units: `GBP 5.00` says it as amounts are written.
    let share = field.sort == Sort::Whole && field.raw.parent_message().name() == "LineShare";
    if share && node.text().is_some_and(|text| text.contains(' ')) {
        return of_leaf(&Sort::Minor, node, r);
    }
    match &field.sort {
        Sort::Message(message) => of_message(message, node, r),
        Sort::Json => of_json(node, r),
        sort => of_leaf(sort, node, r),
    }
}

fn of_message(message: &MessageDescriptor, node: &Node, r: &mut Reading) -> Option<Expected> {
    let place = node.place;
    if let Some(word) = present(node) {
        return Some(word);
    }
    let known = fields(message);
    // `{at_least: 5}` is asked of the field that matters, as `5` is.
    let asks = !node.entries().is_empty() && node.entries().iter().all(|entry| TESTS.contains(&entry.key.as_str()));
    let single = asks || matches!(node.content, Content::Scalar { .. });
    if let (true, Some(main)) = (single, main_of(message.name())) {
        let field = known.iter().find(|field| field.name == main)?;
        let value = of_value(field, node, r)?;
        return Some(Expected { place, what: What::Fields(vec![(main.to_owned(), value)]) });
    }
    if let Content::Scalar { text, plain } = &node.content
        && let Some(field) = field_by_look(message, text, *plain)
    {
        let value = of_value(&field, node, r)?;
        return Some(Expected { place, what: What::Fields(vec![(field.name, value)]) });
    }
    let explains = message.name() == "ExplainRule";
    let mut names: Vec<&str> = known.iter().map(|field| field.name.as_str()).collect();
    names.extend(explains.then_some(BECAUSE));
    let title = snake(message.name()).replace('_', " ");
    let entries = r.map(node, &format!("a mapping of {}", one_of(&names)))?;
    let mut read = Vec::new();
    let mut complete = true;
    for entry in entries {
        let value = match known.iter().find(|field| field.name == entry.key) {
            Some(field) => r.within(&entry.key, |r| of_field(field, &entry.value, r)),
            None if explains && entry.key == BECAUSE => r.within(BECAUSE, |r| of_because(&entry.value, r)),
            None => {
                r.unknown_field(entry, &format!("a {title}"), &names);
                None
            }
        };
        match value {
            Some(value) => read.push((entry.key.clone(), value)),
            None => complete = false,
        }
    }
    complete.then_some(Expected { place, what: What::Fields(read) })
}

/// Names of conditions: one of them, a list, or all of them: `{exactly: [...]}`.
fn of_because(node: &Node, r: &mut Reading) -> Option<Expected> {
    if let Some(word) = present(node) {
        return Some(word);
    }
    let place = node.place;
    if let [only] = node.entries()
        && only.key == "exactly"
    {
        let Expected { what: What::Has(items), .. } = r.within(&only.key, |r| of_because(&only.value, r))? else {
            return None;
        };
        return Some(Expected { place, what: What::Exactly(items) });
    }
    let items = match &node.content {
        Content::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let read: Vec<Option<Expected>> = items.iter().map(|item| of_leaf(&Sort::Text, item, r)).collect();
    Some(Expected { place, what: What::Has(read.into_iter().collect::<Option<_>>()?) })
}

/// What has no schema: any names.
fn of_json(node: &Node, r: &mut Reading) -> Option<Expected> {
    let place = node.place;
    if let Some(word) = present(node) {
        return Some(word);
    }
    let what = match &node.content {
        Content::Map(entries) => {
            let read = entries.iter().map(|entry| {
                r.within(&entry.key, |r| of_json(&entry.value, r)).map(|value| (entry.key.clone(), value))
            });
            let read: Vec<Option<_>> = read.collect();
            What::Fields(read.into_iter().collect::<Option<_>>()?)
        }
        Content::List(items) => {
            let read: Vec<Option<_>> = items.iter().map(|item| of_json(item, r)).collect();
            What::Has(read.into_iter().collect::<Option<_>>()?)
        }
        Content::Scalar { text, .. } => What::Is(match (text.as_str(), text.parse::<i64>()) {
            (_, Ok(whole)) => Leaf::Whole(whole),
            ("true", _) => Leaf::Flag(true),
            ("false", _) => Leaf::Flag(false),
            _ => Leaf::Text(text.clone()),
        }),
        Content::Broken => return None,
    };
    Some(Expected { place, what })
}

fn of_leaf(sort: &Sort, node: &Node, r: &mut Reading) -> Option<Expected> {
    let place = node.place;
    if let Some(word) = present(node) {
        return Some(word);
    }
    let Content::Map(entries) = &node.content else {
        return leaf(sort, node, r).map(|leaf| Expected { place, what: What::Is(leaf) });
    };
    let mut tests = Vec::new();
    let mut complete = true;
    for entry in entries {
        let test = r.within(&entry.key, |r| match entry.key.as_str() {
            "at_least" => leaf(sort, &entry.value, r).map(Test::AtLeast),
            "at_most" => leaf(sort, &entry.value, r).map(Test::AtMost),
            "not" => leaf(sort, &entry.value, r).map(Test::Not),
            "contains" => r.scalar(&entry.value, "a text").map(|text| Test::Contains(text.to_owned())),
            _ => {
                r.unknown_word(entry.key_place, &one_of(TESTS), &entry.key, TESTS);
                None
            }
        });
        match test {
            Some(test) => tests.push(test),
            None => complete = false,
        }
    }
    complete.then_some(Expected { place, what: What::All(tests) })
}

fn leaf(sort: &Sort, node: &Node, r: &mut Reading) -> Option<Leaf> {
    match sort {
        Sort::Text => r.scalar(node, "a text").map(|text| Leaf::Text(text.to_owned())),
        Sort::Word(words) => {
            let known = words_of(words);
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let text = r.scalar(node, &one_of(&known))?;
            if !known.contains(&text) {
                r.unknown_word(node.place, "another word", text, &known);
                return None;
            }
            Some(Leaf::Text(text.to_owned()))
        }
        Sort::Flag => match r.scalar(node, "true or false")? {
            "true" => Some(Leaf::Flag(true)),
            "false" => Some(Leaf::Flag(false)),
            _ => {
                r.wrong(node, "true or false", None);
                None
            }
        },
        Sort::Whole => {
            let text = r.scalar(node, "a whole number")?;
            let whole = text.parse().ok();
            if whole.is_none() {
                r.wrong(node, "a whole number", None);
            }
            whole.map(Leaf::Whole)
        }
        Sort::Minor | Sort::Money => {
            let text = r.scalar(node, "an amount such as GBP 12.50")?;
            let Some((code, amount)) = text.split_once(' ') else {
                return Some(Leaf::Money(None, text.to_owned()));
            };
            let Some(currency) = Currency::parse(code) else {
                r.fault(node.place, format!("`{code}` is no currency"), Some("write GBP 12.50"));
                return None;
            };
            if let Err(why) = minor_of(amount.trim(), currency) {
                r.fault(node.place, why, None);
                return None;
            }
            Some(Leaf::Money(Some(currency), amount.trim().to_owned()))
        }
        Sort::Instant => r.moment(node).map(Leaf::Instant),
        Sort::Length => {
            let seconds = match r.length(node)? {
                Period::Seconds(n) => i64::from(n),
                Period::Minutes(n) => i64::from(n) * 60,
                Period::Hours(n) => i64::from(n) * 3_600,
                Period::Days(n) => i64::from(n) * 86_400,
                Period::Weeks(n) => i64::from(n) * 604_800,
                Period::Months(_) | Period::Years(_) => {
                    r.fault(node.place, "months and years differ in length", Some("use days or hours"));
                    return None;
                }
            };
            Some(Leaf::Length(seconds))
        }
        Sort::Json | Sort::Message(_) => None, // read elsewhere
    }
}

impl Leaf {
    pub(super) fn line(&self, zone: &TimeZone) -> String {
        match self {
            Leaf::Text(text) => text.clone(),
            Leaf::Flag(flag) => flag.to_string(),
            Leaf::Whole(whole) => whole.to_string(),
            Leaf::Money(None, amount) => amount.clone(),
            Leaf::Money(Some(currency), amount) => {
                minor_of(amount, *currency).map_or_else(|_| amount.clone(), |minor| money_text(*currency, minor))
            }
            Leaf::Instant(at) => moment_text(*at, zone),
            Leaf::Length(seconds) => length_text(*seconds),
        }
    }
}

impl Expected {
    /// As the case says it, on one line.
    pub(super) fn line(&self, zone: &TimeZone) -> String {
        let list = |items: &[Expected]| {
            let items: Vec<String> = items.iter().map(|item| item.line(zone)).collect();
            format!("[{}]", items.join(", "))
        };
        let map = |entries: &[(String, Expected)]| {
            let entries: Vec<String> =
                entries.iter().map(|(name, value)| format!("{name}: {}", value.line(zone))).collect();
            format!("{{{}}}", entries.join(", "))
        };
        match &self.what {
            What::Is(leaf) => leaf.line(zone),
            What::Any => "any".to_owned(),
            What::Nothing => "none".to_owned(),
            What::All(tests) => {
                let tests: Vec<String> = tests.iter().map(|test| test.line(zone)).collect();
                format!("{{{}}}", tests.join(", "))
            }
            What::Fields(entries) | What::Keyed(_, entries) => map(entries),
            What::Has(items) => list(items),
            What::Exactly(items) => format!("{{exactly: {}}}", list(items)),
            What::Count(count) => format!("{{count: {count}}}"),
        }
    }
}

impl Test {
    pub(super) fn line(&self, zone: &TimeZone) -> String {
        match self {
            Test::AtLeast(leaf) => format!("at_least: {}", leaf.line(zone)),
            Test::AtMost(leaf) => format!("at_most: {}", leaf.line(zone)),
            Test::Not(leaf) => format!("not: {}", leaf.line(zone)),
            Test::Contains(text) => format!("contains: {text}"),
        }
    }
}
