//! Status by ladders of levels, and goals.

use super::{CounterWindow, LifeTerms, Rule};
use crate::domain::id::{CounterId, GoalId, Label, LadderId, LevelId, UnitId};
use crate::domain::time::Instant;

/// Levels of status that one counter leads up.
#[derive(Clone, Debug)]
pub struct Ladder {
    pub id: LadderId,
    pub counter: CounterId,
    /// Of the counter; never [`CounterWindow::Streak`].
    pub window: CounterWindow,
    /// By threshold, ascending; at least one, at most [`Ladder::LEVELS_MAX`].
    pub levels: Vec<Level>,
    pub upgrade: Upgrade,
    pub keep: Keep,
    /// What exceeds the threshold counts in the next period too.
    pub carries_surplus: bool,
    pub undo: Undo,
}

impl Ladder {
    pub const LEVELS_MAX: usize = 12;

    /// Where a level stands: 0 is the lowest.
    pub fn rank(&self, level: &LevelId) -> Option<usize> {
        self.levels.iter().position(|known| known.id == *level)
    }
}

#[derive(Clone, Debug)]
pub struct Level {
    pub id: LevelId,
    pub title: String,
    /// What the counter must say; equal is reached. 0, for the lowest level alone: every member has it.
    pub at_least: i64,
    /// The counter and the count at which the level is never lost again.
    pub for_life: Option<(CounterId, i64)>,
    /// A multiplier for each unit named, on all lines.
    pub multipliers: Vec<Rule>,
    /// Terms of the units granted to whoever has the level; a rule's own terms come first.
    pub lives: Vec<(UnitId, LifeTerms)>,
    /// For other systems.
    pub perks: Vec<Label>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Upgrade {
    /// With what reaches the threshold (default). What reached it still earned as before.
    #[default]
    AtOnce,
    /// As the next period begins.
    NextPeriod,
}

/// How long a level lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keep {
    /// Whether it can be lost at all but by returns.
    pub for_ever: bool,
    /// Whole periods after the one in which it was reached. The periods are those of the counter; of a rolling window,
    /// the first begins on the day on which it was reached.
    pub further_periods: u32,
    /// For so many days more it stays, and can be reached anew.
    pub grace_days: u32,
    /// Who loses a level lands one below, for a period; otherwise on what was earned.
    pub soft_landing: bool,
}

/// What happens when returns leave less than a threshold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Undo {
    /// The level goes with them, and what it granted (default).
    #[default]
    AtOnce,
    /// It stays as long as it would have.
    PeriodEnd,
}

/// Something to achieve.
#[derive(Clone, Debug)]
pub struct Goal {
    pub id: GoalId,
    pub title: String,
    pub counter: CounterId,
    /// What the counter must say; equal is reached. It counts when it is reached, not when it stands.
    pub at_least: i64,
    pub repeat: Repeat,
    pub badge: Option<Label>,
    /// Nothing before this counts as reaching it.
    pub starts_at: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Repeat {
    #[default]
    Once,
    /// Once in each period of the counter's window.
    PerPeriod,
    /// With each so many.
    Every,
}

/// What `tiers` of a rule, a reward or a condition name: any of these levels of a ladder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Levels {
    pub ladder: LadderId,
    pub levels: Vec<LevelId>,
}
