//! Requests, from the bytes on: the first byte chooses the method, the rest is its message. Each goes to a service that knows
//! one member and no more, without a port.
#![no_main]

use std::sync::LazyLock;

use bytes::{Buf, BufMut, Bytes};
use guerdon::access::METHODS;
use guerdon::app::rehearsal::{Play, Rehearsal};
use guerdon::domain::time::Instant;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};

static PLAY: LazyLock<Play> = LazyLock::new(|| {
    Play::of(include_str!("../../examples/programs/marlow-bakery.yaml")).expect("a program that is fine")
});

/// 2026-06-01.
const NOW: Instant = Instant(1_780_272_000_000);

/// Messages as they are.
#[derive(Default)]
struct AsTheyAre;

impl Codec for AsTheyAre {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = AsTheyAre;
    type Decoder = AsTheyAre;

    fn encoder(&mut self) -> AsTheyAre {
        AsTheyAre
    }

    fn decoder(&mut self) -> AsTheyAre {
        AsTheyAre
    }
}

impl Encoder for AsTheyAre {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for AsTheyAre {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

async fn call(rehearsal: &Rehearsal, method: &'static str, message: &[u8]) -> Result<(), Status> {
    let mut client = Grpc::new(rehearsal.face());
    client.ready().await.map_err(|_| Status::unavailable("the service is not ready"))?;
    let path = http::uri::PathAndQuery::from_maybe_shared(format!("/{method}")).expect("a path");
    client.unary(Request::new(Bytes::copy_from_slice(message)), path, AsTheyAre).await?;
    Ok(())
}

/// `{member_id: "mia", request_id: "r"}` of EnrollRequest.
const ENROLL: &[u8] = &[0x12, 3, b'm', b'i', b'a', 0x1a, 1, b'r'];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let [which, message @ ..] = input else { return };
    let method = &METHODS[usize::from(*which) % METHODS.len()];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let rehearsal = Rehearsal::begin(&PLAY, NOW).await.expect("a service");
        call(&rehearsal, "guerdon.v1.MemberService/Enroll", ENROLL).await.expect("a member");
        if let Err(status) = call(&rehearsal, method.name, message).await {
            let at_fault = [Code::Internal, Code::Unknown, Code::DataLoss, Code::Unavailable, Code::DeadlineExceeded];
            assert!(!at_fault.contains(&status.code()), "{} answers {status:?}", method.name);
        }
    });
});
