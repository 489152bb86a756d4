//! Quotes that are honoured: what they pin, what is otherwise by then, and which are not.

use guerdon::domain::answer::CommitStatus;
use guerdon::domain::command::{Command, Commit, Redeem, Reserve};
use guerdon::domain::decide::Decision;
use guerdon::domain::id::{MemberId, ProgramId};
use guerdon::domain::order::Order;
use guerdon::domain::quote::{Pin, Quote, Relied, cart, promises, wish};
use guerdon::domain::time::{Instant, MINUTE_MS};

use super::kit::*;

const SHOP: &str = "
quotes: {honoured_for: 30 minutes}
pay_with: {points: {units: 100, worth: GBP 1.00, step: 1}}
rules: [{id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}]
";
const DEARER: &str = "
quotes: {honoured_for: 30 minutes}
pay_with: {points: {units: 100, worth: GBP 0.50, step: 2}}
rules: [{id: base, kind: transactional, on: order, then: {earn: {units: 3, per: GBP 1.00}}}]
";

fn in_minutes(world: &World, minutes: i64) -> Instant {
    world.now.plus_ms(minutes * MINUTE_MS)
}

/// What the service would sign.
fn quote(world: &World, member: &str, commit: &Commit) -> Quote {
    let told = world.preview(member, &Command::Commit(commit.clone()), world.now);
    let decided = &committed(&told).decided;
    Quote {
        program: ProgramId::parse("p").unwrap(),
        member: (!member.is_empty()).then(|| MemberId::parse(member).unwrap()),
        honoured_until: in_minutes(world, 30),
        pin: Pin {
            version: decided.version.clone(),
            at: decided.effective_at,
            cart: cart(&commit.order),
            wish: wish(commit.redeem.as_ref()),
            promises: promises(decided),
        },
    }
}

fn signed(quote: &Quote) -> Option<Relied> {
    Some(Relied::Signed(Box::new(quote.clone())))
}

fn pays(order: Order, redeem: Redeem) -> Commit {
    Commit { redeem: Some(redeem), ..commit(order) }
}

fn reserve_on(world: &mut World, order: Order, redeem: Redeem, quote: &Quote) -> Decision {
    world.decide("mia", Command::Reserve(Reserve { quote: signed(quote), ..reserve(order, redeem) }))
}

/// A minute later another version is active.
fn changed(world: &mut World) {
    world.now = in_minutes(world, 1);
    world.timeline.versions.push((world.now, program(DEARER)));
    world.now = in_minutes(world, 1);
}

#[test]
fn c6_a_quote_pins_version_and_instant_of_a_commit() {
    let mut world = World::new(SHOP).with("mia", 500);
    let asked = pays(order_for("cart", 5_000), pay_exactly(300));
    let quote = quote(&world, "mia", &asked);
    let at = world.now;
    changed(&mut world);
    let plain = world.preview("mia", &Command::Commit(asked.clone()), world.now);
    assert_eq!(told(&plain), ["300 units pay 150", "base grants 150"]);
    // The cart has an id of its own by now.
    let asked = Commit { order: order_for("o", 5_000), quote: signed(&quote), ..asked };
    let done = world.commit("mia", asked);
    assert_eq!(told(&done), ["300 units pay 300", "base grants 50"]);
    assert_eq!(changes(&done), Vec::<String>::new());
    assert_eq!(world.order("o").committed_at, at);
    assert_eq!(world.order("o").decided.version, quote.pin.version);
    // What comes back of it comes back as it was granted.
    let back = world.give_back("mia", everything("o", "r"));
    assert_eq!(refund(&back).money_minor, 4_700);
    assert_eq!(world.has("mia"), "available 500");
}

#[test]
fn c6_a_reservation_on_a_quote_pins_its_commit() {
    let mut world = World::new(SHOP).with("mia", 500);
    let asked = pays(order_for("o", 5_000), pay_exactly(300));
    let quote = quote(&world, "mia", &asked);
    changed(&mut world);
    let held = reserve_on(&mut world, order_for("o", 5_000), pay_exactly(300), &quote);
    assert!(reserved(&held).reserved);
    assert_eq!(told(&held), ["300 units pay 300"]);
    // Longer than the quote is honoured, as long as it is held.
    world.now = in_minutes(&world, 14);
    let other = world.preview("mia", &Command::Commit(commit(order_for("o", 4_000))), world.now);
    assert_eq!(told(&other), ["300 units pay 300", "base grants 120"], "another cart earns as of now");
    let done = world.commit("mia", commit(order_for("o", 5_000)));
    assert_eq!(told(&done), ["300 units pay 300", "base grants 50"]);
    assert_eq!(world.has("mia"), "available 250");
}

#[test]
fn c6_what_is_otherwise_than_quoted_is_listed_with_why() {
    let limited = "
quotes: {honoured_for: 30 minutes}
pay_with: {points: {units: 100, worth: GBP 1.00, step: 1}}
rules:
  - {id: base, kind: transactional, on: order, limits: [{units: 60, per: day}], then: {earn: {units: 1, per: GBP 1.00}}}
  - {id: first, kind: behavioural, on: order, when: {order_number: {is: [1]}}, then: {bonus: {units: 7}}}
";
    let mut world = World::new(limited).with("mia", 500);
    let asked = pays(order_for("o", 5_000), as_possible(pay_exactly(300)));
    let quote = quote(&world, "mia", &asked);
    world.now = in_minutes(&world, 5);
    world.commit("mia", pays(order_for("other", 5_000), pay_exactly(500)));
    let done = world.commit("mia", Commit { quote: signed(&quote), ..asked });
    assert_eq!(changes(&done), ["payment points: 300 -> 57, BalanceTooLow", "units points: 57 -> 10, LimitReached"]);
    // Nothing limits it, and nothing is used: it is the account that has changed.
    let mut world = World::new(&limited.replace("units: 60, per: day", "units: 600, per: day")).with("mia", 500);
    let asked = commit(order_for("o", 5_000));
    let quote = self::quote(&world, "mia", &asked);
    world.buy("mia", order_for("other", 5_000));
    let done = world.commit("mia", Commit { quote: signed(&quote), ..asked });
    assert_eq!(changes(&done), ["units points: 57 -> 50, AccountChanged"]);
}

#[test]
fn c6_a_quote_that_is_not_honoured_is_refused_and_says_why() {
    let world = World::new(SHOP).with("mia", 500).with("leo", 500);
    let asked = pays(order_for("o", 5_000), pay_exactly(300));
    let good = quote(&world, "mia", &asked);
    let late = Quote { honoured_until: world.now, ..good.clone() };
    let foreign = Quote { program: ProgramId::parse("q").unwrap(), ..good.clone() };
    let gone = Quote { pin: Pin { version: program(DEARER).version.clone(), ..good.pin.clone() }, ..good.clone() };
    let guests = Quote { member: None, ..good.clone() };
    for (quote, order, why) in [
        (Some(Relied::Invalid), order_for("o", 5_000), "QuoteInvalid"),
        (Some(Relied::Token("c0ffee".into())), order_for("o", 5_000), "QuoteInvalid"),
        (signed(&quote(&world, "leo", &asked)), order_for("o", 5_000), "QuoteForeign"),
        (signed(&guests), order_for("o", 5_000), "QuoteForeign"),
        (signed(&foreign), order_for("o", 5_000), "QuoteForeign"),
        (signed(&late), order_for("o", 5_000), "QuoteExpired"),
        (signed(&gone), order_for("o", 5_000), "QuoteExpired"),
        (signed(&good), order_for("o", 5_001), "QuoteOfOtherCart"),
        (
            signed(&good),
            Order { recipient: Some(MemberId::parse("leo").unwrap()), ..order_for("o", 5_000) },
            "QuoteOfOtherCart",
        ),
    ] {
        let mut world = world.clone();
        let asked = Commit { quote: quote.clone(), order: order.clone(), ..asked.clone() };
        let refused = world.commit("mia", asked.clone());
        assert_eq!(committed(&refused).status, CommitStatus::Refused);
        assert_eq!(told(&refused), [format!("no quote: {why}")]);
        assert!(refused.entries.is_empty());
        let held = world.decide("mia", Command::Reserve(Reserve { quote, ..reserve(order, pay_exactly(300)) }));
        assert_eq!(told(&held), [format!("no quote: {why}")]);
        assert!(!reserved(&held).reserved && held.entries.is_empty());
        // Once it is paid it stands, as of now.
        let paid = world.commit("mia", Commit { paid: true, ..asked });
        assert_eq!(committed(&paid).status, CommitStatus::Committed);
        assert_eq!(
            told(&paid),
            ["300 units pay 300".to_owned(), "base grants 50".to_owned(), format!("no quote: {why}")]
        );
    }
}

#[test]
fn c6_a_paid_order_on_a_lapsed_quote_says_what_became_of_it() {
    let mut world = World::new(SHOP).with("mia", 500);
    let asked = pays(order_for("o", 5_000), pay_exactly(300));
    let quote = quote(&world, "mia", &asked);
    changed(&mut world);
    world.now = in_minutes(&world, 30);
    let done = world.commit("mia", Commit { paid: true, quote: signed(&quote), ..asked });
    assert_eq!(told(&done), ["300 units pay 150", "base grants 150", "no quote: QuoteExpired"]);
    assert_eq!(changes(&done), ["units points: 50 -> 150, QuoteExpired"]);
}

#[test]
fn c6_a_guest_is_kept_at_what_a_guest_was_told() {
    let mut world = World::new(SHOP);
    let asked = commit(order_for("o", 5_000));
    let quote = quote(&world, "", &asked);
    changed(&mut world);
    let guest = MemberId::guest(&order_id("o"));
    let done = world.commit(guest.as_str(), Commit { quote: signed(&quote), ..asked });
    assert_eq!(told(&done), ["base would grant 50"]);
    assert_eq!(world.order("o").committed_at, quote.pin.at);
}
