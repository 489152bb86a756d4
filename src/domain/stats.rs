//! Figures of referrals over all members: how many came, what they cost, what they buy. Kept by calendar month, in the
//! partition of each account, as changes that its decisions make; whole numbers alone, so that they add up exactly.
//!
//! Seam: shares and touches are steps of the same funnel before [`Measure::SignUps`], by the channel that they name. Where
//! they are recorded as entries of an account, they become measures of their own, and their channel that of the sign-up.

use serde::{Deserialize, Serialize};

use super::account::AccountState;
use super::answer::ReferralState;
use super::id::{CampaignId, GrantId, RuleId, UnitId};
use super::ledger::{Entry, Fact, sum};
use super::order_record::OrderRecord;
use super::program::Program;
use super::referral::{Referral, RejectedFor, Via};
use super::time::{CalendarPeriod, Day, Instant};

/// What is counted or summed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Measure {
    /// Members who joined.
    Members,
    /// Friends who named a code, by the month in which they did; not those whose claim closed a circle.
    SignUps,
    /// Of those, who qualified and still count.
    Qualified,
    /// Units of both sides' rewards, commission and shares of generations, as they were granted and taken back.
    Cost(UnitId),
    /// Orders of members who had come by a code.
    ReferredOrders,
    /// What of those earns and is kept; minor units of the program's first currency.
    ReferredSpend,
    /// Orders of other members.
    OtherOrders,
    OtherSpend,
}

/// How a friend came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Channel {
    /// At sign-up, or after it by a call of its own.
    SignUp,
    Checkout,
    Agent,
    /// By a click or scan of before.
    Touch,
}

/// One figure of a month.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Figure {
    /// `None`: of all members.
    pub campaign: Option<CampaignId>,
    /// `None`: however they came.
    pub channel: Option<Channel>,
    pub measure: Measure,
}

/// So much more of a figure, or less.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// The first day of its month, by the program's calendar.
    pub month: Day,
    pub figure: Figure,
    pub by: i64,
}

/// The figures of a month, of the accounts of one partition.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StatsRecord {
    /// Rises with each change.
    pub version: u64,
    /// What the feed held up to here is in.
    pub through: u64,
    /// Ascending by figure; none is zero. At most [`StatsRecord::FIGURES_MAX`].
    pub figures: Vec<(Figure, i64)>,
}

/// Under what an order is measured for good, whatever becomes of its member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// By which its member had come.
    pub brought_by: Option<CampaignId>,
}

impl StatsRecord {
    /// More than a program's campaigns, ways and units make.
    pub const FIGURES_MAX: usize = 4_000;

    /// Takes in what an item of the feed says, unless it is in already. Figures beyond the most are left out.
    pub fn take(&mut self, position: u64, changes: &[&Change]) {
        if position <= self.through {
            return;
        }
        self.through = position;
        self.version += 1;
        for Change { figure, by, .. } in changes {
            match self.figures.binary_search_by(|(known, _)| known.cmp(figure)) {
                Ok(at) => {
                    if let Some((_, sum)) = self.figures.get_mut(at) {
                        *sum = sum.saturating_add(*by);
                    }
                }
                Err(_) if StatsRecord::FIGURES_MAX <= self.figures.len() => {}
                Err(at) => self.figures.insert(at, (figure.clone(), *by)),
            }
        }
        self.figures.retain(|(_, sum)| *sum != 0);
    }
}

/// The first day of the month that an instant lies in.
pub fn month_of(program: &Program, at: Instant) -> Day {
    Day::of(CalendarPeriod::Month.start(at.zoned(&program.zone).date()))
}

/// How an order that is placed now is measured; `None`: the program keeps no figures, or nobody is known to have placed it.
pub fn measured(program: &Program, state: &AccountState, at: Instant) -> Option<Measured> {
    let came = state.referral.as_ref().filter(|referral| referral.attributed_at <= at);
    let keeps = program.referral_figures && !state.account.is_guest();
    keeps.then(|| Measured { brought_by: came.map(|referral| referral.campaign.clone()) })
}

/// An order before a decision and after it.
#[derive(Clone, Copy, Default)]
pub struct Orders<'a> {
    pub before: Option<&'a OrderRecord>,
    pub after: Option<&'a OrderRecord>,
}

/// How a decision changes the figures.
pub fn changes(
    program: &Program,
    before: Option<&AccountState>,
    after: &AccountState,
    entries: &[Entry],
    orders: Orders<'_>,
) -> Vec<Change> {
    if !program.referral_figures || after.account.is_guest() {
        return Vec::new();
    }
    let mut changes = Changes { program, all: Vec::new() };
    for entry in entries {
        if entry.fact == Fact::Enrolled {
            changes.add(entry.effective_at, (None, None, Measure::Members), 1);
        }
        changes.cost(after, entry);
    }
    before.into_iter().flat_map(AccountState::referrals).for_each(|referral| changes.stage(referral, -1));
    after.referrals().for_each(|referral| changes.stage(referral, 1));
    changes.order(orders);
    changes.merged()
}

struct Changes<'a> {
    program: &'a Program,
    all: Vec<Change>,
}

impl Changes<'_> {
    fn add(
        &mut self,
        at: Instant,
        (campaign, channel, measure): (Option<&CampaignId>, Option<Channel>, Measure),
        by: i64,
    ) {
        let figure = Figure { campaign: campaign.cloned(), channel, measure };
        self.all.push(Change { month: month_of(self.program, at), figure, by });
    }

    /// How far a friend has come, with its sign.
    fn stage(&mut self, referral: &Referral, sign: i64) {
        let in_a_circle = matches!(referral.rejected_for, Some(RejectedFor::Circle | RejectedFor::ChainTooLong));
        if in_a_circle {
            return;
        }
        let channel = match &referral.via {
            Via::SignUp | Via::Named => Channel::SignUp,
            Via::Checkout => Channel::Checkout,
            Via::Agent(_) => Channel::Agent,
            Via::Touch => Channel::Touch,
        };
        let (at, campaign) = (referral.attributed_at, Some(&referral.campaign));
        self.add(at, (campaign, Some(channel), Measure::SignUps), sign);
        if referral.state == ReferralState::Qualified {
            self.add(at, (campaign, Some(channel), Measure::Qualified), sign);
        }
    }

    /// What an entry grants for a friend, or takes back.
    fn cost(&mut self, state: &AccountState, entry: &Entry) {
        let of_rule = |rule: &RuleId| self.program.campaigns.iter().find(|known| known.id.as_str() == rule.as_str());
        let of_friend = |grant: &GrantId| {
            state.referrals().find(|known| known.friend.as_ref().is_some_and(|side| side.grant == *grant))
        };
        let (campaign, unit, amount) = match &entry.fact {
            Fact::Granted { grant, rule, unit, amount, .. } if grant.as_str().starts_with("referral:") => {
                (of_rule(rule).map(|terms| terms.id.clone()), unit, Some(*amount))
            }
            Fact::Received { rule, unit, amount, .. } => {
                (of_rule(rule).map(|terms| terms.id.clone()), unit, Some(*amount))
            }
            Fact::Accrued { campaign, unit, change, .. } => (Some(campaign.clone()), unit, Some(*change)),
            Fact::Reversed { grant, unit, taken, lapsed, debt, forgiven, .. } => {
                (of_friend(grant).map(|known| known.campaign.clone()), unit, less(taken, &[*lapsed, *debt, *forgiven]))
            }
            Fact::Recalled { rule, unit, taken, lapsed, debt, forgiven, .. } => {
                (of_rule(rule).map(|terms| terms.id.clone()), unit, less(taken, &[*lapsed, *debt, *forgiven]))
            }
            _ => return,
        };
        if let (Some(campaign), Some(amount)) = (campaign, amount) {
            self.add(entry.effective_at, (Some(&campaign), None, Measure::Cost(unit.clone())), amount);
        }
    }

    /// What is kept of an order, in the month in which it was placed.
    fn order(&mut self, Orders { before, after }: Orders<'_>) {
        let Some(record) = after else { return };
        let Some(Measured { brought_by }) = &record.measured else { return };
        let worth = |record: &OrderRecord| {
            let earning: Vec<i64> = record.lines.iter().map(|line| line.earning_minor).collect();
            let back = record.returned_of(&earning)?;
            let kept = earning.iter().try_fold(0i64, |sum, n| sum.checked_add(*n))?.checked_sub(back)?;
            super::counters::in_first(self.program, &record.order(), kept, record.committed_at)
        };
        let was = before.map_or(Some(0), worth);
        let (Some(was), Some(is)) = (was, worth(record)) else { return };
        let (orders, spend) = match brought_by {
            Some(_) => (Measure::ReferredOrders, Measure::ReferredSpend),
            None => (Measure::OtherOrders, Measure::OtherSpend),
        };
        let (at, campaign) = (record.committed_at, brought_by.as_ref());
        self.add(at, (campaign, None, orders), i64::from(before.is_none()));
        self.add(at, (campaign, None, spend), is.saturating_sub(was));
    }

    /// Each figure once; none by zero.
    fn merged(self) -> Vec<Change> {
        let mut merged: Vec<Change> = Vec::new();
        for change in self.all {
            match merged.iter_mut().find(|known| known.month == change.month && known.figure == change.figure) {
                Some(known) => known.by = known.by.saturating_add(change.by),
                None => merged.push(change),
            }
        }
        merged.retain(|change| change.by != 0);
        merged
    }
}

fn less(taken: &[super::ledger::Part], others: &[i64]) -> Option<i64> {
    others.iter().try_fold(sum(taken)?, |sum, n| sum.checked_add(*n))?.checked_neg()
}
