//! Stamp cards, vouchers, and what rules hand out besides units.

use serde_json::json;

use super::*;
use crate::domain::program::{Beyond, CardsMax, ForEach, GiveStamps, GiveTags, GiveVoucher, StampCard, VoucherTerms};
use crate::domain::time::{CalendarPeriod, Period};
use crate::program::read::declared;

declared!(CardName -> CardId, "stamp_cards", "stamp card");
declared!(RewardName -> RewardId, "rewards", "reward");

words!(BeyondWord -> Beyond {
    "next_card" => Beyond::NextCard, "they go on the next card";
    "lost" => Beyond::Lost, "they are lost";
});

words!(ForEachWord -> ForEach {
    "order" => ForEach::Order, "each order";
    "line" => ForEach::Line, "each line that the rule selects and that earns";
    "item" => ForEach::Item, "each item on such lines, but for what a reward gave for free";
    "visit" => ForEach::Visit, "each visit: the first order of a day of the program's calendar";
});

words!(CardsPerWord -> Option<CalendarPeriod> {
    "lifetime" => None, "ever";
    "day" => Some(CalendarPeriod::Day), "in a day of the program's calendar";
    "week" => Some(CalendarPeriod::Week), "in a week from Monday";
    "month" => Some(CalendarPeriod::Month), "in a calendar month";
    "quarter" => Some(CalendarPeriod::Quarter), "in a calendar quarter";
    "year" => Some(CalendarPeriod::Year), "in a calendar year";
});

section! {
    /// A stamp card: so many stamps, and a voucher follows. Rules give the stamps. What is stated here is pinned for a
    /// card at its first stamp; a change holds for cards begun later.
    StampCardSection = "stamp card" {
        /// Names the card in rules and in the ledger.
        id: Name<CardId>, Required;
        /// What people call it.
        title: Title, Required;
        /// Stamps on a full card.
        goal: Whole<1, 1_000>, Required;
        /// What the voucher of a full card is for.
        reward: RewardName, Required;
        /// How long that voucher lives, from the stamp that fills the card.
        voucher_valid_for: Length, Without("as `vouchers.valid_for`");
        /// When a card that is not full ceases to be, from its first stamp; `none`: never.
        expires_after: LengthOrNone, Default("none");
        /// Stamps that are on each card from the start, for free: a head start. Fewer than the goal.
        start_stamps: Whole<0, 999>, Default("0");
        /// What becomes of stamps beyond the goal.
        beyond_goal: BeyondWord, Default("next_card");
        /// How many cards an account may begin.
        cards_max: CardsMaxSection, Without("any number");
        /// Whether stamps that a return takes back are owed when a voucher for them was used; the next stamps repay
        /// them. `false`: they are forgiven.
        stamps_owed: Flag, Default("true");
    }
}

impl Build for StampCardSection {
    type Out = StampCard;

    fn build(self, _: Pos, r: &mut Reader) -> Option<StampCard> {
        let start_stamps = self.start_stamps?;
        if let Some(goal) = &self.goal
            && goal.value <= start_stamps.value
        {
            r.fault_at(&start_stamps, "the card is full from the start", Some("state fewer than `goal`"));
        }
        Some(StampCard {
            id: self.id?.value,
            title: self.title?.value,
            goal: self.goal?.value,
            reward: self.reward?.value,
            voucher_valid_for: self.voucher_valid_for.map(|at| at.value),
            expires_after: self.expires_after?.value,
            start_stamps: start_stamps.value,
            beyond: self.beyond_goal?.value,
            cards_max: self.cards_max.map(|at| at.value),
            stamps_owed: self.stamps_owed?.value,
        })
    }
}

section! {
    /// How many cards of one id an account may begin; further stamps are lost, and the answer says so.
    CardsMaxSection = "cards max" {
        /// So many ...
        cards: Whole<1, { CardsMax::CARDS_MAX as i64 }>, Required;
        /// ... in this time.
        per: CardsPerWord, Default("lifetime");
    }
}

impl Build for CardsMaxSection {
    type Out = CardsMax;

    fn build(self, _: Pos, _: &mut Reader) -> Option<CardsMax> {
        Some(CardsMax { cards: usize::try_from(self.cards?.value).ok()?, per: self.per?.value })
    }
}

section! {
    /// How vouchers live: the rewards that full cards and rules hand out.
    VouchersSection = "vouchers" {
        /// From the instant that issues them; `none`: for ever.
        valid_for: LengthOrNone, Default("none");
        /// What becomes of a voucher when all that it lowered comes back.
        on_return: OnReturnWord, Default("give_back");
        /// How long a voucher lives from the return when it has expired in the meantime; `none`: it is gone.
        lapsed_grace: LengthOrNone, Default("30 days");
    }
}

words!(OnReturnWord -> bool {
    "give_back" => true, "it can be used again";
    "keep_used" => false, "it stays used";
});

impl Build for VouchersSection {
    type Out = VoucherTerms;

    fn build(self, _: Pos, _: &mut Reader) -> Option<VoucherTerms> {
        Some(VoucherTerms {
            valid_for: self.valid_for?.value,
            come_back: self.on_return?.value,
            lapsed_grace: self.lapsed_grace?.value,
        })
    }
}

section! {
    /// Stamps on a card.
    StampsSection = "stamps" {
        /// Which card.
        card: CardName, Required;
        /// How many.
        stamps: Whole<1, 1_000>, Default("1");
        /// For each of what; outside orders, once.
        for_each: ForEachWord, Default("order");
    }
}

impl Build for StampsSection {
    type Out = GiveStamps;

    fn build(self, _: Pos, _: &mut Reader) -> Option<GiveStamps> {
        Some(GiveStamps { card: self.card?.value, stamps: self.stamps?.value, for_each: self.for_each?.value })
    }
}

section! {
    /// A voucher for a reward of the program. One that an order has brought is taken back, while it is not used, when
    /// what is kept of the order no longer comes to what the rule asks.
    VoucherSection = "voucher" {
        /// Which reward.
        reward: RewardName, Required;
        /// From the instant that issues it.
        valid_for: Length, Without("as `vouchers.valid_for`");
    }
}

impl Build for VoucherSection {
    type Out = GiveVoucher;

    fn build(self, _: Pos, _: &mut Reader) -> Option<GiveVoucher> {
        let valid_for: Option<Period> = self.valid_for.map(|at| at.value);
        Some(GiveVoucher { reward: self.reward?.value, valid_for })
    }
}

section! {
    /// Tags that the account bears from then on, or no longer. Each stands as long as one of those that gave it: when
    /// the order comes back, the tag goes. Tags of the profile are the shop's own and are not touched.
    TagSection = "tag" {
        /// To give.
        add: Distinct<LabelText, 1, 64>, Without("none");
        /// To take away.
        remove: Distinct<LabelText, 1, 64>, Without("none");
    }
}

impl Build for TagSection {
    type Out = GiveTags;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<GiveTags> {
        if let (Some(add), Some(remove)) = (&self.add, &self.remove)
            && let Some(both) = remove.value.iter().find(|tag| add.value.contains(tag))
        {
            r.fault_at(remove, format!("{} is both given and taken away", quoted(both.as_str())), None);
        }
        if self.add.is_none() && self.remove.is_none() {
            r.lacks(pos, "says nothing", Some("state `add` or `remove`"));
            return None;
        }
        let add = self.add.map(|at| at.value).unwrap_or_default();
        Some(GiveTags { add, remove: self.remove.map(|at| at.value).unwrap_or_default() })
    }
}
