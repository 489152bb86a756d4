//! Answers as readable trees: money, instants and words as people write them.

use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;
use prost_reflect::{DynamicMessage, MapKey, ReflectMessage as _, Value};
use serde_json::{Value as Json, json};

use super::words::{Field, Sort, fields, word};
use crate::domain::order::Currency;
use crate::domain::time::{Instant, SECOND_MS};
use crate::program::document::money_text;

/// A message, or a part of one.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Tree {
    /// Not there.
    Nothing,
    Text(String),
    Word(String),
    Flag(bool),
    Whole(i64),
    Money(Currency, i64),
    Instant(Instant),
    /// In seconds.
    Length(i64),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

/// What amounts and instants of an answer are about.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) currency: Currency,
    pub(super) zone: TimeZone,
}

impl Tree {
    pub(super) fn get(&self, key: &str) -> Option<&Tree> {
        match self {
            Tree::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// A value by its path, such as `decision.effects`.
    pub(super) fn at(&self, path: &str) -> Option<&Tree> {
        path.split('.').try_fold(self, |tree, key| tree.get(key))
    }

    pub(super) fn items(&self) -> &[Tree] {
        match self {
            Tree::List(items) => items,
            _ => &[],
        }
    }

    /// What tells this one from others of its list: its first field.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Tree::Map(entries) => entries.first().and_then(|(_, value)| value.text()),
            _ => None,
        }
    }

    /// Of a text or word.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Tree::Text(text) | Tree::Word(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        match self {
            Tree::Nothing => true,
            Tree::List(items) => items.is_empty(),
            _ => false,
        }
    }

    /// Whether it says no more than its absence would.
    fn is_plain(&self) -> bool {
        match self {
            Tree::Nothing | Tree::Whole(0) | Tree::Money(_, 0) | Tree::Length(0) => true,
            Tree::List(items) => items.is_empty(),
            Tree::Map(entries) => entries.iter().all(|(_, value)| value.is_plain()),
            _ => false,
        }
    }

    /// As it would be written in a case file, on one line, without what says nothing.
    pub(super) fn line(&self, zone: &TimeZone) -> String {
        match self {
            Tree::Nothing => "none".to_owned(),
            Tree::Text(text) | Tree::Word(text) => flow(text),
            Tree::Flag(flag) => flag.to_string(),
            Tree::Whole(whole) => whole.to_string(),
            Tree::Money(currency, minor) => money_text(*currency, *minor),
            Tree::Instant(at) => moment_text(*at, zone),
            Tree::Length(seconds) => length_text(*seconds),
            Tree::List(items) if items.is_empty() => "none".to_owned(),
            Tree::List(items) => {
                let items: Vec<String> = items.iter().map(|item| item.line(zone)).collect();
                format!("[{}]", items.join(", "))
            }
            Tree::Map(entries) => {
                let said = entries.iter().filter(|(_, value)| !value.is_plain());
                let said: Vec<String> = said.map(|(name, value)| format!("{name}: {}", value.line(zone))).collect();
                format!("{{{}}}", said.join(", "))
            }
        }
    }
}

/// A text as YAML takes it inside brackets.
fn flow(text: &str) -> String {
    let plain = !text.is_empty()
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ' ' | '+' | '='))
        && !text.starts_with(['-', ' '])
        && !text.ends_with(' ');
    if plain { text.to_owned() } else { json!(text).to_string() }
}

/// By the clock of the zone, as short as it can be said.
pub(super) fn moment_text(at: Instant, zone: &TimeZone) -> String {
    let zoned = at.zoned(zone);
    let time = zoned.time();
    let pattern = match (time.second(), time.subsec_nanosecond()) {
        (0, 0) => "%Y-%m-%dT%H:%M",
        (_, 0) => "%Y-%m-%dT%H:%M:%S",
        _ => "%Y-%m-%dT%H:%M:%S%.3f",
    };
    zoned.strftime(pattern).to_string()
}

pub(super) fn length_text(seconds: i64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let fitting = units.iter().find(|(length, _)| seconds != 0 && seconds % length == 0);
    let (count, word) = fitting.map_or((seconds, "second"), |(length, word)| (seconds / length, *word));
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// How deep answers nest: far less than this.
const DEPTH_MAX: usize = 24;

/// The tree of a message.
pub(super) fn tree(message: &DynamicMessage, context: &Context) -> Tree {
    of_message(message, context, 0)
}

fn of_message(message: &DynamicMessage, context: &Context, depth: usize) -> Tree {
    if DEPTH_MAX < depth {
        return Tree::Nothing;
    }
    let descriptor = message.descriptor();
    let named = message.get_field_by_name("currency_code");
    let own = named.and_then(|value| value.as_str().and_then(Currency::parse));
    let context = &Context { currency: own.unwrap_or(context.currency), zone: context.zone.clone() };
    let mut entries = Vec::new();
    for field in fields(&descriptor) {
        let of_choice = field.raw.containing_oneof().is_some_and(|choice| !choice.is_synthetic());
        let is_there = !field.raw.supports_presence() || message.has_field(&field.raw);
        if !is_there {
            if !of_choice {
                entries.push((field.name, Tree::Nothing));
            }
            continue;
        }
        let value = message.get_field(&field.raw);
        let tree = match value.as_ref() {
            Value::List(items) => {
                Tree::List(items.iter().map(|item| of_value(item, &field.sort, context, depth)).collect())
            }
            Value::Map(values) => of_map(values, &field, context, depth),
            value => of_value(value, &field.sort, context, depth),
        };
        entries.push((field.name, tree));
    }
    if let Some(because) = because(&entries) {
        entries.push((BECAUSE.to_owned(), because));
    }
    Tree::Map(entries)
}

/// What an explained rule lacked: the names of its conditions that do not hold.
pub(super) const BECAUSE: &str = "because";

fn because(entries: &[(String, Tree)]) -> Option<Tree> {
    let find = |key: &str| entries.iter().find(|(name, _)| name == key).map(|(_, value)| value);
    let (Tree::Flag(_), Tree::List(conditions)) = (find("applied")?, find("conditions")?) else { return None };
    let unmet = conditions.iter().filter(|condition| condition.get("met") == Some(&Tree::Flag(false)));
    Some(Tree::List(unmet.filter_map(|condition| condition.get("condition").cloned()).collect()))
}

fn of_map(values: &HashMap<MapKey, Value>, field: &Field, context: &Context, depth: usize) -> Tree {
    let sort = field.values_of_map().map_or(Sort::Text, |values| values.sort);
    let named = values.iter().filter_map(|(key, value)| {
        let name = key.as_str()?.to_owned();
        Some((name, of_value(value, &sort, context, depth)))
    });
    Tree::Map(named.collect::<BTreeMap<_, _>>().into_iter().collect())
}

fn of_json(value: &Json) -> Tree {
    match value {
        Json::Null => Tree::Nothing,
        Json::Bool(flag) => Tree::Flag(*flag),
        Json::Number(number) => number.as_i64().map_or_else(|| Tree::Text(number.to_string()), Tree::Whole),
        Json::String(text) => match text.parse::<jiff::Timestamp>() {
            Ok(timestamp) => Tree::Instant(Instant(timestamp.as_millisecond())),
            Err(_) => Tree::Text(text.clone()),
        },
        Json::Array(items) => Tree::List(items.iter().map(of_json).collect()),
        Json::Object(fields) => Tree::Map(fields.iter().map(|(name, value)| (name.clone(), of_json(value))).collect()),
    }
}

fn of_value(value: &Value, sort: &Sort, context: &Context, depth: usize) -> Tree {
    match (sort, value) {
        (Sort::Word(words), Value::EnumNumber(number)) => word(words, *number).map_or(Tree::Nothing, Tree::Word),
        (Sort::Instant, Value::Message(message)) => instant_of(message).map_or(Tree::Nothing, Tree::Instant),
        (Sort::Money, Value::Message(message)) => {
            let minor = message.get_field_by_name("amount_minor").and_then(|value| value.as_i64());
            let code = message.get_field_by_name("currency_code");
            let currency = code.and_then(|code| code.as_str().and_then(Currency::parse));
            minor.map_or(Tree::Nothing, |minor| Tree::Money(currency.unwrap_or(context.currency), minor))
        }
        (_, Value::Message(message)) => of_message(message, context, depth + 1),
        (_, Value::Bool(flag)) => Tree::Flag(*flag),
        (_, Value::String(text)) if text.is_empty() => Tree::Nothing,
        (Sort::Json, Value::String(text)) => {
            serde_json::from_str(text).map_or_else(|_| Tree::Text(text.clone()), |json| of_json(&json))
        }
        (_, Value::String(text)) => Tree::Text(text.clone()),
        (_, Value::Bytes(bytes)) => Tree::Text(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        (sort, value) => match (sort, whole_of(value)) {
            (Sort::Minor, Some(minor)) => Tree::Money(context.currency, minor),
            (Sort::Length, Some(seconds)) => Tree::Length(seconds),
            (_, Some(whole)) => Tree::Whole(whole),
            (_, None) => Tree::Nothing,
        },
    }
}

fn whole_of(value: &Value) -> Option<i64> {
    match value {
        Value::I32(n) => Some(i64::from(*n)),
        Value::I64(n) => Some(*n),
        Value::U32(n) => Some(i64::from(*n)),
        Value::U64(n) => i64::try_from(*n).ok(),
        _ => None,
    }
}

fn instant_of(message: &DynamicMessage) -> Option<Instant> {
    let seconds = message.get_field_by_name("seconds")?.as_i64()?;
    let nanos = message.get_field_by_name("nanos")?.as_i32()?;
    Some(Instant(seconds.checked_mul(SECOND_MS)?.checked_add(i64::from(nanos) / 1_000_000)?))
}
