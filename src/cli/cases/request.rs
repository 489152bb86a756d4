//! A step of a case as the request that a checkout would send.

use std::collections::{BTreeMap, HashMap};

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value};

use super::steps::{DEFAULTS, StepWord, main_of};
use super::words::{Field, Sort, field_by_look, fields, method, number_of, one_of, words_of};
use crate::domain::order::Currency;
use crate::domain::time::{Instant, Period};
use crate::program::document::{Content, Entry, Node, Place, Reading, minor_of};

/// What a request is read with.
pub(super) struct Terms<'a> {
    pub(super) currencies: &'a [Currency],
    /// Names under which steps before have kept their answers.
    pub(super) kept: &'a [String],
    /// For ids that the case does not state.
    pub(super) number: usize,
    /// Whose step it is when it does not say.
    pub(super) member: Option<&'a str>,
}

/// A request, but for what earlier answers will tell.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) message: DynamicMessage,
    /// Empty: a guest's.
    pub(super) member: String,
    pub(super) order: Option<String>,
    pub(super) currency: Option<Currency>,
}

struct Reader<'a, 'r> {
    terms: &'a Terms<'a>,
    r: &'r mut Reading,
    currency: Option<Currency>,
}

/// One field of a step, and the message inside the request that has it.
struct Slot {
    field: Field,
    inside: Option<FieldDescriptor>,
}

/// The fields that a step is written with.
fn slots(step: &StepWord, request: &MessageDescriptor) -> Vec<Slot> {
    let mut slots = Vec::new();
    for field in fields(request) {
        match (&field.sort, step.flat.contains(&field.raw.name())) {
            (Sort::Message(inner), true) => {
                let inside = Some(field.raw.clone());
                slots.extend(fields(inner).into_iter().map(|field| Slot { field, inside: inside.clone() }));
            }
            _ => slots.push(Slot { field, inside: None }),
        }
    }
    slots
}

/// The fields that a step is written with, for the reference.
pub(super) fn step_fields(step: &StepWord) -> Vec<Field> {
    let request = method(&step.method).map(|method| method.input());
    request.map(|request| slots(step, &request).into_iter().map(|slot| slot.field).collect()).unwrap_or_default()
}

/// Reads the value of a step word. `None`: a fault has been reported.
pub(super) fn read(step: &StepWord, node: &Node, terms: &Terms<'_>, r: &mut Reading) -> Option<Request> {
    let descriptor = method(&step.method)?.input();
    let slots = slots(step, &descriptor);
    let single; // `return: order-1` stands for `return: {order: order-1}`
    let entries: &[Entry] = match &node.content {
        Content::Map(entries) => entries,
        Content::Scalar { .. } if node.is_blank() => &[],
        Content::Scalar { .. } => {
            let entry = Entry { key: step.main.to_owned(), key_place: node.place, value: node.clone() };
            single = [entry];
            &single
        }
        _ => {
            let names: Vec<&str> = slots.iter().map(|slot| slot.field.name.as_str()).collect();
            r.wrong(node, &format!("a mapping of {}", one_of(&names)), None);
            return None;
        }
    };
    let mut reader = Reader { terms, r, currency: None };
    reader.currency = reader.stated_currency(entries);
    let mut message = DynamicMessage::new(descriptor.clone());
    let mut inner: BTreeMap<u32, DynamicMessage> = BTreeMap::new();
    let mut stated: Vec<&str> = Vec::new();
    let mut complete = true;
    for entry in entries {
        let Some(slot) = slots.iter().find(|slot| slot.field.name == entry.key) else {
            let names: Vec<&str> = slots.iter().map(|slot| slot.field.name.as_str()).collect();
            reader.r.unknown_field(entry, &format!("`{}`", step.word), &names);
            complete = false;
            continue;
        };
        stated.push(slot.field.raw.name());
        let value = reader.within(&entry.key, |reader| reader.field(&slot.field, &entry.value));
        let Some(value) = value else {
            complete = false;
            continue;
        };
        let target = match (&slot.inside, slot.inside.as_ref().map(|field| field.kind())) {
            (Some(field), Some(Kind::Message(of))) => {
                inner.entry(field.number()).or_insert_with(|| DynamicMessage::new(of))
            }
            _ => &mut message,
        };
        if target.try_set_field(&slot.field.raw, value).is_err() {
            reader.r.fault(entry.key_place, "cannot be set here", None);
            complete = false;
        }
    }
    // Also where none of its fields is stated: a return without lines is of everything.
    for name in step.flat {
        let Some(field) = descriptor.get_field_by_name(name) else { continue };
        let Kind::Message(of) = field.kind() else { continue };
        let mut part = inner.remove(&field.number()).unwrap_or_else(|| DynamicMessage::new(of));
        reader.fill(&mut part, &stated, terms.number);
        if of_everything(&part) {
            part.set_field_by_name("everything", Value::Bool(true));
        }
        if part.fields().next().is_none() {
            continue; // nothing is said of it
        }
        message.set_field(&field, Value::Message(part));
    }
    reader.fill(&mut message, &stated, terms.number);
    let currency = reader.currency;
    let member = match descriptor.get_field_by_name("member_id") {
        Some(field) => {
            let stated = message.get_field(&field).as_str().unwrap_or_default().to_owned();
            let member = if stated.is_empty() { terms.member.unwrap_or_default().to_owned() } else { stated };
            if member.is_empty() {
                let hint = "say `member: mia` here, or once for the case; `member: guest` is nobody";
                r.fault(node.place, format!("`{}` must say whose it is", step.word), Some(hint));
                complete = false;
            }
            let member = if member == "guest" { String::new() } else { member };
            message.set_field(&field, Value::String(member.clone()));
            member
        }
        None => String::new(),
    };
    if descriptor.get_field_by_name("explain").is_some() {
        message.set_field_by_name("explain", Value::Bool(true));
    }
    let order = order_of(&message);
    complete.then_some(Request { message, member, order, currency })
}

/// Whether it says neither which lines nor that it is everything.
fn of_everything(message: &DynamicMessage) -> bool {
    message.descriptor().name() == "ReturnWhat"
        && !message.has_field_by_name("lines")
        && !message.has_field_by_name("everything")
}

fn order_of(message: &DynamicMessage) -> Option<String> {
    let own = message.get_field_by_name("order_id").and_then(|value| value.as_str().map(str::to_owned));
    let nested = message.get_field_by_name("order").and_then(|order| {
        let order = order.as_message()?.get_field_by_name("order_id")?.into_owned();
        order.as_str().map(str::to_owned)
    });
    own.or(nested).filter(|id| !id.is_empty())
}

impl Reader<'_, '_> {
    fn within<T>(&mut self, key: &str, read: impl FnOnce(&mut Reader<'_, '_>) -> T) -> T {
        let (terms, currency) = (self.terms, &mut self.currency);
        self.r.within(key, |r| {
            let mut inner = Reader { terms, r, currency: *currency };
            let result = read(&mut inner);
            *currency = inner.currency;
            result
        })
    }

    fn item<T>(&mut self, index: usize, read: impl FnOnce(&mut Reader<'_, '_>) -> T) -> T {
        let (terms, currency) = (self.terms, &mut self.currency);
        self.r.item(index, |r| {
            let mut inner = Reader { terms, r, currency: *currency };
            let result = read(&mut inner);
            *currency = inner.currency;
            result
        })
    }

    /// As the step says, else the only one of the program.
    fn stated_currency(&self, entries: &[Entry]) -> Option<Currency> {
        let stated = entries.iter().find(|entry| entry.key == "currency").and_then(|entry| entry.value.text());
        match (stated, self.terms.currencies) {
            (Some(code), _) => Currency::parse(code),
            (None, [only]) => Some(*only),
            (None, _) => None,
        }
    }

    /// Sets what the case leaves out. `stated` are the fields that it does not.
    fn fill(&self, message: &mut DynamicMessage, stated: &[&str], number: usize) {
        let descriptor = message.descriptor();
        for (name, field, text) in DEFAULTS {
            if *name != descriptor.name() || stated.contains(field) {
                continue;
            }
            let Some(field) = descriptor.get_field_by_name(field) else { continue };
            let text = text.replace('#', &number.to_string());
            let value = match field.kind() {
                Kind::Enum(words) => number_of(&words, &text).map(Value::EnumNumber),
                Kind::Int64 => text.parse().ok().map(Value::I64),
                _ => Some(Value::String(text)),
            };
            if let Some(value) = value {
                message.set_field(&field, value);
            }
        }
        let code = descriptor.get_field_by_name("currency_code");
        if let (Some(field), Some(currency)) = (code, self.currency)
            && !message.has_field(&field)
        {
            message.set_field(&field, Value::String(currency.as_str().to_owned()));
        }
    }

    fn field(&mut self, field: &Field, node: &Node) -> Option<Value> {
        if let Some(values) = field.values_of_map() {
            let entries = self.r.map(node, "a mapping")?;
            let read = entries.iter().map(|entry| {
                let value = self.within(&entry.key, |reader| reader.value(&values, &entry.value, 0));
                value.map(|value| (MapKey::String(entry.key.clone()), value))
            });
            let read: Vec<Option<(MapKey, Value)>> = read.collect();
            return read.into_iter().collect::<Option<HashMap<_, _>>>().map(Value::Map);
        }
        if let (true, Sort::Message(of), Content::Map(entries)) = (field.is_list(), &field.sort, &node.content) {
            return self.keyed(of, entries, node);
        }
        if field.is_list() {
            let items = self.r.list(node, &format!("a list, each item {}", field.phrase()))?;
            let values: Vec<Option<Value>> = items
                .iter()
                .enumerate()
                .map(|(index, item)| self.item(index, |reader| reader.value(field, item, index + 1)))
                .collect();
            return values.into_iter().collect::<Option<Vec<Value>>>().map(Value::List);
        }
        self.value(field, node, self.terms.number)
    }

    /// A list of things by their first field: `{trade: plumber}` for `[{name: trade, text_value: plumber}]`.
    fn keyed(&mut self, of: &MessageDescriptor, entries: &[Entry], node: &Node) -> Option<Value> {
        let Some(first) = fields(of).into_iter().next().filter(|first| first.sort == Sort::Text) else {
            self.r.wrong(node, &format!("a list, each item a mapping of {}", descriptor_words(of)), None);
            return None;
        };
        let items = entries.iter().enumerate().map(|(index, entry)| {
            let key = Content::Scalar { text: entry.key.clone(), plain: false };
            let key = Node { place: entry.key_place, content: key };
            let mut fields = vec![Entry { key: first.name.clone(), key_place: entry.key_place, value: key }];
            match &entry.value.content {
                Content::Scalar { text, plain } => {
                    let main = main_of(of.name()).map(str::to_owned);
                    let by_look = || field_by_look(of, text, *plain).map(|field| field.name);
                    let Some(name) = main.or_else(by_look) else {
                        self.r.wrong(&entry.value, &format!("a mapping of {}", descriptor_words(of)), None);
                        return None;
                    };
                    fields.push(Entry { key: name, key_place: entry.value.place, value: entry.value.clone() });
                }
                _ => fields.extend(entry.value.entries().to_vec()),
            }
            let node = Node { place: entry.value.place, content: Content::Map(fields) };
            self.within(&entry.key, |reader| reader.message(of, &node, index + 1)).map(Value::Message)
        });
        let items: Vec<Option<Value>> = items.collect();
        items.into_iter().collect::<Option<Vec<Value>>>().map(Value::List)
    }

    /// `1990-05-04`, or `05-04` where the year does not matter, for a message of year, month and day.
    fn birthday(&mut self, descriptor: &MessageDescriptor, node: &Node) -> Option<DynamicMessage> {
        let parts: Vec<Option<i32>> = node.text()?.split('-').map(|part| part.parse().ok()).collect();
        let (year, month, day) = match parts.as_slice() {
            [Some(year), Some(month), Some(day)] => (*year, *month, *day),
            [Some(month), Some(day)] => (0, *month, *day),
            _ => {
                self.r.wrong(node, "a day such as 1990-05-04 or 05-04", None);
                return None;
            }
        };
        let mut message = DynamicMessage::new(descriptor.clone());
        for (name, number) in [("year", year), ("month", month), ("day", day)] {
            message.try_set_field_by_name(name, Value::I32(number)).ok()?;
        }
        Some(message)
    }

    fn value(&mut self, field: &Field, node: &Node, number: usize) -> Option<Value> {
        if let Sort::Message(descriptor) = &field.sort {
            return self.message(descriptor, node, number).map(Value::Message);
        }
        if field.sort == Sort::Instant {
            return self.r.moment(node).and_then(|at| stamp(&field.raw, at));
        }
        if field.sort == Sort::Length {
            let seconds = match self.r.length(node)? {
                Period::Seconds(n) => Some(i64::from(n)),
                Period::Minutes(n) => Some(i64::from(n) * 60),
                Period::Hours(n) => Some(i64::from(n) * 3_600),
                Period::Days(n) => Some(i64::from(n) * 86_400),
                Period::Weeks(n) => Some(i64::from(n) * 7 * 86_400),
                Period::Months(_) | Period::Years(_) => None,
            };
            if seconds.is_none() {
                self.r.fault(node.place, "months and years differ in length", Some("use days or hours"));
            }
            return seconds.and_then(|seconds| whole(&field.raw, seconds));
        }
        let text = self.r.scalar(node, &field.phrase())?;
        match &field.sort {
            Sort::Text | Sort::Json => {
                self.check_kept(text, node.place)?;
                let value = match field.raw.kind() {
                    Kind::String => Some(Value::String(text.to_owned())),
                    Kind::Bytes => Some(Value::Bytes(text.as_bytes().to_vec().into())),
                    Kind::Double => text.parse().ok().map(Value::F64),
                    Kind::Float => text.parse().ok().map(Value::F32),
                    _ => None,
                };
                if value.is_none() {
                    self.r.wrong(node, "a number", None);
                }
                value
            }
            Sort::Flag => match text {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                _ => {
                    self.r.wrong(node, "true or false", None);
                    None
                }
            },
            Sort::Whole => {
                let value = text.parse().ok().and_then(|number| whole(&field.raw, number));
                if value.is_none() {
                    self.r.wrong(node, "a whole number", None);
                }
                value
            }
            Sort::Word(words) => {
                let number = number_of(words, text);
                if number.is_none() {
                    let known = words_of(words);
                    let known: Vec<&str> = known.iter().map(String::as_str).collect();
                    self.r.unknown_word(node.place, &one_of(&known), text, &known);
                }
                number.map(Value::EnumNumber)
            }
            Sort::Minor => self.money(text, node.place).map(|(_, minor)| Value::I64(minor)),
            Sort::Money => {
                let (currency, minor) = self.money(text, node.place)?;
                let Kind::Message(descriptor) = field.raw.kind() else { return None };
                let mut message = DynamicMessage::new(descriptor);
                message.set_field_by_name("currency_code", Value::String(currency.as_str().to_owned()));
                message.set_field_by_name("amount_minor", Value::I64(minor));
                Some(Value::Message(message))
            }
            Sort::Instant | Sort::Length | Sort::Message(_) => None, // read above
        }
    }

    fn message(&mut self, descriptor: &MessageDescriptor, node: &Node, number: usize) -> Option<DynamicMessage> {
        if descriptor.name() == "Birthday" && node.text().is_some() {
            return self.birthday(descriptor, node);
        }
        let known = fields(descriptor);
        let names: Vec<&str> = known.iter().map(|field| field.name.as_str()).collect();
        let entries = self.r.map(node, &format!("a mapping of {}", one_of(&names)))?;
        let mut message = DynamicMessage::new(descriptor.clone());
        let mut stated = Vec::new();
        let mut complete = true;
        for entry in entries {
            let Some(field) = known.iter().find(|field| field.name == entry.key) else {
                let of = format!("a {}", descriptor_words(descriptor));
                self.r.unknown_field(entry, &of, &names);
                complete = false;
                continue;
            };
            stated.push(field.raw.name());
            let others = field.raw.containing_oneof().filter(|choice| !choice.is_synthetic());
            if others.is_some_and(|choice| choice.fields().any(|other| message.has_field(&other))) {
                self.r.fault(entry.key_place, format!("`{}` excludes what is stated before it", entry.key), None);
                complete = false;
            }
            match self.within(&entry.key, |reader| reader.field(field, &entry.value)) {
                Some(value) => complete &= message.try_set_field(&field.raw, value).is_ok(),
                None => complete = false,
            }
        }
        self.fill(&mut message, &stated, number);
        complete.then_some(message)
    }

    /// `GBP 12.50`, or `12.50` where the currency is clear.
    fn money(&mut self, text: &str, place: Place) -> Option<(Currency, i64)> {
        let (code, amount) = match text.split_once(' ') {
            Some((code, amount)) => (Some(code), amount.trim()),
            None => (None, text),
        };
        let currency = match (code, self.currency) {
            (Some(code), before) => {
                let Some(currency) = Currency::parse(code) else {
                    self.r.fault(place, format!("`{code}` is no currency"), Some("write GBP 12.50"));
                    return None;
                };
                if before.is_some_and(|before| before != currency) && self.terms.currencies.len() != 1 {
                    self.r.fault(place, "is in another currency than what is before it", None);
                    return None;
                }
                self.currency = Some(currency);
                currency
            }
            (None, Some(currency)) => currency,
            (None, None) => {
                let hint = format!("write the currency too, such as GBP {amount}");
                self.r.fault(place, "in which currency?", Some(&hint));
                return None;
            }
        };
        match minor_of(amount, currency) {
            Ok(minor) => Some((currency, minor)),
            Err(why) => {
                self.r.fault(place, why, Some("amounts are in major units: 20.00 is twenty"));
                None
            }
        }
    }

    /// `$name.path` is taken from the answer that a step before has kept under that name.
    fn check_kept(&mut self, text: &str, place: Place) -> Option<()> {
        let Some(reference) = text.strip_prefix('$') else { return Some(()) };
        let name = reference.split('.').next().unwrap_or_default();
        if self.terms.kept.iter().any(|kept| kept == name) {
            return Some(());
        }
        let known: Vec<&str> = self.terms.kept.iter().map(String::as_str).collect();
        self.r.unknown_word(place, "the name of an answer kept by `as` in a step before", name, &known);
        None
    }
}

fn descriptor_words(descriptor: &MessageDescriptor) -> String {
    super::words::snake(descriptor.name()).replace('_', " ")
}

fn whole(field: &FieldDescriptor, number: i64) -> Option<Value> {
    match field.kind() {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => i32::try_from(number).ok().map(Value::I32),
        Kind::Uint32 | Kind::Fixed32 => u32::try_from(number).ok().map(Value::U32),
        Kind::Uint64 | Kind::Fixed64 => u64::try_from(number).ok().map(Value::U64),
        _ => Some(Value::I64(number)),
    }
}

fn stamp(field: &FieldDescriptor, at: Instant) -> Option<Value> {
    let Kind::Message(descriptor) = field.kind() else { return None };
    let stamp = crate::cli::client::stamp(at);
    let mut message = DynamicMessage::new(descriptor);
    message.set_field_by_name("seconds", Value::I64(stamp.seconds));
    message.set_field_by_name("nanos", Value::I32(stamp.nanos));
    Some(Value::Message(message))
}
