//! Sends a planned history through a server, and asks at the end what came of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::ProgressBar;

use super::orders::{History, Symbol};
use super::plan::{self, Day, Job};
use super::pool::each;
use super::summary::{Totals, Verification};
use crate::cli::client::{CallError, Client, stamp};
use crate::domain::time::Instant;
use crate::grpc::wire;

/// How many refused orders are spelled out; the others are counted.
const REFUSED_SHOWN_MAX: usize = 20;

/// How a history is sent.
#[derive(Clone, Debug)]
pub struct Options {
    /// Empty: the server's only program.
    pub program_id: String,
    /// The version that must decide; `None`: any.
    pub program_version: Option<String>,
    /// Whether each order pays with as many units as it can.
    pub redeem: bool,
    /// Members served at a time.
    pub concurrency: usize,
}

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(
        "the server's clock does not follow the requests, so it cannot replay the past: start it with \
         `guerdon serve --clock follow` (never for real customers)"
    )]
    ClockNotFollowing,
    #[error("the server decides by program version {server}, the file is version {file}: start it with this file")]
    OtherProgram { server: String, file: String },
}

/// What the calls of a replay came to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Orders that a call of this run committed.
    pub committed: AtomicU64,
    /// Orders that another request had committed before.
    pub committed_before: AtomicU64,
    pub refused: AtomicU64,
    pub reservations: AtomicU64,
    /// Answers of earlier calls with the same request id.
    pub replayed: AtomicU64,
    /// Order id and reason of the first orders refused.
    refused_first: Mutex<Vec<(String, String)>>,
}

impl Tally {
    /// Order id and reason of the first orders refused, at most 20.
    pub fn refused_first(&self) -> Vec<(String, String)> {
        self.refused_first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn refuse(&self, order_id: &str, refusals: &[wire::Refusal]) {
        Tally::count(&self.refused);
        let mut first = self.refused_first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.len() < REFUSED_SHOWN_MAX {
            let reasons: Vec<&str> = refusals.iter().map(|refusal| refusal.message.as_str()).collect();
            first.push((order_id.to_owned(), reasons.join("; ")));
        }
    }
}

/// One replay.
#[derive(Debug)]
pub struct Driver {
    pub client: Client,
    pub history: History,
    pub options: Options,
    pub tally: Tally,
    pub bar: ProgressBar,
}

impl Driver {
    /// Sends all days. Safe to begin again from the start at any time: what was done is answered, not done twice.
    pub async fn send(self: &Arc<Self>, days: Vec<Day>) -> Result<(), DriveError> {
        let Some(first) = days.first() else { return Ok(()) };
        // Nothing is due before the first order: this only finds out whether the server replays at all.
        self.end_day(first.start()).await?;
        for day in days {
            self.bar.set_message(date(day.start()));
            let driver = Arc::clone(self);
            let work = move |jobs: Arc<Vec<Job>>, at: usize| {
                let driver = Arc::clone(&driver);
                async move {
                    match jobs.get(at) {
                        Some(job) => driver.serve(job).await,
                        None => Ok(()),
                    }
                }
            };
            each(Arc::new(day.jobs), self.options.concurrency, work).await?;
            self.end_day(day.through).await?;
        }
        Ok(())
    }

    /// Balances of all members together, and the proof of each ledger.
    pub async fn settle(self: &Arc<Self>, as_of: Instant) -> Result<(Totals, Verification), DriveError> {
        let members: Vec<Symbol> = self.history.members.iter().map(|(symbol, _)| symbol).collect();
        let sums = Arc::new(Mutex::new((Totals::of(&self.history, as_of), Verification::default())));
        let (driver, shared) = (Arc::clone(self), Arc::clone(&sums));
        let work = move |members: Arc<Vec<Symbol>>, at: usize| {
            let (driver, shared) = (Arc::clone(&driver), Arc::clone(&shared));
            async move {
                let Some(member) = members.get(at) else { return Ok(()) };
                let member_id = driver.history.members.text(*member).to_owned();
                let program_id = driver.options.program_id.clone();
                let request = wire::GetMemberRequest { program_id, member_id };
                let wire::GetMemberRequest { program_id, member_id } = request.clone();
                let answer = driver.client.get_member(request).await?;
                let proof = driver.client.verify_member(wire::VerifyMemberRequest { program_id, member_id }).await?;
                let mut sums = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let member_id = driver.history.members.text(*member);
                sums.0.add(&answer.member.unwrap_or_default());
                sums.1.add(member_id, &proof);
                Ok::<(), DriveError>(())
            }
        };
        self.bar.set_message("verifying");
        each(Arc::new(members), self.options.concurrency, work).await?;
        let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.1.failed.sort();
        Ok(sums.clone())
    }

    async fn end_day(&self, through: Instant) -> Result<(), DriveError> {
        match self.client.end_day(through).await {
            Ok(_) => Ok(()),
            Err(error) if error.status.code() == tonic::Code::Unimplemented => Err(DriveError::ClockNotFollowing),
            Err(error) => Err(error.into()),
        }
    }

    /// One member's orders of one day, strictly one after another.
    async fn serve(&self, job: &Job) -> Result<(), DriveError> {
        let orders = job.orders.iter().filter_map(|index| self.history.orders.get(*index));
        for (at, order) in orders.enumerate() {
            let member_id = self.history.members.text(job.member);
            if job.first && at == 0 {
                self.enroll(member_id, order.occurred_at).await?;
            }
            let sent = plan::wire_order(&self.history, order);
            if self.options.redeem {
                self.reserve(member_id, sent.clone(), order.occurred_at).await?;
            }
            self.commit(member_id, sent, order.occurred_at).await?;
            self.bar.inc(1);
        }
        Ok(())
    }

    async fn enroll(&self, member_id: &str, at: Instant) -> Result<(), DriveError> {
        let request = wire::EnrollRequest {
            program_id: self.options.program_id.clone(),
            member_id: member_id.to_owned(),
            request_id: "replay:enroll".to_owned(),
            codes: Vec::new(),
            occurred_at: Some(stamp(at)),
            profile: None,
            visitor_id: String::new(),
            signals: None,
        };
        let answer = self.client.enroll(request).await?;
        self.note_replayed(answer.replayed);
        let server = answer.decision.map(|decision| decision.program_version);
        match (server, &self.options.program_version) {
            (Some(server), Some(file)) if server != *file => {
                Err(DriveError::OtherProgram { server, file: file.clone() })
            }
            _ => Ok(()),
        }
    }

    async fn reserve(&self, member_id: &str, order: wire::Order, at: Instant) -> Result<(), DriveError> {
        let pay_with_units =
            wire::PayWithUnits { unit: String::new(), amount: Some(wire::pay_with_units::Amount::AllPossible(true)) };
        let request = wire::ReserveRequest {
            program_id: self.options.program_id.clone(),
            member_id: member_id.to_owned(),
            request_id: plan::request_id("reserve", &order.order_id),
            redeem: Some(wire::Redeem {
                mode: wire::RedeemMode::AsPossible.into(),
                pay_with_units: Some(pay_with_units),
                reward_ids: Vec::new(),
                voucher_ids: Vec::new(),
            }),
            order: Some(order),
            ttl_seconds: None,
            occurred_at: Some(stamp(at)),
            explain: false,
            quote_token: String::new(),
        };
        let answer = self.client.reserve(request).await?;
        self.note_replayed(answer.replayed);
        if answer.reserved {
            Tally::count(&self.tally.reservations);
        }
        Ok(())
    }

    async fn commit(&self, member_id: &str, order: wire::Order, at: Instant) -> Result<(), DriveError> {
        let order_id = order.order_id.clone();
        let request = wire::CommitRequest {
            program_id: self.options.program_id.clone(),
            member_id: member_id.to_owned(),
            request_id: plan::request_id("commit", &order_id),
            order: Some(order),
            // Absent: what the reservation redeems, else nothing.
            redeem: None,
            codes: Vec::new(),
            occurred_at: Some(stamp(at)),
            paid: false,
            tenders: Vec::new(),
            explain: false,
            quote_token: String::new(),
            visitor_id: String::new(),
            signals: None,
        };
        let answer = self.client.commit(request).await?;
        self.note_replayed(answer.replayed);
        match answer.status() {
            wire::CommitStatus::Committed => Tally::count(&self.tally.committed),
            wire::CommitStatus::AlreadyCommitted => Tally::count(&self.tally.committed_before),
            wire::CommitStatus::Refused | wire::CommitStatus::Unspecified => {
                self.tally.refuse(&order_id, &answer.decision.unwrap_or_default().refusals);
            }
        }
        Ok(())
    }

    fn note_replayed(&self, replayed: bool) {
        if replayed {
            Tally::count(&self.tally.replayed);
        }
    }
}

/// The date in UTC.
fn date(at: Instant) -> String {
    at.zoned(&jiff::tz::TimeZone::UTC).date().to_string()
}
