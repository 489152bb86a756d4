//! Stock: how many of a reward there are, for all members together.
//!
//! What is left of it is a [quota](super::quota). What a reservation holds, an order has used and a voucher was issued
//! for is recorded where it was taken, so that it goes back to the very quota it came from, once.

use serde::{Deserialize, Serialize};

use super::id::{Label, RewardId};
use super::program::{Program, Reward, Stock};
use super::quota::QuotaKey;
use super::time::Instant;

/// One of a reward, taken out of its stock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StockItem {
    pub reward: RewardId,
    pub quota: QuotaKey,
}

/// One of a reward that was used on an order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StockUse {
    pub taken: StockItem,
    /// What the reward took off each line, minor units; where that is nothing, the items that it gave. It is back once all of
    /// that is.
    pub shares: Vec<i64>,
    /// Whether it goes back into stock when the goods come back; else it is written off.
    pub comes_back: bool,
    pub given_back: bool,
}

impl Reward {
    /// Its stock, and the quota that says what is left of it; `None`: there is no end to it.
    pub fn stock_in(&self, program: &Program, store: Option<&Label>, at: Instant) -> Option<(&Stock, QuotaKey)> {
        let stock = self.stock.as_ref()?;
        let store = if stock.by_store { store.map_or("-", Label::as_str) } else { "" };
        let of = [if stock.is_codes { "codes" } else { "stock" }, self.id.as_str(), store];
        let quota = match stock.per {
            Some(period) => QuotaKey::of_period(&program.id, &of, period, at, &program.zone),
            None => QuotaKey::ever(&program.id, &of),
        };
        Some((stock, quota))
    }
}

/// What is kept does not go back.
pub(super) fn keep(freed: &mut Vec<StockItem>, kept: &[StockItem]) {
    for taken in kept {
        if let Some(at) = freed.iter().position(|known| known == taken) {
            freed.remove(at);
        }
    }
}

/// Takes one of `reward` out of `from`; `None`: there is none.
pub(super) fn take_from(from: &mut Vec<StockItem>, reward: &RewardId) -> Option<StockItem> {
    let at = from.iter().position(|taken| taken.reward == *reward)?;
    Some(from.remove(at))
}
