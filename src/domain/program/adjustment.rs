//! What may be credited and debited by hand.

use crate::domain::command::AdjustReason;
use crate::domain::id::UnitId;
use crate::domain::time::{CalendarPeriod, Period};

/// When a credit may make up for an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecoveryTerms {
    /// From the order.
    pub within: Period,
    /// For orders, too, that were neither committed nor reserved here: those that failed before.
    pub any_order: bool,
}

/// The bounds of adjustments of one unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdjustmentTerms {
    pub unit: UnitId,
    /// Empty: any.
    pub reasons: Vec<AdjustReason>,
    /// In one adjustment, credit or debit.
    pub units_max: Option<i64>,
    /// What one agent may credit in a day of the program's calendar, over all members, by the day on which it is done.
    pub agent_day_units_max: Option<i64>,
    /// What one account may be credited in a period.
    pub member_units_max: Option<(i64, CalendarPeriod)>,
}
