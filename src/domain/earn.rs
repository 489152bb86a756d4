//! What an order earns, rule by rule, with the trace of why.

use super::answer::{Explain, ExplainRule, NearestMiss, Reason, Refusal, Subject};
use super::awards::Award;
use super::conditions::{Seen, View, holds, is_on};
use super::id::{RuleId, UnitId};
use super::money::{Ratio, Rounding, split};
use super::order::{Line, Order};

use super::program::{
    Bonus, Candidates, Earn, ForEach, GrantTo, Kind, LifeTerms, MultiplierPolicy, Multiply, OutOfReach, Program,
    RoundPer, Rule, Selected, Then, Trigger,
};
use super::redeem::Redemption;
use super::time::Instant;
use builds::{Added, Multiplied};
pub use builds::{Builds, Cut, in_order};
use combine::LeftOut;
use fraction::{ZERO, common, rounded, scaled, total};

mod builds;
pub use again::{Again, earn_again};

mod again;
mod combine;
mod fraction;

/// What an order earns.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Earned {
    /// Of each line, what earns; minor units.
    pub earning: Vec<i64>,
    pub grants: Vec<Plan>,
    pub refusals: Vec<Refusal>,
    pub explain: Option<Explain>,
    /// What it brings besides.
    pub awards: Vec<Award>,
}

/// One grant to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    pub rule: RuleId,
    pub kind: Kind,
    pub unit: UnitId,
    pub amount: i64,
    /// By line; sums to `amount`.
    pub shares: Vec<i64>,
    pub life: Option<LifeTerms>,
    pub to: GrantTo,
    /// Where it depends on what other rules give.
    pub builds: Option<Builds>,
}

/// A number does not fit: bounds on requests and programs keep this from happening for sane ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct OutOfBounds;

/// Works out what an order earns. `view` holds the order and, of each line, what earns (see [`earning_amounts`]). An
/// order that cannot earn is told so, and earns nothing: that is no reason to refuse the order. Rules that `spent` names can
/// give nothing now, for a limit is reached or they pause: they keep no other out.
pub fn earn(view: &View<'_>, explain: bool, spent: Spent<'_>) -> Earned {
    let Some(seen) = view.order else { return Earned::default() };
    let earning = seen.earning.to_vec();
    let refused = |earning: Vec<i64>, reason: Reason| {
        let refusals = vec![Refusal::new(Subject::Earn, reason)];
        Earned { earning, refusals, ..Earned::default() }
    };
    if view.program.earning_currency(seen.order.currency, view.at).is_none() {
        return refused(earning, Reason::CurrencyNotListed);
    }
    match by_rules(view, seen, explain, Besides { spent, again: None }) {
        Ok((grants, explain, awards)) => Earned { earning, grants, refusals: Vec::new(), explain, awards },
        Err(OutOfBounds) => refused(earning, Reason::OutOfBounds),
    }
}

/// Whether limits leave nothing of what a rule would give.
pub type Spent<'a> = &'a dyn Fn(&Rule) -> bool;

/// What decides of rules besides what they ask for.
#[derive(Clone, Copy)]
struct Besides<'a> {
    spent: Spent<'a>,
    /// The order has earned before.
    again: Option<Again<'a>>,
}

type ByRules = (Vec<Plan>, Option<Explain>, Vec<Award>);

fn by_rules(view: &View<'_>, seen: Seen<'_>, explain: bool, besides: Besides<'_>) -> Result<ByRules, OutOfBounds> {
    let program = view.program;
    // Who asks why a rule gave nothing is told of these too, and an order that has earned before may keep what they gave.
    let is_plain = !explain && besides.again.is_none();
    let earns_minor = seen.earning.iter().fold(0i64, |sum, earns| sum.saturating_add(*earns));
    let without = if is_plain { program.index.out_of_reach(seen.currency, earns_minor) } else { OutOfReach::default() };
    let candidates = program.index.candidates(&seen.order.lines, without);
    let mut barred: Vec<Barred> = Vec::new();
    let mut round = Round::of(*view, seen, explain, &candidates, &barred, besides)?;
    // A rule that loses after all has kept nobody out: the others are asked once more without it. Each time at least one
    // rule less stands.
    for _ in 0..candidates.len() {
        if round.dropped.is_empty() || !round.kept_out {
            break;
        }
        barred.append(&mut round.dropped);
        round = Round::of(*view, seen, explain, &candidates, &barred, besides)?;
    }
    let (mut plans, mut trace, awards) = (round.plans, round.explain, round.awards);
    plans.retain(|(_, plan)| 0 < plan.amount);
    plans.sort_by_key(|(number, _)| program.index.rank(*number));
    if let Some(trace) = &mut trace {
        let of_orders = program.rules.iter().filter(|rule| rule.on == Trigger::Order).count();
        trace.rules_left_out = u32::try_from(of_orders.saturating_sub(candidates.len())).unwrap_or(u32::MAX);
        trace.nearest = nearest(program, trace);
    }
    Ok((plans.into_iter().map(|(_, plan)| plan).collect(), trace, awards))
}

/// Rules of which one condition alone did not hold, where it can be told how much is missing.
fn nearest(program: &Program, trace: &Explain) -> Vec<NearestMiss> {
    let misses = trace.rules.iter().filter_map(|considered| {
        let mut unmet = considered.conditions.iter().filter(|condition| !condition.met);
        let (only, None) = (unmet.next()?, unmet.next()) else { return None };
        let missing = only.missing?;
        let gives = match program.rule(&considered.rule).map(|rule| &rule.then) {
            Some(Then::Bonus(bonus)) if bonus.for_each == ForEach::Order => {
                format!("give {} {}", bonus.units, bonus.unit)
            }
            Some(Then::Stamps(stamps)) => format!("give stamps on {}", stamps.card),
            Some(Then::Voucher(voucher)) => format!("give a voucher for {}", voucher.reward),
            _ => format!("meet rule {}", considered.rule),
        };
        Some(NearestMiss {
            rule: considered.rule.clone(),
            condition: only.condition.clone(),
            missing,
            text: format!("{} more would {gives}", only.missing_text),
        })
    });
    misses.take(Explain::MISSES_MAX).collect()
}

/// What of each line earns: the stated base, never below zero. An order in a currency that the program does not list earns on what it is worth in the program's first
/// by the rate of its day, converted as a whole; without a rate it earns on nothing.
pub fn earning_amounts(program: &Program, order: &Order, at: Instant, less: &Redemption) -> Vec<i64> {
    let own = own_amounts(program, order, less);
    match program.earning_currency(order.currency, at) {
        Some(currency) if currency == order.currency => own,
        Some(_) => {
            let all = total(&own).ok().and_then(|all| program.in_first_currency(order.currency, all, at));
            all.map_or_else(|| vec![0; own.len()], |all| split(all, &own))
        }
        None => vec![0; own.len()],
    }
}

/// The same in the order's own currency.
fn own_amounts(program: &Program, order: &Order, less: &Redemption) -> Vec<i64> {
    let terms = &program.earning;
    let lines = order.lines.iter().enumerate();
    lines
        .map(|(at, line)| {
            let reduced = line.list_amount_minor.is_some_and(|list| line.amount_minor < list);
            let left_out = reduced && !terms.discounted_lines_earn;
            if left_out || !terms.kind_earns(line.kind) || terms.excluded.names_any(line) {
                return 0;
            }
            // Nobody buys what is given for free, so it never earns.
            let discount = if terms.after_discounts { less.discount(at, line) } else { less.given(at) };
            let payment = if terms.paid_with_units_earns { 0 } else { less.payment(at) };
            let net = (line.amount_minor - discount - payment).max(0);
            match (terms.tax_included, order.prices_include_tax) {
                (true, true) | (false, false) => net,
                (true, false) => net + scaled_tax(line, net),
                (false, true) => (net - scaled_tax(line, net)).max(0),
            }
        })
        .collect()
}

/// The tax on what is left of a line: in proportion, half up.
pub fn scaled_tax(line: &Line, net_minor: i64) -> i64 {
    if line.amount_minor == net_minor {
        return line.tax_minor;
    }
    let numerator = i128::from(line.tax_minor) * i128::from(net_minor);
    let denominator = i128::from(line.amount_minor);
    Rounding::HalfUp.apply(Ratio { numerator, denominator }).unwrap_or(0)
}

/// Why a rule gives nothing although it applies next to others.
const NOTHING: &str = "it comes to less than one unit";
const OUTDONE: &str = "another multiplier outdoes it on all its lines";

struct Round<'a> {
    view: View<'a>,
    program: &'a Program,
    seen: Seen<'a>,
    /// Rules that apply next to others, so far.
    kept: Vec<&'a Rule>,
    stopped_by: Option<&'a Rule>,
    /// Rules of each sort that apply, with their place in the trace.
    earns: Vec<Applies<'a, Earn>>,
    multiplies: Vec<Applies<'a, Multiply>>,
    bonuses: Vec<Applies<'a, Bonus>>,
    /// What bonuses that multipliers act on give, by line.
    fixed: Vec<(&'a Rule, &'a UnitId, Vec<i64>)>,
    /// With the rule's number, for the order of the file.
    plans: Vec<(u32, Plan)>,
    explain: Option<Explain>,
    /// In the order of the file.
    awards: Vec<Award>,
    /// Rules that apply next to others, but give nothing: found only when what all give is known.
    dropped: Vec<Barred>,
    /// Whether a rule that applies has kept another out.
    kept_out: bool,
    besides: Besides<'a>,
    /// Of the rule under consideration, what earns on the lines that it selects. Kept for the next one.
    amounts: Vec<i64>,
}

/// The number of a rule that gives nothing although its conditions hold, and why.
type Barred = (u32, String);

struct Applies<'a, T> {
    number: u32,
    rule: &'a Rule,
    then: &'a T,
    /// What earns on the lines it selects; 0 elsewhere.
    amounts: Vec<i64>,
    trace: usize,
    /// Limits leave nothing of it: it keeps no other out.
    spent: bool,
}

impl<'a> Round<'a> {
    fn of(
        view: View<'a>,
        seen: Seen<'a>,
        explain: bool,
        candidates: &Candidates,
        barred: &[Barred],
        besides: Besides<'a>,
    ) -> Result<Round<'a>, OutOfBounds> {
        let program = view.program;
        let mut round = Round {
            view,
            program,
            seen,
            kept: Vec::new(),
            stopped_by: None,
            earns: Vec::new(),
            multiplies: Vec::new(),
            bonuses: Vec::new(),
            fixed: Vec::new(),
            plans: Vec::new(),
            explain: explain.then(Explain::default),
            awards: Vec::new(),
            dropped: Vec::new(),
            kept_out: false,
            besides,
            amounts: Vec::with_capacity(seen.order.lines.len()),
        };
        for (number, selected) in candidates.iter() {
            let Some(rule) = program.rules.get(number as usize) else { continue };
            let barred = barred.iter().find(|(known, _)| *known == number).map(|(_, why)| why.as_str());
            round.consider(number, rule, selected, barred);
            if round.stopped_by.is_some() && !explain {
                round.kept_out = true;
                break;
            }
        }
        // After all rules of the file: of two equal multipliers, theirs counts.
        for (place, rule) in super::tiers::multipliers(&round.view).into_iter().enumerate() {
            let number = program.rules.len().saturating_add(place);
            round.consider(u32::try_from(number).unwrap_or(u32::MAX), rule, Selected::AsAsked, None);
        }
        round.pick_best()?;
        round.base()?;
        round.bonus()?;
        round.multiply()?;
        Ok(round)
    }

    fn step(&mut self, trace: usize, text: impl FnOnce() -> String) {
        if let Some(rule) = self.explain.as_mut().and_then(|explain| explain.rules.get_mut(trace)) {
            rule.steps.push(text());
        }
    }

    /// Works out what earns on the lines that a rule selects; 0 elsewhere.
    fn select(&self, rule: &Rule, selected: Selected<'_>, amounts: &mut Vec<i64>) {
        amounts.clear();
        let earning = self.seen.earning;
        match selected {
            Selected::All => amounts.extend_from_slice(earning),
            Selected::These(lines) => {
                amounts.resize(earning.len(), 0);
                for at in lines {
                    let at = *at as usize;
                    if let (Some(amount), Some(earns)) = (amounts.get_mut(at), earning.get(at)) {
                        *amount = *earns;
                    }
                }
            }
            Selected::AsAsked => {
                let lines = self.seen.order.lines.iter().zip(earning);
                let selector = &rule.conditions.lines;
                amounts.extend(lines.map(|(line, earns)| if selector.selects(line) { *earns } else { 0 }));
            }
        }
    }

    fn consider(&mut self, number: u32, rule: &'a Rule, selected: Selected<'_>, barred: Option<&str>) {
        let mut amounts = std::mem::take(&mut self.amounts);
        self.select(rule, selected, &mut amounts);
        self.judge(number, rule, &amounts, barred);
        self.amounts = amounts;
    }

    fn judge(&mut self, number: u32, rule: &'a Rule, amounts: &[i64], barred: Option<&str>) {
        let mut conditions = self.explain.is_some().then(Vec::new);
        let on = is_on(&self.view, self.program.campaign_of(rule), &mut conditions);
        let going = on || conditions.is_some();
        let holds = going && holds(&self.view, &rule.conditions, Some(amounts), &mut conditions) && on;
        let for_nobody = rule.to == GrantTo::Recipient && self.seen.order.recipient.is_none();
        let holds =
            self.besides.again.map_or(holds, |again| again.stands(&self.view, rule, amounts, holds)) && !for_nobody;
        let stood = self.besides.again.is_some_and(|again| again.has(rule));
        let left_out = if holds && barred.is_none() && !stood { self.left_out(rule) } else { None };
        self.kept_out |= left_out.is_some();
        let applies = holds && left_out.is_none() && barred.is_none();
        let trace = self.explain.as_mut().map_or(0, |explain| {
            explain.rules.push(ExplainRule {
                rule: rule.id.clone(),
                kind: rule.kind,
                applied: applies,
                conditions: conditions.unwrap_or_default(),
                steps: Vec::new(),
                left_out: match (barred, left_out) {
                    (Some(why), _) if holds => why.to_owned(),
                    _ if for_nobody => "the order names no recipient".to_owned(),
                    (_, left_out) => left_out.map_or_else(String::new, LeftOut::text),
                },
            });
            explain.rules.len() - 1
        });
        if !applies {
            return;
        }
        let spent = (self.besides.spent)(rule);
        if !spent {
            self.keep(rule);
        }
        if let (GrantTo::Recipient, Some(recipient)) = (rule.to, &self.seen.order.recipient) {
            self.step(trace, || format!("goes to {recipient}"));
        }
        let of_lines = || amounts.to_vec();
        match &rule.then {
            Then::Earn(then) => self.earns.push(Applies { number, rule, then, amounts: of_lines(), trace, spent }),
            Then::Multiply(then) => {
                self.multiplies.push(Applies { number, rule, then, amounts: of_lines(), trace, spent })
            }
            Then::Bonus(then) => self.bonuses.push(Applies { number, rule, then, amounts: of_lines(), trace, spent }),
            Then::Stamps(_) | Then::Voucher(_) | Then::Tag(_) | Then::Draw(_) => {
                let award = Award::of_order(&self.view, rule, amounts);
                self.step(trace, || award.as_ref().map_or_else(|| "nothing".to_owned(), Award::text));
                if award.is_none() {
                    self.gives_nothing(trace, "nothing of what it is given for is there");
                }
                self.awards.extend(award);
            }
        }
    }

    /// What a bonus gives on each line.
    fn bonus_shares(&self, bonus: &Bonus, amounts: &[i64]) -> Result<Vec<i64>, OutOfBounds> {
        let mut shares = match bonus.for_each {
            ForEach::Order | ForEach::Visit => split(bonus.units, amounts),
            ForEach::Line => amounts.iter().map(|earns| if 0 < *earns { bonus.units } else { 0 }).collect(),
            ForEach::Item => {
                let lines = self.seen.order.lines.iter().zip(amounts).enumerate();
                let each = lines.map(|(at, (line, earns))| {
                    let free = self.seen.free.get(at).copied().unwrap_or(0);
                    let items = if 0 < *earns { line.quantity.saturating_sub(free).max(0) } else { 0 };
                    bonus.units.checked_mul(items).ok_or(OutOfBounds)
                });
                each.collect::<Result<Vec<i64>, OutOfBounds>>()?
            }
        };
        let all = total(&shares)?;
        if let Some(most) = bonus.units_max.filter(|most| *most < all) {
            shares = split(most, &shares);
        }
        Ok(shares)
    }

    /// Fixed numbers of units, after the base: some are given only on top of one.
    fn bonus(&mut self) -> Result<(), OutOfBounds> {
        for applied in std::mem::take(&mut self.bonuses) {
            let bonus = applied.then;
            let bases = if bonus.needs_base { self.bases(&bonus.unit, &applied.amounts) } else { Vec::new() };
            if bonus.needs_base && bases.is_empty() {
                self.leave_out(applied.number, applied.trace, "no base rate gives anything on its lines");
                continue;
            }
            let lines = || applied.amounts.iter().map(|earns| 0 < *earns).collect();
            let builds = bonus.needs_base.then(|| Builds::Needs { bases, lines: lines() });
            let shares = self.bonus_shares(bonus, &applied.amounts)?;
            let amount = total(&shares)?;
            self.step(applied.trace, || match bonus.for_each {
                ForEach::Order | ForEach::Visit => format!("a fixed {amount} {}", bonus.unit),
                ForEach::Line => format!("{} for each line = {amount} {}", bonus.units, bonus.unit),
                ForEach::Item => format!("{} for each item = {amount} {}", bonus.units, bonus.unit),
            });
            if bonus.multiplied {
                self.fixed.push((applied.rule, &bonus.unit, shares.clone()));
            }
            let plan = Plan {
                rule: applied.rule.id.clone(),
                kind: applied.rule.kind,
                unit: bonus.unit.clone(),
                amount,
                shares,
                life: bonus.life.clone(),
                to: applied.rule.to,
                builds,
            };
            self.plans.push((applied.number, plan));
        }
        Ok(())
    }

    /// The rules of a unit that give something on any of the lines.
    fn bases(&self, unit: &UnitId, amounts: &[i64]) -> Vec<RuleId> {
        let base = self.plans.iter().filter(|(_, plan)| plan.unit == *unit);
        let on_lines = |plan: &Plan| plan.shares.iter().zip(amounts).any(|(share, earns)| 0 < *share && 0 < *earns);
        base.filter(|(_, plan)| on_lines(plan)).map(|(_, plan)| plan.rule.clone()).collect()
    }

    /// Notes that a rule gives nothing although its conditions hold.
    fn leave_out(&mut self, number: u32, trace: usize, why: &str) {
        self.dropped.push((number, why.to_owned()));
        self.gives_nothing(trace, why);
    }

    /// Notes that a rule gives nothing although it applies next to others.
    fn gives_nothing(&mut self, trace: usize, why: &str) {
        if let Some(rule) = self.explain.as_mut().and_then(|explain| explain.rules.get_mut(trace)) {
            rule.applied = false;
            rule.left_out = why.to_owned();
        }
    }

    fn per(&self, earn: &Earn) -> Option<i64> {
        earn.per.get(self.seen.currency).filter(|per| 0 < *per)
    }

    /// Base rates: each line, each rule, or all rules of a unit together are rounded.
    fn base(&mut self) -> Result<(), OutOfBounds> {
        let earns = std::mem::take(&mut self.earns);
        let mut per_order: Vec<&Applies<'a, Earn>> = Vec::new();
        for applied in &earns {
            let Some(per) = self.per(applied.then) else { continue };
            let units = applied.then.units;
            let rounding = applied.then.rounding;
            let shares = match applied.then.round_per {
                RoundPer::Order => {
                    per_order.push(applied);
                    continue;
                }
                RoundPer::Line => {
                    let each = applied.amounts.iter().map(|amount| rounded(*amount, units, per, rounding));
                    each.collect::<Result<Vec<i64>, OutOfBounds>>()?
                }
                RoundPer::Rule => {
                    let amount = total(&applied.amounts)?;
                    split(rounded(amount, units, per, rounding)?, &applied.amounts)
                }
            };
            self.plan_base(applied, per, shares)?;
        }
        let mut done: Vec<(&UnitId, GrantTo)> = Vec::new();
        for first in &per_order {
            let kind = (&first.then.unit, first.rule.to);
            if done.contains(&kind) {
                continue;
            }
            done.push(kind);
            let group: Vec<&&Applies<'a, Earn>> =
                per_order.iter().filter(|applied| (&applied.then.unit, applied.rule.to) == kind).collect();
            let exact: Vec<Ratio> = group
                .iter()
                .map(|applied| {
                    let per = self.per(applied.then).ok_or(OutOfBounds)?;
                    let amount = total(&applied.amounts)?;
                    let numerator = i128::from(amount) * i128::from(applied.then.units);
                    Ok(Ratio { numerator, denominator: i128::from(per) })
                })
                .collect::<Result<_, OutOfBounds>>()?;
            let (weights, denominator) = common(&exact)?;
            let numerator = weights.iter().try_fold(0i128, |sum, w| sum.checked_add(*w)).ok_or(OutOfBounds)?;
            let all = first.then.rounding.apply(Ratio { numerator, denominator }).ok_or(OutOfBounds)?;
            for (applied, amount) in group.iter().zip(split(all, &scaled(&weights))) {
                let per = self.per(applied.then).ok_or(OutOfBounds)?;
                let shares = split(amount, &applied.amounts);
                self.plan_base(applied, per, shares)?;
            }
        }
        self.earns = earns;
        Ok(())
    }

    fn plan_base(&mut self, applied: &Applies<'a, Earn>, per: i64, shares: Vec<i64>) -> Result<(), OutOfBounds> {
        let amount = total(&shares)?;
        let then = applied.then;
        let earning = total(&applied.amounts)?;
        self.step(applied.trace, || {
            let scope = match then.round_per {
                RoundPer::Line => "line",
                RoundPer::Rule => "rule",
                RoundPer::Order => "order",
            };
            let rounding = then.rounding.name();
            format!("{earning} x {} / {per}, {rounding} per {scope} = {amount} {}", then.units, then.unit)
        });
        if amount == 0 {
            self.gives_nothing(applied.trace, NOTHING);
        }
        let plan = Plan {
            rule: applied.rule.id.clone(),
            kind: applied.rule.kind,
            unit: then.unit.clone(),
            amount,
            shares,
            life: then.life.clone(),
            to: applied.rule.to,
            builds: None,
        };
        self.plans.push((applied.number, plan));
        Ok(())
    }

    /// Multipliers add `(factor − 1) × base` on their lines. The base is exact where it is rounded per rule or
    /// per order, and as rounded where it is rounded per line.
    fn multiply(&mut self) -> Result<(), OutOfBounds> {
        let multiplies = std::mem::take(&mut self.multiplies);
        for (at, applied) in multiplies.iter().enumerate() {
            let acts = applied.amounts.iter().enumerate();
            let acts: Vec<bool> = acts.map(|(line, n)| 0 < *n && self.wins(&multiplies, at, line)).collect();
            for to in self.bases_for(applied.then) {
                self.multiply_for(applied, &acts, to)?;
            }
            let gives = |(number, plan): &(u32, Plan)| *number == applied.number && 0 < plan.amount;
            if !self.plans.iter().any(gives) {
                self.gives_nothing(applied.trace, if acts.contains(&true) { NOTHING } else { OUTDONE });
            }
        }
        Ok(())
    }

    fn multiply_for(&mut self, applied: &Applies<'a, Multiply>, acts: &[bool], to: GrantTo) -> Result<(), OutOfBounds> {
        let multiplied = self.multiplied(applied.then, acts, Some(to))?;
        let Added { amount, shares, base } = multiplied.added(acts.len())?;
        self.step(applied.trace, || {
            let (whole, part) = (applied.then.factor_permille / 1_000, applied.then.factor_permille % 1_000);
            let rounding = applied.then.rounding.name();
            format!(
                "base {}/{} x ({whole}.{part:03} - 1), {rounding} = {amount} {}",
                base.numerator, base.denominator, applied.then.unit
            )
        });
        let plan = Plan {
            rule: applied.rule.id.clone(),
            kind: applied.rule.kind,
            unit: applied.then.unit.clone(),
            amount,
            shares,
            life: None,
            to,
            builds: Some(Builds::Multiplies(multiplied)),
        };
        self.plans.push((applied.number, plan));
        Ok(())
    }

    /// Whose units a multiplier acts on: what it adds to each goes there, rounded by itself.
    fn bases_for(&self, then: &Multiply) -> impl Iterator<Item = GrantTo> + use<> {
        let earned = self.earns.iter().map(|applied| (&applied.then.unit, applied.rule.to));
        let mut bases = earned.chain(self.fixed.iter().map(|(rule, unit, _)| (*unit, rule.to)));
        let given = bases.any(|(unit, to)| *unit == then.unit && to == GrantTo::Recipient);
        std::iter::once(GrantTo::Account).chain(given.then_some(GrantTo::Recipient))
    }

    /// Whether this multiplier acts on a line next to the others.
    fn wins(&self, all: &[Applies<'a, Multiply>], at: usize, line: usize) -> bool {
        if self.program.earning.multipliers == MultiplierPolicy::Add {
            return true;
        }
        let Some(mine) = all.get(at) else { return false };
        let rivals = all.iter().enumerate().filter(|(other, rival)| {
            *other != at
                && !rival.spent
                && rival.then.unit == mine.then.unit
                && rival.amounts.get(line).is_some_and(|amount| 0 < *amount)
        });
        let mut rivals = rivals.map(|(other, rival)| (rival.then.factor_permille, other));
        let factor = mine.then.factor_permille;
        rivals.all(|(rival, other)| rival < factor || (rival == factor && at < other))
    }

    /// What a multiplier makes of the base on the lines on which it acts. `to`: of rules that grant there; `None`: of all.
    fn multiplied(&self, then: &Multiply, acts: &[bool], to: Option<GrantTo>) -> Result<Multiplied, OutOfBounds> {
        let mut bases = Vec::new();
        let is_base = |of: &UnitId, rule: &Rule| *of == then.unit && to.is_none_or(|to| to == rule.to);
        for applied in self.earns.iter().filter(|applied| is_base(&applied.then.unit, applied.rule)) {
            let Some(per) = self.per(applied.then) else { continue };
            let (units, rounding) = (applied.then.units, applied.then.rounding);
            let mut exact = Vec::with_capacity(applied.amounts.len());
            for (amount, acts) in applied.amounts.iter().zip(acts) {
                exact.push(match applied.then.round_per {
                    _ if !*acts => ZERO,
                    RoundPer::Line => {
                        let whole = rounded(*amount, units, per, rounding)?;
                        Ratio { numerator: i128::from(whole), denominator: 1 }
                    }
                    RoundPer::Rule | RoundPer::Order => {
                        Ratio { numerator: i128::from(*amount) * i128::from(units), denominator: i128::from(per) }
                    }
                });
            }
            bases.push((applied.rule.id.clone(), exact));
        }
        for (rule, _, shares) in self.fixed.iter().filter(|(rule, of, _)| is_base(of, rule)) {
            let on_line = |(share, acts): (&i64, &bool)| Ratio {
                numerator: if *acts { i128::from(*share) } else { 0 },
                denominator: 1,
            };
            bases.push((rule.id.clone(), shares.iter().zip(acts).map(on_line).collect()));
        }
        let extra_permille = then.factor_permille - 1_000;
        Ok(Multiplied { bases, extra_permille, rounding: then.rounding })
    }
}
