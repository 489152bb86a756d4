//! Where a thing lies in the file.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use sha2::{Digest, Sha256};

use super::super::Key;

/// The kinds of things that are found by key. One name may be used once in each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Record = 1,
    Receipt = 2,
    Log = 3,
}

/// The key of a row in `places`: two bytes of partition, two of hash of the owner, sixteen of hash of the kind and the whole
/// key, SHA-256 cut short.
///
/// What one account owns thus lies side by side, and a commit, which is about one account, changes one page there
/// instead of one for each thing that it names. The last sixteen bytes alone tell things apart: no two names are known
/// that have them in common, so nothing is compared beyond.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Place([u8; Place::LEN]);

impl Place {
    pub(super) const LEN: usize = 20;

    pub(super) fn of_record(key: &Key) -> Place {
        Place::of(Kind::Record, key)
    }

    pub(super) fn of_receipt(key: &Key) -> Place {
        Place::of(Kind::Receipt, key)
    }

    pub(super) fn of_log(key: &Key) -> Place {
        Place::of(Kind::Log, key)
    }

    fn of(kind: Kind, key: &Key) -> Place {
        let partition = key.partition.0.to_be_bytes();
        let [high, low, ..]: [u8; 32] = Sha256::digest(owner(&key.name)).into();
        let mut whole = Sha256::new();
        whole.update([kind as u8]);
        whole.update(partition);
        whole.update(key.name.as_bytes());
        let whole: [u8; 32] = whole.finalize().into();

        let mut place = [0; Place::LEN];
        place[..2].copy_from_slice(&partition);
        place[2..4].copy_from_slice(&[high, low]);
        place[4..].copy_from_slice(&whole[..16]);
        Place(place)
    }
}

impl ToSql for Place {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0)))
    }
}

/// `bakery|mia-7` of `ord|bakery|mia-7|order-1`. Only where a thing lies depends on it, not whether it is found.
fn owner(name: &str) -> &str {
    let rest = name.split_once('|').map_or("", |(_, rest)| rest);
    let end = rest.match_indices('|').nth(1).map_or(rest.len(), |(at, _)| at);
    rest.get(..end).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::super::super::Partition;
    use super::*;

    fn key(partition: u16, name: &str) -> Key {
        Key { partition: Partition(partition), name: name.into() }
    }

    #[test]
    fn what_one_account_owns_lies_side_by_side_and_apart() {
        let places = [
            Place::of_record(&key(7, "acct|bakery|mia-7")),
            Place::of_record(&key(7, "ord|bakery|mia-7|order-1")),
            Place::of_receipt(&key(7, "rcp|bakery|mia-7|req|1")),
            Place::of_log(&key(7, "log|bakery|mia-7")),
        ];
        assert!(places.iter().all(|place| place.0[..4] == places[0].0[..4]));
        for (n, place) in places.iter().enumerate() {
            assert!(places.iter().skip(n + 1).all(|other| other != place));
        }
        let other = Place::of_record(&key(7, "acct|bakery|leo"));
        assert_eq!(other.0[..2], places[0].0[..2]);
        assert_ne!(other.0[..4], places[0].0[..4]);
    }

    #[test]
    fn one_name_lies_elsewhere_as_another_kind_and_in_another_partition() {
        let name = key(7, "a");
        assert_ne!(Place::of_record(&name), Place::of_receipt(&name));
        assert_ne!(Place::of_receipt(&name), Place::of_log(&name));
        assert_ne!(Place::of_record(&name), Place::of_record(&key(8, "a")));
    }

    /// Files outlive the program: where it looks must never change.
    #[test]
    fn a_place_is_what_it_always_was() {
        let place = Place::of_record(&key(258, "acct|bakery|mia-7"));
        let hex: String = place.0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "0102a129de901c71b738c52c79854962e885b95e");
    }

    #[test]
    fn names_of_any_form_have_an_owner() {
        let table = [
            ("qkey", ""),
            ("", ""),
            ("|", ""),
            ("acct|bakery|mia-7", "bakery|mia-7"),
            ("ord|bakery|mia-7|a|b", "bakery|mia-7"),
            ("prog|bakery", "bakery"),
            ("x|é|ü|ß", "é|ü"),
        ];
        for (name, wanted) in table {
            assert_eq!(owner(name), wanted, "{name}");
        }
    }
}
