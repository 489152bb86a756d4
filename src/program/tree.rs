//! YAML text to a tree in which everything knows its place. Scalars keep the text that stands in the file, so
//! that nothing becomes a float, and `NO` or `on` nothing but a word.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, Span};

use super::fault::{Collector, Pos, quoted};

pub(super) struct Node {
    pub(super) pos: Pos,
    pub(super) content: Content,
}

pub(super) enum Content {
    Scalar {
        text: String,
        /// Neither quoted nor a block.
        plain: bool,
    },
    List(Vec<Node>),
    /// Keys are unique.
    Map(Vec<Entry>),
    /// Something that was reported already.
    Broken,
}

pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_pos: Pos,
    pub(super) value: Node,
}

/// What a plain scalar is to any YAML 1.2 reader (core schema), and thereby to a JSON Schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Resolved {
    Nothing,
    Flag,
    Number,
    Text,
}

impl Node {
    /// A default, as the declaration of a field states it: a plain scalar, `[]` or `{}`.
    pub(super) fn of_default(text: &str, pos: Pos) -> Node {
        let content = match text {
            "[]" => Content::List(Vec::new()),
            "{}" => Content::Map(Vec::new()),
            _ => Content::Scalar { text: text.to_owned(), plain: true },
        };
        Node { pos, content }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// What a scalar is; `None` for anything else.
    pub(super) fn resolved(&self) -> Option<Resolved> {
        match &self.content {
            Content::Scalar { text, plain: true } => Some(resolve(text)),
            Content::Scalar { plain: false, .. } => Some(Resolved::Text),
            _ => None,
        }
    }

    /// For "expected ..., found ...".
    pub(super) fn description(&self) -> String {
        match &self.content {
            Content::Scalar { text, plain: true } if resolve(text) == Resolved::Nothing => "nothing".to_owned(),
            Content::Scalar { text, plain: false } => format!("the text {}", quoted(text)),
            Content::Scalar { text, plain: true } => quoted(text),
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a mapping".to_owned(),
            Content::Broken => "something unreadable".to_owned(),
        }
    }
}

fn resolve(plain: &str) -> Resolved {
    match plain {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Nothing,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => return Resolved::Flag,
        ".nan" | ".NaN" | ".NAN" => return Resolved::Number,
        _ => {}
    }
    let unsigned = plain.strip_prefix(['-', '+']).unwrap_or(plain);
    let digits = |text: &str, radix: u32| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    if matches!(unsigned, ".inf" | ".Inf" | ".INF")
        || plain.strip_prefix("0x").is_some_and(|rest| digits(rest, 16))
        || plain.strip_prefix("0o").is_some_and(|rest| digits(rest, 8))
    {
        return Resolved::Number;
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let decimal = !(whole.is_empty() && fraction.is_empty())
        && (whole.is_empty() || digits(whole, 10))
        && (fraction.is_empty() || digits(fraction, 10));
    match decimal && exponent.is_none_or(|exponent| digits(exponent, 10)) {
        true => Resolved::Number,
        false => Resolved::Text,
    }
}

/// How deep lists and mappings may nest; a program needs eight.
pub const DEPTH_MAX: usize = 32;

/// Reads one document. Duplicate keys, anchors, aliases and tags are reported and reading goes on; a syntax error
/// is reported and ends it. `None`: a tree would mislead.
pub(super) fn parse(text: &str, faults: &mut Collector) -> Option<Node> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.emit_unresolved_aliases = true;
    options.emit_anchor_events = true;
    options.disallow_directives = true;
    options.flow_nesting_limit = DEPTH_MAX;
    options.block_nesting_limit = DEPTH_MAX;
    let mut builder = Builder { faults, open: Vec::new(), root: None };
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let mark = error.marker();
                let path = builder.path(None);
                let message = format!("this is not YAML: {}", error.info());
                builder.faults.push(pos_of(mark.line(), mark.col()), path, message, None);
                return None;
            }
        };
        if let Event::DocumentStart(..) = event {
            documents += 1;
            if 1 < documents {
                builder.report(&span, "a file holds one document, here a second one begins", None);
                break;
            }
            continue;
        }
        builder.take(event, &span);
    }
    let empty = || Node { pos: Pos::START, content: Content::Map(Vec::new()) };
    Some(builder.root.unwrap_or_else(empty))
}

fn pos_of(line: usize, column: usize) -> Pos {
    let bounded = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Pos { line: bounded(line.max(1)), column: bounded(column).saturating_add(1) }
}

struct Builder<'f> {
    faults: &'f mut Collector,
    open: Vec<Open>,
    root: Option<Node>,
}

/// A list or mapping that is not at its end.
enum Open {
    List {
        pos: Pos,
        items: Vec<Node>,
    },
    Map {
        pos: Pos,
        entries: Vec<Entry>,
        seen: HashMap<String, Pos>,
        /// A key that waits for its value; inner `None`: one that was reported.
        key: Option<Option<(String, Pos)>>,
    },
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: &Span) {
        let pos = pos_of(span.start.line(), span.start.col());
        match event {
            Event::Scalar(text, style, _, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let plain = style == ScalarStyle::Plain;
                self.put(Node { pos, content: Content::Scalar { text: text.into_owned(), plain } });
            }
            Event::SequenceStart(_, _, tag) => {
                self.refuse_tag(tag.is_some(), span);
                self.open.push(Open::List { pos, items: Vec::new() });
            }
            Event::MappingStart(_, _, tag) => {
                self.refuse_tag(tag.is_some(), span);
                self.open.push(Open::Map { pos, entries: Vec::new(), seen: HashMap::new(), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { pos, items }) => self.put(Node { pos, content: Content::List(items) }),
                Some(Open::Map { pos, entries, .. }) => self.put(Node { pos, content: Content::Map(entries) }),
                None => {}
            },
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.report(span, "aliases are not part of this format", Some("write the value out"));
                self.put(Node { pos, content: Content::Broken });
            }
            Event::Anchor(..) => {
                self.report(span, "anchors are not part of this format", Some("remove it"));
            }
            _ => {} // starts and ends of stream and document
        }
    }

    fn refuse_tag(&mut self, tagged: bool, span: &Span) {
        if tagged {
            let at = span.tag_start().unwrap_or(span.start);
            self.report(&Span::empty(at), "tags are not part of this format", Some("remove it"));
        }
    }

    fn report(&mut self, span: &Span, message: &str, hint: Option<&str>) {
        let path = self.path(None);
        let pos = pos_of(span.start.line(), span.start.col());
        self.faults.push(pos, path, message.to_owned(), hint.map(str::to_owned));
    }

    /// A complete node goes into what is open: as an item, as a key, or as the value of the key before it.
    fn put(&mut self, node: Node) {
        let (entries, seen, key) = match self.open.last_mut() {
            None => {
                self.root = Some(node);
                return;
            }
            Some(Open::List { items, .. }) => {
                items.push(node);
                return;
            }
            Some(Open::Map { entries, seen, key, .. }) => (entries, seen, key),
        };
        if let Some(waiting) = key.take() {
            if let Some((key, key_pos)) = waiting {
                entries.push(Entry { key, key_pos, value: node });
            }
            return;
        }
        let text = match node.content {
            Content::Scalar { text, .. } => text,
            Content::Broken => {
                *key = Some(None);
                return;
            }
            Content::List(_) | Content::Map(_) => {
                *key = Some(None);
                let path = self.path(None);
                let message = "a field name must be a word".to_owned();
                self.faults.push(node.pos, path, message, None);
                return;
            }
        };
        let Some(first) = seen.get(&text).copied() else {
            seen.insert(text.clone(), node.pos);
            *key = Some(Some((text, node.pos)));
            return;
        };
        *key = Some(None);
        let message = format!("{} is stated twice", quoted(&text));
        let path = self.path(Some(&text));
        self.faults.push(node.pos, path, message, Some(format!("the first is in line {}", first.line)));
    }

    fn path(&self, last: Option<&str>) -> String {
        let mut path = Path::default();
        for open in &self.open {
            match open {
                Open::List { items, .. } => path.index(items.len()),
                Open::Map { key: Some(Some((key, _))), .. } => path.key(key),
                Open::Map { .. } => {}
            }
        }
        if let Some(last) = last {
            path.key(last);
        }
        path.0
    }
}

/// `rules[2].then.earn`, as it grows.
#[derive(Default)]
pub(super) struct Path(pub(super) String);

impl Path {
    pub(super) fn key(&mut self, key: &str) {
        if !self.0.is_empty() {
            self.0.push('.');
        }
        self.0.extend(key.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }));
    }

    pub(super) fn index(&mut self, index: usize) {
        self.0.push_str(&format!("[{index}]"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_what_any_yaml_reader_takes_them_for() {
        for (text, expected) in [
            ("", Resolved::Nothing),
            ("~", Resolved::Nothing),
            ("null", Resolved::Nothing),
            ("true", Resolved::Flag),
            ("NO", Resolved::Text),
            ("on", Resolved::Text),
            ("yes", Resolved::Text),
            ("12", Resolved::Number),
            ("-0.5", Resolved::Number),
            ("1.", Resolved::Number),
            (".5", Resolved::Number),
            ("1e3", Resolved::Number),
            ("0x1F", Resolved::Number),
            ("1_000", Resolved::Text),
            ("06:00", Resolved::Text),
            ("50%", Resolved::Text),
            (".", Resolved::Text),
            ("e", Resolved::Text),
            ("2026-05-01T00:00", Resolved::Text),
        ] {
            assert_eq!(resolve(text), expected, "{text:?}");
        }
    }
}
