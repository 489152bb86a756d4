//! Which parts of a program its cases reach. What is counted is found in the program file itself: everything in it
//! that has an `id`. So a new kind of part counts from the day on which programs can state it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::readable::Tree;
use crate::program::document::{Content, Node, Reading};

/// One thing that a program declares.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Part {
    /// Where it stands: `rules`, `rewards`, `referrals`...
    pub(super) section: String,
    pub(super) id: String,
}

/// What came up while cases ran.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Seen {
    /// Ids that effects and entries name.
    applied: BTreeSet<String>,
    /// Ids that were looked at, and did not lead to anything.
    considered: BTreeSet<String>,
}

impl Seen {
    pub(super) fn answer(&mut self, answer: &Tree) {
        let decision = answer.get("decision").unwrap_or(answer);
        for part in ["effects", "offers"] {
            decision.get(part).into_iter().for_each(|effects| texts(effects, &mut self.applied));
        }
        for rule in decision.at("explain.rules").map(Tree::items).unwrap_or_default() {
            let Some(id) = rule.get("rule").and_then(Tree::text) else { continue };
            let applied = rule.get("applied") == Some(&Tree::Flag(true));
            if applied { &mut self.applied } else { &mut self.considered }.insert(id.to_owned());
        }
        let refusals = decision.get("refusals").map(Tree::items).unwrap_or_default();
        refusals.iter().for_each(|refusal| texts(refusal, &mut self.considered));
    }

    pub(super) fn entries(&mut self, entries: &Tree) {
        for entry in entries.items() {
            entry.get("detail").into_iter().for_each(|detail| texts(detail, &mut self.applied));
        }
    }

    pub(super) fn add(&mut self, other: &Seen) {
        self.applied.extend(other.applied.iter().cloned());
        self.considered.extend(other.considered.iter().cloned());
    }
}

fn texts(tree: &Tree, into: &mut BTreeSet<String>) {
    match tree {
        Tree::Text(text) | Tree::Word(text) => drop(into.insert(text.clone())),
        Tree::List(items) => items.iter().for_each(|item| texts(item, into)),
        Tree::Map(entries) => entries.iter().for_each(|(_, value)| texts(value, into)),
        _ => {}
    }
}

/// How far cases reach into one program.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Coverage {
    pub(super) applied: Vec<Part>,
    /// Looked at, but in no case did anything follow.
    pub(super) considered: Vec<Part>,
    pub(super) never: Vec<Part>,
}

impl Coverage {
    pub(super) fn of(program: &str, seen: &Seen) -> Coverage {
        let mut coverage = Coverage::default();
        for part in parts(program) {
            let side = if seen.applied.contains(&part.id) {
                &mut coverage.applied
            } else if seen.considered.contains(&part.id) {
                &mut coverage.considered
            } else {
                &mut coverage.never
            };
            side.push(part);
        }
        coverage
    }

    pub(super) fn total(&self) -> usize {
        self.applied.len() + self.considered.len() + self.never.len()
    }

    /// Applied of all, in whole percent, rounded down; 100 where there is nothing to cover.
    pub(super) fn percent(&self) -> usize {
        (self.applied.len() * 100).checked_div(self.total()).unwrap_or(100)
    }

    /// By section: applied of all.
    pub(super) fn by_section(&self) -> BTreeMap<&str, (usize, usize)> {
        let mut sections: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for part in self.applied.iter().chain(&self.considered).chain(&self.never) {
            sections.entry(&part.section).or_default().1 += 1;
        }
        for part in &self.applied {
            sections.entry(&part.section).or_default().0 += 1;
        }
        sections
    }
}

/// Everything in a program file that has an id, in the order of the file.
fn parts(program: &str) -> Vec<Part> {
    let (root, _) = Reading::of(program, &TimeZone::UTC);
    let mut found = Vec::new();
    for entry in root.iter().flat_map(Node::entries) {
        parts_below(&entry.value, &entry.key, &mut found);
    }
    found
}

fn parts_below(node: &Node, section: &str, found: &mut Vec<Part>) {
    match &node.content {
        Content::List(items) => {
            for item in items {
                if let Some(id) = item.get("id").and_then(Node::text) {
                    found.push(Part { section: section.to_owned(), id: id.to_owned() });
                }
                parts_below(item, section, found);
            }
        }
        Content::Map(entries) => entries.iter().for_each(|entry| parts_below(&entry.value, section, found)),
        Content::Scalar { .. } | Content::Broken => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_with_an_id_counts() {
        let program = "rules:\n  - id: base\n  - id: late\n    then: {steps: [{id: inner}]}\nunits: {points: {}}\n";
        let mut seen = Seen::default();
        let effect = |id: &str| Tree::Map(vec![("rule".to_owned(), Tree::Text(id.to_owned()))]);
        seen.answer(&Tree::Map(vec![
            ("effects".to_owned(), Tree::List(vec![effect("base")])),
            ("refusals".to_owned(), Tree::List(vec![effect("late")])),
        ]));
        let coverage = Coverage::of(program, &seen);
        let ids = |parts: &[Part]| parts.iter().map(|part| part.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&coverage.applied), ["base"]);
        assert_eq!(ids(&coverage.considered), ["late"]);
        assert_eq!(ids(&coverage.never), ["inner"]);
        assert_eq!((coverage.percent(), coverage.by_section().get("rules")), (33, Some(&(1, 3))));
        assert_eq!(Coverage::of("title: x\n", &seen).percent(), 100);
    }
}
