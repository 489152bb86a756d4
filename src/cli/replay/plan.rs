//! In which order a history is sent: day by day, and each member's orders one after another.

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest, Sha256};

use super::orders::{History, OrderRows, Symbol};
use crate::domain::id::RequestId;
use crate::domain::time::{DAY_MS, Instant};
use crate::grpc::wire;

/// One day in UTC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Day {
    /// The midnight that ends it.
    pub through: Instant,
    pub jobs: Vec<Job>,
}

impl Day {
    /// The midnight at which it begins.
    pub fn start(&self) -> Instant {
        Instant(self.through.0 - DAY_MS)
    }
}

/// What one member did on one day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    pub member: Symbol,
    /// Whether the member's first order is among these.
    pub first: bool,
    /// Positions in [`History::orders`], by instant and then order id.
    pub orders: Vec<usize>,
}

/// Sorts all orders by instant and then order id, and cuts them into days and members.
pub fn days(history: &History) -> Vec<Day> {
    let mut sorted: Vec<(usize, &OrderRows)> = history.orders.iter().enumerate().collect();
    sorted.sort_by(|(_, a), (_, b)| a.occurred_at.cmp(&b.occurred_at).then_with(|| a.order_id.cmp(&b.order_id)));
    let mut seen = HashSet::new();
    let mut days: BTreeMap<i64, BTreeMap<Symbol, Job>> = BTreeMap::new();
    for (index, order) in sorted {
        let day = days.entry(order.occurred_at.0.div_euclid(DAY_MS)).or_default();
        let job = day.entry(order.member).or_insert_with(|| Job {
            member: order.member,
            first: seen.insert(order.member),
            orders: Vec::new(),
        });
        job.orders.push(index);
    }
    let days = days.into_iter();
    days.map(|(day, jobs)| Day { through: Instant((day + 1) * DAY_MS), jobs: jobs.into_values().collect() }).collect()
}

/// An order as the service takes it.
pub fn wire_order(history: &History, order: &OrderRows) -> wire::Order {
    let label = |symbol: Option<Symbol>| symbol.map_or(String::new(), |s| history.labels.text(s).to_owned());
    let lines = order.lines.iter().map(|line| wire::Line {
        line_id: history.line_ids.text(line.line_id).to_owned(),
        sku: line.sku.map_or(String::new(), |s| history.skus.text(s).to_owned()),
        categories: line.category.map(|c| history.labels.text(c).to_owned()).into_iter().collect(),
        brand: label(line.brand),
        quantity: line.quantity,
        amount_minor: line.amount_minor,
        list_amount_minor: line.list_amount_minor,
        lowest_prior_amount_minor: None,
        tax_minor: 0,
        collections: Vec::new(),
        labels: Vec::new(),
        kind: wire::LineKind::Goods.into(),
        seller: String::new(),
    });
    wire::Order {
        order_id: order.order_id.to_string(),
        currency_code: order.currency.as_str().to_owned(),
        channel: label(order.channel),
        store_id: label(order.store),
        time_zone: String::new(),
        prices_include_tax: true,
        lines: lines.collect(),
        ..Default::default()
    }
}

/// `replay:<what>:<order id>`: the same in every run, so that a run after a crash does nothing twice. Where that is
/// too long, the tail of the order id gives way to a hash of the whole.
pub fn request_id(what: &str, order_id: &str) -> String {
    let plain = format!("replay:{what}:{order_id}");
    if plain.len() <= RequestId::LEN_MAX {
        return plain;
    }
    let hash: String = Sha256::digest(order_id).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let kept: String = plain.chars().take(RequestId::LEN_MAX - 1 - hash.len()).collect();
    format!("{kept}~{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_name_the_order_and_fit() {
        assert_eq!(request_id("commit", "o-7"), "replay:commit:o-7");
        let fits = "x".repeat(50);
        assert_eq!(request_id("commit", &fits), format!("replay:commit:{fits}"));
        let a = request_id("commit", &format!("{}a", "x".repeat(63)));
        let b = request_id("commit", &format!("{}b", "x".repeat(63)));
        assert_ne!(a, b);
        for id in [&a, &b] {
            assert!(RequestId::parse(id).is_ok(), "{id}");
        }
        assert_eq!(a, request_id("commit", &format!("{}a", "x".repeat(63))));
    }
}
