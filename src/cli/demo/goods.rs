//! What the fictional bakery sells, and shoppers who come back: the same for the same seed.

use crate::domain::time::{DAY_MS, Instant, MINUTE_MS};
use crate::grpc::wire;

/// An article: SKU, category, brand, price in pence and in euro cents.
type Article = (&'static str, &'static str, &'static str, i64, i64);

const ARTICLES: [Article; 9] = [
    ("CROISSANT-PLAIN", "pastry", "Marlow", 210, 250),
    ("CROISSANT-ALMOND", "pastry", "Marlow", 320, 370),
    ("CINNAMON-ROLL", "pastry", "Marlow", 290, 340),
    ("SOURDOUGH-800", "bread", "Old Mill", 480, 550),
    ("RYE-1000", "bread", "Old Mill", 520, 600),
    ("BAGUETTE", "bread", "Marlow", 230, 260),
    ("ROLL-SEED", "rolls", "Marlow", 95, 110),
    ("CAKE-CARROT", "cake", "Marlow", 1650, 1900),
    ("COFFEE", "drinks", "Old Mill", 310, 360),
];

const DELIVERY: Article = ("DELIVERY", "delivery", "Marlow", 390, 450);

/// Where an order is made: channel, store and currency.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    HighStreet,
    QuaiBranly,
    Web,
}

/// SplitMix64: small, and the same everywhere. Not for secrets.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A number from 0 to `sides` - 1; 0 when there are none.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).checked_rem(sides).unwrap_or(0)
    }
}

/// An order of these SKUs, each with a quantity. SKUs that the bakery does not sell are left out.
pub fn order(order_id: &str, place: Place, wanted: &[(&str, i64)]) -> wire::Order {
    let (channel, store_id, currency_code) = match place {
        Place::HighStreet => ("store", "high-street", "GBP"),
        Place::QuaiBranly => ("store", "quai-branly", "EUR"),
        Place::Web => ("web", "", "GBP"),
    };
    let goods = wanted.iter().filter_map(|(sku, quantity)| {
        let article = ARTICLES.iter().find(|article| article.0 == *sku)?;
        Some((*article, *quantity, wire::LineKind::Goods))
    });
    let delivery = (place == Place::Web).then_some((DELIVERY, 1, wire::LineKind::Shipping));
    let lines = goods.chain(delivery).map(|((sku, category, brand, pence, cents), quantity, kind)| wire::Line {
        line_id: sku.to_lowercase(),
        sku: sku.to_owned(),
        categories: vec![category.to_owned()],
        brand: brand.to_owned(),
        quantity,
        amount_minor: quantity * if place == Place::QuaiBranly { cents } else { pence },
        list_amount_minor: None,
        lowest_prior_amount_minor: None,
        tax_minor: 0,
        collections: Vec::new(),
        labels: Vec::new(),
        kind: kind.into(),
        seller: String::new(),
    });
    wire::Order {
        order_id: order_id.to_owned(),
        currency_code: currency_code.to_owned(),
        channel: channel.to_owned(),
        store_id: store_id.to_owned(),
        time_zone: String::new(),
        prices_include_tax: true,
        lines: lines.collect(),
        ..Default::default()
    }
}

/// What the order costs, minor units.
pub fn price(order: &wire::Order) -> i64 {
    order.lines.iter().map(|line| line.amount_minor).sum()
}

/// One everyday purchase.
#[derive(Clone, PartialEq, Debug)]
pub struct Purchase {
    pub member_id: String,
    pub at: Instant,
    pub order: wire::Order,
}

/// What the crowd buys on one day, by time.
pub fn day(dice: &mut Dice, day: i64, begins: Instant, members: u64, orders: u64) -> Vec<Purchase> {
    let mut purchases: Vec<Purchase> = (0..orders)
        .map(|number| {
            let member = 1 + dice.roll(members);
            let place = match dice.roll(10) {
                0..6 => Place::HighStreet,
                6..8 => Place::QuaiBranly,
                _ => Place::Web,
            };
            // Shops open at six and close at eight in the evening; the web shop never closes.
            let minute = if place == Place::Web { dice.roll(24 * 60) } else { 6 * 60 + dice.roll(14 * 60) };
            let first = dice.roll(ARTICLES.len() as u64);
            let kinds = 1 + dice.roll(4);
            let wanted: Vec<(&str, i64)> = (0..kinds)
                .filter_map(|step| {
                    let index = usize::try_from((first + 2 * step) % ARTICLES.len() as u64).ok()?;
                    let quantity = i64::try_from(1 + dice.roll(3)).ok()?;
                    ARTICLES.get(index).map(|article| (article.0, quantity))
                })
                .collect();
            let minute = i64::try_from(minute).unwrap_or(0); // less than a day's
            Purchase {
                member_id: format!("member-{member:02}"),
                at: begins.plus_ms((minute * MINUTE_MS).min(DAY_MS - 1)),
                order: order(&format!("o-{day:02}-{number:02}"), place, &wanted),
            }
        })
        .collect();
    purchases.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.order.order_id.cmp(&b.order.order_id)));
    purchases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_days() {
        let begins = Instant(1_793_577_600_000);
        let days = |seed| {
            let mut dice = Dice::new(seed);
            (0..3).map(|n| day(&mut dice, n, begins, 35, 10)).collect::<Vec<_>>()
        };
        assert_eq!(days(7), days(7));
        assert_ne!(days(7), days(8));
        for purchase in days(7).concat() {
            assert!(begins <= purchase.at && purchase.at < begins.plus_ms(DAY_MS));
            assert!(!purchase.order.lines.is_empty() && 0 < price(&purchase.order));
        }
    }

    #[test]
    fn dice_are_those_of_the_reference() {
        // The first outputs of SplitMix64 for the seed 1234567.
        let mut dice = Dice::new(1_234_567);
        assert_eq!(dice.roll(u64::MAX), 6_457_827_717_110_365_317);
        assert_eq!(dice.roll(u64::MAX), 3_203_168_211_198_807_973);
        assert_eq!(dice.roll(0), 0);
    }

    #[test]
    fn prices_follow_the_place() {
        let wanted = [("BAGUETTE", 2), ("NOT-SOLD", 1)];
        assert_eq!(price(&order("o", Place::HighStreet, &wanted)), 460);
        assert_eq!(price(&order("o", Place::QuaiBranly, &wanted)), 520);
        assert_eq!(price(&order("o", Place::Web, &wanted)), 460 + 390, "with delivery");
    }
}
