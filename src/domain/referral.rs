//! Who brought whom: codes, touches, the credit for them, claims, and the circles that claims must not close.

pub mod code;
pub mod credit;
pub mod cycle;
mod record;
pub mod touch;
mod weighed;

pub use record::{
    BroughtState, CodeOwner, CodeState, Owed, OwnCode, QualifiedBy, Referral, RejectedFor, SentGrant, Sharer,
    SideGrant, Via,
};
pub use weighed::{Considered, ModelSays, Outcome, TouchSeen, Weighing};
