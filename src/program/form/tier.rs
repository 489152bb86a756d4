//! Ladders of status, and goals.

use super::threshold::{Mark, MarkText, number_of};
use super::*;
use crate::domain::id::{GoalId, LadderId, LevelId};
use crate::domain::money::Rounding;
use crate::domain::program::{Goal, GrantTo, Keep, Ladder, Level, Levels, MemberPrice, Repeat, Upgrade};
use crate::program::value::{GoalName, KeepPeriod, LadderName, RepeatWord, UndoWord, UpgradeWord};
use crate::program::{GOALS_MAX, LADDERS_MAX};

/// A ladder's levels by name: `{vip: [gold, platinum]}`.
pub(super) type LevelsOf = ByName<LadderName, Distinct<Name<LevelId>, 1, { Ladder::LEVELS_MAX }>, 1, LADDERS_MAX>;

pub(super) type LadderList = ByName<Name<LadderId>, LadderSection, 0, LADDERS_MAX>;

pub(super) type GoalList = Identified<GoalSection, GOALS_MAX>;

section! {
    /// Levels of status that one counter leads up. A level that is reached holds for what comes after: the order that
    /// reaches it still earns as before. What rules on a level grant counts in no counter that leads to the level. Give a ladder that is to mean something else a new name. Members who stand
    /// above a threshold when a ladder is introduced get their level with the next thing that counts, without what its
    /// rules grant.
    LadderSection = "ladder" {
        /// What leads up: a counter without a streak. Its window is the period of the ladder.
        counter: CounterName, Required;
        /// From the lowest to the highest.
        levels: Identified<LevelSection, { Ladder::LEVELS_MAX }>, Required;
        /// When a level that is reached begins.
        upgrade: UpgradeWord, Default("at_once");
        /// How long a level lasts.
        keep: KeepSection, Default("{}");
        /// Whether what exceeds the highest threshold reached counts in the next period too. For counters of a month,
        /// a quarter, a year or a membership year.
        rollover: Flag, Default("false");
        /// What happens when returns leave less than a threshold.
        returns: UndoWord, Default("at_once");
        /// Which kind of loyalty what its levels multiply serves.
        kind: KindWord, Default("transactional");
    }
}

section! {
    /// One level of a ladder.
    LevelSection = "level" {
        /// Names the level within its ladder.
        id: Name<LevelId>, Required;
        /// What people call it.
        title: Title, Required;
        /// What the counter must say; equal is reached. Above that of the level before. 0, for the first level alone:
        /// every member has it, and nobody reaches it.
        at_least: MarkText<0>, Required;
        /// When the level is never lost again.
        for_life: ForLifeSection, Without("never");
        /// By unit, what orders earn more: a multiplier on all lines, next to those of rules; of two equal ones on a
        /// line, the rule counts.
        multiply: ByName<UnitName, Factor, 1, UNITS_MAX>, Without("nothing");
        /// By unit, terms that differ from the unit's. What a rule states of its own comes first.
        life: ByName<UnitName, LifeSection, 1, UNITS_MAX>, Without("as the unit");
        /// What else comes with it, for other systems: GetMember shows it.
        perks: Distinct<LabelText, 0, SELECTED_MAX>, Default("[]");
    }
}

section! {
    /// What makes a level permanent.
    ForLifeSection = "for life" {
        /// Usually one without a window.
        counter: CounterName, Required;
        /// What it must say; equal is reached.
        at_least: MarkText<1>, Required;
    }
}

impl Build for ForLifeSection {
    type Out = (CounterId, i64);

    fn build(self, _: Pos, r: &mut Reader) -> Option<(CounterId, i64)> {
        let counter = self.counter?.value;
        let at_least = number_of(&self.at_least?, &counter, r);
        Some((counter, at_least))
    }
}

section! {
    /// How long a level lasts: for the rest of the period in which it was reached and so many further ones. When it
    /// ends, what was counted in the periods since decides whether it goes on. A counter without a window has but one
    /// period, which never ends.
    KeepSection = "keep" {
        /// What the periods are.
        period: KeepPeriod, Default("counter");
        /// Whole periods after the one in which a level was reached. Of a rolling window the period is so many days
        /// from the day on which it was reached.
        further_periods: Whole<0, 20>, Without("1; for a rolling window 0");
        /// For so many days more a level stays, and can be reached anew by what is counted then.
        grace_days: Whole<0, 366>, Default("0");
        /// Whether who loses a level lands one below it, for a period, rather than on what was earned.
        soft_landing: Flag, Default("false");
    }
}

impl Build for KeepSection {
    /// `None`: by the window.
    type Out = (Keep, Option<u32>);

    fn build(self, _: Pos, _: &mut Reader) -> Option<(Keep, Option<u32>)> {
        let whole = |n: i64| u32::try_from(n).ok();
        let keep = Keep {
            for_ever: self.period?.value,
            further_periods: 0,
            grace_days: whole(self.grace_days?.value)?,
            soft_landing: self.soft_landing?.value,
        };
        Some((keep, self.further_periods.and_then(|at| whole(at.value))))
    }
}

/// A level that lacks only what its ladder says.
pub(in crate::program) struct Rung {
    level: Level,
    multiply: Vec<(UnitId, i64)>,
    at_least_at: At<Mark>,
}

impl Build for LevelSection {
    type Out = Rung;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Rung> {
        let lives = self.life.map(|at| at.value).unwrap_or_default().into_iter();
        let lives: Vec<(UnitId, LifeTerms)> = lives.map(|(unit, own)| (unit.clone(), own.terms(&unit, r))).collect();
        let at_least_at = self.at_least?;
        let level = Level {
            id: self.id?.value,
            title: self.title?.value,
            at_least: at_least_at.value.number,
            for_life: self.for_life.map(|at| at.value),
            multipliers: Vec::new(),
            lives,
            perks: self.perks?.value,
        };
        Some(Rung { level, multiply: self.multiply.map(|at| at.value).unwrap_or_default(), at_least_at })
    }
}

/// A ladder that lacks its name and the window of its counter.
pub(in crate::program) struct Unnamed {
    pos: Pos,
    ladder: Ladder,
    multiply: Vec<Vec<(UnitId, i64)>>,
    further_periods: Option<u32>,
    kind: Kind,
}

impl Build for LadderSection {
    type Out = Unnamed;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<Unnamed> {
        let steps = self.levels?;
        if steps.value.is_empty() {
            r.fault_at(&steps, "a ladder without levels leads nowhere", Some("add a level"));
            return None;
        }
        let counter = self.counter?.value;
        let mut before: Option<i64> = None;
        for (index, (_, step)) in steps.value.iter().enumerate() {
            r.within(Step::Key(Cow::Borrowed("levels")), |r| {
                r.within(Step::Index(index), |r| number_of(&step.at_least_at, &counter, r))
            });
            let at_least = step.level.at_least;
            let inside = |r: &mut Reader, message: String, hint: &str| {
                let levels = Step::Key(Cow::Borrowed("levels"));
                r.within(levels, |r| {
                    r.within(Step::Index(index), |r| r.fault_at(&step.at_least_at, message, Some(hint)));
                });
            };
            match before {
                Some(before) if at_least == before => {
                    inside(r, format!("{at_least} is the threshold of the level before too"), "make it higher");
                }
                Some(before) if at_least < before => {
                    let message = format!("{at_least} is below the threshold of the level before, {before}");
                    inside(r, message, "list the levels from the lowest to the highest");
                }
                _ => {}
            }
            before = Some(at_least);
        }
        let (keep, further_periods) = self.keep?.value;
        let (levels, multiply) = steps.value.into_iter().map(|(_, step)| (step.level, step.multiply)).unzip();
        let ladder = Ladder {
            id: LadderId::parse("unnamed").ok()?,
            counter,
            window: CounterWindow::Lifetime,
            levels,
            upgrade: self.upgrade?.value,
            keep,
            carries_surplus: self.rollover?.value,
            undo: self.returns?.value,
        };
        Some(Unnamed { pos, ladder, multiply, further_periods, kind: self.kind?.value })
    }
}

section! {
    /// Something to achieve. It is reached when the count crosses the threshold: who stands above it already when the
    /// goal is introduced does not reach it. When returns take the count below it again, the goal is undone, and with it
    /// what its rules granted.
    GoalSection = "goal" {
        /// Names the goal in the ledger.
        id: Name<GoalId>, Required;
        /// What people call it.
        title: Title, Required;
        /// What is counted.
        counter: CounterName, Required;
        /// What the counter must say; equal is reached.
        at_least: MarkText<1>, Required;
        /// How often it can be reached.
        repeat: RepeatWord, Default("once");
        /// What shows that it was reached: GetMember lists it.
        badge: LabelText, Without("none");
        /// What happened before this instant reaches nothing.
        starts_at: Moment, Without("since ever");
    }
}

impl Build for GoalSection {
    /// With where it begins, for what is checked later.
    type Out = Goal;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Goal> {
        let counter = self.counter?.value;
        let at_least = number_of(&self.at_least?, &counter, r);
        Some(Goal {
            id: self.id?.value,
            title: self.title?.value,
            counter,
            at_least,
            repeat: self.repeat?.value,
            badge: self.badge.map(|at| at.value),
            starts_at: self.starts_at.map(|at| at.value),
        })
    }
}

pub(super) fn levels_of(stated: Option<At<<LevelsOf as Value>::Out>>) -> Vec<Levels> {
    let stated = stated.map(|at| at.value).unwrap_or_default().into_iter();
    stated.map(|(ladder, levels)| Levels { ladder, levels }).collect()
}

/// Gives ladders their names, and checks what takes the whole file to check.
pub(super) fn named(ladders: Vec<(LadderId, Unnamed)>, counters: &[CounterTerms], r: &mut Reader) -> Vec<Ladder> {
    let mut named = Vec::with_capacity(ladders.len());
    for (id, unnamed) in ladders {
        let Unnamed { pos, mut ladder, multiply, further_periods, kind } = unnamed;
        ladder.id = id;
        let Some(terms) = counters.iter().find(|terms| terms.id == ladder.counter) else { continue };
        ladder.window = terms.window;
        let rolling = matches!(terms.window, CounterWindow::Days(_));
        ladder.keep.further_periods = further_periods.unwrap_or(u32::from(!rolling));
        for (level, multiply) in ladder.levels.iter_mut().zip(multiply) {
            level.multipliers =
                multiply.into_iter().map(|(unit, by)| multiplier(&ladder.id, &level.id, kind, unit, by)).collect();
        }
        r.within(Step::Key(Cow::Borrowed("tiers")), |r| {
            r.within(Step::Key(Cow::Owned(ladder.id.to_string())), |r| check_ladder(&ladder, pos, r));
        });
        named.push(ladder);
    }
    named
}

/// A level multiplies as a rule would that acts on every line; the ledger names it `<ladder>/<level>/<unit>`.
fn multiplier(ladder: &LadderId, level: &LevelId, kind: Kind, unit: UnitId, factor_permille: i64) -> Rule {
    Rule {
        id: RuleId::of_level(ladder, level, &unit),
        kind,
        on: Trigger::Order,
        conditions: Conditions::default(),
        then: Then::Multiply(Multiply { unit, factor_permille, rounding: Rounding::Floor }),
        tiers: Vec::new(),
        goals: Vec::new(),
        events: Vec::new(),
        occasion: None,
        combine: crate::domain::program::Combine::default(),
        limits: Vec::new(),
        cool_down: None,
        campaign: None,
        to: GrantTo::Account,
    }
}

fn check_ladder(ladder: &Ladder, pos: Pos, r: &mut Reader) {
    let counter = &ladder.counter;
    if matches!(ladder.window, CounterWindow::Streak { .. }) {
        let hint = "choose a counter with a window, or without one";
        r.fault(pos, format!("`{counter}` counts periods on end, which no status can last by"), Some(hint));
    }
    let period = matches!(ladder.window, CounterWindow::Calendar(_) | CounterWindow::MembershipYear);
    let next = ladder.upgrade == Upgrade::NextPeriod;
    if next && !period {
        r.fault(pos, format!("`{counter}` has no periods of which a next one could begin"), Some("upgrade: at_once"));
    }
    if next && period && ladder.keep.further_periods == 0 {
        let hint = "let `keep.further_periods` be at least 1";
        r.fault(pos, "a level that begins with the next period and lasts for none never counts", Some(hint));
    }
    use crate::domain::time::CalendarPeriod::{Month, Quarter, Year};
    let carries =
        matches!(ladder.window, CounterWindow::Calendar(Month | Quarter | Year) | CounterWindow::MembershipYear);
    if ladder.carries_surplus && !carries {
        r.fault(pos, format!("`{counter}` has no periods between which anything rolls over"), Some("rollover: false"));
    }
}

/// What goals ask of their counters.
pub(super) fn check_goals(goals: &[(Pos, Goal)], counters: &[CounterTerms], r: &mut Reader) {
    for (index, (pos, goal)) in goals.iter().enumerate() {
        let Some(terms) = counters.iter().find(|terms| terms.id == goal.counter) else { continue };
        let period = matches!(terms.window, CounterWindow::Calendar(_) | CounterWindow::MembershipYear);
        let problem = match (goal.repeat, terms.window) {
            (_, CounterWindow::Streak { .. }) if goal.repeat != Repeat::Once => {
                Some("a streak can be reached once; for more, count something else")
            }
            (Repeat::PerPeriod, _) if !period => Some("its counter has no periods: `repeat: per_period` needs some"),
            (Repeat::Every, CounterWindow::Days(_)) => {
                Some("its counter rolls: what has fallen out of it would count twice")
            }
            _ => None,
        };
        if let Some(problem) = problem {
            let goals = Step::Key(Cow::Borrowed("goals"));
            r.within(goals, |r| r.within(Step::Index(index), |r| r.fault(*pos, problem, None)));
        }
    }
}

/// Whether the levels that something names exist.
pub(super) fn check_levels(stated: &[Levels], ladders: &[Ladder], pos: Pos, r: &mut Reader) {
    for Levels { ladder, levels } in stated {
        let Some(known) = ladders.iter().find(|known| known.id == *ladder) else { continue };
        for level in levels.iter().filter(|level| known.rank(level).is_none()) {
            let names: Vec<&str> = known.levels.iter().map(|level| level.id.as_str()).collect();
            let hint = r.suggestion(level.as_str(), &names);
            r.fault(pos, format!("`{ladder}` has no level {}", quoted(level.as_str())), hint.as_deref());
        }
    }
}

/// Whether the levels exist that rules and rewards name.
pub(super) fn check_uses(
    (rules, rules_at): (&[Rule], &[Pos]),
    rewards: &[(Pos, Reward)],
    prices: &[(Pos, MemberPrice)],
    ladders: &[Ladder],
    r: &mut Reader,
) {
    for (index, (rule, pos)) in rules.iter().zip(rules_at).enumerate() {
        let names: Vec<Levels> = rule.tiers.iter().chain(&rule.conditions.tiers).cloned().collect();
        r.within(Step::Key(Cow::Borrowed("rules")), |r| {
            r.within(Step::Index(index), |r| check_levels(&names, ladders, *pos, r));
        });
    }
    for (index, (pos, reward)) in rewards.iter().enumerate() {
        r.within(Step::Key(Cow::Borrowed("rewards")), |r| {
            let by_tier = reward.tier_prices.iter().flat_map(|(levels, _)| levels);
            let names: Vec<Levels> = reward.tiers.iter().chain(by_tier).cloned().collect();
            r.within(Step::Index(index), |r| check_levels(&names, ladders, *pos, r));
        });
    }
    for (index, (pos, price)) in prices.iter().enumerate() {
        r.within(Step::Key(Cow::Borrowed("member_prices")), |r| {
            r.within(Step::Index(index), |r| check_levels(&price.tiers, ladders, *pos, r));
        });
    }
}

pub(super) type GoalNames = Distinct<GoalName, 1, GOALS_MAX>;
