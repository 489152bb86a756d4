//! What well-formed requests mean to the domain.

use guerdon::domain::command::*;
use guerdon::domain::id::*;
use guerdon::domain::order::{Currency, Line, LineKind, Order, OrderKind};
use guerdon::domain::quote::Relied;
use guerdon::domain::referral::code;
use guerdon::domain::referral::signal::Signals;
use guerdon::domain::time::Instant;
use guerdon::grpc::wire::{self, pay_with_units::Amount};
use jiff::tz::TimeZone;

use super::kit::*;

fn label(raw: &str) -> Label {
    Label::parse(raw).unwrap()
}

fn written(request: impl Rpc) -> guerdon::service::Write {
    let fake = Fake::that(Does::Fits);
    wait(request.send(routes(&fake))).unwrap();
    fake.last_write()
}

fn previewed(request: impl Rpc) -> guerdon::service::Preview {
    let fake = Fake::that(Does::Fits);
    wait(request.send(routes(&fake))).unwrap();
    fake.last_preview()
}

fn domain_line(line_id: &str) -> Line {
    Line {
        line_id: LineId::parse(line_id).unwrap(),
        sku: Some(Sku::parse("RYE-1").unwrap()),
        categories: vec![label("bread"), label("Käse & Brot")],
        brand: Some(label("Marlow")),
        seller: None,
        collections: Vec::new(),
        labels: Vec::new(),
        kind: LineKind::Goods,
        quantity: 2,
        amount_minor: 760,
        list_amount_minor: Some(800),
        prior_amount_minor: Some(650),
        tax_minor: 50,
    }
}

fn domain_order() -> Order {
    Order {
        order_id: OrderId::parse("o-1").unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        channel: Some(label("web")),
        store: Some(label("north")),
        zone: Some(TimeZone::get("Europe/Berlin").unwrap()),
        prices_include_tax: true,
        lines: vec![domain_line("1"), domain_line("2")],
        kind: OrderKind::Renewal,
        coupons: vec![label("SPRING")],
        payment_methods: vec![label("card")],
        recipient: Some(MemberId::parse("leo").unwrap()),
    }
}

fn domain_redeem() -> Redeem {
    Redeem {
        mode: RedeemMode::AsPossible,
        pay: Some(PayWithUnits { unit: Some(UnitId::points()), amount: PayAmount::Exactly(100) }),
        rewards: vec![RewardId::parse("free-coffee").unwrap()],
        vouchers: vec![VoucherId::parse("mia:card:coffee:1").unwrap()],
    }
}

fn entered(raw: &str) -> EnteredCode {
    EnteredCode { raw: raw.into(), code: code::read(raw) }
}

#[test]
fn a_commit() {
    let write = written(commit());
    assert_eq!((write.program.as_str(), write.member.as_str(), write.request_id.as_str()), ("bakery", "mia", "r-1"));
    assert_eq!(write.occurred_at, Some(Instant(1_767_225_600_000)));
    // The methods of its tenders count for the order.
    let order = Order { payment_methods: vec![label("card"), label("visa")], ..domain_order() };
    let expected = Commit {
        order,
        redeem: Some(domain_redeem()),
        codes: vec![entered("ABCD-1234")],
        paid: true,
        tenders: vec![Tender { tender: label("card-1"), amount_minor: 1_420 }],
        explain: false,
        quote: Some(Relied::Token("c0ffee".into())),
        visitor: Some(VisitorId::parse("v-1").unwrap()),
        signals: Signals::None,
    };
    assert!(expected.codes[0].code.is_some(), "the code can be read");
    assert_eq!(write.command, Command::Commit(expected));
}

#[test]
fn a_commit_that_leaves_out_what_it_may() {
    let order = wire::Order {
        order_id: "o-1".into(),
        currency_code: "JPY".into(),
        lines: vec![wire::Line { line_id: "1".into(), ..wire::Line::default() }],
        ..wire::Order::default()
    };
    let write = written(wire::CommitRequest {
        member_id: "mia".into(),
        request_id: "r-1".into(),
        order: Some(order),
        ..wire::CommitRequest::default()
    });
    assert_eq!(write.program.as_str(), "bakery", "the only one");
    assert_eq!(write.occurred_at, None);
    let Command::Commit(commit) = write.command else { panic!("{:?}", write.command) };
    assert_eq!((commit.redeem, commit.codes.len(), commit.tenders.len(), commit.paid), (None, 0, 0, false));
    let order = commit.order;
    assert_eq!((order.channel, order.store, order.zone, order.prices_include_tax), (None, None, None, false));
    let line = &order.lines[0];
    assert_eq!((&line.sku, &line.brand, &line.seller, line.list_amount_minor), (&None, &None, &None, None));
    assert_eq!((line.kind, line.quantity, line.amount_minor, line.tax_minor), (LineKind::Goods, 0, 0, 0));
}

#[test]
fn a_quote_previews_the_commit() {
    let preview = previewed(quote());
    assert_eq!(preview.member, Some(MemberId::parse("mia").unwrap()));
    // Kept to the millisecond.
    assert_eq!(preview.occurred_at, Some(Instant(1_767_225_600_123)));
    let expected = Commit {
        order: domain_order(),
        redeem: Some(domain_redeem()),
        codes: vec![entered("ABCD-1234")],
        paid: false,
        tenders: Vec::new(),
        explain: true,
        quote: None,
        visitor: Some(VisitorId::parse("v-1").unwrap()),
        signals: Signals::None,
    };
    assert_eq!(preview.command, Command::Commit(expected));
    assert_eq!(previewed(wire::QuoteRequest { member_id: String::new(), ..quote() }).member, None, "a guest");
}

#[test]
fn a_reservation() {
    let expected = Reserve {
        order: domain_order(),
        redeem: domain_redeem(),
        ttl_s: Some(600),
        explain: false,
        quote: Some(Relied::Token("c0ffee".into())),
    };
    assert_eq!(written(reserve()).command, Command::Reserve(expected));
}

#[test]
fn kinds_modes_and_amounts() {
    use wire::LineKind as Wire;
    for (kind, expected) in [
        (Wire::Unspecified, LineKind::Goods),
        (Wire::Goods, LineKind::Goods),
        (Wire::Shipping, LineKind::Shipping),
        (Wire::Fee, LineKind::Fee),
        (Wire::GiftCard, LineKind::GiftCard),
    ] {
        let order = wire::Order { lines: vec![wire::Line { kind: kind.into(), ..line("1") }], ..order() };
        let Command::Commit(commit) = written(wire::CommitRequest { order: Some(order), ..commit() }).command else {
            panic!("not a commit")
        };
        assert_eq!(commit.order.lines[0].kind, expected, "{kind:?}");
    }
    for (mode, amount, expected_mode, expected_amount) in [
        (0, Amount::Exactly(1), RedeemMode::AllOrNothing, PayAmount::Exactly(1)),
        (1, Amount::AtMost(7), RedeemMode::AllOrNothing, PayAmount::AtMost(7)),
        (2, Amount::AllPossible(true), RedeemMode::AsPossible, PayAmount::AllPossible),
    ] {
        let pay = wire::PayWithUnits { unit: String::new(), amount: Some(amount) };
        let redeem = wire::Redeem { mode, pay_with_units: Some(pay), ..Default::default() };
        let Command::Commit(commit) = written(wire::CommitRequest { redeem: Some(redeem), ..commit() }).command else {
            panic!("not a commit")
        };
        let pay = PayWithUnits { unit: None, amount: expected_amount };
        let expected = Redeem { mode: expected_mode, pay: Some(pay), rewards: vec![], vouchers: vec![] };
        assert_eq!(commit.redeem, Some(expected));
    }
}

#[test]
fn releases_and_returns() {
    let order_id = OrderId::parse("o-1").unwrap();
    assert_eq!(written(release()).command, Command::Release(Release { order_id: order_id.clone() }));

    let lines =
        vec![(LineId::parse("1").unwrap(), Measure::Quantity(1)), (LineId::parse("2").unwrap(), Measure::Amount(5))];
    let expected = Return {
        order_id,
        return_id: ReturnId::parse("b-1").unwrap(),
        what: ReturnWhat::Lines(lines),
        cause: ReturnCause::Return,
    };
    assert_eq!(written(give_back()).command, Command::Return(expected.clone()));
    let preview = previewed(quote_return());
    assert_eq!(preview.member, Some(MemberId::parse("mia").unwrap()));
    assert_eq!(preview.command, Command::Return(Return { return_id: ReturnId::preview(), ..expected.clone() }));

    let all = Some(wire::ReturnWhat { everything: true, lines: vec![] });
    for (name, what, cause, expected_what, expected_cause) in [
        ("all", all.clone(), 1, ReturnWhat::Everything, ReturnCause::Return),
        ("cancelled", all, 2, ReturnWhat::Everything, ReturnCause::Cancel),
        ("cancelled without a word", None, 2, ReturnWhat::Everything, ReturnCause::Cancel),
    ] {
        let written = written(wire::ReturnRequest { what, cause, ..give_back() });
        let expected = Return { what: expected_what, cause: expected_cause, ..expected.clone() };
        assert_eq!(written.command, Command::Return(expected), "{name}");
    }
}

#[test]
fn members_and_referrals() {
    let enroll = written(enroll());
    let expected = Enroll {
        member: MemberId::parse("mia").unwrap(),
        codes: vec![entered("ABCD-1234")],
        profile: ProfileChange::default(),
        visitor: Some(VisitorId::parse("v-1").unwrap()),
        signals: Signals::None,
    };
    assert_eq!(enroll.command, Command::Enroll(expected));

    for (reason, expected) in [
        (wire::AdjustReason::Goodwill, AdjustReason::Goodwill),
        (wire::AdjustReason::ServiceRecovery, AdjustReason::ServiceRecovery),
        (wire::AdjustReason::Correction, AdjustReason::Correction),
        (wire::AdjustReason::Migration, AdjustReason::Migration),
    ] {
        let written = written(wire::AdjustRequest { reason: reason.into(), ..adjust() });
        let expected = Adjust {
            order: None,
            unit: None,
            amount: 50,
            reason: expected,
            agent: label("agent-7"),
            note: Some("the bread was stale".into()),
            expires_at: Some(Instant(1_800_000_000_000)),
        };
        assert_eq!(written.command, Command::Adjust(expected));
    }

    let campaign = Some(CampaignId::parse("friends").unwrap());
    let vanity = Some(code::read("MIA-COOKS").unwrap());
    let wanted = CreateCode {
        campaign,
        vanity: vanity.clone(),
        label: Some(label("video")),
        expires_at: Some(Instant(1_800_000_000_000)),
        uses_max: Some(3),
    };
    assert_eq!(written(create_code()).command, Command::CreateCode(wanted));
    let written = written(attribute());
    let Command::Attribute(attribute) = written.command else { panic!("{:?}", written.command) };
    assert_eq!(attribute.code.raw, "MIA-C00KS", "as entered");
    assert_eq!(attribute.code.code, vanity, "and read");
}

#[test]
fn pages() {
    for (page_size, page_token, expected) in
        [(0, "", (None, 100)), (1, "abc", (Some("abc".to_owned()), 1)), (500, "", (None, 500))]
    {
        let fake = Fake::that(Does::Fits);
        let request = wire::ListEntriesRequest { page_size, page_token: page_token.into(), ..list_entries() };
        let response = wait(request.send(routes(&fake))).unwrap();
        assert_eq!(*fake.pages.lock().unwrap(), [expected]);
        assert_eq!(response.next_page_token, "next");
    }
}

#[test]
fn the_end_of_a_day() {
    let fake = Fake::that(Does::Fits);
    let response = wait(end_day().send(routes(&fake))).unwrap();
    assert_eq!((response.effects_delivered, response.accounts_swept), (2, 3));
    assert_eq!(*fake.days.lock().unwrap(), [Instant(1_767_225_600_000)]);
}

#[test]
fn signals_arrive_as_they_were_sent_and_are_shown_to_nobody() {
    let written = written(wire::EnrollRequest { signals: Some(signals()), ..enroll() });
    assert!(!format!("{written:?}").contains("example"), "{written:?}");
    let Command::Enroll(enroll) = written.command else { panic!("another command") };
    let raw = enroll.signals.raw().unwrap();
    let told =
        [&raw.email, &raw.phone, &raw.device_id, &raw.payment_instrument, &raw.address, &raw.ip, &raw.user_agent];
    let wire::Signals { email, phone, device_id, payment_instrument, address, ip, user_agent, referrer } = signals();
    assert_eq!(told, [&email, &phone, &device_id, &payment_instrument, &address, &ip, &user_agent]);
    assert_eq!(raw.referrer, referrer);
    let nothing =
        self::written(wire::EnrollRequest { signals: Some(wire::Signals::default()), ..super::kit::enroll() });
    let Command::Enroll(enroll) = nothing.command else { panic!("another command") };
    assert_eq!(enroll.signals, Signals::None);
}

#[test]
fn a_review_and_a_touch() {
    let expected = ReviewReward {
        referral: ReferralId::parse("friends:ben").unwrap(),
        sides: Sides { friend: false, advocate: true },
        approve: true,
        forced: true,
        agent: label("agent-7"),
        reason: label("known-family"),
    };
    assert_eq!(written(review_reward()).command, Command::ReviewReward(expected.clone()));
    let both = wire::ReviewRewardRequest { side: 0, verdict: 2, force: false, ..review_reward() };
    let both = written(both).command;
    assert_eq!(
        both,
        Command::ReviewReward(ReviewReward { sides: Sides::BOTH, approve: false, forced: false, ..expected })
    );
    let touch = written(record_touch());
    assert_eq!(touch.member, MemberId::visitor(&VisitorId::parse("v-1").unwrap()));
    let Command::RecordTouch(record) = touch.command else { panic!("another command") };
    assert_eq!(
        (record.code.raw.as_str(), record.channel, record.source),
        ("MIA-C00KS", Some(label("email")), Some(label("spring letter")))
    );
    assert_eq!(record.user_agent, "Mozilla/5.0");
}
