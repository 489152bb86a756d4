//! Accounts that become part of each other and come back, gifts, erasure: what each side has after.

use guerdon::domain::account::{AccountKind, Role};
use guerdon::domain::answer::Answer;
use guerdon::domain::command::{
    Announce, Command, CreateAccount, Depart, OrderEvent, Outgoing, PayAmount, ProfileChange, Recipient, Relocate,
    Relocation, ReturnWhat, SendUnits, SetRole, Target, UpdateMember,
};
use guerdon::domain::decide::Decision;
use guerdon::domain::id::{MemberId, OrderEventId};
use guerdon::domain::ledger::{Book, Fact};
use guerdon::domain::referral::signal::Signals;
use proptest::prelude::*;

use super::kit::*;

fn member(name: &str) -> MemberId {
    MemberId::parse(name).unwrap()
}

const PAY: &str = "pay_with: {points: {units: 1, worth: GBP 0.01}}\n";

impl World {
    /// Asks the other account, then moves; what moves is under way.
    fn start_move(&mut self, from: &str, why: Relocation) -> Decision {
        let belongings = self.accounts.get(&account(from)).map(|state| state.belongings()).unwrap_or_default();
        let announce = Announce {
            from: account(from),
            why: why.clone(),
            member: member(from),
            lots: belongings.lots(),
            homes: belongings.homes.len(),
        };
        let asked = self.decide(why.target().as_str(), Command::Announce(announce));
        let Answer::Announced(answer) = asked.answer else { panic!("{:?}", asked.answer) };
        let target = match (answer.found, answer.refusals.into_iter().next()) {
            (Some((account, why)), _) => Target::Found { account, why },
            (None, Some(refusal)) => Target::Refused(refusal),
            (None, None) => panic!(),
        };
        self.decide(from, Command::Relocate(Relocate { why, target }))
    }

    pub(super) fn merge(&mut self, from: &str, into: &str) -> Vec<String> {
        let decision = self.start_move(from, Relocation::Merge { into: member(into) });
        self.relay();
        told(&decision)
    }

    pub(super) fn undo(&mut self, from: &str) -> Vec<String> {
        let decision = self.decide(from, Command::Depart(Depart::Undo));
        self.relay();
        told(&decision)
    }

    pub(crate) fn household(&mut self, name: &str) {
        let create = CreateAccount { account: account(name), kind: AccountKind::Household };
        assert!(told(&self.decide(name, Command::CreateAccount(create))).is_empty());
    }

    pub(crate) fn join(&mut self, who: &str, into: &str, role: Role, invited_by: &str) -> Vec<String> {
        let invited_by = (!invited_by.is_empty()).then(|| member(invited_by));
        let decision = self.start_move(who, Relocation::Join { account: account(into), role, invited_by });
        self.relay();
        told(&decision)
    }

    pub(crate) fn leave(&mut self, who: &str) -> Vec<String> {
        let decision = self.decide(who, Command::Depart(Depart::Leave));
        self.relay();
        told(&decision)
    }

    pub(crate) fn erase(&mut self, who: &str) -> Vec<String> {
        let decision = self.decide(who, Command::Erase);
        self.relay();
        told(&decision)
    }

    fn give(&mut self, from: &str, to: &str, amount: i64) -> Vec<String> {
        let target = match self.accounts.get(&self.home_of(&account(to))) {
            None => Recipient::Unknown,
            Some(state) if state.erased_at.is_some() => Recipient::Erased,
            Some(state) => Recipient::Found(state.account.clone()),
        };
        let send = SendUnits { to: member(to), unit: None, amount, target };
        told(&self.decide(from, Command::Send(send)))
    }

    /// All that anybody has of points, less what is owed.
    fn wealth(&self) -> i64 {
        let of = |state: &guerdon::domain::account::AccountState| {
            [Book::Available, Book::Pending, Book::Held, Book::Debt]
                .map(|book| state.amount(&points(), book))
                .iter()
                .sum::<i64>()
        };
        self.accounts.values().map(of).sum()
    }
}

#[test]
fn b9_a_merge_moves_everything_and_the_old_id_goes_on_working() {
    let mut w = World::new(&format!("{PAY}{BASE}")).with("ann", 100).with("ben", 0);
    w.adjust("ben", 40, Some("2026-08-01"));
    w.buy("ben", order_for("o", 3_000));
    assert_eq!(w.has("ben"), "available 70");
    assert_eq!(w.merge("ben", "ann"), ["70 units move to ann"]);
    assert_eq!(
        (w.has("ann"), w.has("ben")),
        ("available 170".into(), "available 170".into()),
        "one account, two names"
    );
    assert_eq!(w.accounts[&account("ann")].orders, 1);
    let own = &w.accounts[&account("ben")];
    assert!(own.units.iter().all(|book| book.lots.is_empty()));
    // The order that was placed before comes back under either name.
    assert_eq!(told(&w.give_back("ben", everything("o", "r"))), ["o:base loses 30"]);
    assert_eq!(w.has("ann"), "available 140");
    // What had its own date keeps it.
    w.go("2026-08-02");
    assert_eq!(w.has("ann"), "available 100");
    assert_eq!(w.merge("ben", "ann"), ["no member: NotMovable"]);
    assert_eq!(w.merge("ann", "ann"), ["no account: SameAccount"]);
}

#[test]
fn b9_what_cannot_be_merged_is_told_with_the_remedy() {
    let mut w = World::new(&format!("{PAY}{BASE}")).with("ann", 100).with("ben", 100);
    assert_eq!(w.merge("cat", "ann"), ["no member: MemberUnknown"]);
    assert_eq!(w.merge("ann", "cat"), ["no account: MemberUnknown"]);
    w.reserve("ann", order_for("o", 100), pay_exactly(10));
    assert_eq!(w.merge("ann", "ben"), ["no reservation: ReservationsOpen, asks 0, has 1"]);
    w.release("ann", "o");
    w.household("home");
    assert_eq!(w.merge("home", "ann"), ["no account: NotMovable"]);
    assert_eq!(w.undo("ann"), ["no account: NotMerged"]);
    assert_eq!(w.merge("ann", "ben"), ["100 units move to ben"]);
}

#[test]
fn b9_debt_pending_units_and_counts_go_along() {
    let sections = "units: {points: {activates_after: 10 days, expires_after: 30 days}}\n\
        counters: {visits: {counts: orders}}\n";
    let mut w = World::new(&format!("{sections}{BASE}")).with("ann", 0).with("ben", 20);
    w.buy("ann", order_for("o", 5_000));
    assert_eq!(w.has("ann"), "pending 50");
    assert_eq!(w.merge("ann", "ben"), ["0 units move to ben, pending 50"]);
    assert_eq!(w.has("ben"), "available 20, pending 50");
    w.go("2026-05-20");
    assert_eq!(w.has("ben"), "available 70");
    // What a return takes that is no longer there is owed by whoever it is now.
    w.adjust("ben", -70, None);
    w.give_back("ann", everything("o", "r"));
    assert_eq!(w.has("ben"), "debt 50");
    w.enrol("cat", &[]);
    w.adjust("cat", 80, None);
    assert_eq!(w.merge("ben", "cat"), ["0 units move to cat, debt 50"]);
    assert_eq!(w.has("ann"), "available 30", "through two merges");
}

#[test]
fn b9_an_undo_gives_back_what_is_left_and_tells_what_is_short() {
    let mut w = World::new(&format!("{PAY}{BASE}")).with("ann", 100).with("ben", 60);
    w.merge("ben", "ann");
    w.adjust("ben", -120, None);
    assert_eq!(w.undo("ben"), ["40 units move to ben, short 20"]);
    assert_eq!((w.has("ann"), w.has("ben")), ("nothing".into(), "available 40".into()));
    assert_eq!(w.undo("ben"), ["no account: NotMerged"]);
    let before = w.ledgers[&account("ben")].len();
    w.adjust("ben", 5, None);
    assert_eq!(w.has("ben"), "available 45", "the own ledger goes on");
    assert!(before < w.ledgers[&account("ben")].len());
    // And again, within the time and after it.
    w.merge("ben", "ann");
    w.go("2026-06-03T12:00:00Z");
    assert_eq!(w.undo("ben"), ["no account: UndoOver"]);
    let mut w = World::new("accounts: {merge_undo_within: 2 days}\n").with("ann", 1).with("ben", 1);
    w.merge("ben", "ann");
    w.go("2026-05-06T11:59:59Z");
    assert_eq!(w.clone().undo("ben"), ["1 units move to ben"]);
    w.go("2026-05-06T12:00:00Z");
    assert_eq!(w.undo("ben"), ["no account: UndoOver"]);
}

#[test]
fn b9_referrals_and_codes_survive_two_merges() {
    let sections =
        "referrals: [{id: bring, title: T, spend_at_least: GBP 20.00, advocate: {units: 200}, friend: {units: 50}}]\n";
    let mut w = World::new(&format!("{sections}{BASE}")).with("ada", 0).with("bob", 0).with("cat", 0);
    w.code("ADA0", "ada", "bring");
    w.merge("ada", "bob");
    w.merge("bob", "cat");
    w.enrol("fay", &["ADA0"]);
    w.buy("fay", order_for("o", 2_000));
    w.relay();
    assert_eq!(w.has("cat"), "available 200", "the code of a merged member earns for who they are now");
    assert_eq!(w.accounts[&account("cat")].friends_qualified, 1);
    assert_eq!(told(&w.decide("cat", named("ADA0"))), ["no code ADA0: SelfReferral"]);
    w.enrol("gus", &[]);
    w.merge("fay", "gus");
    w.give_back("fay", everything("o", "r"));
    w.relay();
    assert_eq!(w.has("cat"), "nothing", "a return by the merged friend claws the reward back");
}

#[test]
fn b9_an_effect_that_comes_twice_moves_nothing_twice() {
    let mut w = World::new(BASE).with("ann", 100).with("ben", 60);
    w.start_move("ben", Relocation::Merge { into: member("ann") });
    let effects = w.outbox.clone();
    w.relay();
    effects.iter().cloned().for_each(|effect| w.deliver(effect));
    assert_eq!(w.has("ann"), "available 160");
    w.decide("ben", Command::Depart(Depart::Undo));
    let back = w.outbox.clone();
    w.relay();
    for effect in effects.iter().chain(&back).cloned() {
        w.deliver(effect);
    }
    assert_eq!((w.has("ann"), w.has("ben")), ("available 100".into(), "available 60".into()));
}

#[test]
fn b8_a_transfer_follows_the_terms() {
    let terms =
        "transfers: {points: {units_min: 10, units_max: 50, per_day_max: 2, fee: {share: {of: 5%, rounding: ceil}}}}\n";
    let mut w = World::new(terms).with("ann", 100).with("ben", 0);
    assert_eq!(w.give("ann", "ben", 9), ["no transfer: BelowMinimum, asks 10, has 9"]);
    assert_eq!(w.give("ann", "ben", 51), ["no transfer: AboveMaximum, asks 51, has 50"]);
    assert_eq!(w.give("ann", "cat", 10), ["no transfer: MemberUnknown"]);
    assert_eq!(w.give("ann", "ann", 10), ["no transfer: SameAccount"]);
    assert_eq!(w.give("ben", "ann", 10), ["no transfer: BalanceTooLow, asks 11, has 0"]);
    assert_eq!(w.give("ann", "ben", 30), ["30 units go to ben, fee 2"]);
    assert_eq!(w.give("ann", "ben", 50), ["50 units go to ben, fee 3"]);
    assert_eq!(w.give("ann", "ben", 10), ["no transfer: DailyLimit, asks 3, has 2"]);
    w.relay();
    assert_eq!((w.has("ann"), w.has("ben")), ("available 15".into(), "available 80".into()));
    w.go("2026-05-05");
    assert_eq!(w.give("ann", "ben", 10), ["10 units go to ben, fee 1"]);
    let none = World::new("").with("ann", 100).with("ben", 0).give("ann", "ben", 10);
    assert_eq!(none, ["no transfer: TransferNotAllowed"]);
}

#[test]
fn b8_a_gift_keeps_or_resets_its_expiry_and_repays_a_debt_first() {
    for (expiry, before, after) in [("kept", "available 40", "nothing"), ("reset", "available 40", "available 40")] {
        let sections =
            format!("units: {{points: {{expires_after: 30 days}}}}\ntransfers: {{points: {{expiry: {expiry}}}}}\n");
        let mut w = World::new(&sections).with("ann", 40).with("ben", 0);
        w.go("2026-05-20");
        w.give("ann", "ben", 40);
        w.relay();
        assert_eq!(w.has("ben"), before, "{expiry}");
        w.go("2026-06-04");
        assert_eq!(w.has("ben"), after, "{expiry}");
    }
    let mut w = World::new(&format!("transfers: {{points: {{}}}}\n{BASE}")).with("ann", 40).with("ben", 0);
    w.buy("ben", order_for("o", 3_000));
    w.adjust("ben", -30, None);
    w.give_back("ben", everything("o", "r"));
    assert_eq!(w.has("ben"), "debt 30");
    w.give("ann", "ben", 40);
    w.relay();
    assert_eq!(w.has("ben"), "available 10");
}

#[test]
fn b8_a_gift_that_finds_nobody_comes_back_with_its_fee() {
    let mut w = World::new("transfers: {points: {fee: {units: 3}}}\n").with("ann", 100).with("ben", 5);
    assert_eq!(w.give("ann", "ben", 50), ["50 units go to ben, fee 3"]);
    let on_the_way = std::mem::take(&mut w.outbox);
    w.erase("ben");
    w.outbox.extend(on_the_way.clone());
    w.relay();
    w.outbox.extend(on_the_way);
    w.relay();
    assert_eq!((w.has("ann"), w.has("ben")), ("available 100".into(), "nothing".into()));
    assert_eq!(w.give("ann", "ben", 50), ["no transfer: MemberErased"]);
}

#[test]
fn b8_a_household_pools_and_its_roles_bind() {
    let sections = format!(
        "accounts:\n  members_max: 3\n  roles:\n    member: {{redeem_per_day_max: {{points: 50}}}}\n    earner: {{invite: false}}\n\
         transfers: {{points: {{}}}}\n{PAY}{BASE}"
    );
    let mut w = World::new(&sections).with("ann", 100).with("ben", 20).with("kid", 5).with("dan", 0);
    w.household("home");
    assert_eq!(w.join("ann", "home", Role::Member, ""), ["100 units move to home"]);
    assert_eq!(w.accounts[&account("home")].people[0].role, Role::Owner, "the first is the owner");
    assert_eq!(w.join("ben", "home", Role::Member, ""), ["no account: NotInAccount"]);
    assert_eq!(w.join("ben", "home", Role::Member, "dan"), ["no account: NotInAccount"]);
    assert_eq!(w.join("ben", "home", Role::Member, "ann"), ["20 units move to home"]);
    assert_eq!(w.join("kid", "home", Role::Owner, "ben"), ["no account: RoleMayNot"]);
    assert_eq!(w.join("kid", "home", Role::Earner, "ann"), ["5 units move to home"]);
    assert_eq!(w.join("dan", "home", Role::Member, "ann"), ["no account: AccountFull, asks 4, has 3"]);
    for who in ["ann", "ben", "kid", "home"] {
        assert_eq!(w.has(who), "available 125");
    }
    // All earn, and redeem as their roles allow.
    assert_eq!(told(&w.buy("kid", order_for("k1", 1_000))), ["base grants 10"]);
    let refused = w.reserve("kid", order_for("k2", 1_000), pay_exactly(10));
    assert_eq!(told(&refused), ["no member: RoleMayNot"]);
    assert!(!reserved(&refused).reserved);
    let some = as_possible(pay(PayAmount::AtMost(10)));
    let order = guerdon::domain::command::Commit { redeem: Some(some), ..commit(order_for("k3", 1_000)) };
    assert_eq!(told(&w.commit("kid", order)), ["base grants 10", "no member: RoleMayNot"], "the order stands");
    let pays = |id: &str, units: i64| guerdon::domain::command::Commit {
        redeem: Some(pay_exactly(units)),
        ..commit(order_for(id, 1_000))
    };
    assert_eq!(told(&w.commit("ben", pays("b1", 30)))[0], "30 units pay 30");
    assert_eq!(told(&w.commit("ben", pays("b2", 30))), ["no payment points: DailyLimit, asks 30, has 20"]);
    assert_eq!(told(&w.commit("ann", pays("a1", 90)))[0], "90 units pay 90");
    assert_eq!(w.give("ben", "dan", 1), ["no transfer: RoleMayNot"]);
    w.go("2026-05-05");
    assert_eq!(told(&w.commit("ben", pays("b3", 20)))[0], "20 units pay 20");
    let set = |person: &str, role| Command::SetRole(SetRole { person: member(person), role });
    assert_eq!(told(&w.decide("ben", set("kid", Role::Member))), ["no account: RoleMayNot"]);
    assert_eq!(told(&w.decide("ann", set("ann", Role::Member))), ["no account: RoleMayNot"], "an owner stays");
    assert!(told(&w.decide("ann", set("kid", Role::Member))).is_empty());
    assert_eq!(told(&w.commit("kid", pays("k4", 1)))[0], "1 units pay 1");
}

#[test]
fn b8_who_leaves_begins_anew_and_the_pool_stays() {
    let mut w = World::new(&format!("attributes: {{plan: text}}\n{BASE}")).with("ann", 100).with("ben", 20);
    let change = ProfileChange { add_tags: vec![label("vip")], ..ProfileChange::default() };
    w.decide("ben", Command::UpdateMember(UpdateMember { change, signals: Signals::None }));
    w.household("home");
    w.join("ann", "home", Role::Owner, "");
    w.join("ben", "home", Role::Member, "ann");
    let home = &w.accounts[&account("home")];
    assert_eq!(home.person(&member("ben")).unwrap().profile.tags, [label("vip")], "what is known goes along");
    assert!(w.accounts[&account("ben")].people[0].profile.is_blank(), "and is in one place");
    assert_eq!(w.leave("ann"), ["no account: RoleMayNot"], "not the last owner before the others");
    assert_eq!(w.leave("ben"), Vec::<String>::new());
    assert_eq!((w.has("home"), w.has("ben")), ("available 120".into(), "nothing".into()));
    assert_eq!(w.accounts[&account("ben")].people[0].profile.tags, [label("vip")]);
    assert_eq!(w.leave("ben"), ["no account: NotInAccount"]);
    w.buy("ben", order_for("o", 1_000));
    assert_eq!((w.has("home"), w.has("ben")), ("available 120".into(), "available 10".into()));
    assert_eq!(w.join("ben", "home", Role::Member, "ann"), ["10 units move to home"], "and may come again");
    w.leave("ben");
    assert_eq!(w.leave("ann"), Vec::<String>::new(), "the last may go");
}

#[test]
fn b11_erasure_forgets_forfeits_and_still_takes_returns() {
    let sections = format!("attributes: {{plan: text}}\n{PAY}{BASE}");
    let mut w = World::new(&sections).with("ann", 100);
    let change = ProfileChange { add_tags: vec![label("vip")], ..ProfileChange::default() };
    w.decide("ann", Command::UpdateMember(UpdateMember { change, signals: Signals::None }));
    let pays = guerdon::domain::command::Commit { redeem: Some(pay_exactly(30)), ..commit(order_for("o", 1_000)) };
    w.commit("ann", pays);
    w.reserve("ann", order_for("held", 1_000), pay_exactly(10));
    assert_eq!(w.erase("ann"), ["80 units are forfeited"]);
    assert_eq!(w.has("ann"), "nothing");
    let state = &w.accounts[&account("ann")];
    assert!(state.people[0].profile.is_blank() && state.erased_at.is_some());
    assert_eq!(state.amount(&points(), Book::Forfeited), 80);
    for refused in [
        told(&w.buy("ann", order_for("o2", 1_000))),
        told(&w.adjust("ann", 5, None)),
        told(&w.enrol("ann", &[])),
        w.erase("ann"),
        w.clone().with("ben", 0).merge("ann", "ben"),
    ] {
        assert_eq!(refused, ["no member: MemberErased"]);
    }
    assert_eq!(w.clone().with("ben", 0).merge("ben", "ann"), ["no member: MemberErased"]);
    // Money comes back, units do not.
    let back = w.give_back("ann", returned("o", "r", ReturnWhat::Everything));
    assert_eq!((refund(&back).money_minor, refund(&back).units.len()), (970, 0));
    assert_eq!(w.has("ann"), "nothing");
    // 100 by hand, all of it lost: what came back and what was taken for it included.
    assert_eq!(w.accounts[&account("ann")].amount(&points(), Book::Forfeited), 100);
}

/// The account had called off what waited; the order did not know of it, and the Return found fewer units than it took.
#[test]
fn b11_an_order_that_waits_for_an_event_comes_back_after_its_member_was_erased() {
    let happens = |id: &str| {
        let (order_id, event_id) = (order_id("o"), OrderEventId::parse(id).unwrap());
        Command::OrderEvent(OrderEvent { order_id, event_id, event: label("delivered"), lines: Vec::new() })
    };
    for lines in [ReturnWhat::Everything, ReturnWhat::Lines(vec![quantity("l", 1)])] {
        let mut w = World::new(&format!("units: {{points: {{activates_on_event: delivered}}}}{BASE}")).with("ann", 0);
        w.buy("ann", order("o", vec![items(2, line("l", 1_000))]));
        assert_eq!(w.accounts[&account("ann")].amount(&points(), Book::Pending), 10);
        w.erase("ann");
        assert_eq!(w.has("ann"), "nothing");
        let back = w.give_back("ann", returned("o", "r", lines));
        assert!(0 < refund(&back).money_minor, "{back:?}");
        // What comes too late gives nothing.
        w.decide("ann", happens("e"));
        assert_eq!(w.has("ann"), "nothing");
        w.give_back("ann", returned("o", "r2", ReturnWhat::Everything));
        assert_eq!(w.has("ann"), "nothing");
    }
}

#[test]
fn b11_what_still_comes_for_the_erased_is_forfeited_and_friends_keep_theirs() {
    let sections = "referrals: [{id: bring, title: T, advocate: {units: 200}, friend: {units: 50}}]\n";
    let mut w = World::new(&format!("{sections}{BASE}")).with("ada", 0).with("ben", 0);
    let claim = wish(None, Some("ADA000"));
    w.decide("ada", Command::CreateCode(claim));
    w.relay();
    w.enrol("fay", &["ADA000"]);
    w.buy("fay", order_for("o", 1_000));
    w.erase("ada");
    assert_eq!(w.has("fay"), "available 60");
    let ada = &w.accounts[&account("ada")];
    assert_eq!((w.has("ada").as_str(), ada.amount(&points(), Book::Forfeited)), ("nothing", 200));
    assert!(ada.codes.is_empty());
    assert_eq!(told(&w.enrol("gus", &["ADA000"])), ["no code ADA000: CodeNotActive"]);
    w.give_back("fay", everything("o", "r"));
    w.relay();
    assert_eq!(w.accounts[&account("ada")].amount(&points(), Book::Forfeited), 0, "taken back from nobody");
}

#[test]
fn b11_the_ledger_of_the_erased_holds_no_trace_of_them() {
    let mut w = World::new("attributes: {plan: text}\n").with("ann", 100);
    let plan = guerdon::domain::account::AttributeValue::Text("secret-plan".into());
    let change = ProfileChange { set_attributes: vec![(label("plan"), plan)], ..ProfileChange::default() };
    w.decide("ann", Command::UpdateMember(UpdateMember { change, signals: Signals::None }));
    w.with("ben", 0).clone().merge("ann", "ben");
    let mut w = World::new("attributes: {plan: text}\n").with("ann", 1).with("ben", 1);
    let plan = guerdon::domain::account::AttributeValue::Text("secret-plan".into());
    let change = ProfileChange { set_attributes: vec![(label("plan"), plan)], ..ProfileChange::default() };
    w.decide("ann", Command::UpdateMember(UpdateMember { change, signals: Signals::None }));
    w.merge("ann", "ben");
    assert!(format!("{:?}", w.accounts).contains("secret-plan"), "the merged profile is ben's");
    w.erase("ben");
    assert!(!format!("{:?} {:?}", w.accounts, w.ledgers).contains("secret-plan"));
}

/// Any number of accounts that are to become part of each other at once, in a circle or not: no circle closes.
#[test]
fn b9_no_circle_of_accounts_closes() {
    // Each attempt: read, ask, move. All orders of the three steps of two attempts against each other.
    for order in 0..20u32 {
        let mut w = World::new("").with("ann", 10).with("ben", 20);
        let pairs = [("ann", "ben"), ("ben", "ann")];
        let mut read = [None, None];
        let mut asked = [None, None];
        // Which attempt takes the next step: the 20 ways to lay three steps of each into six.
        let lanes: Vec<usize> = (0..64u32)
            .filter(|bits| bits.count_ones() == 3)
            .nth(order as usize)
            .map(|bits| (0..6).map(|at| (bits >> at & 1) as usize).collect())
            .unwrap();
        for lane in lanes {
            let (from, into) = pairs[lane];
            let state = w.accounts[&account(from)].clone();
            if read[lane].is_none() {
                read[lane] = Some(state.sequence);
            } else if asked[lane].is_none() {
                let why = Relocation::Merge { into: member(into) };
                let announce = Announce { from: account(from), why, member: member(from), lots: 1, homes: 0 };
                let answer = w.decide(into, Command::Announce(announce)).answer;
                let Answer::Announced(answer) = answer else { panic!() };
                asked[lane] = Some(answer.found);
            } else if let (Some(sequence), Some(Some((account, why)))) = (read[lane], asked[lane].clone()) {
                // It has stood still since it was read.
                if sequence == state.sequence {
                    let target = Target::Found { account, why };
                    let why = Relocation::Merge { into: member(into) };
                    w.decide(from, Command::Relocate(Relocate { why, target }));
                }
            }
        }
        w.relay();
        assert_eq!(w.home_of(&account("ann")), w.home_of(&account("ann")));
        assert_eq!(w.wealth(), 30, "order {order}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Merge(usize, usize),
    Undo(usize),
    Give(usize, usize, i64),
    Buy(usize, i64),
    Return(usize, usize),
    Adjust(usize, i64),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..4usize;
    prop_oneof![
        (who.clone(), 0..4usize).prop_map(|(a, b)| Step::Merge(a, b)),
        who.clone().prop_map(Step::Undo),
        (who.clone(), 0..4usize, 1..60i64).prop_map(|(a, b, n)| Step::Give(a, b, n)),
        (who.clone(), 100..9_000i64).prop_map(|(a, n)| Step::Buy(a, n)),
        (who.clone(), 0..12usize).prop_map(|(a, n)| Step::Return(a, n)),
        (who, -40..40i64).prop_map(|(a, n)| Step::Adjust(a, n)),
        (1..20i64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever is merged, undone, given and returned: units are neither made nor lost, ledgers fold to what is
    /// stored (the world checks that at each step), and everybody is found somewhere.
    #[test]
    fn b9_b8_units_are_conserved(steps in prop::collection::vec(step(), 1..30)) {
        let names = ["ann", "ben", "cat", "dan"];
        let sections = "units: {points: {activates_after: 5 days, expires_after: 40 days}}\n\
            transfers: {points: {per_day_max: 100, fee: {units: 1}}}\n";
        let mut w = World::new(&format!("{sections}{BASE}"));
        for name in names {
            w.enrol(name, &[]);
            w.adjust(name, 50, None);
        }
        let mut orders: Vec<String> = Vec::new();
        for step in steps {
            match step {
                Step::Merge(from, into) => {
                    // Only an account of its own can move.
                    if w.accounts[&account(names[from])].away.is_none() {
                        w.merge(names[from], names[into]);
                    }
                }
                Step::Undo(who) => { w.undo(names[who]); }
                Step::Give(from, to, n) => { w.give(names[from], names[to], n); w.relay(); }
                Step::Buy(who, n) => {
                    let id = format!("o{}", orders.len());
                    w.buy(names[who], order_for(&id, n));
                    orders.push(id);
                }
                Step::Return(who, n) => {
                    if let Some(id) = orders.get(n) {
                        w.give_back(names[who], everything(id, "r"));
                    }
                }
                Step::Adjust(_, 0) => {}
                Step::Adjust(who, n) => { w.adjust(names[who], n, None); }
                Step::Wait(days) => w.now = w.now.plus_ms(days * 24 * 3_600_000),
            }
            // Between accounts nothing is on the way: the books sum to zero over all of them.
            let mut in_transit = 0;
            for state in w.accounts.values() {
                in_transit += state.amount(&points(), Book::InTransit);
            }
            prop_assert_eq!(in_transit, 0);
            for name in names {
                prop_assert!(w.accounts[&w.home_of(&account(name))].away.is_none());
            }
        }
        let moved = w.ledgers.values().flatten().filter(|entry| matches!(entry.fact, Fact::Departed { .. })).count();
        let came = w.ledgers.values().flatten().filter(|entry| matches!(entry.fact, Fact::Arrived { .. })).count();
        prop_assert_eq!(moved, came);
        prop_assert!(w.outbox.iter().all(|effect| !matches!(effect, Outgoing::Parcel(_))));
    }
}

#[test]
fn b8_a_daily_limit_of_a_role_was_passed_by_reservations() {
    let roles = "accounts: {roles: {member: {redeem_per_day_max: {points: 50}}}}\n";
    let mut w = World::new(&format!("{roles}{PAY}{BASE}")).with("ann", 500).with("ben", 20);
    w.household("home");
    w.join("ann", "home", Role::Member, "");
    w.join("ben", "home", Role::Member, "ann");
    assert!(reserved(&w.reserve("ben", order_for("o1", 1_000), pay_exactly(30))).reserved);
    let second = w.reserve("ben", order_for("o2", 1_000), pay_exactly(30));
    assert_eq!(told(&second), ["no payment points: DailyLimit, asks 30, has 20"]);
    // Of others nothing is counted, nor what the same reservation held before.
    assert!(reserved(&w.reserve("ann", order_for("o3", 1_000), pay_exactly(90))).reserved);
    assert!(reserved(&w.reserve("ben", order_for("o1", 1_000), pay_exactly(50))).reserved);
    w.release("ben", "o1");
    assert!(reserved(&w.reserve("ben", order_for("o2", 1_000), pay_exactly(50))).reserved);
}
