//! Which rules can match an order, found from what its lines carry: a rule bound to categories, SKUs or brands
//! that no line has costs nothing.

use std::collections::HashMap;

use super::{Label, Line, Rule, Sku, Trigger};

/// Maps what lines carry to the order rules that name it.
#[derive(Clone, Debug, Default)]
pub struct RuleIndex {
    by_category: HashMap<Label, Vec<u32>>,
    by_sku: HashMap<Sku, Vec<u32>>,
    by_brand: HashMap<Label, Vec<u32>>,
    /// Rules that name no line: considered for every order.
    always: Vec<u32>,
    /// Rules that time pulls.
    pub occasions: Vec<u32>,
}

impl RuleIndex {
    /// Files each order rule under the first of SKU, category, brand that it selects by: one list is enough, for
    /// a line must be named by every list that a rule has.
    pub fn of(rules: &[Rule]) -> RuleIndex {
        let mut index = RuleIndex::default();
        for (number, rule) in rules.iter().enumerate() {
            let Ok(number) = u32::try_from(number) else { break };
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
            } else {
                index.always.push(number);
            }
        }
        index
    }

    /// Numbers of the rules that may match some line, ascending and each once.
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
        found.sort_unstable();
        found.dedup();
        found
    }
}
