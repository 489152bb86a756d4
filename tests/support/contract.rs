//! The contract as its descriptor tells it: every method, a request that is in order for each, and one way to call any.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy's own exemption does not reach functions that tests share"
)]

use std::str::FromStr;

use guerdon::grpc::wire::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use tonic::client::Grpc;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// One method of the contract.
#[derive(Clone, Debug)]
pub struct Rpc {
    /// `guerdon.v1.CheckoutService/Commit`
    pub name: String,
    pub input: MessageDescriptor,
    pub output: MessageDescriptor,
}

/// All of them.
pub fn rpcs() -> Vec<Rpc> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let of_ours = |service: &prost_reflect::ServiceDescriptor| service.package_name() == "guerdon.v1";
    let services = pool.services().filter(of_ours).collect::<Vec<_>>();
    let methods = services.iter().flat_map(|service| service.methods().collect::<Vec<_>>());
    methods
        .map(|method| Rpc {
            name: format!("{}/{}", method.parent_service().full_name(), method.name()),
            input: method.input(),
            output: method.output(),
        })
        .collect()
}

pub fn rpc(name: &str) -> Rpc {
    rpcs().into_iter().find(|rpc| rpc.name.ends_with(name)).unwrap_or_else(|| panic!("{name} is no method"))
}

impl Rpc {
    /// A request that is in order: what it names may not exist.
    pub fn request(&self, program: &str) -> DynamicMessage {
        let mut request = filled(&self.input, program, 0);
        let method = self.name.rsplit('/').next().unwrap();
        if request.has_field_by_name("request_id") {
            request.set_field_by_name("request_id", Value::String(format!("req-{method}")));
        }
        let mut leave_out = |field: &str| request.clear_field_by_name(field);
        match method {
            "GetOutcome" => leave_out("guest_order_id"),
            "Adjust" => leave_out("expires_at"),
            "ExtendExpiry" => leave_out("expiring_before"),
            "ListEntries" => leave_out("page_token"),
            _ => {}
        }
        request
    }

    pub async fn call(
        &self,
        channel: &Channel,
        request: &DynamicMessage,
        metadata: &MetadataMap,
    ) -> Result<DynamicMessage, Status> {
        let answer = self.call_raw(channel, request.encode_to_vec(), metadata).await?;
        Ok(DynamicMessage::decode(self.output.clone(), answer.as_slice()).unwrap())
    }

    /// Whatever the bytes are.
    pub async fn call_raw(
        &self,
        channel: &Channel,
        request: Vec<u8>,
        metadata: &MetadataMap,
    ) -> Result<Vec<u8>, Status> {
        let mut client = Grpc::new(channel.clone()).max_decoding_message_size(16 << 20);
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = http::uri::PathAndQuery::from_str(&format!("/{}", self.name)).unwrap();
        let mut request = Request::new(request);
        *request.metadata_mut() = metadata.clone();
        Ok(client.unary(request, path, Bytes).await?.into_inner())
    }
}

/// `authorization: Bearer <key>`
pub fn showing(key: &str) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    metadata.insert("authorization", format!("Bearer {key}").parse().unwrap());
    metadata
}

fn filled(descriptor: &MessageDescriptor, program: &str, depth: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        if let Some(value) = value(&field, program, depth) {
            message.set_field(&field, value);
        }
    }
    message
}

/// A value that is in order, for the fields that need one.
fn value(field: &FieldDescriptor, program: &str, depth: usize) -> Option<Value> {
    let text = |text: &str| Some(Value::String(text.to_owned()));
    let one = match field.kind() {
        Kind::String => match field.name() {
            "program_id" => text(program),
            "member_id" => text("mia"),
            "into_member_id" | "to_member_id" | "person_member_id" => text("leo"),
            "request_id" => text("req"),
            "order_id" => text("order-1"),
            "return_id" => text("return-1"),
            "amendment_id" => text("amendment-1"),
            "line_id" => text("1"),
            "event_id" => text("event-1"),
            "event_type" | "event" => text("share"),
            "account_id" => text("home"),
            // What members say of themselves.
            "agent_id" if field.parent_message().name() == "AttributeRequest" => None,
            "agent_id" => text("zoe"),
            "code" => text("ABCD1234"),
            "visitor_id" => text("visitor-1"),
            "reason_code" => text("known-family"),
            "campaign_id" => text("bring-a-friend"),
            "referral_id" => text("bring-a-friend.mia"),
            "draw_id" => text("spring"),
            "reward_id" => text("free-delivery"),
            "voucher_id" => text("voucher-1"),
            "payout_id" => text("payout-1"),
            "leaderboard_id" => text("bakers"),
            "ladder" => text("status"),
            "level" => text("gold"),
            "currency_code" => text("GBP"),
            _ => None,
        },
        // A person is no account of several.
        Kind::Enum(kind) if kind.name() == "AccountKind" => Some(Value::EnumNumber(2)),
        // Nobody says of a payout that it is prepared.
        Kind::Enum(kind) if kind.name() == "PayoutState" => Some(Value::EnumNumber(2)),
        Kind::Enum(kind) => {
            kind.values().find(|value| value.number() == 1).map(|value| Value::EnumNumber(value.number()))
        }
        Kind::Int64 => match field.name() {
            "amount" | "amount_minor" | "at_most" => Some(Value::I64(100)),
            "quantity" => Some(Value::I64(1)),
            _ => None,
        },
        Kind::Bool if field.name() == "everything" => Some(Value::Bool(true)),
        // 2027, while campaigns run, and 2030, which lies ahead of that.
        Kind::Message(kind) if kind.full_name() == "google.protobuf.Timestamp" => match field.name() {
            "expires_at" | "occurred_at" | "through" => {
                let seconds = if field.name() == "expires_at" { 1_893_456_000 } else { 1_811_808_000 };
                let mut at = DynamicMessage::new(kind);
                at.set_field_by_name("seconds", Value::I64(seconds));
                Some(Value::Message(at))
            }
            _ => None,
        },
        Kind::Message(kind) => match field.name() {
            "redeem" if field.parent_message().name() != "ReserveRequest" => None,
            "order" | "lines" | "what" | "change" | "remove" | "redeem" | "pay_with_units" if depth < 4 => {
                Some(Value::Message(filled(&kind, program, depth + 1)))
            }
            _ => None,
        },
        _ => None,
    }?;
    // Of a return, everything or some lines.
    if field.is_list() && field.parent_message().name() == "ReturnWhat" {
        return None;
    }
    Some(if field.is_list() { Value::List(vec![one]) } else { one })
}

/// Sends and takes bytes as they are.
#[derive(Clone, Copy, Debug)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Bytes;
    type Decoder = Bytes;

    fn encoder(&mut self) -> Bytes {
        Bytes
    }

    fn decoder(&mut self) -> Bytes {
        Bytes
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        use prost::bytes::BufMut;
        to.put_slice(&item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        use prost::bytes::Buf;
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}
