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
    /// What effects and entries name.
    applied: BTreeSet<Mention>,
    /// What was looked at, and did not lead to anything.
    considered: BTreeSet<Mention>,
}

/// An id, and what kind of thing the field that has it names: `rule`, `reward`...
type Mention = (String, String);

/// What a field names. What a level multiplies is told like a rule, as `<ladder>/<level>/<unit>`.
fn mention(field: &str, id: &str) -> Mention {
    match id.split('/').collect::<Vec<_>>().as_slice() {
        [ladder, level, _] if field == "rule" => ("level".to_owned(), format!("{ladder}.{level}")),
        _ => (field.to_owned(), id.to_owned()),
    }
}

/// Which kinds of fields name the parts of a section. What a referral gives is told like what a rule gives.
const NAMED_BY: &[(&str, &[&str])] = &[
    ("rules", &["rule"]),
    ("campaigns", &["rule_campaign"]),
    ("referrals", &["campaign", "rule", "referral"]),
    ("rewards", &["reward"]),
    ("stamp_cards", &["card"]),
    ("draws", &["draw", "prize"]),
    ("tiers", &["level"]),
    ("goals", &["goal"]),
];

impl Seen {
    pub(super) fn answer(&mut self, answer: &Tree) {
        let decision = answer.get("decision").unwrap_or(answer);
        for part in ["effects", "offers"] {
            decision.get(part).into_iter().for_each(|effects| mentions(part, effects, &mut self.applied));
        }
        for rule in decision.at("explain.rules").map(Tree::items).unwrap_or_default() {
            let Some(id) = rule.get("rule").and_then(Tree::text) else { continue };
            let applied = rule.get("applied") == Some(&Tree::Flag(true));
            let side = if applied { &mut self.applied } else { &mut self.considered };
            side.insert(mention("rule", id));
        }
        for refusal in decision.get("refusals").map(Tree::items).unwrap_or_default() {
            let text = |key: &str| refusal.get(key).and_then(Tree::text);
            if let (Some(subject), Some(id)) = (text("subject"), text("subject_id")) {
                // Whose bound it is: `campaign:may`.
                let (kind, id) = id.split_once(':').unwrap_or((subject, id));
                let kind = if kind == "campaign" { "rule_campaign" } else { kind };
                self.considered.insert((kind.to_owned(), id.to_owned()));
            }
        }
    }

    pub(super) fn entries(&mut self, entries: &Tree) {
        for entry in entries.items() {
            entry.get("detail").into_iter().for_each(|detail| mentions("detail", detail, &mut self.applied));
        }
    }

    /// The levels that a member has: some begin as time passes, which nothing else tells.
    pub(super) fn member(&mut self, member: &Tree) {
        for standing in member.get("tiers").map(Tree::items).unwrap_or_default() {
            mentions("tiers", standing, &mut self.applied);
        }
    }

    pub(super) fn add(&mut self, other: &Seen) {
        self.applied.extend(other.applied.iter().cloned());
        self.considered.extend(other.considered.iter().cloned());
    }
}

/// Fields of an entry or a standing that name levels of the `ladder` beside them, or around them.
const LEVELS: &[&str] = &["level", "from", "to"];

fn mentions(field: &str, tree: &Tree, into: &mut BTreeSet<Mention>) {
    mentions_on(None, field, tree, into);
}

fn mentions_on(ladder: Option<&str>, field: &str, tree: &Tree, into: &mut BTreeSet<Mention>) {
    match tree {
        Tree::Text(text) | Tree::Word(text) => {
            let mention = match ladder.filter(|_| LEVELS.contains(&field)) {
                Some(ladder) => ("level".to_owned(), format!("{ladder}.{text}")),
                None => mention(field, text),
            };
            into.insert(mention);
        }
        Tree::List(items) => items.iter().for_each(|item| mentions_on(ladder, field, item, into)),
        Tree::Map(entries) => {
            let own = tree.get("ladder").and_then(Tree::text);
            entries.iter().for_each(|(name, value)| mentions_on(own.or(ladder), name, value, into));
        }
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
        let mut seen = seen.clone();
        let (root, _) = Reading::of(program, &TimeZone::UTC);
        // A campaign does what its rules do.
        for rule in root.iter().filter_map(|root| root.get("rules")).flat_map(items) {
            let text = |key: &str| rule.get(key).and_then(Node::text);
            let (Some(id), Some(campaign)) = (text("id"), text("campaign")) else { continue };
            for side in [&mut seen.applied, &mut seen.considered] {
                if side.contains(&("rule".to_owned(), id.to_owned())) {
                    side.insert(("rule_campaign".to_owned(), campaign.to_owned()));
                }
            }
        }
        for part in root.iter().flat_map(parts) {
            let side = if part.is_in(&seen.applied) {
                &mut coverage.applied
            } else if part.is_in(&seen.considered) {
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

impl Part {
    fn is_in(&self, seen: &BTreeSet<Mention>) -> bool {
        match NAMED_BY.iter().find(|(section, _)| *section == self.section) {
            Some((_, kinds)) => kinds.iter().any(|kind| seen.contains(&((*kind).to_owned(), self.id.clone()))),
            // A section that is not listed above: whatever names it.
            None => seen.iter().any(|(_, id)| *id == self.id),
        }
    }
}

fn items(node: &Node) -> &[Node] {
    match &node.content {
        Content::List(items) => items,
        _ => &[],
    }
}

/// Everything in a program file that has an id, in the order of the file. A level is named by its ladder too.
fn parts(root: &Node) -> Vec<Part> {
    let mut found = Vec::new();
    for section in root.entries() {
        if section.key != "tiers" {
            parts_below(&section.value, &section.key, "", &mut found);
            continue;
        }
        for ladder in section.value.entries() {
            parts_below(&ladder.value, &section.key, &format!("{}.", ladder.key), &mut found);
        }
    }
    found
}

fn parts_below(node: &Node, section: &str, prefix: &str, found: &mut Vec<Part>) {
    match &node.content {
        Content::List(items) => {
            for item in items {
                if let Some(id) = item.get("id").and_then(Node::text) {
                    found.push(Part { section: section.to_owned(), id: format!("{prefix}{id}") });
                }
                parts_below(item, section, prefix, found);
            }
        }
        Content::Map(entries) => entries.iter().for_each(|entry| parts_below(&entry.value, section, prefix, found)),
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
        let refusal = |id: &str| {
            let text = |text: &str| Tree::Text(text.to_owned());
            Tree::Map(vec![("subject".to_owned(), text("earn")), ("subject_id".to_owned(), text(id))])
        };
        let effect = |id: &str| Tree::Map(vec![("rule".to_owned(), Tree::Text(id.to_owned()))]);
        seen.answer(&Tree::Map(vec![
            ("effects".to_owned(), Tree::List(vec![effect("base")])),
            ("refusals".to_owned(), Tree::List(vec![refusal("rule:late")])),
        ]));
        let coverage = Coverage::of(program, &seen);
        let ids = |parts: &[Part]| parts.iter().map(|part| part.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&coverage.applied), ["base"]);
        assert_eq!(ids(&coverage.considered), ["late"]);
        assert_eq!(ids(&coverage.never), ["inner"]);
        assert_eq!((coverage.percent(), coverage.by_section().get("rules")), (33, Some(&(1, 3))));
        assert_eq!(Coverage::of("title: x\n", &seen).percent(), 100);
    }

    #[test]
    fn a_part_is_covered_by_what_names_its_kind() {
        // Bugs: campaigns and levels that only multiply could not be covered; a campaign was covered by a level of its id.
        let program = "campaigns: [{id: c}]
rules: [{id: base}, {id: extra, campaign: c}, {id: two}]
tiers: {t: {levels: [{id: a}, {id: b}, {id: c}]}}
";
        let map = |fields: &[(&str, &str)]| {
            Tree::Map(
                fields.iter().map(|(name, value)| ((*name).to_owned(), Tree::Text((*value).to_owned()))).collect(),
            )
        };
        let effects = |effects: Vec<Tree>| Tree::Map(vec![("effects".to_owned(), Tree::List(effects))]);
        let covered = |seen: &Seen| {
            let ids = |parts: Vec<Part>| parts.iter().map(|part| format!("{}/{}", part.section, part.id)).collect();
            let ids: Vec<String> = ids(Coverage::of(program, seen).applied);
            ids.join(" ")
        };
        let tiers = |level: &str| {
            Tree::Map(vec![("tiers".to_owned(), Tree::List(vec![map(&[("ladder", "t"), ("level", level)])]))])
        };
        let mut seen = Seen::default();
        seen.answer(&effects(vec![map(&[("rule", "base")]), map(&[("rule", "t/b/points")])]));
        seen.member(&tiers("c"));
        assert_eq!(covered(&seen), "rules/base tiers/t.b tiers/t.c");
        seen.answer(&effects(vec![map(&[("rule", "extra")]), map(&[("ladder", "t"), ("to", "a")])]));
        assert_eq!(covered(&seen), "campaigns/c rules/base rules/extra tiers/t.a tiers/t.b tiers/t.c");
    }
}
