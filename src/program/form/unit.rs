//! What is counted, and how units live.

use super::*;

/// The units by name, in the order of the file. Rules are read later and fall back to these terms.
pub(in crate::program) struct UnitList;

type UnitsByName = ByName<Name<UnitId>, UnitSection, 1, UNITS_MAX>;

impl Value for UnitList {
    type Out = Vec<UnitTerms>;

    fn read(node: &Node, r: &mut Reader) -> Option<Vec<UnitTerms>> {
        let units = UnitsByName::read(node, r)?;
        let units = units.into_iter().map(|(unit, life)| UnitTerms { unit, life }).collect::<Vec<_>>();
        r.names.lives = units.iter().map(|terms| (terms.unit.clone(), terms.life)).collect();
        Some(units)
    }

    fn phrase() -> String {
        UnitsByName::phrase()
    }

    fn schema() -> Json {
        UnitsByName::schema()
    }

    fn sections(into: &mut Vec<SectionInfo>) {
        UnitsByName::sections(into);
    }
}

section! {
    /// How units of one kind live.
    UnitSection = "unit" {
        /// When granted units become spendable, from the instant that earned them; `none`: at once.
        activates_after: LengthOrNone, Default("none");
        /// When they cease to be, from activation; `none`: never.
        expires_after: LengthOrNone, Default("none");
        /// To which boundary of the program's calendar an expiry is moved, always forward.
        expiry_rounded_to: RoundUpToWord, Default("exact");
    }
}

impl Build for UnitSection {
    type Out = LifeTerms;

    fn build(self, _: Pos, r: &mut Reader) -> Option<LifeTerms> {
        let expires_after = self.expires_after?.value;
        let rounded = self.expiry_rounded_to?;
        if expires_after.is_none() && rounded.value != crate::domain::time::RoundUpTo::Exact {
            let hint = "state `expires_after`, or leave this out";
            r.fault_at(&rounded, "there is no expiry to round", Some(hint));
            return None;
        }
        let activates_after = self.activates_after?.value;
        Some(LifeTerms { activates_after, expires_after, expiry_rounded_to: rounded.value })
    }
}

section! {
    /// Where these terms differ from those of the unit. What is not stated stays as the unit has it.
    LifeSection = "life" {
        /// When granted units become spendable, from the instant that earned them; `none`: at once.
        activates_after: LengthOrNone, Without("as the unit");
        /// When they cease to be, from activation; `none`: never.
        expires_after: LengthOrNone, Without("as the unit");
        /// To which boundary of the program's calendar an expiry is moved, always forward.
        expiry_rounded_to: RoundUpToWord, Without("as the unit");
    }
}

impl Build for LifeSection {
    type Out = LifeSection;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<LifeSection> {
        if self.activates_after.is_none() && self.expires_after.is_none() && self.expiry_rounded_to.is_none() {
            r.fault(pos, "states nothing of its own", Some("leave it out"));
            return None;
        }
        Some(self)
    }
}

/// The unit's terms with what a rule states of its own.
pub(super) fn life_of(unit: &UnitId, stated: Option<At<LifeSection>>, r: &Reader) -> Option<LifeTerms> {
    let stated = stated?.value;
    let base = r.names.lives.get(unit).copied().unwrap_or_default();
    Some(LifeTerms {
        activates_after: stated.activates_after.map_or(base.activates_after, |at| at.value),
        expires_after: stated.expires_after.map_or(base.expires_after, |at| at.value),
        expiry_rounded_to: stated.expiry_rounded_to.map_or(base.expiry_rounded_to, |at| at.value),
    })
}

/// The unit stated, else the program's first.
pub(super) fn unit_of(stated: Option<At<UnitId>>, r: &Reader) -> Option<UnitId> {
    stated.map(|at| at.value).or_else(|| r.names.units.first().cloned())
}
