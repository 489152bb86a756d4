//! What a caller sent, as a short hash per field: tells a resend from a reused request id, and names the first
//! field that differs. Nothing that the server adds (its time, its defaults) is part of it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Which method and fields a request had.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Version of this scheme.
    version: u8,
    method: u8,
    /// One hash per field, in the order of the contract.
    fields: Vec<u64>,
}

/// Builds a fingerprint field by field.
#[derive(Debug)]
pub struct Builder(Fingerprint);

impl Fingerprint {
    /// `method` tells the methods apart; stable for good, for it is stored.
    pub fn of(method: u8) -> Builder {
        Builder(Fingerprint { version: 1, method, fields: Vec::new() })
    }

    /// As stored in a receipt.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.version, self.method];
        for field in &self.fields {
            bytes.extend_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    /// The position of the first field in which two stored fingerprints differ; `None`: not of the same method
    /// or scheme. Equal fingerprints must not be asked about.
    pub fn first_difference(stored: &[u8], sent: &[u8]) -> Option<usize> {
        if stored.len() != sent.len() || stored.get(..2)? != sent.get(..2)? {
            return None;
        }
        let fields = stored.get(2..)?.chunks(8).zip(sent.get(2..)?.chunks(8));
        fields.enumerate().find(|(_, (a, b))| a != b).map(|(at, _)| at)
    }
}

impl Builder {
    /// Adds a field by its bytes as sent.
    #[must_use]
    pub fn field(mut self, bytes: &[u8]) -> Builder {
        let digest = Sha256::digest(bytes);
        let mut head = [0; 8];
        head.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
        self.0.fields.push(u64::from_be_bytes(head));
        self
    }

    pub fn done(self) -> Fingerprint {
        self.0
    }
}
