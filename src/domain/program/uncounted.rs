//! Which counters must not see what rules on tiers and goals grant: those that lead to the same tier or goal, by
//! whatever way round.

use super::{CounterTerms, Counts, Goal, Ladder, Rule, Then, Trigger};
use crate::domain::id::{CounterId, GoalId, LadderId, RuleId, UnitId};

/// Something that counters lead to and that rules act on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark<'a> {
    Ladder(&'a LadderId),
    Goal(&'a GoalId),
}

struct Marks<'a> {
    rules: &'a [Rule],
    counters: &'a [CounterTerms],
    /// With each counter that leads to it.
    all: Vec<(Mark<'a>, &'a CounterId)>,
}

/// By rule, the counters in which what it grants does not count.
pub fn uncounted(
    rules: &[Rule],
    counters: &[CounterTerms],
    ladders: &[Ladder],
    goals: &[Goal],
) -> Vec<(RuleId, Vec<CounterId>)> {
    let mut all = Vec::new();
    for ladder in ladders {
        let for_life = ladder.levels.iter().filter_map(|level| level.for_life.as_ref()).map(|(counter, _)| counter);
        all.extend(std::iter::once(&ladder.counter).chain(for_life).map(|counter| (Mark::Ladder(&ladder.id), counter)));
    }
    all.extend(goals.iter().map(|goal| (Mark::Goal(&goal.id), &goal.counter)));
    let marks = Marks { rules, counters, all };
    let mut found = Vec::new();
    for rule in rules {
        let Some(unit) = granted(rule) else { continue };
        let own: Vec<Mark<'_>> = marks.acted_on(rule);
        let leads_back =
            |counter: &&CounterTerms| marks.reached_from(&counter.id).iter().any(|mark| own.contains(mark));
        let counting = counters.iter().filter(|counter| counts(counter, unit));
        let out: Vec<CounterId> = counting.filter(leads_back).map(|counter| counter.id.clone()).collect();
        if !out.is_empty() {
            found.push((rule.id.clone(), out));
        }
    }
    found
}

fn counts(counter: &CounterTerms, unit: &UnitId) -> bool {
    matches!(&counter.counts, Counts::Units(of) if of == unit)
}

/// What a rule on a tier or a goal grants.
fn granted(rule: &Rule) -> Option<&UnitId> {
    match (&rule.then, rule.on) {
        (Then::Bonus(bonus), Trigger::Tier | Trigger::Goal) => Some(&bonus.unit),
        _ => None,
    }
}

impl<'a> Marks<'a> {
    fn acted_on(&self, rule: &Rule) -> Vec<Mark<'a>> {
        let named = |mark: &Mark<'_>| match (mark, rule.on) {
            (Mark::Ladder(id), Trigger::Tier) => {
                rule.tiers.is_empty() || rule.tiers.iter().any(|levels| levels.ladder == **id)
            }
            (Mark::Goal(id), Trigger::Goal) => rule.goals.is_empty() || rule.goals.contains(id),
            _ => false,
        };
        self.all.iter().map(|(mark, _)| *mark).filter(named).collect()
    }

    /// Everything that a counter leads to: its own tiers and goals, and those that what they grant leads to.
    fn reached_from(&self, counter: &CounterId) -> Vec<Mark<'a>> {
        let mut reached: Vec<Mark<'a>> = Vec::new();
        let mut open: Vec<&CounterId> = vec![counter];
        // Each round adds a tier or a goal, of which there are few.
        while let Some(counter) = open.pop() {
            for (mark, _) in self.all.iter().filter(|(_, by)| *by == counter) {
                if reached.contains(mark) {
                    continue;
                }
                reached.push(*mark);
                let rules = self.rules.iter().filter(|rule| self.acted_on(rule).contains(mark));
                for unit in rules.filter_map(granted) {
                    open.extend(
                        self.counters.iter().filter(|counter| counts(counter, unit)).map(|counter| &counter.id),
                    );
                }
            }
        }
        reached
    }
}
