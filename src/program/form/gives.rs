//! What rewards give.

use serde_json::json;

use super::*;
use crate::domain::id::Sku;
use crate::domain::program::{BuyGet, Codes, ItemPrice, ItemsOff, PercentOff, Pick, SetPrice};

choice! {
    /// What a reward gives: exactly one of these.
    GivesChoice = "gives" -> RewardKind {
        /// So much off the selected lines, never more than they cost.
        amount_off: Money => RewardKind::AmountOff;
        /// A part of what the selected lines cost.
        percent_off: PercentOffSection => RewardKind::PercentOff;
        /// Items of the selected lines for free; they earn no stamp.
        free_item: FreeItemSection => RewardKind::Items;
        /// A part of what items of the selected lines cost.
        item_off: ItemOffSection => RewardKind::Items;
        /// Items of the selected lines for a price of their own.
        fixed_price: FixedPriceSection => RewardKind::Items;
        /// What the order's lines of kind shipping cost.
        free_shipping: FreeShippingSection => free_shipping;
        /// Items of one product for free, in the cart or to be added to it.
        product: ProductSection => product;
        /// For so many items bought, others for less.
        buy_get: BuyGetSection => buy_get;
        /// Items together for one price.
        set_price: SetPriceSection => RewardKind::Set;
        /// Nothing on an order: it is handed over outside of any, by the shop or by a partner. Members ask for it and get
        /// a voucher.
        handed_over: HandedOverSection => handed_over;
    }
}

fn handed_over(codes: Option<Codes>) -> RewardKind {
    RewardKind::HandedOver(codes)
}

fn product((sku, items): (Sku, i64)) -> RewardKind {
    RewardKind::Product { sku, items }
}

fn buy_get(terms: BuyGet) -> RewardKind {
    RewardKind::BuyGet(Box::new(terms))
}

fn free_shipping(at_most: Option<PerCurrency>) -> RewardKind {
    RewardKind::FreeShipping { at_most }
}

section! {
    /// A part of what the selected lines cost, split over them in proportion.
    PercentOffSection = "percent off" {
        /// How much of it.
        percent: Share, Required;
        /// Never more than this.
        at_most: Money, Without("any amount");
        /// Where a fraction of a minor unit goes.
        rounding: RoundingWord, Default("floor");
    }
}

impl Build for PercentOffSection {
    type Out = PercentOff;

    fn build(self, _: Pos, _: &mut Reader) -> Option<PercentOff> {
        Some(PercentOff {
            share_bps: self.percent?.value,
            at_most: self.at_most.map(|at| at.value),
            rounding: self.rounding?.value,
        })
    }
}

section! {
    /// Something that is handed over outside of orders.
    HandedOverSection = "handed over" {
        /// The codes of a partner, each given once. There are no more of the reward than codes, and one that was given
        /// never goes back.
        codes: CodesSection, Without("no codes");
    }
}

impl Build for HandedOverSection {
    type Out = Option<Codes>;

    fn build(self, _: Pos, _: &mut Reader) -> Option<Option<Codes>> {
        Some(self.codes.map(|at| at.value))
    }
}

/// Of a list of codes.
const CODES_MAX: usize = 100_000;

section! {
    /// Codes of a partner: exactly one of `list` and `numbered`. They are given in this order; add new ones behind, and
    /// never take one out or move it, for what was given is remembered by its place.
    CodesSection = "codes" {
        /// One by one.
        list: Distinct<PartnerCode, 1, CODES_MAX>, Without("`numbered` is stated");
        /// A run of numbers.
        numbered: NumberedSection, Without("`list` is stated");
    }
}

impl Build for CodesSection {
    type Out = Codes;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<Codes> {
        match (self.list, self.numbered) {
            (Some(list), None) => Some(Codes::List(list.value)),
            (None, Some(numbered)) => Some(numbered.value),
            (Some(_), Some(numbered)) => {
                r.fault_at(&numbered, "both `list` and `numbered` are stated", Some("leave one of them out"));
                None
            }
            (None, None) => {
                r.fault(pos, "says nothing", Some("state `list` or `numbered`"));
                None
            }
        }
    }
}

section! {
    /// Codes that are numbers behind a text: `SPA-0001`, `SPA-0002`, ...
    NumberedSection = "numbered codes" {
        /// What they begin with.
        prefix: PartnerCode, Required;
        /// The first number.
        first: Whole<0, 1_000_000_000_000>, Default("1");
        /// How many there are.
        count: Whole<1, 1_000_000_000>, Required;
        /// Numbers of fewer digits are filled up with zeros.
        digits: Whole<1, 18>, Default("1");
    }
}

impl Build for NumberedSection {
    type Out = Codes;

    fn build(self, _: Pos, _: &mut Reader) -> Option<Codes> {
        let digits = usize::try_from(self.digits?.value).ok()?;
        Some(Codes::Numbered { prefix: self.prefix?.value, first: self.first?.value, count: self.count?.value, digits })
    }
}

/// A code as its partner knows it.
pub(super) struct PartnerCode;

impl PartnerCode {
    const LEN_MAX: usize = 64;
}

impl Value for PartnerCode {
    type Out = Box<str>;

    fn read(node: &Node, r: &mut Reader) -> Option<Box<str>> {
        let text = r.scalar(node, "a code")?;
        if text.is_empty() || Self::LEN_MAX < text.len() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = format!("the code is not 1 to {} ASCII characters without spaces", Self::LEN_MAX);
            r.fault(node.pos, message, None);
            return None;
        }
        Some(text.into())
    }

    fn phrase() -> String {
        format!("1 to {} ASCII characters without spaces", Self::LEN_MAX)
    }

    fn schema() -> Json {
        json!({ "type": ["string", "number"], "minLength": 1, "maxLength": Self::LEN_MAX })
    }
}

words!(PickWord -> Pick {
    "cheapest" => Pick::Cheapest, "from the cheapest on; of equal ones, the earlier line";
    "dearest" => Pick::Dearest, "from the dearest on; of equal ones, the earlier line";
});

const ITEMS_MAX: i64 = 1_000;

section! {
    /// Items for free. What an item costs is what its line costs by the line's quantity.
    FreeItemSection = "free item" {
        /// How many.
        items: Whole<1, ITEMS_MAX>, Default("1");
        /// So many for each so many items that the selected lines have: `3` with one item is "buy two, get one".
        for_each: Whole<2, ITEMS_MAX>, Without("once");
        /// So often at most; with `for_each`.
        times_max: Whole<1, ITEMS_MAX>, Without("any number of times");
        /// Which of them.
        pick: PickWord, Default("cheapest");
    }
}

impl Build for FreeItemSection {
    type Out = ItemsOff;

    fn build(self, _: Pos, r: &mut Reader) -> Option<ItemsOff> {
        check_items(self.items.as_ref(), self.for_each.as_ref(), r);
        check_times(self.times_max.as_ref(), self.for_each.as_ref(), r);
        Some(ItemsOff {
            items: Some(self.items?.value),
            for_each: self.for_each.map(|at| at.value),
            times_max: self.times_max.map(|at| at.value),
            pick: self.pick?.value,
            to: ItemPrice::Free,
        })
    }
}

/// Of so many items, no more can be meant.
fn check_items(items: Option<&At<i64>>, for_each: Option<&At<i64>>, r: &mut Reader) {
    if let (Some(items), Some(for_each)) = (items, for_each)
        && for_each.value < items.value
    {
        r.fault_at(for_each, "there are more `items` than that", Some("state the items bought and given together"));
    }
}

fn check_times(times_max: Option<&At<i64>>, for_each: Option<&At<i64>>, r: &mut Reader) {
    if let (Some(times_max), None) = (times_max, for_each) {
        r.fault_at(times_max, "it is given once anyway", Some("state `for_each`, or leave this out"));
    }
}

section! {
    /// A part of what items cost.
    ItemOffSection = "item off" {
        /// How much of it.
        percent: Share, Required;
        /// How many.
        items: Whole<1, ITEMS_MAX>, Default("1");
        /// So many for each so many items that the selected lines have.
        for_each: Whole<2, ITEMS_MAX>, Without("once");
        /// So often at most; with `for_each`.
        times_max: Whole<1, ITEMS_MAX>, Without("any number of times");
        /// Which of them.
        pick: PickWord, Default("cheapest");
        /// Where a fraction of a minor unit goes.
        rounding: RoundingWord, Default("floor");
    }
}

impl Build for ItemOffSection {
    type Out = ItemsOff;

    fn build(self, _: Pos, r: &mut Reader) -> Option<ItemsOff> {
        check_items(self.items.as_ref(), self.for_each.as_ref(), r);
        check_times(self.times_max.as_ref(), self.for_each.as_ref(), r);
        Some(ItemsOff {
            items: Some(self.items?.value),
            for_each: self.for_each.map(|at| at.value),
            times_max: self.times_max.map(|at| at.value),
            pick: self.pick?.value,
            to: ItemPrice::PercentOff { share_bps: self.percent?.value, rounding: self.rounding?.value },
        })
    }
}

section! {
    /// Items for a price of their own; one that costs less stays as it is.
    FixedPriceSection = "fixed price" {
        /// Of one item.
        price: Money, Required;
        /// How many.
        items: Whole<1, ITEMS_MAX>, Without("all");
        /// Which of them.
        pick: PickWord, Default("dearest");
    }
}

impl Build for FixedPriceSection {
    type Out = ItemsOff;

    fn build(self, _: Pos, _: &mut Reader) -> Option<ItemsOff> {
        Some(ItemsOff {
            items: self.items.map(|at| at.value),
            for_each: None,
            times_max: None,
            pick: self.pick?.value,
            to: ItemPrice::Fixed(self.price?.value),
        })
    }
}

section! {
    /// The order's shipping for free.
    FreeShippingSection = "free shipping" {
        /// Never more than this.
        at_most: Money, Without("any amount");
    }
}

impl Build for FreeShippingSection {
    type Out = Option<PerCurrency>;

    fn build(self, _: Pos, _: &mut Reader) -> Option<Option<PerCurrency>> {
        Some(self.at_most.map(|at| at.value))
    }
}

section! {
    /// Items of one product for free. Those that the order lacks are told as items to add; they are free on the next call,
    /// when the shop has put them on the order at their price, or at none.
    ProductSection = "product" {
        /// Which product.
        sku: SkuText, Required;
        /// How many items of it.
        items: Whole<1, ITEMS_MAX>, Default("1");
    }
}

impl Build for ProductSection {
    type Out = (Sku, i64);

    fn build(self, _: Pos, _: &mut Reader) -> Option<(Sku, i64)> {
        Some((self.sku?.value, self.items?.value))
    }
}

section! {
    /// For so many items bought, others for less. An item that is given for less is none of those bought.
    BuyGetSection = "buy and get" {
        /// What must be bought.
        buy: LinesSection, Required;
        /// For so many of these items ...
        buy_items: Whole<1, ITEMS_MAX>, Default("1");
        /// What is given for less; it may be the same as what is bought.
        get: LinesSection, Required;
        /// ... up to so many of those.
        get_items: Whole<1, ITEMS_MAX>, Default("1");
        /// A part of what they cost.
        percent: Share, Without("they are free");
        /// A price of their own; one that costs less stays as it is.
        price: Money, Without("they are free");
        /// Which of them.
        pick: PickWord, Default("cheapest");
        /// So often at most.
        times_max: Whole<1, ITEMS_MAX>, Default("1000");
        /// Where a fraction of a minor unit of `percent` goes.
        rounding: RoundingWord, Default("floor");
    }
}

impl Build for BuyGetSection {
    type Out = BuyGet;

    fn build(self, _: Pos, r: &mut Reader) -> Option<BuyGet> {
        if let (Some(price), Some(_)) = (&self.price, &self.percent) {
            r.fault_at(price, "both `percent` and `price` are stated", Some("leave one of them out"));
        }
        let rounding = self.rounding?.value;
        let to = match (self.percent, self.price) {
            (Some(percent), _) => ItemPrice::PercentOff { share_bps: percent.value, rounding },
            (None, Some(price)) => ItemPrice::Fixed(price.value),
            (None, None) => ItemPrice::Free,
        };
        Some(BuyGet {
            buy: self.buy?.value,
            buy_items: self.buy_items?.value,
            get: self.get?.value,
            get_items: self.get_items?.value,
            pick: self.pick?.value,
            to,
            times_max: self.times_max?.value,
        })
    }
}

const PARTS_MAX: usize = 10;

section! {
    /// Items together for one price: "a sandwich and a drink for 5", "three books for 20". A set that costs less stays as
    /// it is.
    SetPriceSection = "set price" {
        /// Of a set.
        price: Money, Required;
        /// What a set has. An item serves the first part that names it and still lacks one.
        parts: Items<SetPartSection, 1, PARTS_MAX>, Required;
        /// So many sets at most.
        times_max: Whole<1, ITEMS_MAX>, Default("1000");
        /// Which items of each part go into sets first.
        pick: PickWord, Default("dearest");
    }
}

impl Build for SetPriceSection {
    type Out = SetPrice;

    fn build(self, _: Pos, _: &mut Reader) -> Option<SetPrice> {
        Some(SetPrice {
            parts: self.parts?.value,
            price: self.price?.value,
            times_max: self.times_max?.value,
            pick: self.pick?.value,
        })
    }
}

section! {
    /// A part of a set.
    SetPartSection = "set part" {
        /// Any of these lines.
        lines: LinesSection, Required;
        /// How many items of them.
        items: Whole<1, ITEMS_MAX>, Default("1");
    }
}

impl Build for SetPartSection {
    type Out = (Selector, i64);

    fn build(self, _: Pos, _: &mut Reader) -> Option<(Selector, i64)> {
        Some((self.lines?.value, self.items?.value))
    }
}
