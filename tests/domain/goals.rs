//! Goals: reached by crossing, once or again, and undone with what reached them.

use guerdon::domain::answer::GoalView;
use guerdon::domain::command::{Commit, ReturnWhat};
use guerdon::domain::program::Timeline;
use guerdon::domain::progress;
use guerdon::domain::time::Instant;
use guerdon::program::compile;
use proptest::prelude::*;

use super::kit::*;

fn goal(counter: &str, terms: &str) -> String {
    format!(
        "
counters: {{c: {counter}}}
goals: [{{id: five, title: Five, counter: c, at_least: 5, badge: star{terms}}}]
rules:
  - {{id: prize, kind: behavioural, on: goal, goals: [five], then: {{bonus: {{units: 50}}}}}}
"
    )
}

fn view(world: &World) -> GoalView {
    let program = world.timeline.at(world.now).unwrap();
    progress::goals(program, &world.accounts[&account("mia")], world.now).remove(0)
}

fn buy(world: &mut World, id: &str) -> Vec<String> {
    told(&world.buy("mia", order_for(id, 1_000)))
}

#[test]
fn d5_a_goal_is_reached_by_crossing_its_threshold_once() {
    let mut world = World::new(&goal("{counts: orders}", "")).with("mia", 0);
    for n in 1..=4 {
        assert_eq!(buy(&mut world, &format!("o{n}")), Vec::<String>::new());
    }
    let now = view(&world);
    assert_eq!((now.counted, now.at_least, now.missing, now.times, now.badge), (4, 5, 1, 0, None));
    assert_eq!(buy(&mut world, "o5"), ["goal five met (1)", "prize grants 50"]);
    let now = view(&world);
    assert_eq!((now.missing, now.times, now.met_at, now.badge), (0, 1, Some(world.now), Some(label("star"))));
    for n in 6..=12 {
        assert_eq!(buy(&mut world, &format!("o{n}")), Vec::<String>::new());
    }
    assert_eq!(world.has("mia"), "available 50");
}

#[test]
fn d5_a_goal_may_be_reached_again() {
    let mut world = World::new(&goal("{counts: items}", ", repeat: every")).with("mia", 0);
    let many = |id: &str, n: i64| order(id, vec![items(n, line("a", 1_000))]);
    assert_eq!(told(&world.buy("mia", many("o1", 4))), Vec::<String>::new());
    let twice = ["goal five met (1)", "prize grants 50", "goal five met (2)", "prize grants 50"];
    assert_eq!(told(&world.buy("mia", many("o2", 9))), twice);
    let now = view(&world);
    assert_eq!((now.counted, now.at_least, now.missing, now.times), (13, 15, 2, 2));
    // No more than 24 times at once.
    let told = told(&world.buy("mia", many("o3", 500)));
    assert_eq!(told.iter().filter(|told| told.starts_with("prize")).count(), 24);
    assert_eq!(told.last().unwrap(), "no earn: TooManyConsequences");

    let mut world = World::new(&goal("{counts: orders, window: month}", ", repeat: per_period")).with("mia", 0);
    for (month, prizes) in [("2026-05", 1), ("2026-06", 2)] {
        for n in 1..=7 {
            world.go(&format!("{month}-1{n}"));
            buy(&mut world, &format!("{month}-{n}"));
        }
        assert_eq!(world.has("mia"), format!("available {}", prizes * 50));
    }
    assert_eq!(view(&world).times, 2);
}

#[test]
fn d5_a_return_undoes_the_goal_and_takes_back_what_it_granted_whole() {
    for by_parts in [false, true] {
        let mut world =
            World::new(&goal("{counts: spend}", "").replace("at_least: 5", "at_least: 5000")).with("mia", 0);
        let lines = vec![items(2, line("a", 4_000)), line("b", 1_000)];
        let met = world.buy("mia", order("o1", lines));
        assert_eq!(told(&met), ["goal five met (1)", "prize grants 50"]);
        let takes = ["goal:five:1:prize loses 50", "goal five undone (1)"];
        if by_parts {
            assert_eq!(
                told(&world.give_back("mia", returned("o1", "r1", ReturnWhat::Lines(vec![quantity("b", 1)])))),
                takes
            );
            world.give_back("mia", everything("o1", "r2"));
        } else {
            assert_eq!(told(&world.give_back("mia", everything("o1", "r"))), takes);
        }
        assert_eq!((world.has("mia").as_str(), view(&world).times, view(&world).badge), ("nothing", 0, None));
        // Reached anew, it counts.
        assert_eq!(told(&world.buy("mia", order_for("o2", 5_000))), ["goal five met (2)", "prize grants 50"]);
        assert_eq!(world.has("mia"), "available 50");
    }
}

#[test]
fn d5_another_order_may_carry_what_one_had_reached() {
    let mut world = World::new(&goal("{counts: orders}", "")).with("mia", 0);
    for n in 1..=6 {
        buy(&mut world, &format!("o{n}"));
    }
    // The fifth comes back, five are left.
    assert_eq!(told(&world.give_back("mia", everything("o5", "r5"))), Vec::<String>::new());
    assert_eq!(world.has("mia"), "available 50");
    assert_eq!(
        told(&world.give_back("mia", everything("o1", "r1"))),
        ["goal:five:1:prize loses 50", "goal five undone (1)"]
    );
}

#[test]
fn d5_what_goals_grant_may_reach_others_in_bounded_rounds() {
    // Each goal grants what the next one counts: six in a row, of which four are followed.
    let lines = |line: &dyn Fn(i32) -> String| (1..=6).map(line).collect::<Vec<_>>().join(", ");
    let sections = format!(
        "units: {{points: {{}}, {}}}
counters: {{{}}}
goals: [{}]
rules:
  - {{id: base, kind: transactional, on: order, then: {{earn: {{units: 1, per: GBP 1.00, unit: u1}}}}}}
{}",
        lines(&|n| format!("u{n}: {{}}")),
        lines(&|n| format!("c{n}: {{counts: units, unit: u{n}}}")),
        lines(&|n| format!("{{id: g{n}, title: G, counter: c{n}, at_least: 1}}")),
        (1..6)
            .map(|n| {
                let next = n + 1;
                format!("  - {{id: r{n}, kind: social, on: goal, goals: [g{n}], then: {{bonus: {{units: 1, unit: u{next}}}}}}}\n")
            })
            .collect::<String>()
    );
    let mut world = World::new(&sections).with("mia", 0);
    let told = told(&world.buy("mia", order_for("o", 1_000)));
    let met = told.iter().filter(|told| told.starts_with("goal")).count();
    // Goals are looked at in the order of the file, so one round finds them all here.
    assert_eq!((met, told.last().unwrap().as_str()), (6, "goal g6 met (1)"));
    world.give_back("mia", everything("o", "r"));
    let state = &world.accounts[&account("mia")];
    assert!(state.units.iter().all(|book| book.amount(guerdon::domain::ledger::Book::Available) == 0), "{state:?}");
    assert!(state.goals.iter().all(|goal| goal.times() == 0));
    // Against the order of the file, each takes a round.
    let turned = sections.replace(
        &lines(&|n| format!("{{id: g{n}, title: G, counter: c{n}, at_least: 1}}")),
        &(1..=6)
            .rev()
            .map(|n| format!("{{id: g{n}, title: G, counter: c{n}, at_least: 1}}"))
            .collect::<Vec<_>>()
            .join(", "),
    );
    let mut world = World::new(&turned).with("mia", 0);
    let told = super::kit::told(&world.buy("mia", order_for("o", 1_000)));
    let met = told.iter().filter(|told| told.starts_with("goal")).count();
    assert_eq!((met, told.last().unwrap().as_str()), (4, "no earn: TooManyConsequences"));
    world.give_back("mia", everything("o", "r"));
    assert!(world.accounts[&account("mia")].goals.iter().all(|goal| goal.times() == 0));
}

#[test]
fn d5_no_status_carries_itself() {
    // A level by points that grants points, which a goal counts too, which grants points.
    let sections = "
counters: {got: {counts: units}}
tiers: {up: {counter: got, levels: [{id: l1, title: L, at_least: 10}, {id: l2, title: L, at_least: 20}]}}
goals: [{id: g, title: G, counter: got, at_least: 15}]
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}
  - {id: more, kind: emotional, on: tier, then: {bonus: {units: 10}}}
  - {id: prize, kind: emotional, on: goal, then: {bonus: {units: 10}}}
";
    let mut world = World::new(sections).with("mia", 0);
    let decision = world.buy("mia", order_for("o1", 1_000));
    assert_eq!(told(&decision), ["base grants 10", "more grants 10", "up: none -> l1"]);
    world.buy("mia", order_for("o2", 1_000));
    assert_eq!(world.has("mia"), "available 50");
    world.give_back("mia", everything("o1", "r"));
    assert_eq!(world.has("mia"), "available 20");
    world.give_back("mia", everything("o2", "r"));
    assert_eq!(world.has("mia"), "nothing");
}

#[test]
fn d5_a_return_cancels_the_voucher_of_a_goal() {
    let sections = "
counters: {c: {counts: orders}}
goals: [{id: two, title: Two, counter: c, at_least: 2}]
rewards: [{id: treat, title: Treat, gives: {amount_off: GBP 1.00}}]
rules:
  - {id: prize, kind: behavioural, on: goal, then: {voucher: {reward: treat}}}
";
    let mut world = World::new(sections).with("mia", 0);
    buy(&mut world, "o1");
    buy(&mut world, "o2");
    let vouchers = |world: &World| world.accounts[&account("mia")].vouchers_open();
    assert_eq!(vouchers(&world), 1);
    world.give_back("mia", everything("o1", "r"));
    assert_eq!(vouchers(&world), 0);
    // Another time it is another voucher.
    buy(&mut world, "o3");
    assert_eq!(vouchers(&world), 1);
}

#[test]
fn d5_a_quote_shows_what_the_commit_does() {
    let mut world =
        World::new(&goal("{counts: orders}", ", repeat: every").replace("at_least: 5", "at_least: 1")).with("mia", 0);
    let command = guerdon::domain::command::Command::Commit(Commit { explain: false, ..commit(order_for("o", 1_000)) });
    let shown = told(&world.preview("mia", &command, world.now));
    assert_eq!(shown, ["goal five met (1)", "prize grants 50"]);
    assert_eq!(told(&world.decide("mia", command)), shown);
}

#[test]
fn d5_nothing_before_its_start_reaches_a_goal() {
    let terms = goal("{counts: orders}", ", starts_at: 2026-06-01T00:00").replace("at_least: 5", "at_least: 2");
    let mut world = World::new(&terms).with("mia", 0);
    buy(&mut world, "o1");
    assert_eq!(buy(&mut world, "o2"), Vec::<String>::new());
    world.go("2026-06-02");
    assert_eq!(buy(&mut world, "o3"), Vec::<String>::new(), "it was crossed before");
}

#[test]
fn trap_12_who_met_a_goal_before_it_was_introduced_is_not_paid() {
    for repeat in ["", ", repeat: every", ", repeat: per_period"] {
        let window = if repeat.contains("per_period") { ", window: year" } else { "" };
        let counter = format!("{{counts: orders{window}}}");
        let bare = program(&format!("counters: {{c: {counter}}}\nrules: []\n"));
        let mut world = World::of(bare.clone()).with("mia", 0);
        for n in 1..=7 {
            buy(&mut world, &format!("o{n}"));
        }
        let introduced = at("2026-05-05T00:00:00Z");
        world.timeline =
            Timeline { versions: vec![(Instant(0), bare), (introduced, program(&goal(&counter, repeat)))] };
        world.go("2026-05-06");
        assert_eq!(buy(&mut world, "o8"), Vec::<String>::new(), "{repeat}");
        // Nor by bringing back and buying again.
        for n in 1..=5 {
            world.give_back("mia", everything(&format!("o{n}"), "r"));
        }
        for n in 9..=12 {
            assert_eq!(buy(&mut world, &format!("o{n}")), Vec::<String>::new(), "{repeat}");
        }
        assert_eq!((world.has("mia").as_str(), view(&world).times), ("nothing", 0), "{repeat}");
        // Who did not meet it before is paid.
        world.enrol("ben", &[]);
        for n in 1..=5 {
            world.buy("ben", order_for(&format!("b{n}"), 1_000));
        }
        assert_eq!(world.has("ben"), "available 50", "{repeat}");
    }
}

#[test]
fn d5_what_makes_no_goal_is_a_fault() {
    for (counter, terms, fault) in [
        ("{counts: orders}", "repeat: per_period", "its counter has no periods"),
        ("{counts: orders, window: 30 days}", "repeat: every", "its counter rolls"),
        ("{counts: orders, streak: week}", "repeat: every", "a streak can be reached once"),
    ] {
        let text = format!(
            "guerdon: 1\nprogram: p\ntitle: P\ntime_zone: UTC\ncurrencies: [GBP]\ncounters: {{c: {counter}}}\n\
             goals: [{{id: g, title: G, counter: c, at_least: 5, {terms}}}]\n"
        );
        let faults = compile(&text).unwrap_err().to_string();
        assert!(faults.contains(fault), "{faults}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Orders and full returns, in any order, end with the goals of the orders that are kept.
    #[test]
    fn d5_orders_and_returns_end_with_the_goals_of_the_kept_orders(
        steps in prop::collection::vec((1..4i64, any::<bool>(), any::<bool>()), 1..14),
        repeats in any::<bool>(),
    ) {
        let text = goal("{counts: items}", if repeats { ", repeat: every" } else { "" });
        let mut world = World::new(&text).with("mia", 0);
        let mut kept = World::new(&text).with("mia", 0);
        let mut later = Vec::new();
        for (n, (quantity, comes_back, at_once)) in steps.iter().enumerate() {
            let order = order(&format!("o{n}"), vec![items(*quantity, line("a", 1_000))]);
            world.buy("mia", order.clone());
            match (comes_back, at_once) {
                (true, true) => { world.give_back("mia", everything(&format!("o{n}"), "r")); }
                (true, false) => later.push(n),
                (false, _) => { kept.buy("mia", order); }
            }
        }
        for n in later {
            world.give_back("mia", everything(&format!("o{n}"), "r"));
        }
        prop_assert_eq!(view(&world).times, view(&kept).times);
        prop_assert_eq!(world.has("mia"), kept.has("mia"));
    }
}
