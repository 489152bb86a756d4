//! What would be logged with every call for as long as it lasts: it is logged when it begins, and once a minute then.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long something that was said is not said again.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Different things that are remembered; a server that makes up names for its errors does not fill the memory.
const KINDS_MAX: usize = 64;

/// When each thing was said last.
#[derive(Debug, Default)]
pub(super) struct Repeated(Mutex<HashMap<Box<str>, Instant>>);

impl Repeated {
    /// Whether nobody has been told of it for a minute; who asks tells.
    pub(super) fn is_news(&self, what: &str) -> bool {
        self.is_news_at(what, Instant::now())
    }

    fn is_news_at(&self, what: &str, now: Instant) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.get(what).is_some_and(|at| now.duration_since(*at) < SAID_AGAIN_AFTER) {
            return false;
        }
        if KINDS_MAX <= said.len() {
            said.clear();
        }
        said.insert(what.into(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_said_once_a_minute_each_thing_by_itself() {
        let said = Repeated::default();
        let begin = Instant::now();
        for (what, after_s, expected) in [
            ("the disk is full", 0, true),
            ("the disk is full", 1, false),
            ("the file is damaged", 2, true),
            ("the disk is full", 59, false),
            ("the disk is full", 60, true),
            ("the disk is full", 61, false),
            ("the file is damaged", 61, false),
            ("the file is damaged", 62, true),
        ] {
            let news = said.is_news_at(what, begin + Duration::from_secs(after_s));
            assert_eq!(news, expected, "{what} after {after_s} s");
        }
    }

    #[test]
    fn not_everything_is_remembered() {
        let said = Repeated::default();
        let now = Instant::now();
        for n in 0..10 * KINDS_MAX {
            assert!(said.is_news_at(&n.to_string(), now));
        }
        assert!(said.0.lock().unwrap().len() <= KINDS_MAX);
    }
}
