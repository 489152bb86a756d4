//! Stored in few bytes: what is as it usually is takes one bit. Readers and writers name the same parts in the same order.

use serde::{Deserialize, Serialize};

use super::ledger::{DecodeError, write};

/// Writes parts behind `BYTES` bytes of flags, one bit for each part, the lowest first: whether it is written.
pub(super) struct Parts<'a, const BYTES: usize> {
    to: &'a mut Vec<u8>,
    /// Where the flags begin.
    at: usize,
    next: usize,
}

impl<'a, const BYTES: usize> Parts<'a, BYTES> {
    pub(super) fn new(to: &'a mut Vec<u8>) -> Parts<'a, BYTES> {
        let at = to.len();
        to.extend([0; BYTES]);
        Parts { to, at, next: 0 }
    }

    /// A flag alone.
    pub(super) fn flag(&mut self, is_set: bool) {
        debug_assert!(self.next < 8 * BYTES, "there is a bit for each part");
        if let (true, Some(flags)) = (is_set, self.to.get_mut(self.at + self.next / 8)) {
            *flags |= 1 << (self.next % 8);
        }
        self.next += 1;
    }

    pub(super) fn some<T: Serialize>(&mut self, value: Option<&T>) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self.to, value);
        }
    }

    /// Written unless it is as usual.
    pub(super) fn unless<T: Serialize + PartialEq>(&mut self, value: &T, usual: &T) {
        self.some((value != usual).then_some(value));
    }
}

/// What is left to be read.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take<T: Deserialize<'a>>(&mut self) -> Result<T, DecodeError> {
        let (value, rest) = postcard::take_from_bytes(self.0).map_err(|_| DecodeError::Damaged)?;
        self.0 = rest;
        Ok(value)
    }

    /// How many things follow, each of which takes a byte or more.
    pub(super) fn count(&mut self) -> Result<usize, DecodeError> {
        let count = self.take::<usize>()?;
        if count <= self.0.len() { Ok(count) } else { Err(DecodeError::Damaged) }
    }

    /// The flags of [`Parts`].
    pub(super) fn flags<const BYTES: usize>(&mut self) -> Result<Flags<BYTES>, DecodeError> {
        let (flags, rest) = self.0.split_first_chunk().ok_or(DecodeError::Damaged)?;
        self.0 = rest;
        Ok(Flags { flags: *flags, next: 0 })
    }
}

pub(super) struct Flags<const BYTES: usize> {
    flags: [u8; BYTES],
    next: usize,
}

impl<const BYTES: usize> Flags<BYTES> {
    pub(super) fn flag(&mut self) -> bool {
        let flags = self.flags.get(self.next / 8).copied().unwrap_or_default();
        let is_set = flags & 1 << (self.next % 8) != 0;
        self.next += 1;
        is_set
    }

    pub(super) fn some<'a, T: Deserialize<'a>>(&mut self, from: &mut Reader<'a>) -> Result<Option<T>, DecodeError> {
        if self.flag() { from.take().map(Some) } else { Ok(None) }
    }

    pub(super) fn or<'a, T: Deserialize<'a>>(&mut self, from: &mut Reader<'a>, usual: T) -> Result<T, DecodeError> {
        Ok(self.some(from)?.unwrap_or(usual))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_usual_takes_no_bytes() {
        let mut bytes = vec![7];
        let mut parts = Parts::<2>::new(&mut bytes);
        parts.unless(&5i64, &5);
        parts.unless(&6i64, &5);
        parts.some(None::<&u32>);
        parts.some(Some(&9u32));
        parts.flag(true);
        (0..4).for_each(|_| parts.flag(false));
        parts.unless(&"late", &"");
        assert_eq!(bytes, [&[7, 0b11010, 0b10, 12, 9, 4], b"late".as_slice()].concat());

        let mut from = Reader(&bytes[1..]);
        let mut flags = from.flags::<2>().unwrap();
        assert_eq!((flags.or(&mut from, 5i64), flags.or(&mut from, 5i64)), (Ok(5), Ok(6)));
        assert_eq!((flags.some::<u32>(&mut from), flags.some::<u32>(&mut from)), (Ok(None), Ok(Some(9))));
        assert!(flags.flag());
        assert!((0..4).all(|_| !flags.flag()));
        assert_eq!(flags.or(&mut from, ""), Ok("late"));
        assert_eq!(from.0, b"");
    }

    #[test]
    fn more_things_than_bytes_are_refused() {
        assert_eq!(Reader(&[2, 0, 0]).count(), Ok(2));
        assert_eq!(Reader(&[3, 0, 0]).count(), Err(DecodeError::Damaged));
        assert_eq!(Reader(&[0xff]).count(), Err(DecodeError::Damaged));
        assert!(Reader(&[1]).flags::<2>().is_err());
    }
}
