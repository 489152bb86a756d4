//! One queue per account: calls for it are served in the order in which they came.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::store::Key;

/// Queues of all accounts that have calls right now.
#[derive(Clone, Debug)]
pub(super) struct Queues {
    lanes: Arc<Mutex<HashMap<Key, Lane>>>,
    waiting_max: usize,
}

#[derive(Debug)]
struct Lane {
    turn: Arc<tokio::sync::Mutex<()>>,
    waiting: usize,
}

/// Somebody's turn; the next is served when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    queues: Queues,
    key: Key,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Queues {
    pub(super) fn new(waiting_max: usize) -> Queues {
        Queues { lanes: Arc::default(), waiting_max }
    }

    /// Waits for the turn of this account; `None` when too many wait already.
    pub(super) async fn turn(&self, key: &Key) -> Option<Turn> {
        let turn = {
            let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            let lane = lanes
                .entry(key.clone())
                .or_insert_with(|| Lane { turn: Arc::new(tokio::sync::Mutex::new(())), waiting: 0 });
            if self.waiting_max <= lane.waiting {
                return None;
            }
            lane.waiting += 1;
            Arc::clone(&lane.turn)
        };
        // Made before waiting, so that a caller who gives up while waiting is counted out.
        let mut place = Turn { queues: self.clone(), key: key.clone(), guard: None };
        place.guard = Some(turn.lock_owned().await);
        Some(place)
    }

    pub(super) fn depth(&self, key: &Key) -> usize {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.get(key).map_or(0, |lane| lane.waiting)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.guard.take());
        let mut lanes = self.queues.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get_mut(&self.key) {
            lane.waiting = lane.waiting.saturating_sub(1);
            if lane.waiting == 0 {
                lanes.remove(&self.key);
            }
        }
    }
}
