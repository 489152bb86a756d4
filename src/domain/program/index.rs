//! Which rules can match an order, found from what its lines carry: a rule bound to categories, SKUs, brands or
//! sellers that no line has costs nothing.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::FixedState;

use super::{Currency, Label, Line, LineMatch, Rule, RuleId, Sku, Trigger};

/// Rules by what they name. What stands in it is the program's: nobody else can choose keys that collide.
type Lists<K> = HashMap<K, Vec<u32>, FixedState>;

/// Maps what lines carry to the order rules that name it.
#[derive(Clone, Debug, Default)]
pub struct RuleIndex {
    by_category: Lists<Label>,
    by_sku: Lists<Sku>,
    by_brand: Lists<Label>,
    by_collection: Lists<Label>,
    by_label: Lists<Label>,
    by_seller: Lists<Label>,
    by_id: HashMap<RuleId, u32, FixedState>,
    /// The place of each rule by priority; empty where all have the same.
    ranks: Vec<u32>,
    /// Rules that name no line: considered for every order.
    always: Vec<u32>,
    /// By rule: whether the list that it is filed under says alone which lines it selects.
    selects_what_it_names: Vec<bool>,
    /// By currency and rule: what an order must earn on at the least, minor units. Of the currencies that the program lists.
    reach: Vec<(Currency, Vec<i64>)>,
    /// Rules that time pulls.
    pub occasions: Vec<u32>,
}

impl RuleIndex {
    /// Files each order rule under the first of what it selects by, SKU before category before brand and so on: one list is enough, for
    /// a line must be named by every list that a rule has.
    pub fn of(rules: &[Rule], currencies: &[Currency]) -> RuleIndex {
        let reach =
            currencies.iter().map(|currency| (*currency, rules.iter().map(|rule| least(rule, *currency)).collect()));
        let mut index = RuleIndex { reach: reach.collect(), ..RuleIndex::default() };
        for (number, rule) in rules.iter().enumerate() {
            let Ok(number) = u32::try_from(number) else { break };
            index.by_id.insert(rule.id.clone(), number);
            if rule.on.is_occasion() {
                index.occasions.push(number);
            }
            let lines = &rule.conditions.lines;
            let include = &lines.include;
            index.selects_what_it_names.push(lists(include) <= 1 && lists(&lines.exclude) == 0);
            if rule.on != Trigger::Order {
                continue;
            }
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

    /// Which rules an order that earns on so much stays below the threshold of, whatever lines they select.
    pub fn out_of_reach(&self, currency: Currency, earns_minor: i64) -> OutOfReach<'_> {
        let listed = self.reach.iter().find(|(of, _)| *of == currency);
        OutOfReach { least: listed.map_or(&[], |(_, least)| least), earns_minor }
    }

    /// The rules that may match some line, each once, from the highest priority down; but for those to leave out.
    pub fn candidates(&self, lines: &[Line], without: OutOfReach<'_>) -> Candidates {
        // Rule and line in one number: that sorts several times as fast as a pair.
        let mut named: Vec<u64> = Vec::new();
        for (at, line) in (0u32..).zip(lines) {
            let mut name = |rules: Option<&Vec<u32>>| {
                let rules = rules.map_or(&[][..], Vec::as_slice);
                let rules = rules.iter().filter(|number| !without.contains(**number));
                named.extend(rules.map(|number| u64::from(*number) << u32::BITS | u64::from(at)));
            };
            for (lists, labels) in [
                (&self.by_category, &line.categories),
                (&self.by_collection, &line.collections),
                (&self.by_label, &line.labels),
            ] {
                if !lists.is_empty() {
                    labels.iter().for_each(|label| name(lists.get(label)));
                }
            }
            for (lists, label) in [(&self.by_brand, &line.brand), (&self.by_seller, &line.seller)] {
                if let (Some(label), false) = (label, lists.is_empty()) {
                    name(lists.get(label));
                }
            }
            if let (Some(sku), false) = (&line.sku, self.by_sku.is_empty()) {
                name(self.by_sku.get(sku));
            }
        }
        named.sort_unstable();
        named.dedup();
        let mut found: Vec<Candidate> = Vec::with_capacity(self.always.len() + named.len());
        let always = self.always.iter().filter(|number| !without.contains(**number));
        found.extend(always.map(|number| self.candidate(*number, 0..0)));
        let mut from = 0;
        let rule_of = |pair: u64| (pair >> u32::BITS) as u32;
        for of_rule in named.chunk_by(|a, b| rule_of(*a) == rule_of(*b)) {
            let to = from + of_rule.len();
            found.extend(of_rule.first().map(|pair| self.candidate(rule_of(*pair), from..to)));
            from = to;
        }
        // Two runs that are in order already, mostly: this sort goes along them.
        found.sort_by_key(|candidate| self.rank(candidate.number));
        let line_of = |pair: u64| (pair & u64::from(u32::MAX)) as u32;
        Candidates { found, lines: named.into_iter().map(line_of).collect() }
    }

    fn candidate(&self, number: u32, named: Range<usize>) -> Candidate {
        let exact = self.selects_what_it_names.get(number as usize).copied().unwrap_or(false);
        let lines = if exact { Some(named) } else { None };
        Candidate { number, lines }
    }
}

/// What an order must earn on for a rule at the least; more than any does where the rule has no threshold in the currency.
fn least(rule: &Rule, currency: Currency) -> i64 {
    let spend = rule.conditions.spend_min.as_ref();
    spend.map_or(i64::MIN, |spend| spend.amount.get(currency).unwrap_or(i64::MAX))
}

/// Rules whose threshold an order does not reach. Says nothing that their conditions would not, but without a look at the rules or
/// the lines: most rules of a program are told apart here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OutOfReach<'a> {
    /// By rule.
    least: &'a [i64],
    earns_minor: i64,
}

impl OutOfReach<'_> {
    fn contains(self, number: u32) -> bool {
        self.least.get(number as usize).is_some_and(|least| self.earns_minor < *least)
    }
}

/// How many lists say something.
fn lists(of: &LineMatch) -> usize {
    let LineMatch { categories, skus, brands, collections, labels, sellers } = of;
    [categories, brands, collections, labels, sellers].into_iter().filter(|list| !list.is_empty()).count()
        + usize::from(!skus.is_empty())
}

/// Rules that may match some line of an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidates {
    found: Vec<Candidate>,
    /// Numbers of lines, rule by rule.
    lines: Vec<u32>,
}

/// A rule that may match some line of an order.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Candidate {
    /// The rule's place in the file.
    pub number: u32,
    /// Which of [`Candidates::lines`] it selects; empty: it selects every line. `None`: its selector is to be asked.
    lines: Option<Range<usize>>,
}

/// Which lines of an order a rule selects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Selected<'a> {
    All,
    /// These, by their place.
    These(&'a [u32]),
    /// Those that the rule's selector selects.
    AsAsked,
}

impl Candidates {
    pub fn len(&self) -> usize {
        self.found.len()
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The number of each rule and what it selects, from the highest priority down.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Selected<'_>)> {
        self.found.iter().map(|candidate| {
            let selected = match &candidate.lines {
                None => Selected::AsAsked,
                Some(range) if range.is_empty() => Selected::All,
                Some(range) => Selected::These(self.lines.get(range.clone()).unwrap_or_default()),
            };
            (candidate.number, selected)
        })
    }
}
