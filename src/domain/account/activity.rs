//! What a member has been doing: the last event of each type, when there was anything at all, and the occasions so far.

use serde::{Deserialize, Serialize};

use super::AccountState;
use crate::domain::event_record::EventState;
use crate::domain::id::{Label, MemberId, RuleId};
use crate::domain::time::Instant;

/// The last event of a type.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LastEvent {
    pub kind: Label,
    pub member: MemberId,
    pub at: Instant,
}

impl LastEvent {
    /// Of one account; more than a program declares for one person. The one that is longest ago makes room.
    pub const KEPT_MAX: usize = 128;
}

/// How far an occasion of a member has come, by rule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OccasionState {
    pub rule: RuleId,
    pub member: MemberId,
    /// The last occasion that came; [`Instant`] 0: none yet.
    pub came_at: Instant,
    /// The last occasion that a notice was given of.
    pub noticed_at: Instant,
}

impl OccasionState {
    /// Of one account. The one that came longest ago makes room.
    pub const KEPT_MAX: usize = 256;
}

impl AccountState {
    /// How far the occasions of a rule have come.
    pub fn occasion(&self, rule: &RuleId, member: &MemberId) -> Option<&OccasionState> {
        self.occasions.iter().find(|known| known.rule == *rule && known.member == *member)
    }

    pub(super) fn note_occasion(&mut self, rule: &RuleId, member: &MemberId, at: Instant, came: bool) {
        let known = self.occasions.iter().position(|known| known.rule == *rule && known.member == *member);
        let place = known.unwrap_or_else(|| {
            if OccasionState::KEPT_MAX <= self.occasions.len() {
                let oldest = self.occasions.iter().enumerate().min_by_key(|(_, known)| known.came_at);
                let oldest = oldest.map_or(0, |(place, _)| place);
                self.occasions.remove(oldest);
            }
            let (rule, member) = (rule.clone(), member.clone());
            self.occasions.push(OccasionState { rule, member, came_at: Instant(0), noticed_at: Instant(0) });
            self.occasions.len() - 1
        });
        if let Some(known) = self.occasions.get_mut(place) {
            let which = if came { &mut known.came_at } else { &mut known.noticed_at };
            *which = (*which).max(at);
        }
    }

    /// When a member's last event of a type happened, whatever became of it.
    pub fn last_event(&self, kind: &Label, member: &MemberId) -> Option<Instant> {
        self.events.iter().find(|last| last.kind == *kind && last.member == *member).map(|last| last.at)
    }

    /// Notes an order or an event.
    pub(super) fn was_active(&mut self, at: Instant) {
        self.active_at = self.active_at.max(at);
    }

    pub(super) fn note_event(&mut self, kind: &Label, member: &MemberId, state: EventState, at: Instant) {
        if !matches!(state, EventState::Pending | EventState::Approved) {
            return;
        }
        self.was_active(at);
        if let Some(last) = self.events.iter_mut().find(|last| last.kind == *kind && last.member == *member) {
            last.at = last.at.max(at);
            return;
        }
        if LastEvent::KEPT_MAX <= self.events.len() {
            let oldest = self.events.iter().enumerate().min_by_key(|(_, last)| last.at).map(|(place, _)| place);
            self.events.remove(oldest.unwrap_or(0));
        }
        self.events.push(LastEvent { kind: kind.clone(), member: member.clone(), at });
    }
}
