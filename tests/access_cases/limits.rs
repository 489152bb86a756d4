//! What callers are held to is told by a call, and is what they are held to: each limit is reached, then exceeded.

use guerdon::access::Role;
use guerdon::app::{ProgramText, Server};
use guerdon::config::Settings;
use guerdon::grpc::wire;
use guerdon::grpc::wire::checkout_service_client::CheckoutServiceClient;
use guerdon::grpc::wire::limit_service_client::LimitServiceClient;
use guerdon::grpc::wire::member_service_client::MemberServiceClient;
use guerdon::grpc::wire::referral_service_client::ReferralServiceClient;
use prost::Message;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::kit::*;
use crate::support::contract::{rpc, showing};

async fn server(pairs: &[(&str, &str)]) -> (Server, Channel) {
    let base = [("listen", "127.0.0.1:0"), ("store", "memory"), ("insecure_dev", "yes")];
    let settings = Settings::of(&[&base, pairs].concat()).unwrap();
    let text = std::fs::read_to_string(BAKERY).unwrap();
    let server = Server::start_with(settings, &[ProgramText { name: BAKERY.to_owned(), text }]).await.unwrap();
    let channel = Endpoint::from_shared(format!("http://{}", server.addr())).unwrap().connect_lazy();
    (server, channel)
}

async fn limits(channel: &Channel) -> wire::GetLimitsResponse {
    LimitServiceClient::new(channel.clone()).get_limits(wire::GetLimitsRequest {}).await.unwrap().into_inner()
}

fn order() -> wire::Order {
    wire::Order {
        order_id: "order".to_owned(),
        currency_code: "GBP".to_owned(),
        lines: vec![line(1)],
        ..wire::Order::default()
    }
}

fn line(number: usize) -> wire::Line {
    wire::Line { line_id: number.to_string(), quantity: 1, amount_minor: 1, ..wire::Line::default() }
}

/// With the fewest points that may be paid.
fn paying() -> wire::Redeem {
    let amount = Some(wire::pay_with_units::Amount::Exactly(200));
    let pay_with_units = Some(wire::PayWithUnits { amount, ..wire::PayWithUnits::default() });
    wire::Redeem { pay_with_units, ..wire::Redeem::default() }
}

fn texts(many: i64) -> Vec<String> {
    (0..many).map(|number| format!("l{number}")).collect()
}

fn long(bytes: i64) -> String {
    "x".repeat(usize::try_from(bytes).unwrap())
}

/// One call with a value, and the field that is at fault when that is too large.
struct Case<'a> {
    limit: i64,
    field: &'a str,
    call: Box<dyn AsyncCall + 'a>,
}

#[async_trait::async_trait]
trait AsyncCall {
    async fn with(&self, channel: &Channel, value: i64) -> Result<(), Status>;
}

struct Quote<F>(F);

#[async_trait::async_trait]
impl<F: Fn(&mut wire::QuoteRequest, i64) + Sync> AsyncCall for Quote<F> {
    async fn with(&self, channel: &Channel, value: i64) -> Result<(), Status> {
        let mut request = wire::QuoteRequest { order: Some(order()), ..wire::QuoteRequest::default() };
        (self.0)(&mut request, value);
        CheckoutServiceClient::new(channel.clone()).quote(request).await.map(drop)
    }
}

struct Reserve<F>(F);

#[async_trait::async_trait]
impl<F: Fn(&mut wire::ReserveRequest, i64) + Sync> AsyncCall for Reserve<F> {
    async fn with(&self, channel: &Channel, value: i64) -> Result<(), Status> {
        let mut request = wire::ReserveRequest {
            member_id: "mia".to_owned(),
            request_id: format!("reserve-{value}"),
            order: Some(order()),
            redeem: Some(paying()),
            ..wire::ReserveRequest::default()
        };
        (self.0)(&mut request, value);
        CheckoutServiceClient::new(channel.clone()).reserve(request).await.map(drop)
    }
}

struct Enroll<F>(F);

#[async_trait::async_trait]
impl<F: Fn(&mut wire::EnrollRequest, i64) + Sync> AsyncCall for Enroll<F> {
    async fn with(&self, channel: &Channel, value: i64) -> Result<(), Status> {
        let mut request = wire::EnrollRequest {
            member_id: "mia".to_owned(),
            request_id: format!("enroll-{value}"),
            ..wire::EnrollRequest::default()
        };
        (self.0)(&mut request, value);
        // Under an id of its own, so that no request is that of a case before.
        request.request_id.push_str(&format!("-{}", request.encoded_len()));
        MemberServiceClient::new(channel.clone()).enroll(request).await.map(drop)
    }
}

struct Entries;

#[async_trait::async_trait]
impl AsyncCall for Entries {
    async fn with(&self, channel: &Channel, value: i64) -> Result<(), Status> {
        let request = wire::ListEntriesRequest {
            member_id: "mia".to_owned(),
            page_size: i32::try_from(value).unwrap(),
            ..wire::ListEntriesRequest::default()
        };
        MemberServiceClient::new(channel.clone()).list_entries(request).await.map(drop)
    }
}

struct TreeDepth;

#[async_trait::async_trait]
impl AsyncCall for TreeDepth {
    async fn with(&self, channel: &Channel, value: i64) -> Result<(), Status> {
        let request = wire::GetReferralTreeRequest {
            member_id: "mia".to_owned(),
            depth: i32::try_from(value).unwrap(),
            ..wire::GetReferralTreeRequest::default()
        };
        ReferralServiceClient::new(channel.clone()).get_referral_tree(request).await.map(drop)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f8_limits_are_told_by_a_call_and_hold_to_the_unit() {
    let (_server, channel) = server(&[]).await;
    let told = limits(&channel).await;
    let (bytes, lists, numbers) = (told.bytes.unwrap(), told.lists.unwrap(), told.numbers.unwrap());
    let (depths, pages) = (told.depths.unwrap(), told.pages.unwrap());
    fn case<'a>(limit: i64, field: &'a str, call: impl AsyncCall + 'a) -> Case<'a> {
        Case { limit, field, call: Box::new(call) }
    }
    let quoted = |limit, field, fill: fn(&mut wire::QuoteRequest, i64)| case(limit, field, Quote(fill));
    let enrolled = |limit, field, fill: fn(&mut wire::EnrollRequest, i64)| case(limit, field, Enroll(fill));
    fn the_order(request: &mut wire::QuoteRequest) -> &mut wire::Order {
        request.order.as_mut().unwrap()
    }
    let attribute = |number: i64| wire::Attribute {
        name: format!("a{number}"),
        value: Some(wire::attribute::Value::BoolValue(true)),
    };
    let cases = [
        enrolled(bytes.id, "member_id", |request, n| request.member_id = long(n)),
        enrolled(bytes.program_id, "program_id", |request, n| request.program_id = long(n)),
        enrolled(bytes.code, "codes[0]", |request, n| request.codes = vec![long(n)]),
        enrolled(bytes.signal, "signals.email", |request, n| {
            request.signals = Some(wire::Signals { email: long(n), ..wire::Signals::default() });
        }),
        enrolled(lists.codes, "codes", |request, n| request.codes = texts(n)),
        enrolled(lists.tags, "profile.add_tags", |request, n| {
            request.profile = Some(wire::ProfileChange { add_tags: texts(n), ..wire::ProfileChange::default() });
        }),
        case(
            lists.attributes,
            "profile.set_attributes",
            Enroll(move |request: &mut wire::EnrollRequest, n| {
                let set_attributes = (0..n).map(attribute).collect();
                request.profile = Some(wire::ProfileChange { set_attributes, ..wire::ProfileChange::default() });
            }),
        ),
        quoted(bytes.label, "order.channel", |request, n| the_order(request).channel = long(n)),
        quoted(bytes.unit_id, "redeem.pay_with_units.unit", |request, n| {
            let amount = Some(wire::pay_with_units::Amount::AllPossible(true));
            let pay_with_units = Some(wire::PayWithUnits { unit: long(n), amount });
            request.member_id = "mia".to_owned();
            request.redeem = Some(wire::Redeem { pay_with_units, ..wire::Redeem::default() });
        }),
        quoted(bytes.quote_token.min(64), "", |_, _| {}),
        quoted(lists.lines, "order.lines", |request, n| {
            the_order(request).lines = (0..usize::try_from(n).unwrap()).map(line).collect();
        }),
        quoted(lists.labels_of_line, "order.lines[0].categories", |request, n| {
            the_order(request).lines[0].categories = texts(n);
        }),
        quoted(lists.labels_of_order, "order.coupons", |request, n| the_order(request).coupons = texts(n)),
        quoted(lists.rewards, "redeem.reward_ids", |request, n| {
            request.member_id = "mia".to_owned();
            request.redeem = Some(wire::Redeem { reward_ids: texts(n), ..wire::Redeem::default() });
        }),
        quoted(lists.vouchers, "redeem.voucher_ids", |request, n| {
            request.member_id = "mia".to_owned();
            request.redeem = Some(wire::Redeem { voucher_ids: texts(n), ..wire::Redeem::default() });
        }),
        quoted(numbers.amount, "order.lines[0].amount_minor", |request, n| {
            the_order(request).lines[0].amount_minor = n;
        }),
        quoted(numbers.quantity, "order.lines[0].quantity", |request, n| the_order(request).lines[0].quantity = n),
        case(
            numbers.reservation_ttl_seconds,
            "ttl_seconds",
            Reserve(|request: &mut wire::ReserveRequest, n| request.ttl_seconds = Some(n)),
        ),
        case(
            bytes.quote_token,
            "quote_token",
            Reserve(|request: &mut wire::ReserveRequest, n| request.quote_token = long(n)),
        ),
        case(pages.entries, "page_size", Entries),
        case(depths.referral_tree, "depth", TreeDepth),
    ];
    for Case { limit, field, call } in cases {
        if let Err(status) = call.with(&channel, limit).await {
            assert_ne!(reason(&status), "REQUEST_MALFORMED", "{field}, {limit}: {status:?}");
        }
        if field.is_empty() {
            continue;
        }
        let status = call.with(&channel, limit + 1).await.expect_err(field);
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "REQUEST_MALFORMED"), "{field}");
        let named = tonic_types::StatusExt::get_details_bad_request(&status).unwrap().field_violations;
        assert!(named.iter().any(|violation| violation.field == field), "{field}: {named:?}");
    }
}

/// A request of so many bytes in all.
fn request_of(bytes: usize) -> Vec<u8> {
    let sized = |len: usize| wire::EnrollRequest {
        member_id: "mia".to_owned(),
        request_id: "large".to_owned(),
        visitor_id: "x".repeat(len),
        ..wire::EnrollRequest::default()
    };
    let rest = sized(bytes).encoded_len() - bytes;
    let encoded = sized(bytes - rest).encode_to_vec();
    assert_eq!(encoded.len(), bytes);
    encoded
}

/// So many messages in each other, under a field that the contract does not know: groups, which are read to be skipped.
fn nested(depth: i64) -> Vec<u8> {
    let depth = usize::try_from(depth).unwrap();
    // Field 1000, start and end of a group.
    let (start, end) = ([0xc3, 0x3e], [0xc4, 0x3e]);
    [start.repeat(depth), end.repeat(depth)].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn f8_a_request_may_be_as_large_and_as_deep_as_is_told() {
    let (_server, channel) = server(&[]).await;
    let told = limits(&channel).await;
    let rpc = rpc("Enroll");
    let most = usize::try_from(told.bytes.unwrap().request).unwrap();
    let none = showing("none");
    let status = rpc.call_raw(&channel, request_of(most), &none).await.expect_err("a visitor id of a megabyte");
    assert_eq!(reason(&status), "REQUEST_MALFORMED", "it was read: {status:?}");
    let status = rpc.call_raw(&channel, request_of(most + 1), &none).await.expect_err("too large");
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");

    let depth = told.depths.unwrap().request;
    let status = rpc.call_raw(&channel, nested(depth), &none).await.expect_err("a request without ids");
    assert!(status.message().contains("member_id"), "it was read: {status:?}");
    let status = rpc.call_raw(&channel, nested(depth + 1), &none).await.expect_err("too deep");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "REQUEST_MALFORMED"));
    assert!(!status.message().contains("member_id"), "it was not: {status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f8_what_an_account_may_have_open_is_told_and_holds() {
    let (_server, channel) = server(&[]).await;
    let told = limits(&channel).await.accounts.unwrap();
    let mut checkout = CheckoutServiceClient::new(channel.clone());
    Enroll(|_: &mut wire::EnrollRequest, _| {}).with(&channel, 1).await.unwrap();
    let adjust = wire::AdjustRequest {
        member_id: "mia".to_owned(),
        request_id: "adjust".to_owned(),
        amount: 20_000,
        reason: wire::AdjustReason::Goodwill.into(),
        agent_id: "zoe".to_owned(),
        ..wire::AdjustRequest::default()
    };
    MemberServiceClient::new(channel.clone()).adjust(adjust).await.unwrap();
    for number in 0..=told.reservations_open {
        let request = wire::ReserveRequest {
            member_id: "mia".to_owned(),
            request_id: format!("reserve-{number}"),
            order: Some(wire::Order {
                order_id: format!("order-{number}"),
                lines: vec![wire::Line { amount_minor: 10_00, ..line(1) }],
                ..order()
            }),
            redeem: Some(paying()),
            ..wire::ReserveRequest::default()
        };
        let answer = checkout.reserve(request).await.unwrap().into_inner();
        assert_eq!(answer.reserved, number < told.reservations_open, "number {number}: {answer:?}");
    }
}

#[tokio::test]
async fn f8_who_calls_is_told_how_often_they_may() {
    let slow = entry("slow", &[Role::Analyst], &["rival"], "calls_per_second = 7\ncalls_burst = 9");
    let free = entry("free", &[Role::Checkout], &["*"], "");
    let server = Guarded::start(&[slow, free].concat(), &[("calls_in_flight_max", "33")]).await;
    let get = rpc("GetLimits");
    for (key, expected) in [("slow", Some((7, 9))), ("free", None)] {
        let answer = get.call(&server.channel, &get.request(""), &showing(&key_of(key))).await.unwrap();
        let told = wire::GetLimitsResponse::decode(answer.encode_to_vec().as_slice()).unwrap();
        assert_eq!(told.rate.map(|rate| (rate.calls_per_second, rate.calls_burst)), expected, "{key}");
        assert_eq!(told.calls.unwrap().in_flight, 33);
        assert!(told.programs.is_some_and(|programs| programs.bytes == 1 << 20));
    }
}
