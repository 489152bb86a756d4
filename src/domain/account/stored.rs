//! How an account lies in storage. It is read and written with every commit, and most of it is empty, zero, or as something else
//! in it: that takes one bit each.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::compact::{Parts, Reader};
use super::super::id::{AccountId, MemberId};
use super::super::ledger::{Book, Dates, DecodeError, ENCODED_LEN_USUAL, Stored, decode, encode, write};
use super::super::time::Instant;
use super::{AccountKind, AccountState, Lot, MemberRecord, Person, Profile, Role, UnitBook};

/// The first byte of a stored account; an alias is as format 1 has it.
const FORMAT: u8 = 2;

/// Format 1: field after field.
#[derive(Serialize, Deserialize)]
enum Format1 {
    Account(Arc<AccountState>),
    Alias(AccountId),
}

impl MemberRecord {
    /// Encodes for storage.
    pub fn to_stored(&self) -> Vec<u8> {
        match self {
            MemberRecord::Account(state) => write_account(state),
            MemberRecord::Alias(to) => encode(&Format1::Alias(to.clone())),
        }
    }
}

impl Stored for MemberRecord {
    /// The inverse of [`MemberRecord::to_stored`]; reads accounts of format 1, too.
    fn from_stored(bytes: &[u8]) -> Result<MemberRecord, DecodeError> {
        match bytes.split_first() {
            Some((&FORMAT, body)) => {
                let mut from = Reader(body);
                let state = read(&mut from)?;
                if from.0.is_empty() { Ok(MemberRecord::Account(Arc::new(state))) } else { Err(DecodeError::Damaged) }
            }
            Some((&found, _)) if FORMAT < found => Err(DecodeError::TooNew { found, known: FORMAT }),
            _ => Ok(match decode(bytes)? {
                Format1::Account(state) => MemberRecord::Account(state),
                Format1::Alias(to) => MemberRecord::Alias(to),
            }),
        }
    }
}

fn write_account(state: &AccountState) -> Vec<u8> {
    // Taken apart whole, so that a field added to accounts cannot be forgotten here.
    let AccountState {
        account,
        enrolled_at,
        sequence,
        head,
        posted_at,
        units,
        holds,
        orders,
        referral,
        codes,
        friends_qualified,
        orders_returned,
        counters,
        kind,
        people,
        cards,
        vouchers,
        tags,
        events,
        active_at,
        occasions,
        ladders,
        goals,
        referrals_merged,
        homes,
        away,
        departures,
        erased_at,
        seats,
        transfers,
        ordered_at,
        outstanding,
        weighed,
        payouts,
    } = state;
    let mut to = Vec::with_capacity(ENCODED_LEN_USUAL);
    to.push(FORMAT);
    write(&mut to, &(account, enrolled_at, sequence, head, posted_at, orders));
    write(&mut to, &units.len());
    units.iter().for_each(|book| write_book(&mut to, book));
    write(&mut to, &people.len());
    people.iter().for_each(|person| write_person(&mut to, person, account, *enrolled_at));
    let mut parts = Parts::<4>::new(&mut to);
    parts.unless(active_at, posted_at);
    parts.unless(ordered_at, active_at);
    parts.unless(kind, &AccountKind::default());
    parts.unless(holds, &Vec::new());
    parts.some(referral.as_ref());
    parts.unless(codes, &Vec::new());
    parts.unless(friends_qualified, &0);
    parts.unless(orders_returned, &0);
    parts.unless(counters, &Vec::new());
    parts.unless(cards, &Vec::new());
    parts.unless(vouchers, &Vec::new());
    parts.unless(tags, &Vec::new());
    parts.unless(events, &Vec::new());
    parts.unless(occasions, &Vec::new());
    parts.unless(ladders, &Vec::new());
    parts.unless(goals, &Vec::new());
    parts.unless(referrals_merged, &Vec::new());
    parts.unless(homes, &Vec::new());
    parts.some(away.as_ref());
    parts.unless(departures, &0);
    parts.some(erased_at.as_ref());
    parts.unless(seats, &Vec::new());
    parts.unless(transfers, &Vec::new());
    parts.unless(outstanding, &Vec::new());
    parts.unless(weighed, &Vec::new());
    parts.unless(payouts, &Vec::new());
    to
}

fn read(from: &mut Reader<'_>) -> Result<AccountState, DecodeError> {
    let (account, enrolled_at, sequence, head, posted_at, orders) = from.take()?;
    let units = (0..from.count()?).map(|_| read_book(from)).collect::<Result<_, _>>()?;
    let people = (0..from.count()?).map(|_| read_person(from, &account, enrolled_at)).collect::<Result<_, _>>()?;
    let mut flags = from.flags::<4>()?;
    let active_at = flags.or(from, posted_at)?;
    Ok(AccountState {
        ordered_at: flags.or(from, active_at)?,
        kind: flags.or(from, AccountKind::default())?,
        holds: flags.or(from, Vec::new())?,
        referral: flags.some(from)?,
        codes: flags.or(from, Vec::new())?,
        friends_qualified: flags.or(from, 0)?,
        orders_returned: flags.or(from, 0)?,
        counters: flags.or(from, Vec::new())?,
        cards: flags.or(from, Vec::new())?,
        vouchers: flags.or(from, Vec::new())?,
        tags: flags.or(from, Vec::new())?,
        events: flags.or(from, Vec::new())?,
        occasions: flags.or(from, Vec::new())?,
        ladders: flags.or(from, Vec::new())?,
        goals: flags.or(from, Vec::new())?,
        referrals_merged: flags.or(from, Vec::new())?,
        homes: flags.or(from, Vec::new())?,
        away: flags.some(from)?,
        departures: flags.or(from, 0)?,
        erased_at: flags.some(from)?,
        seats: flags.or(from, Vec::new())?,
        transfers: flags.or(from, Vec::new())?,
        outstanding: flags.or(from, Vec::new())?,
        weighed: flags.or(from, Vec::new())?,
        payouts: flags.or(from, Vec::new())?,
        account,
        enrolled_at,
        sequence,
        head,
        posted_at,
        units,
        orders,
        people,
        active_at,
    })
}

fn write_book(to: &mut Vec<u8>, book: &UnitBook) {
    let UnitBook { unit, books, lots, lapsed, awaiting, idle_at } = book;
    write(to, unit);
    let mut parts = Parts::<3>::new(to);
    books.iter().for_each(|amount| parts.unless(amount, &0));
    parts.unless(lapsed, &Vec::new());
    parts.unless(awaiting, &Vec::new());
    parts.unless(idle_at, &Instant::MAX);
    write(to, &lots.len());
    for Lot { dates, free, held, matured } in lots {
        write(to, &(dates.expires_at, free));
        let mut parts = Parts::<1>::new(to);
        // As those have that are active.
        parts.unless(&dates.activates_at, &Instant(0));
        parts.unless(held, &0);
        parts.flag(*matured);
    }
}

fn read_book(from: &mut Reader<'_>) -> Result<UnitBook, DecodeError> {
    let unit = from.take()?;
    let mut flags = from.flags::<3>()?;
    let mut books = [0; Book::COUNT];
    for amount in &mut books {
        *amount = flags.or(from, 0)?;
    }
    let (lapsed, awaiting) = (flags.or(from, Vec::new())?, flags.or(from, Vec::new())?);
    let idle_at = flags.or(from, Instant::MAX)?;
    let lots = (0..from.count()?).map(|_| read_lot(from)).collect::<Result<_, _>>()?;
    Ok(UnitBook { unit, books, lots, lapsed, awaiting, idle_at })
}

fn read_lot(from: &mut Reader<'_>) -> Result<Lot, DecodeError> {
    let (expires_at, free) = from.take()?;
    let mut flags = from.flags::<1>()?;
    let (activates_at, held) = (flags.or(from, Instant(0))?, flags.or(from, 0)?);
    Ok(Lot { dates: Dates { activates_at, expires_at }, free, held, matured: flags.flag() })
}

/// Most accounts have one person, whose they are.
fn write_person(to: &mut Vec<u8>, person: &Person, account: &AccountId, enrolled_at: Instant) {
    let Person { member, role, joined_at, profile_digest, profile, redeemed } = person;
    let mut parts = Parts::<1>::new(to);
    parts.some((member.as_str() != account.as_str()).then_some(member));
    parts.unless(role, &Role::Owner);
    parts.unless(joined_at, &enrolled_at);
    parts.some(profile_digest.as_ref());
    parts.unless(profile, &Profile::default());
    parts.unless(redeemed, &Vec::new());
}

fn read_person(from: &mut Reader<'_>, account: &AccountId, enrolled_at: Instant) -> Result<Person, DecodeError> {
    let mut flags = from.flags::<1>()?;
    Ok(Person {
        member: flags.some(from)?.unwrap_or_else(|| MemberId::from(account)),
        role: flags.or(from, Role::Owner)?,
        joined_at: flags.or(from, enrolled_at)?,
        profile_digest: flags.some(from)?,
        profile: flags.or(from, Profile::default())?,
        redeemed: flags.or(from, Vec::new())?,
    })
}
