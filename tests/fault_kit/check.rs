//! What must hold when a run is over: every acknowledged write is there once, no other one twice, all ledgers
//! verify, and every balance is what the writes that happened make it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use guerdon::grpc::wire;

use super::load::Told;
use crate::support::server::{Clients, of_unit};

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Default, Debug)]
pub(crate) struct Found {
    pub(crate) acknowledged: usize,
    pub(crate) lost: Vec<String>,
    pub(crate) doubled: Vec<String>,
    pub(crate) diverged: Vec<String>,
}

impl Found {
    pub(crate) fn is_fine(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.diverged.is_empty()
    }
}

pub(crate) async fn check(url: &str, told: &[Told]) -> Found {
    let clients = Clients::connect_lazy(url);
    let mut found = Found { acknowledged: told.iter().filter(|told| told.acknowledged).count(), ..Found::default() };
    let mut model: BTreeMap<&str, i64> = BTreeMap::new();
    let mut orders: BTreeMap<&str, Vec<(&str, bool)>> = BTreeMap::new();
    // What several sent under one request id happens once.
    let mut counted = BTreeSet::new();
    for told in told {
        if told.refused {
            found.lost.push(format!("{told:?}"));
            continue;
        }
        let happened = is_known(&clients, told).await;
        if told.acknowledged && !happened {
            found.lost.push(format!("{told:?}"));
        }
        if happened && counted.insert((told.write.member_id(), told.write.request_id())) {
            for (member, amount) in &told.effects {
                *model.entry(member).or_default() += amount;
            }
        }
        if let Some(order) = &told.order {
            orders.entry(told.write.member_id()).or_default().push((order, told.acknowledged));
        }
    }
    for (member, orders) in orders {
        // How often each text is quoted in an entry that commits an order: once over all entries, which may be many.
        let mut committed: HashMap<String, usize> = HashMap::new();
        for entry in all_entries(&clients, member).await.iter().filter(|entry| entry.fact == "order_committed") {
            let quoted: HashSet<&str> = entry.detail_json.split('"').collect();
            quoted.into_iter().for_each(|text| *committed.entry(text.to_owned()).or_default() += 1);
        }
        for (order, acknowledged) in orders {
            let times = committed.get(order).copied().unwrap_or_default();
            if acknowledged && times == 0 {
                found.lost.push(format!("{member}: order {order} is not in the ledger"));
            }
            if 1 < times {
                found.doubled.push(format!("{member}: order {order} is in the ledger {times} times"));
            }
        }
    }
    for (member, expected) in model {
        if let Err(why) = settled(&clients, member, expected).await {
            found.diverged.push(why);
        }
    }
    found
}

/// Whether a write is known to have happened; one that has not never will.
async fn is_known(clients: &Clients, told: &Told) -> bool {
    let request = wire::GetOutcomeRequest {
        member_id: told.write.member_id().to_owned(),
        request_id: told.write.request_id().to_owned(),
        fence: !told.acknowledged,
        ..wire::GetOutcomeRequest::default()
    };
    let outcome =
        patiently("the outcome of a write", async || clients.checkout.clone().get_outcome(request.clone()).await).await;
    outcome.into_inner().answer.is_some()
}

async fn all_entries(clients: &Clients, member: &str) -> Vec<wire::Entry> {
    let mut entries = Vec::new();
    let mut page_token = String::new();
    loop {
        let request =
            wire::ListEntriesRequest { member_id: member.into(), page_size: 500, page_token, ..Default::default() };
        let page =
            patiently("a page", async || clients.member.clone().list_entries(request.clone()).await).await.into_inner();
        entries.extend(page.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return entries;
        }
    }
}

/// Effects to others may still be on their way, for a while.
async fn settled(clients: &Clients, member: &str, expected: i64) -> Result<(), String> {
    let started = Instant::now();
    loop {
        let request = wire::GetMemberRequest { member_id: member.into(), ..wire::GetMemberRequest::default() };
        let found =
            patiently("a member", async || clients.member.clone().get_member(request.clone()).await).await.into_inner();
        // What a clock that was ahead has dated is there, and becomes available then.
        let balances = found.member.unwrap().balances;
        let balance = of_unit(&balances, "points").map_or(0, |of| of.available + of.pending - of.debt);
        if balance == expected {
            break;
        }
        if PATIENCE / 3 < started.elapsed() {
            return Err(format!("{member} has {balance}, the model says {expected}"));
        }
        tokio::time::sleep(PAUSE).await;
    }
    let request = wire::VerifyMemberRequest { member_id: member.into(), ..wire::VerifyMemberRequest::default() };
    let proof =
        patiently("a proof", async || clients.ledger.clone().verify_member(request.clone()).await).await.into_inner();
    if proof.verified { Ok(()) } else { Err(format!("{member} does not verify: {:?}", proof.faults)) }
}

/// Reads until it is answered; whatever was broken may need a moment.
async fn patiently<T>(what: &str, mut read: impl AsyncFnMut() -> Result<T, tonic::Status>) -> T {
    let started = Instant::now();
    loop {
        match read().await {
            Ok(found) => return found,
            Err(status) if PATIENCE < started.elapsed() => panic!("{what}: {status:?}"),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
