//! What a decision changes in the figures of referrals.

use guerdon::domain::id::Label;
use guerdon::domain::stats::{Change, Channel, Figure, Measure, Orders, StatsRecord, Way, changes};
use guerdon::domain::time::Day;

use super::kit::*;

const PROGRAM: &str = "
referral_figures: true
referrals: [{id: ref, title: T, advocate: {units: 100}, friend: {units: 10}, spend_at_least: GBP 5.00}]
rules: [{id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1000.00}}}]
";

/// The changes that the latest decisions of a member have made since `before`, as sentences.
fn told(before: &World, after: &World, member: &str, order: Option<&str>) -> Vec<String> {
    let who = account(member);
    let posted = before.ledgers.get(&who).map_or(0, Vec::len);
    let order = order.map(order_id);
    let find = |world: &World| order.as_ref().and_then(|order| world.orders.get(order)).cloned();
    let (was, is) = (find(before), find(after));
    let program = after.timeline.at(after.now).unwrap();
    let orders = Orders { before: was.as_ref(), after: is.as_ref() };
    let entries = &after.ledgers[&who][posted..];
    let found = changes(program, before.accounts.get(&who), &after.accounts[&who], entries, orders);
    found.iter().map(|change| format!("{} {:?} {}", say(change), change.figure.way, change.by)).collect()
}

fn say(change: &Change) -> String {
    let of = change.figure.campaign.as_ref().map_or("all", |campaign| campaign.as_str());
    let measure = match &change.figure.measure {
        Measure::Cost(unit) => format!("Cost {unit}"),
        other => format!("{other:?}"),
    };
    format!("{of} {measure}")
}

/// Who, about which order, what they do, and what that changes.
type Step<'a> = (&'a str, Option<&'a str>, fn(&mut World), &'a [&'a str]);

#[test]
fn r18_each_step_moves_the_figures_and_its_undoing_moves_them_back() {
    let mut w = World::new(PROGRAM).with("ada", 0);
    w.code("ADA0", "ada", "ref");
    let steps: [Step<'_>; 6] = [
        ("ben", None, |w| drop(w.enrol("ben", &["ADA0"])), &["all Members None 1", "ref SignUps Some(SignUp) 1"]),
        (
            "ben",
            Some("o"),
            |w| drop(w.buy("ben", order_for("o", 1_000))),
            &[
                "ref Cost points None 10",
                "ref Qualified Some(SignUp) 1",
                "ref ReferredOrders None 1",
                "ref ReferredSpend None 1000",
            ],
        ),
        ("ada", None, |w| w.relay(), &["ref Cost points None 100"]),
        (
            "ben",
            Some("o"),
            |w| drop(w.give_back("ben", everything("o", "r"))),
            &["ref Cost points None -10", "ref Qualified Some(SignUp) -1", "ref ReferredSpend None -1000"],
        ),
        ("ada", None, |w| w.relay(), &["ref Cost points None -100"]),
        (
            "ada",
            Some("p"),
            |w| drop(w.buy("ada", order_for("p", 700))),
            &["all OtherOrders None 1", "all OtherSpend None 700"],
        ),
    ];
    for (member, order, step, expected) in steps {
        let before = w.clone();
        step(&mut w);
        let mut found = told(&before, &w, member, order);
        found.sort();
        let mut expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
        expected.sort();
        assert_eq!(found, expected);
    }
}

#[test]
fn r18_no_figures_are_kept_unless_the_program_says_so() {
    let mut w = World::new(&PROGRAM.replace("referral_figures: true\n", "")).with("ada", 0);
    let before = w.clone();
    w.buy("ada", order_for("o", 1_000));
    assert_eq!(told(&before, &w, "ada", Some("o")), [""; 0]);
    assert_eq!(w.order("o").measured, None);
}

#[test]
fn r18_what_is_told_again_counts_once() {
    let figure = Figure { campaign: None, way: Some(Way::Agent), channel: Channel::Untold, measure: Measure::Members };
    let change = |by| Change { month: Day(0), figure: figure.clone(), by };
    let mut record = StatsRecord::default();
    for (position, by, expected) in [(1, 5, Some(5)), (1, 5, Some(5)), (2, -2, Some(3)), (1, 9, Some(3)), (3, -3, None)]
    {
        record.take(position, &[&change(by)]);
        assert_eq!(record.figures.first().map(|(_, sum)| *sum), expected, "{position} {by}");
    }
}

#[test]
fn r18_names_of_channels_are_bounded_and_no_touch_is_lost() {
    let of = |n: usize| Figure {
        campaign: None,
        way: None,
        channel: Channel::Named(Label::parse(&format!("c{n:04}")).unwrap()),
        measure: Measure::TouchesDropped,
    };
    let change = |n: usize, by| Change { month: Day(0), figure: of(n), by };
    let others = |record: &StatsRecord| {
        let of_others = |(figure, _): &&(Figure, i64)| figure.channel == Channel::Others;
        record.figures.iter().find(of_others).map_or(0, |(_, sum)| *sum)
    };
    let sum = |record: &StatsRecord| record.figures.iter().map(|(_, sum)| *sum).sum::<i64>();
    let names = StatsRecord::CHANNELS_MAX;
    let mut record = StatsRecord::default();
    for (position, n) in (1..).zip(0..2 * names) {
        record.take(position, &[&change(n, 1)]);
    }
    assert_eq!((record.figures.len(), others(&record), sum(&record)), (names + 1, names as i64, 2 * names as i64));
    // What goes back goes back whence it came, also once a name stands at zero: its place is not given away.
    let position = 2 * names as u64;
    record.take(position + 1, &[&change(0, -1)]);
    record.take(position + 2, &[&change(names, -1)]);
    record.take(position + 3, &[&change(5 * names, 1)]);
    assert_eq!((record.figures.len(), others(&record), sum(&record)), (names + 1, names as i64, 2 * names as i64 - 1));
    assert_eq!(record.figures.iter().find(|(figure, _)| *figure == of(0)).map(|(_, sum)| *sum), Some(0));
}
