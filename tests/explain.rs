//! `guerdon explain` against a server, as support runs it.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use clap::Parser;
use guerdon::cli::client::{Client, Patience, stamp};
use guerdon::cli::explain::{EXIT_FAILED, EXIT_FINE, ExplainArgs, explain_command};
use guerdon::cli::local::{Local, LocalStore};
use guerdon::domain::time::{DAY_MS, Instant};
use guerdon::grpc::wire;

const PROGRAM: &str = include_str!("../examples/programs/marlow-bakery.yaml");
/// Thursday, 12 November 2026, 08:10 in London.
const AT: Instant = Instant(1_794_471_000_000);

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    explain: ExplainArgs,
}

async fn explain(target: &str, order: &str) -> (i32, String) {
    let args = ["explain", "--member", "mia", "--order", order, "--target", target, "--time-zone", "Europe/London"];
    let args = Command::try_parse_from(args).expect("arguments").explain;
    let mut out = Vec::new();
    let code = explain_command(&args, &mut out).await;
    (code, String::from_utf8(out).expect("UTF-8"))
}

#[tokio::test(flavor = "multi_thread")]
async fn e4_an_order_is_explained_from_what_the_server_keeps() {
    let local = Local::start(PROGRAM, LocalStore::Memory, None, None).await.expect("a server");
    let target = local.target();
    let patience = Patience { deadline: Duration::from_secs(10), retry_for: Duration::ZERO };
    let client = Client::connect(&target, patience).await.expect("a connection");
    let (member_id, occurred_at) = ("mia".to_owned(), Some(stamp(AT)));
    let enroll = wire::EnrollRequest {
        member_id: member_id.clone(),
        request_id: "1".to_owned(),
        occurred_at,
        ..Default::default()
    };
    client.enroll(enroll).await.expect("enrolled");
    let line = wire::Line {
        line_id: "a".to_owned(),
        categories: vec!["pastry".to_owned()],
        quantity: 2,
        amount_minor: 600,
        ..Default::default()
    };
    let order = wire::Order {
        order_id: "order-1".to_owned(),
        currency_code: "GBP".to_owned(),
        channel: "store".to_owned(),
        store_id: "high-street".to_owned(),
        lines: vec![line],
        ..Default::default()
    };
    let commit = wire::CommitRequest {
        member_id: member_id.clone(),
        request_id: "2".to_owned(),
        order: Some(order),
        occurred_at,
        ..Default::default()
    };
    client.commit(commit).await.expect("committed");
    let what = wire::ReturnWhat {
        lines: vec![wire::ReturnLine {
            line_id: "a".to_owned(),
            measure: Some(wire::return_line::Measure::Quantity(1)),
        }],
        everything: false,
    };
    let back = wire::ReturnRequest {
        member_id: member_id.clone(),
        request_id: "3".to_owned(),
        order_id: "order-1".to_owned(),
        return_id: "back-1".to_owned(),
        what: Some(what),
        cause: wire::ReturnCause::Return.into(),
        occurred_at: Some(stamp(AT.plus_ms(2 * DAY_MS))),
        ..Default::default()
    };
    client.r#return(back).await.expect("returned");

    let (code, text) = explain(&target, "order-1").await;
    assert_eq!(code, EXIT_FINE, "{text}");
    for part in [
        "Why, rule by rule",
        "Order order-1 of mia, committed Thu 12 Nov 2026 08:10: some of it has come back.",
        "  line a: 2 x, GBP 6.00; came back: 1 x, GBP 3.00",
        "  +6 points (base), spendable from 26 Nov 2026 until 1 Dec 2027",
        "  +9 points (early-bird)",
        "  Sat 14 Nov 2026 08:10  returned (back-1), GBP 3.00 refunded",
        "  Thu 12 Nov 2026 08:10  granted: pending +6 points  (entry ",
        "  Sat 14 Nov 2026 08:10  reversed: pending -3 points  (entry ",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains("welcome"), "what is not about the order is left out: {text}");

    let (code, text) = explain(&target, "order-2").await;
    assert_eq!((code, text.as_str()), (EXIT_FAILED, "mia has no order order-2 there\n"));
    assert!(local.stop().await);
    let (code, text) = explain("127.0.0.1:1", "order-1").await;
    assert_eq!(code, EXIT_FAILED);
    assert!(text.contains("nothing answers"), "{text}");
}
