//! Commits that come while the store is away: they are written to the journal, and carried out once it is back.
//!
//! Each is settled under the request id that it came with, so it happens once: whatever of it was done before, here or
//! elsewhere, by this or by a resend of the caller, its receipt tells.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use super::{Calls, Error, Inner, Service, Write, write};
use crate::domain::id::ProgramId;
use crate::domain::ledger::{decode, encode};
use crate::domain::time::Instant;
use crate::store;

/// Between two looks at whether the store is back.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Carried out between two looks at whether this instance is to end.
const STEP: usize = 64;

/// As it is written to the journal.
#[derive(Serialize, Deserialize)]
struct Promise {
    program: ProgramId,
    taken_at: Instant,
    /// As the wire has it.
    request: Vec<u8>,
}

/// Makes a write of a request of a program; `None`: this version of the server cannot.
pub type Reading = fn(&dyn Calls, &ProgramId, &[u8]) -> Option<Write>;

/// Takes a request whose store is away; false: it is not taken.
pub(super) async fn take(inner: &Inner, program: &ProgramId, request: Vec<u8>) -> Result<bool, Error> {
    let Some(journal) = &inner.options.journal else { return Ok(false) };
    // What it will be decided by is known here.
    if inner.timeline(program).is_err() {
        return Ok(false);
    }
    let promise = Promise { program: program.clone(), taken_at: inner.clock.now(None), request };
    let Ok(written) = journal.promise(encode(&promise)) else { return Ok(false) };
    if !journal.synced(written.through).await {
        // It may be found in the journal after a restart.
        return Err(Error::Store(store::Error::OutcomeUnknown));
    }
    Ok(true)
}

/// Starts what carries them out.
pub(super) fn start(service: &Service, read: Reading) {
    if service.inner.options.journal.is_none() {
        return;
    }
    let inner = Arc::clone(&service.inner);
    let calls = service.clone();
    service.inner.tracker.spawn(async move {
        loop {
            tokio::select! {
                () = inner.stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            while keep_some(&inner, &calls, read).await {}
        }
    });
}

/// Carries out what was promised first. Whether there is more that could be.
async fn keep_some(inner: &Arc<Inner>, calls: &Service, read: Reading) -> bool {
    let Some(journal) = &inner.options.journal else { return false };
    let promised = journal.promised(STEP);
    if promised.is_empty() || inner.stop.is_cancelled() || inner.store.ping().await.is_err() {
        return false;
    }
    let mut kept = 0;
    for (id, bytes) in &promised {
        let write = decode::<Promise>(bytes).ok().and_then(|promise| {
            let write = read(calls, &promise.program, &promise.request)?;
            Some(Write { occurred_at: write.occurred_at.or(Some(promise.taken_at)), ..write })
        });
        let Some(write) = write else {
            error!(promise = id, "a commit that was accepted while the store was away cannot be read");
            continue;
        };
        let request = write.request_id.clone();
        match write::write(inner, Box::new(write)).await {
            Ok(_) => {}
            Err(error @ (Error::RequestIdReused { .. } | Error::RequestFenced)) => {
                // The caller has made something else of it meanwhile.
                warn!(request.id = %request, %error, "a commit that was accepted while the store was away is void");
            }
            Err(error) => {
                warn!(request.id = %request, %error, "a commit that was accepted while the store was away waits on");
                if error.is_everywhere() {
                    return false;
                }
                // One that cannot be carried out for now keeps no other from it.
                continue;
            }
        }
        journal.kept(*id);
        kept += 1;
    }
    info!(commits = kept, "carried out commits that were accepted while the store was away");
    0 < kept && kept == promised.len()
}
