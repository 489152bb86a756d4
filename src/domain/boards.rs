//! Who stands where on a leaderboard, without knowing who they are: accounts, and what a counter says of them.
//!
//! A score states the whole ("this account has 70 in May"), taken from the counter itself, so that a return lowers it, a
//! merge moves it, and an account that is erased, merged away or not to be shown has none. Of equal scores the one that was
//! reached first stands first, and both have the same rank.

use serde::{Deserialize, Serialize};

use super::account::AccountState;
use super::counters::Bucket;
use super::id::{AccountId, BoardId};
use super::program::Program;
use super::time::{Day, Instant};

/// What has become of an account's score.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Standing {
    pub board: BoardId,
    /// Names the period.
    pub first: Day,
    pub account: AccountId,
    /// `None`: it is not on the board.
    pub score: Option<i64>,
    /// Since when.
    pub at: Instant,
}

/// A place on a board.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Place {
    pub account: AccountId,
    /// Above zero.
    pub score: i64,
    pub at: Instant,
}

/// The accounts of one partition on one board in one period.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct BoardRecord {
    /// What the feed held up to here is in `places`.
    pub through: u64,
    /// In their order; at most [`BoardRecord::kept`].
    pub places: Vec<Place>,
}

/// A place with its rank.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ranked {
    /// From 1; places of equal score have the same.
    pub rank: i64,
    pub place: Place,
}

impl BoardRecord {
    /// As many again as are shown: when some fall, others are there.
    pub fn kept(top: usize) -> usize {
        top.saturating_mul(2)
    }

    /// Puts in what an item of the feed says, unless it is in already.
    pub fn take(&mut self, position: u64, standing: &Standing, top: usize) {
        if position < self.through {
            return;
        }
        self.places.retain(|known| known.account != standing.account);
        if let Some(score) = standing.score.filter(|score| 0 < *score) {
            let place = Place { account: standing.account.clone(), score, at: standing.at };
            let at = self.places.partition_point(|known| order(known) < order(&place));
            self.places.insert(at, place);
            self.places.truncate(BoardRecord::kept(top));
        }
        self.through = position;
    }
}

/// Higher first, then earlier, then by name.
fn order(place: &Place) -> (std::cmp::Reverse<i64>, Instant, &AccountId) {
    (std::cmp::Reverse(place.score), place.at, &place.account)
}

/// The first `top` of all.
pub fn ranked(mut places: Vec<Place>, top: usize) -> Vec<Ranked> {
    places.sort_by(|a, b| order(a).cmp(&order(b)));
    places.truncate(top);
    let mut ranked: Vec<Ranked> = Vec::with_capacity(places.len());
    for (number, place) in (1i64..).zip(places) {
        let rank = match ranked.last() {
            Some(before) if before.place.score == place.score => before.rank,
            _ => number,
        };
        ranked.push(Ranked { rank, place });
    }
    ranked
}

impl AccountState {
    /// Whether it may be shown on leaderboards: nobody of its people has asked not to be.
    pub fn is_on_boards(&self) -> bool {
        let hidden = self.people.iter().any(|person| person.profile.leaderboard_opt_out);
        self.erased_at.is_none() && self.away.is_none() && !hidden && !self.account.is_guest()
    }

    /// What a board's counter says in a period.
    pub fn score(&self, program: &Program, board: &BoardId, first: Day) -> i64 {
        let Some(board) = program.board(board) else { return 0 };
        scores(self, board).find(|bucket| bucket.day == first).map_or(0, |bucket| bucket.count)
    }
}

fn scores<'s>(state: &'s AccountState, board: &super::program::Board) -> impl Iterator<Item = Bucket> + use<'s> {
    let known = state.counters.iter().find(|known| known.counter == board.counter);
    known.into_iter().flat_map(|known| known.buckets.iter().copied())
}

/// How a decision changes what boards show of an account.
pub fn changes(program: &Program, before: Option<&AccountState>, after: &AccountState) -> Vec<Standing> {
    let mut changes = Vec::new();
    for board in &program.boards {
        let shown = |state: &AccountState| -> Vec<Bucket> {
            let found = scores(state, board).filter(|bucket| 0 < bucket.count);
            if state.is_on_boards() { found.collect() } else { Vec::new() }
        };
        let (had, has) = (before.map(shown).unwrap_or_default(), shown(after));
        let since = program.board_kept_since(board, after.posted_at);
        let of = |buckets: &[Bucket], day: Day| buckets.iter().find(|b| b.day == day).map(|b| b.count);
        let mut days: Vec<Day> = had.iter().chain(&has).map(|bucket| bucket.day).collect();
        days.sort_unstable();
        days.dedup();
        for first in days.into_iter().filter(|day| since <= *day) {
            let score = of(&has, first);
            if score != of(&had, first) {
                let (board, account) = (board.id.clone(), after.account.clone());
                changes.push(Standing { board, first, account, score, at: after.posted_at });
            }
        }
    }
    changes
}
