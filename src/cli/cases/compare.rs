//! Holds an answer to what is expected of it.

use jiff::tz::TimeZone;

use super::expect::{Expected, Leaf, Test, What};
use super::readable::Tree;
use crate::program::document::{Place, minor_of};

/// Something is otherwise than expected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Difference {
    /// Where in the answer: `effects[1].units_granted.granted`.
    pub(super) path: String,
    /// Where the expectation stands.
    pub(super) place: Place,
    pub(super) expected: String,
    pub(super) actual: String,
}

/// Holds `actual` to `expected`.
pub(super) struct Comparison<'a> {
    pub(super) zone: &'a TimeZone,
    /// What a text that begins with `$` stands for.
    pub(super) kept: &'a dyn Fn(&str) -> Option<Tree>,
}

impl Comparison<'_> {
    /// All that differs, at most [`Comparison::LISTED_MAX`].
    pub(super) fn differences(&self, path: &str, expected: &Expected, actual: &Tree) -> Vec<Difference> {
        let mut found = Vec::new();
        self.hold(path, expected, actual, &mut found);
        found.truncate(Comparison::LISTED_MAX);
        found
    }

    pub(super) const LISTED_MAX: usize = 50;

    fn hold(&self, path: &str, expected: &Expected, actual: &Tree, found: &mut Vec<Difference>) {
        let differs = |found: &mut Vec<Difference>| {
            found.push(Difference {
                path: path.to_owned(),
                place: expected.place,
                expected: expected.line(self.zone),
                actual: actual.line(self.zone),
            });
        };
        match (&expected.what, actual) {
            (What::Any, actual) if !actual.is_nothing() => {}
            (What::Nothing, actual) if actual.is_nothing() => {}
            (What::Is(leaf), Tree::List(items)) if items.iter().any(|item| self.is(leaf, item)) => {}
            (What::Is(leaf), actual) if self.is(leaf, actual) => {}
            (What::All(tests), actual) if tests.iter().all(|test| self.passes(test, actual)) => {}
            (What::Fields(fields), Tree::Map(_)) => {
                for (name, expected) in fields {
                    let value = actual.get(name).unwrap_or(&Tree::Nothing);
                    self.hold(&joined(path, name), expected, value, found);
                }
            }
            (What::Keyed(_, keys), Tree::List(items)) => {
                for (key, expected) in keys {
                    let wanted = (self.kept)(key);
                    let key_text = wanted.as_ref().and_then(Tree::text).unwrap_or(key);
                    let item = items.iter().find(|item| item.key() == Some(key_text)).unwrap_or(&Tree::Nothing);
                    self.hold(&joined(path, key), expected, item, found);
                }
            }
            (What::Has(wanted), Tree::List(items)) => self.has(path, wanted, items, found),
            (What::Exactly(wanted), Tree::List(items)) if wanted.len() == items.len() => {
                for (index, (expected, item)) in wanted.iter().zip(items).enumerate() {
                    self.hold(&format!("{path}[{index}]"), expected, item, found);
                }
            }
            (What::Count(count), Tree::List(items)) if i64::try_from(items.len()) == Ok(*count) => {}
            _ => differs(found),
        }
    }

    /// Each of `wanted` needs an item of its own. What finds none is compared with the item that comes closest.
    fn has(&self, path: &str, wanted: &[Expected], items: &[Tree], found: &mut Vec<Difference>) {
        let mut free: Vec<(usize, &Tree)> = items.iter().enumerate().collect();
        let mut missing = Vec::new();
        for expected in wanted {
            let fits = |item: &Tree| self.differences(path, expected, item).is_empty();
            match free.iter().position(|(_, item)| fits(item)) {
                Some(at) => drop(free.remove(at)),
                None => missing.push(expected),
            }
        }
        for expected in missing {
            let weighed = free.iter().map(|(index, item)| {
                let differences = self.differences(&format!("{path}[{index}]"), expected, item);
                let is_leaf = matches!(expected.what, What::Is(_) | What::All(_));
                (if is_leaf { FAR } else { self.distance(expected, item) }, differences)
            });
            let closest = weighed.min_by_key(|(distance, _)| *distance);
            match closest {
                // Of the same sort: what differs inside is what is of interest.
                Some((distance, differences)) if distance < FAR => found.extend(differences),
                _ => found.push(Difference {
                    path: path.to_owned(),
                    place: expected.place,
                    expected: format!("among them {}", expected.line(self.zone)),
                    actual: Tree::List(items.to_vec()).line(self.zone),
                }),
            }
        }
    }

    /// How many leaves differ; [`FAR`] when it is something else altogether.
    fn distance(&self, expected: &Expected, actual: &Tree) -> usize {
        match (&expected.what, actual) {
            (What::Fields(fields), Tree::Map(_)) => {
                let known = fields.iter().filter(|(name, _)| actual.get(name).is_some());
                let known: Vec<usize> = known
                    .map(|(name, expected)| self.distance(expected, actual.get(name).unwrap_or(&Tree::Nothing)))
                    .collect();
                let unknown = fields.len() - known.len();
                let all_differ = 1 < known.len() && known.iter().all(|distance| 0 < *distance);
                if unknown == fields.len() || all_differ { FAR } else { known.iter().sum::<usize>() + unknown }
            }
            _ => usize::from(!self.differences("", expected, actual).is_empty()),
        }
    }

    fn is(&self, leaf: &Leaf, actual: &Tree) -> bool {
        match (leaf, actual) {
            (Leaf::Text(text), actual) if text.starts_with('$') => (self.kept)(text)
                .is_some_and(|kept| kept == *actual || kept.text().is_some_and(|t| Some(t) == actual.text())),
            (Leaf::Text(text), Tree::Text(actual) | Tree::Word(actual)) => text == actual,
            // Texts that look like something else.
            (Leaf::Text(text), Tree::Instant(_)) => *text == actual.line(self.zone),
            (Leaf::Whole(whole), Tree::Text(actual)) => whole.to_string() == *actual,
            (Leaf::Flag(flag), Tree::Flag(actual)) => flag == actual,
            (Leaf::Money(currency, amount), Tree::Money(of, minor)) => {
                currency.is_none_or(|currency| currency == *of) && minor_of(amount, *of) == Ok(*minor)
            }
            // A share of money.
            (Leaf::Money(Some(currency), amount), Tree::Whole(minor)) => minor_of(amount, *currency) == Ok(*minor),
            (Leaf::Instant(at), Tree::Instant(actual)) => at == actual,
            (Leaf::Length(seconds), Tree::Length(actual)) | (Leaf::Whole(seconds), Tree::Whole(actual)) => {
                seconds == actual
            }
            _ => false,
        }
    }

    fn passes(&self, test: &Test, actual: &Tree) -> bool {
        match test {
            Test::Not(leaf) => !self.is(leaf, actual),
            Test::Contains(part) => actual.text().is_some_and(|text| text.contains(part.as_str())),
            Test::AtLeast(leaf) => order(leaf, actual).is_some_and(|order| order.is_ge()),
            Test::AtMost(leaf) => order(leaf, actual).is_some_and(|order| order.is_le()),
        }
    }
}

/// Something else altogether.
const FAR: usize = 1_000;

/// How the actual value stands to the expected one.
fn order(leaf: &Leaf, actual: &Tree) -> Option<std::cmp::Ordering> {
    match (leaf, actual) {
        (Leaf::Whole(bound), Tree::Whole(actual)) | (Leaf::Length(bound), Tree::Length(actual)) => {
            Some(actual.cmp(bound))
        }
        (Leaf::Money(currency, amount), Tree::Money(of, minor)) if currency.is_none_or(|stated| stated == *of) => {
            minor_of(amount, *of).ok().map(|bound| minor.cmp(&bound))
        }
        (Leaf::Instant(bound), Tree::Instant(actual)) => Some(actual.cmp(bound)),
        _ => None,
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
