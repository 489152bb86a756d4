//! Tags that rules gave. What the shop itself says of a member is in the profile.

use serde::{Deserialize, Serialize};

use super::{AccountState, ApplyError};
use crate::domain::id::Label;

/// A tag, for as long as one of those who gave it stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tag {
    pub tag: Label,
    /// The entry that gave it first: tells it from the same tag, taken away and given again.
    pub entry: u64,
    /// How many have given it since.
    pub givers: u32,
}

impl AccountState {
    pub const TAGS_MAX: usize = 64;

    pub fn has_tag(&self, tag: &Label) -> bool {
        self.tags.iter().any(|known| known.tag == *tag)
    }

    pub(super) fn tag(&mut self, add: &[Label], remove: &[Label], entry: u64) -> Result<(), ApplyError> {
        self.tags.retain(|known| !remove.contains(&known.tag));
        for tag in add {
            if let Some(known) = self.tags.iter_mut().find(|known| known.tag == *tag) {
                known.givers = known.givers.saturating_add(1);
                continue;
            }
            if AccountState::TAGS_MAX <= self.tags.len() {
                return Err(ApplyError::TooLarge);
            }
            self.tags.push(Tag { tag: tag.clone(), entry, givers: 1 });
        }
        Ok(())
    }

    /// Takes in tags of another account; of two of one name one stays, given by both.
    pub(super) fn take_tags(&mut self, tags: &[Tag]) {
        for tag in tags {
            let has_room = self.tags.len() < AccountState::TAGS_MAX;
            match self.tags.iter_mut().find(|known| known.tag == tag.tag) {
                Some(known) => known.givers = known.givers.saturating_add(tag.givers),
                None if has_room => self.tags.push(tag.clone()),
                None => {}
            }
        }
    }

    /// They go again; a tag that others have given, too, stays.
    pub(super) fn part_with_tags(&mut self, tags: &[Tag]) {
        for tag in tags {
            if let Some(known) = self.tags.iter_mut().find(|known| known.tag == tag.tag) {
                known.givers = known.givers.saturating_sub(tag.givers);
            }
        }
        self.tags.retain(|known| 0 < known.givers);
    }

    /// What was given is given no more, and what was taken away comes back, unless it was given again since.
    pub(super) fn untag(&mut self, given: &[(Label, u64)], back: &[Tag]) {
        for (tag, entry) in given {
            if let Some(at) = self.tags.iter().position(|known| known.tag == *tag && known.entry == *entry)
                && let Some(known) = self.tags.get_mut(at)
            {
                known.givers = known.givers.saturating_sub(1);
                if known.givers == 0 {
                    self.tags.remove(at);
                }
            }
        }
        for tag in back {
            if !self.has_tag(&tag.tag) && self.tags.len() < AccountState::TAGS_MAX {
                self.tags.push(tag.clone());
            }
        }
    }
}
