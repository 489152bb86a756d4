//! Prize draws.

use super::{Instant, Label};
use crate::domain::awards::Prize;
use crate::domain::draw::Seed;
use crate::domain::id::{DrawId, ProgramId};
use crate::domain::quota::QuotaKey;

/// A draw: with fixed odds, or with a fixed pool of prizes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draw {
    pub id: DrawId,
    pub title: String,
    /// SHA-256 of the seed.
    pub commitment: [u8; 32],
    /// From then on nothing is drawn, and the seed is no secret.
    pub ends_at: Instant,
    /// Tickets in the drum; each is as likely.
    pub of: i64,
    /// Each wins with the tickets that follow those of the prizes before it.
    pub prizes: Vec<DrawPrize>,
    /// The server's; `None`: it has none that the commitment is of.
    pub seed: Option<Seed>,
    /// Each ticket is drawn at most once; otherwise each draw has all of them.
    pub once: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DrawPrize {
    pub id: Label,
    /// How many tickets win it.
    pub tickets: i64,
    pub what: Prize,
    /// How many units, or stamps; 1 for what is not counted.
    pub count: i64,
}

impl Draw {
    /// The drum that tickets are taken out of for good. Another seed, or another number of tickets, is another drum.
    pub fn drum(&self, program: &ProgramId) -> QuotaKey {
        let seed: String = self.commitment.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        QuotaKey::ever(program, &["draw", self.id.as_str(), &seed, &self.of.to_string()])
    }

    /// What a ticket wins.
    pub fn prize(&self, ticket: i64) -> Option<&DrawPrize> {
        let mut first = 0i64;
        self.prizes.iter().find(|prize| {
            let wins = first <= ticket && ticket < first.saturating_add(prize.tickets);
            first = first.saturating_add(prize.tickets);
            wins
        })
    }
}

impl super::Program {
    pub fn draw(&self, draw: &DrawId) -> Option<&Draw> {
        self.draws.iter().find(|known| known.id == *draw)
    }

    /// Gives each draw the seed that it is committed to, where there is one.
    pub fn arm(&mut self, seeds: &[Seed]) {
        for draw in &mut self.draws {
            draw.seed = seeds.iter().find(|seed| seed.commitment() == draw.commitment).cloned();
        }
    }
}
