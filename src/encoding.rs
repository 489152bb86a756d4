//! How values become the bytes that are stored: the very bytes that `postcard` writes, which also reads them. Written here because
//! a call stores some three hundred numbers and a hundred texts, and most take one byte or a few: those are pushed one by one, where
//! `postcard` makes a slice of each first and has it copied.

use postcard::{Error, Result};
use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};

/// Writes a value on at the end of what is there. Fails only for lists whose length is not known before.
pub fn write<T: Serialize + ?Sized>(value: &T, bytes: Vec<u8>) -> Result<Vec<u8>> {
    let mut writer = Writer { bytes };
    value.serialize(&mut writer)?;
    Ok(writer.bytes)
}

struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Seven bits a byte, the lowest first; all but the last have the highest bit set.
    #[inline]
    fn number(&mut self, number: u64) -> Result<()> {
        if number <= 0x7f {
            self.bytes.push(number.to_le_bytes()[0]);
        } else {
            self.long_number(number);
        }
        Ok(())
    }

    /// Kept out of what calls it: types of many fields would else become functions of as many loops, and take minutes to compile.
    #[inline(never)]
    fn long_number(&mut self, mut number: u64) {
        while 0x7f < number {
            self.bytes.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.bytes.push(number.to_le_bytes()[0]);
    }

    #[inline]
    fn length(&mut self, length: usize) -> Result<()> {
        self.number(length as u64)
    }
}

impl Serializer for &mut Writer {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<()> {
        self.serialize_u8(u8::from(value))
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<()> {
        self.bytes.push(value);
        Ok(())
    }

    #[inline]
    fn serialize_u16(self, value: u16) -> Result<()> {
        self.number(value.into())
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Result<()> {
        self.number(value.into())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result<()> {
        self.number(value)
    }

    fn serialize_u128(self, mut value: u128) -> Result<()> {
        while 0x7f < value {
            self.bytes.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.serialize_u8(value.to_le_bytes()[0])
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Result<()> {
        self.serialize_u8(value.cast_unsigned())
    }

    // Numbers with a sign: the sign is the lowest bit, so that what is near zero is short.

    #[inline]
    fn serialize_i16(self, value: i16) -> Result<()> {
        self.serialize_u16((value << 1 ^ value >> (i16::BITS - 1)).cast_unsigned())
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result<()> {
        self.serialize_u32((value << 1 ^ value >> (i32::BITS - 1)).cast_unsigned())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<()> {
        self.serialize_u64((value << 1 ^ value >> (i64::BITS - 1)).cast_unsigned())
    }

    fn serialize_i128(self, value: i128) -> Result<()> {
        self.serialize_u128((value << 1 ^ value >> (i128::BITS - 1)).cast_unsigned())
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<()> {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<()> {
        self.serialize_bytes(value.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        self.length(value.len())?;
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result<()> {
        self.serialize_u8(0)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        self.bytes.push(1);
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<()> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<()> {
        self.number(index.into())
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<()> {
        self.number(index.into())?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Self> {
        self.length(length.ok_or(Error::SerializeSeqLengthUnknown)?)?;
        Ok(self)
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Self> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_variant(self, _: &'static str, index: u32, _: &'static str, _: usize) -> Result<Self> {
        self.number(index.into())?;
        Ok(self)
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Self> {
        self.serialize_seq(length)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self> {
        Ok(self)
    }

    #[inline]
    fn serialize_struct_variant(self, _: &'static str, index: u32, _: &'static str, _: usize) -> Result<Self> {
        self.number(index.into())?;
        Ok(self)
    }
}

/// Of everything that has parts the parts stand one after another, without their names.
macro_rules! parts {
    ($($kind:ident, $one:ident);* $(;)?) => {
        $(impl $kind for &mut Writer {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn $one<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                value.serialize(&mut **self)
            }

            #[inline]
            fn end(self) -> Result<()> {
                Ok(())
            }
        })*
    };
}

parts! {
    SerializeSeq, serialize_element;
    SerializeTuple, serialize_element;
    SerializeTupleStruct, serialize_field;
    SerializeTupleVariant, serialize_field;
}

/// The same of what has names.
macro_rules! fields {
    ($($kind:ident);* $(;)?) => {
        $(impl $kind for &mut Writer {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<()> {
                value.serialize(&mut **self)
            }

            #[inline]
            fn end(self) -> Result<()> {
                Ok(())
            }
        })*
    };
}

fields! {
    SerializeStruct;
    SerializeStructVariant;
}

impl SerializeMap for &mut Writer {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        key.serialize(&mut **self)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        value.serialize(&mut **self)
    }

    #[inline]
    fn end(self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// One of every sort of thing that can be stored.
    #[derive(Clone, PartialEq, Debug, Serialize)]
    enum Thing {
        Nothing,
        Flag(bool),
        Small(u8, i8, u16, i16),
        Large { number: i64, size: u64, short: (u32, i32) },
        Huge([u8; 3], (u128, i128)),
        Fraction(f32, f64),
        Letter(char),
        Text(String),
        Perhaps(Option<String>),
        Few(Vec<Thing>),
        Named(BTreeMap<String, i64>),
        Wrapped(Wrapper),
        Pair(Two),
        Empty(Unit, ()),
    }

    #[derive(Clone, PartialEq, Debug, Serialize)]
    struct Wrapper(String);

    #[derive(Clone, PartialEq, Debug, Serialize)]
    struct Two(i64, Option<u8>);

    #[derive(Clone, PartialEq, Debug, Serialize)]
    struct Unit;

    fn thing() -> impl Strategy<Value = Thing> {
        let some = prop_oneof![
            Just(Thing::Nothing),
            Just(Thing::Empty(Unit, ())),
            any::<bool>().prop_map(Thing::Flag),
            any::<(u8, i8, u16, i16)>().prop_map(|(a, b, c, d)| Thing::Small(a, b, c, d)),
            (number(), any::<(u64, u32, i32)>()).prop_map(|(number, (size, a, b))| Thing::Large {
                number,
                size,
                short: (a, b)
            }),
            any::<([u8; 3], u128, i128)>().prop_map(|(bytes, a, b)| Thing::Huge(bytes, (a, b))),
            any::<(f32, f64)>().prop_map(|(a, b)| Thing::Fraction(a, b)),
            any::<char>().prop_map(Thing::Letter),
            ".{0,200}".prop_map(Thing::Text),
            proptest::option::of(".{0,9}").prop_map(Thing::Perhaps),
            proptest::collection::btree_map(".{0,9}", number(), 0..4).prop_map(Thing::Named),
            ".{0,9}".prop_map(|text| Thing::Wrapped(Wrapper(text))),
            (number(), any::<Option<u8>>()).prop_map(|(number, byte)| Thing::Pair(Two(number, byte))),
        ];
        some.prop_recursive(3, 32, 4, |inner| proptest::collection::vec(inner, 0..4).prop_map(Thing::Few))
    }

    /// As many short ones as long ones.
    fn number() -> impl Strategy<Value = i64> {
        (any::<i64>(), 0..i64::BITS).prop_map(|(number, shift)| number >> shift)
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_postcard(thing in thing()) {
            let bytes = write(&thing, Vec::new()).expect("written");
            prop_assert_eq!(bytes, postcard::to_stdvec(&thing).expect("written"));
        }
    }

    #[test]
    fn numbers_at_the_edges_of_a_byte_are_those_of_postcard() {
        let edges = (0..u64::BITS).flat_map(|bits| [(1u64 << bits) - 1, 1 << bits, (1 << bits) + 1]);
        for edge in edges.chain([u64::MAX]) {
            let (narrow, signed) = (edge as u16, edge as i64);
            let value =
                (edge, edge as u32, narrow, signed, signed.wrapping_neg(), edge as i32, edge as i16, edge as i8);
            let bytes = write(&value, Vec::new()).expect("written");
            assert_eq!(bytes, postcard::to_stdvec(&value).expect("written"), "{edge}");
        }
    }

    #[test]
    fn it_is_written_on_at_the_end() {
        assert_eq!(write("ab", vec![7]), Ok(vec![7, 2, b'a', b'b']));
    }
}
