//! Prize draws: fair, and provably so.

use std::sync::Arc;

use guerdon::domain::answer::Effect;
use guerdon::domain::command::Command;
use guerdon::domain::draw::{Seed, drum_ticket, ticket};
use guerdon::domain::id::{DrawId, GrantId};

use super::kit::*;

const SEED: &str = "000102030405060708090a0b0c0d0e0f";
/// SHA-256 of the sixteen bytes above.
const COMMITMENT: &str = "be45cb2605bf36bebde684841a28f0fd43c69850a3dce5fedba69928ee3a8991";

fn sections() -> String {
    format!(
        "
rewards: [{{id: mug, title: A mug, gives: {{amount_off: GBP 5.00}}}}]
draws:
  - id: spring
    title: Spring draw
    commitment: \"{COMMITMENT}\"
    ends_at: 2026-06-01T00:00:00Z
    of: 4
    prizes:
      - {{id: points, tickets: 1, gives: {{bonus: {{units: 50}}}}}}
      - {{id: mug, tickets: 2, gives: {{voucher: {{reward: mug}}}}}}
rules: [{{id: lucky, kind: behavioural, on: order, then: {{draw: {{draw: spring}}}}}}]
"
    )
}

fn world(seeds: &[Seed]) -> World {
    let mut program = program(&sections());
    Arc::make_mut(&mut program).arm(seeds);
    World::of(program).with("mia", 0)
}

fn seed() -> Seed {
    Seed::parse(SEED).unwrap()
}

#[test]
fn d7_chance_every_ticket_can_be_recomputed_and_wins_what_it_says() {
    let mut world = world(&[seed()]);
    let (mut points, mut mugs) = (0, 0);
    for n in 0..40 {
        let id = format!("o{n}");
        let decision = world.buy("mia", order_for(&id, 100));
        let effects = decided(&decision.answer).effects;
        let Effect::Drawn(drawn) = &effects[0] else { panic!("{effects:?}") };
        let cause = GrantId::of(&[&id, "lucky"]);
        let expected = ticket(&seed(), &DrawId::parse("spring").unwrap(), &account("mia"), &cause, 4);
        assert_eq!((drawn.ticket, drawn.of, &drawn.cause), (Some(expected), 4, &cause));
        let prize = drawn.prize.as_ref().map(ToString::to_string);
        assert_eq!(
            prize.as_deref(),
            [Some("points"), Some("mug"), Some("mug"), None][usize::try_from(expected).unwrap()]
        );
        points += i64::from(prize.as_deref() == Some("points"));
        mugs += usize::from(prize.as_deref() == Some("mug"));
        assert_eq!(effects.len(), 1 + usize::from(prize.is_some()), "{effects:?}");
    }
    assert_eq!(world.has("mia"), format!("available {}", 50 * points));
    let vouchers = &world.accounts[&account("mia")].vouchers;
    assert_eq!(vouchers.len(), mugs);
    assert!(0 < points && 0 < mugs && usize::try_from(points).unwrap() + mugs < 40);
    // What an order has won goes with it.
    for n in 0..40 {
        world.give_back("mia", everything(&format!("o{n}"), "r"));
    }
    assert_eq!(world.has("mia"), "nothing");
    assert_eq!(world.accounts[&account("mia")].vouchers_open(), 0);
}

#[test]
fn d7_pool_every_prize_is_won_once_and_the_drum_ends() {
    let once = sections().replace("    of: 4\n", "    of: 10\n    once: true\n");
    let mut program = program(&once);
    Arc::make_mut(&mut program).arm(&[seed()]);
    let mut world = World::of(program).with("mia", 0);
    let spring = DrawId::parse("spring").unwrap();
    let mut tickets = Vec::new();
    for n in 0..10 {
        let decision = world.buy("mia", order_for(&format!("o{n}"), 100));
        let effects = decided(&decision.answer).effects;
        let Effect::Drawn(drawn) = &effects[0] else { panic!("{effects:?}") };
        assert_eq!(drawn.number, Some(n));
        assert_eq!(drawn.ticket, Some(drum_ticket(&seed(), &spring, n, 10)));
        tickets.push(drawn.ticket.unwrap());
    }
    assert_eq!(tickets, [6, 0, 5, 7, 3, 1, 9, 8, 4, 2], "as another program, written after the formula, has it");
    let vouchers = world.accounts[&account("mia")].vouchers.len();
    assert_eq!((world.has("mia"), vouchers), ("available 50".into(), 2), "all prizes, none twice");
    assert_eq!(told(&world.buy("mia", order_for("late", 100))), ["no draw spring: DrawEmpty, asks 1, has 0"]);
    // A prize goes with its order, and does not go back into the drum.
    for n in 0..10 {
        world.give_back("mia", everything(&format!("o{n}"), "r"));
    }
    assert_eq!((world.has("mia"), world.accounts[&account("mia")].vouchers_open()), ("nothing".into(), 0));
    assert_eq!(told(&world.buy("mia", order_for("later", 100))), ["no draw spring: DrawEmpty, asks 1, has 0"]);
}

#[test]
fn d7_pool_a_preview_takes_nothing_out_of_the_drum() {
    let once = sections().replace("    of: 4\n", "    of: 4\n    once: true\n");
    let mut program = program(&once);
    Arc::make_mut(&mut program).arm(&[seed()]);
    let world = World::of(program).with("mia", 0);
    let decision = world.preview("mia", &Command::Commit(commit(order_for("o", 100))), world.now);
    let effects = decided(&decision.answer).effects;
    let [Effect::Drawn(drawn)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((drawn.ticket, drawn.number, decision.wants.len()), (None, None, 0));
}

#[test]
fn d7_chance_a_preview_draws_nothing() {
    let world = world(&[seed()]);
    let decision = world.preview("mia", &Command::Commit(commit(order_for("o", 100))), world.now);
    let effects = decided(&decision.answer).effects;
    let [Effect::Drawn(drawn)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((drawn.ticket, &drawn.prize), (None, &None));
}

#[test]
fn d7_chance_without_its_seed_or_after_its_end_nothing_is_drawn() {
    let wrong = Seed::parse("ff0102030405060708090a0b0c0d0e0f").unwrap();
    for seeds in [vec![], vec![wrong]] {
        let mut world = world(&seeds);
        assert_eq!(told(&world.buy("mia", order_for("o", 100))), ["no draw spring: DrawNotReady"]);
    }
    let mut world = world(&[seed()]).on("2026-06-01T00:00:00Z");
    assert_eq!(told(&world.buy("mia", order_for("o", 100))), ["no draw spring: DrawOver"]);
    // Not even for what happened before: the seed is no secret any more.
    let late = world.decide_as_of("mia", Command::Commit(commit(order_for("p", 100))), at("2026-05-31"));
    assert_eq!(told(&late), ["no draw spring: DrawOver"]);
}
