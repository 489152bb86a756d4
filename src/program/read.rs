//! The reader: takes a tree apart by declared sections and collects every fault on the way.
//!
//! A section is declared once, by [`section!`] or [`choice!`]: its fields with type, default and meaning. The
//! decoder, the JSON Schema and the reference all come from that declaration. To add a kind of rule, declare its
//! section, say how it becomes a domain value ([`Build`]), and name it where it may stand.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use super::fault::{Collector, Pos, nearest, quoted};
use super::place::Source;
use super::tree::{Content, Entry, Node, Path};
use super::{CURRENCIES_MAX, UNITS_MAX};
use crate::domain::id::{Label, UnitId};
use crate::domain::order::Currency;
use crate::domain::program::{AttributeType, LifeTerms};

/// Something that can stand in a program file.
pub(super) trait Value {
    type Out;

    /// `None`: a fault has been reported.
    fn read(node: &Node, r: &mut Reader) -> Option<Self::Out>;

    /// What to write there, for the reference.
    fn phrase() -> String;

    fn schema() -> Json;

    /// The sections that it consists of.
    fn sections(_: &mut Vec<SectionInfo>) {}
}

/// A value and where it stands. `pos` is the section's own place when the value is a default.
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) pos: Pos,
    key: &'static str,
}

/// A declared group of fields. Each field is `None` when it is absent without default, or was faulty.
pub(super) trait Section: Sized {
    const TITLE: &'static str;
    const FIELDS: &'static [&'static str];

    fn about() -> SectionInfo;
    fn take(section: &Node, r: &mut Reader) -> Self;
    fn parts(into: &mut Vec<SectionInfo>);
}

/// How a section becomes what the domain reads. Checks between fields go here.
pub(super) trait Build {
    type Out;

    /// `None` only when something was reported.
    fn build(self, pos: Pos, r: &mut Reader) -> Option<Self::Out>;
}

#[derive(Clone, Copy)]
pub(super) enum Presence {
    Required,
    /// What the file would have to say for the same effect.
    Default(&'static str),
    /// What holds when it is absent.
    Without(&'static str),
}

pub(super) struct SectionInfo {
    pub(super) title: &'static str,
    pub(super) doc: String,
    /// Exactly one of the fields is there.
    pub(super) choice: bool,
    pub(super) fields: Vec<FieldInfo>,
}

pub(super) struct FieldInfo {
    pub(super) name: &'static str,
    pub(super) doc: String,
    pub(super) presence: Presence,
    pub(super) phrase: String,
    pub(super) schema: Json,
}

impl FieldInfo {
    pub(super) fn of<T: Value>(name: &'static str, doc: &str, presence: Presence) -> FieldInfo {
        let doc = doc.trim().to_owned();
        FieldInfo { name, doc, presence, phrase: T::phrase(), schema: T::schema() }
    }
}

/// Declares a section: `name: Type, Required;`, `..., Default("text");` or `..., Without("what holds");`.
macro_rules! section {
    (
        $(#[doc = $doc:literal])+
        $name:ident = $title:literal {
            $( $(#[doc = $field_doc:literal])+ $field:ident: $type:ty, $presence:ident $(($text:literal))?; )+
        }
    ) => {
        $(#[doc = $doc])+
        pub(in crate::program) struct $name {
            $( pub(in crate::program) $field: Option<At<<$type as Value>::Out>>, )+
        }

        impl Section for $name {
            const TITLE: &'static str = $title;
            const FIELDS: &'static [&'static str] = &[$( stringify!($field), )+];

            fn about() -> SectionInfo {
                let fields = vec![$(
                    FieldInfo::of::<$type>(
                        stringify!($field),
                        concat!($($field_doc),+),
                        Presence::$presence $(($text))?,
                    ),
                )+];
                let doc = concat!($($doc),+).trim().to_owned();
                SectionInfo { title: $title, doc, choice: false, fields }
            }

            fn take(section: &Node, r: &mut Reader) -> $name {
                $name {
                    $( $field: r.field::<$type>(section, stringify!($field), Presence::$presence $(($text))?), )+
                }
            }

            fn parts(into: &mut Vec<SectionInfo>) {
                $( <$type as Value>::sections(into); )+
            }
        }

        section_value!($name);
    };
}

/// Declares a section of which exactly one field is there, each a variant of one domain type.
macro_rules! choice {
    (
        $(#[doc = $doc:literal])+
        $name:ident = $title:literal -> $out:ty {
            $( $(#[doc = $field_doc:literal])+ $field:ident: $type:ty => $variant:expr; )+
        }
    ) => {
        $(#[doc = $doc])+
        pub(in crate::program) struct $name(Option<$out>);

        impl Section for $name {
            const TITLE: &'static str = $title;
            const FIELDS: &'static [&'static str] = &[$( stringify!($field), )+];

            fn about() -> SectionInfo {
                let without = Presence::Without("another is stated");
                let fields = vec![$(
                    FieldInfo::of::<$type>(stringify!($field), concat!($($field_doc),+), without),
                )+];
                let doc = concat!($($doc),+).trim().to_owned();
                SectionInfo { title: $title, doc, choice: true, fields }
            }

            fn take(section: &Node, r: &mut Reader) -> $name {
                r.exactly_one(section, Self::FIELDS);
                let mut chosen: Option<$out> = None;
                $(
                    let without = Presence::Without("another is stated");
                    if let Some(found) = r.field::<$type>(section, stringify!($field), without) {
                        chosen = Some($variant(found.value));
                    }
                )+
                $name(chosen)
            }

            fn parts(into: &mut Vec<SectionInfo>) {
                $( <$type as Value>::sections(into); )+
            }
        }

        impl Build for $name {
            type Out = $out;

            fn build(self, _: Pos, _: &mut Reader) -> Option<$out> {
                self.0
            }
        }

        section_value!($name);
    };
}

/// A section reads like any other value.
macro_rules! section_value {
    ($name:ident) => {
        impl Value for $name {
            type Out = <$name as Build>::Out;

            fn read(node: &Node, r: &mut Reader) -> Option<Self::Out> {
                let before = r.faults.count();
                r.mapping(node, Self::TITLE, Self::FIELDS)?;
                let section = Self::take(node, r);
                r.built_after(before);
                section.build(node.pos, r)
            }

            fn phrase() -> String {
                crate::program::read::section_phrase(Self::TITLE)
            }

            fn schema() -> Json {
                crate::program::read::section_schema(Self::TITLE)
            }

            fn sections(into: &mut Vec<SectionInfo>) {
                match into.iter().find(|known| known.title == Self::TITLE) {
                    // Two sections of one title would be one in the reference and in the schema.
                    Some(known) => assert_eq!(known.doc, Self::about().doc, "two sections have one title"),
                    None => {
                        into.push(Self::about());
                        Self::parts(into);
                    }
                }
            }
        }
    };
}

/// Declares a value that is one of a few words.
macro_rules! words {
    ($name:ident -> $out:ty { $( $word:literal => $value:expr, $doc:literal; )+ }) => {
        pub(in crate::program) struct $name;

        impl Value for $name {
            type Out = $out;

            fn read(node: &Node, r: &mut Reader) -> Option<$out> {
                const KNOWN: &[&str] = &[$( $word, )+];
                let text = r.scalar(node, crate::program::read::one_of(KNOWN))?;
                match text {
                    $( $word => Some($value), )+
                    _ => {
                        r.unknown_word(node.pos, text, KNOWN);
                        None
                    }
                }
            }

            fn phrase() -> String {
                [$( concat!("`", $word, "`: ", $doc), )+].join("; ")
            }

            fn schema() -> Json {
                json!({ "enum": [$( $word, )+] })
            }
        }
    };
}

/// Declares a value that names something which a section of the file declares, by key or by `id`.
macro_rules! declared {
    ($name:ident -> $id:ty, $section:literal, $what:literal) => {
        pub(in crate::program) struct $name;

        impl Value for $name {
            type Out = $id;

            fn read(node: &Node, r: &mut Reader) -> Option<$id> {
                let found = Name::<$id>::read(node, r)?;
                let known = r.names.declared($section);
                if known.contains(&found.as_str()) {
                    return Some(found);
                }
                let hint = r.suggestion(found.as_str(), &known);
                let hint = hint.unwrap_or_else(|| concat!("declare it under `", $section, "`").to_owned());
                let message = format!(concat!("{} is no ", $what, " of this program"), quoted(found.as_str()));
                r.fault(node.pos, message, Some(&hint));
                None
            }

            fn phrase() -> String {
                concat!("the name of a ", $what, " that `", $section, "` declares").to_owned()
            }

            fn schema() -> Json {
                Name::<$id>::schema()
            }
        }
    };
}

pub(super) use {choice, declared, section, section_value, words};

/// What the whole file declares, gathered before it is read, so that names can be used before they are declared
/// and a fault in a declaration does not make every use of it a fault.
#[derive(Default)]
pub(super) struct Names {
    /// `None`: not readable, so uses are not checked.
    pub(super) currencies: Option<Vec<Currency>>,
    pub(super) units: Vec<UnitId>,
    pub(super) stores: BTreeSet<Label>,
    /// `None`: not readable.
    pub(super) zone: Option<TimeZone>,
    /// Filled as units are read, which is before rules are.
    pub(super) lives: BTreeMap<UnitId, LifeTerms>,
    /// Units that are paid out.
    pub(super) paid_out: Vec<UnitId>,
    /// By section of the file: the keys of its mapping, or the ids in its list.
    declared: BTreeMap<String, BTreeSet<String>>,
    /// Counters that sum up what is spent.
    pub(super) spend: BTreeSet<String>,
    /// What `attributes` declares.
    pub(super) attributes: BTreeMap<Label, AttributeType>,
    /// What types of `events` declare, by name: each type of value once, with an event type that has it.
    pub(super) event_attributes: BTreeMap<Label, Vec<(String, AttributeType)>>,
    /// Event types with the attributes that each declares.
    carried: BTreeSet<(String, Label)>,
    /// The levels of each ladder in `tiers`, by id.
    pub(super) levels: BTreeMap<String, Vec<String>>,
}

impl Names {
    pub(super) fn of(root: &Node) -> Names {
        let currencies = match root.get("currencies").map(|node| &node.content) {
            Some(Content::List(items)) if !items.is_empty() && items.len() <= CURRENCIES_MAX => {
                items.iter().map(|item| item.text().and_then(super::value::currency_of_life)).collect()
            }
            _ => None,
        };
        let units = match root.get("units") {
            None => vec![UnitId::points()],
            Some(node) => keys(node).take(UNITS_MAX).filter_map(|key| UnitId::parse(key).ok()).collect(),
        };
        let stores = root.get("stores").into_iter().flat_map(keys).filter_map(|key| Label::parse(key).ok());
        let zone = root.get("time_zone").and_then(Node::text).and_then(|name| TimeZone::get(name).ok());
        let mut declared = BTreeMap::new();
        if let Content::Map(sections) = &root.content {
            for section in sections {
                let names: BTreeSet<String> = match &section.value.content {
                    Content::Map(entries) => entries.iter().map(|entry| entry.key.clone()).collect(),
                    Content::List(items) => {
                        items.iter().filter_map(|item| Some(item.get("id")?.text()?.to_owned())).collect()
                    }
                    Content::Scalar { .. } | Content::Broken => BTreeSet::new(),
                };
                declared.insert(section.key.clone(), names);
            }
        }
        Names {
            currencies,
            units,
            stores: stores.collect(),
            zone,
            lives: BTreeMap::new(),
            paid_out: Vec::new(),
            declared,
            spend: spend_of(root),
            attributes: attributes_of(root),
            event_attributes: event_attributes_of(root),
            carried: carried(root),
            levels: levels_of(root),
        }
    }

    /// Whether events of a type may carry an attribute.
    pub(super) fn carries(&self, event: &str, attribute: &Label) -> bool {
        self.carried.contains(&(event.to_owned(), attribute.clone()))
    }

    /// Whether the file has a section.
    pub(super) fn has(&self, section: &str) -> bool {
        self.declared.contains_key(section)
    }

    /// What a section of the file declares by name or id.
    pub(super) fn declared(&self, section: &str) -> Vec<&str> {
        self.declared.get(section).into_iter().flatten().map(String::as_str).collect()
    }
}

fn spend_of(root: &Node) -> BTreeSet<String> {
    let declared = root.get("counters").map(|node| &node.content);
    let entries: &[Entry] = if let Some(Content::Map(entries)) = declared { entries } else { &[] };
    let counts = |entry: &&Entry| entry.value.get("counts").and_then(Node::text) == Some("spend");
    entries.iter().filter(counts).map(|entry| entry.key.clone()).collect()
}

fn carried(root: &Node) -> BTreeSet<(String, Label)> {
    let events = root.get("events").into_iter().flat_map(entries);
    let each = |event: &Entry| {
        attributes_of(&event.value).into_keys().map(|name| (event.key.clone(), name)).collect::<Vec<_>>()
    };
    events.flat_map(each).collect()
}

fn event_attributes_of(root: &Node) -> BTreeMap<Label, Vec<(String, AttributeType)>> {
    let mut found: BTreeMap<Label, Vec<(String, AttributeType)>> = BTreeMap::new();
    for event in root.get("events").into_iter().flat_map(entries) {
        for (name, kind) in attributes_of(&event.value) {
            let kinds = found.entry(name).or_default();
            if kinds.iter().all(|(_, known)| *known != kind) {
                kinds.push((event.key.clone(), kind));
            }
        }
    }
    found
}

fn levels_of(root: &Node) -> BTreeMap<String, Vec<String>> {
    let ids = |ladder: &Node| -> Vec<String> {
        let Some(Content::List(levels)) = ladder.get("levels").map(|node| &node.content) else { return Vec::new() };
        levels.iter().filter_map(|level| Some(level.get("id")?.text()?.to_owned())).collect()
    };
    let ladders = root.get("tiers").into_iter().flat_map(entries);
    ladders.map(|ladder| (ladder.key.clone(), ids(&ladder.value))).collect()
}

fn attributes_of(node: &Node) -> BTreeMap<Label, AttributeType> {
    let known = node.get("attributes").into_iter().flat_map(entries).filter_map(|entry| {
        let kind = super::form::attribute_type(entry.value.text()?)?;
        Some((Label::parse(&entry.key).ok()?, kind))
    });
    known.collect()
}

fn entries(node: &Node) -> impl Iterator<Item = &Entry> {
    let entries: &[Entry] = match &node.content {
        Content::Map(entries) => entries,
        _ => &[],
    };
    entries.iter()
}

fn keys(node: &Node) -> impl Iterator<Item = &str> {
    entries(node).map(|entry| entry.key.as_str())
}

/// Where the reader is, what it knows, and what it found wrong.
pub(super) struct Reader {
    steps: Vec<Step>,
    pub(super) names: Names,
    /// For places inside of scalars.
    pub(super) source: Source,
    pub(super) faults: Collector,
    pub(super) warnings: Collector,
    /// Whether a field of the section that is being built was faulty, or misspelt: what it lacks may be there.
    is_faulty: bool,
}

#[derive(Clone)]
pub(super) enum Step {
    Key(Cow<'static, str>),
    Index(usize),
}

impl Reader {
    pub(super) fn new(names: Names, source: Source, faults: Collector) -> Reader {
        Reader { steps: Vec::new(), names, source, faults, warnings: Collector::default(), is_faulty: false }
    }

    pub(super) fn within<T>(&mut self, step: Step, read: impl FnOnce(&mut Reader) -> T) -> T {
        self.steps.push(step);
        let result = read(self);
        self.steps.pop();
        result
    }

    /// For what cannot be read [`within`](Reader::within) a closure; to be undone by [`pop`](Reader::pop).
    pub(super) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    pub(super) fn pop(&mut self) {
        self.steps.pop();
    }

    fn path(&self, last: Option<&str>) -> String {
        let mut path = Path::default();
        for step in &self.steps {
            match step {
                Step::Key(key) => path.key(key),
                Step::Index(index) => path.index(*index),
            }
        }
        if let Some(last) = last {
            path.key(last);
        }
        path.0
    }

    /// A fault of what is being read.
    pub(super) fn fault(&mut self, pos: Pos, message: impl Into<String>, hint: Option<&str>) {
        let path = self.path(None);
        self.faults.push(pos, path, message.into(), hint.map(str::to_owned));
    }

    /// A fault of one field of the section that is being built.
    pub(super) fn fault_at<T>(&mut self, field: &At<T>, message: impl Into<String>, hint: Option<&str>) {
        let path = self.path(Some(field.key));
        self.faults.push(field.pos, path, message.into(), hint.map(str::to_owned));
    }

    /// The fields of the next section to be built are read; before them there were so many faults.
    pub(super) fn built_after(&mut self, faults: usize) {
        self.is_faulty = faults < self.faults.count();
    }

    /// A fault of what the section that is being built does not state. Silent when a field of it is faulty: to follow
    /// the hint would do harm.
    pub(super) fn lacks(&mut self, pos: Pos, message: impl Into<String>, hint: Option<&str>) {
        if !self.is_faulty {
            self.fault(pos, message, hint);
        }
    }

    /// The same of a field that needs another one.
    pub(super) fn lacks_at<T>(&mut self, field: &At<T>, message: impl Into<String>, hint: Option<&str>) {
        if !self.is_faulty {
            self.fault_at(field, message, hint);
        }
    }

    /// Something about one field of the section that is being built.
    pub(super) fn warn_at<T>(&mut self, field: &At<T>, message: impl Into<String>, hint: Option<&str>) {
        let path = self.path(Some(field.key));
        self.warnings.push(field.pos, path, message.into(), hint.map(str::to_owned));
    }

    pub(super) fn warn(&mut self, pos: Pos, message: impl Into<String>, hint: Option<&str>) {
        let path = self.path(None);
        self.warnings.push(pos, path, message.into(), hint.map(str::to_owned));
    }

    /// "expected ..., found ..."; silent about what was reported already.
    pub(super) fn wrong(&mut self, node: &Node, expected: impl AsRef<str>, hint: Option<&str>) {
        if !matches!(node.content, Content::Broken) {
            let message = format!("expected {}, found {}", expected.as_ref(), node.description());
            self.fault(node.pos, message, hint);
        }
    }

    pub(super) fn unknown_word(&mut self, pos: Pos, text: &str, known: &[&str]) {
        let message = format!("expected {}, found {}", one_of(known), quoted(text));
        let hint = self.nearest(text, known.iter().copied());
        self.fault(pos, message, hint.as_deref());
    }

    /// "did you mean ...", unless there is so much wrong already that looking for it would take long.
    pub(super) fn nearest<'k>(&self, raw: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
        if self.faults.is_crowded() {
            return None;
        }
        nearest(raw, known).map(|name| format!("did you mean `{name}`?"))
    }

    /// "did you mean ...", else what is allowed.
    pub(super) fn suggestion(&self, raw: &str, known: &[&str]) -> Option<String> {
        const LISTED_MAX: usize = 24;
        let listed = || {
            let more = if LISTED_MAX < known.len() { ", ..." } else { "" };
            let listed = known.iter().take(LISTED_MAX).copied().collect::<Vec<_>>();
            format!("known are {}{more}", listed.join(", "))
        };
        self.nearest(raw, known.iter().copied()).or_else(|| (!known.is_empty()).then(listed))
    }

    /// The text of a scalar.
    pub(super) fn scalar<'n>(&mut self, node: &'n Node, expected: impl AsRef<str>) -> Option<&'n str> {
        match node.text() {
            Some(text) if node.resolved() != Some(super::tree::Resolved::Nothing) => Some(text),
            _ => {
                self.wrong(node, expected, None);
                None
            }
        }
    }

    pub(super) fn list<'n>(&mut self, node: &'n Node, expected: impl AsRef<str>) -> Option<&'n [Node]> {
        match &node.content {
            Content::List(items) => Some(items),
            _ => {
                let hint = node.text().filter(|text| !text.is_empty()).map(|text| format!("write [{text}]"));
                self.wrong(node, expected, hint.as_deref());
                None
            }
        }
    }

    /// A mapping with none but the known fields; unknown ones are reported and do no harm.
    pub(super) fn mapping(&mut self, node: &Node, title: &str, known: &[&str]) -> Option<()> {
        let Content::Map(entries) = &node.content else {
            let expected = format!("a mapping with the fields of `{title}`");
            let hint = format!("its fields are {}", known.join(", "));
            self.wrong(node, expected, Some(&hint));
            return None;
        };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let path = self.path(Some(&entry.key));
            let of = if self.steps.is_empty() { "the file".to_owned() } else { format!("`{title}`") };
            let message = format!("{of} has no field {}", quoted(&entry.key));
            let hint = self.suggestion(&entry.key, known);
            self.faults.push(entry.key_pos, path, message, hint);
        }
        Some(())
    }

    pub(super) fn field<T: Value>(
        &mut self,
        section: &Node,
        key: &'static str,
        presence: Presence,
    ) -> Option<At<T::Out>> {
        if let Some(node) = section.get(key) {
            let value = self.within(Step::Key(Cow::Borrowed(key)), |r| T::read(node, r))?;
            return Some(At { value, pos: node.pos, key });
        }
        match presence {
            Presence::Without(_) => None,
            Presence::Default(text) => {
                let node = Node::of_default(text, section.pos);
                let value = self.within(Step::Key(Cow::Borrowed(key)), |r| T::read(&node, r))?;
                Some(At { value, pos: section.pos, key })
            }
            Presence::Required => {
                let path = self.path(Some(key));
                let hint = format!("write `{key}:` followed by {}", T::phrase());
                let hint = (hint.len() <= 160).then_some(hint);
                self.faults.push(section.pos, path, format!("`{key}` is missing"), hint);
                None
            }
        }
    }

    pub(super) fn exactly_one(&mut self, section: &Node, known: &[&str]) {
        let Content::Map(entries) = &section.content else { return };
        let stated: Vec<&Entry> = entries.iter().filter(|entry| known.contains(&entry.key.as_str())).collect();
        match stated.as_slice() {
            [] if entries.is_empty() => self.fault(section.pos, format!("expected {}", one_of(known)), None),
            [] | [_] => {} // unknown fields have been reported
            [first, second, ..] => {
                let message = format!("`{}` and `{}` exclude each other", first.key, second.key);
                self.fault(second.key_pos, message, Some(&format!("state {} alone", one_of(known))));
            }
        }
    }
}

/// "`a`, `b` or `c`"
pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

pub(super) fn section_phrase(title: &str) -> String {
    let anchor: String = title.chars().map(|c| if c == ' ' { '-' } else { c }).collect();
    format!("[{title}](#{anchor})")
}

pub(super) fn section_schema(title: &str) -> Json {
    json!({ "$ref": format!("#/$defs/{}", title.replace(' ', "_")) })
}

/// A list of `MIN` to `MAX` values.
pub(super) struct Items<T, const MIN: usize, const MAX: usize>(std::marker::PhantomData<T>);

impl<T: Value, const MIN: usize, const MAX: usize> Value for Items<T, MIN, MAX> {
    type Out = Vec<T::Out>;

    fn read(node: &Node, r: &mut Reader) -> Option<Vec<T::Out>> {
        let items = r.list(node, "a list")?;
        bounded(node, items.len(), MIN, MAX, r)?;
        let values = items.iter().enumerate().map(|(index, item)| r.within(Step::Index(index), |r| T::read(item, r)));
        // All are read, so that all faults are found, before one faulty item makes the list unusable.
        values.collect::<Vec<_>>().into_iter().collect()
    }

    fn phrase() -> String {
        format!("a list, each entry {}", T::phrase())
    }

    fn schema() -> Json {
        with_bounds(json!({ "type": "array", "items": T::schema() }), "minItems", MIN, "maxItems", MAX)
    }

    fn sections(into: &mut Vec<SectionInfo>) {
        T::sections(into);
    }
}

/// A list of `MIN` to `MAX` scalars, each once.
pub(super) struct Distinct<T, const MIN: usize, const MAX: usize>(std::marker::PhantomData<T>);

impl<T: Value, const MIN: usize, const MAX: usize> Value for Distinct<T, MIN, MAX> {
    type Out = Vec<T::Out>;

    fn read(node: &Node, r: &mut Reader) -> Option<Vec<T::Out>> {
        let values = Items::<T, MIN, MAX>::read(node, r);
        if let Content::List(items) = &node.content {
            repeated(items.iter().map(|item| (item, item.text())), "", r);
        }
        values
    }

    fn phrase() -> String {
        Items::<T, MIN, MAX>::phrase()
    }

    fn schema() -> Json {
        let mut schema = Items::<T, MIN, MAX>::schema();
        if let Some(fields) = schema.as_object_mut() {
            fields.insert("uniqueItems".to_owned(), Json::Bool(true));
        }
        schema
    }
}

/// A list of at most `MAX` sections that each have an `id` of their own. Gives each with its place.
pub(super) struct Identified<T, const MAX: usize>(std::marker::PhantomData<T>);

impl<T: Value, const MAX: usize> Value for Identified<T, MAX> {
    type Out = Vec<(Pos, T::Out)>;

    fn read(node: &Node, r: &mut Reader) -> Option<Vec<(Pos, T::Out)>> {
        let items = r.list(node, "a list")?;
        let ids = items.iter().map(|item| {
            let id = item.get("id");
            (id.unwrap_or(item), id.and_then(Node::text))
        });
        repeated(ids, "id", r);
        let values = Items::<T, 0, MAX>::read(node, r)?;
        Some(items.iter().map(|item| item.pos).zip(values).collect())
    }

    fn phrase() -> String {
        Items::<T, 0, MAX>::phrase()
    }

    fn schema() -> Json {
        Items::<T, 0, MAX>::schema()
    }

    fn sections(into: &mut Vec<SectionInfo>) {
        T::sections(into);
    }
}

/// Reports every text that was there before.
fn repeated<'n>(texts: impl Iterator<Item = (&'n Node, Option<&'n str>)>, key: &'static str, r: &mut Reader) {
    let mut first: std::collections::HashMap<&str, Pos> = std::collections::HashMap::new();
    for (index, (node, text)) in texts.enumerate() {
        let Some(text) = text else { continue };
        let Some(before) = first.get(text).copied() else {
            first.insert(text, node.pos);
            continue;
        };
        r.within(Step::Index(index), |r| {
            let path = r.path((!key.is_empty()).then_some(key));
            let message = format!("{} is stated twice", quoted(text));
            r.faults.push(node.pos, path, message, Some(format!("the first is in line {}", before.line)));
        });
    }
}

/// A mapping from names to values, in the order of the file.
pub(super) struct ByName<K, V, const MIN: usize, const MAX: usize>(std::marker::PhantomData<(K, V)>);

impl<K: Value, V: Value, const MIN: usize, const MAX: usize> Value for ByName<K, V, MIN, MAX> {
    type Out = Vec<(K::Out, V::Out)>;

    fn read(node: &Node, r: &mut Reader) -> Option<Vec<(K::Out, V::Out)>> {
        let Content::Map(entries) = &node.content else {
            r.wrong(node, "a mapping", Some(&format!("write {}", Self::phrase())));
            return None;
        };
        bounded(node, entries.len(), MIN, MAX, r)?;
        let values = entries.iter().map(|entry| {
            let name = Content::Scalar { text: entry.key.clone(), plain: false };
            r.within(Step::Key(Cow::Owned(entry.key.clone())), |r| {
                let key = K::read(&Node { pos: entry.key_pos, content: name }, r);
                let value = V::read(&entry.value, r);
                Some((key?, value?))
            })
        });
        values.collect::<Vec<_>>().into_iter().collect()
    }

    fn phrase() -> String {
        format!("a mapping, each key {}, each value {}", K::phrase(), V::phrase())
    }

    fn schema() -> Json {
        let schema = json!({ "type": "object", "propertyNames": K::schema(), "additionalProperties": V::schema() });
        with_bounds(schema, "minProperties", MIN, "maxProperties", MAX)
    }

    fn sections(into: &mut Vec<SectionInfo>) {
        K::sections(into);
        V::sections(into);
    }
}

fn bounded(node: &Node, len: usize, min: usize, max: usize, r: &mut Reader) -> Option<()> {
    if len < min {
        r.fault(node.pos, format!("has {len} entries, at least {min} must be there"), None);
        return None;
    }
    if max < len {
        r.fault(node.pos, format!("has {len} entries, at most {max} are allowed"), None);
        return None;
    }
    Some(())
}

fn with_bounds(mut schema: Json, min_key: &str, min: usize, max_key: &str, max: usize) -> Json {
    if let Some(fields) = schema.as_object_mut() {
        if 0 < min {
            fields.insert(min_key.to_owned(), json!(min));
        }
        fields.insert(max_key.to_owned(), json!(max));
    }
    schema
}
