//! How messages become bytes and come from them: as `prost` does it, but through slices and vectors. The buffers that `tonic` hands
//! over are made for parts that come and go, and that costs at every field: a third of what reading an order takes.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::{Buf, BufMut};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Reserved for a message; a longer one makes it grow once.
const MESSAGE_BYTES_USUAL: usize = 2 * 1024;
/// With so much at hand an answer in parts is handed on.
const YIELDED_BYTES: usize = 32 * 1024;

/// Writes `T` and reads `U`.
pub struct Plain<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Plain<T, U> {
    fn default() -> Plain<T, U> {
        Plain(PhantomData)
    }
}

impl<T: Message + Send + 'static, U: Message + Default + Send + 'static> Codec for Plain<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = Plain<T, U>;
    type Decoder = Plain<T, U>;

    fn encoder(&mut self) -> Plain<T, U> {
        Plain::default()
    }

    fn decoder(&mut self) -> Plain<T, U> {
        Plain::default()
    }
}

impl<T: Message, U> Encoder for Plain<T, U> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        // Not asked how long it is: that is reckoned once more for each level of what lies in it, all the way down.
        let mut bytes = Vec::with_capacity(MESSAGE_BYTES_USUAL);
        message.encode_raw(&mut bytes);
        into.reserve(bytes.len());
        into.put_slice(&bytes);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(MESSAGE_BYTES_USUAL, YIELDED_BYTES)
    }
}

impl<T, U: Message + Default> Decoder for Plain<T, U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let len = from.remaining();
        let read = match from.chunk().get(..len) {
            Some(whole) => {
                let read = U::decode(whole);
                from.advance(len);
                read
            }
            None => U::decode(from),
        };
        read.map(Some).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(MESSAGE_BYTES_USUAL, YIELDED_BYTES)
    }
}
