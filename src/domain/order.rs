//! What the checkout sends: an order and its lines.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::id::{Label, LineId, MemberId, OrderId, Sku};

/// An ISO 4217 currency; stored by its ISO number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// `None` unless `raw` is an active ISO 4217 code in upper case.
    pub fn parse(raw: &str) -> Option<Currency> {
        iso_currency::Currency::from_code(raw).map(Currency)
    }

    pub fn as_str(&self) -> &'static str {
        self.0.code()
    }

    /// Digits after the decimal point: 2 for GBP, 0 for JPY, 3 for BHD.
    pub fn exponent(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl TryFrom<u16> for Currency {
    type Error = &'static str;

    fn try_from(number: u16) -> Result<Currency, &'static str> {
        iso_currency::Currency::from_numeric(number).map(Currency).ok_or("no currency has this number")
    }
}

impl From<Currency> for u16 {
    fn from(currency: Currency) -> u16 {
        currency.0.numeric()
    }
}

impl std::fmt::Display for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Debug for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a line sells; decides whether it earns by default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum LineKind {
    #[default]
    Goods,
    Shipping,
    Fee,
    /// Stored value: never earns, for it earns when it is spent.
    GiftCard,
}

/// What sort of purchase an order is. A program says which sorts earn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum OrderKind {
    #[default]
    Ordinary,
    /// The first of a subscription.
    First,
    /// A later one of a subscription.
    Renewal,
    /// Tried before it is bought.
    Trial,
    /// Sent instead of what was bought before.
    Replacement,
}

impl OrderKind {
    /// As programs write it.
    pub fn name(self) -> &'static str {
        match self {
            OrderKind::Ordinary => "ordinary",
            OrderKind::First => "first",
            OrderKind::Renewal => "renewal",
            OrderKind::Trial => "trial",
            OrderKind::Replacement => "replacement",
        }
    }

    pub const ALL: [OrderKind; 5] =
        [OrderKind::Ordinary, OrderKind::First, OrderKind::Renewal, OrderKind::Trial, OrderKind::Replacement];
}

/// One line of an order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Line {
    pub line_id: LineId,
    pub sku: Option<Sku>,
    pub categories: Vec<Label>,
    pub brand: Option<Label>,
    /// What it belongs to besides its categories: a season, a bundle.
    pub collections: Vec<Label>,
    /// Anything else that rules may select by.
    pub labels: Vec<Label>,
    pub seller: Option<Label>,
    pub kind: LineKind,
    /// Whole items; 0 for a line that counts none (a surcharge), which is returned by amount.
    pub quantity: i64,
    /// The line's total in minor units before any effect of ours and after every other discount.
    pub amount_minor: i64,
    /// The line's total at list price, when the caller says so.
    pub list_amount_minor: Option<i64>,
    /// The lowest total that the line would have cost in the last 30 days, when the caller says so.
    pub prior_amount_minor: Option<i64>,
    /// Tax on the line: contained in `amount_minor` or on top of it, as the order says.
    pub tax_minor: i64,
}

/// An order as the caller sends it: checked for shape, not yet decided.
#[derive(Clone, PartialEq, Debug)]
pub struct Order {
    pub order_id: OrderId,
    pub currency: Currency,
    pub channel: Option<Label>,
    pub store: Option<Label>,
    /// The zone that the order carries.
    pub zone: Option<TimeZone>,
    pub prices_include_tax: bool,
    pub lines: Vec<Line>,
    pub kind: OrderKind,
    /// Coupons of others that were used; at most [`Order::LABELS_MAX`].
    pub coupons: Vec<Label>,
    /// How the shopper pays, as order and tenders say; at most [`Order::LABELS_MAX`] and one of each tender.
    pub payment_methods: Vec<Label>,
    /// For whom the order is, when it is a gift.
    pub recipient: Option<MemberId>,
}

impl Line {
    /// Of categories, of collections and of labels.
    pub const LABELS_MAX: usize = 16;
}

impl Order {
    pub const LINES_MAX: usize = 500;
    /// Of coupons, and of payment methods.
    pub const LABELS_MAX: usize = 20;
    /// Keeps sums over all lines, and products with a rate, far inside `i64` and `i128`.
    pub const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_000;
    pub const QUANTITY_MAX: i64 = 1_000_000_000;
}
