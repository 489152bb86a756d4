//! What a partner's account is paid out.

use serde::{Deserialize, Serialize};

use super::{AccountState, ApplyError};
use crate::domain::id::{Label, PayoutId, UnitId};
use crate::domain::ledger::{Entry, Fact, Part, sum};
use crate::domain::order::Currency;
use crate::domain::time::Instant;

/// A sum that is paid out, or was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Payout {
    pub payout: PayoutId,
    /// 1, 2, 3, ... within the account.
    pub number: u32,
    pub unit: UnitId,
    /// One unit is one minor unit of it.
    pub currency: Currency,
    /// Above zero.
    pub amount: i64,
    pub state: PayoutState,
    pub prepared_at: Instant,
    /// When it was paid, or failed.
    pub settled_at: Option<Instant>,
    /// What it is called where it was paid.
    pub reference: Option<Label>,
    /// The lots that it was taken from; empty once settled.
    pub parts: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PayoutState {
    Prepared,
    Paid,
    /// It did not arrive: the units are back.
    Failed,
}

impl AccountState {
    /// Payouts that an account lists; beyond these the earliest settled one is forgotten, but for its entries.
    pub const PAYOUTS_MAX: usize = 120;

    pub fn payout(&self, id: &PayoutId) -> Option<&Payout> {
        self.payouts.iter().find(|payout| payout.payout == *id)
    }

    /// The payout of a unit that is not settled.
    pub fn payout_open(&self, unit: &UnitId) -> Option<&Payout> {
        self.payouts.iter().find(|payout| payout.unit == *unit && payout.state == PayoutState::Prepared)
    }

    pub(super) fn apply_payout(&mut self, entry: &Entry) -> Result<(), ApplyError> {
        match &entry.fact {
            Fact::PayoutPrepared { payout, number, unit, currency, parts } => {
                let book = self.unit(unit);
                parts.iter().try_for_each(|part| book.take(part.dates, part.amount))?;
                self.payouts.push(Payout {
                    payout: payout.clone(),
                    number: *number,
                    unit: unit.clone(),
                    currency: *currency,
                    amount: sum(parts).ok_or(ApplyError::Overflow)?,
                    state: PayoutState::Prepared,
                    prepared_at: entry.effective_at,
                    settled_at: None,
                    reference: None,
                    parts: parts.clone(),
                });
                if AccountState::PAYOUTS_MAX < self.payouts.len() {
                    let settled = self.payouts.iter().position(|known| known.state != PayoutState::Prepared);
                    self.payouts.remove(settled.ok_or(ApplyError::TooLarge)?);
                }
            }
            Fact::PayoutSettled { payout, unit, back, reference, .. } => {
                if let Some((parts, _)) = back {
                    let book = self.unit(unit);
                    parts
                        .iter()
                        .try_for_each(|part| book.put(part.dates.lot_at(entry.posted_at), part.amount, true))?;
                }
                let known = self.payouts.iter_mut().find(|known| known.payout == *payout);
                let known = known.ok_or(ApplyError::Inconsistent("there is no such payout"))?;
                known.state = if back.is_some() { PayoutState::Failed } else { PayoutState::Paid };
                known.settled_at = Some(entry.effective_at);
                known.reference = reference.clone();
                known.parts.clear();
            }
            _ => return Err(ApplyError::Inconsistent("a fact that is not about a payout")),
        }
        Ok(())
    }
}
