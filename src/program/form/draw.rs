//! Prize draws.

use serde_json::json;

use super::rule::BonusSection;
use super::*;
use crate::domain::awards::Award;
use crate::domain::draw::bytes_of;
use crate::domain::id::DrawId;
use crate::domain::program::{Draw, DrawPrize};
use crate::program::read::declared;

declared!(DrawName -> DrawId, "draws", "draw");

/// A SHA-256, in hexadecimal.
pub(in crate::program) struct Sha256Text;

impl Value for Sha256Text {
    type Out = [u8; 32];

    fn read(node: &Node, r: &mut Reader) -> Option<[u8; 32]> {
        let text = r.scalar(node, "a SHA-256 in hexadecimal")?;
        let bytes = bytes_of(text).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        if bytes.is_none() {
            let hint = "write 64 hexadecimal digits in quotes: `guerdon draw commit` prints them for a seed";
            r.fault(node.pos, format!("{} is no SHA-256 in hexadecimal", quoted(text)), Some(hint));
        }
        bytes
    }

    fn phrase() -> String {
        "64 hexadecimal digits, in quotes".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[0-9a-fA-F]{64}$" })
    }
}

section! {
    /// A prize draw that anybody can recompute, with fixed odds or (`once`) with a fixed pool of prizes: the program states the SHA-256 of a secret seed, the
    /// server holds the seed (`draw_seeds`), and when the draw is over GetDraw reveals it. The ticket is the first 16
    /// bytes of HMAC-SHA256(seed, `draw|account|cause`), as a number from the most significant byte on, modulo `of`.
    /// With `once` it is the place that the ticket's number has in an order that the seed alone gives; GetDraw tells how it is
    /// computed, and ListDrawTickets lists in which order tickets were taken.
    /// A preview draws nothing. A server without the seed draws nothing either, and says so.
    DrawSection = "draw" {
        /// Names the draw in rules and in the ledger.
        id: Name<DrawId>, Required;
        /// What people call it.
        title: Title, Required;
        /// SHA-256 of the bytes of the seed.
        commitment: Sha256Text, Required;
        /// Until before this instant there are draws; from then on the seed is revealed.
        ends_at: Moment, Required;
        /// Tickets in the drum; each is as likely, and each draw has all of them (but see `once`).
        of: Whole<1, 1_000_000_000>, Required;
        /// What the tickets win, from ticket 0 on in this order; those that are left win nothing.
        prizes: Identified<DrawPrizeSection, 100>, Required;
        /// Whether each ticket is drawn at most once: the prizes are a pool that is never overdrawn, and the drum is empty after
        /// `of` draws. What a return takes back later does not go back into the drum. Another `of` or `commitment` is another drum.
        once: Flag, Default("false");
    }
}

impl Build for DrawSection {
    type Out = Draw;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Draw> {
        if let (Some(of), Some(prizes)) = (&self.of, &self.prizes) {
            let tickets: i64 = prizes.value.iter().map(|(_, prize)| prize.tickets).sum();
            if of.value < tickets {
                let message = format!("{tickets} tickets win, but there are only {}", of.value);
                r.fault_at(prizes, message, Some("raise `of`, or give prizes fewer tickets"));
            }
        }
        Some(Draw {
            id: self.id?.value,
            title: self.title?.value,
            commitment: self.commitment?.value,
            ends_at: self.ends_at?.value,
            of: self.of?.value,
            prizes: without_places(self.prizes?.value),
            seed: None,
            once: self.once?.value,
        })
    }
}

section! {
    /// A prize.
    DrawPrizeSection = "draw prize" {
        /// Names the prize in answers and in the ledger.
        id: LabelText, Required;
        /// How many tickets win it.
        tickets: Whole<1, 1_000_000_000>, Required;
        /// What it is.
        gives: PrizeChoice, Required;
    }
}

impl Build for DrawPrizeSection {
    type Out = DrawPrize;

    fn build(self, _: Pos, _: &mut Reader) -> Option<DrawPrize> {
        let (what, count) = Award::prize_of(&self.gives?.value)?;
        Some(DrawPrize { id: self.id?.value, tickets: self.tickets?.value, what, count })
    }
}

choice! {
    /// What a prize is: exactly one of these.
    PrizeChoice = "prize" -> Then {
        /// A fixed number of units.
        bonus: BonusSection => Then::Bonus;
        /// Stamps on a card.
        stamps: StampsSection => Then::Stamps;
        /// A voucher for a reward.
        voucher: VoucherSection => Then::Voucher;
    }
}

section! {
    /// A ticket in a draw.
    DrawTicketSection = "draw ticket" {
        /// Which draw.
        draw: DrawName, Required;
    }
}

impl Build for DrawTicketSection {
    type Out = DrawId;

    fn build(self, _: Pos, _: &mut Reader) -> Option<DrawId> {
        Some(self.draw?.value)
    }
}
