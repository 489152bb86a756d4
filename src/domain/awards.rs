//! What a rule hands out besides units by rate: stamps, vouchers, tags; and how long each stands when goods come back.

use serde::{Deserialize, Serialize};

use super::account::{StampsOn, Tag};
use super::conditions::View;
use super::id::{CardId, DrawId, GrantId, Label, RewardId, RuleId, UnitId, VoucherId};
use super::order_record::OrderRecord;
use super::program::{ForEach, GrantTo, Kind, LifeTerms, Rule, SpendOf, Then};
use super::time::{Day, Period};

/// One thing to hand out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Award {
    pub rule: RuleId,
    pub kind: Kind,
    pub what: Prize,
    /// How many units, or stamps; 1 for what is not counted.
    pub count: i64,
    pub stands: Stands,
    /// Whose units are.
    pub to: GrantTo,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Prize {
    Units {
        unit: UnitId,
        life: Option<LifeTerms>,
    },
    Stamps {
        card: CardId,
        /// The day of the visit that they are for.
        visit: Option<Day>,
    },
    Voucher {
        reward: RewardId,
        /// `None`: as vouchers by default.
        valid_for: Option<Period>,
    },
    Tags {
        add: Vec<Label>,
        remove: Vec<Label>,
    },
    /// A ticket.
    Draw(DrawId),
}

/// How long what an order has brought stands when parts of it come back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Stands {
    /// It came from no order.
    Always,
    /// Each line's own part, in the order of the lines; sums to the whole.
    ByLine(Vec<i64>),
    /// As a whole, while what is kept of `basis` (minor units by line) comes to `least`.
    While { basis: Vec<i64>, least: i64 },
}

impl Stands {
    /// How much of `count` is undone by what has come back of an order; never falls as more comes back.
    pub fn undone(&self, record: &OrderRecord, count: i64) -> Option<i64> {
        match self {
            Stands::Always => Some(0),
            Stands::ByLine(shares) => record.returned_of(shares),
            Stands::While { basis, least } => {
                let all = basis.iter().try_fold(0i64, |sum, n| sum.checked_add(*n))?;
                let kept = all.checked_sub(record.returned_of(basis)?)?;
                Some(if kept < *least { count } else { 0 })
            }
        }
    }
}

/// What was handed out, for undoing it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Consequence {
    pub cause: GrantId,
    pub rule: RuleId,
    pub gave: Gave,
    pub count: i64,
    pub stands: Stands,
    /// Of `count`.
    pub undone: i64,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Gave {
    /// Counted from the end: `lost` is undone first, then what went on cards, the last card first, then `repaid`.
    Stamps {
        card: CardId,
        /// Repaid what was owed.
        repaid: i64,
        on: Vec<StampsOn>,
        /// Found no room.
        lost: i64,
        visit: Option<Day>,
    },
    Voucher(VoucherId),
    Tags {
        /// With the entry that gave each first.
        added: Vec<(Label, u64)>,
        removed: Vec<Tag>,
    },
}

impl Award {
    /// What a rule hands out once, without an order; `None`: it speaks of what only an order has.
    pub fn of_rule(rule: &Rule) -> Option<Award> {
        let (what, count) = Award::prize_of(&rule.then)?;
        let (id, kind, to) = (rule.id.clone(), rule.kind, rule.to);
        Some(Award { rule: id, kind, what, count, stands: Stands::Always, to })
    }

    /// What follows outside orders, and how many; `None`: it speaks of what only an order has.
    pub fn prize_of(then: &Then) -> Option<(Prize, i64)> {
        Some(match then {
            Then::Bonus(bonus) => (Prize::Units { unit: bonus.unit.clone(), life: bonus.life.clone() }, bonus.units),
            Then::Stamps(then) => (Prize::Stamps { card: then.card.clone(), visit: None }, then.stamps),
            other => (uncounted(other)?, 1),
        })
    }

    /// What a rule hands out for an order, units excepted. `amounts`: of each line that the rule selects, what earns.
    pub fn of_order(view: &View<'_>, rule: &Rule, amounts: &[i64]) -> Option<Award> {
        let seen = view.order?;
        let award = |what: Prize, count: i64, stands: Stands| {
            (0 < count).then(|| Award { rule: rule.id.clone(), kind: rule.kind, what, count, stands, to: rule.to })
        };
        let Then::Stamps(then) = &rule.then else {
            return award(uncounted(&rule.then)?, 1, as_a_whole(view, rule, amounts));
        };
        let stamps = |visit: Option<Day>| Prize::Stamps { card: then.card.clone(), visit };
        let by_line = |shares: Vec<i64>| {
            let count = shares.iter().fold(0i64, |sum, n| sum.saturating_add(*n));
            award(stamps(None), count, Stands::ByLine(shares))
        };
        let lines = || seen.order.lines.iter().enumerate().zip(amounts);
        match then.for_each {
            ForEach::Order => award(stamps(None), then.stamps, as_a_whole(view, rule, amounts)),
            ForEach::Visit => {
                let day = Day::at(view.at, &view.program.zone);
                let known = view.state.card(&then.card);
                if known.is_some_and(|known| known.visits.binary_search(&day).is_ok()) {
                    return None;
                }
                award(stamps(Some(day)), then.stamps, as_a_whole(view, rule, amounts))
            }
            ForEach::Line => by_line(amounts.iter().map(|n| if 0 < *n { then.stamps } else { 0 }).collect()),
            ForEach::Item => by_line(
                lines()
                    .map(|((at, line), earns)| {
                        let free = seen.free.get(at).copied().unwrap_or(0);
                        let items = if 0 < *earns { line.quantity.saturating_sub(free).max(0) } else { 0 };
                        then.stamps.saturating_mul(items)
                    })
                    .collect(),
            ),
        }
    }
}

impl Award {
    /// For the trace.
    pub fn text(&self) -> String {
        let list = |labels: &[Label]| labels.iter().map(Label::to_string).collect::<Vec<_>>().join(", ");
        match &self.what {
            Prize::Units { unit, .. } => format!("{} {unit}", self.count),
            Prize::Stamps { card, .. } => format!("{} stamps on card {card}", self.count),
            Prize::Voucher { reward, .. } => format!("a voucher for reward {reward}"),
            Prize::Draw(draw) => format!("a ticket in draw {draw}"),
            Prize::Tags { add, remove } => format!("tags added: {}; removed: {}", list(add), list(remove)),
        }
    }
}

/// What is one thing, however much was bought.
fn uncounted(then: &Then) -> Option<Prize> {
    match then {
        Then::Voucher(then) => Some(Prize::Voucher { reward: then.reward.clone(), valid_for: then.valid_for }),
        Then::Tag(then) => Some(Prize::Tags { add: then.add.clone(), remove: then.remove.clone() }),
        Then::Draw(draw) => Some(Prize::Draw(draw.clone())),
        Then::Earn(_) | Then::Multiply(_) | Then::Bonus(_) | Then::Stamps(_) => None,
    }
}

/// It stands while something is kept of what the rule acts on, and while that comes to what the rule asks.
fn as_a_whole(view: &View<'_>, rule: &Rule, amounts: &[i64]) -> Stands {
    let of_all = || view.order.map(|seen| seen.earning.to_vec()).unwrap_or_default();
    let Some(spend) = &rule.conditions.spend_min else {
        return Stands::While { basis: amounts.to_vec(), least: 1 };
    };
    let least = view.order.and_then(|seen| spend.amount.get(seen.order.currency)).unwrap_or(1).max(1);
    let basis = if spend.of == SpendOf::Order { of_all() } else { amounts.to_vec() };
    Stands::While { basis, least }
}
