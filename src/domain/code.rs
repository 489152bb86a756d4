//! Referral codes: how they are made, and how what a shopper typed is read.

use sha2::{Digest, Sha256};

use super::id::{AccountId, CampaignId, Code, ProgramId};

/// Crockford's base 32: no I, L, O or U, so nothing looks like something else.
/// <https://www.crockford.com/base32.html>
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Shortest and longest code that can exist.
const LEN_MIN: usize = 4;
const LEN_MAX: usize = 24;

/// Characters of a made code before its check character.
const PAYLOAD: usize = 7;

/// How often another code is tried when one belongs to somebody else.
pub const ATTEMPTS_MAX: u32 = 16;

/// Reads what was typed: case, spaces and separators do not count; O is 0, I and L are 1. `None`: no code reads
/// like this.
pub fn read(raw: &str) -> Option<Code> {
    let mut text = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c.to_ascii_uppercase() {
            ' ' | '-' | '_' | '.' => {}
            'O' => text.push('0'),
            'I' | 'L' => text.push('1'),
            c if c.is_ascii_alphanumeric() => text.push(c),
            _ => return None,
        }
    }
    let fits = (LEN_MIN..=LEN_MAX).contains(&text.len());
    if fits { Code::parse(&text).ok() } else { None }
}

/// The code of an advocate for a campaign, at the `attempt`th try: the same whoever computes it, so that a request
/// sent twice finds its own code. Ends in a check character.
pub fn made(program: &ProgramId, campaign: &CampaignId, account: &AccountId, attempt: u32) -> Option<Code> {
    let mut hash = Sha256::new();
    for part in [program.as_str(), campaign.as_str(), account.as_str(), &attempt.to_string()] {
        hash.update(part);
        hash.update(b"|");
    }
    let digest = hash.finalize();
    let mut values: Vec<u8> = digest.iter().take(PAYLOAD).map(|byte| byte % 32).collect();
    values.push(check_value(&values));
    let text: String =
        values.iter().filter_map(|value| ALPHABET.get(usize::from(*value))).map(|b| char::from(*b)).collect();
    Code::parse(&text).ok()
}

/// The Luhn mod N check value (N = 32): finds every single wrong character and nearly every swap of neighbours.
/// <https://en.wikipedia.org/wiki/Luhn_mod_N_algorithm>
fn check_value(values: &[u8]) -> u8 {
    let mut sum = 0u32;
    for (at, value) in values.iter().rev().enumerate() {
        let factor = if at % 2 == 0 { 2 } else { 1 };
        let addend = u32::from(*value) * factor;
        sum += addend / 32 + addend % 32;
    }
    u8::try_from((32 - sum % 32) % 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_read() {
        for (raw, expected) in [
            ("mia-7q2k", Some("M1A7Q2K")),
            (" MIA 7Q2K ", Some("M1A7Q2K")),
            ("OIL0", Some("0110")),
            ("abc", None),
            ("", None),
            ("grüße", None),
            ("a|bcd", None),
            (&"x".repeat(25), None),
        ] {
            assert_eq!(read(raw).map(|code| code.as_str().to_owned()), expected.map(str::to_owned), "{raw:?}");
        }
    }

    #[test]
    fn a_made_code_reads_as_itself_and_differs_by_attempt() {
        let program = ProgramId::parse("p").expect("valid");
        let campaign = CampaignId::parse("c").expect("valid");
        let account = AccountId::parse("mia").expect("valid");
        let first = made(&program, &campaign, &account, 0).expect("a code");
        assert_eq!(first.as_str().len(), 8);
        assert_eq!(read(first.as_str()), Some(first.clone()));
        assert_eq!(made(&program, &campaign, &account, 0), Some(first.clone()));
        assert_ne!(made(&program, &campaign, &account, 1), Some(first));
    }
}
