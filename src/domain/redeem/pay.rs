//! Units as payment.

use super::reduce::{listed, sum};
use super::till::Till;
use super::{Cover, PaymentUse};
use crate::domain::answer::{Reason, Refusal, Subject};
use crate::domain::command::{PayAmount, PayWithUnits, RedeemMode};
use crate::domain::id::UnitId;
use crate::domain::money::{split, split_within};
use crate::domain::order::LineKind;
use crate::domain::program::{PaymentTerms, SettlesAs};

/// The most units that an order takes, and what keeps it from taking more.
struct Bound {
    units: i64,
    reason: Reason,
}

impl Till<'_> {
    /// Pays with units. What falls short of a number that was asked for exactly is told beside what is used.
    pub(super) fn pay(
        &mut self,
        pay: &PayWithUnits,
        mode: RedeemMode,
    ) -> Result<(PaymentUse, Option<Refusal>), Refusal> {
        let unit = pay.unit.clone().or_else(|| self.program.units.first().map(|terms| terms.unit.clone()));
        let unit = unit.unwrap_or_else(UnitId::points);
        let subject = || Subject::Payment(unit.clone());
        let no = |reason| Refusal::new(subject(), reason);
        let terms: &PaymentTerms =
            self.program.payments.iter().find(|terms| terms.unit == unit).ok_or_else(|| no(Reason::UnitNotPayable))?;
        let worth = listed(&terms.worth, self.order.currency).map_err(no)?;
        if !self.stack.allows_units() {
            return Err(no(Reason::NotWithUnits));
        }
        let lowers = terms.settles_as == SettlesAs::Discount;
        if lowers {
            self.check_orders(subject)?;
        }
        // A tender leaves prices as they are: guard rails are about discounts.
        let (weights, room) = if lowers {
            (self.cart().reach(&terms.lines), self.room.lines.clone())
        } else {
            (self.payable(terms), self.remaining.clone())
        };
        if sum(&weights) == 0 {
            let kept_out = lowers && 0 < sum(&self.payable(terms));
            return Err(no(if kept_out { Reason::LineNotDiscountable } else { Reason::NoMatchingLine }));
        }
        let Bound { units: bound, reason } = self.bound(terms, worth, &weights, lowers).map_err(no)?;
        let there = self.available(&unit);
        let least = terms.units_min.max(terms.step);
        let units = match (pay.amount, mode) {
            (PayAmount::Exactly(wanted), RedeemMode::AllOrNothing) => {
                if wanted % terms.step.max(1) != 0 {
                    return Err(Refusal { required: Some(terms.step), ..Refusal::new(subject(), Reason::NotAStep) });
                }
                if wanted < terms.units_min {
                    return Err(Refusal::short(subject(), Reason::BelowMinimum, terms.units_min, wanted));
                }
                if bound < wanted {
                    return Err(Refusal::short(subject(), reason, wanted, bound));
                }
                if there < wanted && self.cover == Cover::Balance {
                    return Err(Refusal::short(subject(), Reason::BalanceTooLow, wanted, there));
                }
                wanted
            }
            (PayAmount::Exactly(wanted) | PayAmount::AtMost(wanted), _) => {
                self.most(subject, wanted.min(bound), terms.step, least, there)?
            }
            (PayAmount::AllPossible, _) => self.most(subject, bound, terms.step, least, there)?,
        };
        let shortfall = match pay.amount {
            PayAmount::Exactly(wanted) if units < wanted => {
                Some(if self.cover == Cover::Balance && there < wanted.min(bound) {
                    Refusal::short(subject(), Reason::BalanceTooLow, wanted, there)
                } else if bound < wanted {
                    Refusal::short(subject(), reason, wanted, bound)
                } else {
                    Refusal::short(subject(), Reason::NotAStep, wanted, units)
                })
            }
            PayAmount::Exactly(_) | PayAmount::AtMost(_) | PayAmount::AllPossible => None,
        };
        let value = i128::from(units) * i128::from(worth) / i128::from(terms.units.max(1));
        let value_minor = i64::try_from(value).map_err(|_| no(Reason::OutOfBounds))?;
        let settles_as = terms.settles_as;
        let shares = split_within(value_minor, &weights, &room);
        let unit_shares = split(units, &shares);
        self.reduce(&shares);
        if lowers {
            self.room.use_up(&shares);
        }
        Ok((PaymentUse { unit, units, value_minor, settles_as, shares, unit_shares }, shortfall))
    }

    /// What each line still costs that may be paid with units, whatever guard rails say.
    fn payable(&self, terms: &PaymentTerms) -> Vec<i64> {
        let lines = self.order.lines.iter().zip(&self.remaining);
        let open = lines.map(
            |(line, left)| {
                if terms.lines.selects(line) && line.kind != LineKind::GiftCard { *left } else { 0 }
            },
        );
        open.collect()
    }

    /// In whole steps. Of two bounds that are as tight, the earlier is told: share, most, guard rails.
    fn bound(&self, terms: &PaymentTerms, worth: i64, weights: &[i64], lowers: bool) -> Result<Bound, Reason> {
        let cost = sum(weights);
        let in_units = |minor: i128| floor_to(minor * i128::from(terms.units) / i128::from(worth.max(1)), terms.step);
        let share = i128::from(cost) * i128::from(terms.share_bps_max) / 10_000;
        let mut tightest = Bound { units: in_units(share), reason: Reason::AboveShare };
        let mut also = |units: i64, reason: Reason| {
            if units < tightest.units {
                tightest = Bound { units, reason };
            }
        };
        let before = self.purse.paid_before().iter().filter(|(unit, ..)| *unit == terms.unit);
        let (units, minor) = before.fold((0i64, 0i64), |(units, minor), (_, of_units, of_minor)| {
            (units.saturating_add(*of_units), minor.saturating_add(*of_minor))
        });
        if let Some(most) = terms.units_max {
            also(floor_to(i128::from(most.saturating_sub(units).max(0)), terms.step), Reason::AbovePaymentMax);
        }
        if let Some(most) = &terms.worth_max {
            let left = listed(most, self.order.currency)?.saturating_sub(minor).max(0);
            also(in_units(i128::from(left)), Reason::AbovePaymentMax);
        }
        if lowers {
            let open = weights.iter().zip(&self.room.lines).map(|(weight, room)| *weight.min(room));
            also(in_units(i128::from(open.fold(0i64, i64::saturating_add))), Reason::FloorPrice);
            also(in_units(i128::from(self.room.order)), Reason::DiscountShareMax);
        }
        Ok(tightest)
    }

    /// As many units as possible up to `most`, in whole steps.
    fn most(
        &self,
        subject: impl Fn() -> Subject,
        most: i64,
        step: i64,
        least: i64,
        there: i64,
    ) -> Result<i64, Refusal> {
        let covered = if self.cover == Cover::Balance { most.min(there) } else { most };
        let units = floor_to(i128::from(covered), step);
        if least <= units {
            return Ok(units);
        }
        if covered < most {
            return Err(Refusal::short(subject(), Reason::BalanceTooLow, least, there));
        }
        Err(Refusal::short(subject(), Reason::BelowMinimum, least, most))
    }
}

/// The largest multiple of `step` that is at most `value` and fits, for values from zero on.
fn floor_to(value: i128, step: i64) -> i64 {
    let step = i128::from(step.max(1));
    let fits = value.clamp(0, i128::from(i64::MAX));
    i64::try_from(fits / step * step).unwrap_or(0)
}
