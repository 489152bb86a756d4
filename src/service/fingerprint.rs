//! What a caller sent, as a short hash per field: tells a resend from a reused request id, and names the first
//! field that differs. Nothing that the server adds (its time, its defaults) is part of it.

use sha2::{Digest, Sha256};

/// Which method and fields a request had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fingerprint {
    method: u8,
    /// In the order of the contract.
    fields: Vec<Field>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Field {
    name: &'static str,
    hash: Hash,
}

/// The first eight bytes of the SHA-256 of a field as sent.
type Hash = [u8; 8];

/// Of a field that was left out: of no bytes.
const ABSENT: Hash = [0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14];

/// Few writes have more.
const FIELDS_USUAL: usize = 12;

/// Version of this scheme; the first byte of what is stored.
const VERSION: u8 = 1;

/// Builds a fingerprint field by field.
#[derive(Debug)]
pub struct Builder(Fingerprint);

impl Fingerprint {
    /// `method` tells the methods apart; stable for good, for it is stored.
    pub fn of(method: u8) -> Builder {
        Builder(Fingerprint { method, fields: Vec::with_capacity(FIELDS_USUAL) })
    }

    /// As stored in a receipt. What was left out at the end is not listed: a request that knows nothing of a field
    /// added to the contract later keeps the bytes it had.
    pub fn to_bytes(&self) -> Vec<u8> {
        let listed = self.fields.iter().rposition(|field| field.hash != ABSENT).map_or(0, |last| last + 1);
        let mut bytes = Vec::with_capacity(2 + listed * size_of::<Hash>());
        bytes.extend([VERSION, self.method]);
        for field in self.fields.iter().take(listed) {
            bytes.extend_from_slice(&field.hash);
        }
        bytes
    }

    /// The name of the first field in which this request, just sent, differs from the one whose fingerprint is
    /// `stored`; `method` where it is not of the same method. Must not be asked about equal fingerprints.
    pub fn first_difference(&self, stored: &[u8]) -> &'static str {
        let hashes = match stored {
            [VERSION, method, hashes @ ..] if *method == self.method => hashes,
            _ => return "method",
        };
        let mut stored = hashes.chunks(8);
        for field in &self.fields {
            if stored.next().unwrap_or(&ABSENT) != field.hash.as_slice() {
                return field.name;
            }
        }
        "a field that this version of the server does not know"
    }
}

impl Builder {
    /// Adds the next field in the order of the contract by its bytes as sent; none: it was left out.
    #[must_use]
    pub fn field(mut self, name: &'static str, bytes: &[u8]) -> Builder {
        self.0.fields.push(Field { name, hash: hash(bytes) });
        self
    }

    pub fn done(self) -> Fingerprint {
        self.0
    }
}

fn hash(bytes: &[u8]) -> Hash {
    if bytes.is_empty() {
        return ABSENT;
    }
    let digest = Sha256::digest(bytes);
    let mut head = Hash::default();
    head.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(method: u8, order: &[u8], redeem: &[u8]) -> Fingerprint {
        Fingerprint::of(method).field("order", order).field("redeem", redeem).done()
    }

    #[test]
    fn a_field_left_out_hashes_like_no_bytes() {
        assert_eq!(Sha256::digest([]).get(..8), Some(&ABSENT[..]));
    }

    #[test]
    fn the_first_field_that_differs_is_named() {
        let stored = sent(3, b"order", b"redeem").to_bytes();
        for (sent, expected) in [
            (sent(3, b"other", b"redeem"), "order"),
            (sent(3, b"", b"redeem"), "order"),
            (sent(3, b"other", b"other"), "order"),
            (sent(3, b"order", b"other"), "redeem"),
            (sent(3, b"order", b""), "redeem"),
            (sent(2, b"order", b"redeem"), "method"),
            (
                Fingerprint::of(3).field("order", b"order").done(),
                "a field that this version of the server does not know",
            ),
        ] {
            assert_ne!(sent.to_bytes(), stored);
            assert_eq!(sent.first_difference(&stored), expected, "{sent:?}");
        }
        assert_eq!(sent(3, b"order", b"redeem").first_difference(&sent(3, b"order", b"").to_bytes()), "redeem");
        assert_eq!(sent(3, b"order", b"redeem").first_difference(&[]), "method");
    }

    #[test]
    fn a_field_added_later_and_left_out_changes_nothing() {
        let before = Fingerprint::of(3).field("order", b"order").done();
        assert_eq!(sent(3, b"order", b"").to_bytes(), before.to_bytes());
    }
}
