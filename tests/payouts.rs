//! `guerdon payouts` against a server, as whoever pays partners runs it.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use clap::Parser;
use guerdon::cli::client::{Client, Patience, stamp};
use guerdon::cli::local::{Local, LocalStore};
use guerdon::cli::payouts::{EXIT_FAILED, EXIT_FINE, EXIT_NO_SERVER, PayoutsArgs, payouts_command};
use guerdon::domain::time::{DAY_MS, Instant};
use guerdon::grpc::wire;
use tonic::transport::Channel;
use wire::account_service_client::AccountServiceClient;
use wire::payout_service_client::PayoutServiceClient;

const PROGRAM: &str = "guerdon: 1
program: partners
title: Partners
time_zone: UTC
currencies: [EUR]
units: {points: {}, cents: {paid_out: {currency: EUR}}}
referrals: [{id: partners, title: P, partners: true, commission: {percent: 10%, unit: cents}}]
";

/// 1 May 2026.
const AT: Instant = Instant(1_777_593_600_000);

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    payouts: PayoutsArgs,
}

async fn payouts(target: &str, more: &[&str]) -> (i32, Vec<String>) {
    let args = [&["payouts", "--target", target, "--deadline", "2s"], more].concat();
    let args = Command::try_parse_from(args).expect("arguments").payouts;
    let mut out = Vec::new();
    let code = payouts_command(&args, &mut out).await;
    let text = String::from_utf8(out).expect("UTF-8");
    // Without the instants, which are of no interest here.
    let short = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        [fields.get(..6).unwrap_or_default(), fields.get(8..).unwrap_or_default()].concat().join(",")
    };
    (code, text.lines().map(short).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn r19_payouts_of_partners_are_written_as_lines_for_whoever_pays_them() {
    let local = Local::start(PROGRAM, LocalStore::Memory, None, None).await.expect("a server");
    let target = local.target();
    let patience = Patience { deadline: Duration::from_secs(10), retry_for: Duration::ZERO };
    let client = Client::connect(&target, patience).await.expect("a connection");
    let channel = Channel::from_shared(format!("http://{target}")).expect("an address").connect().await.expect("one");
    let (mut accounts, mut desk) = (AccountServiceClient::new(channel.clone()), PayoutServiceClient::new(channel));
    for (partner, friend) in [("acme", "ben"), ("bolt", "cat")] {
        let (account_id, occurred_at) = (partner.to_owned(), Some(stamp(AT)));
        let kind = wire::AccountKind::Partner.into();
        let request_id = "create".to_owned();
        let create = wire::CreateAccountRequest { account_id, request_id, kind, occurred_at, ..Default::default() };
        accounts.create_account(create).await.expect("a partner");
        let (member_id, request_id) = (partner.to_owned(), "code".to_owned());
        let code = wire::CreateCodeRequest { member_id, request_id, occurred_at, ..Default::default() };
        let code = client.create_code(code).await.expect("a code").code;
        client.end_day(AT).await.expect("delivered");
        let (member_id, request_id) = (friend.to_owned(), "join".to_owned());
        let join = wire::EnrollRequest { member_id, request_id, occurred_at, ..Default::default() };
        client.enroll(join).await.expect("a friend");
        let line = wire::Line { line_id: "1".to_owned(), quantity: 1, amount_minor: 12_340, ..Default::default() };
        let order = wire::Order {
            order_id: format!("o-{friend}"),
            currency_code: "EUR".to_owned(),
            lines: vec![line],
            ..Default::default()
        };
        let (member_id, request_id) = (friend.to_owned(), "buy".to_owned());
        let codes = vec![code];
        let order = Some(order);
        let buy = wire::CommitRequest { member_id, request_id, order, codes, occurred_at, ..Default::default() };
        client.commit(buy).await.expect("an order");
    }
    // What is due by the day after the next has arrived.
    for days in 1..=3 {
        client.end_day(AT.plus_ms(days * DAY_MS)).await.expect("delivered");
    }
    for (partner, payout) in [("acme", "may"), ("bolt", "may-b")] {
        let (member_id, request_id) = (partner.to_owned(), "prepare".to_owned());
        let prepare =
            wire::PreparePayoutRequest { member_id, request_id, payout_id: payout.to_owned(), ..Default::default() };
        let answer = desk.prepare_payout(prepare).await.expect("an answer").into_inner();
        assert!(answer.prepared, "{answer:?}");
    }
    let header = "partner,payout_id,number,state,currency_code,amount_minor,reference";
    let (acme, bolt) = ("acme,may,1,prepared,EUR,1234,", "bolt,may-b,1,prepared,EUR,1234,");
    assert_eq!(payouts(&target, &["acme", "bolt"]).await, (EXIT_FINE, vec![header.into(), acme.into(), bolt.into()]));
    let paid = wire::ConfirmPayoutRequest {
        member_id: "acme".to_owned(),
        request_id: "paid".to_owned(),
        payout_id: "may".to_owned(),
        state: wire::PayoutState::Paid.into(),
        reference: "bank-7".to_owned(),
        ..Default::default()
    };
    assert!(desk.confirm_payout(paid).await.expect("an answer").into_inner().confirmed);
    let paid = "acme,may,1,paid,EUR,1234,bank-7";
    assert_eq!(payouts(&target, &["acme", "bolt"]).await.1, [header, paid, bolt]);
    assert_eq!(payouts(&target, &["--open", "acme", "bolt"]).await.1, [header, bolt], "what is to be paid now");
    assert_eq!(payouts(&target, &["nobody"]).await.0, EXIT_FAILED);
    assert!(local.stop().await);
    assert_eq!(payouts(&target, &["acme"]).await.0, EXIT_NO_SERVER);
}
