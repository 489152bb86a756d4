//! What can be handed out besides units: stamps on cards, vouchers, tags.

use super::{Label, RewardId};
use crate::domain::id::CardId;
use crate::domain::time::{CalendarPeriod, Period};

/// A stamp card: so many stamps issue a voucher. What is stated here is pinned for a card at its first stamp.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StampCard {
    pub id: CardId,
    pub title: String,
    /// Stamps on a full card; more than `start_stamps`.
    pub goal: i64,
    /// What the voucher of a full card is for.
    pub reward: RewardId,
    /// From the stamp that fills the card; `None`: as vouchers by default.
    pub voucher_valid_for: Option<Period>,
    /// From the first stamp; `None`: never.
    pub expires_after: Option<Period>,
    /// Stamps that are on each card from its first stamp on, for free.
    pub start_stamps: i64,
    /// What becomes of stamps beyond the goal.
    pub beyond: Beyond,
    /// `None`: any number.
    pub cards_max: Option<CardsMax>,
    /// Whether stamps that a return takes back and that are gone for good are owed (default), or forgiven.
    pub stamps_owed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Beyond {
    /// They go on the next card.
    #[default]
    NextCard,
    Lost,
}

/// How many cards an account may begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CardsMax {
    pub cards: usize,
    /// Of the program's calendar; `None`: ever.
    pub per: Option<CalendarPeriod>,
}

impl CardsMax {
    pub const CARDS_MAX: usize = 100;
}

/// Stamps on a card.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GiveStamps {
    pub card: CardId,
    pub stamps: i64,
    pub for_each: ForEach,
}

/// For each of what on an order there are stamps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ForEach {
    #[default]
    Order,
    /// Lines that the rule selects and that earn.
    Line,
    /// Items on such lines; what a reward gave for free is none.
    Item,
    /// Days of the program's calendar: the first order of a day counts.
    Visit,
}

/// A voucher for a reward.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GiveVoucher {
    pub reward: RewardId,
    /// `None`: as vouchers by default.
    pub valid_for: Option<Period>,
}

/// Tags that the account bears from then on, and no longer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GiveTags {
    pub add: Vec<Label>,
    pub remove: Vec<Label>,
}

/// How vouchers live.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VoucherTerms {
    /// From the instant that issues them; `None`: for ever.
    pub valid_for: Option<Period>,
    /// A voucher comes back with the goods that it was used on (default), or is used for good.
    pub come_back: bool,
    /// One that has expired meanwhile lives this long from the return; `None`: it is gone.
    pub lapsed_grace: Option<Period>,
}
