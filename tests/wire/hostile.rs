//! Whatever arrives, it is understood or its faults are listed: nothing panics, and what passes keeps its bounds.

use guerdon::domain::command::Command;
use guerdon::domain::order::Order;
use guerdon::grpc::wire::{self, pay_with_units::Amount, return_line::Measure};
use proptest::prelude::*;

use super::kit::*;

fn string() -> impl Strategy<Value = String> + Clone {
    let odd = [
        "",
        "a",
        "mia",
        "EUR",
        "JPY",
        "Europe/Berlin",
        "a b",
        " a",
        "a|b",
        "{x}",
        "é",
        "\u{0}",
        "☃",
        "💥",
        "../..",
        "ABCD-1234",
    ];
    prop_oneof![
        4 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
        1 => (0..130usize).prop_map(|len| "x".repeat(len)),
        1 => any::<String>(),
    ]
    .boxed()
}

fn number() -> impl Strategy<Value = i64> + Clone {
    let edges = [
        i64::MIN,
        -1_000_000_000_001,
        -1,
        0,
        1,
        2,
        1_000_000_000,
        1_000_000_001,
        1_000_000_000_000,
        1_000_000_000_001,
        i64::MAX,
    ];
    prop_oneof![3 => prop::sample::select(edges.to_vec()), 1 => 0..1_000i64, 1 => any::<i64>()].boxed()
}

fn enumeration() -> impl Strategy<Value = i32> + Clone {
    prop_oneof![4 => 0..4i32, 1 => any::<i32>()].boxed()
}

fn instant() -> impl Strategy<Value = Option<prost_types::Timestamp>> + Clone {
    let seconds = prop_oneof![3 => 946_684_700..221_845_392_100i64, 1 => number()];
    let nanos = prop_oneof![3 => 0..1_000_000_000i32, 1 => any::<i32>()];
    prop::option::of((seconds, nanos).prop_map(|(seconds, nanos)| prost_types::Timestamp { seconds, nanos })).boxed()
}

prop_compose! {
    fn lines()(lines in prop::collection::vec((
        string(),
        string(),
        prop::collection::vec(string(), 0..20),
        (number(), number(), prop::option::of(number()), number()),
        enumeration(),
    ), 0..6)) -> Vec<wire::Line> {
        let line = |(line_id, label, categories, (quantity, amount_minor, list_amount_minor, tax_minor), kind): (String, String, _, _, _)| wire::Line {
            line_id,
            sku: label.clone(),
            categories,
            brand: label.clone(),
            quantity,
            amount_minor,
            list_amount_minor, lowest_prior_amount_minor: list_amount_minor,
            tax_minor,
            collections: Vec::new(),            labels: Vec::new(),            kind,
            seller: label,
        };
        lines.into_iter().map(line).collect()
    }
}

prop_compose! {
    fn orders()(
        order_id in string(),
        currency_code in string(),
        (channel, store_id, time_zone) in (string(), string(), string()),
        prices_include_tax in any::<bool>(),
        lines in prop_oneof![lines(), Just(vec![line("1")])],
        kind in any::<i32>(),
        (coupons, payment_methods) in (prop::collection::vec(string(), 0..3), prop::collection::vec(string(), 0..3)),
        recipient_member_id in string(),
    ) -> wire::Order {
        wire::Order {
            order_id,
            currency_code,
            channel,
            store_id,
            time_zone,
            prices_include_tax,
            lines,
            kind,
            coupons,
            payment_methods,
            recipient_member_id,
        }
    }
}

prop_compose! {
    fn redeems()(
        mode in enumeration(),
        unit in string(),
        amount in prop::option::of(prop_oneof![
            number().prop_map(Amount::Exactly),
            number().prop_map(Amount::AtMost),
            any::<bool>().prop_map(Amount::AllPossible),
        ]),
        pays in any::<bool>(),
        reward_ids in prop::collection::vec(string(), 0..23),
        voucher_ids in prop::collection::vec(string(), 0..23),
    ) -> wire::Redeem {
        let pay_with_units = pays.then_some(wire::PayWithUnits { unit, amount });
        wire::Redeem { mode, pay_with_units, reward_ids, voucher_ids }
    }
}

prop_compose! {
    fn commits()(
        (program_id, member_id, request_id) in (string(), string(), string()),
        order in prop::option::weighted(0.9, prop_oneof![orders(), Just(order())]),
        redeem in prop::option::of(prop_oneof![redeems(), Just(redeem())]),
        codes in prop::collection::vec(string(), 0..12),
        occurred_at in instant(),
        (paid, explain) in any::<(bool, bool)>(),
        tenders in prop::collection::vec((string(), number()), 0..23),
        (quote_token, visitor_id) in (string(), string()),
    ) -> wire::CommitRequest {
        let tender = |(tender_id, amount_minor)| wire::Tender { method: String::clone(&tender_id), tender_id, amount_minor };
        let tenders = tenders.into_iter().map(tender).collect();
        wire::CommitRequest { program_id, member_id, request_id, order, redeem, codes, occurred_at, paid, tenders, explain, quote_token, visitor_id, signals: None }
    }
}

prop_compose! {
    fn returns()(
        (member_id, order_id, return_id) in (string(), string(), string()),
        everything in any::<bool>(),
        lines in prop::collection::vec((string(), prop::option::of(prop_oneof![
            number().prop_map(Measure::Quantity),
            number().prop_map(Measure::AmountMinor),
        ])), 0..5),
        says in any::<bool>(),
        cause in enumeration(),
        occurred_at in instant(),
    ) -> wire::ReturnRequest {
        let line = |(line_id, measure)| wire::ReturnLine { line_id, measure };
        let what = wire::ReturnWhat { everything, lines: lines.into_iter().map(line).collect() };
        let what = says.then_some(what);
        wire::ReturnRequest { member_id, order_id, return_id, what, cause, occurred_at, ..give_back() }
    }
}

/// Sends it; a refusal must list faults. Gives the command that got through.
fn send(request: impl Rpc) -> Result<Option<Command>, TestCaseError> {
    let fake = Fake::that(Does::Fits);
    match wait(request.send(routes(&fake))) {
        Ok(_) => {
            let write = fake.writes.lock().unwrap().pop().map(|write| write.command);
            Ok(write.or_else(|| fake.previews.lock().unwrap().pop().map(|preview| preview.command)))
        }
        Err(status) => {
            prop_assert_eq!(status.code(), tonic::Code::InvalidArgument, "{:?}", status);
            let paths = paths(&status);
            prop_assert!(!paths.is_empty() && paths.iter().all(|path| !path.is_empty()), "{:?}", paths);
            prop_assert!(fake.writes.lock().unwrap().is_empty(), "a malformed write went through");
            Ok(None)
        }
    }
}

fn keeps_bounds(order: &Order) -> Result<(), TestCaseError> {
    prop_assert!((1..=Order::LINES_MAX).contains(&order.lines.len()));
    prop_assert!(order.lines.iter().map(|line| line.amount_minor).sum::<i64>() <= Order::AMOUNT_MINOR_MAX);
    for line in &order.lines {
        for amount in [line.amount_minor, line.tax_minor, line.list_amount_minor.unwrap_or(0)] {
            prop_assert!((0..=Order::AMOUNT_MINOR_MAX).contains(&amount));
        }
        prop_assert!((0..=Order::QUANTITY_MAX).contains(&line.quantity));
        prop_assert!(line.categories.len() <= 16);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn commits_quotes_and_reservations(raw in commits()) {
        let wire::CommitRequest { program_id, member_id, order, redeem, codes, occurred_at, explain, quote_token, .. } = raw.clone();
        let quote = wire::QuoteRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), order: order.clone(), redeem: redeem.clone(),
            codes, occurred_at, explain, list_rewards: false, visitor_id: raw.visitor_id.clone(), signals: None,
        };
        let reserve = wire::ReserveRequest {
            program_id, member_id, request_id: "r-1".into(), order, redeem,
            ttl_seconds: raw.tenders.first().map(|tender| tender.amount_minor), occurred_at, explain, quote_token,
        };
        for command in [send(raw)?, send(quote)?, send(reserve)?] {
            match command {
                Some(Command::Commit(commit)) => keeps_bounds(&commit.order)?,
                Some(Command::Reserve(reserve)) => keeps_bounds(&reserve.order)?,
                Some(other) => prop_assert!(false, "{:?}", other),
                None => {}
            }
        }
    }

    #[test]
    fn returns_of_any_kind(raw in returns()) {
        let wire::ReturnRequest { program_id, member_id, order_id, what, cause, occurred_at, .. } = raw.clone();
        send(wire::QuoteReturnRequest { program_id, member_id, order_id, what, cause, occurred_at })?;
        send(raw)?;
    }

    #[test]
    fn everything_else(
        (a, b, c, d) in (string(), string(), string(), string()),
        (amount, reason, page_size) in (number(), enumeration(), any::<i32>()),
        (when, until) in (instant(), instant()),
        codes in prop::collection::vec(string(), 0..12),
    ) {
        let (program_id, member_id, request_id) = (a, b, c);
        send(wire::EnrollRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(), codes, occurred_at: when,
            profile: None, visitor_id: d.clone(), signals: Some(wire::Signals { email: d.clone(), ip: d.clone(), ..signals() }),
        })?;
        send(wire::ReviewRewardRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(),
            referral_id: d.clone(), side: reason, verdict: page_size, force: true, agent_id: d.clone(), reason_code: d.clone(),
        })?;
        send(wire::ListReviewsRequest { program_id: program_id.clone(), page_size, page_token: d.clone() })?;
        send(wire::RecordTouchRequest {
            program_id: program_id.clone(), visitor_id: member_id.clone(), request_id: request_id.clone(), kind: page_size,
            code: d.clone(), channel: d.clone(), source: d.clone(), user_agent: d.clone(), occurred_at: when,
        })?;
        send(wire::ExplainAttributionRequest { program_id: program_id.clone(), member_id: member_id.clone() })?;
        send(wire::UpdateMemberRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(), occurred_at: when,
            signals: None,
            change: Some(wire::ProfileChange {
                set_attributes: vec![wire::Attribute {
                    name: d.clone(), value: Some(wire::attribute::Value::TextValue(d.clone())),
                }],
                clear_attributes: vec![d.clone()], add_tags: vec![d.clone()], remove_tags: vec![d.clone()],
                add_segments: vec![d.clone()], remove_segments: vec![d.clone()],
                birthday: Some(wire::Birthday { month: reason, day: page_size, year: reason }),
                clear_birthday: amount == 0, time_zone: d.clone(), clear_time_zone: amount == 1,
                leaderboard_opt_out: None,
            }),
        })?;
        send(wire::RecordEventRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(),
            event_id: d.clone(), event_type: d.clone(), value: Some(amount), proof_id: d.clone(), occurred_at: when,
            attributes: vec![wire::Attribute { name: d.clone(), value: None }], recipient_member_id: d.clone(),
        })?;
        send(wire::ReviewEventRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(),
            event_id: d.clone(), verdict: reason, agent_id: d.clone(),
        })?;
        send(wire::RevokeEventRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(),
            event_id: d.clone(), agent_id: d.clone(),
        })?;
        send(wire::SetTierRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(),
            ladder: d.clone(), level: d.clone(), until, reason, agent_id: d.clone(), occurred_at: when,
        })?;
        send(wire::AdjustRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(),
            unit: d.clone(), amount, reason, agent_id: d.clone(), note: d.clone(), expires_at: until, occurred_at: when,
            order_id: d.clone(),
        })?;
        send(wire::ReleaseRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(),
            order_id: d.clone(), occurred_at: when,
        })?;
        send(wire::CreateCodeRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(),
            campaign_id: d.clone(), vanity: d.clone(), occurred_at: when, label: d.clone(), expires_at: until,
            uses_max: amount,
        })?;
        send(wire::AttributeRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(),
            code: d.clone(), occurred_at: when, agent_id: d.clone(), signals: None,
        })?;
        send(wire::UpdateCodeRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(),
            code: d.clone(), state: page_size, agent_id: d.clone(), occurred_at: when,
        })?;
        send(wire::GetCodeRequest { program_id: program_id.clone(), code: d.clone() })?;
        send(wire::ListEntriesRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), page_size, page_token: d.clone(),
            from: when, until: when, period_of: page_size,
        })?;
        send(wire::RecordOrderEventRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(),
            order_id: d.clone(), event_id: d.clone(), event: d.clone(), line_ids: vec![d.clone(); 2], occurred_at: when,
        })?;
        send(wire::ExtendExpiryRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(),
            unit: d.clone(), expiring_before: when, expires_at: when, reason: page_size, agent_id: d.clone(),
            note: d.clone(), occurred_at: when,
        })?;
        send(wire::ReinstateRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(),
            unit: d.clone(), amount: Some(i64::from(page_size)), expires_at: when, reason: page_size,
            agent_id: d.clone(), note: d.clone(), occurred_at: when,
        })?;
        send(wire::AmendOrderRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(),
            order_id: d.clone(), amendment_id: d.clone(), occurred_at: when,
            remove: vec![wire::ReturnLine { line_id: d.clone(), measure: None }; 2],
            add: vec![wire::Line { line_id: d.clone(), quantity: i64::from(page_size), ..wire::Line::default() }; 2],
            redeem: None, tenders: Vec::new(),
        })?;
        send(wire::ClaimOrderRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(),
            order_id: d.clone(), occurred_at: when,
        })?;
        send(wire::GetOrderRequest { program_id: program_id.clone(), member_id: member_id.clone(), order_id: d, explain: true })?;
        send(wire::GetOutcomeRequest {
            program_id: program_id.clone(), member_id: member_id.clone(), request_id: request_id.clone(), fence: true,
            guest_order_id: request_id.clone(),
        })?;
        send(wire::GetMemberRequest { program_id: program_id.clone(), member_id: member_id.clone() })?;
        send(wire::VerifyMemberRequest { program_id, member_id })?;
        send(wire::EndDayRequest { through: when })?;
    }

    /// Bytes that decode at all are handled like any other request.
    #[test]
    fn bytes_of_any_kind(bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        use prost::Message;

        let mut spoilt = commit().encode_to_vec();
        let at = at.index(spoilt.len());
        spoilt[at] = byte;
        for bytes in [bytes, spoilt] {
            if let Ok(request) = wire::CommitRequest::decode(bytes.as_slice()) {
                send(request)?;
            }
        }
    }
}
