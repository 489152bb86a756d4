//! Case files: read, checked against the contract, and brought onto one line of time.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use prost_reflect::DynamicMessage;

use super::expect::{self, Expectation};
use super::known::Known;
use super::request::{self, Request, Terms};
use super::steps::{StepWord, steps};
use crate::domain::program::Program;
use crate::domain::time::{DAY_MS, Instant, MINUTE_MS};
use crate::program::Faults;
use crate::program::document::{Content, Entry, Node, Place, Reading};

/// Most cases of one file.
pub(super) const CASES_MAX: usize = 5_000;
/// Most steps of one case.
pub(super) const STEPS_MAX: usize = 1_000;

/// One case: what happens in it, in order.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) begins: Instant,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) place: Place,
    /// From 1; given members and history are counted too, before the steps of the case.
    pub(super) title: String,
    pub(super) at: Instant,
    pub(super) call: Option<(StepWord, Request)>,
    /// Keeps the answer under this name.
    pub(super) keeps: Option<String>,
    pub(super) expectation: Expectation,
}

const FILE: &[&str] = &["program", "at", "member", "cases"];
const CASE: &[&str] = &["name", "at", "member", "given", "steps"];
const GIVEN: &[&str] = &["members", "history"];
const MODIFIERS: &[&str] = &["at", "wait", "as", "expect"];

/// What cases take from their file.
struct Defaults<'a> {
    at: Option<Instant>,
    member: Option<&'a str>,
}

/// Reads a case file for a program.
///
/// # Errors
/// Every fault at once.
pub(super) fn read(text: &str, program: &Program) -> Result<Vec<Case>, Faults> {
    let (root, mut r) = Reading::of(text, &program.zone);
    let cases = root.and_then(|root| of_file(&root, program, &mut r));
    r.finish(text)?;
    Ok(cases.unwrap_or_default())
}

/// The program that a case file names, as it is written there.
pub(super) fn program_of(text: &str) -> Option<String> {
    let (root, _) = Reading::of(text, &TimeZone::UTC);
    root?.get("program")?.text().map(str::to_owned)
}

fn of_file(root: &Node, program: &Program, r: &mut Reading) -> Option<Vec<Case>> {
    let entries = r.map(root, "a mapping of program, at, member and cases")?;
    unknown(entries, "a case file", FILE, r);
    if let Some(node) = root.get("program") {
        r.within("program", |r| r.scalar(node, "the path of a program file"));
    }
    let at = root.get("at").and_then(|node| r.within("at", |r| r.moment(node)));
    let member = root.get("member").and_then(|node| r.within("member", |r| r.scalar(node, "the id of a member")));
    let Some(node) = root.get("cases") else {
        r.fault(root.place, "`cases` is missing", Some("write `cases:` followed by a list"));
        return None;
    };
    let mut names = BTreeSet::new();
    r.within("cases", |r| {
        let items = r.list(node, "a list of cases")?;
        if CASES_MAX < items.len() {
            r.fault(node.place, format!("has {} cases, at most {CASES_MAX} are allowed", items.len()), None);
            return None;
        }
        if items.is_empty() {
            r.fault(node.place, "there is no case", None);
        }
        let defaults = Defaults { at, member };
        let mut cases = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let case = r.item(index, |r| of_case(item, &defaults, program, r));
            if let Some(name) = item.get("name").filter(|name| name.text().is_some_and(|text| !names.insert(text))) {
                r.item(index, |r| r.fault(name.place, "another case has this name", None));
            }
            cases.extend(case);
        }
        Some(cases)
    })
}

fn unknown(entries: &[Entry], of: &str, known: &[&str], r: &mut Reading) {
    for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
        r.unknown_field(entry, of, known);
    }
}

/// What has been read of a case so far.
struct Course<'a> {
    program: &'a Program,
    member: Option<&'a str>,
    now: Instant,
    kept: Vec<String>,
    steps: Vec<Step>,
    complete: bool,
}

fn of_case(node: &Node, defaults: &Defaults<'_>, program: &Program, r: &mut Reading) -> Option<Case> {
    let entries = r.map(node, "a mapping of name, at, member, given and steps")?;
    unknown(entries, "a case", CASE, r);
    let name = match node.get("name") {
        Some(name) => r.within("name", |r| r.scalar(name, "what the case shows, in words")),
        None => {
            r.fault(node.place, "`name` is missing", Some("say in words what the case shows"));
            None
        }
    };
    let begins = match (node.get("at"), defaults.at) {
        (Some(at), _) => r.within("at", |r| r.moment(at)),
        (None, Some(at)) => Some(at),
        (None, None) => {
            r.fault(node.place, "`at` is missing", Some("say when the case begins, here or once for the file"));
            None
        }
    };
    let member = match node.get("member") {
        Some(member) => r.within("member", |r| r.scalar(member, "the id of a member")),
        None => defaults.member,
    };
    let now = begins.unwrap_or(Instant::MIN);
    let mut course = Course { program, member, now, kept: Vec::new(), steps: Vec::new(), complete: true };
    if let Some(given) = node.get("given") {
        r.within("given", |r| course.given(given, r));
    }
    match node.get("steps") {
        Some(steps) => r.within("steps", |r| course.list(steps, "step", r)),
        None => {
            r.fault(node.place, "`steps` is missing", Some("write `steps:` followed by what happens, in order"));
            None
        }
    };
    let shows = course.steps.iter().any(|step| step.expectation.says_something());
    if course.complete && name.is_some() && !shows {
        r.fault(node.place, "expects nothing, so it cannot fail", Some("add `expect:` to a step"));
    }
    if !course.complete {
        return None;
    }
    let known = Known::of(program, &course.steps);
    for step in &course.steps {
        known.check(&step.expectation, r);
    }
    Some(Case { name: name?.to_owned(), place: node.place, begins: begins?, steps: course.steps })
}

impl Expectation {
    fn says_something(&self) -> bool {
        !self.answer.is_empty() || self.earned.is_some() || !self.lookups.is_empty() || self.error.is_some()
    }
}

impl Course<'_> {
    fn given(&mut self, node: &Node, r: &mut Reading) -> Option<()> {
        let entries = r.map(node, "a mapping of members and history")?;
        unknown(entries, "`given`", GIVEN, r);
        if let Some(members) = node.get("members") {
            r.within("members", |r| {
                for entry in r.map(members, "a mapping of members")?.to_vec() {
                    r.within(&entry.key, |r| self.member(&entry, r));
                }
                Some(())
            });
        }
        if let Some(history) = node.get("history") {
            r.within("history", |r| self.list(history, "history", r));
        }
        Some(())
    }

    /// A member who is there when the case begins: enrolled, with units credited by hand.
    fn member(&mut self, entry: &Entry, r: &mut Reading) -> Option<()> {
        let blank = entry.value.is_blank();
        let fields = if blank { Vec::new() } else { r.map(&entry.value, "a mapping")?.to_vec() };
        let (units, fields): (Vec<Entry>, Vec<Entry>) = fields.into_iter().partition(|field| field.key == "units");
        self.synthetic("enroll", &entry.key, entry.key_place, fields, r);
        for (unit, amount) in units.iter().flat_map(|units| units.value.entries()).map(|e| (&e.key, &e.value)) {
            let scalar = |text: &str| Content::Scalar { text: text.to_owned(), plain: true };
            let field = |key: &str, text: &str| Entry {
                key: key.to_owned(),
                key_place: amount.place,
                value: Node { place: amount.place, content: scalar(text) },
            };
            let mut fields = vec![field("unit", unit), field("reason", "migration"), field("agent", "given")];
            fields.push(Entry { key: "amount".to_owned(), key_place: amount.place, value: amount.clone() });
            self.synthetic("adjust", &entry.key, entry.key_place, fields, r);
        }
        Some(())
    }

    fn synthetic(&mut self, word: &str, member: &str, place: Place, mut fields: Vec<Entry>, r: &mut Reading) {
        let Some(step) = steps().iter().find(|step| step.word == word) else { return };
        let value = Node { place, content: Content::Scalar { text: member.to_owned(), plain: true } };
        fields.push(Entry { key: "member".to_owned(), key_place: place, value });
        let node = Node { place, content: Content::Map(fields) };
        let title = format!("given member {member}");
        self.call(step, &node, place, title, r);
    }

    fn call(&mut self, step: &StepWord, node: &Node, place: Place, title: String, r: &mut Reading) {
        let terms = Terms {
            currencies: &self.program.currencies,
            kept: &self.kept,
            number: self.steps.len() + 1,
            member: self.member,
        };
        match r.within(&step.word, |r| request::read(step, node, &terms, r)) {
            Some(request) => self.steps.push(Step {
                place,
                title,
                at: self.now,
                call: Some((step.clone(), request)),
                keeps: None,
                expectation: Expectation::default(),
            }),
            None => self.complete = false,
        }
    }

    fn list(&mut self, node: &Node, word: &str, r: &mut Reading) -> Option<()> {
        let items = r.list(node, "a list of steps")?;
        if STEPS_MAX < items.len() {
            r.fault(node.place, format!("has {} steps, at most {STEPS_MAX} are allowed", items.len()), None);
            self.complete = false;
            return None;
        }
        for (index, item) in items.iter().enumerate() {
            let read = r.item(index, |r| self.step(item, &format!("{word} {}", index + 1), r));
            self.complete &= read.is_some();
        }
        Some(())
    }

    fn step(&mut self, node: &Node, title: &str, r: &mut Reading) -> Option<()> {
        let words: Vec<&str> = steps().iter().map(|step| step.word.as_str()).collect();
        let entries = r.map(node, "a mapping with what happens, such as `order:` or `wait:`")?;
        let known: Vec<&str> = words.iter().chain(MODIFIERS).copied().collect();
        unknown(entries, "a step", &known, r);
        let happens: Vec<&Entry> = entries.iter().filter(|entry| words.contains(&entry.key.as_str())).collect();
        if let [_, second, ..] = happens.as_slice() {
            r.fault(second.key_place, "a step does one thing", Some("make it a step of its own: begin with `- `"));
            return None;
        }
        if let Some(wait) = node.get("wait") {
            self.now = match wait.text().and_then(milliseconds) {
                Some(ms) => self.now.plus_ms(ms),
                None => r.within("wait", |r| r.length(wait))?.after(self.now, &self.program.zone),
            };
        }
        if let Some(at) = node.get("at") {
            self.now = r.within("at", |r| self.moment(at, r))?;
        }
        let before = self.steps.len();
        let word = happens.first().and_then(|entry| steps().iter().find(|step| step.word == entry.key));
        match (happens.first(), word) {
            (Some(entry), Some(word)) => {
                let title = format!("{title} ({})", word.word);
                self.call(word, &entry.value, entry.key_place, title, r);
            }
            _ => self.steps.push(Step {
                place: node.place,
                title: title.to_owned(),
                at: self.now,
                call: None,
                keeps: None,
                expectation: Expectation::default(),
            }),
        }
        let expectation = match node.get("expect") {
            Some(expected) => r.within("expect", |r| expect::read(word, expected, r))?,
            None => Expectation::default(),
        };
        let keeps = match node.get("as") {
            Some(name) if word.is_some() => Some(r.within("as", |r| r.scalar(name, "a name"))?.to_owned()),
            Some(name) => {
                r.within("as", |r| r.fault(name.place, "there is no answer to keep: nothing is called here", None));
                return None;
            }
            None => None,
        };
        self.kept.extend(keeps.clone());
        if let Some(step) = self.steps.get_mut(before) {
            step.expectation = expectation;
            step.keeps = keeps;
        }
        Some(())
    }

    /// A point in time, or a time of the same day: `09:30`.
    fn moment(&self, node: &Node, r: &mut Reading) -> Option<Instant> {
        let at = match node.text().and_then(minute_of_day) {
            Some(minute) => {
                let midnight = self.now.zoned(&self.program.zone).start_of_day().ok()?;
                let civil = midnight.date().at(0, 0, 0, 0).checked_add(jiff::Span::new().minutes(minute)).ok()?;
                Instant::from(&civil.to_zoned(self.program.zone.clone()).ok()?)
            }
            None => r.moment(node)?,
        };
        if at < self.now {
            let now = super::readable::moment_text(self.now, &self.program.zone);
            let hint = "steps stand in the order in which they happen";
            r.fault(node.place, format!("lies before the step before it, which is at {now}"), Some(hint));
            return None;
        }
        Some(at)
    }
}

/// Of `250 milliseconds`.
fn milliseconds(text: &str) -> Option<i64> {
    let (number, word) = text.split_once(' ')?;
    matches!(word, "millisecond" | "milliseconds").then(|| number.parse().ok().filter(|ms| 0 <= *ms))?
}

fn minute_of_day(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(hours) || !digits(minutes) {
        return None;
    }
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute < DAY_MS / MINUTE_MS).then_some(minute)
}

/// Puts what earlier answers told into the texts of a request that ask for it.
pub(super) fn put_in(message: &mut DynamicMessage, kept: &dyn Fn(&str) -> Option<String>) {
    for (_, value) in message.fields_mut() {
        put_in_value(value, kept);
    }
}

fn put_in_value(value: &mut prost_reflect::Value, kept: &dyn Fn(&str) -> Option<String>) {
    use prost_reflect::Value;
    match value {
        Value::String(text) if text.starts_with('$') => {
            if let Some(found) = kept(text) {
                *text = found;
            }
        }
        Value::Message(message) => put_in(message, kept),
        Value::List(items) => items.iter_mut().for_each(|item| put_in_value(item, kept)),
        _ => {}
    }
}
