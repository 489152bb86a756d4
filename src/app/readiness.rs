//! Whether this instance can serve, told to whoever asks its health: only while the store answers and the clocks
//! agree. Nothing here ends the process; what comes back is used again.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::service::{Error, Service};
use crate::telemetry::metrics;

/// Between two looks at the store.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A look that takes longer has failed. Longer than a store takes to find out for itself.
const LOOK_LIMIT: Duration = Duration::from_secs(5);
/// How far this machine's clock and the store's may lie apart.
const SKEW_MS_MAX: i64 = 1_000;

/// Why an instance does not serve.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
enum NotReady {
    #[error("the store does not answer: {0}")]
    Store(String),
    #[error("the clock of this machine and that of the store are {skew_ms} ms apart")]
    Clock { skew_ms: i64 },
}

pub(super) struct Readiness {
    pub(super) service: Service,
    pub(super) clock: Clock,
    pub(super) health: HealthReporter,
    /// Full names of the services, as health reports them.
    pub(super) names: Vec<&'static str>,
    pub(super) stop: CancellationToken,
}

impl Readiness {
    pub(super) async fn tell(&self, ready: bool) {
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in self.names.iter().chain(&[""]) {
            self.health.set_service_status(*name, status).await;
        }
        metrics::store_up(ready);
    }

    /// Looks until told to stop. `published`: the programs have been published; otherwise that comes first.
    pub(super) async fn watch(self, mut published: bool) {
        let mut ready = published;
        let mut last_reason = None;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let found = self.look(&mut published).await;
            metrics::store_trips(self.service.store().trips());
            if self.stop.is_cancelled() {
                break;
            }
            match found {
                Ok(()) => {
                    if !ready {
                        info!("serving");
                        self.tell(true).await;
                    }
                    ready = true;
                    last_reason = None;
                }
                Err(reason) => {
                    if ready || last_reason.is_none() {
                        warn!(%reason, "not serving: {reason}");
                        self.tell(false).await;
                    }
                    ready = false;
                    last_reason = Some(reason);
                }
            }
        }
        self.tell(false).await;
    }

    async fn look(&self, published: &mut bool) -> Result<(), NotReady> {
        let look = async {
            if !*published {
                self.service.publish().await.map_err(|error| {
                    if !passes(&error) {
                        error!(%error, "the programs cannot be published");
                    }
                    NotReady::Store(error.to_string())
                })?;
                self.service.start_jobs();
                *published = true;
            }
            let store = self.service.store();
            store.ping().await.map_err(|error| NotReady::Store(error.to_string()))?;
            let before_ms = self.clock.now(None).0;
            let store_ms = store.now_ms().await.map_err(|error| NotReady::Store(error.to_string()))?;
            let after_ms = self.clock.now(None).0;
            let agreed = match store_ms {
                Some(store_ms) if !self.clock.follows() => agree(before_ms, store_ms, after_ms),
                _ => Ok(()),
            };
            self.service.trust_clock(agreed.is_ok());
            agreed
        };
        timeout(LOOK_LIMIT, look).await.unwrap_or_else(|_| Err(NotReady::Store("no answer in time".to_owned())))
    }
}

/// Whether a failure to publish is one that passes by itself.
pub(super) fn passes(error: &Error) -> bool {
    use crate::store;

    match error {
        Error::Store(store::Error::Unavailable | store::Error::OutcomeUnknown | store::Error::Moved)
        | Error::Contention => true,
        Error::Overloaded | Error::Draining | Error::ClockOff => true,
        Error::Store(
            store::Error::Corrupt { .. }
            | store::Error::SchemaTooNew { .. }
            | store::Error::OtherDeployment { .. }
            | store::Error::Unfit { .. },
        ) => false,
        Error::RequestIdReused { .. }
        | Error::RequestFenced
        | Error::ProgramUnknown
        | Error::NotFound { .. }
        | Error::Malformed { .. }
        | Error::LimitReached { .. }
        | Error::Internal(_) => false,
    }
}

/// The store read its clock at some moment between the two readings here.
fn agree(before_ms: i64, store_ms: i64, after_ms: i64) -> Result<(), NotReady> {
    let ahead_ms = before_ms.saturating_sub(store_ms);
    let behind_ms = store_ms.saturating_sub(after_ms);
    let skew_ms = ahead_ms.max(behind_ms);
    if SKEW_MS_MAX < skew_ms { Err(NotReady::Clock { skew_ms }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_lie_a_second_apart() {
        // before  store  after   skew that is too much
        for (before, store, after, expected) in [
            (5_000, 5_000, 5_000, None),
            (5_000, 4_000, 5_001, None),
            (5_000, 3_999, 5_001, Some(1_001)),
            (5_000, 6_100, 5_100, None),
            (5_000, 6_101, 5_100, Some(1_001)),
            (5_000, 9_000, 9_000, None), // the answer took long; nothing is wrong
        ] {
            let found = agree(before, store, after);
            let expected = expected.map_or(Ok(()), |skew_ms| Err(NotReady::Clock { skew_ms }));
            assert_eq!(found, expected, "{before} {store} {after}");
        }
    }
}
