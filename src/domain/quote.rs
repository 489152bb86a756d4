//! Quotes that are honoured: what a shopper was told, signed, so that nothing has to be kept for it.
//!
//! A token is 64 to [`TOKEN_BYTES_MAX`] hexadecimal digits: HMAC-SHA256 over what follows, then the quote. Whoever holds it can
//! read it and change nothing of it; it holds no more than its holder was told, and ids.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::answer::{Decided, Effect, Promise, Subject};
use super::command::Redeem;
use super::draw::{bytes_of, hmac_sha256};
use super::id::{MemberId, ProgramId};
use super::ledger::{Hash, decode, digest, encode};
use super::order::Order;
use super::program::ProgramVersion;
use super::time::Instant;

/// Longest token that is looked at; one with all the promises that an order can make is shorter.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// What a token is for: the first byte of what is signed, so that one of another purpose or form is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    Quote = 1,
    /// Where a page of a ledger ended.
    Page = 2,
}

/// Signs quotes, and what else a caller brings back. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct QuoteKey(Box<[u8]>);

impl fmt::Debug for QuoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(key)")
    }
}

impl QuoteKey {
    pub const LEN_MIN: usize = 16;
    pub const LEN_MAX: usize = 64;

    /// `None`: not [`QuoteKey::LEN_MIN`] to [`QuoteKey::LEN_MAX`] bytes.
    pub fn of(bytes: &[u8]) -> Option<QuoteKey> {
        (QuoteKey::LEN_MIN..=QuoteKey::LEN_MAX).contains(&bytes.len()).then(|| QuoteKey(bytes.into()))
    }

    /// From hexadecimal digits, two a byte.
    pub fn parse(hex: &str) -> Option<QuoteKey> {
        QuoteKey::of(&bytes_of(hex)?)
    }
}

/// A quote that its deployment has signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Quote {
    pub program: ProgramId,
    /// `None`: a guest was told.
    pub member: Option<MemberId>,
    /// Exclusive.
    pub honoured_until: Instant,
    pub pin: Pin,
}

/// What a quote pins, and what it said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pin {
    pub version: ProgramVersion,
    /// As of which it was decided.
    pub at: Instant,
    /// Of the cart: see [`cart`].
    pub cart: Hash,
    /// Of what was to be used on it: see [`wish`].
    pub wish: Hash,
    pub promises: Vec<Promise>,
}

/// A quote that a command relies on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Relied {
    /// As sent: nobody has looked at it yet.
    Token(Box<str>),
    /// Nobody of this deployment signed it.
    Invalid,
    Signed(Box<Quote>),
}

/// SHA-256 over all of an order but its id, which a cart may not have yet or may change.
pub fn cart(order: &Order) -> Hash {
    let zone = order.zone.as_ref().and_then(|zone| zone.iana_name());
    let head = (&order.currency, &order.channel, &order.store, zone, order.prices_include_tax, order.kind);
    digest(&encode(&(head, &order.lines, &order.recipient, &order.coupons)))
}

/// SHA-256 over what is to be used on an order.
pub fn wish(redeem: Option<&Redeem>) -> Hash {
    digest(&encode(&redeem))
}

/// What a decision tells a shopper that they get.
pub fn promises(decided: &Decided) -> Vec<Promise> {
    let mut promises: Vec<Promise> = Vec::new();
    for effect in &decided.effects {
        let (subject, amount) = match effect {
            Effect::Discount(used) => match &used.voucher {
                Some(voucher) => (Subject::Voucher(voucher.clone()), used.amount_minor),
                None => (Subject::Reward(used.reward.clone()), used.amount_minor),
            },
            Effect::Redeemed(used) => (Subject::Payment(used.unit.clone()), used.units),
            Effect::Granted(granted) => (Subject::Units(granted.unit.clone()), granted.granted),
            _ => continue,
        };
        match promises.iter_mut().find(|known| known.subject == subject) {
            Some(known) => known.amount = known.amount.saturating_add(amount),
            None => promises.push(Promise { subject, amount }),
        }
    }
    promises
}

/// The token of a quote.
pub fn seal(key: &QuoteKey, quote: &Quote) -> String {
    seal_as(Purpose::Quote, key, quote)
}

/// The quote of a token that any of the keys has signed.
pub fn open(keys: &[QuoteKey], token: &str) -> Option<Quote> {
    open_as(Purpose::Quote, keys, token)
}

/// The token of something that a caller brings back.
pub fn seal_as<T: Serialize>(purpose: Purpose, key: &QuoteKey, told: &T) -> String {
    let mut signed = vec![purpose as u8];
    signed.extend(encode(told));
    let hash = hmac_sha256(&key.0, &signed);
    hash.iter().chain(&signed).map(|byte| format!("{byte:02x}")).collect()
}

/// What a token says that any of the keys has signed, for this purpose.
pub fn open_as<T: DeserializeOwned>(purpose: Purpose, keys: &[QuoteKey], token: &str) -> Option<T> {
    let bytes = bytes_of(token)?;
    let (hash, signed) = bytes.split_at_checked(32)?;
    if !keys.iter().any(|key| is_same(&hmac_sha256(&key.0, signed), hash)) {
        return None;
    }
    let (stated, told) = signed.split_first()?;
    if *stated != purpose as u8 {
        return None;
    }
    decode(told).ok()
}

/// Takes as long wherever the two differ.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote() -> Quote {
        Quote {
            program: ProgramId::parse("bakery").expect("an id"),
            member: Some(MemberId::parse("mia").expect("an id")),
            honoured_until: Instant(7),
            pin: Pin {
                version: ProgramVersion("0123".into()),
                at: Instant(5),
                cart: [9; 32],
                wish: [8; 32],
                promises: Vec::new(),
            },
        }
    }

    #[test]
    fn a_token_is_opened_by_its_key_alone_and_whole_alone() {
        let keys = [[1; 32], [2; 32]].map(|bytes: [u8; 32]| QuoteKey::of(&bytes).expect("a key"));
        let token = seal(&keys[0], &quote());
        assert_eq!(open(&keys, &token), Some(quote()), "whichever of the keys");
        assert_eq!(open(&keys[1..], &token), None);
        assert_eq!(open(&[], &token), None);
        for at in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(open(&keys, &String::from_utf8(other).expect("ascii")), None, "digit {at}");
        }
        for part in ["", "00", "é", &token[..64], &token[2..], &format!("{token}00")] {
            assert_eq!(open(&keys, part), None, "{part}");
        }
        let other = seal_as(Purpose::Page, &keys[0], &quote());
        assert_eq!(open(&keys, &other), None, "of another purpose");
        assert_eq!(open_as(Purpose::Page, &keys, &other), Some(quote()));
        assert_eq!(format!("{:?}", keys[0]), "(key)");
        assert_eq!(QuoteKey::parse("00"), None);
    }
}
