//! API keys: random, shown once, kept as hashes.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// What a caller sends. Shown when it is made, and never again.
pub struct ApiKey(String);

impl ApiKey {
    /// So that scanners of repositories and logs recognise one.
    pub const PREFIX: &str = "gdn_";
    const RANDOM_BYTES: usize = 32;

    /// A new key, or `None` where the machine gives no random bytes.
    pub fn generate() -> Option<ApiKey> {
        let mut random = [0_u8; ApiKey::RANDOM_BYTES];
        getrandom::fill(&mut random).ok()?;
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(ApiKey(format!("{}{digits}", ApiKey::PREFIX)))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&self.0)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// SHA-256 of a key. A key is 256 random bits, so that nothing slower is needed to keep it from being guessed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    pub fn of(key: &str) -> KeyHash {
        KeyHash(Sha256::digest(key.as_bytes()).into())
    }

    /// 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<KeyHash> {
        let mut bytes = [0_u8; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(KeyHash(bytes))
    }

    /// In a time that does not depend on where they differ.
    pub fn same(&self, other: &KeyHash) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hash of a secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_random_and_their_hashes_are_read_as_written() {
        let (one, other) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        assert_ne!(one.expose(), other.expose());
        assert_eq!(one.expose().len(), ApiKey::PREFIX.len() + 64);
        let hash = one.hash();
        assert_eq!(KeyHash::parse(&hash.to_string()), Some(hash));
        assert!(bool::from(hash.same(&KeyHash::of(one.expose()))));
        assert!(!bool::from(hash.same(&other.hash())));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(KeyHash::parse(hash), Some(KeyHash::of("")));
        for wrong in ["", &hash[1..], &format!("{hash}0"), &hash.replace('e', "g"), &hash.replace("e3", "é")] {
            assert_eq!(KeyHash::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn neither_key_nor_hash_shows_itself() {
        let key = ApiKey::generate().unwrap();
        let shown = format!("{key:?} {:?}", key.hash());
        assert!(!shown.contains(&key.expose()[4..12]) && !shown.contains(&key.hash().to_string()[..8]), "{shown}");
    }
}
