//! What the model test found, each by the name of what was wrong.

use guerdon::domain::answer::CommitStatus;

use super::kit::*;

#[test]
fn f1_a_commit_done_before_was_not_told_why_it_got_less() {
    let mut world = World::new(
        "
rules:
  - {id: base, kind: transactional, on: order, limits: [{units: 30}], then: {earn: {units: 1, per: GBP 1.00}}}
",
    )
    .with("mia", 0);
    let first = world.commit("mia", commit(order_for("o", 5_000)));
    let again = world.commit("mia", commit(order_for("o", 5_000)));
    assert_eq!(committed(&again).status, CommitStatus::AlreadyCommitted);
    assert_eq!(told(&first), ["base grants 30", "no more of base by rule:base: LimitReached, asks 50, has 30"]);
    assert_eq!(told(&again), told(&first), "what was decided then");
}
