//! Other YAML documents of a program owner, such as its cases: read into a tree in which everything knows its place,
//! and with faults reported like those of a program file.

use jiff::tz::TimeZone;

use super::fault::{Faults, Pos, quoted};
use super::read::{Names, Reader, Step, Value as _};
use super::tree;
use super::value::{Length, Moment, NoDecimal, major, scaled};
use crate::domain::order::Currency;
use crate::domain::time::{Instant, Period};

/// Where something stands. Both count from 1; columns count characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

/// One value of the document.
#[derive(Clone, Debug)]
pub struct Node {
    pub place: Place,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub enum Content {
    Scalar {
        text: String,
        /// Neither quoted nor a block.
        plain: bool,
    },
    List(Vec<Node>),
    /// Keys are unique.
    Map(Vec<Entry>),
    /// Was reported already.
    Broken,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: String,
    pub key_place: Place,
    pub value: Node,
}

impl Node {
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Those of a mapping; none of anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether nothing is written here: `key:` without a value.
    pub fn is_blank(&self) -> bool {
        matches!(&self.content, Content::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    fn description(&self) -> String {
        match &self.content {
            Content::Scalar { .. } if self.is_blank() => "nothing".to_owned(),
            Content::Scalar { text, .. } => quoted(text),
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a mapping".to_owned(),
            Content::Broken => "something unreadable".to_owned(),
        }
    }
}

fn lifted(node: tree::Node) -> Node {
    let place = lift(node.pos);
    let content = match node.content {
        tree::Content::Scalar { text, plain } => Content::Scalar { text, plain },
        tree::Content::List(items) => Content::List(items.into_iter().map(lifted).collect()),
        tree::Content::Map(entries) => Content::Map(
            entries
                .into_iter()
                .map(|entry| Entry { key: entry.key, key_place: lift(entry.key_pos), value: lifted(entry.value) })
                .collect(),
        ),
        tree::Content::Broken => Content::Broken,
    };
    Node { place, content }
}

fn lift(pos: Pos) -> Place {
    Place { line: pos.line, column: pos.column }
}

fn lowered(place: Place) -> Pos {
    Pos { line: place.line, column: place.column }
}

/// The longest document that is read, in bytes.
pub const DOCUMENT_LEN_MAX: usize = super::TEXT_LEN_MAX;

/// Reads a document and collects every fault on the way.
pub struct Reading {
    reader: Reader,
}

impl Reading {
    /// The tree of a text, unless it is not YAML at all. Local times are by the clock of `zone`.
    pub fn of(text: &str, zone: &TimeZone) -> (Option<Node>, Reading) {
        let mut faults = super::fault::Collector::default();
        if DOCUMENT_LEN_MAX < text.len() {
            let message = format!("the text is {} bytes long, at most {DOCUMENT_LEN_MAX} are allowed", text.len());
            faults.push(Pos::START, String::new(), message, None);
        }
        let root = if faults.is_empty() { tree::parse(text, &mut faults) } else { None };
        let mut names = Names::default();
        names.zone = Some(zone.clone());
        (root.map(lifted), Reading { reader: Reader::new(names, super::place::Source::of(text), faults) })
    }

    /// All faults by position, if there is any.
    ///
    /// # Errors
    /// The faults.
    pub fn finish(self, text: &str) -> Result<(), Faults> {
        if self.reader.faults.is_empty() { Ok(()) } else { Err(self.reader.faults.finish(text)) }
    }

    /// Faults found by `read` are under this field.
    pub fn within<T>(&mut self, key: &str, read: impl FnOnce(&mut Reading) -> T) -> T {
        self.step(Step::Key(key.to_owned().into()), read)
    }

    /// Faults found by `read` are in this item of a list.
    pub fn item<T>(&mut self, index: usize, read: impl FnOnce(&mut Reading) -> T) -> T {
        self.step(Step::Index(index), read)
    }

    fn step<T>(&mut self, step: Step, read: impl FnOnce(&mut Reading) -> T) -> T {
        self.reader.push(step);
        let result = read(self);
        self.reader.pop();
        result
    }

    pub fn fault(&mut self, place: Place, message: impl Into<String>, hint: Option<&str>) {
        self.reader.fault(lowered(place), message, hint);
    }

    /// "expected ..., found ..."; silent about what was reported already.
    pub fn wrong(&mut self, node: &Node, expected: &str, hint: Option<&str>) {
        if !matches!(node.content, Content::Broken) {
            self.fault(node.place, format!("expected {expected}, found {}", node.description()), hint);
        }
    }

    /// "... has no field `x`", with the one that was probably meant.
    pub fn unknown_field(&mut self, entry: &Entry, of: &str, known: &[&str]) {
        let hint = self.reader.suggestion(&entry.key, known);
        let message = format!("{of} has no field {}", quoted(&entry.key));
        self.within(&entry.key, |r| r.fault(entry.key_place, message, hint.as_deref()));
    }

    /// "expected ..., found `x`", with the one that was probably meant.
    pub fn unknown_word(&mut self, place: Place, expected: &str, raw: &str, known: &[&str]) {
        let hint = self.reader.suggestion(raw, known);
        self.fault(place, format!("expected {expected}, found {}", quoted(raw)), hint.as_deref());
    }

    /// `None`: a fault has been reported.
    pub fn scalar<'n>(&mut self, node: &'n Node, expected: &str) -> Option<&'n str> {
        let text = node.text().filter(|_| !node.is_blank());
        if text.is_none() {
            self.wrong(node, expected, None);
        }
        text
    }

    /// `None`: a fault has been reported.
    pub fn list<'n>(&mut self, node: &'n Node, expected: &str) -> Option<&'n [Node]> {
        if let Content::List(items) = &node.content {
            return Some(items);
        }
        let hint = node.text().filter(|text| !text.is_empty()).map(|text| format!("write [{text}]"));
        self.wrong(node, expected, hint.as_deref());
        None
    }

    /// `None`: a fault has been reported.
    pub fn map<'n>(&mut self, node: &'n Node, expected: &str) -> Option<&'n [Entry]> {
        if let Content::Map(entries) = &node.content {
            return Some(entries);
        }
        self.wrong(node, expected, None);
        None
    }

    /// A point in time as in a program file, or with milliseconds: `2026-05-01T00:00:00.250`. `None`: a fault has been
    /// reported.
    pub fn moment(&mut self, node: &Node) -> Option<Instant> {
        let mut whole = lower(node);
        let mut ms = 0;
        if let tree::Content::Scalar { text, .. } = &mut whole.content
            && let Some((fraction, rest)) = thousandths(text)
        {
            (*text, ms) = (rest, fraction);
        }
        Moment::read(&whole, &mut self.reader).map(|at| at.plus_ms(ms))
    }

    /// A length of time as in a program file. `None`: a fault has been reported.
    pub fn length(&mut self, node: &Node) -> Option<Period> {
        Length::read(&lower(node), &mut self.reader)
    }
}

/// The three digits after the point of a time of day, and the text without them.
fn thousandths(text: &str) -> Option<(i64, String)> {
    let (before, after) = text.split_once('.')?;
    let digits = after.get(..3).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    Some((digits.parse().ok()?, format!("{before}{}", after.get(3..)?)))
}

fn lower(node: &Node) -> tree::Node {
    let content = match &node.content {
        Content::Scalar { text, plain } => tree::Content::Scalar { text: text.clone(), plain: *plain },
        Content::List(_) => tree::Content::List(Vec::new()),
        Content::Map(_) => tree::Content::Map(Vec::new()),
        Content::Broken => tree::Content::Broken,
    };
    tree::Node { pos: lowered(node.place), content }
}

/// Minor units of an amount in major units such as `-12.50`; why not otherwise, in words.
pub fn minor_of(text: &str, currency: Currency) -> Result<i64, String> {
    let places = currency.exponent() as usize;
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    scaled(digits, places).map(|minor| sign * minor).map_err(|error| match error {
        NoDecimal::Places(found) => format!("{} has {found} decimals, {currency} has {places}", quoted(text)),
        NoDecimal::TooLong => format!("{} is too long", quoted(text)),
        NoDecimal::Shape | NoDecimal::Negative => format!("expected an amount such as 12.50, found {}", quoted(text)),
    })
}

/// `GBP 12.50`.
pub fn money_text(currency: Currency, minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let minor = i64::try_from(minor.unsigned_abs()).unwrap_or(i64::MAX);
    format!("{currency} {sign}{}", major(minor, currency.exponent() as usize))
}
