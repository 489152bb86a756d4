//! Sends vouchings as referrals, window by window, and reads back what they came to.
//!
//! In each window who is new joins and gets a code; then everybody who was vouched for names the codes; at its end claims
//! are settled, and whoever was vouched for the first time in it buys something. Within a window the order of the calls
//! must not matter, nor how often each is sent: a rough run shuffles and repeats them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::ProgressBar;

use super::summary::Standing;
use super::vouchings::{Graph, Vouching, Who};
use crate::cli::client::{Client, stamp};
use crate::cli::replay::drive::DriveError;
use crate::cli::replay::pool::each;
use crate::domain::id::CampaignId;
use crate::domain::time::{DAY_MS, Instant};
use crate::grpc::wire;

/// What is sent, and how.
#[derive(Clone, Debug)]
pub struct Options {
    pub program_id: String,
    pub program_version: String,
    pub campaign: CampaignId,
    pub currency: String,
    /// What each friend buys.
    pub amount_minor: i64,
    pub window_ms: i64,
    /// Members served at a time.
    pub concurrency: usize,
    /// Shuffles and repeats calls, by this seed.
    pub rough: Option<u64>,
    /// Whether the program keeps figures of referrals, which then are compared with the ledgers.
    pub figures: bool,
}

/// What happened in one stretch of time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    pub until: Instant,
    /// Who is named for the first time.
    pub new: Vec<Who>,
    /// Positions in [`Graph::vouchings`].
    pub vouchings: Vec<usize>,
    /// Who was vouched for for the first time.
    pub friends: Vec<Who>,
}

/// Cuts the vouchings into windows; those in which nothing happens are left out.
pub fn windows(graph: &Graph, window_ms: i64) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    let (mut known, mut vouched): (HashSet<Who>, HashSet<Who>) = (HashSet::new(), HashSet::new());
    for (at, vouching) in graph.vouchings.iter().enumerate() {
        let until = Instant((vouching.at.0.div_euclid(window_ms) + 1) * window_ms);
        if windows.last().is_none_or(|last| last.until < until) {
            windows.push(Window { until, new: Vec::new(), vouchings: Vec::new(), friends: Vec::new() });
        }
        let Some(window) = windows.last_mut() else { continue };
        window.vouchings.push(at);
        window.new.extend([vouching.advocate, vouching.friend].into_iter().filter(|who| known.insert(*who)));
        window.friends.extend(Some(vouching.friend).filter(|who| vouched.insert(*who)));
    }
    windows
}

/// What the calls came to.
#[derive(Debug, Default)]
pub struct Tally {
    pub sent: AtomicU64,
    /// Answers of earlier calls with the same request id.
    pub replayed: AtomicU64,
    /// Calls that a rough run sent once more, and whose answer was another.
    pub differed: AtomicU64,
}

/// One run.
#[derive(Debug)]
pub struct Driver {
    pub client: Client,
    pub graph: Arc<Graph>,
    pub codes: Arc<Mutex<Vec<String>>>,
    pub options: Options,
    pub tally: Arc<Tally>,
    pub bar: ProgressBar,
}

impl Driver {
    /// The same run over another connection, for the server was started anew.
    pub fn over(&self, client: Client) -> Driver {
        Driver {
            client,
            graph: Arc::clone(&self.graph),
            codes: Arc::clone(&self.codes),
            options: self.options.clone(),
            tally: Arc::clone(&self.tally),
            bar: self.bar.clone(),
        }
    }

    /// Whether the server replays at all: nothing is due before the first vouching.
    pub async fn begin(&self) -> Result<(), DriveError> {
        let begins = self.graph.begins().unwrap_or(Instant::MIN);
        self.end(Instant(begins.0.div_euclid(self.options.window_ms) * self.options.window_ms)).await
    }

    /// Sends one window. Safe to send again: what was done is answered, not done twice.
    pub async fn send(self: &Arc<Self>, window: Window) -> Result<(), DriveError> {
        let Window { until, new, vouchings, friends } = window;
        let done = vouchings.len() as u64;
        let driver = Arc::clone(self);
        let join = move |new: Arc<Vec<Who>>, at: usize| {
            let driver = Arc::clone(&driver);
            async move { driver.join(new.get(at).copied(), until).await }
        };
        each(Arc::new(self.shuffled(new)), self.options.concurrency, join).await?;
        let driver = Arc::clone(self);
        let claim = move |jobs: Arc<Vec<Vec<usize>>>, at: usize| {
            let driver = Arc::clone(&driver);
            async move {
                for vouching in jobs.get(at).into_iter().flatten() {
                    driver.vouch(*vouching).await?;
                }
                Ok::<(), DriveError>(())
            }
        };
        each(Arc::new(self.jobs(vouchings)), self.options.concurrency, claim).await?;
        // Claims of the window are settled once all of them are there.
        self.end(until).await?;
        let driver = Arc::clone(self);
        let buy = move |friends: Arc<Vec<Who>>, at: usize| {
            let driver = Arc::clone(&driver);
            async move { driver.buy(friends.get(at).copied(), until).await }
        };
        each(Arc::new(self.shuffled(friends)), self.options.concurrency, buy).await?;
        self.bar.inc(done);
        Ok(())
    }

    /// Everything that is under way arrives.
    pub async fn finish(&self, until: Instant) -> Result<(), DriveError> {
        // What arrives may send something on; a day later that has arrived as well.
        self.end(until.plus_ms(DAY_MS)).await?;
        self.end(until.plus_ms(2 * DAY_MS)).await
    }

    /// How everybody stands, ascending by id.
    pub async fn read(self: &Arc<Self>) -> Result<Vec<Standing>, DriveError> {
        let members: Vec<usize> = (0..self.graph.members.len()).collect();
        let found = Arc::new(Mutex::new(Vec::with_capacity(members.len())));
        let (driver, shared) = (Arc::clone(self), Arc::clone(&found));
        let work = move |members: Arc<Vec<usize>>, at: usize| {
            let (driver, shared) = (Arc::clone(&driver), Arc::clone(&shared));
            async move {
                let member = members.get(at).and_then(|at| driver.graph.members.get(*at));
                let Some(member_id) = member.map(ToString::to_string) else { return Ok(()) };
                let standing = driver.standing(member_id).await?;
                shared.lock().unwrap_or_else(PoisonError::into_inner).push(standing);
                Ok::<(), DriveError>(())
            }
        };
        self.bar.set_message("verifying");
        each(Arc::new(members), self.options.concurrency, work).await?;
        let mut found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
        found.sort_by(|a, b| a.member.member_id.cmp(&b.member.member_id));
        Ok(found)
    }

    async fn standing(&self, member_id: String) -> Result<Standing, DriveError> {
        let program_id = self.options.program_id.clone();
        let asked = wire::GetMemberRequest { program_id: program_id.clone(), member_id: member_id.clone() };
        let member = self.client.get_member(asked).await?.member.unwrap_or_default();
        let asked = wire::VerifyMemberRequest { program_id: program_id.clone(), member_id };
        let proof = self.client.verify_member(asked).await?;
        let referral = match member.referral_id.as_str() {
            "" => None,
            id => {
                let asked = wire::GetReferralRequest { program_id, referral_id: id.to_owned() };
                self.client.get_referral(asked).await?.referral
            }
        };
        Ok(Standing { member, referral, proof })
    }

    async fn end(&self, through: Instant) -> Result<(), DriveError> {
        match self.client.end_day(through).await {
            Ok(_) => Ok(()),
            Err(error) if error.status.code() == tonic::Code::Unimplemented => Err(DriveError::ClockNotFollowing),
            Err(error) => Err(error.into()),
        }
    }

    /// Enrols somebody and asks for their code.
    async fn join(&self, who: Option<Who>, until: Instant) -> Result<(), DriveError> {
        let Some(who) = who else { return Ok(()) };
        let member_id = self.graph.id(who).to_owned();
        let occurred_at = Some(stamp(Instant(until.0 - self.options.window_ms)));
        let program_id = self.options.program_id.clone();
        let request_id = "referrals:enroll".to_owned();
        let request = wire::EnrollRequest {
            program_id: program_id.clone(),
            member_id: member_id.clone(),
            request_id,
            occurred_at,
            ..Default::default()
        };
        let answer = self.client.enroll(request).await?;
        self.note(answer.replayed);
        let server = answer.decision.map(|decision| decision.program_version).unwrap_or_default();
        if server != self.options.program_version {
            return Err(DriveError::OtherProgram { server, file: self.options.program_version.clone() });
        }
        let request = wire::CreateCodeRequest {
            program_id,
            member_id,
            request_id: "referrals:code".to_owned(),
            campaign_id: self.options.campaign.to_string(),
            occurred_at,
            ..Default::default()
        };
        let answer = self.client.create_code(request).await?;
        self.note(answer.replayed);
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = usize::try_from(who).ok().and_then(|at| codes.get_mut(at)) {
            *place = answer.code;
        }
        Ok(())
    }

    /// A friend names the code of whoever vouched for them.
    async fn vouch(&self, at: usize) -> Result<(), DriveError> {
        let Some(Vouching { at: instant, advocate, friend }) = self.graph.vouchings.get(at).copied() else {
            return Ok(());
        };
        let code = {
            let codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
            usize::try_from(advocate).ok().and_then(|at| codes.get(at)).cloned().unwrap_or_default()
        };
        let request = wire::AttributeRequest {
            program_id: self.options.program_id.clone(),
            member_id: self.graph.id(friend).to_owned(),
            request_id: format!("referrals:vouched:{at}"),
            code,
            occurred_at: Some(stamp(instant)),
            ..Default::default()
        };
        let first = self.client.attribute(request.clone()).await?;
        self.note(first.replayed);
        if self.repeats(at) {
            let again = self.client.attribute(request).await?;
            self.note(again.replayed);
            self.same(again.attributed == first.attributed && again.replayed);
        }
        Ok(())
    }

    async fn buy(&self, who: Option<Who>, at: Instant) -> Result<(), DriveError> {
        let Some(who) = who else { return Ok(()) };
        let line = wire::Line {
            line_id: "1".to_owned(),
            quantity: 1,
            amount_minor: self.options.amount_minor,
            kind: wire::LineKind::Goods.into(),
            ..Default::default()
        };
        let member_id = self.graph.id(who).to_owned();
        let request = wire::CommitRequest {
            program_id: self.options.program_id.clone(),
            request_id: "referrals:order".to_owned(),
            order: Some(wire::Order {
                order_id: format!("first-{member_id}"),
                currency_code: self.options.currency.clone(),
                prices_include_tax: true,
                lines: vec![line],
                ..Default::default()
            }),
            member_id,
            occurred_at: Some(stamp(at)),
            ..Default::default()
        };
        let first = self.client.commit(request.clone()).await?;
        self.note(first.replayed);
        if self.repeats(usize::try_from(who).unwrap_or(0)) {
            let again = self.client.commit(request.clone()).await?;
            self.note(again.replayed);
            self.same(again.replayed && again.status == first.status);
            // Told once more under another name, the order is still the same order.
            let other = wire::CommitRequest { request_id: "referrals:order:again".to_owned(), ..request };
            let again = self.client.commit(other).await?;
            self.same(again.status() == wire::CommitStatus::AlreadyCommitted);
        }
        Ok(())
    }

    fn note(&self, replayed: bool) {
        self.tally.sent.fetch_add(1, Ordering::Relaxed);
        self.tally.replayed.fetch_add(u64::from(replayed), Ordering::Relaxed);
    }

    fn same(&self, same: bool) {
        self.tally.differed.fetch_add(u64::from(!same), Ordering::Relaxed);
    }

    /// Every third call of a rough run is sent again.
    fn repeats(&self, nth: usize) -> bool {
        self.options.rough.is_some() && nth.is_multiple_of(3)
    }

    fn shuffled<T>(&self, mut all: Vec<T>) -> Vec<T> {
        if let Some(seed) = self.options.rough {
            fastrand::Rng::with_seed(seed).shuffle(&mut all);
        }
        all
    }

    /// What is sent one after another: a friend's vouchings in their order; in a rough run each by itself, in any.
    fn jobs(&self, vouchings: Vec<usize>) -> Vec<Vec<usize>> {
        if self.options.rough.is_some() {
            return self.shuffled(vouchings).into_iter().map(|at| vec![at]).collect();
        }
        let friend = |at: &usize| self.graph.vouchings.get(*at).map(|vouching| vouching.friend);
        let mut sorted = vouchings;
        sorted.sort_by_key(friend);
        sorted.chunk_by(|a, b| friend(a) == friend(b)).map(<[usize]>::to_vec).collect()
    }
}
