//! What partners earn, and how it is paid out.

use guerdon::domain::account::{AccountKind, PayoutState};
use guerdon::domain::answer::Answer;
use guerdon::domain::command::{
    Brought, Command, Commit, ConfirmPayout, CreateAccount, Outgoing, PreparePayout, Transfer,
};
use guerdon::domain::decide::{Snapshot, decide};
use guerdon::domain::id::{GrantId, PayoutId, RuleId, UnitId};
use guerdon::domain::ledger::Book;
use guerdon::domain::payouts::{Accrual, accruals};
use guerdon::domain::program::Kind;
use guerdon::domain::time::{Instant, Times};

use super::kit::*;

/// 5.00 for each friend whom a partner brings, and 10 % of their orders; paid out from 10.00 on.
fn world(more: &str) -> World {
    let program = format!(
        "units: {{points: {{}}, pence: {{paid_out: {{currency: GBP, at_least: 1000}}}}}}
referrals: [{{id: ref, title: T, partners: true, advocate: {{units: 500, unit: pence}}, friend: {{units: 10}},
  commission: {{percent: 10%, unit: pence}}{more}}}]
rules: [{{id: base, kind: transactional, on: order, then: {{earn: {{units: 1, per: GBP 1000.00}}}}}}]
"
    );
    let mut world = World::new(&program);
    let create = CreateAccount { account: account("acme"), kind: AccountKind::Partner };
    world.decide("acme", Command::CreateAccount(create));
    world.decide("acme", Command::CreateCode(wish(None, Some("ACME0"))));
    world.relay();
    world
}

fn pence() -> UnitId {
    UnitId::parse("pence").unwrap()
}

fn bought(world: &mut World, member: &str, order: &str, minor: i64) -> Vec<Accrual> {
    world.enrol(member, &["ACME0"]);
    let before = world.ledgers[&account(member)].len();
    world.commit(member, Commit { ..commit(order_for(order, minor)) });
    accruals(&world.ledgers[&account(member)][before..])
}

/// A sum of what accrued, as it reaches the partner.
fn arrives(world: &mut World, batch: i64, net: i64) {
    let transfer = Transfer {
        target: account("acme"),
        grant: GrantId::of(&["accrued", "7", "pence", &batch.to_string()]),
        rule: RuleId::parse("payouts").unwrap(),
        kind: Kind::Advocacy,
        unit: pence(),
        revision: 1,
        net,
        activates_at: world.now,
        expires_at: Instant::MAX,
        effective_at: world.now,
        brought: None,
    };
    world.decide("acme", Command::Receive(transfer));
}

fn prepare(id: &str) -> Command {
    Command::PreparePayout(PreparePayout { payout: PayoutId::parse(id).unwrap(), unit: None })
}

fn settle(id: &str, paid: bool) -> Command {
    let reference = Some(label("bank-1"));
    Command::ConfirmPayout(ConfirmPayout { payout: PayoutId::parse(id).unwrap(), paid, reference })
}

fn books(world: &World) -> [i64; 4] {
    let of = |book| world.accounts[&account("acme")].amount(&pence(), book);
    [of(Book::Available), of(Book::Debt), of(Book::InPayout), of(Book::PaidOut)]
}

#[test]
fn r19_what_a_friend_brings_a_partner_accrues_beside_the_friend_until_a_day_begins() {
    // The hold; when it is due.
    for (hold, due) in [
        ("", "2026-05-05T00:00:00Z"),
        (", hold: 14 days", "2026-05-19T00:00:00Z"),
        (", hold: 1 hour", "2026-05-05T00:00:00Z"),
    ] {
        let mut w = world(hold);
        let accrued = bought(&mut w, "ben", "o", 10_099);
        let expected = |change| Accrual { partner: account("acme"), unit: pence(), change, due_at: at(due) };
        assert_eq!(accrued, [expected(500), expected(1_009)], "{hold}");
        assert!(w.outbox.is_empty(), "nothing goes to the partner for one friend");
        let before = w.ledgers[&account("ben")].len();
        w.give_back("ben", everything("o", "r"));
        assert_eq!(accruals(&w.ledgers[&account("ben")][before..]), [expected(-1_009), expected(-500)], "{hold}");
        assert!(!w.outbox.iter().any(|effect| matches!(effect, Outgoing::Transfer(_))));
    }
}

#[test]
fn r19_only_partners_have_codes_of_partners() {
    let mut w = world("").with("ada", 0);
    let decision = w.decide("ada", Command::CreateCode(wish(None, None)));
    assert_eq!(told(&decision), ["no account: NotAPartner"]);
}

#[test]
fn r19_a_payout_is_prepared_and_settled_in_this_order_of_precedence() {
    // What arrives, then commands; what the last of them is told, and the books: due, owed, in payouts, paid.
    for (sums, commands, expected, stand) in [
        (vec![], vec![prepare("p1")], vec!["no payout(\"p1\"): PayoutTooSmall, asks 1000, has 0"], [0, 0, 0, 0]),
        (vec![999], vec![prepare("p1")], vec!["no payout(\"p1\"): PayoutTooSmall, asks 1000, has 999"], [999, 0, 0, 0]),
        (vec![-50], vec![prepare("p1")], vec!["no payout(\"p1\"): PayoutTooSmall, asks 1000, has -50"], [0, -50, 0, 0]),
        (vec![1_000], vec![prepare("p1")], vec![], [0, 0, 1_000, 0]),
        // Carried over from before.
        (vec![-300, 1_500], vec![prepare("p1")], vec![], [0, 0, 1_200, 0]),
        (vec![1_000], vec![prepare("p1"), prepare("p1")], vec![], [0, 0, 1_000, 0]),
        (vec![1_000], vec![prepare("p1"), prepare("p2")], vec!["no payout(\"p1\"): PayoutOpen"], [0, 0, 1_000, 0]),
        (vec![1_000], vec![settle("p1", true)], vec!["no payout(\"p1\"): PayoutUnknown"], [1_000, 0, 0, 0]),
        (vec![1_000], vec![prepare("p1"), settle("p1", true)], vec![], [0, 0, 0, 1_000]),
        (vec![1_000], vec![prepare("p1"), settle("p1", true), settle("p1", true)], vec![], [0, 0, 0, 1_000]),
        (
            vec![1_000],
            vec![prepare("p1"), settle("p1", true), settle("p1", false)],
            vec!["no payout(\"p1\"): PayoutSettled"],
            [0, 0, 0, 1_000],
        ),
        (vec![1_000], vec![prepare("p1"), settle("p1", false)], vec![], [1_000, 0, 0, 0]),
        (vec![1_000], vec![prepare("p1"), settle("p1", false), prepare("p2")], vec![], [0, 0, 1_000, 0]),
    ] {
        let mut w = world("");
        for (batch, net) in (1..).zip(&sums) {
            arrives(&mut w, batch, *net);
        }
        let decisions: Vec<_> = commands.iter().map(|command| w.decide("acme", command.clone())).collect();
        assert_eq!(told(decisions.last().unwrap()), expected, "{commands:?}");
        assert_eq!(books(&w), stand, "{commands:?}");
    }
}

#[test]
fn r19_what_comes_back_after_a_payout_makes_the_next_one_smaller() {
    let mut w = world("");
    arrives(&mut w, 1, 2_000);
    w.decide("acme", prepare("p1"));
    // It comes back while the payout is on its way.
    arrives(&mut w, 2, -700);
    assert_eq!(books(&w), [0, -700, 2_000, 0]);
    w.decide("acme", settle("p1", true));
    arrives(&mut w, 3, 1_800);
    assert_eq!(books(&w), [1_100, 0, 0, 2_000]);
    w.decide("acme", prepare("p2"));
    // This one fails; what is owed by then is repaid first.
    arrives(&mut w, 4, -400);
    w.decide("acme", settle("p2", false));
    assert_eq!(books(&w), [700, 0, 0, 2_000]);
    let payouts = &w.accounts[&account("acme")].payouts;
    let shown: Vec<_> = payouts.iter().map(|p| (p.payout.as_str(), p.number, p.amount, p.state)).collect();
    assert_eq!(shown, [("p1", 1, 2_000, PayoutState::Paid), ("p2", 2, 1_100, PayoutState::Failed)]);
}

#[test]
fn r19_an_account_lists_its_latest_payouts_and_stays_small() {
    let mut w = world("");
    for n in 1..=300 {
        arrives(&mut w, n, 1_000);
        let id = format!("payout-{n}");
        let decision = w.decide("acme", prepare(&id));
        assert!(matches!(&decision.answer, Answer::PreparePayout(answer) if answer.changed), "{id}");
        w.decide("acme", settle(&id, true));
    }
    let state = &w.accounts[&account("acme")];
    assert_eq!(state.payouts.len(), 120);
    assert_eq!((state.payouts[0].number, state.payouts[119].number), (181, 300));
    let bytes = stored_account(state).len();
    assert!(bytes < 16 * 1024, "{bytes} bytes");
}

/// An advocate with thousands of friends over the years had a record without end.
#[test]
fn r9_an_advocate_with_thousands_of_friends_has_a_small_record() {
    let mut w = World::new(
        "referrals: [{id: ref, title: T, advocate: {units: 10}, friend: {units: 1}, milestones: [{from: 10, times: 2}],
  caps: [{counts: friends, most: 100000, per: month}]}]
rules: [{id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1000.00}}}]
",
    )
    .with("ada", 0);
    w.decide("ada", Command::CreateCode(wish(None, Some("ADA0"))));
    w.relay();
    w.enrol("ben", &["ADA0"]);
    w.commit("ben", commit(order_for("o", 1_000)));
    let found = w.outbox.iter().find_map(|effect| match effect {
        Outgoing::Transfer(transfer) => Some(transfer.clone()),
        _ => None,
    });
    let one = found.unwrap();
    let mut state = w.accounts[&account("ada")].clone();
    let mut biggest = 0;
    for n in 0..4_000 {
        // A few friends a day, for years.
        let now = w.now.plus_ms(n * 8 * 3_600_000);
        let brought = one.brought.clone().map(|brought| Brought { earned_at: now, ..brought });
        let grant = GrantId::of(&["friend", &n.to_string()]);
        let transfer = Transfer { grant, effective_at: now, activates_at: now, brought, ..one.clone() };
        let command = Command::Receive(transfer);
        let snapshot = Snapshot { account: Some(state.into()), ..w.snapshot(Some(&account("ada")), &command) };
        let times = Times { now, effective_at: now, stated: true };
        state = decide(&w.timeline, &snapshot, &command, times, None, false).unwrap().account.unwrap().as_ref().clone();
        biggest = biggest.max(stored_account(&state).len());
    }
    assert_eq!(state.friends_qualified, 4_000);
    assert!(biggest < 32 * 1024, "{biggest} bytes");
}
