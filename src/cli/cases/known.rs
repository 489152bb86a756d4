//! Whether what a case expects nothing of is there at all: a name with a typo would never be found, so that "nothing"
//! would hold whatever happens.

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, Value};

use super::expect::{Expectation, Expected, Leaf, Test, What};
use super::file::Step;
use crate::domain::program::Program;
use crate::program::document::{Place, Reading};

/// What the steps of a case name, and what the program declares.
pub(super) struct Known<'a> {
    program: &'a Program,
    /// Every text that some step sends.
    sent: BTreeSet<String>,
}

impl<'a> Known<'a> {
    pub(super) fn of(program: &'a Program, steps: &[Step]) -> Known<'a> {
        let mut sent = BTreeSet::new();
        for (_, request) in steps.iter().filter_map(|step| step.call.as_ref()) {
            texts(&request.message, &mut sent);
        }
        Known { program, sent }
    }

    /// Reports every name that an expectation looks for and nobody knows.
    pub(super) fn check(&self, expectation: &Expectation, r: &mut Reading) {
        for (lookup, keys) in &expectation.lookups {
            for (key, expected) in keys {
                let is_id = lookup.key.ends_with("_id");
                if is_id && !key.starts_with('$') && !self.sent.contains(key) && !self.declares(key) {
                    let sent: Vec<&str> = self.sent.iter().map(String::as_str).collect();
                    let whose = lookup.key.trim_end_matches("_id").replace('_', " ");
                    let article = if whose.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
                    let expected_text = format!("{article} {whose} that some step of the case names");
                    r.within(&lookup.word, |r| r.unknown_word(expected.place, &expected_text, key, &sent));
                }
                r.within(&lookup.word, |r| self.walk(expected, r));
            }
        }
        if let Some(Expected { what: What::Fields(units), .. }) = &expectation.earned {
            for (unit, expected) in units {
                self.name("unit", unit, expected.place, r);
            }
        }
        for (_, name, expected) in &expectation.answer {
            r.within(name, |r| self.walk(expected, r));
        }
    }

    fn walk(&self, expected: &Expected, r: &mut Reading) {
        match &expected.what {
            What::Keyed(by, items) => {
                for (key, item) in items {
                    self.name(by, key, item.place, r);
                    self.walk(item, r);
                }
            }
            What::Fields(fields) => {
                for (field, value) in fields {
                    if let What::All(tests) = &value.what {
                        let excluded = tests.iter().filter_map(|test| match test {
                            Test::Not(Leaf::Text(name)) => Some(name),
                            _ => None,
                        });
                        excluded.for_each(|name| self.name(field, name, value.place, r));
                    }
                    self.walk(value, r);
                }
            }
            What::Has(items) | What::Exactly(items) => items.iter().for_each(|item| self.walk(item, r)),
            What::Is(_) | What::Any | What::Nothing | What::All(_) | What::Count(_) => {}
        }
    }

    /// Reports a name of something that the program must declare. `field`: what kind of thing it is.
    fn name(&self, field: &str, name: &str, place: Place, r: &mut Reading) {
        let Some(known) = self.names(field) else { return };
        if name.starts_with('$') || known.iter().any(|known| known == name) {
            return;
        }
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        r.unknown_word(place, &format!("a {field} of the program"), name, &known);
    }

    /// What a program declares of one kind; `None`: it does not declare such things.
    fn names(&self, field: &str) -> Option<Vec<String>> {
        let program = self.program;
        Some(match field {
            "unit" => program.units.iter().map(|unit| unit.unit.to_string()).collect(),
            "rule" => {
                let rules = program.rules.iter().map(|rule| rule.id.to_string());
                let referrals = program.campaigns.iter().map(|campaign| campaign.id.to_string());
                rules.chain(referrals).chain(self.levels()).collect()
            }
            "reward" => program.rewards.iter().map(|reward| reward.id.to_string()).collect(),
            "card" => program.stamp_cards.iter().map(|card| card.id.to_string()).collect(),
            "draw" => program.draws.iter().map(|draw| draw.id.to_string()).collect(),
            "ladder" => program.ladders.iter().map(|ladder| ladder.id.to_string()).collect(),
            "goal" => program.goals.iter().map(|goal| goal.id.to_string()).collect(),
            _ => return None,
        })
    }

    /// What a level multiplies is told like a rule.
    fn levels(&self) -> impl Iterator<Item = String> {
        let levels = self.program.ladders.iter().flat_map(|ladder| &ladder.levels);
        levels.flat_map(|level| level.multipliers.iter().map(|rule| rule.id.to_string()))
    }

    fn declares(&self, name: &str) -> bool {
        const KINDS: [&str; 7] = ["unit", "rule", "reward", "card", "draw", "ladder", "goal"];
        KINDS.iter().any(|kind| self.names(kind).is_some_and(|known| known.iter().any(|known| known == name)))
    }
}

fn texts(message: &DynamicMessage, into: &mut BTreeSet<String>) {
    message.fields().for_each(|(_, value)| texts_of(value, into));
}

fn texts_of(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(into.insert(text.clone())),
        Value::Message(message) => texts(message, into),
        Value::List(items) => items.iter().for_each(|item| texts_of(item, into)),
        _ => {}
    }
}
