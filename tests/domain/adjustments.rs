//! Credits and debits by hand, and their bounds.

use guerdon::domain::command::{Adjust, AdjustReason, Command};

use super::kit::*;

const BOUNDED: &str = "
units: {points: {}, crumbs: {}}
time_zone: Europe/Berlin
adjustments:
  units:
    points:
      reasons: [goodwill, service_recovery, correction]
      units_max: 100
      agent_day_units_max: 250
      member_units_max: 150
      member_per: week
";

fn by(agent: &str, amount: i64, reason: AdjustReason) -> Command {
    Command::Adjust(Adjust { agent: label(agent), reason, ..adjust(amount, None) })
}

#[test]
fn b7_adjustments_keep_within_what_the_program_allows() {
    use AdjustReason::*;
    let mut world = World::new(BOUNDED).with("mia", 0).with("leo", 0);
    world.go("2026-05-04T09:00"); // a Monday
    for (n, (when, agent, member, amount, reason, expected)) in [
        ("2026-05-04T09:00", "tess", "mia", 101, Goodwill, "no adjustment: AboveUnitsMax, asks 101, has 100"),
        ("2026-05-04T09:00", "tess", "mia", 10, Migration, "no adjustment: ReasonNotAllowed"),
        ("2026-05-04T09:00", "tess", "mia", 100, Goodwill, "adjusted by 100"),
        ("2026-05-04T09:00", "tess", "mia", 51, Goodwill, "no adjustment: CreditLimit, asks 51, has 50"),
        ("2026-05-04T09:00", "tess", "mia", 50, ServiceRecovery, "adjusted by 50"),
        ("2026-05-04T09:00", "zoe", "mia", 1, Goodwill, "no adjustment: CreditLimit, asks 1, has 0"),
        // A debit gives nothing back, and is bounded in size alone.
        ("2026-05-04T09:00", "tess", "mia", -100, Correction, "adjusted by -100"),
        ("2026-05-04T09:00", "tess", "mia", -101, Correction, "no adjustment: AboveUnitsMax, asks 101, has 100"),
        ("2026-05-04T09:00", "tess", "mia", 1, Goodwill, "no adjustment: CreditLimit, asks 1, has 0"),
        // The agent's day is over all members.
        ("2026-05-04T09:00", "tess", "leo", 100, Goodwill, "adjusted by 100"),
        ("2026-05-04T21:59", "tess", "leo", 1, Goodwill, "no adjustment: AgentLimit, asks 1, has 0"),
        ("2026-05-04T21:59", "zoe", "leo", 1, Goodwill, "adjusted by 1"),
        // Midnight in Berlin.
        ("2026-05-04T22:00", "tess", "leo", 1, Goodwill, "adjusted by 1"),
        // Monday in Berlin.
        ("2026-05-10T21:59", "zoe", "mia", 1, Goodwill, "no adjustment: CreditLimit, asks 1, has 0"),
        ("2026-05-10T22:00", "zoe", "mia", 1, Goodwill, "adjusted by 1"),
    ]
    .into_iter()
    .enumerate()
    {
        world.go(when);
        assert_eq!(told(&world.decide(member, by(agent, amount, reason))), [expected], "row {n}");
    }
}

#[test]
fn b7_an_agent_gains_no_day_by_stating_another() {
    let mut world = World::new(BOUNDED).with("mia", 0).with("leo", 0).with("ann", 0);
    let (monday, sunday) = (at("2026-05-04T09:00"), at("2026-05-03T09:00"));
    world.go("2026-05-04T09:00");
    for (member, amount, when, expected) in [
        ("mia", 100, monday, "adjusted by 100"),
        ("leo", 100, sunday, "adjusted by 100"),
        ("ann", 51, sunday, "no adjustment: AgentLimit, asks 51, has 50"),
    ] {
        let decision = world.decide_as_of(member, by("tess", amount, AdjustReason::Goodwill), when);
        assert_eq!(told(&decision), [expected]);
    }
}

#[test]
fn b7_what_is_refused_takes_nothing_of_the_agents_day() {
    let mut world = World::new(BOUNDED).with("mia", 0);
    let expired = Command::Adjust(Adjust { agent: label("tess"), ..adjust(100, Some("2026-05-04")) });
    assert_eq!(told(&world.decide("mia", expired)), ["no adjustment: OutOfBounds"]);
    assert!(world.quotas.is_empty());
    // A unit without bounds.
    let crumbs = guerdon::domain::id::UnitId::parse("crumbs").unwrap();
    let free = Command::Adjust(Adjust { unit: Some(crumbs), reason: AdjustReason::Migration, ..adjust(10_000, None) });
    assert_eq!(told(&world.decide("mia", free)), ["adjusted by 10000"]);
    assert!(world.quotas.is_empty());
}

#[test]
fn b7_an_order_that_went_wrong_is_made_up_for_once_and_in_time() {
    use AdjustReason::*;
    let terms = |orders: &str| format!("{BASE}adjustments: {{recovery_within: 14 days, recovery_orders: {orders}}}\n");
    let for_order = |order: &str, amount: i64, reason: AdjustReason| {
        Command::Adjust(Adjust { order: Some(order_id(order)), reason, ..adjust(amount, None) })
    };
    let mut world = World::new(&terms("known")).with("mia", 100);
    world.buy("mia", order_for("bought", 1_000));
    world.buy("mia", order_for("cancelled", 1_000));
    world.give_back("mia", everything("cancelled", "r"));
    world.buy("mia", order_for("late", 1_000));
    for (n, (when, order, reason, expected)) in [
        ("2026-05-05", "bought", Correction, "no adjustment: ReasonNotAllowed"),
        ("2026-05-05", "bought", ServiceRecovery, "adjusted by 20"),
        ("2026-05-05", "bought", ServiceRecovery, "no order: AlreadyRecovered"),
        ("2026-05-05", "bought", Goodwill, "no order: AlreadyRecovered"),
        ("2026-05-05", "cancelled", Goodwill, "adjusted by 20"),
        ("2026-05-05", "unknown", Goodwill, "no order: OrderUnknown"),
        ("2026-05-18T12:00", "late", Goodwill, "no order: RecoveryTooLate"),
    ]
    .into_iter()
    .enumerate()
    {
        world.go(when);
        assert_eq!(told(&world.decide("mia", for_order(order, 20, reason))), [expected], "row {n}");
    }
    let mut in_time = World::new(&terms("known")).with("leo", 0);
    in_time.buy("leo", order_for("o", 1_000));
    in_time.go("2026-05-18T11:59");
    assert_eq!(told(&in_time.decide("leo", for_order("o", 20, Goodwill))), ["adjusted by 20"]);
    let mut any = World::new(&terms("any")).with("ann", 0);
    assert_eq!(told(&any.decide("ann", for_order("failed", 20, Goodwill))), ["adjusted by 20"]);
    assert_eq!(told(&any.decide("ann", for_order("failed", 20, Goodwill))), ["no order: AlreadyRecovered"]);
}
