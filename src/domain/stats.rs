//! Figures of referrals over all members: what was shared and touched, how many came of it, what they cost, what they buy.
//! Kept by calendar month, in the partition of each account or visitor, as changes that its decisions make; whole numbers
//! alone, so that they add up exactly.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::account::AccountState;
use super::answer::ReferralState;
use super::id::{CampaignId, GrantId, Label, RuleId, UnitId};
use super::ledger::{Entry, Fact, sum};
use super::order_record::OrderRecord;
use super::program::Program;
use super::referral::touch::{Touch, TouchKind};
use super::referral::{Referral, RejectedFor, Via};
use super::time::{CalendarPeriod, Day, Instant};

/// What is counted or summed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Measure {
    /// Members who joined.
    Members,
    /// Touches that were kept, by kind, in the month in which they happened; a share is one of them.
    Touches(TouchKind),
    /// Touches that machines made, and floods of them.
    TouchesDropped,
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
pub enum Way {
    /// At sign-up, or after it by a call of its own.
    SignUp,
    Checkout,
    Agent,
    /// By a click or scan of before.
    Touch,
}

/// Where the code was: as touches say, and as the touch said that a friend came by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum Channel {
    /// None was told, or the figure is not told apart by it.
    #[default]
    Untold,
    Named(Label),
    /// One of more than are told apart: see [`StatsRecord::CHANNELS_MAX`].
    Others,
}

impl Channel {
    fn of(label: Option<&Label>) -> Channel {
        label.map_or(Channel::Untold, |label| Channel::Named(label.clone()))
    }
}

/// One figure of a month.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Figure {
    /// `None`: of all members.
    pub campaign: Option<CampaignId>,
    /// `None`: however they came.
    pub way: Option<Way>,
    pub channel: Channel,
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
    /// Ascending by figure; none is zero, except where its channel has a name: what was told apart once stays so, that
    /// what undoes it finds it. At most [`StatsRecord::FIGURES_MAX`].
    pub figures: Vec<(Figure, i64)>,
}

/// Under what an order is measured for good, whatever becomes of its member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// By which its member had come.
    pub brought_by: Option<CampaignId>,
}

impl StatsRecord {
    /// More than a program's campaigns, ways and units make, besides those of channels.
    pub const FIGURES_MAX: usize = 4_000;
    /// Names of channels that a record tells apart: callers choose them, and may choose a new one for each touch.
    pub const CHANNELS_MAX: usize = 64;
    /// Figures of channels with a name.
    const NAMED_MAX: usize = 3_000;

    /// Takes in what an item of the feed says, unless it is in already. Figures beyond the most are left out.
    pub fn take(&mut self, position: u64, changes: &[&Change]) {
        if position <= self.through {
            return;
        }
        self.through = position;
        self.version += 1;
        for Change { figure, by, .. } in changes {
            match self.place(figure) {
                Ok(at) => self.add(at, *by),
                Err(at) if self.tells_apart(figure) => self.figures.insert(at, (figure.clone(), *by)),
                Err(_) => {
                    let figure = Figure { channel: Channel::Others, ..figure.clone() };
                    match self.place(&figure) {
                        Ok(at) => self.add(at, *by),
                        Err(_) if StatsRecord::FIGURES_MAX <= self.figures.len() => {}
                        Err(at) => self.figures.insert(at, (figure, *by)),
                    }
                }
            }
        }
        self.figures.retain(|(figure, sum)| *sum != 0 || is_named(figure));
    }

    fn place(&self, figure: &Figure) -> Result<usize, usize> {
        self.figures.binary_search_by(|(known, _)| known.cmp(figure))
    }

    fn add(&mut self, at: usize, by: i64) {
        if let Some((_, sum)) = self.figures.get_mut(at) {
            *sum = sum.saturating_add(by);
        }
    }

    /// Whether a figure that is not known yet gets a place of its own. Once one of a channel gets none, it never does: names
    /// are never forgotten.
    fn tells_apart(&self, figure: &Figure) -> bool {
        if !is_named(figure) {
            return self.figures.len() < StatsRecord::FIGURES_MAX;
        }
        let named = self.figures.iter().map(|(known, _)| known).filter(|known| is_named(known));
        let (mut names, mut count) = (BTreeSet::new(), 0usize);
        for known in named {
            names.insert(&known.channel);
            count += 1;
        }
        let is_known = names.contains(&figure.channel);
        count < StatsRecord::NAMED_MAX && (is_known || names.len() < StatsRecord::CHANNELS_MAX)
    }
}

fn is_named(figure: &Figure) -> bool {
    matches!(figure.channel, Channel::Named(_))
}

/// What a touch changes in the figures, kept or dropped.
pub fn of_touch(program: &Program, touch: &Touch, kept: bool) -> Option<Change> {
    let measure = if kept { Measure::Touches(touch.kind) } else { Measure::TouchesDropped };
    let channel = Channel::of(touch.channel.as_ref());
    let figure = Figure { campaign: Some(touch.campaign.clone()), way: None, channel, measure };
    program.referral_figures.then(|| Change { month: month_of(program, touch.at), figure, by: 1 })
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
    entries.iter().for_each(|entry| changes.entry(after, entry));
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
    fn add(&mut self, at: Instant, (campaign, measure): (Option<&CampaignId>, Measure), by: i64) {
        let figure = Figure { campaign: campaign.cloned(), way: None, channel: Channel::Untold, measure };
        self.change(at, figure, by);
    }

    fn change(&mut self, at: Instant, figure: Figure, by: i64) {
        self.all.push(Change { month: month_of(self.program, at), figure, by });
    }

    fn entry(&mut self, after: &AccountState, entry: &Entry) {
        if entry.fact == Fact::Enrolled {
            self.add(entry.effective_at, (None, Measure::Members), 1);
        }
        self.cost(after, entry);
    }

    /// How far a friend has come, with its sign.
    fn stage(&mut self, referral: &Referral, sign: i64) {
        let in_a_circle = matches!(referral.rejected_for, Some(RejectedFor::Circle | RejectedFor::ChainTooLong));
        if in_a_circle {
            return;
        }
        let way = match &referral.via {
            Via::SignUp | Via::Named => Way::SignUp,
            Via::Checkout => Way::Checkout,
            Via::Agent(_) => Way::Agent,
            Via::Touch => Way::Touch,
        };
        let figure = |measure| Figure {
            campaign: Some(referral.campaign.clone()),
            way: Some(way),
            channel: Channel::of(referral.channel.as_ref()),
            measure,
        };
        self.change(referral.attributed_at, figure(Measure::SignUps), sign);
        if referral.state == ReferralState::Qualified {
            self.change(referral.attributed_at, figure(Measure::Qualified), sign);
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
            self.add(entry.effective_at, (Some(&campaign), Measure::Cost(unit.clone())), amount);
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
        self.add(at, (campaign, orders), i64::from(before.is_none()));
        self.add(at, (campaign, spend), is.saturating_sub(was));
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

/// The figures that ledgers make, folded again from their first entries: what is kept must be this.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Refolded {
    sums: BTreeMap<(Day, Figure), i64>,
}

/// A figure that is kept as something else than ledgers make of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The first day of its month.
    pub month: Day,
    pub figure: Figure,
    pub kept: i64,
    pub folded: i64,
}

impl Refolded {
    /// One more entry of an account: how its referrals stood before, and the account after it.
    pub fn entry(&mut self, program: &Program, before: &[Referral], after: &AccountState, entry: &Entry) {
        if !program.referral_figures || after.account.is_guest() {
            return;
        }
        let mut changes = Changes { program, all: Vec::new() };
        changes.entry(after, entry);
        before.iter().for_each(|referral| changes.stage(referral, -1));
        after.referrals().for_each(|referral| changes.stage(referral, 1));
        self.take(changes);
    }

    /// An order that an account has: as it was when it came there, and as it stands.
    pub fn order(&mut self, program: &Program, orders: Orders<'_>) {
        let mut changes = Changes { program, all: Vec::new() };
        changes.order(orders);
        self.take(changes);
    }

    fn take(&mut self, changes: Changes<'_>) {
        for Change { month, figure, by } in changes.merged() {
            let sum = self.sums.entry((month, figure)).or_default();
            *sum = sum.saturating_add(by);
        }
    }

    /// The months of which there is something.
    pub fn months(&self) -> BTreeSet<Day> {
        self.sums.keys().map(|(month, _)| *month).collect()
    }

    /// Where what is kept is something else; how many figures were compared. Touches are in no ledger, and left out.
    pub fn differences(mut self, kept: &BTreeMap<Day, StatsRecord>) -> (u64, Vec<Difference>) {
        let of_touches = |figure: &Figure| matches!(figure.measure, Measure::Touches(_) | Measure::TouchesDropped);
        // What is not told apart there is counted with the others.
        let apart = |month: &Day, figure: &Figure| kept.get(month).is_some_and(|record| record.place(figure).is_ok());
        let others: Vec<(Day, Figure)> =
            self.sums.keys().filter(|(month, figure)| is_named(figure) && !apart(month, figure)).cloned().collect();
        for (month, figure) in others {
            let by = self.sums.remove(&(month, figure.clone())).unwrap_or(0);
            let sum = self.sums.entry((month, Figure { channel: Channel::Others, ..figure })).or_default();
            *sum = sum.saturating_add(by);
        }
        let mut both: BTreeMap<(Day, Figure), (i64, i64)> = BTreeMap::new();
        for (name, folded) in self.sums {
            both.entry(name).or_default().1 = folded;
        }
        for (month, record) in kept {
            for (figure, sum) in record.figures.iter().filter(|(figure, _)| !of_touches(figure)) {
                both.entry((*month, figure.clone())).or_default().0 = *sum;
            }
        }
        let compared = both.len() as u64;
        let differ = both.into_iter().filter(|(_, (kept, folded))| kept != folded);
        let differences =
            differ.map(|((month, figure), (kept, folded))| Difference { month, figure, kept, folded }).collect();
        (compared, differences)
    }
}
