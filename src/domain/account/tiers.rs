//! What an account keeps of its status and of what it has achieved. All of it bounded.

use serde::{Deserialize, Serialize};

use super::{AccountState, ApplyError};
use crate::domain::awards::Consequence;
use crate::domain::command::AdjustReason;
use crate::domain::counters::CounterChange;
use crate::domain::id::{GoalId, GrantId, Label, LadderId, LevelId, UnitId};
use crate::domain::ledger::Dates;
use crate::domain::time::{Day, Instant};

/// Where an account stands on one ladder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LadderState {
    pub ladder: LadderId,
    /// Each level by itself and each source by itself; the highest counts.
    pub held: Vec<Holding>,
    /// When a level that was reached begins, where it begins with the next period.
    pub waits_until: Option<Instant>,
    pub carry: Option<Carry>,
    /// Levels whose rules have fired, ever.
    pub arrivals: Vec<Arrival>,
}

/// A level that is held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holding {
    pub level: LevelId,
    pub source: Source,
    /// Since when without a break.
    pub since: Instant,
    /// The day whose count carries it.
    pub by: Day,
    /// [`Instant::MAX`]: never lost.
    pub until: Instant,
    /// Set while it stays beyond `until`, in which it can be reached anew.
    pub grace_until: Option<Instant>,
}

impl Holding {
    /// When something is to be decided about it.
    pub fn due(&self) -> Instant {
        self.grace_until.unwrap_or(self.until)
    }
}

/// How a level came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Source {
    Earned,
    /// Lost the one above.
    Landed,
    /// Earned, and never lost again.
    ForLife,
    /// Given by hand.
    ByHand,
}

/// What exceeded a threshold in the period before, and counts in this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Carry {
    /// The first day of the period in which `amount` counts.
    pub from: Day,
    /// What counted in the period before in the same way; `None`: that was not looked at.
    pub before: Option<i64>,
    pub amount: i64,
    /// When that period ends.
    pub rolls_at: Instant,
}

/// That the rules on a level have fired.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Arrival {
    pub level: LevelId,
    /// How often; more than once only where it was undone.
    pub times: u32,
    /// Whether returns have undone the last; then it fires anew.
    pub undone: bool,
    /// What the last granted and has not been taken back.
    pub gifts: Gifts,
}

/// What a level or a goal brought.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Gifts {
    pub units: Vec<Gift>,
    pub others: Vec<Consequence>,
    /// What they added to the counters of limits.
    pub counts: Vec<CounterChange>,
}

/// Units granted for a level or a goal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gift {
    pub grant: GrantId,
    pub unit: UnitId,
    pub amount: i64,
    pub dates: Dates,
    /// What it added to counters.
    pub counted: Vec<CounterChange>,
}

/// How the status on one ladder changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum TierChange {
    /// A level is held, or held otherwise than before.
    Held(Holding),
    Ended {
        level: LevelId,
        source: Source,
        why: Ended,
    },
    /// A level by hand takes the place of the one before; `None` ends that.
    Set {
        level: Option<LevelId>,
        until: Instant,
        reason: AdjustReason,
        agent: Label,
    },
    Waits {
        until: Option<Instant>,
    },
    Carries {
        carry: Option<Carry>,
    },
    /// The rules on a level have fired.
    Arrived {
        level: LevelId,
        gifts: Gifts,
    },
    /// What they granted was taken back.
    Undone {
        level: LevelId,
    },
}

/// Why a level is no longer held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ended {
    /// Its time ran out.
    Lapsed,
    /// Returns took back what had reached it.
    Undone,
    /// The program knows it no more.
    Gone,
}

/// What an account has made of one goal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GoalState {
    pub goal: GoalId,
    /// Times it was met, those that were undone included: names the next.
    pub numbers: u32,
    /// Times that stand and are no longer listed.
    pub older: u32,
    /// The latest that stand, oldest first; at most [`GoalState::MET_MAX`].
    pub met: Vec<Met>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Met {
    /// 1 for the first of the account, and so on.
    pub number: u32,
    pub at: Instant,
    /// The day whose count met it.
    pub day: Day,
    /// How many times the threshold that was.
    pub step: i64,
    /// Whether rules fired. Not for what was reached before the goal was there.
    pub counts: bool,
    pub gifts: Gifts,
}

impl AccountState {
    /// Takes in how far another account has come with a goal: what both have met stands, each with what it granted.
    pub(super) fn take_goal(&mut self, theirs: &GoalState) {
        let Some(own) = self.goals.iter_mut().find(|known| known.goal == theirs.goal) else {
            self.goals.push(theirs.clone());
            return;
        };
        let shift = own.numbers;
        let renumbered = |met: &Met| Met { number: met.number.saturating_add(shift), ..met.clone() };
        own.met.extend(theirs.met.iter().map(renumbered));
        own.met.sort_by_key(|met| (met.at, met.number));
        own.numbers = own.numbers.saturating_add(theirs.numbers);
        own.older = own.older.saturating_add(theirs.older);
        let surplus = own.met.len().saturating_sub(GoalState::MET_MAX);
        own.older = own.older.saturating_add(u32::try_from(surplus).unwrap_or(u32::MAX));
        own.met.drain(..surplus);
    }

    /// What is left of what a home had met.
    pub(super) fn left_of_goal(&self, theirs: &GoalState) -> GoalState {
        let own = self.goals.iter().find(|known| known.goal == theirs.goal);
        let stands = |met: &&Met| own.is_some_and(|own| own.met.iter().any(|known| known.is_like(met)));
        GoalState { met: theirs.met.iter().filter(stands).cloned().collect(), ..theirs.clone() }
    }

    /// That goes again.
    pub(super) fn part_with_goal(&mut self, theirs: &GoalState) {
        let Some(own) = self.goals.iter_mut().find(|known| known.goal == theirs.goal) else { return };
        for gone in &theirs.met {
            if let Some(place) = own.met.iter().rposition(|known| known.is_like(gone)) {
                own.met.remove(place);
            }
        }
        own.older = own.older.saturating_sub(theirs.older);
        // Numbers name what goals granted: they are given anew only where none is in use.
        let free = own.numbers.saturating_sub(theirs.numbers);
        if own.met.iter().all(|met| met.number <= free) {
            own.numbers = free;
        }
        self.goals.retain(|known| 0 < known.numbers || !known.met.is_empty() || 0 < known.older);
    }
}

impl Met {
    /// Whether it is the same, whatever number an account gives it.
    fn is_like(&self, other: &Met) -> bool {
        Met { number: 0, ..self.clone() } == Met { number: 0, ..other.clone() }
    }
}

impl GoalState {
    /// Later returns undo none before these.
    pub const MET_MAX: usize = 24;

    /// Times that it was met, as it stands.
    pub fn times(&self) -> u32 {
        let listed = self.met.iter().filter(|met| met.counts).count();
        self.older.saturating_add(u32::try_from(listed).unwrap_or(u32::MAX))
    }
}

/// How a goal moves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum GoalChange {
    Met(Met),
    /// Returns took back what had met it.
    Undone {
        number: u32,
    },
}

impl TierChange {
    pub fn name(&self) -> &'static str {
        match self {
            TierChange::Held(_) => "tier_held",
            TierChange::Ended { .. } => "tier_ended",
            TierChange::Set { .. } => "tier_set",
            TierChange::Waits { .. } => "tier_waits",
            TierChange::Carries { .. } => "tier_carries",
            TierChange::Arrived { .. } => "tier_arrived",
            TierChange::Undone { .. } => "tier_undone",
        }
    }
}

impl GoalChange {
    pub fn name(&self) -> &'static str {
        match self {
            GoalChange::Met(_) => "goal_met",
            GoalChange::Undone { .. } => "goal_undone",
        }
    }
}

/// Ladders and goals of earlier program versions are kept up to so many in all; then the first is forgotten.
const LADDERS_MAX: usize = 32;
const GOALS_MAX: usize = 128;
/// Holdings of one ladder: more than a program's levels can have.
const HELD_MAX: usize = 64;
const ARRIVALS_MAX: usize = 64;

impl AccountState {
    pub fn ladder(&self, ladder: &LadderId) -> Option<&LadderState> {
        self.ladders.iter().find(|known| known.ladder == *ladder)
    }

    pub fn goal(&self, goal: &GoalId) -> Option<&GoalState> {
        self.goals.iter().find(|known| known.goal == *goal)
    }

    /// When the passing of time next changes something of the status.
    pub(in crate::domain) fn tiers_due(&self) -> impl Iterator<Item = Instant> {
        self.ladders.iter().flat_map(|ladder| {
            let held = ladder.held.iter().map(Holding::due);
            held.chain(ladder.waits_until).chain(ladder.carry.map(|carry| carry.rolls_at))
        })
    }

    pub(super) fn apply_tier(
        &mut self,
        ladder: &LadderId,
        change: &TierChange,
        effective_at: Instant,
    ) -> Result<(), ApplyError> {
        let at = match self.ladders.iter().position(|known| known.ladder == *ladder) {
            Some(at) => at,
            None => {
                if LADDERS_MAX <= self.ladders.len() {
                    self.ladders.remove(0);
                }
                let (ladder, held, arrivals) = (ladder.clone(), Vec::new(), Vec::new());
                self.ladders.push(LadderState { ladder, held, waits_until: None, carry: None, arrivals });
                self.ladders.len() - 1
            }
        };
        let Some(state) = self.ladders.get_mut(at) else { return Ok(()) };
        match change {
            TierChange::Held(holding) => state.hold(holding.clone())?,
            TierChange::Ended { level, source, .. } => {
                state.held.retain(|held| held.level != *level || held.source != *source);
            }
            TierChange::Set { level, until, .. } => {
                state.held.retain(|held| held.source != Source::ByHand);
                if let Some(level) = level {
                    state.hold(Holding {
                        level: level.clone(),
                        source: Source::ByHand,
                        since: effective_at,
                        by: Day(0),
                        until: *until,
                        grace_until: None,
                    })?;
                }
            }
            TierChange::Waits { until } => state.waits_until = *until,
            TierChange::Carries { carry } => state.carry = *carry,
            TierChange::Arrived { level, gifts } => {
                let times = state.arrival(level).map_or(0, |arrival| arrival.times).saturating_add(1);
                state.arrivals.retain(|arrival| arrival.level != *level);
                if ARRIVALS_MAX <= state.arrivals.len() {
                    state.arrivals.remove(0);
                }
                state.arrivals.push(Arrival { level: level.clone(), times, undone: false, gifts: gifts.clone() });
            }
            TierChange::Undone { level } => {
                for arrival in state.arrivals.iter_mut().filter(|arrival| arrival.level == *level) {
                    arrival.undone = true;
                    arrival.gifts = Gifts::default();
                }
            }
        }
        Ok(())
    }

    pub(super) fn apply_goal(&mut self, goal: &GoalId, change: &GoalChange) {
        let at = match self.goals.iter().position(|known| known.goal == *goal) {
            Some(at) => at,
            None => {
                if GOALS_MAX <= self.goals.len() {
                    self.goals.remove(0);
                }
                self.goals.push(GoalState { goal: goal.clone(), numbers: 0, older: 0, met: Vec::new() });
                self.goals.len() - 1
            }
        };
        let Some(state) = self.goals.get_mut(at) else { return };
        match change {
            GoalChange::Met(met) => {
                state.numbers = state.numbers.max(met.number);
                state.met.push(met.clone());
                if GoalState::MET_MAX < state.met.len() {
                    let oldest = state.met.remove(0);
                    state.older = state.older.saturating_add(u32::from(oldest.counts));
                }
            }
            GoalChange::Undone { number } => state.met.retain(|met| met.number != *number),
        }
    }
}

impl LadderState {
    pub fn arrival(&self, level: &LevelId) -> Option<&Arrival> {
        self.arrivals.iter().find(|arrival| arrival.level == *level)
    }

    pub fn holding(&self, level: &LevelId, source: Source) -> Option<&Holding> {
        self.held.iter().find(|held| held.level == *level && held.source == source)
    }

    fn hold(&mut self, holding: Holding) -> Result<(), ApplyError> {
        self.held.retain(|held| held.level != holding.level || held.source != holding.source);
        if HELD_MAX <= self.held.len() {
            return Err(ApplyError::TooLarge);
        }
        self.held.push(holding);
        Ok(())
    }
}
