//! Touches of codes: which are kept, for how long they count, and who has the credit.

use serde_json::json;

use super::*;
use crate::domain::program::{CreditTerms, TouchTerms, TouchWindow};
use crate::domain::referral::credit::CreditModel;
use crate::domain::referral::touch::{TouchKind, VisitorState};

const BOTS_MAX: usize = 100;
const KINDS_MAX: usize = 3;
const CHANNELS_MAX: usize = 50;
const MODELS_MAX: usize = 5;
const HOUR_S: i64 = 3_600;

section! {
    /// Which touches of codes are kept. Those that machines make, and floods of one visitor, are counted and dropped.
    TouchesSection = "touches" {
        /// Parts of the user agents of machines, besides those that are known anyway. Case does not count.
        bots: Distinct<LabelText, 0, BOTS_MAX>, Default("[]");
        /// How many touches of one visitor are kept in `within`.
        per_visitor_max: Whole<1, { VisitorState::TOUCHES_MAX as i64 }>, Default("30");
        /// How many of one visitor by one code.
        per_code_max: Whole<1, { VisitorState::TOUCHES_MAX as i64 }>, Default("10");
        /// In what time.
        within: Stopwatch<1, { DAY_S }>, Default("1 hour");
    }
}

impl Build for TouchesSection {
    type Out = TouchTerms;

    fn build(self, _: Pos, _: &mut Reader) -> Option<TouchTerms> {
        let bots = self.bots?.value.iter().map(|bot| bot.as_str().to_lowercase()).collect();
        Some(TouchTerms {
            bots,
            per_visitor_max: self.per_visitor_max?.value,
            per_code_max: self.per_code_max?.value,
            within_s: self.within?.value,
        })
    }
}

words!(TouchKindWord -> TouchKind {
    "click" => TouchKind::Click, "a link was followed";
    "scan" => TouchKind::Scan, "a code was scanned";
    "invite" => TouchKind::Invite, "an invitation was sent or opened";
});

section! {
    /// For how long touches of some kinds and channels count. At the instant at which a time ends it is over.
    WindowSection = "window" {
        /// Of which kinds.
        kinds: Distinct<TouchKindWord, 1, KINDS_MAX>, Without("of every kind but `share`, which brings nobody");
        /// In which channels.
        channels: Distinct<LabelText, 1, CHANNELS_MAX>, Without("in any channel, and in none");
        /// From the touch until the friend signs up.
        sign_up_within: Length, Required;
        /// From sign-up to what qualifies, in place of `qualify_within`. A touch that comes after sign-up counts from the
        /// touch.
        purchase_within: Length, Without("as `qualify_within` says, from the attribution");
    }
}

impl Build for WindowSection {
    type Out = TouchWindow;

    fn build(self, _: Pos, _: &mut Reader) -> Option<TouchWindow> {
        Some(TouchWindow {
            kinds: self.kinds.map_or_else(Vec::new, |at| at.value),
            channels: self.channels.map_or_else(Vec::new, |at| at.value),
            sign_up_within: self.sign_up_within?.value,
            purchase_within: self.purchase_within.map(|at| at.value),
        })
    }
}

/// The windows of a campaign that states none.
pub(super) fn windows_default() -> Vec<TouchWindow> {
    let (kinds, channels, sign_up_within) = (Vec::new(), Vec::new(), Period::Days(30));
    vec![TouchWindow { kinds, channels, sign_up_within, purchase_within: None }]
}

/// A model by name, before its numbers are known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::program) enum Named {
    First,
    Last,
    Linear,
    Position,
    Decay,
}

words!(ModelWord -> Named {
    "first" => Named::First, "the first touch has all of it";
    "last" => Named::Last, "the last touch has all of it";
    "linear" => Named::Linear, "each touch has as much";
    "position" => Named::Position, "the first and the last have their parts, those between share the rest";
    "decay" => Named::Decay, "a touch that is older by `half_life` has half as much";
});

section! {
    /// How the credit for a friend is shared between the touches that count, the latest 20 at most. Their advocates
    /// share the reward and the commission, to the unit; the friend is counted for the one who has most of it, of equal ones
    /// the latest, and only what that one gets goes on to further generations.
    CreditSection = "credit" {
        /// By which model.
        model: ModelWord, Default("last");
        /// What else is worked out, to be compared in explanations.
        shadow: Distinct<ModelWord, 0, MODELS_MAX>, Default("[]");
        /// With `position`: the part of the first touch.
        first: Share, Default("40%");
        /// With `position`: the part of the last touch.
        last: Share, Default("40%");
        /// With `decay`.
        half_life: Stopwatch<{ HOUR_S }, { 366 * DAY_S }>, Default("7 days");
    }
}

impl Build for CreditSection {
    type Out = CreditTerms;

    fn build(self, _: Pos, r: &mut Reader) -> Option<CreditTerms> {
        let (first, last) = (self.first?, self.last?);
        if 10_000 < first.value + last.value {
            r.fault_at(&last, "the first and the last have more than all of it", None);
            return None;
        }
        let half_life_ms = self.half_life?.value * SECOND_MS;
        let (first_bps, last_bps) = (first.value, last.value);
        let model = |named: Named| match named {
            Named::First => CreditModel::First,
            Named::Last => CreditModel::Last,
            Named::Linear => CreditModel::Linear,
            Named::Position => CreditModel::Position { first_bps, last_bps },
            Named::Decay => CreditModel::Decay { half_life_ms },
        };
        let (in_force, shadow) = (self.model?, self.shadow?);
        if shadow.value.contains(&in_force.value) {
            r.fault_at(&shadow, "holds the model that is in force", Some("leave it out: it is told anyway"));
            return None;
        }
        Some(CreditTerms { model: model(in_force.value), shadow: shadow.value.into_iter().map(model).collect() })
    }
}
