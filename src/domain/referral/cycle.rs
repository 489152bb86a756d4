//! That nobody is, through however many others, their own advocate.
//!
//! Claims lie in the accounts of friends, in different partitions, so no commit can look at two of them. Therefore a
//! claim is made first and durably; then whoever confirms it walks from its advocate upwards, and pending claims count
//! as much as confirmed ones. Of the claims of a circle the one that was made last is walked when all the others can
//! be seen, so no circle is ever confirmed whole. Which of them falls does not depend on who walks when: the latest by
//! instant and friend of those still pending; everybody else waits for it.
//!
//! A friend who has no code yet needs no walk: nobody can have named them. Of a circle of such claims each would have
//! been made before the one that points to it.

use super::super::id::AccountId;
use super::super::time::Instant;

/// Friends between a claim and whoever was brought by nobody: as many are walked, and more are not allowed. Far more than any
/// chain that people make: which of the claims of a longer one falls depends on which are told first. A grown graph of 100,000
/// people has a chain of 336.
pub const HOPS_MAX: usize = 1_024;

/// A claim that a walk has met.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Whose claim it is.
    pub friend: AccountId,
    pub attributed_at: Instant,
    pub confirmed: bool,
}

impl Link {
    /// Of two claims in one circle the greater one falls.
    fn order(&self) -> (Instant, &str) {
        (self.attributed_at, self.friend.as_str())
    }
}

/// How a walk ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// At an account that was brought by nobody.
    Root,
    /// At the friend where it began.
    Friend,
    /// After [`HOPS_MAX`] claims.
    TooFar,
}

/// What becomes of a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Confirm,
    /// It would close a circle.
    Circle,
    ChainTooLong,
    /// Another pending claim of the same circle is decided first.
    Wait,
}

/// What becomes of the claim `own`, given the claims from its advocate upwards.
pub fn verdict(own: &Link, above: &[Link], end: End) -> Verdict {
    match end {
        End::Root => Verdict::Confirm,
        End::TooFar => Verdict::ChainTooLong,
        End::Friend => {
            let later = above.iter().any(|link| !link.confirmed && own.order() < link.order());
            if later { Verdict::Wait } else { Verdict::Circle }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(friend: &str, at: i64, confirmed: bool) -> Link {
        Link { friend: AccountId::parse(friend).expect("an id"), attributed_at: Instant(at), confirmed }
    }

    #[test]
    fn r10_of_a_circle_the_latest_pending_claim_falls() {
        let own = link("mia", 5, false);
        for (above, end, expected) in [
            (vec![], End::Root, Verdict::Confirm),
            (vec![link("leo", 9, false)], End::Root, Verdict::Confirm),
            (vec![link("leo", 4, false)], End::Friend, Verdict::Circle),
            (vec![link("leo", 6, false)], End::Friend, Verdict::Wait),
            // What is confirmed stays, however late it was.
            (vec![link("leo", 6, true)], End::Friend, Verdict::Circle),
            // At one instant the ids decide.
            (vec![link("leo", 5, false)], End::Friend, Verdict::Circle),
            (vec![link("zoe", 5, false)], End::Friend, Verdict::Wait),
            (vec![link("leo", 4, true), link("zoe", 6, false)], End::Friend, Verdict::Wait),
            (vec![link("leo", 4, true)], End::TooFar, Verdict::ChainTooLong),
        ] {
            assert_eq!(verdict(&own, &above, end), expected, "{above:?} {end:?}");
        }
    }
}
