//! What may be known of members, accounts that they share, and what they may give each other.

use serde_json::json;

use super::*;
use crate::domain::account::Role;
use crate::domain::program::{AccountTerms, AttributeType, RoleTerms, TransferFee, TransferTerms};

words!(AttributeTypeWord -> AttributeType {
    "int" => AttributeType::Int, "a whole number";
    "bool" => AttributeType::Bool, "true or false";
    "text" => AttributeType::Text, "text of up to 256 bytes";
});

/// As [`AttributeTypeWord`] reads it, without reporting.
pub(in crate::program) fn attribute_type(word: &str) -> Option<AttributeType> {
    match word {
        "int" => Some(AttributeType::Int),
        "bool" => Some(AttributeType::Bool),
        "text" => Some(AttributeType::Text),
        _ => None,
    }
}

section! {
    /// Households and companies: accounts that several members share. And how members are merged.
    AccountsSection = "accounts" {
        /// The most members of one account.
        members_max: Whole<2, 100>, Default("10");
        /// How long after a merge it can be undone.
        merge_undo_within: Length, Default("30 days");
        /// What each role may do in a shared account. In an account of their own members may do everything.
        roles: RolesSection, Default("{}");
    }
}

impl Build for AccountsSection {
    type Out = AccountTerms;

    fn build(self, _: Pos, _: &mut Reader) -> Option<AccountTerms> {
        let [owner, admin, member, earner] = self.roles?.value;
        Some(AccountTerms {
            members_max: self.members_max?.value,
            merge_undo_within: self.merge_undo_within?.value,
            owner,
            admin,
            member,
            earner,
        })
    }
}

section! {
    /// What each role may do in a shared account.
    RolesSection = "roles" {
        /// Also sets the roles of others.
        owner: RoleSection, Without("everything");
        /// A second pair of hands.
        admin: RoleSection, Without("everything");
        /// An ordinary member of the household.
        member: RoleSection, Without("may redeem");
        /// A member who earns for the others: a child, an employee.
        earner: RoleSection, Without("may do none of it");
    }
}

impl Build for RolesSection {
    type Out = [RoleTerms; 4];

    fn build(self, _: Pos, _: &mut Reader) -> Option<[RoleTerms; 4]> {
        let terms = |stated: Option<At<StatedRole>>, role: Role| {
            let (redeem, rest) = (role <= Role::Member, role <= Role::Admin);
            let stated = stated.map(|at| at.value).unwrap_or_default();
            RoleTerms {
                redeem: stated.redeem.unwrap_or(redeem),
                transfer: stated.transfer.unwrap_or(rest),
                invite: stated.invite.unwrap_or(rest),
                redeem_per_day_max: stated.redeem_per_day_max.into_iter().collect(),
            }
        };
        Some([
            terms(self.owner, Role::Owner),
            terms(self.admin, Role::Admin),
            terms(self.member, Role::Member),
            terms(self.earner, Role::Earner),
        ])
    }
}

/// What the file says of a role; the rest is as the role has it.
#[derive(Default)]
pub(in crate::program) struct StatedRole {
    redeem: Option<bool>,
    transfer: Option<bool>,
    invite: Option<bool>,
    redeem_per_day_max: Vec<(UnitId, i64)>,
}

section! {
    /// What a role may do.
    RoleSection = "role" {
        /// Whether it may use units and rewards of the account on orders.
        redeem: Flag, Without("`true` but for earners");
        /// Whether it may give units of the account to others.
        transfer: Flag, Without("`true` for owners and admins");
        /// Whether it may bring in others, in no higher a role than its own.
        invite: Flag, Without("`true` for owners and admins");
        /// The most units that each person of the role may use on orders in a day of the program's calendar, by unit.
        redeem_per_day_max: ByName<UnitName, Units, 1, UNITS_MAX>, Without("any number");
    }
}

impl Build for RoleSection {
    type Out = StatedRole;

    fn build(self, _: Pos, _: &mut Reader) -> Option<StatedRole> {
        Some(StatedRole {
            redeem: self.redeem.map(|at| at.value),
            transfer: self.transfer.map(|at| at.value),
            invite: self.invite.map(|at| at.value),
            redeem_per_day_max: self.redeem_per_day_max.map(|at| at.value).unwrap_or_default(),
        })
    }
}

section! {
    /// How members may give units of one kind to each other.
    TransferSection = "transfer" {
        /// The fewest at once.
        units_min: Units, Default("1");
        /// The most at once.
        units_max: Units, Without("any number");
        /// The most transfers of an account in a day of the program's calendar.
        per_day_max: Whole<1, 1_000>, Default("10");
        /// What the giver pays on top.
        fee: FeeChoice, Without("nothing");
        /// When the units expire.
        expiry: ExpiryWord, Default("kept");
    }
}

impl Build for TransferSection {
    type Out = TransferTerms;

    fn build(self, _: Pos, r: &mut Reader) -> Option<TransferTerms> {
        let units_min = self.units_min?.value;
        if let Some(units_max) = &self.units_max
            && units_max.value < units_min
        {
            r.fault_at(units_max, format!("is less than `units_min`, {units_min}"), None);
            return None;
        }
        Some(TransferTerms {
            units_min,
            units_max: self.units_max.map_or(super::super::value::AMOUNT_MAX, |at| at.value),
            per_day_max: self.per_day_max?.value,
            fee: self.fee.map_or(TransferFee::None, |at| at.value),
            keeps_expiry: self.expiry?.value,
        })
    }
}

words!(ExpiryWord -> bool {
    "kept" => true, "as they did before";
    "reset" => false, "as if granted at the transfer";
});

choice! {
    /// What the giver pays on top of what is transferred: exactly one of these.
    FeeChoice = "fee" -> TransferFee {
        /// So many units.
        units: Units => TransferFee::Units;
        /// A share of what is transferred.
        share: FeeShareSection => (|(bps, rounding)| TransferFee::Share(bps, rounding));
    }
}

section! {
    /// A share of what is transferred.
    FeeShareSection = "fee share" {
        /// How much of it.
        of: Share, Required;
        /// Where fractions go.
        rounding: RoundingWord, Default("floor");
    }
}

impl Build for FeeShareSection {
    type Out = (i64, crate::domain::money::Rounding);

    fn build(self, _: Pos, _: &mut Reader) -> Option<(i64, crate::domain::money::Rounding)> {
        Some((self.of?.value, self.rounding?.value))
    }
}
