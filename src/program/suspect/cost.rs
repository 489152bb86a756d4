//! Rules that give back more than is paid. Only where `pay_with` makes units worth money can that be told.

use crate::domain::id::UnitId;
use crate::domain::order::Currency;
use crate::domain::program::{MultiplierPolicy, PaymentTerms, Program, Rule, Then, Trigger, UnitLimits};

use super::shadow::Suspicion;

/// A share of what is paid, exactly.
#[derive(Clone, Copy)]
struct Share {
    numerator: i128,
    denominator: i128,
}

impl Share {
    fn of(numerator: i128, denominator: i128) -> Option<Share> {
        let shared = gcd(numerator, denominator);
        (0 < shared).then(|| Share { numerator: numerator / shared, denominator: denominator / shared })
    }

    fn plus(self, other: Share) -> Option<Share> {
        let left = self.numerator.checked_mul(other.denominator)?;
        let right = other.numerator.checked_mul(self.denominator)?;
        Share::of(left.checked_add(right)?, self.denominator.checked_mul(other.denominator)?)
    }

    fn times(self, numerator: i128, denominator: i128) -> Option<Share> {
        Share::of(self.numerator.checked_mul(numerator)?, self.denominator.checked_mul(denominator)?)
    }

    fn is_more_than_all(self) -> bool {
        self.denominator < self.numerator
    }

    /// `125%`, rounded down.
    fn text(self) -> String {
        format!("{}%", self.numerator.saturating_mul(100) / self.denominator)
    }
}

pub(super) fn find(program: &Program) -> Vec<Suspicion> {
    let mut found = Vec::new();
    for payment in &program.payments {
        for currency in &program.currencies {
            let Some(worth) = payment.worth.get(*currency) else { continue };
            let before = found.len();
            found.extend(base(program, payment, *currency, worth));
            found.extend(bonuses(program, payment, *currency, worth));
            if before < found.len() {
                break; // the other currencies say the same
            }
        }
    }
    found
}

fn is_bound(limits: &UnitLimits) -> bool {
    !limits.limits.is_empty() || limits.balance_max.is_some() || limits.outstanding_max.is_some()
}

/// Whether some limit bounds what a rule gives.
fn is_bounded(program: &Program, rule: &Rule, unit: &UnitId) -> bool {
    let group = rule.combine.group.as_ref().and_then(|group| program.group(group));
    let by_unit = program.limits_of(unit).is_some_and(is_bound);
    let by_campaign =
        program.campaign_of(rule).is_some_and(|campaign| !campaign.limits.is_empty() || campaign.brake.is_some());
    let by_group = group.is_some_and(|group| !group.limits.is_empty());
    !rule.limits.is_empty() || rule.cool_down.is_some() || by_unit || by_campaign || by_group
}

fn of_unit<'p>(program: &'p Program, unit: &'p UnitId) -> impl Iterator<Item = (usize, &'p Rule)> {
    let rules = program.rules.iter().enumerate().filter(|(_, rule)| rule.on == Trigger::Order);
    let rules = rules.filter(move |(_, rule)| !is_bounded(program, rule, unit));
    rules.filter(move |(_, rule)| match &rule.then {
        Then::Earn(earn) => earn.unit == *unit,
        Then::Multiply(multiply) => multiply.unit == *unit,
        Then::Bonus(bonus) => bonus.unit == *unit,
        Then::Stamps(_) | Then::Voucher(_) | Then::Tag(_) | Then::Draw(_) => false,
    })
}

/// The highest base rate by itself, and what a multiplier makes of it.
fn base(program: &Program, payment: &PaymentTerms, currency: Currency, worth: i64) -> Option<Suspicion> {
    let unit_worth = (i128::from(worth), i128::from(payment.units));
    let mut steepest: Option<(usize, &Rule, Share)> = None;
    for (number, rule) in of_unit(program, &payment.unit) {
        let Then::Earn(earn) = &rule.then else { continue };
        let Some(per) = earn.per.get(currency) else { continue };
        let rate = Share::of(i128::from(earn.units), i128::from(per))?.times(unit_worth.0, unit_worth.1)?;
        if rate.is_more_than_all() {
            let (id, share) = (&rule.id, rate.text());
            let message = format!("rule `{id}` gives back {share} of what is paid, in {currency}, and has no bound");
            return Some((number, message));
        }
        let steeper = steepest.is_none_or(|(.., before)| {
            before.numerator.saturating_mul(rate.denominator) < rate.numerator.saturating_mul(before.denominator)
        });
        if steeper {
            steepest = Some((number, rule, rate));
        }
    }
    let (_, base, rate) = steepest?;
    let multiplies = of_unit(program, &payment.unit).filter_map(|(number, rule)| match &rule.then {
        Then::Multiply(multiply) => Some((number, rule, i128::from(multiply.factor_permille))),
        _ => None,
    });
    let mut extra = Share::of(1, 1)?;
    for (number, rule, permille) in multiplies {
        let factor = match program.earning.multipliers {
            MultiplierPolicy::Highest => Share::of(permille, 1_000)?,
            MultiplierPolicy::Add => {
                extra = extra.plus(Share::of(permille - 1_000, 1_000)?)?;
                extra
            }
        };
        let share = rate.times(factor.numerator, factor.denominator)?;
        if share.is_more_than_all() {
            let message = format!(
                "rule `{}` makes up to {} of what is paid of what rule `{}` gives, in {currency}, and has no bound",
                rule.id,
                share.text(),
                base.id
            );
            return Some((number, message));
        }
    }
    None
}

/// A fixed number of units for an order that may cost less than they are worth.
fn bonuses(program: &Program, payment: &PaymentTerms, currency: Currency, worth: i64) -> Vec<Suspicion> {
    let mut found = Vec::new();
    for (number, rule) in of_unit(program, &payment.unit) {
        let Then::Bonus(bonus) = &rule.then else { continue };
        let conditions = &rule.conditions;
        // What can happen only so many times costs only so much.
        let seldom = conditions.order_number.as_ref().is_some_and(|n| !n.is.is_empty() || n.to.is_some())
            || conditions.counters.iter().any(|counter| counter.at_most.is_some() || counter.every.is_some());
        let least = conditions.spend_min.as_ref().and_then(|spend| spend.amount.get(currency)).unwrap_or(0);
        let value = i128::from(bonus.units) * i128::from(worth);
        let orders = conditions.order_number.as_ref().and_then(|number| number.every).unwrap_or(1);
        if seldom || value <= i128::from(least) * i128::from(payment.units) * i128::from(orders) {
            continue;
        }
        let (id, gives) = (&rule.id, format!("{} {}", bonus.units, bonus.unit));
        let message = match (orders, least) {
            (1, 0) => format!(
                "rule `{id}` gives {gives} for every order, worth more in {currency} than the order must cost: it asks for nothing"
            ),
            (1, _) => format!(
                "rule `{id}` gives {gives} for every order, worth more in {currency} than the order must cost: it asks for less"
            ),
            (orders, _) => format!(
                "rule `{id}` gives {gives} for every {orders} orders, worth more in {currency} than these must cost"
            ),
        };
        found.push((number, message));
    }
    found
}

/// At least 1 unless both are 0.
fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.abs()
}
