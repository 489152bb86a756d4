//! The decision alone: a Commit of an order, without store or wire.
//!
//! `decide/rules/lines`: every rule can match some line. `decide/indexed`: of 1,000 rules only 10 can match, next to those
//! 10 alone; what cannot match should cost next to nothing. `decide/expressions`: the same with rules that only an expression
//! keeps apart, so that each is looked at. `decide/earn`: what the rules come to for an order of ten lines, and nothing else of a
//! decision: the order in, points out, as engines of rules that keep no books are measured.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a bench fails by panicking")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use guerdon::domain::account::AccountState;
use guerdon::domain::command::{Command, Commit, Enroll, ProfileChange};
use guerdon::domain::conditions::{Seen, View};
use guerdon::domain::decide::{Snapshot, decide};
use guerdon::domain::earn::{Earned, earn, earning_amounts};
use guerdon::domain::id::{AccountId, Label, LineId, MemberId, OrderId, RequestId};
use guerdon::domain::order::{Currency, Line, LineKind, Order, OrderKind};
use guerdon::domain::program::{Program, Timeline};
use guerdon::domain::redeem::Redemption;
use guerdon::domain::referral::signal::Signals;
use guerdon::domain::time::{Instant, Times};
use guerdon::program;

#[path = "rig/program.rs"]
#[allow(dead_code, reason = "it is the rig's, which writes it to files")]
mod rig_program;

const NOW: Instant = Instant(1_780_000_000_000);

/// One rule for each of `rules` categories.
fn timeline(rules: usize) -> Timeline {
    let mut text = String::from(
        "guerdon: 1\nprogram: bench\ntitle: Bench\ntime_zone: Europe/London\ncurrencies: [GBP]\n\
         units:\n  points: {expires_after: 12 months, expiry_rounded_to: end_of_month}\nrules:\n",
    );
    for n in 0..rules {
        write!(
            text,
            "  - id: rule-{n}\n    kind: transactional\n    on: order\n    lines: {{categories: [category-{n}]}}\n    \
             then:\n      earn: {{units: 1, per: GBP 1.00, rounding: floor, round_per: rule}}\n"
        )
        .unwrap();
    }
    Timeline::of(Arc::new(program::compile(&text).unwrap_or_else(|faults| panic!("{faults}"))))
}

/// An order whose lines carry the first `categories` categories in turn.
fn order(lines: usize, categories: usize) -> Order {
    let line = |n: usize| Line {
        line_id: LineId::parse(&n.to_string()).unwrap(),
        sku: None,
        categories: vec![Label::parse(&format!("category-{}", n % categories)).unwrap()],
        brand: None,
        seller: None,
        collections: Vec::new(),
        labels: Vec::new(),
        kind: LineKind::Goods,
        quantity: 1,
        amount_minor: 250 + 10 * i64::try_from(n).unwrap(),
        list_amount_minor: None,
        prior_amount_minor: None,
        tax_minor: 0,
    };
    Order {
        order_id: OrderId::parse("order-1").unwrap(),
        currency: Currency::parse("GBP").unwrap(),
        channel: None,
        store: None,
        zone: None,
        prices_include_tax: true,
        lines: (0..lines).map(line).collect(),
        kind: OrderKind::Ordinary,
        coupons: Vec::new(),
        payment_methods: Vec::new(),
        recipient: None,
    }
}

fn member(timeline: &Timeline) -> Snapshot {
    let member = MemberId::parse("mia").unwrap();
    let snapshot = Snapshot {
        program: timeline.at(NOW).unwrap().id.clone(),
        account_id: Some(AccountId::from(&member)),
        account: None,
        order: None,
        codes: Vec::new(),
        code_claim: None,
        inbound: None,
        member: Some(member.clone()),
        salt: [0; 16],
        set_aside: Vec::new(),
        recipient: None,
        deed: None,
        visitor: None,
        upline: Vec::new(),
        signals: None,
    };
    let enroll = Command::Enroll(Enroll {
        member,
        codes: Vec::new(),
        profile: ProfileChange::default(),
        visitor: None,
        signals: Signals::None,
    });
    let decided = decide(timeline, &snapshot, &enroll, times(), None, false).unwrap();
    Snapshot { account: decided.account, ..snapshot }
}

fn times() -> Times {
    Times { now: NOW, effective_at: NOW, stated: false }
}

fn measure(criterion: &mut Criterion, group: &str, id: BenchmarkId, timeline: Timeline, order: Order) {
    let snapshot = member(&timeline);
    let request = RequestId::parse("request-1").unwrap();
    let commit = Commit {
        order,
        redeem: None,
        codes: Vec::new(),
        paid: false,
        tenders: Vec::new(),
        explain: false,
        quote: None,
        visitor: None,
        signals: Signals::None,
    };
    let command = Command::Commit(commit);
    let mut group = criterion.benchmark_group(group);
    group.throughput(Throughput::Elements(1));
    group.bench_function(id, |bench| {
        bench.iter(|| {
            decide(black_box(&timeline), black_box(&snapshot), black_box(&command), times(), Some(&request), false)
                .unwrap()
        });
    });
    group.finish();
}

fn benches(criterion: &mut Criterion) {
    for rules in [1, 10, 100, 1_000] {
        for lines in [1, 10, 100] {
            let id = BenchmarkId::new(format!("{rules}_rules"), format!("{lines}_lines"));
            measure(criterion, "decide", id, timeline(rules), order(lines, rules));
        }
    }
    for rules in [10, 1_000] {
        let id = BenchmarkId::new("10_lines_that_10_can_match", format!("{rules}_rules"));
        measure(criterion, "decide/indexed", id, timeline(rules), order(10, 10));
    }
    for rules in [10, 1_000] {
        let id = BenchmarkId::new("10_that_can_hold", format!("{rules}_rules"));
        let order = Order { channel: Some(Label::parse("web").unwrap()), ..order(10, 10) };
        measure(criterion, "decide/expressions", id, asking(rules), order);
    }
    for rules in [3, 100, 1_000] {
        let program = program::compile(&rig_program::text("rig", rules)).unwrap_or_else(|faults| panic!("{faults}"));
        measure_earn(criterion, "2_apply", rules, &Timeline::of(Arc::new(program)), &order(10, 10), 31);
        // Of three rules each applies to three or four lines.
        let (name, points) = if rules < 10 { ("3_apply", 28) } else { ("10_apply", 25) };
        measure_earn(criterion, name, rules, &timeline(rules), &order(10, rules.min(10)), points);
    }
}

/// What the rules come to: which of them come into question, whether their conditions hold, what each gives and how that falls on lines.
/// No limits, no ledger, no dates.
fn measure_earn(criterion: &mut Criterion, name: &str, rules: usize, timeline: &Timeline, order: &Order, points: i64) {
    let account = member(timeline).account.unwrap();
    let program = timeline.at(NOW).unwrap();
    let granted: i64 = earned(program, &account, order).grants.iter().map(|grant| grant.amount).sum();
    assert_eq!(granted, points);
    let mut group = criterion.benchmark_group("decide/earn");
    group.throughput(Throughput::Elements(1));
    group.bench_function(BenchmarkId::new(name, format!("{rules}_rules")), |bench| {
        bench.iter(|| earned(black_box(program), black_box(&account), black_box(order)));
    });
    group.finish();
}

/// As a decision works it out for an order that takes no rewards, of a program without limits.
fn earned(program: &Program, state: &AccountState, order: &Order) -> Earned {
    let earning = earning_amounts(program, order, NOW, &Redemption::default());
    let free = Redemption::default().free_items(order.lines.len());
    let seen = Seen { order, earning: &earning, currency: order.currency, free: &free };
    let view = View { program, at: NOW, state, member: None, order: Some(seen), event: None };
    earn(&view, false, &|_| false)
}

/// Rules that ask by expression, of which ten can hold.
fn asking(rules: usize) -> Timeline {
    let mut text =
        String::from("guerdon: 1\nprogram: bench\ntitle: Bench\ntime_zone: Europe/London\ncurrencies: [GBP]\nrules:\n");
    for n in 0..rules {
        let channel = if n < 10 { "web" } else { "app" };
        let expression = format!(
            "order.channel == '{channel}' && order.total >= {n} && 'category-1' in order.categories && member.orders < 5"
        );
        write!(
            text,
            "  - id: rule-{n}\n    kind: transactional\n    on: order\n    when: {{expression: \"{expression}\"}}\n    \
             then: {{bonus: {{units: 1}}}}\n"
        )
        .unwrap();
    }
    Timeline::of(Arc::new(program::compile(&text).unwrap_or_else(|faults| panic!("{faults}"))))
}

criterion_group!(decisions, benches);
criterion_main!(decisions);
