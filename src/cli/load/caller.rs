//! One connection of a load: sends requests that are encoded already, each once, under a deadline. What a call costs here the
//! server on the same machine does not have.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use prost::Message;
use prost::bytes::{BufMut, Bytes};
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};

use crate::cli::client::{Shown, reason};

/// A connection. Cheap to clone; all clones share it.
#[derive(Clone, Debug)]
pub struct Caller {
    grpc: Grpc<Shown>,
    deadline: Duration,
}

/// Why a call came to nothing: the reason of the service, or the status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed(pub String);

impl Caller {
    pub(in crate::cli) fn new(channel: Shown, deadline: Duration) -> Caller {
        Caller { grpc: Grpc::new(channel), deadline }
    }

    /// Sends a request to a method (`/package.Service/Method`) and reads the answer.
    ///
    /// # Errors
    /// When there is none in time, or it is an error.
    pub async fn call<R: Message + Default + Send + 'static>(
        &self,
        method: &'static str,
        body: Bytes,
    ) -> Result<R, Failed> {
        let began = Instant::now();
        let mut grpc = self.grpc.clone();
        let mut request = Request::new(body);
        request.set_timeout(self.deadline);
        let answer = async {
            grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            grpc.unary(request, PathAndQuery::from_static(method), Encoded::default()).await
        };
        match timeout(self.deadline, answer).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            // The transport counts the same time, and calls its end a cancellation.
            Ok(Err(status)) if status.code() == Code::Cancelled && self.deadline <= began.elapsed() => {
                Err(Failed(format!("{:?}", Code::DeadlineExceeded)))
            }
            Ok(Err(status)) => Err(Failed(reason(&status).unwrap_or_else(|| format!("{:?}", status.code())))),
            Err(_elapsed) => Err(Failed(format!("{:?}", Code::DeadlineExceeded))),
        }
    }
}

/// Writes what is encoded already, and reads messages.
struct Encoded<R>(PhantomData<R>);

impl<R> Default for Encoded<R> {
    fn default() -> Encoded<R> {
        Encoded(PhantomData)
    }
}

impl<R: Message + Default + Send + 'static> Codec for Encoded<R> {
    type Encode = Bytes;
    type Decode = R;
    type Encoder = Encoded<R>;
    type Decoder = Encoded<R>;

    fn encoder(&mut self) -> Encoded<R> {
        Encoded::default()
    }

    fn decoder(&mut self) -> Encoded<R> {
        Encoded::default()
    }
}

impl<R> Encoder for Encoded<R> {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, body: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(body);
        Ok(())
    }
}

impl<R: Message + Default> Decoder for Encoded<R> {
    type Item = R;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<R>, Status> {
        R::decode(from).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
