//! Opens partitions in a new life of their server: what the survivor lacks is applied again first.
//!
//! Instances need not know of each other's commits. Each applies its own when their numbers come up, and tells what it
//! still has; when all that are alive have nothing left, the partition is open. A number that nobody has is skipped:
//! its commit was never acknowledged, or is lost with an instance.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use ::redis::{Cmd, FromRedisValue, Pipeline, Value};
use tracing::{debug, error, info, warn};

use super::safe::Samples;
use super::{Journaled, behind, life};
use crate::store::journal::{Again, Fate, Found, Number};
use crate::store::redis::link::{Failed, Link, Live, Sent, decoded};
use crate::store::redis::wire;
use crate::store::{Commit, Error, Key, Outcome, Partition};

const AGAIN: &str = include_str!("again.lua");
const OPEN: &str = include_str!("open.lua");
const SKIP: &str = include_str!("skip.lua");

/// Between two looks at which life each server lives, where nobody asks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Between two looks while others have their turn.
const TURN: Duration = Duration::from_millis(3);
/// Where several servers are looked after, one on which nothing moves for so long is left for another, and looked at again
/// after that. Else two instances would wait for each other for ever, each beside another server.
const GIVES_WAY: Duration = Duration::from_millis(250);
/// An instance says so often that it lives.
const ALIVE_EVERY: Duration = Duration::from_millis(500);
/// Whoever comes while others are there opens nothing before so long: by then they have heard of it, and wait for it.
const JOIN: Duration = Duration::from_millis(1_200);
/// Partitions asked about in one trip.
const STEP: usize = 256;
/// How often a lost commit is decided on again because others write to its records.
const TRIES_MAX: u32 = 16;
/// Files of the journal are looked at so often.
const TIDY_EVERY: Duration = Duration::from_secs(5);
/// After what Redis has lost, files are kept for so many times as long as otherwise.
const AFTER_LOSS: u32 = 2;

/// What lasts from one look to the next.
struct State {
    /// Instances that were heard of, and when last.
    peers: HashMap<String, Instant>,
    /// Whether the journal belongs to what Redis holds.
    bound: bool,
    alive_at: Option<Instant>,
    /// When others were asked for last, and in which life of the server that knows of them.
    asked: Option<(Instant, Box<str>)>,
    /// Until when nothing is opened; `None`: this instance has told nobody of itself.
    joins_at: Option<Instant>,
    tidied_at: Instant,
    file_ended_at: Instant,
    recovered_at: Option<Instant>,
    samples: Samples,
    /// What was told already.
    told: HashSet<Partition>,
    /// Lives of servers in which something was lacking, as was told, until it is there again.
    lacking: HashSet<String>,
}

/// A partition that is not open here yet.
struct Part {
    partition: Partition,
    /// What the survivor lacks, in the order in which it comes again.
    lacking: VecDeque<(Number, Found)>,
    /// What may have been applied under a number that nobody heard.
    unknown: Vec<Found>,
    /// What comes too late to be applied as it was.
    late: Vec<Found>,
    /// The number of the last commit that the survivor has, and its epoch.
    at: u64,
    epoch: u64,
    /// The sequence at which all of `unknown` was tried in vain.
    tried_at: Option<u64>,
    applied: usize,
}

/// What Redis says of a partition.
#[derive(Default)]
struct Survivor {
    open: Option<String>,
    epoch: u64,
    /// By epoch, the sequence at which it began. Epochs of which nothing is left are not there.
    bases: BTreeMap<u64, u64>,
    /// Numbers that nobody had: those above the first up to the second.
    gaps: Vec<(u64, u64)>,
    sequence: u64,
}

impl Survivor {
    fn read(life: Vec<(String, String)>, sequence: Option<String>) -> Option<Survivor> {
        let mut found = Survivor::default();
        for (field, value) in life {
            match field.split_once(':') {
                Some(("base", epoch)) => {
                    found.bases.insert(epoch.parse().ok()?, value.parse().ok()?);
                }
                Some(("gap", after)) => found.gaps.push((after.parse().ok()?, value.parse().ok()?)),
                None if field == "open" => found.open = Some(value),
                None if field == "epoch" => found.epoch = value.parse().ok()?,
                _ => {}
            }
        }
        found.sequence = sequence.map_or(Some(0), |sequence| sequence.parse().ok())?;
        Some(found)
    }

    /// Whether a commit is among what Redis has: of each epoch only what lies between its beginning and that of the next
    /// one. What an epoch gave beyond that was lost, and its number may have been given to something else.
    fn has(&self, number: Number) -> bool {
        if self.gaps.iter().any(|(after, last)| *after < number.sequence && number.sequence <= *last) {
            return false;
        }
        let Some(base) = self.bases.get(&number.epoch) else { return false };
        let next = self.bases.range(number.epoch.saturating_add(1)..).next();
        let end = next.map_or(self.sequence, |(_, base)| *base);
        *base < number.sequence && number.sequence <= end
    }

    /// Whether what Redis has goes on from that commit, or from what took its place: it has not lost more than what came
    /// after.
    fn reaches(&self, number: Number) -> bool {
        number <= Number { epoch: self.epoch, sequence: self.sequence }
    }
}

/// Looks after the partitions for as long as the store lives.
pub(super) async fn keep(journaled: &Arc<Journaled>) {
    let now = Instant::now();
    let mut state = State {
        peers: HashMap::new(),
        bound: false,
        alive_at: None,
        asked: None,
        joins_at: None,
        tidied_at: now,
        file_ended_at: now,
        recovered_at: None,
        samples: Samples::default(),
        told: HashSet::new(),
        lacking: HashSet::new(),
    };
    loop {
        if let Err(error) = look(journaled, &mut state).await {
            debug!(store = "redis", "partitions cannot be looked after now: {error}");
            journaled.whole.store(false, Ordering::Release);
        }
        tokio::select! {
            () = journaled.wake.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn look(journaled: &Arc<Journaled>, state: &mut State) -> Result<(), Error> {
    bind(journaled, state).await?;
    alive(journaled, state).await?;
    if state.joins_at.is_none_or(|at| Instant::now() < at) {
        journaled.whole.store(false, Ordering::Release);
        return Ok(());
    }
    let mut groups: Vec<(Arc<Link>, Arc<Live>, Vec<Partition>)> = Vec::new();
    let mut failed = None;
    let mut all: Vec<(Arc<Link>, Arc<Live>)> = Vec::new();
    for partition in journaled.keys.partitions(Partition(0)) {
        let link = journaled.router.of(journaled.keys.slot(partition)?).await?;
        let live = match all.iter().find(|(known, _)| Arc::ptr_eq(known, &link)) {
            Some((_, live)) => Arc::clone(live),
            None => match link.live().await {
                Ok(live) => {
                    all.push((Arc::clone(&link), Arc::clone(&live)));
                    live
                }
                // In a cluster the partitions of other servers can be opened meanwhile.
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            },
        };
        if journaled.is_open(partition, &live) {
            continue;
        }
        match groups.iter_mut().find(|(known, _, _)| Arc::ptr_eq(known, &link)) {
            Some((_, _, partitions)) => partitions.push(partition),
            None => groups.push((link, live, vec![partition])),
        }
    }
    let mut whole = failed.is_none();
    let gives_way = 1 < all.len() || !all.is_empty() && failed.is_some();
    for (link, live, partitions) in groups {
        journaled.whole.store(false, Ordering::Release);
        match (Recovery { journaled, link: &link, live: &live, gives_way }).run(state, partitions).await {
            Ok(opened) => whole &= opened,
            Err(error) => failed = Some(error),
        }
    }
    whole &= failed.is_none();
    if whole {
        // What is left are lives that ended before all was there.
        state.lacking.clear();
    }
    journaled.whole.store(whole, Ordering::Release);
    match failed {
        Some(error) => Err(error),
        None => tidy(journaled, state, &all).await,
    }
}

/// Makes sure that the journal belongs to what Redis holds.
async fn bind(journaled: &Arc<Journaled>, state: &mut State) -> Result<(), Error> {
    let link = journaled.router.of(journaled.keys.slot(Partition(0))?).await?;
    let live = link.live().await?;
    let first = !journaled.is_open(Partition(0), &live);
    if state.bound && !first {
        return Ok(());
    }
    state.bound = false;
    let key = journaled.keys.deployment()?;
    let io = |error: std::io::Error| Error::Unfit { what: format!("the journal cannot be read: {error}") };
    let known = journaled.journal.deployment().map_err(io)?;
    if known.is_none() {
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(|_| Error::Unavailable)?;
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        link.call(&live, ::redis::cmd("SET").arg(&key).arg(name).arg("NX"), Sent::Read).await?;
    }
    let found: Option<String> = decoded(link.call(&live, &Cmd::get(&key), Sent::Read).await?)?;
    let what = match (known, found) {
        (Some(known), Some(found)) if known == found => None,
        (None, Some(found)) => {
            journaled.journal.belongs_to(&found).map_err(io)?;
            None
        }
        (_, None) => Some("Redis has lost everything that the journal belongs to".to_owned()),
        (Some(_), Some(_)) => Some("the journal belongs to another deployment".to_owned()),
    };
    let mut unfit = journaled.unfit.lock().unwrap_or_else(PoisonError::into_inner);
    if *unfit != what {
        match &what {
            Some(what) => error!(store = "redis", "nothing is served: {what}"),
            None => info!(store = "redis", "the journal and Redis belong together again"),
        }
    }
    state.bound = what.is_none();
    unfit.clone_from(&what);
    drop(unfit);
    what.map_or(Ok(()), |what| Err(Error::Unfit { what }))
}

/// Says that this instance lives, and hears who else does.
async fn alive(journaled: &Arc<Journaled>, state: &mut State) -> Result<(), Error> {
    let waits = journaled.terms.wait;
    if state.alive_at.is_some_and(|at| at.elapsed() < ALIVE_EVERY.min(waits / 4)) {
        return Ok(());
    }
    let link = journaled.router.of(journaled.keys.slot(Partition(0))?).await?;
    let live = link.live().await?;
    let (me, names_key) = (journaled.journal.instance(), journaled.keys.instances()?);
    let mut say = ::redis::pipe();
    say.cmd("SADD").arg(&names_key).arg(me).ignore();
    say.cmd("SET").arg(journaled.keys.alive(me)?).arg("").arg("PX").arg(millis(waits)).ignore();
    say.cmd("SMEMBERS").arg(&names_key);
    let (names,): (Vec<String>,) = decoded(link.call_all(&live, &say, Sent::Read).await?)?;
    let mut ask = ::redis::pipe();
    for name in &names {
        ask.cmd("EXISTS").arg(journaled.keys.alive(name)?);
    }
    let alive: Vec<u8> = decoded(link.call_all(&live, &ask, Sent::Read).await?)?;
    // Named is also who lives, and has not said so yet to a Redis that came back a moment ago.
    let alone = names.iter().all(|name| name == me);
    let (names, gone): (Vec<_>, Vec<_>) = names.into_iter().zip(alive).partition(|(_, alive)| *alive == 1);
    for (name, _) in gone {
        // Should it live after all it says so again.
        link.call(&live, ::redis::cmd("SREM").arg(&names_key).arg(name), Sent::Read).await?;
    }
    let now = Instant::now();
    // While nobody could be heard nobody is gone: all have as long as otherwise to say that they live.
    let deaf = |(at, life): &(Instant, Box<str>)| waits / 2 < at.elapsed() || *life != live.run_id;
    if state.asked.as_ref().is_some_and(deaf) {
        state.peers.values_mut().for_each(|heard| *heard = now);
    }
    state.asked = Some((now, live.run_id.clone()));
    state.alive_at = Some(now);
    state.peers.extend(names.into_iter().map(|(name, _)| (name, now)));
    if state.joins_at.is_none() {
        state.joins_at = Some(if alone { now } else { now + JOIN });
    }
    // Redis may have forgotten whom it knew a moment ago.
    state.peers.retain(|_, heard| heard.elapsed() < waits);
    Ok(())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

struct Recovery<'a> {
    journaled: &'a Arc<Journaled>,
    link: &'a Arc<Link>,
    live: &'a Arc<Live>,
    /// Whether there are other servers to look after.
    gives_way: bool,
}

impl Recovery<'_> {
    /// Whether all of the partitions are open now.
    async fn run(&self, state: &mut State, partitions: Vec<Partition>) -> Result<bool, Error> {
        // What is on its way to an earlier life comes to its end first, and is in the journal then.
        drop(self.journaled.busy.write().await);
        let journal = Arc::clone(&self.journaled.journal);
        let held = tokio::task::spawn_blocking(move || journal.held()).await.map_err(|_| Error::Unavailable)??;
        let mut by_partition: HashMap<Partition, Vec<Found>> = HashMap::new();
        held.found.into_iter().for_each(|found| by_partition.entry(found.partition).or_default().push(found));

        let mut parts = Vec::new();
        let mut closed = false;
        for step in partitions.chunks(STEP) {
            for (partition, found) in step.iter().zip(self.look_at(step).await?) {
                let mine = by_partition.remove(partition).unwrap_or_default();
                if let Some(floor) = held.floors.get(partition).filter(|floor| !found.reaches(**floor)) {
                    closed = true;
                    if state.told.insert(*partition) {
                        error!(
                            store = "redis",
                            partition = partition.0,
                            found = found.sequence,
                            needed = floor.sequence,
                            "Redis has lost more than the journal holds: partition {} stays closed",
                            partition.0
                        );
                    }
                    continue;
                }
                state.told.remove(partition);
                parts.push(self.part(*partition, &found, mine));
            }
        }
        let lacking: usize = parts.iter().map(|part| part.lacking.len() + part.late.len()).sum();
        if 0 < lacking {
            // Told once, however often it has to be begun anew.
            if state.lacking.insert(self.live.run_id.to_string()) {
                warn!(
                    store = "redis",
                    commits = lacking,
                    "Redis has lost commits that were acknowledged here; they are applied again"
                );
            }
            state.recovered_at = Some(Instant::now());
        }
        // Who came a moment ago may not have been heard of.
        state.alive_at = None;
        let Driven { applied, all_open } = self.drive(state, parts).await?;
        if 0 < lacking {
            state.recovered_at = Some(Instant::now());
        }
        if all_open && state.lacking.remove(&*self.live.run_id) {
            info!(store = "redis", applied, "what Redis had lost is there again");
        }
        Ok(all_open && !closed)
    }

    /// What Redis says of partitions.
    async fn look_at(&self, partitions: &[Partition]) -> Result<Vec<Survivor>, Error> {
        let mut ask = ::redis::pipe();
        for partition in partitions {
            ask.cmd("HGETALL").arg(self.journaled.keys.life(*partition)?);
            ask.cmd("GET").arg(self.journaled.keys.sequence(*partition)?);
        }
        let answers = self.all::<Value>(&ask).await?;
        let mut answers = answers.into_iter();
        let mut found = Vec::with_capacity(partitions.len());
        while let (Some(life), Some(sequence)) = (answers.next(), answers.next()) {
            let life: BTreeMap<String, String> = decoded(life)?;
            let read = Survivor::read(life.into_iter().collect(), decoded(sequence)?);
            found.push(read.ok_or_else(|| wire::odd("a partition's life"))?);
        }
        Ok(found)
    }

    /// Sorts what the journal has of a partition by what is to be done about it.
    fn part(&self, partition: Partition, redis: &Survivor, mine: Vec<Found>) -> Part {
        let mut part = Part {
            partition,
            lacking: VecDeque::new(),
            unknown: Vec::new(),
            late: Vec::new(),
            at: redis.sequence,
            epoch: redis.epoch,
            tried_at: None,
            applied: 0,
        };
        let open = redis.open.as_deref() == Some(&*self.live.run_id);
        let mut lacking: Vec<(Number, Found)> = Vec::new();
        for found in mine {
            match found.fate {
                Fate::Unknown if open => part.late.push(found),
                Fate::Unknown => part.unknown.push(found),
                Fate::Applied(number) if redis.has(number) => {}
                Fate::Applied(number) if open || number.epoch < redis.epoch || number.sequence <= redis.sequence => {
                    part.late.push(found);
                }
                Fate::Applied(number) => lacking.push((number, found)),
            }
        }
        lacking.sort_by_key(|(number, _)| (number.sequence, number.epoch));
        part.lacking = lacking.into();
        part
    }

    /// Applies again what is lacking, in turns with the other instances, until all partitions are open, or nothing moves and
    /// there are other servers to look after.
    async fn drive(&self, state: &mut State, mut parts: Vec<Part>) -> Result<Driven, Error> {
        let mut load = ::redis::pipe();
        load.cmd("SCRIPT").arg("LOAD").arg(OPEN);
        let again = behind(AGAIN);
        load.cmd("SCRIPT").arg("LOAD").arg(&again);
        let hashes: Vec<String> = self.all(&load).await?;
        let [open_hash, again_hash] = hashes.as_slice() else { return Err(wire::odd("the hashes of scripts")) };
        let mut applied = 0;
        let mut moved_at = Instant::now();
        while !parts.is_empty() {
            if self.gives_way && GIVES_WAY < moved_at.elapsed() {
                return Ok(Driven { applied, all_open: false });
            }
            alive(self.journaled, state).await?;
            let me = self.journaled.journal.instance();
            let others = state.peers.keys().map(String::as_str).filter(|name| *name != me);
            let peers: Vec<&str> = std::iter::once(me).chain(others).collect();
            let before: usize = parts.iter().map(|part| part.applied).sum();
            for part in &mut parts {
                self.apply_in_turn(part, again_hash).await?;
            }
            let mut left = Vec::with_capacity(parts.len());
            let mut stirred = parts.iter().map(|part| part.applied).sum::<usize>() != before;
            for step in steps(parts) {
                let mut ask = ::redis::pipe();
                for part in &step {
                    ask.cmd("EVALSHA").arg(open_hash).arg(2).arg(self.journaled.keys.life(part.partition)?);
                    ask.arg(self.journaled.keys.sequence(part.partition)?).arg(&*self.live.run_id).arg(me);
                    ask.arg(part.has_left()).arg(&peers);
                }
                let answers: Vec<Vec<String>> = self.all(&ask).await?;
                for (mut part, answer) in step.into_iter().zip(answers) {
                    let answer: Vec<&str> = answer.iter().map(String::as_str).collect();
                    let seq = |digits: &str| digits.parse::<u64>().map_err(|_| wire::odd("a sequence"));
                    match answer.as_slice() {
                        ["OPEN", _epoch, sequence] => {
                            applied += part.applied;
                            let (partition, sequence) = (part.partition, seq(sequence)?);
                            part.late.extend(part.lacking.drain(..).map(|(_, found)| found));
                            // What this instance had heard of beyond that comes after it now.
                            self.heard(partition, sequence);
                            // Should it break off, the partition is looked at anew.
                            applied += self.finish(part).await?;
                            self.opened(partition);
                            stirred = true;
                            continue;
                        }
                        ["WAIT", sequence] => part.at = seq(sequence)?,
                        ["TRY", sequence, first] => {
                            part.at = seq(sequence)?;
                            let end = if *first == "inf" { u64::MAX } else { seq(first)? };
                            self.try_unknown(&mut part, again_hash, end).await?;
                            stirred = true;
                        }
                        ["GAP", sequence, first] => {
                            part.at = seq(sequence)?;
                            // Whoever has it counts on.
                            if part.lacking.front().map(|(wants, _)| wants.sequence) == Some(seq(first)?) {
                                self.skip(&part, seq(first)? - 1, None).await?;
                                part.at = seq(first)? - 1;
                                stirred = true;
                            }
                        }
                        _ => return Err(wire::odd("an answer about a partition")),
                    }
                    left.push(part);
                }
            }
            parts = left;
            if stirred {
                moved_at = Instant::now();
            } else if !parts.is_empty() {
                tokio::time::sleep(TURN).await;
            }
        }
        Ok(Driven { applied, all_open: true })
    }

    /// Applies again what is next, as long as the next number is one that this journal has.
    async fn apply_in_turn(&self, part: &mut Part, again_hash: &str) -> Result<(), Error> {
        while let Some((wants, _)) = part.lacking.front() {
            let wants = *wants;
            if part.at + 1 < wants.sequence {
                return Ok(());
            }
            let Some((_, found)) = part.lacking.pop_front() else { return Ok(()) };
            if wants.sequence <= part.at {
                // The number was given to something else.
                part.late.push(found);
                continue;
            }
            match self.in_its_place(&found, again_hash, wants).await? {
                Turn::Applied => {
                    part.at = wants.sequence;
                    part.applied += 1;
                }
                Turn::Behind(at) => {
                    part.at = at;
                    part.lacking.push_front((wants, found));
                }
                Turn::Late | Turn::Open => part.late.push(found),
                Turn::There | Turn::Unfit(_) => {
                    self.skip(part, wants.sequence, Some(wants.epoch)).await?;
                    part.at = wants.sequence;
                }
            }
        }
        Ok(())
    }

    /// Applies what has no known number, where it fits, before a number that somebody waits for.
    async fn try_unknown(&self, part: &mut Part, again_hash: &str, end: u64) -> Result<(), Error> {
        let mut kept = Vec::new();
        for found in std::mem::take(&mut part.unknown) {
            if end <= part.at + 1 {
                kept.push(found);
                continue;
            }
            let commit = self.read(&found).await?;
            // Nothing tells whether it was applied already.
            if is_untold(&commit) {
                self.journaled.journal.settled(found.id);
                continue;
            }
            match self.once_more(&found, &commit, again_hash, (None, part.at + 1)).await? {
                Turn::Applied => {
                    part.at += 1;
                    part.applied += 1;
                    // From here on somebody may be told of it.
                    let number = Number { epoch: part.epoch, sequence: part.at };
                    self.journaled.journal.applied(found.id, part.partition, number)?;
                }
                Turn::Behind(at) => {
                    part.at = at;
                    kept.push(found);
                }
                Turn::Late | Turn::Open => part.late.push(found),
                // Its number is not known: should it be lost another time, it is tried again.
                Turn::There => {}
                Turn::Unfit(_) => kept.push(found),
            }
        }
        part.unknown = kept;
        part.tried_at = Some(part.at);
        Ok(())
    }

    /// Applies a commit under its number, to what is there should what came before it be lost.
    async fn in_its_place(&self, found: &Found, again_hash: &str, wants: Number) -> Result<Turn, Error> {
        let lost = self.read(found).await?;
        if only_acknowledges(&lost) {
            return Ok(Turn::There);
        }
        let mut commit = lost.clone();
        for _ in 0..TRIES_MAX {
            let number = (Some(wants.epoch), wants.sequence);
            let why = match self.once_more(found, &commit, again_hash, number).await? {
                Turn::Unfit(Some(Outcome::Conflict(fresh))) => {
                    match self.journaled.reapply.again(&lost, &fresh).await {
                        Again::There => return Ok(Turn::There),
                        Again::Apply(again) => {
                            commit = *again;
                            continue;
                        }
                        Again::Clash(why) => why,
                    }
                }
                // What it had taken is taken by somebody else: it stands, and takes nothing.
                Turn::Unfit(Some(Outcome::GuardFailed { key, .. })) => {
                    commit.deltas.retain(|delta| delta.key != key);
                    continue;
                }
                Turn::Unfit(_) => "it does not continue what is there".to_owned(),
                turn => return Ok(turn),
            };
            self.set_aside(found, &lost, &why)?;
            self.journaled.journal.settled(found.id);
            return Ok(Turn::There);
        }
        self.set_aside(found, &lost, "it does not come to an end")?;
        self.journaled.journal.settled(found.id);
        Ok(Turn::There)
    }

    /// `epoch`: `None` where it is not known whether the commit had that number.
    async fn once_more(
        &self,
        found: &Found,
        commit: &Commit,
        again_hash: &str,
        (epoch, sequence): (Option<u64>, u64),
    ) -> Result<Turn, Error> {
        let number = vec![epoch.map_or_else(String::new, |epoch| epoch.to_string()), sequence.to_string()];
        let beside = self.journaled.beside(found.partition, self.live, number)?;
        let call = wire::commit_call("EVALSHA", again_hash, &self.journaled.keys, commit, &beside)?;
        let reply = match self.link.call(self.live, &call, Sent::Write).await {
            Err(Failed::Store(Error::Corrupt { .. })) => return Ok(Turn::Unfit(None)),
            reply => reply?,
        };
        if let Value::Array(words) = &reply {
            match words.as_slice() {
                [Value::BulkString(word)] if word == b"OPEN" => return Ok(Turn::Open),
                [Value::BulkString(word)] if word == b"LATE" => return Ok(Turn::Late),
                [Value::BulkString(word), Value::BulkString(at)] if word == b"AT" => {
                    return super::number(at).map(Turn::Behind).ok_or_else(|| wire::odd("a sequence"));
                }
                _ => {}
            }
        }
        match wire::outcome(reply, commit) {
            Ok(Outcome::Applied) => Ok(Turn::Applied),
            Ok(Outcome::Seen(_)) => Ok(Turn::There),
            Ok(outcome) => Ok(Turn::Unfit(Some(outcome))),
            Err(Error::Corrupt { .. }) => Ok(Turn::Unfit(None)),
            Err(error) => Err(error),
        }
    }

    /// `epoch`: of what has the number to go to; `None`: nobody has what lies between.
    async fn skip(&self, part: &Part, to: u64, epoch: Option<u64>) -> Result<(), Error> {
        let keys = &self.journaled.keys;
        let mut call = ::redis::cmd("EVAL");
        call.arg(SKIP).arg(2).arg(keys.life(part.partition)?).arg(keys.sequence(part.partition)?);
        call.arg(&*self.live.run_id).arg(part.at.to_string()).arg(to.to_string());
        call.arg(epoch.map_or_else(String::new, |epoch| epoch.to_string()));
        self.link.call(self.live, &call, Sent::Write).await?;
        Ok(())
    }

    /// How far the partition has come in this life of the server.
    fn heard(&self, partition: Partition, sequence: u64) {
        if let Some(seen) = self.journaled.seen.get(usize::from(partition.0)) {
            seen.store(sequence, Ordering::Release);
        }
    }

    /// The partition is open here, too.
    fn opened(&self, partition: Partition) {
        if let Some(opened) = self.journaled.opened.get(usize::from(partition.0)) {
            opened.store(life(self.live), Ordering::Release);
        }
        self.journaled.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// What could not be applied as it was, now that the partition is open. How much of it was.
    async fn finish(&self, part: Part) -> Result<usize, Error> {
        let mut applied = 0;
        for found in part.unknown.iter().chain(&part.late) {
            let commit = self.read(found).await?;
            let dropped = match found.fate {
                Fate::Applied(_) => only_acknowledges(&commit),
                // Nothing tells whether it was applied already; or it took in what comes again with the feed.
                Fate::Unknown => is_untold(&commit) || (commit.receipts.is_empty() && !commit.feed_done.is_empty()),
            };
            match if dropped { Back::Settled } else { self.bring_back(found, commit).await? } {
                Back::Applied => applied += 1,
                // As long as Redis may lose it once more it stays in the journal.
                Back::There => continue,
                Back::Settled => {}
            }
            self.journaled.journal.settled(found.id);
        }
        Ok(applied)
    }

    /// Applies a lost commit to what is there now. One that was never answered may have been found all the same: by its
    /// receipt, by whoever sent the request again, and acknowledged so; or without one, by whoever read the records that it
    /// wrote, and went on from there.
    async fn bring_back(&self, found: &Found, lost: Commit) -> Result<Back, Error> {
        let unanswered = found.fate == Fate::Unknown && lost.receipts.is_empty();
        let trips = std::sync::atomic::AtomicU64::new(0);
        let mut commit = lost.clone();
        let mut why = "others keep writing to what it is about".to_owned();
        for _ in 0..TRIES_MAX {
            let done = self.journaled.commit_over(self.link, self.live, &commit, &trips).await;
            let fresh = match done {
                Ok(Outcome::Applied) => return Ok(Back::Applied),
                Ok(Outcome::Seen(_)) => return Ok(Back::There),
                Ok(Outcome::Conflict(fresh)) => fresh,
                Ok(Outcome::GuardFailed { .. }) if unanswered => return Ok(Back::Settled),
                // What it had taken is taken by somebody else: it stands, and takes nothing.
                Ok(Outcome::GuardFailed { key, .. }) => {
                    commit.deltas.retain(|delta| delta.key != key);
                    continue;
                }
                Err(Error::Corrupt { what }) => {
                    why = what;
                    break;
                }
                Err(error) => return Err(error),
            };
            match self.journaled.reapply.again(&lost, &fresh).await {
                Again::There => return Ok(Back::There),
                Again::Apply(again) => commit = *again,
                // It may never have been applied, and nobody was told that it was.
                Again::Clash(_) if unanswered => return Ok(Back::Settled),
                Again::Clash(clash) => {
                    why = clash;
                    break;
                }
            }
        }
        self.set_aside(found, &lost, &why)?;
        Ok(Back::Settled)
    }

    fn set_aside(&self, found: &Found, lost: &Commit, why: &str) -> Result<(), Error> {
        match self.journaled.journal.set_aside(found, lost) {
            Ok(path) => {
                error!(
                    store = "redis",
                    partition = found.partition.0,
                    "a lost commit cannot be brought back ({why}); it is in {}",
                    path.display()
                );
                Ok(())
            }
            Err(error) => {
                error!(store = "redis", %error, "a lost commit cannot be brought back ({why}), nor put aside");
                Err(Error::Unavailable)
            }
        }
    }

    async fn read(&self, found: &Found) -> Result<Commit, Error> {
        let (journal, found) = (Arc::clone(&self.journaled.journal), found.clone());
        tokio::task::spawn_blocking(move || journal.read(&found)).await.map_err(|_| Error::Unavailable)?
    }

    async fn all<T: FromRedisValue>(&self, ask: &Pipeline) -> Result<Vec<T>, Error> {
        decoded(self.link.call_all(self.live, ask, Sent::Read).await?)
    }
}

/// How far the partitions of a server have come.
struct Driven {
    /// Lost commits that are there again.
    applied: usize,
    all_open: bool,
}

/// What became of a lost commit that came too late for its place.
enum Back {
    /// It is there now, and in the journal under its new number.
    Applied,
    /// It, or what it did, was there.
    There,
    /// It was put aside, or need not come back.
    Settled,
}

/// What applying a lost commit once more came to.
enum Turn {
    Applied,
    /// The sequence is here: it is not its turn.
    Behind(u64),
    /// The partition is open already.
    Open,
    /// Its number has gone to something else.
    Late,
    /// What it did is there.
    There,
    /// What it was decided on is not there.
    Unfit(Option<Outcome>),
}

/// Whether a commit leaves nothing by which it could be told whether it was applied: neither a receipt nor a record that is
/// no longer as it expects.
fn is_untold(commit: &Commit) -> bool {
    let written = |key: &Key| commit.writes.iter().any(|write| write.key == *key);
    commit.receipts.is_empty() && !commit.expect.iter().any(|(key, _)| written(key))
}

/// Whether a commit does nothing but take off the feed what was delivered. Something else may have got those positions
/// since, while what was delivered can be delivered once more and changes nothing.
fn only_acknowledges(commit: &Commit) -> bool {
    let Commit { partition, feed_done, .. } = commit;
    *commit == Commit { partition: *partition, feed_done: feed_done.clone(), ..Commit::default() }
}

impl Part {
    /// As `open.lua` reads it.
    fn has_left(&self) -> String {
        if self.lacking.is_empty() && self.unknown.is_empty() {
            return "-".to_owned();
        }
        let tried = self.unknown.is_empty() || self.tried_at == Some(self.at);
        let wants = self.lacking.front().map_or_else(|| "inf".to_owned(), |(wants, _)| wants.sequence.to_string());
        format!("{wants} {} {}", u8::from(tried), self.at)
    }
}

fn steps(parts: Vec<Part>) -> Vec<Vec<Part>> {
    let mut steps: Vec<Vec<Part>> = Vec::new();
    for part in parts {
        match steps.last_mut().filter(|step| step.len() < STEP) {
            Some(step) => step.push(part),
            None => steps.push(vec![part]),
        }
    }
    steps
}

/// Forgets what Redis and its replicas have on disk for certain.
async fn tidy(journaled: &Arc<Journaled>, state: &mut State, all: &[(Arc<Link>, Arc<Live>)]) -> Result<(), Error> {
    let keep = journaled.terms.keep;
    if state.tidied_at.elapsed() < TIDY_EVERY.min(keep / 4) {
        return Ok(());
    }
    state.tidied_at = Instant::now();
    if keep < state.file_ended_at.elapsed() {
        state.file_ended_at = Instant::now();
        let journal = Arc::clone(&journaled.journal);
        tokio::task::spawn_blocking(move || journal.end_file()).await.map_err(|_| Error::Unavailable)?;
    }
    let mut safe = Some(keep);
    for (link, live) in all {
        let info: String = decoded(link.call(live, &::redis::cmd("INFO"), Sent::Read).await?)?;
        let age = state.samples.safe_age(&info, keep);
        safe = safe.zip(age).map(|(safe, age)| safe.max(age));
    }
    let Some(age) = safe else { return Ok(()) };
    if state.recovered_at.is_some_and(|at| at.elapsed() < age * AFTER_LOSS) || !journaled.journal.has_older(age) {
        return Ok(());
    }
    let journal = Arc::clone(&journaled.journal);
    tokio::task::spawn_blocking(move || journal.forget(age)).await.map_err(|_| Error::Unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Expected, NewReceipt, Receipt, Token, Write};

    #[test]
    fn a_commit_is_untold_where_neither_a_receipt_nor_a_record_shows_it() {
        let key = |name: &str| Key { partition: Partition(1), name: name.into() };
        let expected = |name: &str| vec![(key(name), Expected::At(Token::default()))];
        let receipt = Receipt { fingerprint: Vec::new(), body: Vec::new() };
        let receipts = vec![NewReceipt { key: key("rcp"), receipt, keep_s: 1 }];
        let write = || vec![Write { key: key("written"), record: None }];
        for (what, commit, untold) in [
            ("nothing is expected", Commit { writes: write(), ..Commit::default() }, true),
            (
                "another record is expected",
                Commit { expect: expected("read"), writes: write(), ..Commit::default() },
                true,
            ),
            (
                "what is expected is written",
                Commit { expect: expected("written"), writes: write(), ..Commit::default() },
                false,
            ),
            ("a receipt is left", Commit { receipts, ..Commit::default() }, false),
        ] {
            assert_eq!(is_untold(&commit), untold, "{what}");
        }
    }

    fn survivor(fields: &[(&str, &str)], sequence: u64) -> Survivor {
        let fields = fields.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned()));
        Survivor::read(fields.collect(), Some(sequence.to_string())).expect("it can be read")
    }

    #[test]
    fn of_an_epoch_is_there_what_lies_between_its_beginning_and_the_next() {
        // Epoch 7 was lost as a whole; epoch 5 gave numbers up to 14, of which those from 11 on were given again by epoch 9.
        let found = survivor(&[("epoch", "9"), ("base:1", "0"), ("base:5", "4"), ("base:9", "10"), ("gap:6", "8")], 20);
        for (epoch, sequence, expected) in [
            (1, 1, true),
            (1, 4, true),
            (1, 5, false),
            (5, 4, false),
            (5, 5, true),
            // Nobody had them when the others came again.
            (5, 7, false),
            (5, 8, false),
            (5, 9, true),
            (5, 10, true),
            (5, 11, false),
            (7, 11, false),
            (9, 10, false),
            (9, 11, true),
            (9, 20, true),
            (9, 21, false),
            (12, 21, false),
        ] {
            assert_eq!(found.has(Number { epoch, sequence }), expected, "{epoch}.{sequence}");
        }
    }

    #[test]
    fn a_survivor_from_before_a_journal_begins_is_told() {
        let found = survivor(&[("epoch", "5"), ("base:1", "0"), ("base:5", "4")], 10);
        for (epoch, sequence, expected) in [(1, 4, true), (5, 10, true), (5, 11, false), (9, 5, false), (1, 90, true)] {
            assert_eq!(found.reaches(Number { epoch, sequence }), expected, "{epoch}.{sequence}");
        }
    }
}
