//! The hash tag of each partition, chosen so that partitions spread evenly over the slots of a Redis Cluster.

use std::collections::HashMap;

use crate::store::Layout;

const SLOTS: u16 = 16_384;
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// All 16,384 slots have a tag of at most this many digits; a test says so.
const TAG_LEN_MAX: u32 = 4;

/// One tag for each partition, in order. Partition `p` of `n` lies in slot `floor(p * 16384 / n)` under the first
/// tag that hashes there, in the order `0`, `1`, ... `z`, `00`, `01`, ... Keys are stored under these tags, so
/// this order never changes.
pub(super) fn tags(layout: Layout) -> Vec<String> {
    let mut wanted: HashMap<u16, usize> =
        (0..layout.partitions()).map(|partition| slot_of(partition, layout)).zip(0..).collect();
    let mut tags = vec![String::new(); wanted.len()];
    for tag in candidates() {
        if let Some(place) = wanted.remove(&slot(tag.as_bytes())).and_then(|partition| tags.get_mut(partition)) {
            *place = tag;
        }
        if wanted.is_empty() {
            break;
        }
    }
    tags
}

/// The slot of a partition.
pub(super) fn slot_of(partition: u16, layout: Layout) -> u16 {
    let slot = u32::from(partition) * u32::from(SLOTS) / u32::from(layout.partitions());
    u16::try_from(slot).unwrap_or(SLOTS - 1)
}

/// The slot that Redis Cluster computes for a tag: CRC16 (XMODEM) modulo the number of slots.
pub(super) fn slot(tag: &[u8]) -> u16 {
    let crc = tag.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 },
        )
    });
    crc % SLOTS
}

fn candidates() -> impl Iterator<Item = String> {
    let base = DIGITS.len();
    (1..=TAG_LEN_MAX).flat_map(move |len| {
        (0..base.pow(len)).map(move |number| {
            let digit =
                |place: u32| DIGITS.get(number / base.pow(place) % base).map_or('0', |digit| char::from(*digit));
            (0..len).rev().map(digit).collect()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_what_redis_computes() {
        // From the Redis Cluster specification, and from `CLUSTER KEYSLOT` of a real server.
        for (tag, expected) in [("123456789", 0x31C3), ("foo", 12_182), ("bar", 5_061), ("3k", 3_339)] {
            assert_eq!(slot(tag.as_bytes()), expected, "{tag}");
        }
    }

    #[test]
    fn every_partition_has_its_own_slot_evenly_spread() {
        for partitions in [1_u16, 2, 3, 7, 16, 100, 1_000, 4_096, 16_383, 16_384] {
            let tags = tags(Layout::new(partitions).unwrap());
            assert_eq!(tags.len(), usize::from(partitions));
            for (p, tag) in (0_u32..).zip(&tags) {
                let expected = p * u32::from(SLOTS) / u32::from(partitions);
                assert!((1..=TAG_LEN_MAX as usize).contains(&tag.len()), "partition {p} of {partitions}: `{tag}`");
                assert_eq!(u32::from(slot(tag.as_bytes())), expected, "partition {p} of {partitions}");
            }
        }
    }

    #[test]
    fn the_tags_of_a_deployment_never_change() {
        let tags = tags(Layout::new(4_096).unwrap());
        let some: Vec<&str> = [0, 1, 2, 1_000, 4_095].into_iter().map(|p: usize| tags[p].as_str()).collect();
        assert_eq!(some, ["1bz", "53p", "fkt", "fpu", "wu"]);
    }
}
