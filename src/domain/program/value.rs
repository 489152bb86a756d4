//! What a member is worth to the shop, and the shop to the member: the terms of the value profile.

use crate::domain::id::UnitId;

/// How the value profile of members is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValueTerms {
    /// After so many months what was bought counts half; a divisor of 12.
    pub half_life_months: i64,
    /// Of which unit the loyalty mix tells by what it was granted.
    pub unit: UnitId,
    pub scores: Option<ValueScores>,
}

/// The bounds of the scores 1 to 5; of each four, ascending.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValueScores {
    /// At most the first: 5; more than the last: 1.
    pub recency_days: [i64; 4],
    /// In hundredths of an order. At least the last: 5; less than the first: 1.
    pub frequency_hundredths: [i64; 4],
    /// In minor units of the program's first currency.
    pub monetary_minor: [i64; 4],
}

impl ValueScores {
    /// Shorter ago is better.
    pub fn recency(&self, days: i64) -> i64 {
        5 - count(&self.recency_days, |bound| bound < days)
    }

    pub fn frequency(&self, hundredths: i64) -> i64 {
        1 + count(&self.frequency_hundredths, |bound| bound <= hundredths)
    }

    pub fn monetary(&self, minor: i64) -> i64 {
        1 + count(&self.monetary_minor, |bound| bound <= minor)
    }
}

fn count(bounds: &[i64; 4], passed: impl Fn(i64) -> bool) -> i64 {
    bounds.iter().filter(|bound| passed(**bound)).fold(0, |sum, _| sum + 1)
}
