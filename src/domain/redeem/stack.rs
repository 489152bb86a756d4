//! How rewards go together: in which order they act, and which of them keep each other out.

use super::Purse;
use crate::domain::answer::{Reason, Refusal, Subject};
use crate::domain::command::Redeem;
use crate::domain::id::{Label, RewardId, VoucherId};
use crate::domain::program::{ApplyOrder, Program, Reward, RewardSort};

/// One reward that is asked for.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    Voucher(&'a VoucherId),
    Reward(&'a RewardId),
}

impl Asked<'_> {
    pub(super) fn subject(self) -> Subject {
        match self {
            Asked::Voucher(id) => Subject::Voucher(id.clone()),
            Asked::Reward(id) => Subject::Reward(id.clone()),
        }
    }
}

/// What is asked for, in the order in which it acts.
pub(super) fn in_order<'a>(program: &Program, redeem: &'a Redeem, purse: &dyn Purse) -> Vec<Asked<'a>> {
    let vouchers = redeem.vouchers.iter().map(Asked::Voucher);
    let mut asked: Vec<Asked<'a>> = vouchers.chain(redeem.rewards.iter().map(Asked::Reward)).collect();
    if program.redemption.apply == ApplyOrder::Listed {
        let place = |reward: &RewardId| program.rewards.iter().position(|known| known.id == *reward);
        // What the program no longer lists comes last, and so does what is refused anyway.
        asked.sort_by_cached_key(|asked| {
            let place = match asked {
                Asked::Reward(id) => place(id),
                Asked::Voucher(id) => purse.voucher(id).ok().and_then(|reward| place(&reward.id)),
            };
            place.unwrap_or(usize::MAX)
        });
    }
    asked
}

/// What stands on the order so far.
#[derive(Default)]
pub(super) struct Stack {
    sorts: Vec<RewardSort>,
    groups: Vec<Label>,
    alone: bool,
    without_units: bool,
    /// Whether units have paid of the order before.
    pub(super) units_paid: bool,
}

impl Stack {
    /// Why a reward does not go with what stands already: the first that came stands.
    pub(super) fn check(
        &self,
        program: &Program,
        reward: &Reward,
        subject: impl Fn() -> Subject,
    ) -> Result<(), Refusal> {
        if self.alone || (reward.alone && !self.sorts.is_empty()) {
            return Err(Refusal::new(subject(), Reason::NotWithOthers));
        }
        if self.units_paid && !reward.with_units {
            return Err(Refusal::new(subject(), Reason::NotWithUnits));
        }
        if reward.group.as_ref().is_some_and(|group| self.groups.contains(group)) {
            return Err(Refusal::new(subject(), Reason::GroupTaken));
        }
        let count = |sorts: usize| i64::try_from(sorts).unwrap_or(i64::MAX);
        let all = count(self.sorts.len());
        if let Some(most) = program.redemption.rewards_max.filter(|most| *most <= all) {
            return Err(Refusal::short(subject(), Reason::TooManyRewards, all.saturating_add(1), most));
        }
        let sort = reward.kind.sort();
        let bound = program.redemption.sorts_max.iter().find(|(of, _)| *of == sort);
        let alike = count(self.sorts.iter().filter(|known| **known == sort).count());
        if let Some((_, most)) = bound.filter(|(_, most)| *most <= alike) {
            return Err(Refusal::short(subject(), Reason::TooManyOfKind, alike.saturating_add(1), *most));
        }
        Ok(())
    }

    pub(super) fn add(&mut self, reward: &Reward) {
        self.sorts.push(reward.kind.sort());
        self.groups.extend(reward.group.clone());
        self.alone |= reward.alone;
        self.without_units |= !reward.with_units;
    }

    pub(super) fn allows_units(&self) -> bool {
        !self.without_units
    }
}
