//! Grants that build on others: what a multiplier adds to a base, and what is given on top of one only. Limits may leave
//! less of the base than was planned; then what builds on it is worked out from what is left.

use std::borrow::Cow;

use super::fraction::{ZERO, common, scaled};
use super::{OutOfBounds, Plan};
use crate::domain::id::{RuleId, UnitId};
use crate::domain::money::{Ratio, Rounding, split};

/// How a grant builds on those of other rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Builds {
    Multiplies(Multiplied),
    /// Nothing is given unless one of `bases` gives something on one of the lines.
    Needs {
        bases: Vec<RuleId>,
        lines: Vec<bool>,
    },
}

/// A base and what is made of it: `(factor − 1) × base`, rounded once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Multiplied {
    /// By base rule, what it gives on each line, exactly; nothing where the multiplier does not act.
    pub(super) bases: Vec<(RuleId, Vec<Ratio>)>,
    /// The factor less one, times 1,000.
    pub(super) extra_permille: i64,
    pub(super) rounding: Rounding,
}

/// What a multiplier adds, and on what.
pub(super) struct Added {
    pub(super) amount: i64,
    pub(super) shares: Vec<i64>,
    pub(super) base: Ratio,
}

impl Multiplied {
    pub(super) fn added(&self, lines: usize) -> Result<Added, OutOfBounds> {
        let on_line: Cow<'_, [Ratio]> = match self.bases.as_slice() {
            [(_, exact)] if exact.len() == lines => Cow::Borrowed(exact),
            bases => {
                let of_line = |line: usize| {
                    let parts: Vec<Ratio> = bases.iter().filter_map(|(_, exact)| exact.get(line).copied()).collect();
                    match parts.as_slice() {
                        [] => Ok(ZERO),
                        [only] => Ok(*only),
                        parts => sum(parts),
                    }
                };
                (0..lines).map(of_line).collect::<Result<_, _>>()?
            }
        };
        let (weights, denominator) = common(&on_line)?;
        let base = weights.iter().try_fold(0i128, |sum, w| sum.checked_add(*w)).ok_or(OutOfBounds)?;
        let numerator = base.checked_mul(i128::from(self.extra_permille)).ok_or(OutOfBounds)?;
        let ratio = Ratio { numerator, denominator: denominator.checked_mul(1_000).ok_or(OutOfBounds)? };
        let amount = self.rounding.apply(ratio).ok_or(OutOfBounds)?;
        let shares = split(amount, &scaled(&weights));
        Ok(Added { amount, shares, base: Ratio { numerator: base, denominator } })
    }

    /// The same where of some rules only so much was granted.
    fn after(&self, cut: &[Cut]) -> Multiplied {
        let bases = self.bases.iter().map(|(rule, exact)| {
            let Some(cut) = cut.iter().find(|cut| cut.rule == *rule) else { return (rule.clone(), exact.clone()) };
            let whole = |(share, exact): (&i64, &Ratio)| {
                let share = if exact.numerator == 0 { 0 } else { *share };
                Ratio { numerator: i128::from(share), denominator: 1 }
            };
            (rule.clone(), cut.shares.iter().zip(exact).map(whole).collect())
        });
        Multiplied { bases: bases.collect(), ..self.clone() }
    }
}

fn sum(parts: &[Ratio]) -> Result<Ratio, OutOfBounds> {
    let (numerators, denominator) = common(parts)?;
    let numerator = numerators.iter().try_fold(0i128, |sum, n| sum.checked_add(*n)).ok_or(OutOfBounds)?;
    Ok(Ratio { numerator, denominator })
}

/// A grant of which limits left less than was planned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    pub rule: RuleId,
    pub unit: UnitId,
    /// What was granted, by line.
    pub shares: Vec<i64>,
}

impl Plan {
    /// Whether it builds on what the rule of `other` gives.
    fn is_on(&self, other: &Plan) -> bool {
        self.unit == other.unit
            && match &self.builds {
                None => false,
                Some(Builds::Multiplies(multiplied)) => multiplied.bases.iter().any(|(rule, _)| *rule == other.rule),
                Some(Builds::Needs { bases, .. }) => bases.contains(&other.rule),
            }
    }

    /// What is to be granted where others were cut. `None`: it cannot be worked out.
    pub fn after(&self, cut: &[Cut]) -> Option<Cow<'_, Plan>> {
        let mine: Vec<Cut> = cut.iter().filter(|cut| cut.unit == self.unit).cloned().collect();
        let concerns = |rule: &RuleId| mine.iter().find(|cut| cut.rule == *rule);
        match &self.builds {
            Some(Builds::Multiplies(multiplied))
                if multiplied.bases.iter().any(|(rule, _)| concerns(rule).is_some()) =>
            {
                let Added { amount, shares, .. } = multiplied.after(&mine).added(self.shares.len()).ok()?;
                Some(Cow::Owned(Plan { amount, shares, ..self.clone() }))
            }
            Some(Builds::Needs { bases, lines }) => {
                let on_lines = |cut: &Cut| cut.shares.iter().zip(lines).any(|(share, on)| 0 < *share && *on);
                if bases.iter().any(|rule| concerns(rule).is_none_or(on_lines)) {
                    return Some(Cow::Borrowed(self));
                }
                let shares = vec![0; self.shares.len()];
                Some(Cow::Owned(Plan { amount: 0, shares, ..self.clone() }))
            }
            _ => Some(Cow::Borrowed(self)),
        }
    }
}

/// Plans in the order in which they are granted: as they stand, but each after what it builds on.
pub fn in_order(plans: &[Plan]) -> Vec<&Plan> {
    let mut at: Vec<(usize, usize)> = (0..plans.len()).map(|place| (place, 0)).collect();
    // A fixed bonus may itself need a base, and be multiplied: deeper it does not go.
    for _ in 0..2 {
        let later = plans.iter().zip(&at).map(|(plan, (place, _))| {
            let bases = plans.iter().zip(&at).filter(|(base, _)| plan.builds.is_some() && plan.is_on(base));
            let mut after = (*place, 0);
            for (_, (of_base, depth)) in bases {
                after = (after.0.max(*of_base), after.1.max(depth + 1));
            }
            after
        });
        at = later.collect();
    }
    let mut order: Vec<(&(usize, usize), &Plan)> = at.iter().zip(plans).collect();
    order.sort_by_key(|(at, _)| **at);
    order.into_iter().map(|(_, plan)| plan).collect()
}
