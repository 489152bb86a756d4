//! Orders as format 1 has them: field after field, and what was decided in full. Read, and written by nobody any more.

use serde::{Deserialize, Serialize};

use super::super::answer::{Decided, OrderState};
use super::super::awards::Consequence;
use super::super::command::EnteredCode;
use super::super::counters::Tally;
use super::super::id::{MemberId, OrderId};
use super::super::ledger::{DecodeError, Hash, decode, encode};
use super::super::order::Currency;
use super::super::referral::touch::Touch;
use super::super::sent_order::SentOrder;
use super::super::stats::Measured;
use super::super::stock::StockUse;
use super::super::time::Instant;
use super::{
    AmendmentRecord, EventRecord, GrantRecord, LineRecord, OrderRecord, ReturnRecord, SentGrantRecord, TenderRecord,
    UseRecord, VoucherUse,
};

#[derive(Serialize, Deserialize)]
#[serde(remote = "OrderRecord")]
struct Fields {
    order_id: OrderId,
    member: MemberId,
    content: Hash,
    currency: Currency,
    committed_at: Instant,
    state: OrderState,
    lines: Vec<LineRecord>,
    grants: Vec<GrantRecord>,
    uses: Vec<UseRecord>,
    tenders: Vec<TenderRecord>,
    money_minor: i64,
    money_refunded_minor: i64,
    returns: Vec<ReturnRecord>,
    decided: Decided,
    counts: Vec<Tally>,
    sent: SentOrder,
    codes: Vec<EnteredCode>,
    touches: Vec<Touch>,
    claimed_at: Option<Instant>,
    consequences: Vec<Consequence>,
    vouchers: Vec<VoucherUse>,
    events: Vec<EventRecord>,
    sent_grants: Vec<SentGrantRecord>,
    amendments: Vec<AmendmentRecord>,
    stock: Vec<StockUse>,
    measured: Option<Measured>,
}

#[derive(Serialize, Deserialize)]
struct Stored(#[serde(with = "Fields")] OrderRecord);

pub(super) fn read(stored: &[u8]) -> Result<OrderRecord, DecodeError> {
    decode::<Stored>(stored).map(|Stored(record)| record)
}

/// The bytes that were read.
pub(super) fn again(record: OrderRecord) -> Vec<u8> {
    encode(&Stored(record))
}
