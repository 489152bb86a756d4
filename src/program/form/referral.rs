//! Campaigns in which members bring friends.

use serde_json::json;

use super::fraud::FraudSection;
use super::touch::{CreditSection, WindowSection};
use super::*;
use crate::domain::account::AccountState;
use crate::domain::program::{Cap, CapPer, CodeTerms, Commission, Milestone, Qualify};
use crate::domain::referral::code::Pattern;
use crate::domain::time::CalendarPeriod;
use crate::program::value::{CapOfWord, PatternText};

/// Limits of one campaign, milestones, generations.
const CAPS_MAX: usize = 5;
const MILESTONES_MAX: usize = 10;
const GENERATIONS_MAX: usize = 8;
const WINDOWS_MAX: usize = 20;

section! {
    /// A campaign in which members (advocates) bring friends: what it takes, and what each side gets. The terms of the
    /// day on which the friend came hold for that friend for good.
    CampaignSection = "referral" {
        /// Names the campaign in codes and in the ledger.
        id: Name<CampaignId>, Required;
        /// What people call it.
        title: Title, Required;
        /// Friends may be attributed from this instant on.
        starts_at: Moment, Without("since ever");
        /// Friends may be attributed until before this instant.
        ends_at: Moment, Without("for ever");
        /// What its codes are like.
        codes: CodesSection, Default("{}");
        /// Where a friend may name the code. A code named at checkout takes the place of one named at sign-up, as long as
        /// nothing has come of that.
        attribute_at: AttributeAtWord, Default("both");
        /// Who has ordered before is taken for new again when their latest order is at least so long ago.
        new_after: Length, Without("who has ever ordered is not new");
        /// What makes a friend count.
        qualify: QualifySection, Without("one order");
        /// What an order that counts earns on at least, after all discounts; with `qualify: {spend: true}`, what all
        /// orders earn on together. Equal is enough.
        spend_at_least: Money, Without("any amount");
        /// From attribution to what qualifies.
        qualify_within: Length, Without("no limit");
        /// What the advocate gets.
        advocate: SideSection, Without("nothing");
        /// What the friend gets.
        friend: SideSection, Without("nothing");
        /// What the advocate gets of the friend's orders, from the one that qualifies on.
        commission: CommissionSection, Without("nothing");
        /// From which friend on the advocate's reward is how many times as much. Friends who qualified and still count
        /// are counted, each once; one who is taken back leaves the rewards of the others as they are.
        milestones: Items<MilestoneSection, 0, MILESTONES_MAX>, Default("[]");
        /// What of the advocate's reward and commission, before milestones, goes to whoever brought the advocate, to
        /// whoever brought that one, and so on. None is more than the one before.
        generations: Items<Share, 0, GENERATIONS_MAX>, Default("[]");
        /// From what earns a reward until it may be spent, rounded up to the next midnight of the program's zone: the time
        /// in which goods may come back. Until then it is pending.
        hold: Length, Without("it may be spent at once");
        /// What one advocate may get. What goes beyond is left out.
        caps: Items<CapSection, 0, CAPS_MAX>, Default("[]");
        /// Units of both sides' rewards together, for all friends. A friend whose rewards it does not cover brings nothing.
        budget: Units, Without("no limit");
        /// Whether it is for partners: only accounts of that kind have its codes, and what it brings them is money that is
        /// paid out. It accrues beside each friend, falls due as a day begins by the program's calendar, and reaches the
        /// partner in one sum a day for all friends of a partition: a partner may have any number of friends.
        partners: Flag, Default("false");
        /// Whether a return after which the terms are no longer met takes both rewards back. Commission goes back with
        /// the order in any case. As long as what is kept of other orders meets the terms, nothing is taken back; what is
        /// rejected so never qualifies again.
        claw_back: Flag, Default("true");
        /// For how long touches count for friends who name no code. Of several windows the first that takes the kind and the
        /// channel of a touch is its own; a touch that none takes brings nobody.
        windows: Items<WindowSection, 1, WINDOWS_MAX>, Without("one of 30 days to sign-up, for every kind and channel");
        /// Who has the credit for a friend whom several touches may have brought. A code that is named has all of it.
        credit: CreditSection, Default("{}");
        /// What makes a referral suspicious, and what follows.
        fraud: FraudSection, Default("{}");
    }
}

impl Build for CampaignSection {
    type Out = Campaign;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<Campaign> {
        check_span(self.starts_at.as_ref(), self.ends_at.as_ref(), r);
        let any = || PerCurrency(r.names.currencies.iter().flatten().map(|currency| (*currency, 0)).collect());
        let spend_min = self.spend_at_least.map_or_else(any, |at| at.value);
        let (advocate, friend) = (self.advocate.map(|at| at.value), self.friend.map(|at| at.value));
        let commission = self.commission.map(|at| at.value);
        let id: CampaignId = self.id?.value;
        if advocate.is_none() && friend.is_none() && commission.is_none() {
            let message = format!("nobody gets anything in {}", quoted(id.as_str()));
            r.fault(pos, message, Some("state `advocate`, `friend`, `commission` or several"));
            return None;
        }
        let (milestones, generations) = (self.milestones?, self.generations?);
        if milestones.value.windows(2).any(|pair| matches!(pair, [a, b] if b.from <= a.from)) {
            r.fault_at(&milestones, "milestones must ascend", None);
        }
        if generations.value.windows(2).any(|pair| matches!(pair, [a, b] if a < b)) {
            r.fault_at(&generations, "a later generation gets more than the one before", None);
        }
        if !milestones.value.is_empty() && advocate.is_none() {
            r.fault_at(&milestones, "there is no reward of an advocate to multiply", Some("state `advocate`"));
        }
        let partners = self.partners?;
        let caps = self.caps?;
        if partners.value {
            let hint = Some("leave it out, or `partners`");
            let a_friend = "a partner's account does not know its friends one by one";
            if !milestones.value.is_empty() {
                r.fault_at(&milestones, format!("{a_friend}: there are no milestones"), hint);
            }
            if !generations.value.is_empty() {
                r.fault_at(&generations, format!("{a_friend}: nobody else gets a share"), hint);
            }
            if !caps.value.is_empty() {
                r.fault_at(&caps, format!("{a_friend}: there are no caps"), hint);
            }
            let sides = [advocate.as_ref().map(|side| &side.unit), commission.as_ref().map(|of| &of.unit)];
            for unit in sides.into_iter().flatten() {
                if !r.names.paid_out.contains(unit) {
                    let message = format!("{} is not paid out, and partners are paid in money", quoted(unit.as_str()));
                    r.fault_at(&partners, message, Some("state `paid_out` for the unit, or name another"));
                }
            }
        }
        Some(Campaign {
            id,
            title: self.title?.value,
            starts_at: self.starts_at.map(|at| at.value),
            ends_at: self.ends_at.map(|at| at.value),
            codes: self.codes?.value,
            attribute_at: self.attribute_at?.value,
            new_after: self.new_after.map(|at| at.value),
            qualify: self.qualify.map_or(Qualify::Orders(1), |at| at.value),
            spend_min,
            qualify_within: self.qualify_within.map(|at| at.value),
            advocate,
            friend,
            commission,
            milestones: milestones.value,
            generations: generations.value,
            hold: self.hold.map(|at| at.value),
            caps: caps.value,
            budget: self.budget.map(|at| at.value),
            for_partners: partners.value,
            claw_back: self.claw_back?.value,
            windows: self.windows.map_or_else(touch::windows_default, |at| at.value),
            credit: self.credit?.value,
            fraud: self.fraud?.value,
        })
    }
}

section! {
    /// The codes of a campaign. However somebody writes a code, case and separators do not count, and O, I and L are read
    /// as 0, 1 and 1.
    CodesSection = "referral codes" {
        /// How codes look that are made: `#` stands for a digit or letter of Crockford's base 32, `?` at its end for the check
        /// character, anything else for itself.
        pattern: PatternText, Without("`\"#######?\"`, seven characters and a check character");
        /// Whether advocates may wish for a code of their own.
        vanity: Flag, Default("true");
        /// How many one advocate may have.
        per_member_max: Whole<1, { AccountState::CODES_MAX as i64 }>, Default("20");
        /// How many friends one code may bring.
        uses_max: Units, Without("any number");
        /// For how long a code is good.
        valid_for: Length, Without("for ever");
    }
}

impl Build for CodesSection {
    type Out = CodeTerms;

    fn build(self, _: Pos, _: &mut Reader) -> Option<CodeTerms> {
        Some(CodeTerms {
            pattern: self.pattern.map_or_else(Pattern::default, |at| at.value),
            vanity: self.vanity?.value,
            per_member_max: usize::try_from(self.per_member_max?.value).unwrap_or(AccountState::CODES_MAX),
            uses_max: self.uses_max.map(|at| at.value),
            valid_for: self.valid_for.map(|at| at.value),
        })
    }
}

words!(TrueWord -> bool {
    "true" => true, "so it is";
});

choice! {
    /// What makes a friend count.
    QualifySection = "qualify" -> Qualify {
        /// That they came: being attributed is enough.
        sign_up: TrueWord => |_| Qualify::SignUp;
        /// So many orders, each of which earns on `spend_at_least`.
        orders: Whole<1, 100> => Qualify::Orders;
        /// That all their orders together earn on `spend_at_least`, in the program's first currency.
        spend: TrueWord => |_| Qualify::Spend;
        /// An event of this type.
        event: EventName => Qualify::Event;
    }
}

section! {
    /// What one side of a referral gets.
    SideSection = "side" {
        /// How many.
        units: Units, Required;
        /// Of what.
        unit: UnitName, Without("the program's first unit");
        /// Terms that differ from the unit's.
        life: LifeSection, Without("as the unit");
    }
}

impl Build for SideSection {
    type Out = SideReward;

    fn build(self, _: Pos, r: &mut Reader) -> Option<SideReward> {
        let unit = unit_of(self.unit, r)?;
        let life = life_of(&unit, self.life, r);
        Some(SideReward { unit, units: self.units?.value, life })
    }
}

section! {
    /// A part of each order. It falls on the lines of the order, and goes back with them.
    CommissionSection = "commission" {
        /// Of what the order earns on, in minor units of the program's first currency: one unit each, rounded down.
        percent: Share, Required;
        /// Of what.
        unit: UnitName, Without("the program's first unit");
        /// For how many orders of a friend.
        orders_max: Units, Without("any number");
        /// For how long from attribution.
        within: Length, Without("for ever");
        /// How many units for one friend in all.
        units_max: Units, Without("any number");
        /// Terms that differ from the unit's.
        life: LifeSection, Without("as the unit");
    }
}

impl Build for CommissionSection {
    type Out = Commission;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Commission> {
        let unit = unit_of(self.unit, r)?;
        let life = life_of(&unit, self.life, r);
        Some(Commission {
            unit,
            bps: self.percent?.value,
            orders_max: self.orders_max.map(|at| at.value),
            within: self.within.map(|at| at.value),
            units_max: self.units_max.map(|at| at.value),
            life,
        })
    }
}

section! {
    /// From which friend on the reward is multiplied.
    MilestoneSection = "milestone" {
        /// The number of the friend.
        from: Units, Required;
        /// By how much.
        times: Whole<2, 100>, Required;
    }
}

impl Build for MilestoneSection {
    type Out = Milestone;

    fn build(self, _: Pos, _: &mut Reader) -> Option<Milestone> {
        Some(Milestone { from: self.from?.value, times: self.times?.value })
    }
}

words!(CapPerWord -> Option<CalendarPeriod> {
    "ever" => None, "as long as the campaign lasts";
    "day" => Some(CalendarPeriod::Day), "in a day of the program's calendar";
    "week" => Some(CalendarPeriod::Week), "in a week from Monday";
    "month" => Some(CalendarPeriod::Month), "in a calendar month";
    "quarter" => Some(CalendarPeriod::Quarter), "in a calendar quarter";
    "year" => Some(CalendarPeriod::Year), "in a year, from `year_from` on";
});

section! {
    /// What one advocate may get of the campaign.
    CapSection = "cap" {
        /// Of what.
        counts: CapOfWord, Required;
        /// How many.
        most: Units, Required;
        /// In what time. A reward counts on the day on which it was earned.
        per: CapPerWord, Required;
        /// With `per: year`: the day on which the year begins, such as `04-06` for a tax year.
        year_from: MonthDayText, Without("1 January");
    }
}

impl Build for CapSection {
    type Out = Cap;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Cap> {
        let per = self.per?.value;
        let per = match (per, &self.year_from) {
            (Some(CalendarPeriod::Year), Some(from)) => CapPer::YearFrom(from.value),
            (_, Some(from)) => {
                r.fault_at(from, "only a year begins on a day of its own", Some("add `per: year`, or remove it"));
                return None;
            }
            (None, None) => CapPer::Ever,
            (Some(period), None) => CapPer::Calendar(period),
        };
        Some(Cap { counts: self.counts?.value, most: self.most?.value, per })
    }
}
