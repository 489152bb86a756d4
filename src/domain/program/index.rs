//! Which rules can match an order, found from what its lines carry: a rule bound to categories, SKUs, brands or
//! sellers that no line has costs nothing.

use std::collections::HashMap;

use super::{Label, Line, Rule, RuleId, Sku, Trigger};

/// Maps what lines carry to the order rules that name it.
#[derive(Clone, Debug, Default)]
pub struct RuleIndex {
    by_category: HashMap<Label, Vec<u32>>,
    by_sku: HashMap<Sku, Vec<u32>>,
    by_brand: HashMap<Label, Vec<u32>>,
    by_collection: HashMap<Label, Vec<u32>>,
    by_label: HashMap<Label, Vec<u32>>,
    by_seller: HashMap<Label, Vec<u32>>,
    by_id: HashMap<RuleId, u32>,
    /// The place of each rule by priority; empty where all have the same.
    ranks: Vec<u32>,
    /// Rules that name no line: considered for every order.
    always: Vec<u32>,
    /// Rules that time pulls.
    pub occasions: Vec<u32>,
}

impl RuleIndex {
    /// Files each order rule under the first of what it selects by, SKU before category before brand and so on: one list is enough, for
    /// a line must be named by every list that a rule has.
    pub fn of(rules: &[Rule]) -> RuleIndex {
        let mut index = RuleIndex::default();
        for (number, rule) in rules.iter().enumerate() {
            let Ok(number) = u32::try_from(number) else { break };
            index.by_id.insert(rule.id.clone(), number);
            if rule.on.is_occasion() {
                index.occasions.push(number);
            }
            if rule.on != Trigger::Order {
                continue;
            }
            let include = &rule.conditions.lines.include;
            if !include.skus.is_empty() {
                for sku in &include.skus {
                    index.by_sku.entry(sku.clone()).or_default().push(number);
                }
            } else if !include.categories.is_empty() {
                for category in &include.categories {
                    index.by_category.entry(category.clone()).or_default().push(number);
                }
            } else if !include.brands.is_empty() {
                for brand in &include.brands {
                    index.by_brand.entry(brand.clone()).or_default().push(number);
                }
            } else if !include.collections.is_empty() {
                for collection in &include.collections {
                    index.by_collection.entry(collection.clone()).or_default().push(number);
                }
            } else if !include.labels.is_empty() {
                for label in &include.labels {
                    index.by_label.entry(label.clone()).or_default().push(number);
                }
            } else if !include.sellers.is_empty() {
                for seller in &include.sellers {
                    index.by_seller.entry(seller.clone()).or_default().push(number);
                }
            } else {
                index.always.push(number);
            }
        }
        if rules.iter().any(|rule| rule.combine.priority != 0) {
            let mut order: Vec<usize> = (0..rules.len()).collect();
            order.sort_by_key(|at| std::cmp::Reverse(rules.get(*at).map_or(0, |rule| rule.combine.priority)));
            index.ranks = vec![0; rules.len()];
            for (rank, at) in order.into_iter().enumerate() {
                if let (Some(place), Ok(rank)) = (index.ranks.get_mut(at), u32::try_from(rank)) {
                    *place = rank;
                }
            }
        }
        index
    }

    /// The number of a rule: its place in the file.
    pub fn number(&self, rule: &RuleId) -> Option<usize> {
        self.by_id.get(rule).map(|number| *number as usize)
    }

    /// The place of a rule when all are ordered by priority.
    pub fn rank(&self, number: u32) -> u32 {
        self.ranks.get(number as usize).copied().unwrap_or(number)
    }

    /// Numbers of the rules that may match some line, each once, from the highest priority down.
    pub fn candidates(&self, lines: &[Line]) -> Vec<u32> {
        let mut found = self.always.clone();
        for line in lines {
            if !self.by_category.is_empty() {
                for category in &line.categories {
                    found.extend(self.by_category.get(category).into_iter().flatten());
                }
            }
            if let Some(sku) = &line.sku
                && !self.by_sku.is_empty()
            {
                found.extend(self.by_sku.get(sku).into_iter().flatten());
            }
            if let Some(brand) = &line.brand
                && !self.by_brand.is_empty()
            {
                found.extend(self.by_brand.get(brand).into_iter().flatten());
            }
        }
        if !self.by_seller.is_empty() {
            let sellers = lines.iter().filter_map(|line| line.seller.as_ref());
            found.extend(sellers.filter_map(|seller| self.by_seller.get(seller)).flatten());
        }
        for (lists, of) in [(&self.by_collection, false), (&self.by_label, true)] {
            if lists.is_empty() {
                continue;
            }
            for line in lines {
                for label in if of { &line.labels } else { &line.collections } {
                    found.extend(lists.get(label).into_iter().flatten());
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        if !self.ranks.is_empty() {
            found.sort_unstable_by_key(|number| self.rank(*number));
        }
        found
    }
}
