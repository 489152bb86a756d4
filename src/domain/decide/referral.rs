//! Who brought whom, and what each side gets.

pub(super) use attribute::{attribute, confirm, take_codes};
pub(super) use codes::{create_code, update_code};
pub(super) use qualify::{
    OnOrder, Unsent, due, is_for_partners, on_amend, on_event, on_order, on_return, on_revoke, unsent,
};
pub(super) use receive::receive;
pub(super) use review::review;
pub(super) use suspect::keep;
pub(super) use visit::record_touch;

mod attribute;
pub(super) mod codes;
pub(super) mod qualify;
mod receive;
mod review;
pub(super) mod suspect;
mod visit;
