//! What an order redeemed, from its record.

use super::{PaymentUse, Redemption, RewardUse};
use crate::domain::answer::{Discount, Effect, Redeemed, Share};
use crate::domain::order_record::{LineRecord, OrderRecord};

impl Redemption {
    /// What rewards and units took off the lines when the order was committed.
    pub fn recorded(record: &OrderRecord) -> Redemption {
        let by_line = |shares: &[Share]| {
            let of = |line: &LineRecord| shares.iter().find(|share| share.line_id == line.line_id);
            record.lines.iter().map(|line| of(line).map_or(0, |share| share.amount)).collect::<Vec<i64>>()
        };
        let reward = |discount: &Discount| RewardUse {
            reward: discount.reward.clone(),
            amount_minor: discount.amount_minor,
            shares: by_line(&discount.shares),
            price: discount.price.clone(),
            unit_shares: by_line(&discount.unit_shares),
            voucher: discount.voucher.clone(),
            free: by_line(&discount.free),
            desired_minor: discount.desired_minor,
            rail: discount.rail,
            to_add: discount.to_add.clone(),
            stock: None,
        };
        let payment = |paid: &Redeemed| PaymentUse {
            unit: paid.unit.clone(),
            units: paid.units,
            value_minor: paid.value_minor,
            settles_as: paid.settles_as,
            shares: by_line(&paid.value_shares),
            unit_shares: by_line(&paid.unit_shares),
        };
        let mut redemption = Redemption::default();
        for effect in &record.decided.effects {
            match effect {
                Effect::Discount(discount) => redemption.rewards.push(reward(discount)),
                Effect::MemberPrice(price) => redemption.prices.push(price.clone()),
                Effect::Redeemed(paid) => redemption.payment = Some(payment(paid)),
                _ => {}
            }
        }
        redemption
    }
}
