//! What the service tells whoever measures it. Every method does nothing unless overridden.

use crate::domain::answer::TouchAnswer;
use crate::domain::id::ProgramId;
use crate::domain::referral::touch::TouchKind;

/// Receives counts; must be cheap and must not block.
pub trait Meter: Send + Sync {
    /// A commit met newer records and is decided again.
    fn conflict(&self) {}
    /// A commit is sent again because its outcome was unknown.
    fn resent(&self) {}
    /// A campaign gave far more than was expected and is paused from now on. `quota` names it.
    fn campaign_paused(&self, _program: &ProgramId, _quota: &str) {}
    /// An account was found in the cache, or not.
    fn cache(&self, _hit: bool) {}
    /// Calls waiting for their account's turn.
    fn queued(&self, _waiting: usize) {}
    /// An effect was delivered so long after it was decided.
    fn relayed(&self, _lag_ms: i64) {}
    /// An effect could not be delivered and waits.
    fn parked(&self) {}
    /// An account was brought up to date so long after something fell due.
    fn swept(&self, _lag_ms: i64) {}
    /// A touch was kept, dropped or refused, for the first time.
    fn touch(&self, _kind: TouchKind, _answer: &TouchAnswer) {}
}

/// Measures nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Meter for Silent {}
