//! What a shop does with the service, call by call.

use guerdon::domain::id::{AccountId, ProgramId};
use guerdon::domain::time::Instant;
use guerdon::grpc::wire::{self, effect::Effect, pay_with_units::Amount};
use sha2::{Digest, Sha256};
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::server::*;

fn effects(decision: &Option<wire::Decision>) -> Vec<Effect> {
    decision.clone().unwrap().effects.into_iter().map(|effect| effect.effect.unwrap()).collect()
}

fn granted(decision: &Option<wire::Decision>) -> Vec<(String, i64)> {
    let grants = effects(decision).into_iter().filter_map(|effect| match effect {
        Effect::UnitsGranted(granted) => Some((granted.rule_id, granted.granted)),
        _ => None,
    });
    grants.collect()
}

pub(crate) async fn a_checkout_from_enrolment_to_return_keeps_the_books<W: World>() {
    let world = W::start();
    let server = world.serve().await;
    let clients = &server.clients;

    let enrolled = clients.enroll("mia").await;
    assert!(enrolled.enrolled);
    assert_eq!(granted(&enrolled.decision), [("welcome".to_owned(), 100)]);
    assert_eq!(available(&enrolled.balances), 100);
    let again = clients.send(&enroll("mia").under("enroll-again")).await;
    assert_eq!(again.refusals(), [wire::RefusalReason::MemberExists]);

    // Twenty euros of goods, ten of cake, five of bread; 80 points pay 80 cents.
    let basket = order_of(
        "o1",
        vec![line("goods", "goods", 2, 2_000), line("cake", "cake", 1, 1_000), line("bread", "bread", 2, 500)],
    );
    let quoted = clients
        .quote(wire::QuoteRequest {
            member_id: "mia".into(),
            order: Some(basket.clone()),
            redeem: Some(points(80)),
            ..Default::default()
        })
        .await;
    assert_eq!(available(&quoted.balances), 100, "a quote shows the balance before the order");

    let reserved = clients.send(&reserve("mia", "r1", basket.clone(), points(80))).await.reserve();
    let reservation = reserved.reservation.clone().unwrap();
    assert!(reserved.reserved);
    assert_eq!(reservation.state(), wire::ReservationState::Held);
    assert_eq!(reservation.held, [wire::UnitAmount { unit: "points".into(), amount: 80 }]);
    assert_eq!(reservation.expires_at, Some(timestamp(Instant(BEGIN.0 + 15 * 60 * 1_000))));
    let member = clients.member("mia").await;
    assert_eq!(available(&member.balances), 20);
    assert_eq!(member.holds.len(), 1);
    assert_adds_up(&member.balances);

    let committed = clients.send(&commit("mia", "c1", basket)).await.commit();
    assert_eq!(committed.status(), wire::CommitStatus::Committed);
    assert!(!committed.replayed);
    // What is paid with units earns too; cake counts twice.
    let grants = granted(&committed.decision);
    assert_eq!(granted(&quoted.decision), grants, "what was quoted is what was granted");
    assert_eq!(grants, [("base".to_owned(), 35), ("cake".to_owned(), 10), ("bread".to_owned(), 6)]);
    let earned = 35 + 10;
    assert_eq!(available(&committed.balances), 20 + earned);
    assert_eq!(of_unit(&committed.balances, "points").unwrap().held, 0);
    assert_adds_up(&committed.balances);

    let recorded = clients.order("mia", "o1").await;
    assert_eq!(recorded.state(), wire::OrderState::Committed);
    assert_eq!(recorded.lines.iter().map(|line| line.reduced_minor).sum::<i64>(), 80);
    assert_eq!(clients.member("mia").await.orders, 1);

    let half = wire::ReturnWhat {
        lines: vec![wire::ReturnLine {
            line_id: "goods".into(),
            measure: Some(wire::return_line::Measure::Quantity(1)),
        }],
        ..Default::default()
    };
    let first = clients.send(&give_back("mia", "b1", "o1", "ret-1", half)).await.r#return();
    assert_eq!(first.status(), wire::ReturnStatus::Applied);
    assert_eq!(first.order_state(), wire::OrderState::PartiallyReturned);
    let rest = clients.send(&give_back("mia", "b2", "o1", "ret-2", everything())).await.r#return();
    assert_eq!(rest.order_state(), wire::OrderState::Returned);
    let money: i64 = [&first, &rest].iter().map(|back| back.refund.as_ref().unwrap().money_minor).sum();
    assert_eq!(money, 3_420, "what units paid does not come back as money");
    let units: i64 =
        [&first, &rest].iter().flat_map(|back| &back.refund.as_ref().unwrap().units).map(|unit| unit.amount).sum();
    assert_eq!(units, 80);
    assert_eq!(available(&rest.balances), 100, "as before the order");
    assert_eq!(of_unit(&rest.balances, "crumbs").unwrap().available, 0);
    assert_adds_up(&rest.balances);

    let over = clients.send(&give_back("mia", "b3", "o1", "ret-3", everything())).await;
    assert_eq!(over.refusals(), [wire::RefusalReason::NothingLeft]);
    let verified = clients.verify("mia").await;
    assert_eq!(verified.orders, 1);
    assert_eq!(verified.entries, clients.member("mia").await.entries);
}

pub(crate) async fn a_guest_is_told_what_a_new_member_would_get<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let quoted = server
        .clients
        .quote(wire::QuoteRequest { order: Some(order("o1", 1_250)), explain: true, ..Default::default() })
        .await;
    assert_eq!(granted(&quoted.decision), [("base".to_owned(), 12)]);
    assert_eq!(quoted.balances, []);
    let explained = quoted.decision.unwrap().explain.unwrap();
    assert!(explained.rules.iter().any(|rule| rule.rule_id == "base" && rule.applied), "{explained:?}");
}

pub(crate) async fn the_ledger_is_read_in_pages_and_its_chain_can_be_recomputed<W: World>() {
    let world = W::start();
    let server = world.serve().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    for n in 0..12 {
        clients.send(&commit("mia", &format!("c{n}"), order(&format!("o{n}"), 500))).await;
    }
    let all = clients.entries("mia", 500).await;
    for page_size in [1, 3, 7] {
        assert_eq!(clients.entries("mia", page_size).await, all, "pages of {page_size}");
    }
    assert_eq!(all.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), (1..=all.len() as i64).collect::<Vec<_>>());
    for entry in &all {
        let mut sums = std::collections::BTreeMap::<&str, i64>::new();
        entry.postings.iter().for_each(|p| *sums.entry(&p.unit).or_default() += p.amount);
        assert!(sums.values().all(|sum| *sum == 0), "{entry:?}");
        let detail: serde_json::Value = serde_json::from_str(&entry.detail_json).unwrap();
        assert!(detail["program_version"].is_string(), "{entry:?}");
    }

    // As documented: each head is the SHA-256 of the head before and the entry as stored, from 32 zero bytes on.
    let (program, account) = (ProgramId::parse("club").unwrap(), AccountId::parse("mia").unwrap());
    let stored = world.store().entries(&layout().log(&program, &account), 1, 1_000).await.unwrap();
    assert_eq!(stored.len(), all.len());
    let mut head = vec![0u8; 32];
    for (bytes, entry) in stored.iter().zip(&all) {
        head = Sha256::digest([head.as_slice(), bytes.as_slice()].concat()).to_vec();
        let hex: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(entry.hash, hex, "entry {}", entry.sequence);
    }
    assert_eq!(clients.verify("mia").await.head_hash, all.last().unwrap().hash);
}

pub(crate) async fn a_page_token_goes_on_with_its_own_ledger_and_period_and_cannot_be_altered<W: World>() {
    let world = W::start();
    let (one, other) = (world.serve().await, world.serve().await);
    for member in ["mia", "ben"] {
        one.clients.enroll(member).await;
        one.clients.send(&adjust(member, "a1", 25)).await;
    }
    let all = one.clients.entries("mia", 500).await;
    let posted_at = all[0].posted_at;
    let asked = wire::ListEntriesRequest { member_id: "mia".into(), page_size: 1, ..Default::default() };
    let page_token = one.clients.member.clone().list_entries(asked.clone()).await.unwrap().into_inner().next_page_token;
    let with = |change: fn(&mut wire::ListEntriesRequest)| {
        let mut request = wire::ListEntriesRequest { page_token: page_token.clone(), ..asked.clone() };
        change(&mut request);
        request
    };

    // Any instance goes on, with pages of any size.
    let next = with(|request| request.page_size = 500);
    let found = other.clients.member.clone().list_entries(next).await.unwrap().into_inner();
    assert_eq!(found.entries, all[1..]);

    let flipped = |at: usize| {
        let mut digits = page_token.clone().into_bytes();
        digits[at] = if digits[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8(digits).unwrap()
    };
    for (what, request) in [
        ("another member", with(|request| request.member_id = "ben".into())),
        ("another beginning", wire::ListEntriesRequest { from: posted_at, ..with(|_| {}) }),
        ("another end", wire::ListEntriesRequest { until: posted_at, ..with(|_| {}) }),
        ("another kind of period", with(|request| request.period_of = wire::EntryTime::Effective.into())),
        ("no token", with(|request| request.page_token = "nonsense".into())),
        ("an altered signature", wire::ListEntriesRequest { page_token: flipped(0), ..with(|_| {}) }),
        ("an altered end", wire::ListEntriesRequest { page_token: flipped(page_token.len() - 1), ..with(|_| {}) }),
    ] {
        let refused = one.clients.member.clone().list_entries(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{what}");
        let about: Vec<_> = refused.get_error_details().bad_request().unwrap().field_violations.clone();
        assert_eq!(about.iter().map(|bad| bad.field.as_str()).collect::<Vec<_>>(), ["page_token"], "{what}");
    }
}

pub(crate) async fn a_correction_credits_and_debits_and_takes_no_more_than_there_is<W: World>() {
    let world = W::start();
    let server = world.serve().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    let credited = clients.send(&adjust("mia", "a1", 25)).await.adjust();
    assert!(credited.adjusted);
    assert_eq!(available(&credited.balances), 125);
    let refused = clients.send(&adjust("mia", "a2", -126)).await;
    assert_eq!(refused.refusals(), [wire::RefusalReason::BalanceTooLow]);
    let refusal = refused.adjust().decision.unwrap().refusals.remove(0);
    assert_eq!((refusal.required, refusal.available, refusal.missing), (Some(126), Some(125), Some(1)));
    let debited = clients.send(&adjust("mia", "a3", -125)).await.adjust();
    assert_eq!(available(&debited.balances), 0);
    assert_adds_up(&debited.balances);
    clients.verify("mia").await;
}

pub(crate) async fn a_reservation_is_replaced_released_and_overtaken<W: World>() {
    let world = W::start();
    let server = world.serve().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    let basket = || order("o1", 1_000);

    let first = clients.send(&reserve("mia", "r1", basket(), points(60))).await.reserve();
    assert_eq!(first.reservation.unwrap().revision, 1);
    // The second hold replaces the first at once: 90 are there only because 60 come back.
    let second = clients.send(&reserve("mia", "r2", basket(), points(90))).await.reserve();
    assert!(second.reserved);
    assert_eq!(second.reservation.unwrap().revision, 2);
    assert_eq!(clients.available("mia").await, 10);
    let refused = clients.send(&reserve("mia", "r3", basket(), points(101))).await;
    assert_eq!(refused.refusals(), [wire::RefusalReason::BalanceTooLow]);
    let kept = refused.reserve().reservation.unwrap();
    assert_eq!((kept.revision, kept.held[0].amount), (2, 90), "the old hold stays");

    let released = clients.send(&release("mia", "l1", "o1")).await.release();
    assert!(released.released);
    assert_eq!(released.reservation.unwrap().state(), wire::ReservationState::Released);
    assert_eq!(clients.available("mia").await, 100);
    let again = clients.send(&release("mia", "l2", "o1")).await.release();
    assert!(!again.released, "it was resolved before");

    // A Release that overtakes its Reserve leaves a mark.
    assert!(clients.send(&release("mia", "l3", "o2")).await.release().released);
    let late = clients.send(&reserve("mia", "r4", order("o2", 1_000), points(10))).await;
    assert_eq!(late.refusals(), [wire::RefusalReason::ReleasedBefore]);
    assert_eq!(clients.available("mia").await, 100);

    // Part of what is held is used, the rest is released.
    clients.send(&reserve("mia", "r5", order("o3", 1_000), points(50))).await;
    let committed = clients.send(&commit_with("mia", "c3", order("o3", 1_000), Some(points(20)))).await.commit();
    assert_eq!(committed.status(), wire::CommitStatus::Committed);
    assert_eq!(available(&committed.balances), 100 - 20 + 10);
    assert_eq!(clients.member("mia").await.holds, []);
    let resolved = clients.send(&release("mia", "l4", "o3")).await.release();
    assert_eq!((resolved.released, resolved.reservation.unwrap().state()), (false, wire::ReservationState::Committed));
    clients.verify("mia").await;
}

pub(crate) async fn a_friend_brings_both_rewards_and_a_return_claws_them_back<W: World>() {
    let world = W::start();
    let server = world.serve().await;
    let clients = &server.clients;
    clients.enroll("ann").await;
    let code = clients.code_of("ann").await;
    let same = clients.send(&create_code("ann", "code-again")).await.create_code();
    assert_eq!((same.created, &same.code), (false, &code), "made once, the same ever after");

    // As people type it.
    let typed = code.to_lowercase().replace('-', " ");
    let joined = wire::EnrollRequest {
        member_id: "ben".into(),
        request_id: "enroll-ben".into(),
        codes: vec![typed],
        ..Default::default()
    };
    let joined = clients.send(&Write::Enroll(joined)).await.enroll();
    let referral = effects(&joined.decision)
        .into_iter()
        .find_map(|effect| match effect {
            Effect::ReferralChanged(changed) => Some(changed.referral_id),
            _ => None,
        })
        .expect("the code attributes");
    assert_eq!(clients.referral(&referral).await.state(), wire::ReferralState::Attributed);

    let small = clients.send(&commit("ben", "c1", order("o1", 1_999))).await.commit();
    assert_eq!(granted(&small.decision), [("base".to_owned(), 19)], "below the terms");
    let large = clients.send(&commit("ben", "c2", order("o2", 2_000))).await.commit();
    assert_eq!(granted(&large.decision), [("base".to_owned(), 20), ("friends".to_owned(), 100)]);
    eventually("the advocate is rewarded", async || clients.available("ann").await == 350).await;
    let qualified = clients.referral(&referral).await;
    assert_eq!(qualified.state(), wire::ReferralState::Qualified);
    assert_eq!((qualified.advocate_member_id.as_str(), qualified.friend_member_id.as_str()), ("ann", "ben"));
    assert_eq!(qualified.rewards.iter().map(|reward| reward.amount).sum::<i64>(), 350);
    assert_eq!(clients.member("ann").await.friends_qualified, 1);

    let back = clients.send(&give_back("ben", "b2", "o2", "ret", everything())).await.r#return();
    assert_eq!(available(&back.balances), 119);
    eventually("the advocate's reward is taken back", async || clients.available("ann").await == 100).await;
    let rejected = clients.referral(&referral).await;
    assert_eq!(rejected.state(), wire::ReferralState::Rejected);
    assert_eq!(rejected.rewards.iter().map(|reward| reward.reversed).sum::<i64>(), 350);
    assert_eq!(clients.member("ann").await.friends_qualified, 0);
    for member in ["ann", "ben"] {
        assert_adds_up(&clients.member(member).await.balances);
        clients.verify(member).await;
    }

    // Who may not: the advocate with their own code, somebody who came by a code before, somebody who has ordered.
    clients.enroll("cat").await;
    clients.send(&commit("cat", "cc", order("oc", 100))).await;
    for (member, given, expected) in [
        ("ann", code.as_str(), wire::RefusalReason::SelfReferral),
        ("ben", &code, wire::RefusalReason::AlreadyAttributed),
        ("cat", &code, wire::RefusalReason::NotNew),
        ("cat", "nobody-has-this", wire::RefusalReason::CodeUnknown),
    ] {
        let answer = clients.send(&attribute(member, &format!("by-hand-{given}"), given)).await;
        assert_eq!(answer.refusals(), [expected], "{member}");
    }
}

pub(crate) async fn a_quote_of_a_return_tells_what_the_return_does<W: World>() {
    let world = W::start();
    let server = world.serve().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    clients.send(&commit_with("mia", "c1", order("o1", 1_000), Some(points(100)))).await;
    let asked = wire::QuoteReturnRequest {
        member_id: "mia".into(),
        order_id: "o1".into(),
        what: Some(everything()),
        ..Default::default()
    };
    let quoted = clients.checkout.clone().quote_return(asked).await.unwrap().into_inner();
    let applied = clients.send(&give_back("mia", "b1", "o1", "ret", everything())).await.r#return();
    assert_eq!(quoted.refund, applied.refund);
    assert_eq!(quoted.decision, applied.decision);
    assert_eq!(applied.refund.unwrap().money_minor, 900);
}

pub(crate) async fn what_does_not_exist_is_not_found_by_name<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    let unknown = clients.send(&commit("leo", "c1", order("o1", 100))).await;
    assert_eq!(unknown.refusals(), [wire::RefusalReason::MemberUnknown]);
    let unknown = clients.send(&give_back("mia", "b1", "o1", "ret", everything())).await;
    assert_eq!(unknown.refusals(), [wire::RefusalReason::OrderUnknown]);

    let get = |member: &str, order: &str| wire::GetOrderRequest {
        member_id: member.into(),
        order_id: order.into(),
        ..Default::default()
    };
    for (asked, field) in [(get("leo", "o1"), "member_id"), (get("mia", "o1"), "order_id")] {
        let status = clients.checkout.clone().get_order(asked).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(reason(&status), ("NOT_FOUND".to_owned(), field.to_owned()));
    }
    let elsewhere = wire::GetMemberRequest { program_id: "another".into(), member_id: "mia".into() };
    let status = clients.member.clone().get_member(elsewhere).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).0.as_str()), (Code::NotFound, "PROGRAM_UNKNOWN"));
}

/// A small generator of reproducible choices (xorshift).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, n: u64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 % n).unwrap()
    }
}

pub(crate) async fn a_quote_is_what_the_commit_does<W: World>() {
    let world = W::start();
    let server = world.serve().await;
    let clients = &server.clients;
    clients.enroll_with("mia", 5_000).await;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for n in 0..40 {
        let lines = (0..=dice.below(5)).map(|at| {
            let category = ["goods", "cake", "bread"][usize::try_from(dice.below(3)).unwrap()];
            let mut line = line(&format!("l{at}"), category, 1 + dice.below(4), dice.below(5_000));
            line.tax_minor = dice.below(7) * line.amount_minor / 100;
            line.kind = [0, 1, 2, 3, 4][usize::try_from(dice.below(5)).unwrap()];
            line
        });
        let mut basket = order_of(&format!("o{n}"), lines.collect());
        basket.prices_include_tax = dice.below(2) == 0;
        let redeem = match dice.below(4) {
            0 => None,
            1 => Some(points(1 + dice.below(400))),
            2 => Some(pay(Amount::AtMost(1 + dice.below(400)))),
            _ => Some(wire::Redeem { reward_ids: vec!["three-off".into()], ..pay(Amount::AtMost(100)) }),
        };
        let asked = wire::QuoteRequest {
            member_id: "mia".into(),
            order: Some(basket.clone()),
            redeem: redeem.clone(),
            ..Default::default()
        };
        let quoted = clients.quote(asked).await;
        let committed = clients.send(&commit_with("mia", &format!("c{n}"), basket, redeem)).await.commit();
        assert_eq!(quoted.decision, committed.decision, "order {n}");
        assert_adds_up(&committed.balances);
        world.clock().set(Instant(BEGIN.0 + i64::from(n + 1) * DAY_MS));
    }
    clients.verify("mia").await;
}

pub(crate) async fn c8_an_exchange_is_one_order_to_the_end<W: World>() {
    let world = W::start();
    let server = world.serve_idle().await;
    let clients = &server.clients;
    clients.enroll("mia").await;
    clients.send(&commit("mia", "c", order_of("o", vec![line("1", "goods", 2, 4_000)]))).await;
    let before = clients.available("mia").await;
    let exchange = amend("mia", "a", "o", "size", &["1"], vec![line("2", "goods", 1, 2_500)]);
    let done = clients.send(&exchange).await.amend_order();
    assert_eq!(done.status(), wire::ReturnStatus::Applied);
    assert_eq!((done.refund.unwrap().money_minor, done.due_minor), (2_000, 2_500));
    assert_eq!(available(&done.balances), before + 5, "what the order earns as it is now");
    assert!(clients.send(&exchange).await.replayed());
    let again = amend("mia", "a2", "o", "size", &["1"], vec![line("2", "goods", 1, 2_500)]);
    assert_eq!(clients.send(&again).await.amend_order().status(), wire::ReturnStatus::AlreadyApplied);
    let taken = amend("mia", "a3", "o", "other", &[], vec![line("1", "goods", 1, 1)]);
    assert_eq!(clients.send(&taken).await.refusals(), [wire::RefusalReason::LineExists]);
    let found = clients.order("mia", "o").await;
    assert_eq!((found.lines.len(), found.amendments.len(), found.state()), (2, 1, wire::OrderState::Committed));
    let all = wire::ReturnWhat { everything: true, ..Default::default() };
    let back = clients.send(&give_back("mia", "r", "o", "ret", all)).await.r#return();
    assert_eq!(back.refund.clone().unwrap().money_minor, 4_500);
    assert_eq!((back.order_state(), clients.available("mia").await), (wire::OrderState::Returned, 100));
    clients.verify("mia").await;
}
