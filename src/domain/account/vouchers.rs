//! Vouchers: rewards that an account owns.

use serde::{Deserialize, Serialize};

use super::{AccountState, ApplyError};
use crate::domain::command::Redeem;
use crate::domain::id::{GrantId, OrderId, RewardId, VoucherId};
use crate::domain::ledger::UnitParts;
use crate::domain::stock::StockItem;
use crate::domain::time::{DAY_MS, Day, Instant};

/// `ISSUED -> HELD -> USED | EXPIRED | CANCELLED`; back to `ISSUED` on release and, by policy, on return.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum VoucherState {
    Issued,
    /// Set aside for an order.
    Held,
    Used,
    Expired,
    /// StockItem back before it was used.
    Cancelled,
}

impl VoucherState {
    pub fn is_open(self) -> bool {
        matches!(self, VoucherState::Issued | VoucherState::Held)
    }
}

/// A reward that the account owns.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Voucher {
    pub voucher: VoucherId,
    pub reward: RewardId,
    pub state: VoucherState,
    pub issued_at: Instant,
    /// Pins the terms: the reward is as the program of that instant has it.
    pub terms_at: Instant,
    /// [`Instant::MAX`]: never.
    pub expires_at: Instant,
    /// For which it is held, or on which it was used.
    pub order: Option<OrderId>,
    /// When it came into its state.
    pub since_at: Instant,
    /// What issued it, where that was undone while the voucher was in use: it does not come back.
    pub revoked_by: Option<GrantId>,
    /// What was given for it, where the member asked for it outside an order.
    pub bought: Option<Bought>,
}

/// What a voucher was issued for outside an order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bought {
    /// The units that were paid, by lot; `None`: it was free.
    pub paid: Option<UnitParts>,
    /// What it has of the reward's stock.
    pub stock: Option<StockItem>,
    /// The code of somebody else that it is.
    pub code: Option<Box<str>>,
    /// The day on which it counts for the reward's limit, where there is one.
    pub counted_on: Option<Day>,
}

/// What a voucher is issued as.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VoucherIssue {
    pub voucher: VoucherId,
    pub reward: RewardId,
    pub terms_at: Instant,
    /// [`Instant::MAX`]: never.
    pub expires_at: Instant,
    pub bought: Option<Bought>,
}

impl Voucher {
    /// As it was issued.
    pub fn issue(&self) -> VoucherIssue {
        VoucherIssue {
            voucher: self.voucher.clone(),
            reward: self.reward.clone(),
            terms_at: self.terms_at,
            expires_at: self.expires_at,
            bought: self.bought.clone(),
        }
    }
}

impl AccountState {
    /// Vouchers that can be used, held ones included.
    pub const VOUCHERS_OPEN_MAX: usize = 100;
    /// How long one that is used, expired or cancelled is remembered, and how many.
    pub const VOUCHERS_CLOSED_KEEP_MS: i64 = 366 * DAY_MS;
    const VOUCHERS_CLOSED_MAX: usize = 100;

    pub fn voucher(&self, id: &VoucherId) -> Option<&Voucher> {
        self.vouchers.iter().find(|voucher| voucher.voucher == *id)
    }

    pub fn vouchers_open(&self) -> usize {
        self.vouchers.iter().filter(|voucher| voucher.state.is_open()).count()
    }

    fn voucher_mut(&mut self, id: &VoucherId) -> Result<&mut Voucher, ApplyError> {
        let voucher = self.vouchers.iter_mut().find(|voucher| voucher.voucher == *id);
        voucher.ok_or(ApplyError::Inconsistent("there is no such voucher"))
    }

    pub(super) fn issue(&mut self, issue: &VoucherIssue, at: Instant, posted_at: Instant) -> Result<(), ApplyError> {
        if AccountState::VOUCHERS_OPEN_MAX <= self.vouchers_open() {
            return Err(ApplyError::TooLarge);
        }
        self.vouchers.retain(|voucher| voucher.voucher != issue.voucher);
        self.vouchers.push(Voucher {
            voucher: issue.voucher.clone(),
            reward: issue.reward.clone(),
            state: VoucherState::Issued,
            issued_at: at,
            terms_at: issue.terms_at,
            expires_at: issue.expires_at,
            order: None,
            since_at: posted_at,
            revoked_by: None,
            bought: issue.bought.clone(),
        });
        Ok(())
    }

    pub(super) fn move_voucher(
        &mut self,
        id: &VoucherId,
        to: VoucherState,
        order: Option<&OrderId>,
        posted_at: Instant,
    ) -> Result<(), ApplyError> {
        let voucher = self.voucher_mut(id)?;
        voucher.state = to;
        voucher.order = order.cloned();
        voucher.since_at = posted_at;
        Ok(())
    }

    pub(super) fn revoke_voucher(&mut self, id: &VoucherId, cause: &GrantId) -> Result<(), ApplyError> {
        self.voucher_mut(id)?.revoked_by = Some(cause.clone());
        Ok(())
    }

    /// Sets aside the vouchers that a redemption is to use.
    pub(super) fn hold_vouchers(&mut self, redeem: &Redeem, order: &OrderId, at: Instant) -> Result<(), ApplyError> {
        redeem.vouchers.iter().try_for_each(|id| self.move_voucher(id, VoucherState::Held, Some(order), at))
    }

    /// Frees what was set aside for an order.
    pub(super) fn free_vouchers(&mut self, order: &OrderId, at: Instant) {
        let held = self.vouchers.iter_mut().filter(|voucher| voucher.state == VoucherState::Held);
        for voucher in held.filter(|voucher| voucher.order.as_ref() == Some(order)) {
            let revoked = voucher.revoked_by.is_some();
            voucher.state = if revoked { VoucherState::Cancelled } else { VoucherState::Issued };
            voucher.order = None;
            voucher.since_at = at;
        }
    }

    /// When the next voucher expires; one that is held does not.
    pub(in crate::domain) fn voucher_due(&self) -> Option<Instant> {
        let issued = self.vouchers.iter().filter(|voucher| voucher.state == VoucherState::Issued);
        issued.map(|voucher| voucher.expires_at).min()
    }

    pub(super) fn forget_vouchers(&mut self, now: Instant) {
        let since = now.minus_ms(AccountState::VOUCHERS_CLOSED_KEEP_MS);
        self.vouchers.retain(|voucher| voucher.state.is_open() || since < voucher.since_at);
        let closed = self.vouchers.iter().filter(|voucher| !voucher.state.is_open()).count();
        let mut surplus = closed.saturating_sub(AccountState::VOUCHERS_CLOSED_MAX);
        self.vouchers.retain(|voucher| {
            let drop = !voucher.state.is_open() && 0 < surplus;
            surplus -= usize::from(drop);
            !drop
        });
    }

    /// Vouchers that are not what the holds say.
    pub(super) fn voucher_faults(&self, faults: &mut Vec<String>) {
        for voucher in self.vouchers.iter().filter(|voucher| voucher.state == VoucherState::Held) {
            let hold = voucher.order.as_ref().and_then(|order| self.hold(order)).filter(|hold| hold.is_open());
            let named = hold.and_then(|hold| hold.redeem.as_ref());
            if !named.is_some_and(|redeem| redeem.vouchers.contains(&voucher.voucher)) {
                faults.push("a voucher is held by no reservation".to_owned());
            }
        }
    }
}
