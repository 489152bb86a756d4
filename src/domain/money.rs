//! Integer arithmetic for money and units: checked, with rounding by name, split without loss.

use serde::{Deserialize, Serialize};

/// Where a fraction goes. Amounts that rules round are never negative.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Rounding {
    /// Down: the program never grants a fraction.
    #[default]
    Floor,
    /// Up: any fraction counts as one.
    Ceil,
    /// To the nearest; one half goes up.
    HalfUp,
    /// To the nearest; one half goes to the even neighbour (IEEE 754 `roundTiesToEven`).
    HalfEven,
}

/// An exact non-negative fraction of units, kept until a rule says where to round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ratio {
    pub numerator: i128,
    pub denominator: i128,
}

impl Rounding {
    /// `value` as a whole number, or `None` when it leaves `i64` or the denominator is not positive.
    pub fn apply(self, value: Ratio) -> Option<i64> {
        let Ratio { numerator, denominator } = value;
        if denominator <= 0 {
            return None;
        }
        let (floor, rest) = divided(numerator, denominator);
        let up = match self {
            Rounding::Floor => false,
            Rounding::Ceil => 0 < rest,
            Rounding::HalfUp => denominator <= rest.checked_mul(2)?,
            Rounding::HalfEven => {
                let twice = rest.checked_mul(2)?;
                denominator < twice || (denominator == twice && floor.rem_euclid(2) == 1)
            }
        };
        i64::try_from(floor + i128::from(up)).ok()
    }

    /// The name that program files and traces use.
    pub fn name(self) -> &'static str {
        match self {
            Rounding::Floor => "floor",
            Rounding::Ceil => "ceil",
            Rounding::HalfUp => "half_up",
            Rounding::HalfEven => "half_even",
        }
    }
}

/// Quotient and rest of a division by what is positive. Processors divide 64 bits several times as fast as a library does 128, and
/// nearly everything fits.
fn divided(numerator: i128, denominator: i128) -> (i128, i128) {
    match (i64::try_from(numerator), i64::try_from(denominator)) {
        (Ok(numerator), Ok(denominator)) if 0 < denominator => {
            (numerator.div_euclid(denominator).into(), numerator.rem_euclid(denominator).into())
        }
        _ => (numerator.div_euclid(denominator), numerator.rem_euclid(denominator)),
    }
}

/// `total × numerator / denominator`, rounded down; `None` on overflow or a denominator below one.
/// For a fixed total it never falls as the numerator grows, and it reaches `total` at the end: parts taken as
/// differences of it sum to the whole.
pub fn share_floor(total: i64, numerator: i64, denominator: i64) -> Option<i64> {
    let exact = i128::from(total).checked_mul(i128::from(numerator))?;
    Rounding::Floor.apply(Ratio { numerator: exact, denominator: i128::from(denominator) })
}

/// Splits `total` in proportion to `weights` by largest remainder (Hamilton's method): the parts sum to
/// `total`, each is within one of its exact share, ties go to the earlier weight. Weights must not be negative;
/// when all are zero, the first part takes everything. An empty list of weights gives an empty list.
pub fn split(total: i64, weights: &[i64]) -> Vec<i64> {
    debug_assert!(weights.iter().all(|w| 0 <= *w), "weights are amounts of lines, never negative");
    let sum: i128 = weights.iter().map(|w| i128::from(*w)).sum();
    if sum == 0 {
        let mut parts = vec![0; weights.len()];
        if let Some(first) = parts.first_mut() {
            *first = total;
        }
        return parts;
    }
    let mut parts = Vec::with_capacity(weights.len());
    let mut rests: Vec<(i128, usize)> = Vec::with_capacity(weights.len());
    let mut given: i128 = 0;
    for (index, weight) in weights.iter().enumerate() {
        let (floor, rest) = divided(i128::from(total) * i128::from(*weight), sum);
        given += floor;
        parts.push(floor as i64); // at most `total`, for the weight is at most the sum
        rests.push((rest, index));
    }
    let left = i128::from(total) - given; // fewer than there are weights
    if left == 0 {
        return parts;
    }
    rests.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, index) in rests.iter().take(left as usize) {
        if let Some(part) = parts.get_mut(*index) {
            *part += 1;
        }
    }
    parts
}

/// The same with no part above its cap: what does not fit goes, in proportion, to the parts that have room. `total` is
/// at most the sum of the caps of positive weights; what is beyond is left out.
pub fn split_within(total: i64, weights: &[i64], caps: &[i64]) -> Vec<i64> {
    let mut parts = vec![0i64; weights.len()];
    let mut left = total;
    // Each round but the last fills a part.
    while 0 < left {
        let room = |at: usize| caps.get(at).copied().unwrap_or(0) - parts.get(at).copied().unwrap_or(0);
        let open: Vec<i64> =
            weights.iter().enumerate().map(|(at, weight)| if 0 < room(at) { *weight } else { 0 }).collect();
        if open.iter().all(|weight| *weight == 0) {
            break;
        }
        for ((part, cap), more) in parts.iter_mut().zip(caps).zip(split(left, &open)) {
            let fits = more.min(cap - *part).max(0);
            *part += fits;
            left -= fits;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rounding_by_name() {
        //  numerator denominator floor ceil half_up half_even
        for (n, d, floor, ceil, half_up, half_even) in [
            (0, 2, 0, 0, 0, 0),
            (1, 2, 0, 1, 1, 0),
            (3, 2, 1, 2, 2, 2),
            (5, 2, 2, 3, 3, 2),
            (149, 100, 1, 2, 1, 1),
            (151, 100, 1, 2, 2, 2),
            (200, 100, 2, 2, 2, 2),
        ] {
            let ratio = Ratio { numerator: n, denominator: d };
            assert_eq!(Rounding::Floor.apply(ratio), Some(floor), "floor {n}/{d}");
            assert_eq!(Rounding::Ceil.apply(ratio), Some(ceil), "ceil {n}/{d}");
            assert_eq!(Rounding::HalfUp.apply(ratio), Some(half_up), "half_up {n}/{d}");
            assert_eq!(Rounding::HalfEven.apply(ratio), Some(half_even), "half_even {n}/{d}");
        }
        assert_eq!(Rounding::Floor.apply(Ratio { numerator: i128::MAX, denominator: 1 }), None);
        assert_eq!(Rounding::Floor.apply(Ratio { numerator: 1, denominator: 0 }), None);
    }

    #[test]
    fn split_by_largest_remainder() {
        for (total, weights, expected) in [
            (100, vec![1, 1, 1], vec![34, 33, 33]),
            (1, vec![1, 1], vec![1, 0]),
            (10, vec![0, 0], vec![10, 0]),
            (10, vec![0, 5], vec![0, 10]),
            (7, vec![3, 0, 4], vec![3, 0, 4]),
            (0, vec![3, 4], vec![0, 0]),
        ] {
            assert_eq!(split(total, &weights), expected, "{total} over {weights:?}");
        }
    }

    #[test]
    fn split_within_caps() {
        for (total, weights, caps, expected) in [
            (100, vec![1, 1], vec![100, 100], vec![50, 50]),
            (100, vec![1, 1], vec![10, 100], vec![10, 90]),
            (100, vec![1, 0, 1], vec![10, 100, 100], vec![10, 0, 90]),
            (30, vec![5, 5, 5], vec![1, 9, 100], vec![1, 9, 20]),
            (5, vec![1, 1], vec![1, 1], vec![1, 1]), // what is beyond is left out
            (5, vec![0, 0], vec![9, 9], vec![0, 0]),
        ] {
            assert_eq!(split_within(total, &weights, &caps), expected, "{total} over {weights:?} within {caps:?}");
        }
    }

    proptest! {
        #[test]
        fn parts_within_caps_sum_to_the_whole(
            pairs in prop::collection::vec((1..i64::MAX / 64, 0..i64::MAX / 64), 1..30), of in 0..=1_000i64,
        ) {
            let (weights, caps): (Vec<i64>, Vec<i64>) = pairs.into_iter().unzip();
            let total = share_floor(caps.iter().sum(), of, 1_000).unwrap();
            let parts = split_within(total, &weights, &caps);
            prop_assert_eq!(parts.iter().sum::<i64>(), total);
            prop_assert!(parts.iter().zip(&caps).all(|(part, cap)| 0 <= *part && part <= cap));
        }

        #[test]
        fn parts_sum_to_the_whole(total in 0..i64::MAX / 2, weights in prop::collection::vec(0..i64::MAX / 64, 1..40)) {
            let parts = split(total, &weights);
            prop_assert_eq!(parts.iter().map(|p| i128::from(*p)).sum::<i128>(), i128::from(total));
            prop_assert!(parts.iter().all(|p| 0 <= *p));
        }

        #[test]
        fn cumulative_shares_never_fall(total in 0..1_000_000i64, whole in 1..1_000i64) {
            let mut before = 0;
            for k in 0..=whole {
                let share = share_floor(total, k, whole).unwrap_or(-1);
                prop_assert!(before <= share);
                before = share;
            }
            prop_assert_eq!(before, total);
        }
    }
}
