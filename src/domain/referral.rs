//! Who brought whom: codes, claims, and the circles that claims must not close.

pub mod code;
pub mod cycle;
mod record;

pub use record::{
    BroughtState, CodeOwner, CodeState, Owed, OwnCode, QualifiedBy, Referral, RejectedFor, SentGrant, SideGrant, Via,
};
