//! Leaderboards: what decisions tell them, how they are kept, and who stands where.

use guerdon::domain::account::AccountState;
use guerdon::domain::boards::{BoardRecord, Place, Standing, changes, ranked};
use guerdon::domain::command::{Command, ProfileChange, ReturnWhat, UpdateMember};
use guerdon::domain::id::BoardId;
use guerdon::domain::referral::signal::Signals;
use guerdon::domain::time::{Day, Instant};
use guerdon::program::compile;
use proptest::prelude::*;

use super::events::event;
use super::kit::*;

const BOARDS: &str = "
time_zone: Europe/Berlin
events: {run: {}}
counters:
  spent: {counts: spend, window: month}
  runs: {counts: events, events: [run], window: lifetime}
leaderboards:
  - {id: spenders, title: Of the month, counter: spent, top: 3, periods_kept: 2}
  - {id: runners, title: Ever, counter: runs}
";

fn board(id: &str) -> BoardId {
    BoardId::parse(id).unwrap()
}

fn day(text: &str) -> Day {
    Day::of(text.parse().unwrap())
}

impl World {
    /// What boards are told of a member by what is done: board, period, score.
    fn tells(&mut self, member: &str, act: impl FnOnce(&mut World)) -> Vec<(String, String, Option<i64>)> {
        let before = self.accounts.get(&account(member)).cloned();
        act(self);
        let after = &self.accounts[&account(member)];
        let told = changes(self.timeline.at(self.now).unwrap(), before.as_ref(), after);
        assert!(told.iter().all(|standing| standing.account == account(member) && standing.at == after.posted_at));
        told.into_iter().map(|s| (s.board.to_string(), s.first.date().to_string(), s.score)).collect()
    }
}

fn one(board: &str, first: &str, score: Option<i64>) -> Vec<(String, String, Option<i64>)> {
    vec![(board.to_owned(), first.to_owned(), score)]
}

#[test]
fn d6_a_board_is_told_the_whole_of_what_changed_and_nothing_else() {
    let mut world = World::new(BOARDS);
    assert_eq!(world.tells("mia", |w| drop(w.enrol("mia", &[]))), []);
    let may = |score| one("spenders", "2026-05-01", score);
    assert_eq!(world.tells("mia", |w| drop(w.buy("mia", order_for("o1", 700)))), may(Some(700)));
    assert_eq!(world.tells("mia", |w| drop(w.buy("mia", order_for("o2", 300)))), may(Some(1_000)));
    assert_eq!(world.tells("mia", |w| drop(w.adjust("mia", 5, None))), []);
    let part = ReturnWhat::Lines(vec![amount("a", 100)]);
    assert_eq!(world.tells("mia", |w| drop(w.give_back("mia", returned("o1", "r1", part)))), may(Some(900)));
    assert_eq!(world.tells("mia", |w| drop(w.give_back("mia", everything("o1", "r2")))), may(Some(300)));
    assert_eq!(world.tells("mia", |w| drop(w.give_back("mia", everything("o2", "r3")))), may(None));
    // Events, for ever; and a month by the program's calendar.
    let runs = |score| one("runners", "1970-01-01", score);
    assert_eq!(world.tells("mia", |w| drop(w.did("mia", event("e1", "run")))), runs(Some(1)));
    assert_eq!(world.tells("mia", |w| drop(w.revoke("mia", "e1"))), runs(None));
    world.go("2026-05-31T22:30:00Z");
    let june = one("spenders", "2026-06-01", Some(50));
    assert_eq!(world.tells("mia", |w| drop(w.buy("mia", order_for("o3", 50)))), june);
    // What is told late counts where it happened, as long as that is kept.
    let late =
        |w: &mut World| drop(w.decide_as_of("mia", Command::Commit(commit(order_for("o4", 60))), at("2026-05-10")));
    assert_eq!(world.tells("mia", late), may(Some(60)));
}

#[test]
fn d6_who_asks_not_to_be_shown_is_erased_or_merged_vanishes_from_all_periods() {
    let change = |hide: bool| {
        let change = ProfileChange { leaderboard_opt_out: Some(hide), ..ProfileChange::default() };
        Command::UpdateMember(UpdateMember { change, signals: Signals::None })
    };
    let mut world = World::new(BOARDS).with("mia", 0).with("leo", 0);
    world.buy("mia", order_for("o1", 700));
    world.did("mia", event("e1", "run"));
    world.go("2026-06-05");
    world.buy("mia", order_for("o2", 20));
    let all = |world: &mut World, act: fn(&mut World)| {
        let mut told = world.tells("mia", act);
        told.sort();
        told.into_iter().map(|(board, first, score)| (format!("{board} {first}"), score)).collect::<Vec<_>>()
    };
    let rows = ["runners 1970-01-01", "spenders 2026-05-01", "spenders 2026-06-01"];
    let gone: Vec<(String, Option<i64>)> = rows.iter().map(|row| ((*row).to_owned(), None)).collect();
    let back: Vec<(String, Option<i64>)> =
        rows.iter().zip([1, 700, 20]).map(|(row, score)| ((*row).to_owned(), Some(score))).collect();
    world.decide("mia", change(false));
    let hide = world.clone().tells("mia", |w| drop(w.decide("mia", change(true))));
    assert_eq!(hide.iter().filter(|(.., score)| score.is_none()).count(), 3);
    world.decide("mia", change(true));
    assert_eq!(world.tells("mia", |w| drop(w.buy("mia", order_for("o3", 5)))), [], "nothing is told of them");
    world.give_back("mia", everything("o3", "r"));
    let mut shown = world.tells("mia", |w| drop(w.decide("mia", change(false))));
    shown.sort();
    assert_eq!(shown.into_iter().map(|(b, f, s)| (format!("{b} {f}"), s)).collect::<Vec<_>>(), back);
    let mut merged = world.clone();
    let leo_before = merged.accounts[&account("leo")].clone();
    assert_eq!(all(&mut merged, |w| drop(w.merge("mia", "leo"))), gone);
    let leo = &merged.accounts[&account("leo")];
    let taken = changes(merged.timeline.at(merged.now).unwrap(), Some(&leo_before), leo);
    assert_eq!(taken.iter().filter_map(|standing| standing.score).collect::<Vec<_>>(), [700, 20, 1]);
    assert_eq!(all(&mut merged, |w| drop(w.undo("mia"))), back);
    assert_eq!(all(&mut world, |w| drop(w.erase("mia"))), gone);
    // Later than that it is kept no more.
    let mut later = World::new(BOARDS).with("mia", 0);
    later.buy("mia", order_for("o1", 700));
    later.go("2026-08-01");
    assert_eq!(later.tells("mia", |w| drop(w.give_back("mia", everything("o1", "r")))), []);
}

fn standing(account_name: &str, score: i64, at: i64) -> Standing {
    let score = (0 < score).then_some(score);
    Standing { board: board("b"), first: Day(0), account: account(account_name), score, at: Instant(at) }
}

fn row(place: &Place) -> (&str, i64) {
    (place.account.as_str(), place.score)
}

#[test]
fn d6_equal_scores_have_the_same_rank_and_who_was_first_stands_first() {
    let places = [("leo", 30, 2), ("mia", 50, 9), ("ann", 50, 3), ("eve", 10, 1), ("bob", 30, 2), ("zoe", 5, 1)];
    let places = places.map(|(name, score, at)| Place { account: account(name), score, at: Instant(at) });
    let found = ranked(places.to_vec(), 5);
    let found: Vec<(i64, &str)> = found.iter().map(|r| (r.rank, r.place.account.as_str())).collect();
    assert_eq!(found, [(1, "ann"), (1, "mia"), (3, "bob"), (3, "leo"), (5, "eve")]);
}

#[test]
fn d6_what_was_folded_before_changes_nothing() {
    let mut record = BoardRecord::default();
    let items = [
        (1, standing("mia", 10, 1)),
        (2, standing("leo", 20, 2)),
        (3, standing("mia", 0, 3)),
        (4, standing("mia", 7, 4)),
    ];
    for (position, item) in &items {
        record.take(*position, item, 10);
    }
    assert_eq!(record.places.iter().map(row).collect::<Vec<_>>(), [("leo", 20), ("mia", 7)]);
    let after = record.clone();
    for (position, item) in &items {
        record.take(*position, item, 10);
    }
    assert_eq!(record, after);
    // Bounded, with some to spare for when others fall.
    for n in 0..50 {
        record.take(10 + n, &standing(&format!("m{n}"), 100 + n as i64, 9), 10);
    }
    assert_eq!(record.places.len(), BoardRecord::kept(10));
    assert_eq!(row(&record.places[0]), ("m49", 149));
}

#[test]
fn d6_what_cannot_be_ranked_is_a_fault() {
    let head = "guerdon: 1\nprogram: p\ntitle: P\ntime_zone: UTC\ncurrencies: [GBP]\n";
    for (counter, board, expected) in [
        ("{counts: visits, window: month}", "", "cannot rank by visits"),
        ("{counts: orders, window: 30 days}", "", "no periods that are the same for everybody"),
        ("{counts: orders, window: membership_year}", "", "no periods that are the same for everybody"),
        ("{counts: orders, streak: week}", "", "no periods that are the same for everybody"),
        ("{counts: orders}", ", top: 201", "201"),
        ("{counts: orders}", ", periods_kept: 61", "61"),
    ] {
        let text =
            format!("{head}counters: {{c: {counter}}}\nleaderboards: [{{id: b, title: B, counter: c{board}}}]\n");
        let faults = compile(&text).map(|_| ()).unwrap_err().to_string();
        assert!(faults.contains(expected), "{text}: {faults}");
    }
    let faults = compile(&format!("{head}leaderboards: [{{id: b, title: B, counter: c}}]\n"));
    assert!(faults.map(|_| ()).unwrap_err().to_string().contains("`c`"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// However the feed is cut, and however often its parts are folded again, the board is what the accounts say.
    #[test]
    fn d6_a_board_folded_in_any_pieces_is_what_the_counters_say(
        steps in prop::collection::vec((0..4usize, 1..900i64, any::<bool>(), 0..6usize), 1..30),
    ) {
        let mut world = World::new(BOARDS);
        let names = ["ann", "bob", "eve", "zoe"];
        names.iter().for_each(|name| drop(world.enrol(name, &[])));
        let (mut record, mut feed): (BoardRecord, Vec<(u64, Standing)>) = (BoardRecord::default(), Vec::new());
        let first = day("2026-05-01");
        for (n, (who, minor, comes_back, again)) in steps.iter().enumerate() {
            let before: Option<AccountState> = world.accounts.get(&account(names[*who])).cloned();
            world.buy(names[*who], order_for(&format!("o{n}"), *minor));
            if *comes_back {
                world.give_back(names[*who], everything(&format!("o{n}"), "r"));
            }
            let after = &world.accounts[&account(names[*who])];
            let told = changes(world.timeline.at(world.now).unwrap(), before.as_ref(), after);
            feed.extend(told.into_iter().map(|standing| (n as u64 + 1, standing)));
            let from = feed.len().saturating_sub(*again + 1);
            for (position, standing) in &feed[from..] {
                record.take(*position, standing, 3);
            }
        }
        let program = world.timeline.at(world.now).unwrap();
        let mut scores: Vec<i64> = names
            .iter()
            .map(|name| world.accounts[&account(name)].score(program, &board("spenders"), first))
            .filter(|score| 0 < *score)
            .collect();
        scores.sort_unstable_by(|a, b| b.cmp(a));
        prop_assert_eq!(record.places.iter().map(|place| place.score).collect::<Vec<_>>(), scores);
    }
}
