//! An order as recorded: what was granted and spent on it, how that falls on its lines, and what has come back.
//! What a return reverses is a function of this record and of everything returned, less what was reversed before.

mod format_1;
mod stored;

use serde::{Deserialize, Serialize};

use super::account::{AccountState, VoucherIssue};
use super::answer::{
    Decided, OrderAmendmentView, OrderEventView, OrderLineView, OrderReturnView, OrderState, OrderView, Refund,
};
use super::awards::{Consequence, Stands};
use super::command::{Brought, EnteredCode, Measure, ReturnCause, Tender};
use super::counters::Tally;
use super::id::{AccountId, GrantId, Label, LineId, MemberId, OrderEventId, OrderId, ReturnId, RuleId, UnitId};
use super::ledger::{Dates, Hash, Part};
use super::money::share_floor;
use super::order::Currency;
use super::program::{Kind, LifeTerms};
use super::referral::touch::Touch;
use super::sent_order::SentOrder;
use super::stats::Measured;
use super::stock::StockUse;
use super::time::Instant;

/// Has a form of its own in storage: [`OrderRecord::to_stored`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderRecord {
    pub order_id: OrderId,
    pub member: MemberId,
    /// SHA-256 over what the caller sent: tells a redelivery from another order under the same id.
    pub content: Hash,
    pub currency: Currency,
    pub committed_at: Instant,
    pub state: OrderState,
    pub lines: Vec<LineRecord>,
    pub grants: Vec<GrantRecord>,
    pub uses: Vec<UseRecord>,
    pub tenders: Vec<TenderRecord>,
    /// Paid in money in all; minor units.
    pub money_minor: i64,
    pub money_refunded_minor: i64,
    pub returns: Vec<ReturnRecord>,
    /// What was decided, for whoever asks again; without the trace.
    pub decided: Decided,
    /// What it added to counters.
    pub counts: Vec<Tally>,
    /// What else was sent: with the lines, the whole order.
    pub sent: SentOrder,
    /// Codes that a guest entered: answered when the order is claimed.
    pub codes: Vec<EnteredCode>,
    /// What was kept of the guest as a visitor: weighed when the order is claimed.
    pub touches: Vec<Touch>,
    /// When it was claimed from its guest.
    pub claimed_at: Option<Instant>,
    /// What else it brought.
    pub consequences: Vec<Consequence>,
    /// Vouchers used on it.
    pub vouchers: Vec<VoucherUse>,
    pub events: Vec<EventRecord>,
    /// Granted for it to other accounts.
    pub sent_grants: Vec<SentGrantRecord>,
    pub amendments: Vec<AmendmentRecord>,
    /// Of the stock of rewards.
    pub stock: Vec<StockUse>,
    /// `None`: it is in no figures.
    pub measured: Option<Measured>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LineRecord {
    pub line_id: LineId,
    pub quantity: i64,
    pub amount_minor: i64,
    /// What rewards and units paid of it.
    pub reduced_minor: i64,
    /// What was paid for it in money, tax included.
    pub money_minor: i64,
    /// What of it earned.
    pub earning_minor: i64,
    pub returned: Returned,
}

/// How much of a line has come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Returned {
    #[default]
    None,
    Quantity(i64),
    Amount(i64),
    All,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GrantRecord {
    pub grant: GrantId,
    pub unit: UnitId,
    pub amount: i64,
    pub dates: Dates,
    /// By line, in the order of the lines; sums to `amount`. Fixed for good.
    pub shares: Vec<i64>,
    pub reversed: i64,
    /// What it waits or has waited for.
    pub awaits: Option<AwaitsRecord>,
    pub rule: RuleId,
}

/// A grant that waits for an event of its order, line by line: a parcel releases what is in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitsRecord {
    pub event: Label,
    /// When what still waits is called off; [`Instant::MAX`]: never.
    pub lapses_at: Instant,
    /// The terms that dates are computed by once the event comes.
    pub life: LifeTerms,
    /// By line.
    pub lines: Vec<AwaitsLine>,
    /// The dates of what was released, in the order of the events.
    pub releases: Vec<Dates>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitsLine {
    pub stage: Stage,
    /// Of the line's share, what returns have taken back so far.
    pub reversed: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Stage {
    Waiting,
    /// By place in [`AwaitsRecord::releases`].
    Released(u32),
    /// The event did not come in time.
    CalledOff,
}

/// Something that happened to the order after it was bought.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventRecord {
    pub event_id: OrderEventId,
    pub event: Label,
    /// Places of its lines; empty: all.
    pub lines: Vec<u32>,
    pub effective_at: Instant,
    pub decided: Decided,
}

/// Units granted to another account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SentGrantRecord {
    pub grant: GrantId,
    pub rule: RuleId,
    pub kind: Kind,
    pub target: AccountId,
    pub unit: UnitId,
    pub amount: i64,
    pub dates: Dates,
    /// By line; sums to `amount`. Fixed for good.
    pub shares: Vec<i64>,
    /// Of what was sent last; 0: nothing was, for it waits.
    pub revision: u32,
    pub reversed: i64,
    /// For whom it is that the member was brought by.
    pub brought: Option<Brought>,
}

/// Units spent on the order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UseRecord {
    pub unit: UnitId,
    pub units: i64,
    /// By line; sums to `units`. Fixed for good.
    pub shares: Vec<i64>,
    /// The lots they came from, in spend order.
    pub parts: Vec<Part>,
    /// Of `units`, what no lot covered.
    pub debt: i64,
    pub restored: i64,
    /// Of `units`, what no lot covered and nobody owes.
    pub forgiven: i64,
}

/// A voucher used on the order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VoucherUse {
    pub issue: VoucherIssue,
    /// What it took off each line, minor units; where that is nothing, the items that it gave.
    pub shares: Vec<i64>,
    pub given_back: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TenderRecord {
    pub tender: Tender,
    pub refunded_minor: i64,
}

/// Lines that went out of the order, and others that came in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AmendmentRecord {
    pub amendment_id: ReturnId,
    /// SHA-256 over what the caller sent.
    pub content: Hash,
    pub effective_at: Instant,
    /// How many lines the order had before, whatever had come back of them.
    pub lines_before: usize,
    pub refund: Refund,
    pub due_minor: i64,
    pub decided: Decided,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReturnRecord {
    pub return_id: ReturnId,
    /// SHA-256 over what the caller sent.
    pub content: Hash,
    pub effective_at: Instant,
    pub cause: ReturnCause,
    pub refund: Refund,
    pub decided: Decided,
}

impl LineRecord {
    /// The part of `whole` that falls on what has come back, rounded down; all of it at the end. Never falls as
    /// more comes back, so differences of it sum to the whole whatever the steps.
    pub fn returned_of(&self, whole: i64) -> Option<i64> {
        match self.returned {
            Returned::None => Some(0),
            Returned::Quantity(quantity) => share_floor(whole, quantity, self.quantity),
            Returned::Amount(amount) => share_floor(whole, amount, self.amount_minor),
            Returned::All => Some(whole),
        }
    }

    /// What has come back after `measure` more; why not otherwise.
    pub fn after(&self, measure: Measure) -> Result<Returned, NotReturnable> {
        let (before, more, whole, wrap): (i64, i64, i64, fn(i64) -> Returned) = match (self.returned, measure) {
            (Returned::All, _) => return Err(NotReturnable::MoreThanLeft { left: 0 }),
            (Returned::None, Measure::Quantity(n)) => (0, n, self.quantity, Returned::Quantity),
            (Returned::Quantity(before), Measure::Quantity(n)) => (before, n, self.quantity, Returned::Quantity),
            (Returned::None, Measure::Amount(n)) => (0, n, self.amount_minor, Returned::Amount),
            (Returned::Amount(before), Measure::Amount(n)) => (before, n, self.amount_minor, Returned::Amount),
            (Returned::Quantity(_), Measure::Amount(_)) | (Returned::Amount(_), Measure::Quantity(_)) => {
                return Err(NotReturnable::MixedMeasure);
            }
        };
        let left = whole - before;
        if left < more {
            return Err(NotReturnable::MoreThanLeft { left });
        }
        Ok(if more == left { Returned::All } else { wrap(before + more) })
    }
}

/// Why more of a line cannot come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotReturnable {
    MoreThanLeft { left: i64 },
    MixedMeasure,
}

impl OrderRecord {
    pub const RETURNS_MAX: usize = 500;
    pub const EVENTS_MAX: usize = 200;

    /// Notes what the passing of time has called off, or that the member was erased; the account did the same by itself.
    pub fn call_off(&mut self, now: Instant, account: &AccountState) {
        for awaits in self.grants.iter_mut().filter_map(|grant| grant.awaits.as_mut()) {
            if awaits.lapses_at <= now || account.erased_at.is_some() {
                let waiting = awaits.lines.iter_mut().filter(|line| line.stage == Stage::Waiting);
                waiting.for_each(|line| line.stage = Stage::CalledOff);
            }
        }
    }

    /// The sum over lines of what has come back of each line's share.
    pub fn returned_of(&self, shares: &[i64]) -> Option<i64> {
        let parts = self.lines.iter().zip(shares).map(|(line, share)| line.returned_of(*share));
        parts.into_iter().try_fold(0i64, |sum, part| sum.checked_add(part?))
    }

    pub fn is_all_returned(&self) -> bool {
        self.lines.iter().all(|line| line.returned == Returned::All)
    }

    /// As it was committed, whatever was exchanged since.
    pub fn as_committed(&self) -> OrderRecord {
        let mut record = self.clone();
        if let Some(first) = self.amendments.first() {
            record.lines.truncate(first.lines_before);
            record.sent.truncate(first.lines_before);
        }
        record
    }

    /// Takes in lines that fall on nothing that was decided before.
    pub(super) fn take_in(&mut self, lines: Vec<LineRecord>, sent: &SentOrder) {
        let count = self.lines.len().saturating_add(lines.len());
        let pad = |shares: &mut Vec<i64>| {
            if !shares.is_empty() {
                shares.resize(count, 0);
            }
        };
        for grant in &mut self.grants {
            pad(&mut grant.shares);
            if let Some(awaits) = &mut grant.awaits {
                // With no share of it, they wait for nothing.
                awaits.lines.resize(count, AwaitsLine { stage: Stage::CalledOff, reversed: 0 });
            }
        }
        self.uses.iter_mut().for_each(|used| pad(&mut used.shares));
        self.counts.iter_mut().for_each(|tally| pad(&mut tally.shares));
        self.vouchers.iter_mut().for_each(|used| pad(&mut used.shares));
        self.stock.iter_mut().for_each(|used| pad(&mut used.shares));
        self.sent_grants.iter_mut().for_each(|sent| pad(&mut sent.shares));
        for consequence in &mut self.consequences {
            match &mut consequence.stands {
                Stands::Always => {}
                Stands::ByLine(shares) => pad(shares),
                Stands::While { basis, .. } => pad(basis),
            }
        }
        self.money_minor = lines.iter().fold(self.money_minor, |sum, line| sum.saturating_add(line.money_minor));
        self.lines.extend(lines);
        self.sent.take_in(sent);
    }

    fn event_view(&self, event: &EventRecord) -> OrderEventView {
        let line = |place: &u32| self.lines.get(usize::try_from(*place).ok()?).map(|line| line.line_id.clone());
        OrderEventView {
            event_id: event.event_id.clone(),
            event: event.event.clone(),
            lines: event.lines.iter().filter_map(line).collect(),
            effective_at: event.effective_at,
        }
    }

    pub fn view(&self) -> OrderView {
        let lines = self.lines.iter().map(|line| OrderLineView {
            line_id: line.line_id.clone(),
            quantity: line.quantity,
            amount_minor: line.amount_minor,
            reduced_minor: line.reduced_minor,
            returned_quantity: match line.returned {
                Returned::Quantity(n) => n,
                Returned::All => line.quantity,
                Returned::None | Returned::Amount(_) => 0,
            },
            returned_amount_minor: line.returned_of(line.amount_minor).unwrap_or(0),
        });
        let returns = self.returns.iter().map(|r| OrderReturnView {
            return_id: r.return_id.clone(),
            effective_at: r.effective_at,
            cause: r.cause,
            refund: r.refund.clone(),
        });
        let amendments = self.amendments.iter().map(|amendment| OrderAmendmentView {
            amendment_id: amendment.amendment_id.clone(),
            effective_at: amendment.effective_at,
            refund: amendment.refund.clone(),
            due_minor: amendment.due_minor,
        });
        OrderView {
            order_id: self.order_id.clone(),
            member: self.member.clone(),
            state: self.state,
            currency: self.currency,
            committed_at: self.committed_at,
            lines: lines.collect(),
            decided: self.decided.clone(),
            returns: returns.collect(),
            events: self.events.iter().map(|event| self.event_view(event)).collect(),
            kind: self.sent.kind,
            claimed_at: self.claimed_at,
            recovery: None,
            amendments: amendments.collect(),
        }
    }
}
