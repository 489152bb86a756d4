//! Leaderboards: a projection of the feed, by partition, exactly once.
//!
//! What a commit changes on a board goes on the feed of its partition in that commit. The relay folds it into the board's record
//! in the same partition, in a commit that takes it off the feed: items and record move together, and the record
//! knows up to which position it has them, so that whoever folds late, or twice, changes nothing. Reading merges the records
//! of all partitions; no commit of an account ever touches a key of another.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracing::error;

use super::projection::{self, Mark};
use super::write::{read, send};
use super::{Error, Inner};
use crate::domain::account::AccountState;
use crate::domain::answer::{BoardView, OwnPlace};
use crate::domain::boards::{BoardRecord, Place, Standing, changes, ranked};
use crate::domain::id::{AccountId, BoardId, MemberId, ProgramId};
use crate::domain::ledger::{digest, encode};
use crate::domain::program::{Board, Program, Timeline};
use crate::domain::time::{Day, Instant};
use crate::store::{Commit, Due, DueItem, Expected, FeedItem, Key, Outcome, Partition, Record, Token, Write};

/// What a commit tells boards.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Told {
    program: ProgramId,
    standings: Vec<Standing>,
}

/// What a decision tells boards, as it goes on the feed; `None`: nothing.
pub(super) fn of(
    program: &ProgramId,
    timeline: &Timeline,
    before: Option<&AccountState>,
    after: &AccountState,
) -> Option<Vec<u8>> {
    let standings = changes(timeline.at(after.posted_at)?, before, after);
    if standings.is_empty() {
        return None;
    }
    Some(Mark::BOARDS.item(&Told { program: program.clone(), standings }))
}

/// Folds items of one partition, in their order; answers how many left the feed.
pub(super) async fn fold(inner: &Inner, partition: Partition, items: &[FeedItem]) -> Result<u64, Error> {
    let mut touched: Vec<(Key, Arc<Program>, Board, Day)> = Vec::new();
    let mut told: Vec<(u64, usize, Standing)> = Vec::new();
    let mut commit = Commit { partition, ..Commit::default() };
    for item in items {
        let Ok(Told { program, standings }) = Mark::BOARDS.read(&item.body) else {
            error!(partition = partition.0, position = item.position, "what boards are told cannot be read");
            continue;
        };
        let timeline = match inner.timeline(&program) {
            Ok(timeline) => timeline,
            // Another instance serves that program.
            Err(Error::ProgramUnknown) => continue,
            Err(error) => return Err(error),
        };
        let Some(program_now) = timeline.at(inner.clock.now(None)) else { continue };
        commit.feed_done.push(item.position);
        for standing in standings {
            // A board that is gone is not kept.
            let Some(board) = program_now.board(&standing.board) else { continue };
            let key = inner.layout.board(partition, &program, &standing.board, standing.first);
            let place = match touched.iter().position(|(known, ..)| *known == key) {
                Some(place) => place,
                None => {
                    touched.push((key, program_now.clone(), board.clone(), standing.first));
                    touched.len() - 1
                }
            };
            told.push((item.position, place, standing));
        }
    }
    if commit.feed_done.is_empty() {
        return Ok(0);
    }
    let keys: Vec<Key> = touched.iter().map(|(key, ..)| key.clone()).collect();
    let stored = if keys.is_empty() { Vec::new() } else { inner.store.load(partition, &keys).await? };
    for (place, ((key, program, board, first), record)) in touched.into_iter().zip(stored).enumerate() {
        let found = read::<BoardRecord>(&key, record)?;
        let (expected, mut record) = match found {
            Some((token, record)) => (Expected::At(token), record),
            None => {
                // When it is over, the sweeper removes it.
                let at_ms = program.board_ends_at(&board, first).map(|at| at.0);
                commit.due.extend(at_ms.map(|at_ms| Due { subject: (&*key.name).into(), at_ms: Some(at_ms) }));
                (Expected::Absent, BoardRecord::default())
            }
        };
        let here = told.iter().filter(|(_, of, _)| *of == place);
        here.for_each(|(position, _, standing)| record.take(*position, standing, board.top));
        let body = encode(&record);
        let token = Token::new(record.through, &digest(&body));
        commit.expect.push((key.clone(), expected));
        commit.writes.push(Write { key, record: Some(Record { token, body }) });
    }
    projection::settle(inner, &commit).await
}

/// Removes a record whose period is kept no more; answers whether it is gone.
pub(super) async fn sweep(inner: &Inner, item: &DueItem, key: &Key) -> Result<bool, Error> {
    let commit = Commit {
        partition: item.partition,
        writes: vec![Write { key: key.clone(), record: None }],
        due: vec![Due { subject: item.subject.clone(), at_ms: None }],
        ..Commit::default()
    };
    Ok(send(inner, &commit, &mut 0).await? == Outcome::Applied)
}

/// The board as the feed has told it so far, and where a member stands.
pub(super) async fn view(
    inner: &Arc<Inner>,
    program: &ProgramId,
    board: &BoardId,
    at: Option<Instant>,
    member: Option<&MemberId>,
) -> Result<BoardView, Error> {
    let timeline = inner.timeline(program)?;
    let now = inner.clock.now(None);
    let terms = timeline.at(now).ok_or(Error::ProgramUnknown)?;
    let known = terms.board(board).ok_or(Error::NotFound { field: "leaderboard_id" })?;
    let period = terms.board_period(known, at.unwrap_or(now));
    if period.first < terms.board_kept_since(known, now) {
        return Err(Error::NotFound { field: "at" });
    }
    let places = collect(inner, program, board, period.first).await?;
    let places = ranked(places, known.top);
    let own = match member {
        None => None,
        Some(member) => {
            let (account, state, _) = super::read::stored(inner, program, &AccountId::from(member), None).await?;
            let state = state.ok_or(Error::NotFound { field: "member_id" })?;
            let found = places.iter().find(|ranked| ranked.place.account == account);
            Some(OwnPlace {
                score: state.score(terms, board, period.first),
                rank: found.map(|ranked| ranked.rank),
                hidden: !state.is_on_boards(),
            })
        }
    };
    Ok(BoardView {
        title: known.title.clone(),
        starts_at: period.next.map(|_| period.first.begins(&terms.zone)),
        ends_at: period.next.map(|next| next.begins(&terms.zone)),
        as_of: now,
        places,
        own,
    })
}

/// What all partitions have.
async fn collect(inner: &Arc<Inner>, program: &ProgramId, board: &BoardId, first: Day) -> Result<Vec<Place>, Error> {
    let (layout, program, board) = (inner.layout, program.clone(), board.clone());
    let key = move |partition| layout.board(partition, &program, &board, first);
    let records = projection::of_all_partitions::<BoardRecord, _>(inner, key).await?;
    Ok(records.into_iter().flat_map(|record| record.places).collect())
}
