//! The value profile of members: how it is kept, and what rules may ask of it.

use super::*;
use crate::domain::predicate::{Field, Predicate, Relation, Whole as Number};
use crate::domain::program::{ValueScores, ValueTerms};

/// What may be asked of affinities at once.
const ASKED_MAX: usize = 20;
const BOUND_MAX: i64 = 1_000_000_000_000;

section! {
    /// Keeps for every account how lately, how often and for how much its people buy, in which categories, and by which
    /// kinds of loyalty units were earned. Orders, returns and grants move it from the version on that has this section;
    /// `member.value...` in expressions and `when: {member: {value: ...}}` ask for it, GetMember shows it. Frequency, money and
    /// categories are sums over the last 24 calendar months in which what was bought `m` months ago weighs 2^(-m /
    /// half_life_months): an order of this month counts whole.
    ValueSection = "value" {
        /// After how many months what was bought counts half.
        half_life_months: HalfLife, Default("6");
        /// Of which unit the loyalty mix tells by which kinds of rules it was granted.
        unit: UnitName, Without("the program's first unit");
        /// The bounds of the scores 1 to 5.
        scores: ScoresSection, Without("there are no scores");
    }
}

impl Build for ValueSection {
    type Out = ValueTerms;

    fn build(self, _: Pos, r: &mut Reader) -> Option<ValueTerms> {
        let half_life_months = self.half_life_months?.value;
        let scores = self.scores.map(|at| at.value);
        Some(ValueTerms { half_life_months, unit: unit_of(self.unit, r)?, scores })
    }
}

section! {
    /// The bounds of the scores: of each four, ascending. Who has no order has the scores 0.
    ScoresSection = "scores" {
        /// Days since the last order: at most the first is a 5, at most the second a 4, more than the last a 1.
        recency_days: Bounds<Whole<0, 10_000>>, Required;
        /// Orders, decayed: at least the last is a 5, at least the third a 4, fewer than the first a 1.
        frequency: Bounds<Hundredths>, Required;
        /// What earns, decayed, in minor units of the program's first currency; as with `frequency`.
        monetary_minor: Bounds<Whole<1, BOUND_MAX>>, Required;
    }
}

impl Build for ScoresSection {
    type Out = ValueScores;

    fn build(self, _: Pos, _: &mut Reader) -> Option<ValueScores> {
        Some(ValueScores {
            recency_days: self.recency_days?.value,
            frequency_hundredths: self.frequency?.value,
            monetary_minor: self.monetary_minor?.value,
        })
    }
}

/// A divisor of twelve.
pub(in crate::program) struct HalfLife;

const HALF_LIVES: [i64; 6] = [1, 2, 3, 4, 6, 12];

impl Value for HalfLife {
    type Out = i64;

    fn read(node: &Node, r: &mut Reader) -> Option<i64> {
        let months = Whole::<1, 12>::read(node, r)?;
        if !HALF_LIVES.contains(&months) {
            r.fault(node.pos, format!("{months} months do not divide a year"), Some("choose 1, 2, 3, 4, 6 or 12"));
            return None;
        }
        Some(months)
    }

    fn phrase() -> String {
        "1, 2, 3, 4, 6 or 12".to_owned()
    }

    fn schema() -> Json {
        serde_json::json!({ "enum": HALF_LIVES })
    }
}

/// Four numbers, ascending.
pub(in crate::program) struct Bounds<T>(std::marker::PhantomData<T>);

impl<T: Value<Out = i64>> Value for Bounds<T> {
    type Out = [i64; 4];

    fn read(node: &Node, r: &mut Reader) -> Option<[i64; 4]> {
        let bounds: [i64; 4] = Items::<T, 4, 4>::read(node, r)?.try_into().ok()?;
        if !bounds.is_sorted_by(|a, b| a < b) {
            r.fault(node.pos, "the bounds do not ascend", Some("state the lowest first, none twice"));
            return None;
        }
        Some(bounds)
    }

    fn phrase() -> String {
        format!("four ascending values, each {}", T::phrase())
    }

    fn schema() -> Json {
        Items::<T, 4, 4>::schema()
    }
}

section! {
    /// What is asked of the value profile, as it was before what happens now: everything stated must hold. The program must
    /// have a section `value`. A guest has none, so that nothing that is asked holds.
    ValueAskedSection = "member value" {
        /// The last order is at least so many days ago.
        recency_days_at_least: Whole<0, 10_000>, Without("however lately, or never");
        /// The last order is at most so many days ago.
        recency_days_at_most: Whole<0, 10_000>, Without("however long ago, or never");
        /// Orders, decayed; equal is enough.
        frequency_at_least: Hundredths, Without("any");
        /// Orders, decayed, inclusive.
        frequency_at_most: Hundredths, Without("any");
        /// What earns, decayed, in minor units of the program's first currency; equal is enough.
        monetary_minor_at_least: Whole<1, BOUND_MAX>, Without("any");
        /// The same, inclusive.
        monetary_minor_at_most: Whole<0, BOUND_MAX>, Without("any");
        /// The score of recency; equal is enough. Needs `value: {scores: ...}`, as all scores do.
        r_at_least: Whole<1, 5>, Without("any");
        /// The same, inclusive; 0 is who has no order.
        r_at_most: Whole<0, 4>, Without("any");
        /// The score of frequency.
        f_at_least: Whole<1, 5>, Without("any");
        /// The same, inclusive.
        f_at_most: Whole<0, 4>, Without("any");
        /// The score of money spent.
        m_at_least: Whole<1, 5>, Without("any");
        /// The same, inclusive.
        m_at_most: Whole<0, 4>, Without("any");
        /// How much of what was spent was spent on lines of each of these categories: thousandths.
        affinity_at_least: ByName<LabelText, Whole<1, 1_000>, 1, ASKED_MAX>, Without("any");
        /// How much of what was granted was granted by rules of each of these kinds: thousandths.
        mix_at_least: ByName<KindWord, Whole<1, 1_000>, 1, 5>, Without("any");
    }
}

impl Build for ValueAskedSection {
    type Out = Vec<Predicate>;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<Vec<Predicate>> {
        if !r.names.has("value") {
            r.fault(pos, "the program keeps no value profile", Some("add a section `value`"));
            return None;
        }
        let scores =
            [&self.r_at_least, &self.r_at_most, &self.f_at_least, &self.f_at_most, &self.m_at_least, &self.m_at_most];
        if !r.names.declared("value").contains(&"scores") {
            for asked in scores.into_iter().flatten() {
                r.fault_at(asked, "the program states no scores", Some("add `value: {scores: ...}`"));
            }
        }
        let pairs = [
            (Field::ValueRecency, self.recency_days_at_least, self.recency_days_at_most),
            (Field::ValueFrequency, self.frequency_at_least, self.frequency_at_most),
            (Field::ValueMonetary, self.monetary_minor_at_least, self.monetary_minor_at_most),
            (Field::ValueScoreR, self.r_at_least, self.r_at_most),
            (Field::ValueScoreF, self.f_at_least, self.f_at_most),
            (Field::ValueScoreM, self.m_at_least, self.m_at_most),
        ];
        let mut all = Vec::new();
        let compare = |field: Field, how: Relation, bound: i64| Predicate::Compare {
            left: Number::Field(field),
            how,
            right: Number::Constant(bound),
        };
        for (field, least, most) in pairs {
            if let (Some(least), Some(most)) = (&least, &most)
                && most.value < least.value
            {
                r.fault_at(most, "nothing is at once that high and that low", Some("exchange the two"));
            }
            all.extend(least.map(|at| compare(field.clone(), Relation::AtLeast, at.value)));
            all.extend(most.map(|at| compare(field, Relation::AtMost, at.value)));
        }
        for (category, least) in self.affinity_at_least.map(|at| at.value).unwrap_or_default() {
            all.push(compare(Field::ValueAffinity(category), Relation::AtLeast, least));
        }
        for (kind, least) in self.mix_at_least.map(|at| at.value).unwrap_or_default() {
            all.push(compare(Field::ValueMix(kind), Relation::AtLeast, least));
        }
        if all.is_empty() && r.faults.is_empty() {
            r.fault(pos, "asks nothing of the value profile", Some("leave it out"));
            return None;
        }
        Some(all)
    }
}
