//! Which part of the credit for a friend each touch gets, by one model or another. Whole numbers alone: parts per
//! million that sum exactly, by largest remainder.

use serde::{Deserialize, Serialize};

use super::super::money::split;
use super::super::time::Instant;

/// All of it, in parts per million.
pub const WHOLE_PPM: i64 = 1_000_000;

/// How credit is shared between touches.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum CreditModel {
    /// The first has it all.
    First,
    /// The last has it all.
    Last,
    /// Each has as much.
    Linear,
    /// The first and the last have these parts, in basis points; what is left is shared by those between. Of two, each has
    /// its part of both.
    Position { first_bps: i64, last_bps: i64 },
    /// One that is so much older than another, in milliseconds, has half as much.
    Decay { half_life_ms: i64 },
}

impl CreditModel {
    pub fn name(self) -> &'static str {
        match self {
            CreditModel::First => "first",
            CreditModel::Last => "last",
            CreditModel::Linear => "linear",
            CreditModel::Position { .. } => "position",
            CreditModel::Decay { .. } => "decay",
        }
    }

    /// The part of each touch, in parts per million, in their order; they sum to [`WHOLE_PPM`]. `at`: when each was, the
    /// earliest first. What cannot be split evenly goes by largest remainder, of equal ones to the earlier.
    pub fn shares(self, at: &[Instant]) -> Vec<i64> {
        let (count, last) = (at.len(), at.len().saturating_sub(1));
        let weights: Vec<i64> = match self {
            CreditModel::First => (0..count).map(|n| i64::from(n == 0)).collect(),
            CreditModel::Last => (0..count).map(|n| i64::from(n == last)).collect(),
            CreditModel::Linear => vec![1; count],
            CreditModel::Position { first_bps, last_bps } => position(count, first_bps, last_bps),
            CreditModel::Decay { half_life_ms } => {
                let newest = at.iter().max().map_or(0, |at| at.0);
                at.iter().map(|at| decayed(newest.saturating_sub(at.0), half_life_ms)).collect()
            }
        };
        split(WHOLE_PPM, &weights)
    }
}

fn position(count: usize, first_bps: i64, last_bps: i64) -> Vec<i64> {
    let between = i64::try_from(count.saturating_sub(2)).unwrap_or(i64::MAX);
    match count {
        0 | 1 => vec![1; count],
        2 if first_bps == 0 && last_bps == 0 => vec![1; 2],
        2 => vec![first_bps, last_bps],
        _ => {
            let each = 10_000i64.saturating_sub(first_bps).saturating_sub(last_bps).max(0);
            let ends = [first_bps.saturating_mul(between), last_bps.saturating_mul(between)];
            let inner = std::iter::repeat_n(each, count.saturating_sub(2));
            std::iter::once(ends[0]).chain(inner).chain(std::iter::once(ends[1])).collect()
        }
    }
}

/// One, in the fixed-point numbers that weights are.
const ONE: u64 = 1 << 62;

/// 2^(-1/2), 2^(-1/4), 2^(-1/8), ... of [`ONE`].
const HALVED: [u64; 16] = [
    3_260_954_456_333_195_553,
    3_877_950_241_171_266_237,
    4_228_934_724_888_366_668,
    4_416_165_660_797_809_419,
    4_512_867_096_753_504_463,
    4_562_008_997_483_360_349,
    4_586_780_255_215_411_731,
    4_599_216_278_082_138_665,
    4_605_446_927_862_164_404,
    4_608_565_417_332_308_035,
    4_610_125_453_837_388_245,
    4_610_905_670_110_601_999,
    4_611_295_827_762_151_833,
    4_611_490_918_967_884_501,
    4_611_588_467_665_893_036,
    4_611_637_242_788_701_951,
];

/// `2^(-age / half-life)` of [`ONE`], to 16 binary digits of the exponent; rounded down.
fn decayed(age_ms: i64, half_life_ms: i64) -> i64 {
    let (age, half_life) = (age_ms.max(0), half_life_ms.max(1));
    let halvings = age / half_life;
    if 62 <= halvings {
        return 0;
    }
    // Below one: 16 digits of it.
    let digits = i128::from(age % half_life) * (1 << 16) / i128::from(half_life);
    let mut weight = u128::from(ONE);
    for (place, factor) in HALVED.iter().enumerate() {
        if digits & (1 << (15 - place)) != 0 {
            weight = (weight * u128::from(*factor)) >> 62;
        }
    }
    i64::try_from(weight >> halvings).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::DAY_MS;

    fn shares(model: CreditModel, days: &[i64]) -> Vec<i64> {
        let at: Vec<Instant> = days.iter().map(|day| Instant(day * DAY_MS)).collect();
        model.shares(&at)
    }

    #[test]
    fn r5_each_model_shares_the_credit_as_it_says() {
        const HALF: CreditModel = CreditModel::Decay { half_life_ms: 7 * DAY_MS };
        const ENDS: CreditModel = CreditModel::Position { first_bps: 4_000, last_bps: 4_000 };
        let uneven = CreditModel::Position { first_bps: 6_000, last_bps: 2_000 };
        // model, days, parts
        let rows: [(CreditModel, &[i64], &[i64]); 17] = [
            (CreditModel::First, &[], &[]),
            (CreditModel::First, &[1, 2, 3], &[1_000_000, 0, 0]),
            (CreditModel::Last, &[1, 2, 3], &[0, 0, 1_000_000]),
            (CreditModel::Linear, &[1], &[1_000_000]),
            (CreditModel::Linear, &[1, 2], &[500_000, 500_000]),
            // The remainder goes to the earliest.
            (CreditModel::Linear, &[1, 2, 3], &[333_334, 333_333, 333_333]),
            (ENDS, &[1], &[1_000_000]),
            (ENDS, &[1, 2], &[500_000, 500_000]),
            (ENDS, &[1, 2, 3], &[400_000, 200_000, 400_000]),
            (ENDS, &[1, 2, 3, 4, 5], &[400_000, 66_667, 66_667, 66_666, 400_000]),
            (uneven, &[1, 2], &[750_000, 250_000]),
            (uneven, &[1, 2, 3], &[600_000, 200_000, 200_000]),
            (CreditModel::Position { first_bps: 0, last_bps: 0 }, &[1, 2], &[500_000, 500_000]),
            // Half as much after each half-life: 1 to 2 to 4.
            (HALF, &[0, 7, 14], &[142_857, 285_714, 571_429]),
            (HALF, &[3, 3], &[500_000, 500_000]),
            // So old that nothing is left of it.
            (HALF, &[0, 7_000], &[0, 1_000_000]),
            // 2^(-1/2) to 1.
            (CreditModel::Decay { half_life_ms: 2 * DAY_MS }, &[0, 1], &[414_214, 585_786]),
        ];
        for (model, days, expected) in rows {
            assert_eq!(shares(model, days), expected, "{model:?} {days:?}");
        }
    }

    #[test]
    fn r5_parts_sum_exactly_whatever_the_touches() {
        let models = [
            CreditModel::First,
            CreditModel::Last,
            CreditModel::Linear,
            CreditModel::Position { first_bps: 3_333, last_bps: 3_334 },
            CreditModel::Decay { half_life_ms: 1 },
            CreditModel::Decay { half_life_ms: 36 * 3_600_000 },
        ];
        for model in models {
            for count in 1..40i64 {
                // Uneven gaps, some of none.
                let at: Vec<Instant> = (0..count).map(|n| Instant(n * n / 3 * 40_000_000)).collect();
                let parts = model.shares(&at);
                assert_eq!(parts.iter().sum::<i64>(), WHOLE_PPM, "{model:?} {count}");
                assert!(parts.iter().all(|part| 0 <= *part), "{model:?} {count}");
            }
        }
    }

    #[test]
    fn r5_weights_fall_with_age_and_halve_with_each_half_life() {
        let mut before = i64::MAX;
        for age in 0..2_000 {
            let weight = decayed(age, 97);
            assert!(weight <= before, "{age}");
            before = weight;
            let twice = i128::from(decayed(age, 97)) - 2 * i128::from(decayed(age + 97, 97));
            assert!((0..=1).contains(&twice), "{age}: {twice}");
        }
        assert_eq!(decayed(0, 97), 1 << 62);
        assert_eq!(decayed(62 * 97, 97), 0);
        assert_eq!(decayed(i64::MAX, 1), 0);
    }
}
