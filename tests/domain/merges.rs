//! Two accounts that both have something of one name: what becomes of it in a merge, and what an undo brings back.

use guerdon::domain::account::{AccountState, GoalState, VoucherState};
use guerdon::domain::id::{CardId, GoalId};
use guerdon::domain::ledger::GENESIS;
use guerdon::domain::time::Instant;
use proptest::prelude::*;

use super::events::event;
use super::kit::*;

const CLUB: &str = "
value: {}
events: {share: {}}
counters:
  bought: {counts: orders}
  spent: {counts: spend, window: year}
rewards: [{id: free, title: Free, gives: {amount_off: GBP 3.00}}]
stamp_cards: [{id: card, title: Card, goal: 5, reward: free}]
goals: [{id: three, title: Three, counter: bought, at_least: 3}]
tiers:
  vip:
    counter: spent
    levels:
      - {id: silver, title: Silver, at_least: 2000}
      - {id: gold, title: Gold, at_least: 9000}
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}
  - {id: stamp, kind: transactional, on: order, lines: {categories: [coffee]}, then: {stamps: {card: card, for_each: item}}}
  - {id: fan, kind: social, on: event, events: [share], then: {tag: {add: [fan]}}}
  - {id: met, kind: behavioural, on: goal, goals: [three], then: {bonus: {units: 50}}}
";

fn coffees(id: &str, quantity: i64) -> guerdon::domain::order::Order {
    order(id, vec![of_category("coffee", items(quantity, line("a", 300 * quantity)))])
}

fn state<'w>(world: &'w World, member: &str) -> &'w AccountState {
    &world.accounts[&account(member)]
}

/// Stamps on the open card, and vouchers that can be used.
fn card(world: &World, member: &str) -> (i64, usize) {
    let state = state(world, member);
    let open = state.card(&CardId::parse("card").unwrap()).and_then(|known| known.progress());
    (open.map_or(0, |(stamps, _)| stamps), state.vouchers.iter().filter(|v| v.state == VoucherState::Issued).count())
}

fn goal<'w>(world: &'w World, member: &str) -> Option<&'w GoalState> {
    state(world, member).goals.iter().find(|known| known.goal == GoalId::parse("three").unwrap())
}

#[test]
fn b9_stamps_of_one_card_add_up_and_what_fills_it_is_handed_out() {
    // own  theirs  merged stamps, vouchers  undone: own, theirs
    for (own, theirs, merged, undone) in [
        (2, 2, (4, 0), ((2, 0), (2, 0))),
        (0, 3, (3, 0), ((0, 0), (3, 0))),
        (3, 0, (3, 0), ((3, 0), (0, 0))),
        // One card is full, and two stamps begin the next: of theirs there are no more than these.
        (3, 4, (2, 1), ((0, 1), (2, 0))),
        (1, 4, (0, 1), ((0, 1), (0, 0))),
        // Vouchers all move, and come back to whom they are.
        (6, 8, (4, 2), ((1, 1), (3, 1))),
    ] {
        let mut world = World::new(CLUB).with("ann", 0).with("ben", 0);
        for (member, stamps) in [("ann", own), ("ben", theirs)] {
            if 0 < stamps {
                world.buy(member, coffees(&format!("o-{member}"), stamps));
            }
        }
        world.merge("ben", "ann");
        assert_eq!(card(&world, "ann"), merged, "{own} and {theirs}");
        world.undo("ben");
        assert_eq!((card(&world, "ann"), card(&world, "ben")), undone, "{own} and {theirs}, undone");
    }
}

#[test]
fn b9_an_order_of_before_the_merge_takes_its_stamps_back_afterwards() {
    let mut world = World::new(CLUB).with("ann", 0).with("ben", 0);
    world.buy("ann", coffees("o1", 2));
    world.buy("ben", coffees("o2", 2));
    world.merge("ben", "ann");
    world.give_back("ben", everything("o2", "r"));
    assert_eq!(card(&world, "ann"), (2, 0));
    world.give_back("ann", everything("o1", "r"));
    assert_eq!(card(&world, "ann"), (0, 0));
}

#[test]
fn b9_what_both_have_met_of_a_goal_stands_and_is_told_apart_again() {
    let mut world = World::new(CLUB).with("ann", 0).with("ben", 0);
    for member in ["ann", "ben"] {
        for n in 0..3 {
            world.buy(member, order_for(&format!("{member}-{n}"), 100));
        }
    }
    let (ann, ben) = (goal(&world, "ann").cloned(), goal(&world, "ben").cloned());
    world.merge("ben", "ann");
    let both = goal(&world, "ann").unwrap();
    assert_eq!(both.met.iter().map(|met| met.number).collect::<Vec<_>>(), [1, 2]);
    assert!(both.met.iter().all(|met| met.gifts.units.len() == 1), "{both:?}");
    world.undo("ben");
    assert_eq!((goal(&world, "ann").cloned(), goal(&world, "ben").cloned()), (ann, ben));
}

#[test]
fn b9_a_level_that_came_along_goes_again_and_ones_own_stays() {
    let mut world = World::new(CLUB).with("ann", 0).with("ben", 0);
    world.buy("ann", order_for("o1", 2_500));
    world.buy("ben", order_for("o2", 9_500));
    let (ann, ben) = (state(&world, "ann").ladders.clone(), state(&world, "ben").ladders.clone());
    world.merge("ben", "ann");
    assert!(state(&world, "ann").ladders[0].held.iter().any(|holding| holding.level.as_str() == "gold"));
    world.undo("ben");
    assert_eq!(state(&world, "ben").ladders, ben);
    let held = |ladders: &[guerdon::domain::account::LadderState]| ladders[0].held.clone();
    assert_eq!(held(&state(&world, "ann").ladders), held(&ann));
    // Two that are alike, too.
    let mut world = World::new(CLUB).with("ann", 0).with("ben", 0);
    world.buy("ann", order_for("o1", 2_500));
    world.buy("ben", order_for("o2", 2_500));
    let before = state(&world, "ann").ladders.clone();
    world.merge("ben", "ann");
    world.undo("ben");
    assert_eq!(
        (held(&state(&world, "ann").ladders), held(&state(&world, "ben").ladders)),
        (held(&before), held(&before))
    );
}

#[test]
fn b11_erasure_drops_what_tells_of_the_member_and_keeps_the_books() {
    let mut world = World::new(CLUB).with("ann", 0);
    world.buy("ann", coffees("o1", 2));
    world.did("ann", event("e1", "share"));
    world.erase("ann");
    let state = state(&world, "ann");
    assert_eq!((state.tags.len(), state.events.len(), state.occasions.len()), (0, 0, 0));
    assert!(state.counters.iter().all(|known| known.counter.value_part().is_none()), "{:?}", state.counters);
    world.give_back("ann", everything("o1", "r"));
}

/// Everything but what names entries, accounts and things to come.
fn bare(state: &AccountState) -> AccountState {
    let mut bare = state.clone();
    (bare.sequence, bare.head, bare.posted_at, bare.departures) = (0, GENESIS, Instant(0), 0);
    bare.homes.clear();
    for known in &mut bare.cards {
        (known.begun, known.filled_ever) = (0, 0);
        known.open.iter_mut().for_each(|open| open.number = 0);
    }
    bare.cards.retain(|known| known.open.is_some() || !known.filled.is_empty() || 0 < known.owed);
    bare.goals.retain(|goal| 0 < goal.numbers);
    bare.counters.retain(|known| !known.buckets.is_empty() || known.older != 0);
    bare.counters.iter_mut().for_each(|known| known.last_at = Instant(0));
    bare.counters.sort_by(|a, b| a.counter.cmp(&b.counter));
    bare.ladders.retain(|ladder| !ladder.held.is_empty());
    bare.tags.iter_mut().for_each(|tag| tag.entry = 0);
    bare.tags.sort_by(|a, b| a.tag.cmp(&b.tag));
    bare.vouchers.sort_by(|a, b| a.voucher.cmp(&b.voucher));
    bare.units.retain(|book| !book.lots.is_empty());
    // What went to the other account and came back is in the books of both, and sums to nothing.
    bare.units.iter_mut().for_each(|book| book.books = [0; guerdon::domain::ledger::Book::COUNT]);
    (bare.active_at, bare.ordered_at) = (Instant(0), Instant(0));
    // What came once for the one does not come again for the other: that is remembered, whatever is undone.
    bare.events.retain(|last| last.member.as_str() != "ann");
    bare
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// A merge that is undone at once leaves both as they were, whatever either had of what the other had, too. (But for cards that
    /// together were full: what they brought stays where it was handed out.)
    #[test]
    fn b9_merge_and_undo_leave_both_as_they_were(
        steps in prop::collection::vec((any::<bool>(), 0..4u8, 1..4_000i64), 0..14),
    ) {
        let mut world = World::new(CLUB).with("ann", 30).with("ben", 20);
        let mut stamps = [0i64; 2];
        for (n, (first, what, number)) in steps.iter().enumerate() {
            world.now = world.now.plus_ms(1_000);
            let (member, place) = if *first { ("ann", 0) } else { ("ben", 1) };
            match what {
                0 if stamps[0] + stamps[1] < 4 => {
                    stamps[place] += 1;
                    world.buy(member, coffees(&format!("o{n}"), 1));
                }
                1 => drop(world.did(member, event(&format!("e{n}"), "share"))),
                2 => drop(world.adjust(member, *number, Some("2026-12-01"))),
                _ => drop(world.buy(member, of_some(&format!("o{n}"), *number))),
            }
        }
        world.now = world.now.plus_ms(1_000);
        let before = (bare(state(&world, "ann")), bare(state(&world, "ben")));
        let sums = |world: &World| ["ann", "ben"].map(|member| world.has(member));
        let had = sums(&world);
        world.merge("ben", "ann");
        world.undo("ben");
        prop_assert_eq!(sums(&world), had);
        prop_assert_eq!(bare(state(&world, "ann")), before.0);
        prop_assert_eq!(bare(state(&world, "ben")), before.1);
    }
}

fn of_some(id: &str, minor: i64) -> guerdon::domain::order::Order {
    order(id, vec![of_category(&format!("c{}", minor % 3), line("a", minor))])
}
