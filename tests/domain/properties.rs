//! What holds whatever happens. `World::decide` checks after every step that the books balance, that no lot is below
//! zero, that nobody owes and has at once, that shares sum, and that the ledger folds to the state.

use guerdon::domain::account::AccountState;
use guerdon::domain::answer::{Answer, CommitStatus, Refund, ReturnStatus};
use guerdon::domain::command::{Command, Commit, Measure, PayAmount, PayWithUnits, Redeem, RedeemMode, ReturnWhat};
use guerdon::domain::conditions::{Seen, View};
use guerdon::domain::earn::earn;
use guerdon::domain::id::{AccountId, Label, LineId, RewardId, Sku};
use guerdon::domain::order::{Currency, Line, LineKind, Order};
use guerdon::domain::program::{OutOfReach, Selected};
use guerdon::domain::time::{DAY_MS, HOUR_MS, Instant, Times};
use proptest::prelude::*;

use super::kit::*;

const PROGRAMS: &[&str] = &[
    // Simple and strict.
    "
pay_with: {points: {units: 100, worth: GBP 1.00, step: 1}}
returns: {shortfall: debt, lapsed_grace: none}
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 7, per: GBP 1.00, rounding: half_even}}}
rewards: [{id: off, title: T, gives: {amount_off: GBP 3.33}, price: {units: 50}}]
referrals: [{id: ref, title: T, spend_at_least: GBP 20.00, advocate: {units: 250}, friend: {units: 100}}]
",
    // Everything pending first, short lives, debts forgiven.
    "
time_zone: America/New_York
units: {points: {activates_after: 3 days, expires_after: 1 month, expiry_rounded_to: end_of_month}}
earning: {multipliers: add, paid_with_units_earns: false, tax_included: false}
pay_with: {points: {units: 3, worth: GBP 0.01, step: 30, units_min: 60, share_max: 37%, settles_as: tender}}
returns: {shortfall: forgive, lapsed_grace: 5 days}
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 5, per: GBP 0.33, rounding: ceil, round_per: line}}}
  - {id: tea, kind: transactional, on: order, lines: {categories: [tea]}, then: {earn: {units: 3, per: GBP 0.07, rounding: half_up, round_per: rule}}}
  - {id: more, kind: behavioural, on: order, lines: {categories: [tea]}, then: {multiply: {by: 1.5, rounding: half_up}}}
  - {id: most, kind: behavioural, on: order, then: {multiply: {by: 3}}}
  - {id: big, kind: transactional, on: order, when: {spend_at_least: GBP 30.00}, then: {bonus: {units: 55}}}
  - {id: welcome, kind: emotional, on: enrolment, then: {bonus: {units: 500, life: {activates_after: none, expires_after: 10 days}}}}
rewards: [{id: off, title: T, gives: {amount_off: GBP 7.77}, price: {units: 120}, spend_at_least: GBP 5.00, lines: {categories: [tea]}}]
referrals: [{id: ref, title: T, spend_at_least: GBP 20.00, qualify_within: 9 days, advocate: {units: 250}, friend: {units: 100, life: {activates_after: none, expires_after: 2 days}}}]
",
    // Never pending, expiring to the instant.
    "
units: {points: {expires_after: 4 days}}
pay_with: {points: {units: 1, worth: GBP 0.02}}
returns: {shortfall: debt, lapsed_grace: 1 days}
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 0.50}}}
  - {id: gift, kind: transactional, on: order, then: {bonus: {units: 13, life: {expires_after: 1 days}}}}
  - {id: welcome, kind: emotional, on: enrolment, then: {bonus: {units: 90}}}
rewards: [{id: off, title: T, gives: {amount_off: GBP 1.00}}]
referrals: [{id: ref, title: T, friend: {units: 40}, advocate: {units: 30}}]
",
];

const MEMBERS: [&str; 3] = ["ann", "ben", "cat"];

/// One thing that somebody does, drawn small so that it shrinks to something readable.
#[derive(Clone, Debug)]
enum Step {
    Pass {
        hours: i64,
    },
    Commit {
        member: usize,
        order: usize,
        lines: Vec<Line>,
        redeem: Option<Redeem>,
        paid: bool,
        late_h: i64,
        code: bool,
    },
    Reserve {
        member: usize,
        order: usize,
        lines: Vec<Line>,
        redeem: Redeem,
        ttl_s: i64,
    },
    Release {
        member: usize,
        order: usize,
    },
    Return {
        member: usize,
        order: usize,
        id: usize,
        everything: bool,
        parts: Vec<(usize, Measure)>,
    },
    Adjust {
        member: usize,
        amount: i64,
    },
    Attribute {
        member: usize,
    },
    Relay,
}

fn a_line(at: usize) -> impl Strategy<Value = Line> {
    let kinds = prop_oneof![
        6 => Just(LineKind::Goods),
        1 => Just(LineKind::Shipping),
        1 => Just(LineKind::GiftCard),
    ];
    let amounts = prop_oneof![1 => Just(0i64), 8 => 1..4_000i64];
    (kinds, amounts, 0..4i64, 0..50i64, any::<bool>()).prop_map(move |(kind, amount, quantity, tax, tea)| {
        let line = taxed(tax, items(quantity, of_kind(kind, line(&format!("l{at}"), amount))));
        if tea { of_category("tea", line) } else { line }
    })
}

fn some_lines() -> impl Strategy<Value = Vec<Line>> {
    (a_line(0), a_line(1), a_line(2), a_line(3), 1..5usize).prop_map(|(a, b, c, d, n)| {
        let mut lines = vec![a, b, c, d];
        lines.truncate(n);
        lines
    })
}

fn a_redeem() -> impl Strategy<Value = Redeem> {
    let amount = prop_oneof![
        (0..400i64).prop_map(PayAmount::Exactly),
        (0..400i64).prop_map(PayAmount::AtMost),
        Just(PayAmount::AllPossible),
    ];
    (prop::option::of(amount), any::<bool>(), any::<bool>()).prop_map(|(amount, reward, as_possible)| Redeem {
        mode: if as_possible { RedeemMode::AsPossible } else { RedeemMode::AllOrNothing },
        pay: amount.map(|amount| PayWithUnits { unit: None, amount }),
        rewards: if reward { vec![RewardId::parse("off").unwrap()] } else { Vec::new() },
        vouchers: Vec::new(),
    })
}

fn a_step() -> impl Strategy<Value = Step> {
    let member = 0..MEMBERS.len();
    let order = 0..6usize;
    let measure = prop_oneof![(1..4i64).prop_map(Measure::Quantity), (1..3_000i64).prop_map(Measure::Amount)];
    prop_oneof![
        3 => (1..200i64).prop_map(|hours| Step::Pass { hours }),
        5 => (member.clone(), order.clone(), some_lines(), prop::option::of(a_redeem()), any::<bool>(), 0..60i64, any::<bool>())
            .prop_map(|(member, order, lines, redeem, paid, late_h, code)| Step::Commit { member, order, lines, redeem, paid, late_h, code }),
        3 => (member.clone(), order.clone(), some_lines(), a_redeem(), 1..7_200i64)
            .prop_map(|(member, order, lines, redeem, ttl_s)| Step::Reserve { member, order, lines, redeem, ttl_s }),
        1 => (member.clone(), order.clone()).prop_map(|(member, order)| Step::Release { member, order }),
        4 => (member.clone(), order, 0..4usize, prop::bool::weighted(0.3), prop::collection::vec((0..4usize, measure), 1..3))
            .prop_map(|(member, order, id, everything, parts)| Step::Return { member, order, id, everything, parts }),
        2 => (member.clone(), -300..600i64).prop_map(|(member, amount)| Step::Adjust { member, amount }),
        1 => member.prop_map(|member| Step::Attribute { member }),
        1 => Just(Step::Relay),
    ]
}

/// Orders are somebody's: the member is part of the id.
fn order_name(member: usize, number: usize) -> String {
    format!("{}-{number}", MEMBERS[member])
}

fn take(world: &mut World, step: &Step) {
    let (member, command, late_h) = match step.clone() {
        Step::Pass { hours } => {
            world.now = world.now.plus_ms(hours * HOUR_MS);
            return;
        }
        Step::Relay => return world.relay(),
        Step::Commit { member, order: number, lines, redeem, paid, late_h, code } => {
            let codes = if code { vec![entered("AAAA")] } else { Vec::new() };
            let tenders = vec![tender("card", 700), tender("cash", 300)];
            let order = Order { prices_include_tax: number % 2 == 0, ..order(&order_name(member, number), lines) };
            (member, Command::Commit(Commit { redeem, paid, codes, tenders, explain: true, ..commit(order) }), late_h)
        }
        Step::Reserve { member, order: number, lines, redeem, ttl_s } => {
            let order = order(&order_name(member, number), lines);
            let reserve = guerdon::domain::command::Reserve { ttl_s: Some(ttl_s), ..reserve(order, redeem) };
            (member, Command::Reserve(reserve), 0)
        }
        Step::Release { member, order } => {
            let order_id = order_id(&order_name(member, order));
            (member, Command::Release(guerdon::domain::command::Release { order_id }), 0)
        }
        Step::Return { member, order, id, everything: all, mut parts } => {
            parts.sort_by_key(|(line, _)| *line);
            parts.dedup_by_key(|(line, _)| *line);
            let named = parts.iter().map(|(at, measure)| (LineId::parse(&format!("l{at}")).unwrap(), *measure));
            let what = if all { ReturnWhat::Everything } else { ReturnWhat::Lines(named.collect()) };
            (member, Command::Return(returned(&order_name(member, order), &format!("r{id}"), what)), 0)
        }
        Step::Adjust { amount: 0, .. } => return,
        Step::Adjust { member, amount } => (member, Command::Adjust(adjust(amount, None)), 0),
        Step::Attribute { member } => (member, named("AAAA"), 0),
    };
    let effective_at = world.now.minus_ms(late_h * HOUR_MS);
    let name = MEMBERS[member];
    let preview = world.preview(name, &command, effective_at);
    let times = Times { now: world.now, effective_at, stated: late_h != 0 };
    let done = world.decide_at(name, command.clone(), times).unwrap();
    // What was done before is previewed as what it would be now.
    let was_done_before = match &done.answer {
        Answer::Return(answer) => answer.status != ReturnStatus::Applied,
        Answer::Commit(answer) => answer.status == CommitStatus::AlreadyCommitted,
        _ => false,
    };
    if !was_done_before {
        assert_eq!(preview.answer, done.answer, "what was quoted is what is done: {command:?}");
        assert_eq!(preview.transfers, done.transfers);
    }
}

fn enrolled(program_number: usize) -> World {
    let mut world = World::new(PROGRAMS[program_number]);
    world.code("AAAA", "cat", "ref");
    for member in MEMBERS {
        world.enrol(member, &[]);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_books_balance(
        program in 0..PROGRAMS.len(),
        steps in prop::collection::vec(a_step(), 1..40),
    ) {
        let mut world = enrolled(program);
        for step in &steps {
            take(&mut world, step);
        }
        world.now = world.now.plus_ms(400 * DAY_MS);
        world.relay();
        for member in MEMBERS {
            world.advance(member);
        }
        // Whatever came after an order, why it earned what it earned is told as it was then.
        for (order, then) in &world.traces {
            let member = order.as_str().split('-').next().unwrap_or_default();
            let why = world.why(member, order.as_str());
            prop_assert!(why.reproduces, "{}", order);
            prop_assert_eq!(&why.trace, then, "{}", order);
        }
        // Between accounts, nothing is lost on the way.
        let in_transit: i64 = world
            .accounts
            .values()
            .map(|state| state.amount(&points(), guerdon::domain::ledger::Book::InTransit))
            .sum();
        prop_assert_eq!(in_transit, 0);
    }

    /// However an account is brought up to date, it comes out the same: no answer depends on a background job.
    #[test]
    fn looking_in_between_changes_nothing(
        program in 0..PROGRAMS.len(),
        steps in prop::collection::vec(a_step(), 1..25),
        looks in prop::collection::vec(1..100i64, 1..6),
    ) {
        let mut world = enrolled(program);
        for step in &steps {
            take(&mut world, step);
        }
        let mut watched = world.clone();
        for hours in looks {
            watched.now = watched.now.plus_ms(hours * HOUR_MS);
            for member in MEMBERS {
                watched.advance(member);
            }
        }
        world.now = watched.now;
        for member in MEMBERS {
            world.advance(member);
            let (there, here) = (&watched.accounts[&account(member)], &world.accounts[&account(member)]);
            prop_assert_eq!(there.balances(), here.balances(), "{}", member);
            let lots = |state: &AccountState| -> Vec<_> {
                state.units.iter().map(|book| (book.lots.clone(), book.lapsed.clone())).collect()
            };
            prop_assert_eq!(lots(there), lots(here), "{}", member);
        }
    }

    /// Parts returned one by one, in any measure and order, sum exactly to the whole.
    #[test]
    fn parts_returned_one_by_one_sum_to_the_whole(
        program in 0..PROGRAMS.len(),
        lines in some_lines(),
        redeem in a_redeem(),
        balance in 1..2_000i64,
        tenders in prop::collection::vec(0..3_000i64, 0..4),
        steps in prop::collection::vec((0..4usize, any::<bool>(), 1..900i64), 0..12),
        hours in 0..400i64,
    ) {
        let mut world = enrolled(program);
        world.adjust("ann", balance, Some("2026-05-10"));
        let tenders = tenders.iter().enumerate().map(|(n, amount)| tender(&format!("t{n}"), *amount)).collect();
        let order = order("o", lines.clone());
        world.commit("ann", Commit { redeem: Some(as_possible(redeem)), tenders, ..commit(order) });
        world.now = world.now.plus_ms(hours * HOUR_MS);
        let mut at_once = world.clone();
        let whole = sums(&[refund(&at_once.give_back("ann", everything("o", "r")))]);
        let mut parts = Vec::new();
        for (number, (line, by_amount, n)) in steps.iter().enumerate() {
            let measure = if *by_amount { Measure::Amount(*n) } else { Measure::Quantity(n % 3 + 1) };
            let what = ReturnWhat::Lines(vec![(LineId::parse(&format!("l{line}")).unwrap(), measure)]);
            let decision = world.give_back("ann", returned("o", &format!("r{number}"), what));
            if gave_back(&decision).status == ReturnStatus::Applied {
                parts.push(refund(&decision));
            }
        }
        let last = world.give_back("ann", everything("o", "last"));
        if gave_back(&last).status == ReturnStatus::Applied {
            parts.push(refund(&last));
        }
        prop_assert_eq!(sums(&parts), whole);
        let (stepwise, once) = (world.order("o"), at_once.order("o"));
        prop_assert_eq!(&stepwise.grants, &once.grants);
        prop_assert_eq!(&stepwise.uses, &once.uses);
        prop_assert_eq!(&stepwise.tenders, &once.tenders);
        prop_assert_eq!(&stepwise.lines, &once.lines);
        // What the member has, less what is owed, is the same too, unless some of it was forgiven on the way.
        let net = |world: &World| {
            let balance = world.accounts[&account("ann")].balances().remove(0);
            balance.available + balance.pending - balance.debt - balance.lifetime_forgiven + balance.lifetime_expired
        };
        prop_assert_eq!(net(&world), net(&at_once));
    }

    /// Effects state the whole: however often and in whatever order they arrive, the last revision stands.
    #[test]
    fn effects_arrive_in_any_order_and_number(
        nets in prop::collection::vec(0..500i64, 1..6),
        arrivals in prop::collection::vec(0..6usize, 0..12),
    ) {
        let mut world = enrolled(0);
        let template = {
            let mut origin = world.clone();
            origin.decide("ann", named("AAAA"));
            origin.buy("ann", order_for("o", 5_000));
            origin.sent().remove(0)
        };
        let send = |at: usize| {
            let revision = u32::try_from(at + 1).unwrap();
            Command::Receive(guerdon::domain::command::Transfer { revision, net: nets[at], ..template.clone() })
        };
        let mut straight = world.clone();
        for at in 0..nets.len() {
            straight.decide("cat", send(at));
        }
        for at in arrivals.iter().filter(|at| **at < nets.len()) {
            world.decide("cat", send(*at));
        }
        world.decide("cat", send(nets.len() - 1));
        prop_assert_eq!(&world.inbound, &straight.inbound);
        prop_assert_eq!(world.has("cat"), straight.has("cat"));
        let friends = |world: &World| world.accounts[&account("cat")].friends_qualified;
        prop_assert_eq!(friends(&world), friends(&straight));
        prop_assert_eq!(friends(&world), i64::from(nets.last() != Some(&0)));
    }
}

/// Names and amounts.
type Sums = Vec<(String, i64)>;

fn sums(refunds: &[Refund]) -> (i64, Sums, Sums) {
    let mut tenders = std::collections::BTreeMap::new();
    let mut units = std::collections::BTreeMap::new();
    for refund in refunds {
        for tender in &refund.tenders {
            *tenders.entry(tender.tender.to_string()).or_insert(0) += tender.amount_minor;
        }
        for (unit, amount) in &refund.units {
            *units.entry(unit.to_string()).or_insert(0) += *amount;
        }
    }
    (refunds.iter().map(|r| r.money_minor).sum(), tenders.into_iter().collect(), units.into_iter().collect())
}

const REACHING: &str = "
currencies: [GBP, EUR]
rules:
  - {id: any, kind: transactional, on: order, then: {earn: {units: 1, per: {GBP: 1.00, EUR: 1.00}}}}
  - {id: low, kind: transactional, on: order, when: {spend_at_least: {GBP: 2.00, EUR: 3.00}}, then: {bonus: {units: 1}}}
  - {id: tea, kind: transactional, on: order, lines: {categories: [tea]}, when: {spend_at_least: {GBP: 5.00, EUR: 4.00}, spend_of: matching}, then: {bonus: {units: 2}}}
  - {id: big, kind: transactional, on: order, lines: {categories: [tea]}, when: {spend_at_least: {GBP: 12.00, EUR: 9.00}}, then: {bonus: {units: 4}}}
";

const SELECTING: &str = "
rules:
  - {id: all, kind: transactional, on: order, then: {bonus: {units: 1}}}
  - {id: one, kind: transactional, on: order, lines: {categories: [a]}, then: {bonus: {units: 1}}}
  - {id: two, kind: transactional, on: order, lines: {categories: [a, b]}, then: {bonus: {units: 1}}}
  - {id: but, kind: transactional, on: order, lines: {categories: [a], exclude: {brands: [b]}}, then: {bonus: {units: 1}}}
  - {id: not, kind: transactional, on: order, lines: {exclude: {labels: [a]}}, then: {bonus: {units: 1}}}
  - {id: sku, kind: transactional, on: order, lines: {skus: [a, c]}, then: {bonus: {units: 1}}}
  - {id: sku-of, kind: transactional, on: order, lines: {skus: [a, b], categories: [c]}, then: {bonus: {units: 1}}}
  - {id: brand, kind: transactional, on: order, lines: {brands: [a]}, combine: {priority: 3}, then: {bonus: {units: 1}}}
  - {id: brand-of, kind: transactional, on: order, lines: {brands: [b], sellers: [a, b]}, then: {bonus: {units: 1}}}
  - {id: seller, kind: transactional, on: order, lines: {sellers: [c]}, then: {bonus: {units: 1}}}
  - {id: shelf, kind: transactional, on: order, lines: {collections: [a, b]}, then: {bonus: {units: 1}}}
  - {id: label, kind: transactional, on: order, lines: {labels: [c], collections: [a, b, c]}, then: {bonus: {units: 1}}}
";

fn label() -> impl Strategy<Value = Label> {
    prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(|raw| Label::parse(raw).unwrap())
}

fn labelled() -> impl Strategy<Value = Line> {
    let labels = || prop::collection::vec(label(), 0..3);
    let one = || prop::option::of(label());
    (labels(), labels(), labels(), one(), one(), one()).prop_map(
        |(categories, collections, labels, sku, brand, seller)| {
            let sku = sku.map(|sku| Sku::parse(sku.as_str()).unwrap());
            Line { categories, collections, labels, sku, brand, seller, ..line("l", 100) }
        },
    )
}

proptest! {
    /// Which lines a rule selects is read from the index where that knows: it must say what the rule's selector says.
    #[test]
    fn the_index_selects_what_rules_ask_for(lines in prop::collection::vec(labelled(), 1..6)) {
        let program = program(SELECTING);
        let candidates = program.index.candidates(&lines, OutOfReach::default());
        let known: Vec<(u32, Selected<'_>)> = candidates.iter().collect();
        for (number, rule) in (0u32..).zip(&program.rules) {
            let asked: Vec<bool> = lines.iter().map(|line| rule.conditions.lines.selects(line)).collect();
            let told = match known.iter().filter(|(of, _)| *of == number).collect::<Vec<_>>()[..] {
                [] => vec![false; lines.len()],
                [(_, Selected::All)] => vec![true; lines.len()],
                [(_, Selected::These(these))] => (0u32..).zip(&lines).map(|(at, _)| these.contains(&at)).collect(),
                [(_, Selected::AsAsked)] => asked.clone(),
                _ => panic!("{} is named twice", rule.id),
            };
            prop_assert_eq!(told, asked, "{}", &rule.id);
        }
        let ranks: Vec<u32> = known.iter().map(|(number, _)| program.index.rank(*number)).collect();
        prop_assert!(ranks.is_sorted());
    }

    /// Rules are left out by their thresholds alone where nobody asks why: that must say what their conditions say.
    #[test]
    fn what_an_order_does_not_reach_is_what_would_not_hold(
        // Many sums are a threshold to the penny.
        amounts in prop::collection::vec(prop_oneof![0i64..700, (0i64..7).prop_map(|pounds| 100 * pounds)], 1..4),
        tea in prop::collection::vec(any::<bool>(), 4),
        currency in prop::sample::select(vec!["GBP", "EUR", "USD"]),
    ) {
        let program = program(REACHING);
        let tea = tea.iter().map(|tea| if *tea { vec![Label::parse("tea").unwrap()] } else { Vec::new() });
        let lines = amounts.iter().zip(tea).map(|(amount, categories)| Line { categories, ..line("l", *amount) });
        let lines: Vec<Line> = lines.collect();
        let order = Order { currency: Currency::parse(currency).unwrap(), ..order("o", lines) };
        let (state, free) = (AccountState::new(AccountId::parse("ann").unwrap()), vec![0; amounts.len()]);
        let seen = Seen { order: &order, earning: &amounts, currency: order.currency, free: &free };
        let view = View { program: &program, at: Instant(1_780_000_000_000), state: &state, member: None, order: Some(seen), event: None };
        let (plain, told) = (earn(&view, false, &|_| false), earn(&view, true, &|_| false));
        prop_assert_eq!(plain.grants, told.grants);
        prop_assert_eq!(plain.refusals, told.refusals);
    }
}
