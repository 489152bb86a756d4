//! Customers: each sends writes one after the other, again under the same request id until an answer comes, and
//! remembers every one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use guerdon::grpc::wire;

use crate::support::server::{
    Answer, Clients, Write, adjust, commit, create_code, enroll, everything, give_back, order,
};

/// Those who share one member besides.
pub(crate) const CUSTOMERS: usize = 4;
/// How long one attempt may take before the customer leaves it. Above the deadline that the server keeps by itself.
const ATTEMPT_MAX: Duration = Duration::from_secs(4);
/// How long a customer goes on sending one write.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(15);
/// Between the writes of a customer, so that long runs are about faults and not about load.
const REST: Duration = Duration::from_millis(5);
const STEPS_OF_SHARED: usize = 500;

/// What all customers share.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) answered: AtomicU64,
    pub(crate) calls: AtomicU64,
    /// Attempts that outlasted every deadline.
    pub(crate) held: AtomicU64,
    pub(crate) enough: AtomicBool,
}

/// A write, what it does to balances when it happens, and what became of it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) write: Write,
    pub(crate) effects: Vec<(String, i64)>,
    /// The order that it commits.
    pub(crate) order: Option<String>,
    /// What attempts were answered; the last one is `ok` if the write was acknowledged.
    pub(crate) attempts: Vec<String>,
    pub(crate) acknowledged: bool,
    /// Answered by a "no", for something that was acknowledged before is not there.
    pub(crate) refused: bool,
}

/// All members of a run: one of each customer, and those that they share, one after the other: an account holds
/// so many lots and no more.
pub(crate) fn shared_member(run: &str, step: usize) -> String {
    format!("{run}-all-{}", step / STEPS_OF_SHARED)
}

pub(crate) fn member(run: &str, customer: usize) -> String {
    format!("{run}-{customer}")
}

/// What enrolling brings.
const WELCOME: i64 = 100;

pub(crate) async fn customer(run: String, number: usize, urls: Vec<String>, progress: Arc<Progress>) -> Vec<Told> {
    let servers: Vec<Clients> = urls.iter().map(|url| Clients::connect_lazy(url)).collect();
    let mut shop = Shop { servers, at: number, progress, told: Vec::new() };
    let me = member(&run, number);
    shop.send(enroll(&me), vec![(me.clone(), WELCOME)], None).await;
    let code = match shop.send(create_code(&me, &format!("code-{me}")), Vec::new(), None).await {
        Some(answer) => answer.create_code().code,
        None => return shop.told,
    };
    for step in 0_usize.. {
        if shop.progress.enough.load(Ordering::Acquire) {
            break;
        }
        let (id, all) = (format!("{me}-{step}"), shared_member(&run, step));
        if step % STEPS_OF_SHARED == 0 {
            // Each of them under one request id, so that it is there for all of them, and counts once.
            shop.send(enroll(&all), vec![(all.clone(), WELCOME)], None).await;
        }
        tokio::time::sleep(REST).await;
        match step % 5 {
            0 => {
                let write = commit(&me, &id, order(&id, 20_00));
                shop.send(write, vec![(me.clone(), 20)], Some(id.clone())).await;
            }
            1 => {
                shop.send(adjust(&all, &id, 7), vec![(all.clone(), 7)], None).await;
            }
            2 => {
                let write = commit(&all, &id, order(&id, 10_00));
                shop.send(write, vec![(all.clone(), 10)], Some(id.clone())).await;
            }
            3 => {
                let bought = format!("{me}-{}", step - 3);
                let write = give_back(&me, &id, &bought, &format!("back-{id}"), everything());
                // What was never acknowledged may never have happened: then there is nothing to give back.
                if shop.has(&bought) {
                    shop.send(write, vec![(me.clone(), -20)], None).await;
                }
            }
            _ => {
                let friend = format!("{id}-friend");
                let joined = shop.send(enroll(&friend), vec![(friend.clone(), WELCOME)], None).await;
                if joined.is_some() {
                    let effects = vec![(friend.clone(), 25 + 100), (me.clone(), 250)];
                    let bought = wire::CommitRequest {
                        member_id: friend,
                        request_id: id.clone(),
                        order: Some(order(&id, 25_00)),
                        codes: vec![code.clone()],
                        ..wire::CommitRequest::default()
                    };
                    shop.send(Write::Commit(bought), effects, Some(id.clone())).await;
                }
            }
        }
    }
    shop.told
}

/// Whether a commit was accepted without being decided.
pub(crate) fn is_journaled(answer: &Answer) -> bool {
    matches!(answer, Answer::Commit(response) if response.mode() == wire::CommitMode::Journaled)
}

struct Shop {
    servers: Vec<Clients>,
    /// Which server is called next.
    at: usize,
    progress: Arc<Progress>,
    told: Vec<Told>,
}

impl Shop {
    fn has(&self, order: &str) -> bool {
        self.told.iter().any(|told| told.acknowledged && told.order.as_deref() == Some(order))
    }

    async fn send(&mut self, write: Write, effects: Vec<(String, i64)>, order: Option<String>) -> Option<Answer> {
        let mut told = Told { write, effects, order, attempts: Vec::new(), acknowledged: false, refused: false };
        let started = Instant::now();
        let mut answer = None;
        while started.elapsed() < PATIENCE {
            let clients = &self.servers[self.at % self.servers.len()];
            self.progress.calls.fetch_add(1, Ordering::Relaxed);
            match tokio::time::timeout(ATTEMPT_MAX, clients.try_send(&told.write)).await {
                // It will be carried out. What builds on it is asked for once it has been.
                Ok(Ok(found)) if is_journaled(&found) => {
                    told.acknowledged = true;
                    told.attempts.push("journaled".to_owned());
                }
                Ok(Ok(found)) => {
                    told.acknowledged = true;
                    if found.refusals().is_empty() {
                        told.attempts.push("ok".to_owned());
                        answer = Some(found);
                    } else {
                        // All that a write needs was acknowledged before: it is gone.
                        told.attempts.push(format!("refused: {found:?}"));
                        told.refused = true;
                    }
                    break;
                }
                Ok(Err(status)) => told.attempts.push(format!("{:?}: {}", status.code(), status.message())),
                Err(_elapsed) => {
                    self.progress.held.fetch_add(1, Ordering::Relaxed);
                    told.attempts.push("held beyond the deadline".to_owned());
                }
            }
            // The next attempt goes elsewhere.
            self.at += 1;
            tokio::time::sleep(PAUSE).await;
        }
        if told.acknowledged {
            self.progress.answered.fetch_add(1, Ordering::Release);
        }
        self.told.push(told);
        answer
    }
}
