//! How often a credential may call.

use std::time::Duration;

use guerdon::access::{Access, Bearer, Credentials, Denied, Presented, Role, method};
use tonic::Code;
use tonic_types::StatusExt;

use super::kit::*;
use crate::support::contract::{rpc, showing};

#[tokio::test]
async fn f5_who_calls_more_often_than_allowed_is_told_when_to_come_back() {
    // One call a second, five at once: what the test needs is far more than comes back meanwhile.
    let slow = entry("slow", &[Role::Checkout], &["*"], "calls_per_second = 1\ncalls_burst = 5");
    let free = entry("free", &[Role::Checkout], &["*"], "");
    let server = Guarded::start(&[slow, free].concat(), &[]).await;
    let get = rpc("GetMember");
    let call = async |key: &str| {
        get.call(&server.channel, &get.request("marlow-bakery"), &showing(&key_of(key)))
            .await
            .expect_err("no such member")
    };
    let mut limited = Vec::new();
    for _ in 0..50 {
        let status = call("slow").await;
        match status.code() {
            Code::NotFound => {}
            _ => limited.push(status),
        }
    }
    assert!(40 < limited.len(), "five at once, and one a second: {} were too many", limited.len());
    for status in &limited {
        assert_eq!((status.code(), reason(status).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
        let retry = status.get_details_retry_info().and_then(|info| info.retry_delay).expect("when to come back");
        assert!(Duration::ZERO < retry && retry <= Duration::from_secs(1), "{retry:?}");
    }
    assert_eq!(call("free").await.code(), Code::NotFound, "others are not slowed down");
}

#[test]
fn f5_a_new_file_gives_nobody_their_calls_back() {
    let parse = |more: &str| {
        let text = entry("slow", &[Role::Checkout], &["*"], more);
        Credentials::parse(&text, &|_| Err("no such file".to_owned())).unwrap()
    };
    let key = key_of("slow");
    let shown = Presented { bearer: Bearer::Text(&key), certificate: None };
    let quote = method("guerdon.v1.CheckoutService/Quote");
    let access = Access::of(parse("calls_per_second = 1\ncalls_burst = 2"));
    for _ in 0..2 {
        access.admit(quote, shown).expect("allowed");
    }
    assert!(matches!(access.admit(quote, shown), Err(Denied::TooOften { .. })));
    access.replace(parse("calls_per_second = 1\ncalls_burst = 2\nagent = \"zoe\""));
    assert!(matches!(access.admit(quote, shown), Err(Denied::TooOften { .. })), "the same rate, the same calls used");
    access.replace(parse("calls_per_second = 1000"));
    access.admit(quote, shown).expect("another rate begins anew");
}
