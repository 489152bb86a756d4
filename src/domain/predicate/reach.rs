//! Whether a condition can ever hold.

use std::collections::{BTreeMap, BTreeSet};

use super::{Field, Predicate, Relation, Text, TextRelation, Whole};

/// What several conditions on one field leave over.
#[derive(Clone)]
struct Left<'p> {
    least: i64,
    most: i64,
    /// `None`: any text.
    texts: Option<BTreeSet<&'p str>>,
    not_texts: BTreeSet<&'p str>,
    not_numbers: BTreeSet<i64>,
    flag: Option<bool>,
    there: Option<bool>,
    listed: BTreeSet<&'p str>,
    not_listed: BTreeSet<&'p str>,
    contradicted: bool,
}

/// False: it never holds, whatever is seen. True: nothing is known against it. Looks at what each field is compared
/// with, not at sums.
pub fn can_hold(predicate: &Predicate) -> bool {
    together(&[predicate], BTreeMap::new())
}

type Facts<'p> = BTreeMap<&'p Field, Left<'p>>;

/// Whether all of these can hold at once, given what is known.
fn together<'p>(parts: &[&'p Predicate], mut facts: Facts<'p>) -> bool {
    let mut choices: Vec<&'p [Predicate]> = Vec::new();
    let mut open: Vec<&'p Predicate> = parts.to_vec();
    while let Some(part) = open.pop() {
        match part {
            Predicate::Constant(false) => return false,
            Predicate::All(inner) => open.extend(inner.iter()),
            Predicate::Any(inner) => choices.push(inner),
            leaf => note(leaf, &mut facts),
        }
    }
    if facts.values().any(|left| left.is_empty()) {
        return false;
    }
    // Each choice is tried against what is certain, not against other choices: their products would be too many.
    choices.iter().all(|choice| choice.iter().any(|way| together(&[way], facts.clone())))
}

fn note<'p>(leaf: &'p Predicate, facts: &mut Facts<'p>) {
    match leaf {
        Predicate::Flag { field, wanted } => {
            let left = of(field, facts);
            left.contradicted |= left.flag.is_some_and(|flag| flag != *wanted);
            left.flag = Some(*wanted);
            left.see();
        }
        Predicate::Has { field, wanted } => {
            let left = of(field, facts);
            left.contradicted |= left.there.is_some_and(|there| there != *wanted);
            left.there = Some(*wanted);
        }
        Predicate::Compare { left: Whole::Field(field), how, right: Whole::Constant(constant) } => {
            of(field, facts).compare(*how, *constant);
        }
        Predicate::Compare { left: Whole::Constant(constant), how, right: Whole::Field(field) } => {
            of(field, facts).compare(how.mirrored(), *constant);
        }
        Predicate::OneOf { value: Whole::Field(field), of: numbers, wanted } => {
            let left = of(field, facts);
            left.see();
            match wanted {
                true => {
                    let inside = numbers.iter().filter(|number| left.least <= **number && **number <= left.most);
                    let (least, most) = (inside.clone().min(), inside.max());
                    left.contradicted |= least.is_none();
                    left.least = least.copied().unwrap_or(left.least);
                    left.most = most.copied().unwrap_or(left.most);
                }
                false => left.not_numbers.extend(numbers.iter()),
            }
        }
        Predicate::Text { left: a, how: TextRelation::Equals, right: b, wanted } => match (a, b) {
            (Text::Field(field), Text::Constant(text)) | (Text::Constant(text), Text::Field(field)) => {
                of(field, facts).be_one_of([&**text].into(), *wanted);
            }
            _ => {}
        },
        Predicate::TextOneOf { value: Text::Field(field), of: texts, wanted } => {
            of(field, facts).be_one_of(texts.iter().map(|text| &**text).collect(), *wanted);
        }
        Predicate::Lists { list, value: Text::Constant(text), wanted } => {
            let left = of(list, facts);
            match wanted {
                true => {
                    left.see();
                    left.listed.insert(text);
                }
                false => {
                    left.not_listed.insert(text);
                }
            }
        }
        Predicate::ListsOneOf { list, of: texts, wanted } => {
            let left = of(list, facts);
            match (wanted, &**texts) {
                (true, [only]) => {
                    left.see();
                    left.listed.insert(only);
                }
                (true, _) => left.see(),
                (false, texts) => left.not_listed.extend(texts.iter().map(|text| &**text)),
            }
        }
        _ => {}
    }
}

fn of<'f, 'p>(field: &'p Field, facts: &'f mut Facts<'p>) -> &'f mut Left<'p> {
    facts.entry(field).or_insert_with(|| {
        let (least, most) = field.range();
        Left {
            least,
            most,
            texts: None,
            not_texts: BTreeSet::new(),
            not_numbers: BTreeSet::new(),
            flag: None,
            there: None,
            listed: BTreeSet::new(),
            not_listed: BTreeSet::new(),
            contradicted: false,
        }
    })
}

impl<'p> Left<'p> {
    /// Something is asked of the value, so it must be there.
    fn see(&mut self) {
        self.contradicted |= self.there == Some(false);
        self.there = Some(true);
    }

    fn compare(&mut self, how: Relation, constant: i64) {
        self.see();
        match how {
            Relation::Equal => {
                self.least = self.least.max(constant);
                self.most = self.most.min(constant);
            }
            Relation::Different => {
                self.not_numbers.insert(constant);
            }
            Relation::Less => match constant.checked_sub(1) {
                Some(most) => self.most = self.most.min(most),
                None => self.contradicted = true,
            },
            Relation::AtMost => self.most = self.most.min(constant),
            Relation::More => match constant.checked_add(1) {
                Some(least) => self.least = self.least.max(least),
                None => self.contradicted = true,
            },
            Relation::AtLeast => self.least = self.least.max(constant),
        }
    }

    fn be_one_of(&mut self, texts: BTreeSet<&'p str>, wanted: bool) {
        self.see();
        if !wanted {
            self.not_texts.extend(texts);
            return;
        }
        self.texts = Some(match self.texts.take() {
            None => texts,
            Some(before) => before.intersection(&texts).copied().collect(),
        });
    }

    fn is_empty(&self) -> bool {
        let no_number = self.most < self.least || (self.least == self.most && self.not_numbers.contains(&self.least));
        let no_text = self.texts.as_ref().is_some_and(|texts| texts.is_subset(&self.not_texts));
        self.contradicted || no_number || no_text || !self.listed.is_disjoint(&self.not_listed)
    }
}
