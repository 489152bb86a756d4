//! Who brought whom: codes, touches, the credit for them, what speaks against it, claims, and the circles that claims must not close.

pub mod code;
pub mod credit;
pub mod cycle;
pub mod fraud;
mod record;
pub mod signal;
pub mod touch;
pub mod tree;
mod weighed;

pub use record::{
    BroughtState, CodeOwner, CodeState, Owed, OwnCode, QualifiedBy, Referral, RejectedFor, SentGrant, Sharer,
    SideGrant, Via,
};
pub use weighed::{Considered, ModelSays, Outcome, TouchSeen, Weighing};
