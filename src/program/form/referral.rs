//! Campaigns in which members bring friends.

use super::*;

section! {
    /// A campaign in which members (advocates) bring friends: what it takes, and what each side gets.
    CampaignSection = "referral" {
        /// Names the campaign in codes and in the ledger.
        id: Name<CampaignId>, Required;
        /// What people call it.
        title: Title, Required;
        /// Friends may be attributed from this instant on.
        starts_at: Moment, Without("since ever");
        /// Friends may be attributed until before this instant.
        ends_at: Moment, Without("for ever");
        /// Where a friend may name the code.
        attribute_at: AttributeAtWord, Default("both");
        /// The order that qualifies earns on at least this much; equal is enough.
        spend_at_least: Money, Without("any amount");
        /// From attribution to the order that qualifies.
        qualify_within: Length, Without("no limit");
        /// What the advocate gets.
        advocate: SideSection, Without("nothing");
        /// What the friend gets.
        friend: SideSection, Without("nothing");
        /// Whether a return that takes the qualifying order below the minimum takes both rewards back.
        claw_back: Flag, Default("true");
    }
}

impl Build for CampaignSection {
    type Out = Campaign;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<Campaign> {
        check_span(self.starts_at.as_ref(), self.ends_at.as_ref(), r);
        let any = || PerCurrency(r.names.currencies.iter().flatten().map(|currency| (*currency, 0)).collect());
        let spend_min = self.spend_at_least.map_or_else(any, |at| at.value);
        let (advocate, friend) = (self.advocate.map(|at| at.value), self.friend.map(|at| at.value));
        let id: CampaignId = self.id?.value;
        if advocate.is_none() && friend.is_none() {
            let message = format!("nobody gets anything in {}", quoted(id.as_str()));
            r.fault(pos, message, Some("state `advocate`, `friend` or both"));
            return None;
        }
        Some(Campaign {
            id,
            title: self.title?.value,
            starts_at: self.starts_at.map(|at| at.value),
            ends_at: self.ends_at.map(|at| at.value),
            attribute_at: self.attribute_at?.value,
            spend_min,
            qualify_within: self.qualify_within.map(|at| at.value),
            advocate,
            friend,
            claw_back: self.claw_back?.value,
        })
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
