//! What a quote that a command relies on pins, and what of it is otherwise by now.

use super::super::answer::{Change, Decided, Reason, Refusal, Subject};
use super::super::command::{Command, Redeem};
use super::super::order::Order;
use super::super::program::Timeline;
use super::super::quote::{Pin, Quote, Relied, cart, promises, wish};
use super::super::time::{Instant, Times};
use super::Snapshot;
use super::promise;

/// How a command stands to the quote that it relies on.
pub(super) enum Standing<'a> {
    /// It relies on none.
    Free,
    /// It is decided as it was quoted.
    Pinned(&'a Pin),
    /// It is decided as of now, if at all; what was quoted, where that is known.
    Lost(Option<&'a Pin>, Reason),
}

impl<'a> Standing<'a> {
    pub(super) fn of(
        timeline: &'a Timeline,
        snapshot: &'a Snapshot,
        command: &'a Command,
        now: Instant,
    ) -> Standing<'a> {
        match command {
            Command::Reserve(reserve) => reserve
                .quote
                .as_ref()
                .map_or(Standing::Free, |quote| stands(timeline, snapshot, quote, &reserve.order, now)),
            Command::Commit(commit) => match &commit.quote {
                Some(quote) => stands(timeline, snapshot, quote, &commit.order, now),
                // What was reserved on the strength of a quote is bought on it.
                None => {
                    let hold = snapshot.account.as_ref().and_then(|state| state.hold(&commit.order.order_id));
                    let hold = hold.filter(|hold| commit.paid || (hold.is_open() && now < hold.at));
                    let pin = hold.and_then(|hold| hold.pin.as_deref());
                    let stands = pin.filter(|pin| pin.cart == cart(&commit.order) && is_known(timeline, pin, now));
                    stands.map_or(Standing::Free, Standing::Pinned)
                }
            },
            _ => Standing::Free,
        }
    }

    /// The instants by which a command is decided.
    pub(super) fn times(&self, times: Times) -> Times {
        match self {
            Standing::Pinned(pin) => Times { effective_at: pin.at, ..times },
            Standing::Free | Standing::Lost(..) => times,
        }
    }

    /// Whether what is to be used is what was quoted.
    pub(super) fn wants_the_same(&self, redeem: Option<&Redeem>) -> bool {
        match self {
            Standing::Pinned(pin) | Standing::Lost(Some(pin), _) => wish(redeem) == pin.wish,
            Standing::Free | Standing::Lost(None, _) => false,
        }
    }

    /// Why it is not decided as it was quoted.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self {
            Standing::Lost(_, reason) => Some(Refusal::new(Subject::Quote, *reason)),
            Standing::Free | Standing::Pinned(_) => None,
        }
    }

    /// What is not as it was quoted; `None`: nothing was. `earned`: whether what is earned has been decided; `same`: whether
    /// it is to be used what was quoted.
    pub(super) fn changes(&self, decided: &Decided, earned: bool, same: bool) -> Option<Vec<Change>> {
        let (pin, lost) = match self {
            Standing::Free | Standing::Lost(None, _) => return None,
            Standing::Pinned(pin) => (pin, None),
            Standing::Lost(Some(pin), reason) => (pin, Some(*reason)),
        };
        let is_shown = |subject: &Subject| earned || !matches!(subject, Subject::Units(_));
        let mut quoted = pin.promises.clone();
        quoted.retain(|promise| is_shown(&promise.subject));
        let mut now = promises(decided);
        now.retain(|promise| is_shown(&promise.subject));
        let mut changes = promise::changes(&quoted, &now, &decided.refusals);
        for change in changes.iter_mut().filter(|change| change.reason == Reason::OrderChanged) {
            let is_short = matches!(change.subject, Subject::Units(_)) && change.now < change.quoted;
            let bound =
                decided.refusals.iter().find(|refusal| is_short && matches!(refusal.subject, Subject::Bound(_)));
            change.reason = match (lost, bound) {
                (Some(lost), _) => lost,
                (None, Some(refusal)) => refusal.reason,
                (None, None) if same => Reason::AccountChanged,
                (None, None) => Reason::OrderChanged,
            };
        }
        Some(changes)
    }
}

fn stands<'a>(
    timeline: &Timeline,
    snapshot: &Snapshot,
    quote: &'a Relied,
    order: &Order,
    now: Instant,
) -> Standing<'a> {
    let quote: &Quote = match quote {
        Relied::Signed(quote) => quote,
        Relied::Invalid | Relied::Token(_) => return Standing::Lost(None, Reason::QuoteInvalid),
    };
    let asks = snapshot.member.as_ref().filter(|member| !member.is_guest());
    if quote.program != snapshot.program || quote.member.as_ref() != asks {
        return Standing::Lost(None, Reason::QuoteForeign);
    }
    if quote.pin.cart != cart(order) {
        return Standing::Lost(Some(&quote.pin), Reason::QuoteOfOtherCart);
    }
    if quote.honoured_until <= now || !is_known(timeline, &quote.pin, now) {
        return Standing::Lost(Some(&quote.pin), Reason::QuoteExpired);
    }
    Standing::Pinned(&quote.pin)
}

/// Whether the version of the quote can still be decided under.
fn is_known(timeline: &Timeline, pin: &Pin, now: Instant) -> bool {
    let back_dating_ms_max = timeline.at(pin.at).map(|terms| (terms.back_dating_ms_max, terms.version == pin.version));
    back_dating_ms_max.is_some_and(|(ms, same)| same && now.minus_ms(ms) <= pin.at)
}
