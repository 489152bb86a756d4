//! Referral codes: how they are made, and how what a shopper typed is read.

use std::fmt;

use sha2::{Digest, Sha256};

use super::super::id::{AccountId, CampaignId, Code, Label, ProgramId};

/// Crockford's base 32: no I, L, O or U, so nothing looks like something else.
/// <https://www.crockford.com/base32.html>
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Shortest and longest code that can exist.
const LEN_MIN: usize = 4;
const LEN_MAX: usize = 24;

/// How often another code is tried when one belongs to somebody else.
pub const ATTEMPTS_MAX: u32 = 16;

/// Reads what was typed: case, spaces and separators do not count; O is 0, I and L are 1. `None`: no code reads
/// like this.
pub fn read(raw: &str) -> Option<Code> {
    let text = normal(raw)?;
    let fits = (LEN_MIN..=LEN_MAX).contains(&text.len());
    if fits { Code::parse(&text).ok() } else { None }
}

fn normal(raw: &str) -> Option<String> {
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
    Some(text)
}

/// How a program's codes look: what stands in them as it is, what is chosen, and where the check character is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern(Vec<Place>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    As(u8),
    Chosen,
    Check,
}

/// What a pattern cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoPattern {
    Character(char),
    /// Codes have [`LEN_MIN`] to [`LEN_MAX`] characters, separators not counted.
    Length(usize),
    /// Fewer than [`Pattern::CHOSEN_MIN`] characters are chosen: somebody would guess them.
    Guessable(usize),
    ManyChecks,
}

impl fmt::Display for NoPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoPattern::Character(c) => write!(f, "{c:?} cannot stand in a code"),
            NoPattern::Length(n) => write!(f, "codes of {n} characters, of {LEN_MIN} to {LEN_MAX} that are allowed"),
            NoPattern::Guessable(n) => {
                write!(f, "{n} characters are chosen, at least {} are needed", Pattern::CHOSEN_MIN)
            }
            NoPattern::ManyChecks => write!(f, "there is more than one check character"),
        }
    }
}

impl Default for Pattern {
    /// Seven characters and a check character.
    fn default() -> Pattern {
        let chosen = std::iter::repeat_n(Place::Chosen, 7);
        Pattern(chosen.chain([Place::Check]).collect())
    }
}

impl Pattern {
    /// Twenty bits.
    pub const CHOSEN_MIN: usize = 4;

    /// `#`: a chosen character; `?`: the check character; letters and digits stand as they are, read as
    /// [`read`] reads them; separators do not count.
    pub fn parse(text: &str) -> Result<Pattern, NoPattern> {
        let mut places = Vec::new();
        for c in text.chars() {
            match c {
                '#' => places.push(Place::Chosen),
                '?' => places.push(Place::Check),
                c => {
                    let read = normal(c.encode_utf8(&mut [0; 4])).ok_or(NoPattern::Character(c))?;
                    places.extend(read.bytes().map(Place::As));
                }
            }
        }
        let count = |what: Place| places.iter().filter(|place| **place == what).count();
        if !(LEN_MIN..=LEN_MAX).contains(&places.len()) {
            return Err(NoPattern::Length(places.len()));
        }
        if count(Place::Chosen) < Pattern::CHOSEN_MIN {
            return Err(NoPattern::Guessable(count(Place::Chosen)));
        }
        if 1 < count(Place::Check) {
            return Err(NoPattern::ManyChecks);
        }
        Ok(Pattern(places))
    }

    /// Whether a code has this shape, and a check character that does not fit: somebody has mistyped it.
    pub fn is_mistyped(&self, code: &Code) -> bool {
        let text = code.as_str().as_bytes();
        if text.len() != self.0.len() || !self.0.contains(&Place::Check) {
            return false;
        }
        let mut values = Vec::new();
        let mut check = None;
        for (place, byte) in self.0.iter().zip(text) {
            let value = ALPHABET.iter().position(|known| known == byte).and_then(|at| u8::try_from(at).ok());
            match (place, value) {
                (Place::As(stands), _) if stands == byte => {}
                (Place::Chosen, Some(value)) => values.push(value),
                (Place::Check, Some(value)) => check = Some(value),
                _ => return false,
            }
        }
        check != Some(check_value(&values))
    }

    fn fill(&self, digest: &[u8]) -> Option<Code> {
        let chosen = self.0.iter().filter(|place| **place == Place::Chosen).count();
        let values: Vec<u8> = digest.iter().take(chosen).map(|byte| byte % 32).collect();
        let check = check_value(&values);
        let mut next = values.into_iter();
        let text = self.0.iter().map(|place| match place {
            Place::As(byte) => Some(char::from(*byte)),
            Place::Chosen => character(next.next()?),
            Place::Check => character(check),
        });
        Code::parse(&text.collect::<Option<String>>()?).ok()
    }
}

fn character(value: u8) -> Option<char> {
    ALPHABET.get(usize::from(value)).map(|byte| char::from(*byte))
}

/// For whom a code is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Maker<'a> {
    pub program: &'a ProgramId,
    pub campaign: &'a CampaignId,
    pub account: &'a AccountId,
    pub label: Option<&'a Label>,
}

/// The code of an advocate for a campaign and a label, at the `attempt`th try: the same whoever computes it, so that a
/// request sent twice finds its own code.
pub fn made(maker: Maker<'_>, pattern: &Pattern, attempt: u32) -> Option<Code> {
    let mut hash = Sha256::new();
    let label = maker.label.map_or("", Label::as_str);
    for part in [maker.program.as_str(), maker.campaign.as_str(), maker.account.as_str(), label, &attempt.to_string()] {
        hash.update(part);
        hash.update(b"|");
    }
    pattern.fill(&hash.finalize())
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
    fn r1_what_was_typed_is_read() {
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

    fn code(pattern: &str, account: &str, label: Option<&str>, attempt: u32) -> Code {
        let program = ProgramId::parse("p").expect("valid");
        let campaign = CampaignId::parse("c").expect("valid");
        let account = AccountId::parse(account).expect("valid");
        let label = label.map(|label| Label::parse(label).expect("valid"));
        let maker = Maker { program: &program, campaign: &campaign, account: &account, label: label.as_ref() };
        made(maker, &Pattern::parse(pattern).expect("a pattern"), attempt).expect("a code")
    }

    #[test]
    fn r1_a_made_code_reads_as_itself_and_differs_by_whose_and_what_for() {
        let first = code("#######?", "mia", None, 0);
        assert_eq!(first.as_str().len(), 8);
        assert_eq!(read(first.as_str()), Some(first.clone()));
        assert_eq!(code("#######?", "mia", None, 0), first);
        for other in [
            code("#######?", "mia", None, 1),
            code("#######?", "leo", None, 0),
            code("#######?", "mia", Some("video"), 0),
        ] {
            assert_ne!(other, first);
        }
        let shaped = code("frio-####-?", "mia", None, 0);
        assert!(shaped.as_str().starts_with("FR10") && shaped.as_str().len() == 9, "{shaped}");
    }

    #[test]
    fn r1_the_check_character_finds_every_wrong_character() {
        let pattern = Pattern::default();
        let right = code("#######?", "mia", None, 0);
        assert!(!pattern.is_mistyped(&right));
        for at in 0..right.as_str().len() {
            for other in ALPHABET {
                let mut text = right.as_str().as_bytes().to_vec();
                if text[at] == *other {
                    continue;
                }
                text[at] = *other;
                let wrong = Code::parse(std::str::from_utf8(&text).expect("ASCII")).expect("valid");
                assert!(pattern.is_mistyped(&wrong), "{wrong}");
            }
        }
        // What has another shape was not mistyped: there is no such code.
        for other in ["M1A0", "M1AR0CKS", "UUUUUUUU"] {
            let is_shaped = other.len() == 8 && !other.contains('U');
            assert_eq!(pattern.is_mistyped(&read(other).expect("a code")), is_shaped, "{other}");
        }
    }

    #[test]
    fn r1_a_pattern_is_refused_with_its_fault() {
        for (text, expected) in [
            ("####?", None),
            ("MIA####", None),
            ("M|A####", Some(NoPattern::Character('|'))),
            ("###?", Some(NoPattern::Guessable(3))),
            ("##", Some(NoPattern::Length(2))),
            ("AAAAAAAAAAAAAAAAAAAAA####", Some(NoPattern::Length(25))),
            ("####??", Some(NoPattern::ManyChecks)),
        ] {
            assert_eq!(Pattern::parse(text).err(), expected, "{text}");
        }
    }
}
