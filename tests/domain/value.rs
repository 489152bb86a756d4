//! The value profile: what it says, what moves it, what takes it back, and what may be asked of it.

use guerdon::domain::account::AccountState;
use guerdon::domain::program::Kind;
use guerdon::domain::value::{CATEGORIES_KEPT, Profile, ValueView};
use guerdon::program::compile;
use proptest::prelude::*;

use super::events::event;
use super::kit::*;

const VALUE: &str = "
value:
  half_life_months: 3
  scores: {recency_days: [10, 20, 40, 80], frequency: [0.5, 1, 2, 4], monetary_minor: [1000, 2000, 4000, 8000]}
events: {share: {}}
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}
  - {id: shared, kind: social, on: event, events: [share], then: {bonus: {units: 30}}}
";

fn profile(world: &World, member: &str) -> ValueView {
    let program = world.timeline.at(world.now).unwrap();
    Profile::of(program, &world.accounts[&account(member)], world.now).unwrap().view()
}

fn scores(view: &ValueView) -> (i64, i64, i64) {
    let scores = view.scores.unwrap();
    (scores.recency, scores.frequency, scores.monetary)
}

fn affinity(view: &ValueView) -> Vec<(&str, i64)> {
    view.affinity.iter().map(|(category, permille)| (category.as_str(), *permille)).collect()
}

/// Parts of the profile that the account keeps, whatever they weigh.
fn kept(state: &AccountState) -> Vec<String> {
    let parts = state.counters.iter().filter_map(|known| known.counter.value_part());
    let mut parts: Vec<String> = parts.map(str::to_owned).collect();
    parts.sort();
    parts
}

#[test]
fn e11_a_program_without_a_profile_keeps_none() {
    let mut world = World::new(BASE).with("mia", 0);
    world.buy("mia", order_for("o1", 1_000));
    assert_eq!(world.accounts[&account("mia")].counters, Vec::new());
    assert!(Profile::of(world.timeline.at(world.now).unwrap(), &world.accounts[&account("mia")], world.now).is_none());
}

#[test]
fn e11_recency_frequency_and_money_decay_by_half_lives_of_calendar_months() {
    let mut world = World::new(VALUE).with("mia", 0).on("2026-01-20");
    assert_eq!(profile(&world, "mia").recency_days, None);
    assert_eq!(scores(&profile(&world, "mia")), (0, 0, 0));
    world.buy("mia", order("o1", vec![line("a", 6_000), line("b", 2_000)]));
    world.buy("mia", order_for("o2", 8_000));
    // now           days  orders  money   scores
    for (now, days, orders, minor, expected) in [
        ("2026-01-20", 0, 200, 16_000, (5, 4, 5)),
        ("2026-01-30", 10, 200, 16_000, (5, 4, 5)),
        ("2026-01-31", 11, 200, 16_000, (4, 4, 5)),
        // 2^(-1/3) is 0.7937; the first of the month decides.
        ("2026-02-01", 12, 158, 12_699, (4, 3, 5)),
        ("2026-04-01", 71, 100, 8_000, (2, 3, 5)),
        ("2026-07-01", 162, 50, 4_000, (1, 2, 4)),
        ("2026-10-01", 254, 25, 2_000, (1, 1, 3)),
        ("2027-12-31", 710, 0, 78, (1, 1, 1)),
        // Two years: nothing is left but when it was.
        ("2028-01-01", 711, 0, 0, (1, 1, 1)),
    ] {
        world.go(now);
        let view = profile(&world, "mia");
        let found = (view.recency_days, view.frequency_hundredths, view.monetary_minor, scores(&view));
        assert_eq!(found, (Some(days), orders, minor, expected), "on {now}");
    }
}

#[test]
fn e11_what_earns_counts_in_the_first_currency_and_lines_that_earn_nothing_do_not() {
    let mut world = World::new(VALUE).with("mia", 0);
    let card = of_kind(guerdon::domain::order::LineKind::GiftCard, of_category("cards", line("b", 9_000)));
    world.buy("mia", order("o1", vec![of_category("coffee", line("a", 1_000)), card]));
    let view = profile(&world, "mia");
    assert_eq!((view.monetary_minor, affinity(&view)), (1_000, vec![("coffee", 1_000)]));
}

#[test]
fn e11_affinity_is_a_share_of_what_was_spent_and_partial_returns_take_it_back() {
    let mut world = World::new(VALUE).with("mia", 0);
    let lines = vec![
        of_category("coffee", items(3, line("a", 3_000))),
        of_category("cake", line("b", 1_000)),
        line("c", 2_000),
    ];
    world.buy("mia", order("o1", lines));
    assert_eq!(affinity(&profile(&world, "mia")), [("coffee", 500), ("cake", 166)]);
    world.give_back("mia", returned("o1", "r1", guerdon::domain::command::ReturnWhat::Lines(vec![quantity("a", 1)])));
    let view = profile(&world, "mia");
    assert_eq!((view.monetary_minor, view.frequency_hundredths), (5_000, 100), "the order still counts");
    assert_eq!(affinity(&view), [("coffee", 400), ("cake", 200)]);
    world.give_back("mia", everything("o1", "r2"));
    assert_eq!(kept(&world.accounts[&account("mia")]), Vec::<String>::new());
}

#[test]
fn e11_the_lightest_category_makes_room_and_comes_back_with_a_whole_return() {
    let mut world = World::new(VALUE).with("mia", 0);
    for n in 0..CATEGORIES_KEPT as i64 {
        let line = of_category(&format!("c{n:02}"), line("a", 1_000 + n));
        world.buy("mia", order(&format!("o{n}"), vec![line]));
    }
    let before = kept(&world.accounts[&account("mia")]);
    world.buy("mia", order("new", vec![of_category("new", line("a", 10)), of_category("c05", line("b", 5))]));
    let view = profile(&world, "mia");
    assert_eq!(view.affinity.len(), CATEGORIES_KEPT - 1, "0 thousandths are not shown");
    assert!(!affinity(&view).iter().any(|(category, _)| *category == "c00"), "it weighed least");
    assert_eq!(kept(&world.accounts[&account("mia")]).len(), before.len());
    world.give_back("mia", everything("new", "r"));
    assert_eq!(kept(&world.accounts[&account("mia")]), before);
    // An order of more categories than are kept keeps the heaviest.
    let many = (0..40).map(|n| of_category(&format!("m{n:02}"), line(&format!("l{n}"), 5_000 + n)));
    world.buy("mia", order("many", many.collect()));
    let view = profile(&world, "mia");
    assert_eq!(view.affinity.len(), CATEGORIES_KEPT);
    assert!((28..40).all(|n| affinity(&view).iter().any(|(category, _)| *category == format!("m{n}"))), "the heaviest");
}

#[test]
fn e11_the_loyalty_mix_follows_grants_and_what_is_taken_back() {
    let mut world = World::new(VALUE).with("mia", 0);
    world.buy("mia", order_for("o1", 9_000));
    world.did("mia", event("e1", "share"));
    assert_eq!(profile(&world, "mia").mix, [(Kind::Transactional, 750), (Kind::Social, 250)]);
    world.revoke("mia", "e1");
    assert_eq!(profile(&world, "mia").mix, [(Kind::Transactional, 1_000)]);
    world.give_back("mia", everything("o1", "r1"));
    assert_eq!(profile(&world, "mia").mix, []);
}

#[test]
fn e11_rules_ask_for_the_profile_as_it_was_before_the_order() {
    for (asked, first, then) in [
        ("member: {value: {recency_days_at_least: 30}}", false, true),
        ("member: {value: {recency_days_at_most: 29}}", false, false),
        ("member: {value: {frequency_at_least: 0.5, frequency_at_most: 0.8}}", false, true),
        ("member: {value: {monetary_minor_at_least: 794}}", false, false),
        ("member: {value: {monetary_minor_at_least: 793}}", false, true),
        ("member: {value: {r_at_most: 0}}", true, false),
        ("member: {value: {r_at_least: 3, f_at_most: 2, m_at_most: 1}}", false, true),
        ("member: {value: {affinity_at_least: {coffee: 1000}}}", false, true),
        ("member: {value: {affinity_at_least: {tea: 1}}}", false, false),
        ("member: {value: {mix_at_least: {transactional: 1000}}}", false, true),
        ("expression: member.value.recency_days >= 30 && member.value.frequency == 79", false, true),
        ("expression: '!has(member.value.recency_days)'", true, false),
        ("expression: \"member.value.affinity['coffee'] >= 300 && member.value.mix.social < 1\"", false, true),
        ("expression: member.value.r == 3 && member.value.f == 2 && member.value.m == 1", false, true),
        ("expression: member.value.monetary == 793", false, true),
    ] {
        let rule = format!(
            "  - {{id: extra, kind: emotional, on: order, when: {{{asked}}}, then: {{bonus: {{units: 7}}}}}}\n"
        );
        let mut world = World::new(&format!("{VALUE}{rule}")).with("mia", 0);
        let buy = |world: &mut World, id: &str| {
            let bought = world.buy("mia", order(id, vec![of_category("coffee", line("a", 1_000))]));
            grants(&bought).iter().any(|(rule, _)| rule == "extra")
        };
        assert_eq!(buy(&mut world, "o1"), first, "first, {asked}");
        world.go("2026-06-03");
        // What the first may have given would be part of the mix.
        assert_eq!(buy(&mut world, "o2"), then, "then, {asked}");
    }
}

#[test]
fn e11_what_makes_no_profile_or_asks_for_none_is_a_fault() {
    let head = "guerdon: 1\nprogram: p\ntitle: P\ntime_zone: UTC\ncurrencies: [GBP]\nunits: {points: {}}\n";
    let rule = |when: &str| {
        format!("rules:\n  - {{id: a, kind: social, on: order, when: {{{when}}}, then: {{bonus: {{units: 1}}}}}}\n")
    };
    let scores =
        "value: {scores: {recency_days: [1, 2, 3, 4], frequency: [1, 2, 3, 4], monetary_minor: [1, 2, 3, 4]}}\n";
    for (sections, expected) in [
        ("value: {half_life_months: 5}\n".to_owned(), "5 months do not divide a year"),
        ("value: {unit: miles}\n".to_owned(), "miles"),
        (scores.replace("[1, 2, 3, 4], frequency", "[1, 2, 2, 4], frequency"), "do not ascend"),
        (scores.replace("frequency: [1,", "frequency: [0.001,"), "at most 2 are allowed"),
        (scores.replace("frequency: [1, 2, 3, 4]", "frequency: [1, 2, 3]"), "at least 4 must be there"),
        (rule("member: {value: {r_at_least: 3}}"), "the program keeps no value profile"),
        (format!("value: {{}}\n{}", rule("member: {value: {r_at_least: 3}}")), "the program states no scores"),
        (format!("{scores}{}", rule("member: {value: {}}")), "asks nothing of the value profile"),
        (
            format!("{scores}{}", rule("member: {value: {m_at_least: 3, m_at_most: 2}}")),
            "at once that high and that low",
        ),
        (format!("{scores}{}", rule("member: {value: {affinity_at_least: {tea: 1001}}}")), "1001"),
        (rule("expression: member.value.frequency > 1"), "it has no section `value`"),
        (format!("value: {{}}\n{}", rule("expression: member.value.r > 1")), "states no `value: {scores: ...}`"),
        (format!("value: {{}}\n{}", rule("expression: member.value.mix.socail > 1")), "is no kind of loyalty"),
        (format!("value: {{}}\n{}", rule("expression: member.value.rank > 1")), "rank"),
    ] {
        let faults = compile(&format!("{head}{sections}")).map(|_| ()).unwrap_err().to_string();
        assert!(faults.contains(expected), "{sections}: {faults}");
    }
}

#[test]
fn e11_a_profile_is_bounded_whatever_is_bought() {
    let mut world = World::new(VALUE).with("mia", 0);
    for n in 0..120 {
        world.go(&format!("20{:02}-{:02}-{:02}", 26 + n / 48, 1 + n / 4 % 12, 1 + n % 4 * 7));
        let category = format!("c{}", n % 31);
        world.buy("mia", order(&format!("o{n}"), vec![of_category(&category, line("a", 700 + n))]));
    }
    let state = &world.accounts[&account("mia")];
    assert_eq!(kept(state).iter().filter(|part| part.starts_with("in/")).count(), CATEGORIES_KEPT);
    let buckets: usize = state.counters.iter().map(|known| known.buckets.len()).sum();
    assert!(buckets <= 16 + 24 * (3 + CATEGORIES_KEPT), "{buckets}");
    let bytes = guerdon::domain::ledger::encode(&state.counters).len();
    assert!(bytes <= 2_500, "{bytes} bytes");
}

#[test]
fn e11_a_merge_takes_the_profile_along_and_an_undo_brings_it_back() {
    let bought = |world: &mut World, member: &str, category: &str| {
        world.buy(member, order(&format!("{member}-{category}"), vec![of_category(category, line("a", 1_000))]));
    };
    let mut world = World::new(VALUE).with("mia", 0).with("leo", 0);
    bought(&mut world, "mia", "tea");
    bought(&mut world, "leo", "coffee");
    let (mia, leo) = (profile(&world, "mia"), profile(&world, "leo"));
    world.merge("leo", "mia");
    let view = profile(&world, "mia");
    assert_eq!((view.monetary_minor, view.frequency_hundredths), (2_000, 200));
    assert_eq!(affinity(&view), [("coffee", 500), ("tea", 500)]);
    world.undo("leo");
    assert_eq!((profile(&world, "mia"), profile(&world, "leo")), (mia, leo));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// An order that comes back whole leaves the profile as it was, in however many steps it comes back, and so do
    /// orders that come back in any order.
    #[test]
    fn e11_what_comes_back_leaves_the_profile_as_it_was(
        before in prop::collection::vec((1..9_999i64, 0..20usize, 0..20usize), 0..14),
        then in prop::collection::vec((1..9_999i64, 1..4i64, 0..20usize, 0..20usize), 1..4),
        steps in any::<bool>(),
    ) {
        let mut world = World::new(VALUE).with("mia", 0);
        let two = |id: &str, minor: i64, items_of: i64, one: usize, other: usize| order(id, vec![
            of_category(&format!("c{one}"), items(items_of, line("a", minor))),
            of_category(&format!("c{other}"), line("b", minor / 2 + 1)),
        ]);
        for (n, (minor, one, other)) in before.iter().enumerate() {
            world.buy("mia", two(&format!("o{n}"), *minor, 1, *one, *other));
        }
        let (was, state) = (profile(&world, "mia"), kept(&world.accounts[&account("mia")]));
        for (n, (minor, many, one, other)) in then.iter().enumerate() {
            let id = format!("t{n}");
            world.buy("mia", two(&id, *minor, *many, *one, *other));
            if steps {
                for step in 0..*many {
                    let what = guerdon::domain::command::ReturnWhat::Lines(vec![quantity("a", 1)]);
                    world.give_back("mia", returned(&id, &format!("r{step}"), what));
                }
            }
            world.give_back("mia", everything(&id, "all"));
        }
        prop_assert_eq!(profile(&world, "mia"), was);
        prop_assert_eq!(kept(&world.accounts[&account("mia")]), state);
    }
}
