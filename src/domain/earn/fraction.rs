//! Exact fractions on the way to whole units.

use super::OutOfBounds;
use crate::domain::money::{Ratio, Rounding};

pub(super) const ZERO: Ratio = Ratio { numerator: 0, denominator: 1 };

pub(super) fn rounded(amount: i64, units: i64, per: i64, rounding: Rounding) -> Result<i64, OutOfBounds> {
    let numerator = i128::from(amount) * i128::from(units);
    rounding.apply(Ratio { numerator, denominator: i128::from(per) }).ok_or(OutOfBounds)
}

pub(super) fn total(amounts: &[i64]) -> Result<i64, OutOfBounds> {
    amounts.iter().try_fold(0i64, |sum, n| sum.checked_add(*n)).ok_or(OutOfBounds)
}

/// Fractions over their least common denominator.
pub(super) fn common(ratios: &[Ratio]) -> Result<(Vec<i128>, i128), OutOfBounds> {
    let mut denominator = 1i128;
    for ratio in ratios.iter().filter(|ratio| ratio.numerator != 0) {
        // Mostly all have the same.
        if denominator == ratio.denominator {
            continue;
        }
        let shared = gcd(denominator, ratio.denominator);
        denominator = denominator.checked_mul(ratio.denominator / shared).ok_or(OutOfBounds)?;
    }
    let mut numerators = Vec::with_capacity(ratios.len());
    for ratio in ratios {
        numerators.push(match ratio.numerator {
            0 => 0,
            numerator if ratio.denominator == denominator => numerator,
            numerator => numerator.checked_mul(denominator / ratio.denominator).ok_or(OutOfBounds)?,
        });
    }
    Ok((numerators, denominator))
}

pub(super) fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// Weights scaled down together until they fit the split; proportions stay as close as they can.
pub(super) fn scaled(weights: &[i128]) -> Vec<i64> {
    let largest = weights.iter().copied().max().unwrap_or(0);
    let mut shift = 0;
    while i128::from(i64::MAX >> 10) < largest >> shift {
        shift += 1;
    }
    weights.iter().map(|weight| i64::try_from(weight >> shift).unwrap_or(0)).collect()
}
