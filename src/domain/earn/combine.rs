//! How rules that apply go together: groups, exclusive rules, rules that stop what comes after them.

use super::fraction::{rounded, total};
use super::{OutOfBounds, Round, RoundPer};
use crate::domain::id::{GroupId, RuleId};
use crate::domain::program::{BaseRules, GroupPick, Program, Rule, Then};

/// Why a rule whose conditions hold does not apply.
#[derive(Clone, Copy)]
pub(in crate::domain::earn) enum LeftOut<'a> {
    Stopped(&'a RuleId),
    NotFirst(&'a RuleId, &'a GroupId),
    /// Another applies alone.
    Excluded(&'a RuleId),
    /// It would apply alone, and is not.
    NotAlone(&'a RuleId),
    NotFirstBase(&'a RuleId),
}

impl LeftOut<'_> {
    pub(super) fn text(self) -> String {
        match self {
            LeftOut::Stopped(by) => format!("rule {by} stops what comes after it"),
            LeftOut::NotFirst(by, group) => format!("rule {by} is first in group {group}"),
            LeftOut::Excluded(by) => format!("rule {by} applies alone"),
            LeftOut::NotAlone(by) => format!("it applies alone, and rule {by} applies"),
            LeftOut::NotFirstBase(by) => format!("of base rates the first alone counts: rule {by}"),
        }
    }
}

fn picks(program: &Program, rule: &Rule, pick: GroupPick) -> bool {
    rule.combine.group.as_ref().and_then(|group| program.group(group)).is_some_and(|group| group.pick == pick)
}

impl<'a> Round<'a> {
    /// Why a rule does not apply next to those that do.
    pub(super) fn left_out(&self, rule: &'a Rule) -> Option<LeftOut<'a>> {
        if let Some(by) = self.stopped_by {
            return Some(LeftOut::Stopped(&by.id));
        }
        if let Some(group) = &rule.combine.group
            && picks(self.program, rule, GroupPick::First)
            && let Some(first) = self.kept.iter().find(|kept| kept.combine.group.as_ref() == Some(group))
        {
            return Some(LeftOut::NotFirst(&first.id, group));
        }
        if let Some(alone) = self.kept.iter().find(|kept| kept.combine.exclusive && kept.excludes(rule)) {
            return Some(LeftOut::Excluded(&alone.id));
        }
        if rule.combine.exclusive
            && let Some(other) = self.kept.iter().find(|kept| rule.excludes(kept))
        {
            return Some(LeftOut::NotAlone(&other.id));
        }
        if let (Then::Earn(earn), BaseRules::First) = (&rule.then, self.program.earning.base_rules) {
            let base = |kept: &&&Rule| matches!(&kept.then, Then::Earn(other) if other.unit == earn.unit);
            return self.kept.iter().find(base).map(|first| LeftOut::NotFirstBase(&first.id));
        }
        None
    }

    pub(super) fn keep(&mut self, rule: &'a Rule) {
        self.kept.push(rule);
        if rule.combine.stop {
            self.stopped_by = Some(rule);
        }
    }

    /// Of each group that picks the best, drops all rules but the one that gives most when taken by itself; the first
    /// by priority when equal.
    pub(super) fn pick_best(&mut self) -> Result<(), OutOfBounds> {
        let program = self.program;
        for group in program.groups.iter().filter(|group| group.pick == GroupPick::Best) {
            let mut standing: Vec<(u32, i64)> = Vec::new();
            let mine = |rule: &Rule| rule.combine.group.as_ref() == Some(&group.id);
            for applied in self.earns.iter().filter(|applied| mine(applied.rule) && !applied.spent) {
                let Some(per) = self.per(applied.then) else { continue };
                let each = |amount: i64| rounded(amount, applied.then.units, per, applied.then.rounding);
                let gives = match applied.then.round_per {
                    RoundPer::Line => total(&applied.amounts.iter().map(|n| each(*n)).collect::<Result<Vec<_>, _>>()?)?,
                    RoundPer::Rule | RoundPer::Order => each(total(&applied.amounts)?)?,
                };
                standing.push((applied.number, gives));
            }
            for applied in self.bonuses.iter().filter(|applied| mine(applied.rule) && !applied.spent) {
                standing.push((applied.number, total(&self.bonus_shares(applied.then, &applied.amounts)?)?));
            }
            for applied in self.multiplies.iter().filter(|applied| mine(applied.rule) && !applied.spent) {
                let acts: Vec<bool> = applied.amounts.iter().map(|amount| 0 < *amount).collect();
                let gives = self.multiplied(applied.then, &acts, None)?.added(acts.len())?.amount;
                standing.push((applied.number, gives));
            }
            let best =
                standing.iter().max_by_key(|(number, gives)| (*gives, std::cmp::Reverse(program.index.rank(*number))));
            let Some((best, gives)) = best.copied() else { continue };
            let losers: Vec<u32> =
                standing.iter().map(|(number, _)| *number).filter(|number| *number != best).collect();
            if losers.is_empty() {
                continue;
            }
            let winner = program.rules.get(best as usize).map(|rule| rule.id.to_string()).unwrap_or_default();
            let traces = self.earns.iter().map(|a| (a.number, a.trace));
            let traces = traces.chain(self.bonuses.iter().map(|a| (a.number, a.trace)));
            let traces = traces.chain(self.multiplies.iter().map(|a| (a.number, a.trace)));
            let traces: Vec<(u32, usize)> = traces.filter(|(number, _)| losers.contains(number)).collect();
            let why = format!("rule {winner} gives most in group {}: {gives}", group.id);
            traces.into_iter().for_each(|(number, trace)| self.leave_out(number, trace, &why));
            self.earns.retain(|applied| !losers.contains(&applied.number));
            self.bonuses.retain(|applied| !losers.contains(&applied.number));
            self.multiplies.retain(|applied| !losers.contains(&applied.number));
        }
        Ok(())
    }
}
