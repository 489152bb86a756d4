//! Prize draws that anybody can recompute. The program states a commitment, the SHA-256 of a secret seed; the seed is
//! the server's and is revealed when the draw is over. Until then the outcome of a ticket is fixed by what names it,
//! and nobody who lacks the seed can foresee it.

use std::fmt;

use ring::hmac;
use sha2::{Digest, Sha256};

use super::id::{AccountId, DrawId, GrantId};

/// A secret. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(Box<[u8]>);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(seed)")
    }
}

impl Seed {
    pub const LEN_MIN: usize = 16;
    pub const LEN_MAX: usize = 64;

    /// From hexadecimal digits, two a byte; `None`: not that, or not [`Seed::LEN_MIN`] to [`Seed::LEN_MAX`] bytes.
    pub fn parse(hex: &str) -> Option<Seed> {
        let bytes = bytes_of(hex)?;
        (Seed::LEN_MIN..=Seed::LEN_MAX).contains(&bytes.len()).then(|| Seed(bytes.into()))
    }

    /// What a program may state before the seed is known.
    pub fn commitment(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }

    /// For the day on which it is revealed.
    pub fn reveal(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The bytes that hexadecimal digits say.
pub fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..hex.len()).step_by(2).map(|at| hex.get(at..at + 2));
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

/// The ticket drawn, from 0 to below `of`: the first 16 bytes of HMAC-SHA256(seed, `draw|account|cause`), as one number
/// from the most significant byte on, modulo `of`. No id holds a `|`, so no two tickets have the same text. One of so
/// many numbers is likelier than another by less than one in 2^64, for `of` has less than 64 bits.
pub fn ticket(seed: &Seed, draw: &DrawId, account: &AccountId, cause: &GrantId, of: i64) -> i64 {
    let hash = hmac_sha256(&seed.0, format!("{draw}|{account}|{cause}").as_bytes());
    let number = hash.iter().take(16).fold(0u128, |number, byte| (number << 8) | u128::from(*byte));
    let of = u128::try_from(of.max(1)).unwrap_or(1);
    i64::try_from(number % of).unwrap_or(0)
}

/// The ticket that is the `number`-th to be taken out of a drum from which each of `of` comes out once, counted from 0.
/// `number` is put through a Feistel network of twice `b` bits, the least `b` with `2^(2b) >= of`, again until it is below
/// `of`; in round `r` of [`ROUNDS`] (left, right) becomes (right, left xor the first 8 bytes of
/// HMAC-SHA256(seed, `draw|drum|r|right`), as one number from the most significant byte on, modulo `2^b`). Such a
/// network only changes the order, whatever its rounds do, so all tickets come out and none twice.
pub fn drum_ticket(seed: &Seed, draw: &DrawId, number: i64, of: i64) -> i64 {
    let of = u64::try_from(of.max(1)).unwrap_or(1);
    let half = (u64::BITS - (of - 1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1u64 << half) - 1;
    let mix = |round: u32, right: u64| {
        let hash = hmac_sha256(&seed.0, format!("{draw}|drum|{round}|{right}").as_bytes());
        hash.iter().take(8).fold(0u64, |number, byte| (number << 8) | u64::from(*byte)) & mask
    };
    let mut place = u64::try_from(number).unwrap_or(0) % of;
    // It goes round among at most four times as many places, back to where it began: it comes by one below `of`.
    for _ in 0..4 * u128::from(of) {
        let (mut left, mut right) = (place >> half, place & mask);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ mix(round, right));
        }
        place = (left << half) | right;
        if place < of {
            break;
        }
    }
    i64::try_from(place).unwrap_or(0)
}

/// Of the network that orders a drum.
pub const ROUNDS: u32 = 8;

pub(super) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut bytes = [0u8; 32];
    bytes.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_rfc_4231() {
        for (key, message, expected) in [
            (&[0x0b; 20][..], &b"Hi There"[..], "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hmac_sha256(key, message).to_vec(), bytes_of(expected).expect("hexadecimal"));
        }
    }

    #[test]
    fn a_seed_is_hexadecimal_and_hides_itself() {
        let hex = "00112233445566778899aabbccddeeff";
        let seed = Seed::parse(hex).expect("a seed");
        assert_eq!((seed.reveal().as_str(), format!("{seed:?}").as_str()), (hex, "(seed)"));
        for odd in ["", "0", "00", "0011223344556677", "zz112233445566778899aabbccddeeff", &"00".repeat(65)] {
            assert_eq!(Seed::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_drum_holds_each_ticket_once() {
        let seed = Seed::parse("00112233445566778899aabbccddeeff").expect("a seed");
        let draw = DrawId::parse("d").expect("an id");
        for of in [1, 2, 3, 4, 5, 7, 16, 17, 100, 1_025] {
            let mut out: Vec<i64> = (0..of).map(|number| drum_ticket(&seed, &draw, number, of)).collect();
            if of == 100 {
                assert_ne!(out[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "in an order of its own");
            }
            out.sort_unstable();
            assert_eq!(out, (0..of).collect::<Vec<_>>());
        }
    }

    #[test]
    fn tickets_are_spread_evenly() {
        let seed = Seed::parse("00112233445566778899aabbccddeeff").expect("a seed");
        let (draw, account) = (DrawId::parse("d").expect("an id"), AccountId::parse("mia").expect("an id"));
        let mut found = [0u32; 10];
        for n in 0..10_000 {
            let number = n.to_string();
            let ticket = ticket(&seed, &draw, &account, &GrantId::of(&["o", &number]), 10);
            found[usize::try_from(ticket).expect("from 0 on")] += 1;
        }
        assert!(found.iter().all(|n| (850..1_150).contains(n)), "{found:?}");
    }
}
