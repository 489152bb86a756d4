//! What is wrong with a request is said all at once, field by field.

use guerdon::grpc::wire::{self, pay_with_units::Amount, return_line::Measure};
use tonic_types::StatusExt;

use super::kit::*;

/// Sends each request and compares the paths of what is wrong.
fn check<R: Rpc>(rows: Vec<(&str, R, &[&str])>) {
    let fake = Fake::that(Does::Fits);
    wait(async {
        for (name, request, expected) in rows {
            match request.send(routes(&fake)).await {
                Ok(_) => assert!(expected.is_empty(), "{name}: accepted, expected {expected:?}"),
                Err(status) => assert_eq!(paths(&status), expected, "{name}: {}", status.message()),
            }
        }
    });
}

fn with_order(change: impl FnOnce(&mut wire::Order)) -> wire::CommitRequest {
    let mut order = order();
    change(&mut order);
    wire::CommitRequest { order: Some(order), ..commit() }
}

fn with_line(change: impl FnOnce(&mut wire::Line)) -> wire::CommitRequest {
    with_order(|order| change(&mut order.lines[1]))
}

fn with_redeem(change: impl FnOnce(&mut wire::Redeem)) -> wire::CommitRequest {
    let mut redeem = redeem();
    change(&mut redeem);
    wire::CommitRequest { redeem: Some(redeem), ..commit() }
}

fn paying(amount: Option<Amount>) -> wire::CommitRequest {
    with_redeem(|redeem| redeem.pay_with_units = Some(wire::PayWithUnits { unit: String::new(), amount }))
}

fn long(bytes: usize) -> String {
    "x".repeat(bytes)
}

const AMOUNT_MAX: i64 = 1_000_000_000_000;
const YEAR_2000_S: i64 = 946_684_800;
const YEAR_9000_S: i64 = 221_845_392_000;

#[test]
fn touches() {
    use wire::RecordTouchRequest as T;
    check(vec![
        ("as it should be", record_touch(), &[]),
        (
            "nothing beside it",
            T { channel: String::new(), source: String::new(), user_agent: String::new(), ..record_touch() },
            &[],
        ),
        ("no visitor", T { visitor_id: String::new(), ..record_touch() }, &["visitor_id"]),
        ("visitor of 65 bytes", T { visitor_id: long(65), ..record_touch() }, &["visitor_id"]),
        ("no kind", T { kind: 0, ..record_touch() }, &["kind"]),
        ("an unknown kind", T { kind: 9, ..record_touch() }, &["kind"]),
        ("no code", T { code: String::new(), ..record_touch() }, &["code"]),
        ("labels", T { channel: " a".into(), source: long(65), ..record_touch() }, &["channel", "source"]),
        ("user agent of 1024 bytes", T { user_agent: long(1_024), ..record_touch() }, &[]),
        ("user agent of 1025 bytes", T { user_agent: long(1_025), ..record_touch() }, &["user_agent"]),
        ("nothing", T::default(), &["visitor_id", "request_id", "kind", "code"]),
    ]);
    check(vec![
        ("as it should be", explain_attribution(), &[]),
        (
            "nobody",
            wire::ExplainAttributionRequest { member_id: String::new(), ..explain_attribution() },
            &["member_id"],
        ),
    ]);
    use wire::ReviewRewardRequest as V;
    check(vec![
        ("as it should be", review_reward(), &[]),
        ("both sides", V { side: 0, ..review_reward() }, &[]),
        ("an unknown side", V { side: 9, ..review_reward() }, &["side"]),
        ("no verdict", V { verdict: 0, ..review_reward() }, &["verdict"]),
        ("an unknown verdict", V { verdict: 9, ..review_reward() }, &["verdict"]),
        ("no reason", V { reason_code: String::new(), ..review_reward() }, &["reason_code"]),
        ("nothing", V::default(), &["member_id", "request_id", "referral_id", "verdict", "agent_id", "reason_code"]),
    ]);
    let page = |page_size: i32, page_token: &str| wire::ListReviewsRequest {
        page_size,
        page_token: page_token.into(),
        ..list_reviews()
    };
    check(vec![
        ("200", page(200, ""), &[]),
        ("201", page(201, ""), &["page_size"]),
        ("fewer than none", page(-1, ""), &["page_size"]),
        ("another's token", page(1, "next"), &["page_token"]),
        ("a token", page(1, "5:friends:ben"), &[]),
    ]);
    let telling = |signals: wire::Signals| wire::EnrollRequest { signals: Some(signals), ..enroll() };
    check(vec![
        ("signals", telling(signals()), &[]),
        ("1024 bytes", telling(wire::Signals { address: long(1_024), ..signals() }), &[]),
        (
            "1025 bytes",
            telling(wire::Signals { address: long(1_025), ip: long(1_025), ..signals() }),
            &["signals.address", "signals.ip"],
        ),
    ]);
    let known = |signals| wire::UpdateMemberRequest { change: None, signals, ..update_member() };
    check(vec![("signals alone", known(Some(signals())), &[]), ("nothing to change", known(None), &["change"])]);
    let visitor = |visitor_id: &str| wire::EnrollRequest { visitor_id: visitor_id.into(), ..enroll() };
    check(vec![("none", visitor(""), &[]), ("a space", visitor("a b"), &["visitor_id"])]);
}

#[test]
fn what_every_write_carries() {
    check(vec![
        ("as it should be", release(), &[]),
        ("the only program", wire::ReleaseRequest { program_id: String::new(), ..release() }, &[]),
        ("program of 48 bytes", wire::ReleaseRequest { program_id: long(48), ..release() }, &[]),
        ("program of 49 bytes", wire::ReleaseRequest { program_id: long(49), ..release() }, &["program_id"]),
        ("no member", wire::ReleaseRequest { member_id: String::new(), ..release() }, &["member_id"]),
        ("member of 64 bytes", wire::ReleaseRequest { member_id: long(64), ..release() }, &[]),
        ("member of 65 bytes", wire::ReleaseRequest { member_id: long(65), ..release() }, &["member_id"]),
        ("a space", wire::ReleaseRequest { member_id: "a b".into(), ..release() }, &["member_id"]),
        ("no request id", wire::ReleaseRequest { request_id: String::new(), ..release() }, &["request_id"]),
        ("no order", wire::ReleaseRequest { order_id: String::new(), ..release() }, &["order_id"]),
        ("2000", wire::ReleaseRequest { occurred_at: timestamp(YEAR_2000_S, 0), ..release() }, &[]),
        ("1999", wire::ReleaseRequest { occurred_at: timestamp(YEAR_2000_S - 1, 0), ..release() }, &["occurred_at"]),
        ("9000", wire::ReleaseRequest { occurred_at: timestamp(YEAR_9000_S, 0), ..release() }, &[]),
        (
            "past it",
            wire::ReleaseRequest { occurred_at: timestamp(YEAR_9000_S, 1_000_000), ..release() },
            &["occurred_at"],
        ),
        ("i64::MAX", wire::ReleaseRequest { occurred_at: timestamp(i64::MAX, 0), ..release() }, &["occurred_at"]),
        ("i64::MIN", wire::ReleaseRequest { occurred_at: timestamp(i64::MIN, 0), ..release() }, &["occurred_at"]),
        (
            "nanos below",
            wire::ReleaseRequest { occurred_at: timestamp(YEAR_2000_S, -1), ..release() },
            &["occurred_at"],
        ),
        (
            "nanos above",
            wire::ReleaseRequest { occurred_at: timestamp(YEAR_2000_S, 1_000_000_000), ..release() },
            &["occurred_at"],
        ),
        (
            "empty",
            wire::ReleaseRequest::default(),
            // The program may be left out.
            &["member_id", "request_id", "order_id"],
        ),
    ]);
}

#[test]
fn orders() {
    check(vec![
        ("as it should be", commit(), &[]),
        ("none", wire::CommitRequest { order: None, ..commit() }, &["order"]),
        ("lower case", with_order(|o| o.currency_code = "eur".into()), &["order.currency_code"]),
        ("no such currency", with_order(|o| o.currency_code = "EUX".into()), &["order.currency_code"]),
        ("no currency", with_order(|o| o.currency_code = String::new()), &["order.currency_code"]),
        ("no id", with_order(|o| o.order_id = String::new()), &["order.order_id"]),
        ("optional parts", with_order(|o| (o.channel, o.store_id, o.time_zone) = Default::default()), &[]),
        ("channel", with_order(|o| o.channel = " web".into()), &["order.channel"]),
        ("store", with_order(|o| o.store_id = "{}".into()), &["order.store_id"]),
        ("UTC", with_order(|o| o.time_zone = "UTC".into()), &[]),
        ("an offset", with_order(|o| o.time_zone = "+02:00".into()), &["order.time_zone"]),
        ("as POSIX writes it", with_order(|o| o.time_zone = "EST5EDT,M3.2.0,M11.1.0".into()), &["order.time_zone"]),
        ("unknown place", with_order(|o| o.time_zone = "Europe/Atlantis".into()), &["order.time_zone"]),
        ("lower case place", with_order(|o| o.time_zone = "europe/berlin".into()), &["order.time_zone"]),
        ("a path", with_order(|o| o.time_zone = "../../etc/passwd".into()), &["order.time_zone"]),
        ("20 coupons", with_order(|o| o.coupons = vec!["a".into(); 20]), &[]),
        ("21 coupons", with_order(|o| o.coupons = vec!["a".into(); 21]), &["order.coupons"]),
        ("a coupon", with_order(|o| o.coupons = vec!["a".into(), " b".into()]), &["order.coupons[1]"]),
        ("a recipient", with_order(|o| o.recipient_member_id = "no id".into()), &["order.recipient_member_id"]),
        ("a way to pay", with_order(|o| o.payment_methods = vec![String::new()]), &["order.payment_methods[0]"]),
        ("no lines", with_order(|o| o.lines.clear()), &["order.lines"]),
        ("500 lines", with_order(|o| o.lines = (0..500).map(|i| line(&i.to_string())).collect()), &[]),
        ("501 lines", with_order(|o| o.lines = (0..501).map(|i| line(&i.to_string())).collect()), &["order.lines"]),
        ("line id twice", with_order(|o| o.lines.push(line("1"))), &["order.lines[2].line_id"]),
        (
            "the most that lines may sum to",
            with_order(|o| (o.lines[0].amount_minor, o.lines[1].amount_minor) = (AMOUNT_MAX - 60, 60)),
            &[],
        ),
        (
            "one more",
            with_order(|o| (o.lines[0].amount_minor, o.lines[1].amount_minor) = (AMOUNT_MAX - 60, 61)),
            &["order.lines"],
        ),
    ]);
}

#[test]
fn lines() {
    check(vec![
        ("no id", with_line(|l| l.line_id = String::new()), &["order.lines[1].line_id"]),
        (
            "optional parts",
            with_line(|l| {
                (l.sku, l.brand, l.seller) = Default::default();
                l.categories.clear();
                l.list_amount_minor = None;
                (l.quantity, l.amount_minor, l.tax_minor, l.kind) = (0, 0, 0, 0);
            }),
            &[],
        ),
        ("sku", with_line(|l| l.sku = "a b".into()), &["order.lines[1].sku"]),
        ("brand", with_line(|l| l.brand = "a\u{7f}".into()), &["order.lines[1].brand"]),
        ("seller", with_line(|l| l.seller = long(65)), &["order.lines[1].seller"]),
        ("16 categories", with_line(|l| l.categories = vec!["a".into(); 16]), &[]),
        ("17 categories", with_line(|l| l.categories = vec!["a".into(); 17]), &["order.lines[1].categories"]),
        (
            "empty and odd categories",
            with_line(|l| l.categories = vec!["a".into(), String::new(), "b|c".into()]),
            &["order.lines[1].categories[1]", "order.lines[1].categories[2]"],
        ),
        ("most items", with_line(|l| l.quantity = 1_000_000_000), &[]),
        ("more items", with_line(|l| l.quantity = 1_000_000_001), &["order.lines[1].quantity"]),
        ("items below 0", with_line(|l| l.quantity = -1), &["order.lines[1].quantity"]),
        ("amount below 0", with_line(|l| (l.amount_minor, l.tax_minor) = (-1, 0)), &["order.lines[1].amount_minor"]),
        ("amount above", with_line(|l| l.amount_minor = AMOUNT_MAX + 1), &["order.lines[1].amount_minor"]),
        ("list amount", with_line(|l| l.list_amount_minor = Some(-1)), &["order.lines[1].list_amount_minor"]),
        (
            "prior amount",
            with_line(|l| l.lowest_prior_amount_minor = Some(-1)),
            &["order.lines[1].lowest_prior_amount_minor"],
        ),
        ("tax below 0", with_line(|l| l.tax_minor = -1), &["order.lines[1].tax_minor"]),
        ("all tax", with_line(|l| l.tax_minor = 760), &[]),
        ("more tax than amount", with_line(|l| l.tax_minor = 761), &["order.lines[1].tax_minor"]),
        (
            "more tax, on top",
            with_order(|o| {
                o.prices_include_tax = false;
                o.lines[1].tax_minor = 761;
            }),
            &[],
        ),
        ("no such kind", with_line(|l| l.kind = 5), &["order.lines[1].kind"]),
        ("kind below 0", with_line(|l| l.kind = i32::MIN), &["order.lines[1].kind"]),
    ]);
}

#[test]
fn redemptions_codes_and_tenders() {
    let rewards = |n: usize| (0..n).map(|i| format!("reward-{i}")).collect::<Vec<_>>();
    let tenders =
        |n: usize| (0..n).map(|i| wire::Tender { tender_id: format!("card {i}"), ..Default::default() }).collect();
    let tender = |tender_id: &str, amount_minor| wire::Tender {
        tender_id: tender_id.into(),
        amount_minor,
        ..Default::default()
    };
    check(vec![
        ("nothing", wire::CommitRequest { redeem: None, codes: vec![], tenders: vec![], ..commit() }, &[]),
        ("no such mode", with_redeem(|r| r.mode = 3), &["redeem.mode"]),
        ("no pay", with_redeem(|r| r.pay_with_units = None), &[]),
        ("no amount", paying(None), &["redeem.pay_with_units.amount"]),
        ("exactly 1", paying(Some(Amount::Exactly(1))), &[]),
        ("exactly 0", paying(Some(Amount::Exactly(0))), &["redeem.pay_with_units.exactly"]),
        ("exactly too many", paying(Some(Amount::Exactly(AMOUNT_MAX + 1))), &["redeem.pay_with_units.exactly"]),
        ("at most 1", paying(Some(Amount::AtMost(1))), &[]),
        ("at most 0", paying(Some(Amount::AtMost(0))), &["redeem.pay_with_units.at_most"]),
        ("all", paying(Some(Amount::AllPossible(true))), &[]),
        ("not all", paying(Some(Amount::AllPossible(false))), &["redeem.pay_with_units.all_possible"]),
        ("unit", with_redeem(|r| r.pay_with_units.as_mut().unwrap().unit = long(25)), &["redeem.pay_with_units.unit"]),
        ("20 rewards", with_redeem(|r| r.reward_ids = rewards(20)), &[]),
        ("21 rewards", with_redeem(|r| r.reward_ids = rewards(21)), &["redeem.reward_ids"]),
        ("reward twice", with_redeem(|r| r.reward_ids = vec!["a".into(); 2]), &["redeem.reward_ids[1]"]),
        (
            "empty rewards",
            with_redeem(|r| r.reward_ids = vec![String::new(); 2]),
            &["redeem.reward_ids[0]", "redeem.reward_ids[1]"],
        ),
        ("10 codes", wire::CommitRequest { codes: vec!["a".into(); 10], ..commit() }, &[]),
        ("11 codes", wire::CommitRequest { codes: vec!["a".into(); 11], ..commit() }, &["codes"]),
        ("no code can read so", wire::CommitRequest { codes: vec!["?? \n ☃".into()], ..commit() }, &[]),
        ("64 bytes", wire::CommitRequest { codes: vec![long(64)], ..commit() }, &[]),
        (
            "65 bytes and none",
            wire::CommitRequest { codes: vec![long(65), String::new()], ..commit() },
            &["codes[0]", "codes[1]"],
        ),
        ("20 tenders", wire::CommitRequest { tenders: tenders(20), ..commit() }, &[]),
        ("21 tenders", wire::CommitRequest { tenders: tenders(21), ..commit() }, &["tenders"]),
        (
            "odd tenders",
            wire::CommitRequest { tenders: vec![tender("a", -1), tender("a", 0), tender("", 1)], ..commit() },
            &["tenders[0].amount_minor", "tenders[1].tender_id", "tenders[2].tender_id"],
        ),
    ]);
}

#[test]
fn quotes() {
    check(vec![
        ("as it should be", quote(), &[]),
        ("a guest", wire::QuoteRequest { member_id: String::new(), ..quote() }, &[]),
        ("no such member", wire::QuoteRequest { member_id: "a b".into(), ..quote() }, &["member_id"]),
        ("empty", wire::QuoteRequest::default(), &["order"]),
    ]);
}

#[test]
fn reservations() {
    check(vec![
        ("as it should be", reserve(), &[]),
        ("nothing to hold", wire::ReserveRequest { redeem: None, ..reserve() }, &["redeem"]),
        ("the program's time", wire::ReserveRequest { ttl_seconds: None, ..reserve() }, &[]),
        ("a second", wire::ReserveRequest { ttl_seconds: Some(1), ..reserve() }, &[]),
        ("no time", wire::ReserveRequest { ttl_seconds: Some(0), ..reserve() }, &["ttl_seconds"]),
        ("endless", wire::ReserveRequest { ttl_seconds: Some(i64::MAX), ..reserve() }, &["ttl_seconds"]),
        ("a long quote", wire::ReserveRequest { quote_token: "0".repeat(16 * 1024), ..reserve() }, &[]),
        (
            "a longer one",
            wire::ReserveRequest { quote_token: "0".repeat(16 * 1024 + 1), ..reserve() },
            &["quote_token"],
        ),
        ("empty", wire::ReserveRequest::default(), &["member_id", "request_id", "order", "redeem"]),
    ]);
}

#[test]
fn returns() {
    let lines = |lines: Vec<wire::ReturnLine>| Some(wire::ReturnWhat { everything: false, lines });
    let of = |line_id: &str, measure| wire::ReturnLine { line_id: line_id.into(), measure };
    let cancel = wire::ReturnCause::Cancel.into();
    let with = |what| wire::ReturnRequest { what, ..give_back() };
    let many = |n: usize| lines((0..n).map(|i| of(&i.to_string(), Some(Measure::Quantity(1)))).collect());
    check(vec![
        ("as it should be", give_back(), &[]),
        ("no return id", wire::ReturnRequest { return_id: String::new(), ..give_back() }, &["return_id"]),
        ("nothing", with(None), &["what"]),
        ("all", with(Some(wire::ReturnWhat { everything: true, lines: vec![] })), &[]),
        ("all and lines", with(Some(wire::ReturnWhat { everything: true, ..what() })), &["what.lines"]),
        ("no lines", with(lines(vec![])), &["what.lines"]),
        ("cancelled", wire::ReturnRequest { cause: cancel, ..with(None) }, &[]),
        ("cancelled, no lines", wire::ReturnRequest { cause: cancel, ..with(lines(vec![])) }, &[]),
        ("cancelled, lines", wire::ReturnRequest { cause: cancel, ..give_back() }, &["what.lines"]),
        ("no such cause", wire::ReturnRequest { cause: 3, ..give_back() }, &["cause"]),
        ("500 lines", with(many(500)), &[]),
        ("501 lines", with(many(501)), &["what.lines"]),
        (
            "odd lines",
            with(lines(vec![
                of("1", Some(Measure::Quantity(0))),
                of("1", Some(Measure::AmountMinor(0))),
                of("", None),
                of("2", Some(Measure::Quantity(1_000_000_001))),
                of("3", Some(Measure::AmountMinor(AMOUNT_MAX + 1))),
            ])),
            &[
                "what.lines[0].quantity",
                "what.lines[1].line_id",
                "what.lines[1].amount_minor",
                "what.lines[2].line_id",
                "what.lines[2].measure",
                "what.lines[3].quantity",
                "what.lines[4].amount_minor",
            ],
        ),
        ("empty", wire::ReturnRequest::default(), &["request_id", "order_id", "return_id", "what"]),
    ]);
    check(vec![
        ("as it should be", quote_return(), &[]),
        ("empty", wire::QuoteReturnRequest::default(), &["order_id", "what"]),
        ("when", wire::QuoteReturnRequest { occurred_at: timestamp(0, 0), ..quote_return() }, &["occurred_at"]),
    ]);
}

#[test]
fn amendments() {
    use wire::AmendOrderRequest as A;
    let line = |line_id: &str| wire::Line { line_id: line_id.into(), quantity: 1, ..wire::Line::default() };
    check(vec![
        ("as it should be", amend_order(), &[]),
        ("nothing comes in", A { add: vec![], ..amend_order() }, &[]),
        ("nothing goes out", A { remove: vec![], ..amend_order() }, &[]),
        ("a guest", A { member_id: String::new(), ..amend_order() }, &["member_id"]),
        ("twice the same", A { add: vec![line("7"), line("7")], ..amend_order() }, &["add[1].line_id"]),
        ("a line without a name", A { add: vec![line("")], ..amend_order() }, &["add[0].line_id"]),
        (
            "out without a name",
            A { remove: vec![wire::ReturnLine::default()], ..amend_order() },
            &["remove[0].line_id", "remove[0].measure"],
        ),
        ("empty", A::default(), &["member_id", "request_id", "order_id", "amendment_id", "add"]),
    ]);
}

#[test]
fn members() {
    check(vec![
        ("as it should be", enroll(), &[]),
        ("codes", wire::EnrollRequest { codes: vec!["a".into(); 11], ..enroll() }, &["codes"]),
        ("empty", wire::EnrollRequest::default(), &["member_id", "request_id"]),
    ]);
    check(vec![("as it should be", get_member(), &[]), ("empty", wire::GetMemberRequest::default(), &["member_id"])]);
    check(vec![
        ("as it should be", adjust(), &[]),
        ("a debit", wire::AdjustRequest { amount: -50, expires_at: None, ..adjust() }, &[]),
        ("a debit that expires", wire::AdjustRequest { amount: -50, ..adjust() }, &["expires_at"]),
        ("the most", wire::AdjustRequest { amount: AMOUNT_MAX, ..adjust() }, &[]),
        ("more", wire::AdjustRequest { amount: AMOUNT_MAX + 1, ..adjust() }, &["amount"]),
        ("the least", wire::AdjustRequest { amount: -AMOUNT_MAX, expires_at: None, ..adjust() }, &[]),
        ("less", wire::AdjustRequest { amount: -AMOUNT_MAX - 1, expires_at: None, ..adjust() }, &["amount"]),
        ("unit", wire::AdjustRequest { unit: "a b".into(), ..adjust() }, &["unit"]),
        ("no reason", wire::AdjustRequest { reason: 0, ..adjust() }, &["reason"]),
        ("no such reason", wire::AdjustRequest { reason: 99, ..adjust() }, &["reason"]),
        ("no note", wire::AdjustRequest { note: String::new(), ..adjust() }, &[]),
        ("500 bytes", wire::AdjustRequest { note: "é".repeat(250), ..adjust() }, &[]),
        ("502 bytes", wire::AdjustRequest { note: "é".repeat(251), ..adjust() }, &["note"]),
        ("empty", wire::AdjustRequest::default(), &["member_id", "request_id", "amount", "reason", "agent_id"]),
    ]);
    check(vec![
        ("as it should be", list_entries(), &[]),
        ("500 a page", wire::ListEntriesRequest { page_size: 500, ..list_entries() }, &[]),
        ("501 a page", wire::ListEntriesRequest { page_size: 501, ..list_entries() }, &["page_size"]),
        ("-1 a page", wire::ListEntriesRequest { page_size: -1, ..list_entries() }, &["page_size"]),
        (
            "no such token",
            wire::ListEntriesRequest { page_token: long(8 * 1024 + 1), ..list_entries() },
            &["page_token"],
        ),
        ("empty", wire::ListEntriesRequest::default(), &["member_id"]),
    ]);
}

#[test]
fn referrals() {
    check(vec![
        ("as it should be", create_code(), &[]),
        (
            "the only campaign, any code",
            wire::CreateCodeRequest { campaign_id: String::new(), vanity: String::new(), ..create_code() },
            &[],
        ),
        ("campaign", wire::CreateCodeRequest { campaign_id: long(49), ..create_code() }, &["campaign_id"]),
        ("label", wire::CreateCodeRequest { label: long(65), ..create_code() }, &["label"]),
        ("uses", wire::CreateCodeRequest { uses_max: -1, ..create_code() }, &["uses_max"]),
        ("expiry", wire::CreateCodeRequest { expires_at: timestamp(0, -1), ..create_code() }, &["expires_at"]),
        ("3 letters", wire::CreateCodeRequest { vanity: "a-b-c".into(), ..create_code() }, &["vanity"]),
        ("24 letters", wire::CreateCodeRequest { vanity: long(24), ..create_code() }, &[]),
        ("25 letters", wire::CreateCodeRequest { vanity: long(25), ..create_code() }, &["vanity"]),
        ("no letters", wire::CreateCodeRequest { vanity: "☃☃☃☃".into(), ..create_code() }, &["vanity"]),
        (
            "mostly hyphens",
            wire::CreateCodeRequest { vanity: format!("{}abcd", "-".repeat(64)), ..create_code() },
            &["vanity"],
        ),
        ("empty", wire::CreateCodeRequest::default(), &["member_id", "request_id"]),
    ]);
    check(vec![
        ("as it should be", attribute(), &[]),
        ("64 bytes", wire::AttributeRequest { code: long(64), ..attribute() }, &[]),
        ("65 bytes", wire::AttributeRequest { code: long(65), ..attribute() }, &["code"]),
        ("empty", wire::AttributeRequest::default(), &["member_id", "request_id", "code"]),
        ("agent", wire::AttributeRequest { agent_id: long(65), ..attribute() }, &["agent_id"]),
    ]);
    check(vec![
        ("as it should be", update_code(), &[] as &[_]),
        ("to erase", wire::UpdateCodeRequest { state: 3, ..update_code() }, &["state"]),
        ("unknown state", wire::UpdateCodeRequest { state: 99, ..update_code() }, &["state"]),
        ("empty", wire::UpdateCodeRequest::default(), &["member_id", "request_id", "code", "agent_id", "state"]),
    ]);
    check(vec![
        (
            "as it should be",
            wire::GetCodeRequest { program_id: "bakery".into(), code: "MIA-C00KS".into() },
            &[] as &[_],
        ),
        ("no code", wire::GetCodeRequest { program_id: "bakery".into(), code: "?".into() }, &["code"]),
    ]);
    check(vec![
        ("121 bytes", wire::GetReferralRequest { referral_id: long(121), ..get_referral() }, &["referral_id"]),
        ("empty", wire::GetReferralRequest::default(), &["referral_id"] as &[_]),
    ]);
}

#[test]
fn other_reads() {
    check(vec![
        ("as it should be", verify_member(), &[]),
        ("empty", wire::VerifyMemberRequest::default(), &["member_id"]),
    ]);
    check(vec![
        ("as it should be", get_outcome(), &[]),
        ("empty", wire::GetOutcomeRequest::default(), &["member_id", "request_id"]),
    ]);
    check(vec![
        ("as it should be", get_order(), &[]),
        ("no order", wire::GetOrderRequest { order_id: String::new(), ..get_order() }, &["order_id"]),
        ("empty", wire::GetOrderRequest::default(), &["order_id"]),
    ]);
    check(vec![
        ("as it should be", end_day(), &[]),
        ("empty", wire::EndDayRequest::default(), &["through"]),
        ("1970", wire::EndDayRequest { through: timestamp(0, 0) }, &["through"]),
    ]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let request = wire::CommitRequest {
        program_id: "a b".into(),
        member_id: "a b".into(),
        request_id: long(65),
        order: Some(wire::Order {
            currency_code: "??".into(),
            lines: vec![wire::Line { quantity: -1, amount_minor: -1, kind: 9, ..line("") }],
            ..wire::Order::default()
        }),
        redeem: Some(wire::Redeem { mode: -1, reward_ids: vec!["|".into()], ..redeem() }),
        codes: vec![String::new()],
        occurred_at: timestamp(0, 0),
        tenders: vec![wire::Tender::default()],
        ..commit()
    };
    check(vec![(
        "all of it",
        request,
        &[
            "program_id",
            "member_id",
            "request_id",
            "occurred_at",
            "order.order_id",
            "order.currency_code",
            "order.lines[0].line_id",
            "order.lines[0].quantity",
            "order.lines[0].amount_minor",
            "order.lines[0].kind",
            "redeem.mode",
            "redeem.reward_ids[0]",
            "codes[0]",
            "tenders[0].tender_id",
        ],
    )]);
}

#[test]
fn an_empty_program_is_a_fault_where_there_are_several() {
    let mut several = Fake::that(Does::Fits);
    std::sync::Arc::get_mut(&mut several).unwrap().only_program = None;
    let request = wire::GetMemberRequest { program_id: String::new(), ..get_member() };
    let status = wait(request.send(routes(&several))).unwrap_err();
    assert_eq!(paths(&status), ["program_id"]);
    assert!(status.message().contains("several programs"), "{}", status.message());
}

#[test]
fn a_flood_of_faults_is_cut_and_counted() {
    let lines = (0..500).map(|_| wire::Line { quantity: -1, amount_minor: -1, ..line("{a long odd id}") });
    let request = with_order(|order| order.lines = lines.collect());
    let status = wait(request.send(routes(&Fake::that(Does::Fits)))).unwrap_err();
    let listed = paths(&status).len();
    assert!((10..=100).contains(&listed), "{listed}");
    assert!(status.details().len() < 6 * 1024, "{} bytes have to fit a peer's headers", status.details().len());
    // Four faults a line (an odd id, the same id, quantity and amount), but for the first, whose id is new.
    let left_out = 4 * 500 - 1 - listed;
    assert!(status.message().contains(&format!("{left_out} more are not listed")), "{}", status.message());
}

#[test]
fn values_are_shortened_where_they_are_shown() {
    let request = with_order(|order| order.currency_code = "é\n".repeat(50_000));
    let status = wait(request.send(routes(&Fake::that(Does::Fits)))).unwrap_err();
    let details = status.get_error_details();
    let violation = &details.bad_request().unwrap().field_violations[0];
    assert!(violation.description.len() < 200, "{}", violation.description);
    assert!(violation.description.contains(r#"is "é\né\n"#), "{}", violation.description);
}
