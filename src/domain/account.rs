//! An account: what owns units, and the unit of atomicity. It changes only by applying entries.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::answer::{Balance, Promise, ReferralState, Reservation, ReservationState};
use super::command::Redeem;
use super::counters::CounterState;
use super::id::{AccountId, GrantId, MemberId, OrderId, UnitId};
use super::ledger::{Book, Dates, Entry, Fact, GENESIS, Hash, Part, UnitParts, chain, encode, sum};
use super::quote::Pin;
use super::referral::{BroughtState, OwnCode, Referral};
use super::stock::StockItem;
use super::time::{DAY_MS, Day, Instant};

pub use activity::{LastEvent, OccasionState};
pub use belongings::{Away, Belongings, Home, HomeWhy, OwnedUnits};
pub use cards::{CardState, FilledCard, LapsedStamps, NewCard, OpenCard, StampsOn, TakenStamps};
pub use payouts::{Payout, PayoutState};
pub use people::{AccountKind, AttributeValue, Birthday, Person, Profile, Role, Salt};
pub use tiers::{
    Arrival, Carry, Ended, Gift, Gifts, GoalChange, GoalState, Holding, LadderState, Met, Source, TierChange,
};

pub use tags::Tag;
pub use vouchers::{Bought, Voucher, VoucherIssue, VoucherState};

mod activity;
mod belongings;
mod cards;
mod moves;
mod payouts;
mod people;
mod referral;
mod stored;
mod tags;
mod tiers;
mod vouchers;

/// The record found under a member id. Has a form of its own in storage: [`MemberRecord::to_stored`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MemberRecord {
    /// The member's own account.
    Account(Arc<AccountState>),
    /// The member's units are owned elsewhere.
    Alias(AccountId),
}

/// Everything a decision may need to know of an account at once. Bounded in size.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AccountState {
    pub account: AccountId,
    pub enrolled_at: Instant,
    /// Entries posted so far.
    pub sequence: u64,
    /// Chain head after them.
    pub head: Hash,
    /// When the last of them was posted.
    pub posted_at: Instant,
    /// In the order in which units were first seen.
    pub units: Vec<UnitBook>,
    /// Open holds, and resolved ones for [`AccountState::RESOLVED_KEEP_MS`].
    pub holds: Vec<Hold>,
    /// Orders committed.
    pub orders: u64,
    /// Who brought this member.
    pub referral: Option<Referral>,
    /// At most [`AccountState::CODES_MAX`].
    pub codes: Vec<OwnCode>,
    /// Friends who qualified and still count.
    pub friends_qualified: i64,
    /// Orders that came back whole.
    pub orders_returned: u64,
    /// What the program's counters have counted; at most [`CounterState::COUNTERS_MAX`].
    pub counters: Vec<CounterState>,
    pub kind: AccountKind,
    /// Who belongs to it, in the order in which they came; one for an account of [`AccountKind::Person`].
    pub people: Vec<Person>,
    /// At most [`CardState::IDS_MAX`].
    pub cards: Vec<CardState>,
    /// Those that can be used, and for a time the others.
    pub vouchers: Vec<Voucher>,
    /// Given by rules; at most [`AccountState::TAGS_MAX`].
    pub tags: Vec<Tag>,
    /// The last event of each type; at most [`LastEvent::KEPT_MAX`].
    pub events: Vec<LastEvent>,
    /// When there last was an order or an event; [`Instant`] 0: never.
    pub active_at: Instant,
    /// Occasions that came due; at most [`OccasionState::KEPT_MAX`].
    pub occasions: Vec<OccasionState>,
    /// Where the account stands on the program's ladders.
    pub ladders: Vec<LadderState>,
    pub goals: Vec<GoalState>,
    /// Who brought members that were merged into this account, where it had a referral of its own.
    pub referrals_merged: Vec<Referral>,
    /// Where else records lie that count here; at most [`AccountState::HOMES_MAX`] that came, and as many that were left.
    pub homes: Vec<Home>,
    /// `Some`: the account is part of another one, and whoever looks for it is led there.
    pub away: Option<Away>,
    /// How often it has become part of another.
    pub departures: u32,
    pub erased_at: Option<Instant>,
    /// Places kept for people who are about to join, for [`AccountState::SEAT_KEEP_MS`].
    pub seats: Vec<(MemberId, Role, Instant)>,
    /// Units given away today: unit, day, number of transfers.
    pub transfers: Vec<(UnitId, Day, i64)>,
    /// When the latest order happened; [`Instant`] 0: there was none.
    pub ordered_at: Instant,
    /// What of its units is counted where the program bounds what all members have together.
    pub outstanding: Vec<(UnitId, i64)>,
    /// Entries that tell why the owner was, or was not, attributed; the latest [`AccountState::WEIGHED_MAX`].
    pub weighed: Vec<u64>,
    /// Of a partner; at most [`AccountState::PAYOUTS_MAX`].
    pub payouts: Vec<Payout>,
}

/// What an account has of one unit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UnitBook {
    pub unit: UnitId,
    /// By [`Book`]; sums to zero.
    pub books: [i64; Book::COUNT],
    /// In spend order.
    pub lots: Vec<Lot>,
    /// Expired lots that a return may still ask about, for [`AccountState::LAPSED_KEEP_MS`].
    pub lapsed: Vec<Part>,
    /// Grants that wait for an event of their order.
    pub awaiting: Vec<Awaiting>,
    /// When all of it expires unless something happens; [`Instant::MAX`]: never.
    pub idle_at: Instant,
}

/// Units of one grant that wait for an event of their order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Awaiting {
    pub grant: GrantId,
    /// What still waits; above zero.
    pub amount: i64,
    /// When it is called off.
    pub lapses_at: Instant,
}

/// Units with equal dates. Never below zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lot {
    pub dates: Dates,
    /// Pending until matured, then available.
    pub free: i64,
    pub held: i64,
    pub matured: bool,
}

/// Units set aside for an order, or the mark of a resolved reservation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hold {
    pub order: OrderId,
    /// Counts the times the order was reserved; 0: a release came before any Reserve.
    pub revision: u32,
    pub state: ReservationState,
    /// When it lapses; for a resolved one, when it was resolved.
    pub at: Instant,
    /// When it was reserved: its Commit redeems under the program of that instant.
    pub effective_at: Instant,
    pub redeem: Option<Redeem>,
    /// Empty once resolved.
    pub units: Vec<UnitParts>,
    /// What the shopper was told that it gives.
    pub promises: Vec<Promise>,
    /// Of the stock of rewards; empty once resolved.
    pub stock: Vec<StockItem>,
    /// The quote that its Commit is decided under.
    pub pin: Option<Box<Pin>>,
    /// Who reserved it, in an account that several share.
    pub by: Option<MemberId>,
}

impl Hold {
    pub fn is_open(&self) -> bool {
        self.state == ReservationState::Held
    }

    pub fn view(&self) -> Reservation {
        Reservation {
            order_id: self.order.clone(),
            revision: self.revision,
            state: self.state,
            expires_at: self.at,
            held: self.units.iter().map(|held| (held.unit.clone(), held.total())).collect(),
        }
    }
}

/// What other accounts' effects have granted here under one grant id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Inbound {
    pub revision: u32,
    /// As their origin states it.
    pub net: i64,
    pub dates: Dates,
    /// Of what a friend brought, what this account has made of it.
    pub brought: Option<BroughtState>,
}

impl Inbound {
    /// What was granted here in all.
    pub fn granted(&self) -> i64 {
        self.brought.as_ref().map_or(self.net, |brought| brought.granted)
    }
}

/// Why an entry cannot be applied. In a decision: the request asks for more than numbers or records can hold. In
/// verification: the ledger is not what made the state.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("a number leaves its bounds")]
    Overflow,
    #[error("a record grows past its limit")]
    TooLarge,
    #[error("{0}")]
    Inconsistent(&'static str),
}

impl AccountState {
    /// Lots of one unit: one for each instant at which something expires, and one for each grant that is pending.
    /// Rounding expiry to days or months keeps accounts far below.
    pub const LOTS_MAX: usize = 2_000;
    /// Grants that would need a lot beyond this are refused, so that what comes back from orders still finds room.
    pub const LOTS_GRANTED_MAX: usize = 1_800;
    /// A hold takes about 200 bytes, so that as many open ones and twice as many resolved ones take some 40 KB of a record.
    pub const HOLDS_OPEN_MAX: usize = 64;
    /// Grants of one unit that wait for events at a time.
    pub const AWAITING_MAX: usize = 1_000;
    pub const CODES_MAX: usize = 20;
    pub const WEIGHED_MAX: usize = 16;
    /// How long a resolved reservation is remembered: a Commit that was paid may come so late.
    pub const RESOLVED_KEEP_MS: i64 = 7 * DAY_MS;
    /// As many as can lapse at once and as many again: a flood of releases pushes out no lapse that a paid Commit
    /// may ask about.
    const RESOLVED_MAX: usize = 2 * AccountState::HOLDS_OPEN_MAX;
    /// How long an expired lot is remembered for returns.
    pub const LAPSED_KEEP_MS: i64 = 180 * DAY_MS;
    const LAPSED_MAX: usize = 200;
    /// How long a place is kept for somebody who is about to join.
    pub const SEAT_KEEP_MS: i64 = DAY_MS;

    /// An account before its first entry.
    pub fn new(account: AccountId) -> AccountState {
        AccountState {
            account,
            enrolled_at: Instant(0),
            sequence: 0,
            head: GENESIS,
            posted_at: Instant(0),
            units: Vec::new(),
            holds: Vec::new(),
            orders: 0,
            referral: None,
            codes: Vec::new(),
            friends_qualified: 0,
            orders_returned: 0,
            counters: Vec::new(),
            kind: AccountKind::Person,
            people: Vec::new(),
            cards: Vec::new(),
            vouchers: Vec::new(),
            tags: Vec::new(),
            events: Vec::new(),
            active_at: Instant(0),
            occasions: Vec::new(),
            ladders: Vec::new(),
            goals: Vec::new(),
            referrals_merged: Vec::new(),
            homes: Vec::new(),
            away: None,
            departures: 0,
            erased_at: None,
            seats: Vec::new(),
            transfers: Vec::new(),
            ordered_at: Instant(0),
            outstanding: Vec::new(),
            weighed: Vec::new(),
            payouts: Vec::new(),
        }
    }

    pub fn book(&self, unit: &UnitId) -> Option<&UnitBook> {
        self.units.iter().find(|book| book.unit == *unit)
    }

    pub fn amount(&self, unit: &UnitId, book: Book) -> i64 {
        self.book(unit).map_or(0, |b| b.amount(book))
    }

    /// Owed of a unit; never negative.
    pub fn debt(&self, unit: &UnitId) -> i64 {
        self.amount(unit, Book::Debt).saturating_neg()
    }

    /// What of a unit is counted where the program bounds what all members have together.
    pub fn outstanding_told(&self, unit: &UnitId) -> i64 {
        self.outstanding.iter().find(|(known, _)| known == unit).map_or(0, |(_, amount)| *amount)
    }

    pub fn hold(&self, order: &OrderId) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.order == *order)
    }

    /// The next instant at which [`advance`](super::desk::Desk::advance) has something to do.
    pub fn next_due(&self) -> Option<Instant> {
        let lots = self.units.iter().flat_map(|book| &book.lots).filter_map(Lot::next_due);
        let holds = self.holds.iter().filter(|hold| hold.is_open()).map(|hold| hold.at);
        let open = self.referrals().filter(|r| r.state == ReferralState::Attributed);
        let referral = open.map(|r| r.qualify_by).chain(self.reviews_due());
        let offers = self.card_due().into_iter().chain(self.voucher_due());
        let awaiting = self.units.iter().flat_map(|book| &book.awaiting).map(|waits| waits.lapses_at);
        let idle = self.units.iter().filter_map(UnitBook::idle_due);
        let all = lots.chain(holds).chain(referral).chain(offers).chain(awaiting).chain(idle);
        all.chain(self.tiers_due()).min().filter(|at| *at < Instant::MAX)
    }

    /// Applies the next entry. On an error the state is left half-changed and must be dropped.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), ApplyError> {
        self.apply_stored(entry, &encode(entry))
    }

    /// The same for an entry whose stored form is at hand.
    pub(super) fn apply_stored(&mut self, entry: &Entry, stored: &[u8]) -> Result<(), ApplyError> {
        self.apply_unhashed(entry)?;
        self.head = chain(&self.head, stored);
        Ok(())
    }

    /// The same for a state that is looked at and thrown away: its head stays behind.
    pub(super) fn apply_unhashed(&mut self, entry: &Entry) -> Result<(), ApplyError> {
        if entry.sequence != self.sequence + 1 {
            return Err(ApplyError::Inconsistent("entries are not in sequence"));
        }
        if entry.posted_at < self.posted_at {
            return Err(ApplyError::Inconsistent("an entry was posted before its predecessor"));
        }
        for posting in entry.postings().ok_or(ApplyError::Overflow)? {
            self.unit(&posting.unit).post(posting.book, posting.amount)?;
        }
        self.apply_fact(entry)?;
        self.forget(entry.posted_at);
        self.sequence = entry.sequence;
        self.posted_at = entry.posted_at;
        Ok(())
    }

    fn apply_fact(&mut self, entry: &Entry) -> Result<(), ApplyError> {
        match &entry.fact {
            Fact::Enrolled => {
                self.enrolled_at = entry.effective_at;
                self.people.push(Person {
                    member: MemberId::from(&self.account),
                    role: Role::Owner,
                    joined_at: entry.effective_at,
                    profile_digest: None,
                    profile: Profile::default(),
                    redeemed: Vec::new(),
                });
            }
            Fact::Granted { unit, amount, repaid, dates, .. } | Fact::Received { unit, amount, repaid, dates, .. } => {
                let to_lot = amount.checked_sub(*repaid).ok_or(ApplyError::Overflow)?;
                let lot = dates.lot_at(entry.posted_at);
                self.unit(unit).put(lot, to_lot, dates.active_at(entry.posted_at))?;
                if let Fact::Received { friends, .. } = &entry.fact {
                    self.friends_qualified += friends;
                }
            }
            Fact::Matured { unit, dates, amount, repaid } => self.unit(unit).mature(*dates, *amount, *repaid)?,
            Fact::Expired { unit, dates, amount } => {
                let book = self.unit(unit);
                book.take(*dates, *amount)?;
                book.lapse(*dates, *amount)?;
            }
            Fact::Held { order, revision, expires_at, redeem, units, promises, stock, pin, by } => {
                for held in units {
                    let book = self.unit(&held.unit);
                    held.parts.iter().try_for_each(|part| book.hold(part.dates, part.amount))?;
                }
                self.hold_vouchers(redeem, order, entry.posted_at)?;
                self.holds.retain(|hold| hold.order != *order);
                self.holds.push(Hold {
                    order: order.clone(),
                    revision: *revision,
                    state: ReservationState::Held,
                    at: *expires_at,
                    effective_at: entry.effective_at,
                    redeem: Some(redeem.clone()),
                    units: units.clone(),
                    promises: promises.clone(),
                    stock: stock.clone(),
                    pin: pin.clone(),
                    by: by.clone(),
                });
            }
            Fact::Unheld { order, why, units } => {
                for held in units {
                    let book = self.unit(&held.unit);
                    held.parts.iter().try_for_each(|part| book.unhold(part.dates, part.amount))?;
                }
                self.free_vouchers(order, entry.posted_at);
                let before = self.holds.iter().position(|hold| hold.order == *order).map(|at| self.holds.remove(at));
                if let Some(state) = why.leaves() {
                    self.holds.push(Hold {
                        order: order.clone(),
                        revision: before.as_ref().map_or(0, |hold| hold.revision),
                        state,
                        at: entry.posted_at,
                        effective_at: before.as_ref().map_or(entry.effective_at, |hold| hold.effective_at),
                        units: Vec::new(),
                        promises: before.as_ref().map_or_else(Vec::new, |hold| hold.promises.clone()),
                        pin: before.as_ref().and_then(|hold| hold.pin.clone()),
                        by: before.as_ref().and_then(|hold| hold.by.clone()),
                        redeem: before.and_then(|hold| hold.redeem),
                        stock: Vec::new(),
                    });
                }
            }
            Fact::Spent { unit, parts, .. } | Fact::Debited { unit, parts, .. } | Fact::Settled { unit, parts } => {
                let book = self.unit(unit);
                parts.iter().try_for_each(|part| book.take(part.dates, part.amount))?;
            }
            Fact::OrderCommitted { .. } => {
                self.orders += 1;
                self.ordered_at = self.ordered_at.max(entry.effective_at);
                self.was_active(entry.effective_at);
            }
            Fact::OrderReturned { whole, .. } => self.orders_returned += u64::from(*whole),
            Fact::Counted { changes } => self.count(changes, entry.effective_at)?,
            Fact::OrderClaimed { .. } | Fact::OrderEvent { .. } | Fact::OrderAmended { .. } => {}
            Fact::Awaited { grant, unit, amount, lapses_at, .. } => {
                let awaiting = &mut self.unit(unit).awaiting;
                if AccountState::AWAITING_MAX <= awaiting.len() {
                    return Err(ApplyError::TooLarge);
                }
                awaiting.push(Awaiting { grant: grant.clone(), amount: *amount, lapses_at: *lapses_at });
            }
            Fact::Released { grant, unit, amount, repaid, dates, .. } => {
                let to_lot = amount.checked_sub(*repaid).ok_or(ApplyError::Overflow)?;
                let book = self.unit(unit);
                book.stop_waiting(grant, *amount)?;
                book.put(dates.lot_at(entry.posted_at), to_lot, dates.active_at(entry.posted_at))?;
            }
            Fact::CalledOff { grant, unit, amount, .. } => self.unit(unit).stop_waiting(grant, *amount)?,
            Fact::Outstanding { unit, amount } => {
                self.outstanding.retain(|(known, _)| known != unit);
                if *amount != 0 {
                    self.outstanding.push((unit.clone(), *amount));
                }
            }
            Fact::Active { until } => until.iter().for_each(|(unit, at)| self.unit(unit).idle_at = *at),
            Fact::Extended { unit, parts, expires_at, .. } => {
                let book = self.unit(unit);
                for part in parts {
                    book.take(part.dates, part.amount)?;
                    book.put(Dates { expires_at: *expires_at, ..part.dates }, part.amount, true)?;
                }
            }
            Fact::Reinstated { unit, parts, repaid, dates, .. } => {
                let book = self.unit(unit);
                for part in parts {
                    book.take_back(part.dates, &[], part.amount)?;
                }
                let to_lot = sum(parts).and_then(|all| all.checked_sub(*repaid)).ok_or(ApplyError::Overflow)?;
                book.put(dates.lot_at(entry.posted_at), to_lot, true)?;
            }
            Fact::Reversed { grant, unit, dates, taken, lapsed, debt, forgiven } => {
                self.unit(unit).take_back(dates.lot_at(entry.posted_at), taken, *lapsed)?;
                let all = sum(taken).and_then(|n| n.checked_add(*lapsed)?.checked_add(*debt)?.checked_add(*forgiven));
                let mut sides = self.referrals_mut().filter_map(|r| r.friend.as_mut());
                if let Some(side) = sides.find(|side| side.grant == *grant) {
                    side.reversed = all.and_then(|all| side.reversed.checked_add(all)).ok_or(ApplyError::Overflow)?;
                }
            }
            Fact::Recalled { unit, dates, taken, lapsed, friends, .. } => {
                self.unit(unit).take_back(dates.lot_at(entry.posted_at), taken, *lapsed)?;
                self.friends_qualified += friends;
            }
            Fact::Restored { unit, parts, .. } => {
                let book = self.unit(unit);
                parts.iter().try_for_each(|part| book.put(part.dates.lot_at(entry.posted_at), part.amount, true))?;
            }
            Fact::Credited { unit, amount, repaid, dates, .. } => {
                let to_lot = amount.checked_sub(*repaid).ok_or(ApplyError::Overflow)?;
                self.unit(unit).put(dates.lot_at(entry.posted_at), to_lot, true)?;
            }
            Fact::CodeCreated { .. }
            | Fact::CodeChanged { .. }
            | Fact::AttributionWeighed { .. }
            | Fact::ReferralSuspected { .. }
            | Fact::ReviewOpened { .. }
            | Fact::ReviewDecided { .. }
            | Fact::ReviewLapsed { .. }
            | Fact::Attributed { .. }
            | Fact::ReferralConfirmed { .. }
            | Fact::Qualified { .. }
            | Fact::ReferralPaid { .. }
            | Fact::CommissionOwed { .. }
            | Fact::ReferralExpired { .. }
            | Fact::ReferralRejected { .. } => self.apply_referral(entry)?,
            Fact::Sent { grant, unit, revision, change, .. } => self.note_sent(grant, unit, *revision, *change)?,
            Fact::Stamped { card, stamps, repaid, begins, visit, .. } => {
                self.stamp(card, *stamps, *repaid, *begins, *visit, entry.effective_at)?;
            }
            Fact::CardFilled { card, voucher } => self.fill_card(card, voucher)?,
            Fact::CardExpired { card, .. } => self.expire_card(card, entry.posted_at)?,
            Fact::Unstamped { card, what, .. } => self.unstamp(card, what)?,
            Fact::CardReopened { card, voucher } => self.reopen_card(card, voucher, entry.posted_at)?,
            Fact::VoucherIssued { issue, .. } => self.issue(issue, entry.effective_at, entry.posted_at)?,
            Fact::VoucherUsed { voucher, order } => {
                self.move_voucher(voucher, VoucherState::Used, Some(order), entry.posted_at)?;
            }
            Fact::VoucherReturned { issue, .. } => self.issue(issue, entry.effective_at, entry.posted_at)?,
            Fact::VoucherExpired { voucher } => {
                self.move_voucher(voucher, VoucherState::Expired, None, entry.posted_at)?;
                self.lapse_with(voucher, entry.posted_at);
            }
            Fact::VoucherCancelled { voucher, .. } => {
                self.move_voucher(voucher, VoucherState::Cancelled, None, entry.posted_at)?;
            }
            Fact::VoucherBought { issue } => {
                if let Some(paid) = issue.bought.as_ref().and_then(|bought| bought.paid.as_ref()) {
                    let book = self.unit(&paid.unit);
                    paid.parts.iter().try_for_each(|part| book.take(part.dates, part.amount))?;
                }
                self.issue(issue, entry.effective_at, entry.posted_at)?;
            }
            Fact::VoucherFulfilled { voucher } => {
                self.move_voucher(voucher, VoucherState::Used, None, entry.posted_at)?;
            }
            Fact::VoucherGivenUp { voucher, units, .. } => {
                self.move_voucher(voucher, VoucherState::Cancelled, None, entry.posted_at)?;
                if let Some(units) = units {
                    let book = self.unit(&units.unit);
                    let mut back = units.parts.iter();
                    back.try_for_each(|part| book.put(part.dates.lot_at(entry.posted_at), part.amount, true))?;
                }
            }
            Fact::VoucherRevoked { voucher, cause } => self.revoke_voucher(voucher, cause)?,
            Fact::Tagged { add, remove, .. } => self.tag(add, remove, entry.sequence)?,
            Fact::Untagged { given, back, .. } => self.untag(given, back),
            Fact::EventRecorded { kind, member, state, .. } => {
                self.note_event(kind, member, *state, entry.effective_at);
            }
            Fact::Occurred { rule, member, occasion_at, .. } => self.note_occasion(rule, member, *occasion_at, true),
            Fact::Noticed { rule, member, occasion_at, .. } => self.note_occasion(rule, member, *occasion_at, false),
            // What was won is handed out by facts of its own.
            Fact::Drawn { .. } => {}
            Fact::ProfileChanged { member, digest } => self.person_mut(member)?.profile_digest = *digest,
            Fact::Tier { ladder, change } => self.apply_tier(ladder, change, entry.effective_at)?,
            Fact::Goal { goal, change } => self.apply_goal(goal, change),
            Fact::AccountCreated { .. }
            | Fact::Announced { .. }
            | Fact::Departed { .. }
            | Fact::Arrived { .. }
            | Fact::GaveBack { .. }
            | Fact::CameBack { .. }
            | Fact::RoleSet { .. }
            | Fact::Erased
            | Fact::Forfeited { .. }
            | Fact::TransferredOut { .. }
            | Fact::TransferredIn { .. }
            | Fact::TransferReturned { .. }
            | Fact::PersonRedeemed { .. } => self.apply_move(entry)?,
            Fact::GrantedElsewhere { .. } => {}
            Fact::Accrued { grant, unit, revision, change, .. } => {
                self.note_accrued(grant, unit, *revision, *change)?
            }
            Fact::PayoutPrepared { .. } | Fact::PayoutSettled { .. } => self.apply_payout(entry)?,
        }
        Ok(())
    }

    fn unit(&mut self, unit: &UnitId) -> &mut UnitBook {
        let at = match self.units.iter().position(|book| book.unit == *unit) {
            Some(at) => at,
            None => {
                self.units.push(UnitBook {
                    unit: unit.clone(),
                    books: [0; Book::COUNT],
                    lots: Vec::new(),
                    lapsed: Vec::new(),
                    awaiting: Vec::new(),
                    idle_at: Instant::MAX,
                });
                self.units.len() - 1
            }
        };
        #[expect(clippy::indexing_slicing, reason = "found or pushed right above")]
        &mut self.units[at]
    }

    /// Drops what is remembered only for a time. Depends on entries alone, so that folding them gives the same.
    fn forget(&mut self, now: Instant) {
        let resolved_since = now.minus_ms(AccountState::RESOLVED_KEEP_MS);
        self.holds.retain(|hold| hold.is_open() || resolved_since < hold.at);
        let resolved = self.holds.iter().filter(|hold| !hold.is_open()).count();
        let mut surplus = resolved.saturating_sub(AccountState::RESOLVED_MAX);
        self.holds.retain(|hold| {
            let drop = !hold.is_open() && 0 < surplus;
            surplus -= usize::from(drop);
            !drop
        });
        let seats_since = now.minus_ms(AccountState::SEAT_KEEP_MS);
        self.seats.retain(|(_, _, at)| seats_since < *at);
        let lapsed_since = now.minus_ms(AccountState::LAPSED_KEEP_MS);
        for book in &mut self.units {
            book.lapsed.retain(|part| 0 < part.amount && lapsed_since < part.dates.expires_at);
            let surplus = book.lapsed.len().saturating_sub(AccountState::LAPSED_MAX);
            book.lapsed.drain(..surplus);
        }
        self.forget_vouchers(now);
        self.forget_cards(lapsed_since);
    }

    /// Balances as they stand; bring the state up to date first.
    pub fn balances(&self) -> Vec<Balance> {
        self.units.iter().map(UnitBook::balance).collect()
    }

    /// What does not agree within the state itself; empty when sound.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for book in &self.units {
            book.faults(&mut faults);
        }
        self.profile_faults(&mut faults);
        self.voucher_faults(&mut faults);
        self.card_faults(&mut faults);
        let mut held: Vec<(&UnitId, i64)> = Vec::new();
        for units in self.holds.iter().flat_map(|hold| &hold.units) {
            match held.iter_mut().find(|(unit, _)| **unit == units.unit) {
                Some((_, amount)) => *amount = amount.saturating_add(units.total()),
                None => held.push((&units.unit, units.total())),
            }
        }
        for book in &self.units {
            let by_holds = held.iter().find(|(unit, _)| **unit == book.unit).map_or(0, |(_, amount)| *amount);
            if by_holds != book.amount(Book::Held) {
                faults.push(format!(
                    "{}: holds name {by_holds} units, the book `held` {}",
                    book.unit,
                    book.amount(Book::Held)
                ));
            }
        }
        faults
    }
}

impl Lot {
    fn next_due(&self) -> Option<Instant> {
        if !self.matured {
            return Some(self.dates.activates_at);
        }
        (0 < self.free).then_some(self.dates.expires_at)
    }

    fn is_empty(&self) -> bool {
        self.free == 0 && self.held == 0
    }
}

impl UnitBook {
    pub fn amount(&self, book: Book) -> i64 {
        self.books.get(book as usize).copied().unwrap_or(0)
    }

    fn post(&mut self, book: Book, amount: i64) -> Result<(), ApplyError> {
        let Some(stands) = self.books.get_mut(book as usize) else {
            return Err(ApplyError::Inconsistent("an unknown book"));
        };
        *stands = stands.checked_add(amount).ok_or(ApplyError::Overflow)?;
        Ok(())
    }

    /// Whether a grant with these dates finds room.
    pub fn has_room(&self, dates: Dates, at: Instant) -> bool {
        self.lots.len() < AccountState::LOTS_GRANTED_MAX || self.position(dates.lot_at(at)).is_ok()
    }

    fn position(&self, dates: Dates) -> Result<usize, usize> {
        self.lots.binary_search_by_key(&dates.spend_order(), |lot| lot.dates.spend_order())
    }

    fn put(&mut self, dates: Dates, amount: i64, matured: bool) -> Result<(), ApplyError> {
        if amount == 0 {
            return Ok(());
        }
        match self.position(dates) {
            Ok(at) => {
                let lot = self.lots.get_mut(at).ok_or(ApplyError::Inconsistent("a lot is missing"))?;
                lot.free = lot.free.checked_add(amount).ok_or(ApplyError::Overflow)?;
            }
            Err(_) if AccountState::LOTS_MAX <= self.lots.len() => return Err(ApplyError::TooLarge),
            Err(at) => self.lots.insert(at, Lot { dates, free: amount, held: 0, matured }),
        }
        Ok(())
    }

    fn change(&mut self, dates: Dates, free: i64, held: i64) -> Result<(), ApplyError> {
        const SHORT: ApplyError = ApplyError::Inconsistent("a lot would go below zero");
        let at = self.position(dates).map_err(|_| SHORT)?;
        let lot = self.lots.get_mut(at).ok_or(SHORT)?;
        lot.free = lot.free.checked_add(free).ok_or(ApplyError::Overflow)?;
        lot.held = lot.held.checked_add(held).ok_or(ApplyError::Overflow)?;
        if lot.free < 0 || lot.held < 0 {
            return Err(SHORT);
        }
        if lot.is_empty() {
            self.lots.remove(at);
        }
        Ok(())
    }

    fn take(&mut self, dates: Dates, amount: i64) -> Result<(), ApplyError> {
        self.change(dates, amount.checked_neg().ok_or(ApplyError::Overflow)?, 0)
    }

    fn hold(&mut self, dates: Dates, amount: i64) -> Result<(), ApplyError> {
        self.change(dates, amount.checked_neg().ok_or(ApplyError::Overflow)?, amount)
    }

    fn unhold(&mut self, dates: Dates, amount: i64) -> Result<(), ApplyError> {
        self.change(dates, amount, amount.checked_neg().ok_or(ApplyError::Overflow)?)
    }

    fn mature(&mut self, dates: Dates, amount: i64, repaid: i64) -> Result<(), ApplyError> {
        let at = self.position(dates).map_err(|_| ApplyError::Inconsistent("a maturing lot is missing"))?;
        match self.lots.get(at) {
            Some(lot) if !lot.matured && lot.free == amount => self.lots.remove(at),
            _ => return Err(ApplyError::Inconsistent("a lot matures with another amount")),
        };
        let to_lot = amount.checked_sub(repaid).ok_or(ApplyError::Overflow)?;
        self.put(dates.lot_at(dates.activates_at), to_lot, true)
    }

    fn lapse(&mut self, dates: Dates, amount: i64) -> Result<(), ApplyError> {
        match self.lapsed.iter_mut().find(|part| part.dates == dates) {
            Some(part) => part.amount = part.amount.checked_add(amount).ok_or(ApplyError::Overflow)?,
            None => self.lapsed.push(Part { dates, amount }),
        }
        Ok(())
    }

    fn stop_waiting(&mut self, grant: &GrantId, amount: i64) -> Result<(), ApplyError> {
        const SHORT: ApplyError = ApplyError::Inconsistent("a grant waits with fewer units");
        let at = self.awaiting.iter().position(|waits| waits.grant == *grant).ok_or(SHORT)?;
        let waits = self.awaiting.get_mut(at).ok_or(SHORT)?;
        waits.amount = waits.amount.checked_sub(amount).filter(|left| 0 <= *left).ok_or(SHORT)?;
        if waits.amount == 0 {
            self.awaiting.remove(at);
        }
        Ok(())
    }

    /// When units with these dates cease to be if nothing happens.
    pub fn ends_at(&self, dates: Dates) -> Instant {
        dates.expires_at.min(self.idle_at)
    }

    /// When there is something to expire for want of activity.
    pub fn idle_due(&self) -> Option<Instant> {
        (self.idle_at < Instant::MAX && self.spendable().next().is_some()).then_some(self.idle_at)
    }

    fn take_back(&mut self, own: Dates, taken: &[Part], lapsed: i64) -> Result<(), ApplyError> {
        taken.iter().try_for_each(|part| self.take(part.dates, part.amount))?;
        let mut left = lapsed;
        for part in self.lapsed.iter_mut().filter(|part| part.dates == own) {
            let here = left.min(part.amount);
            part.amount -= here;
            left -= here;
        }
        if left != 0 {
            return Err(ApplyError::Inconsistent("more is taken from a lapsed lot than had expired"));
        }
        Ok(())
    }

    /// Lots from which units may be taken now, in spend order.
    pub fn spendable(&self) -> impl Iterator<Item = &Lot> {
        self.lots.iter().filter(|lot| lot.matured && 0 < lot.free)
    }

    /// The first `amount` spendable units, by lot; fewer if there are fewer.
    pub fn pick(&self, amount: i64) -> Vec<Part> {
        let mut left = amount;
        let mut parts = Vec::new();
        for lot in self.spendable() {
            if left <= 0 {
                break;
            }
            let here = left.min(lot.free);
            parts.push(Part { dates: lot.dates, amount: here });
            left -= here;
        }
        parts
    }

    fn balance(&self) -> Balance {
        let mut activations: Vec<(Instant, i64)> = Vec::new();
        let mut expiries: Vec<(Instant, i64)> = Vec::new();
        for lot in &self.lots {
            if !lot.matured {
                add_dated(&mut activations, lot.dates.activates_at, lot.free);
            } else if self.ends_at(lot.dates) < Instant::MAX {
                add_dated(&mut expiries, self.ends_at(lot.dates), lot.free);
            }
        }
        let mut awaited: Vec<(Instant, i64)> = Vec::new();
        for waits in &self.awaiting {
            add_dated(&mut awaited, waits.lapses_at, waits.amount);
        }
        Balance {
            unit: self.unit.clone(),
            available: self.amount(Book::Available),
            pending: self.amount(Book::Pending),
            held: self.amount(Book::Held),
            debt: self.amount(Book::Debt).saturating_neg(),
            lifetime_granted: self.amount(Book::Issued).saturating_add(self.amount(Book::InTransit)).saturating_neg(),
            lifetime_redeemed: self.amount(Book::Redeemed),
            lifetime_expired: self.amount(Book::Expired),
            lifetime_reversed: self.amount(Book::Reversed),
            lifetime_adjusted: self.amount(Book::Adjusted).saturating_neg(),
            lifetime_forgiven: self.amount(Book::Forgiven).saturating_neg(),
            lifetime_forfeited: self.amount(Book::Forfeited),
            lifetime_fees: self.amount(Book::Fees),
            in_payout: self.amount(Book::InPayout),
            lifetime_paid_out: self.amount(Book::PaidOut),
            activations,
            expiries,
            awaiting: self.awaiting.iter().fold(0, |sum, waits| sum.saturating_add(waits.amount)),
            awaited,
            idle_at: self.idle_at,
        }
    }

    fn faults(&self, faults: &mut Vec<String>) {
        let unit = &self.unit;
        let all: i128 = self.books.iter().map(|n| i128::from(*n)).sum();
        if all != 0 {
            faults.push(format!("{unit}: the books sum to {all}, not to zero"));
        }
        let free = |matured| {
            self.lots.iter().filter(|lot| lot.matured == matured).map(|lot| i128::from(lot.free)).sum::<i128>()
        };
        let waits = self.awaiting.iter().map(|waits| i128::from(waits.amount)).sum::<i128>();
        let held = self.lots.iter().map(|lot| i128::from(lot.held)).sum::<i128>();
        for (book, by_lots) in [(Book::Available, free(true)), (Book::Pending, free(false) + waits), (Book::Held, held)]
        {
            let amount = self.amount(book);
            if by_lots != i128::from(amount) {
                faults.push(format!("{unit}: lots hold {by_lots}, the book `{}` {amount}", book.name()));
            }
        }
        if self.lots.iter().any(|lot| lot.free < 0 || lot.held < 0) {
            faults.push(format!("{unit}: a lot is below zero"));
        }
        if 0 < self.amount(Book::Debt) {
            faults.push(format!("{unit}: the debt is above zero"));
        }
    }
}

fn add_dated(list: &mut Vec<(Instant, i64)>, at: Instant, amount: i64) {
    if amount == 0 {
        return;
    }
    match list.binary_search_by_key(&at, |(when, _)| *when) {
        Ok(found) => {
            if let Some((_, sum)) = list.get_mut(found) {
                *sum = sum.saturating_add(amount);
            }
        }
        Err(place) => list.insert(place, (at, amount)),
    }
    list.truncate(Balance::DATED_MAX);
}
