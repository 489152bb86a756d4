//! Stamp cards: what stands on them, what filled ones have issued, and what returns took.
//!
//! Stamps of one card id are a running sum that cards cut into pieces: a stamp taken back comes off the open card,
//! whichever card it was put on, and when that is empty off the last full one, whose voucher goes with it. So
//! returns end alike in whatever order they come. Only stamps on a card that expired are told apart: they are gone already.

use serde::{Deserialize, Serialize};

use super::vouchers::VoucherState;
use super::{AccountState, ApplyError};
use crate::domain::id::{CardId, VoucherId};
use crate::domain::program::CardsMax;
use crate::domain::time::{Day, Instant};

/// All cards of one id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CardState {
    pub card: CardId,
    pub open: Option<OpenCard>,
    /// Stamps to be repaid by the next ones; 0 while a card is open.
    pub owed: i64,
    /// Cards begun so far: numbers them.
    pub begun: u32,
    /// Cards filled so far, those reopened since included: numbers their vouchers.
    pub filled_ever: u32,
    /// When cards were begun that still count; at most [`CardsMax::CARDS_MAX`].
    pub beginnings: Vec<Instant>,
    /// Full cards whose voucher may come back, in the order in which they were filled.
    pub filled: Vec<FilledCard>,
    /// Stamps that were lost with an expired card or voucher: a return need not take them.
    pub lapsed: Vec<LapsedStamps>,
    /// Days on which visits were stamped, ascending; at most [`CardState::VISITS_MAX`].
    pub visits: Vec<Day>,
}

/// A card with a stamp on it. Its terms are those of when it was begun.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OpenCard {
    pub number: u32,
    pub begun_at: Instant,
    /// [`Instant::MAX`]: never.
    pub expires_at: Instant,
    /// Stamps to be earned; those that are there for free not included.
    pub to_earn: i64,
    /// Stamps that are there for free.
    pub start: i64,
    /// Earned so far; at least 1, and below `to_earn` once what fills it was handed out.
    pub stamps: i64,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FilledCard {
    pub card: OpenCard,
    pub voucher: VoucherId,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LapsedStamps {
    pub number: u32,
    pub stamps: i64,
    pub lapsed_at: Instant,
}

/// Stamps on one card.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StampsOn {
    pub number: u32,
    pub stamps: i64,
}

/// What is begun with a first stamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewCard {
    pub expires_at: Instant,
    pub to_earn: i64,
    pub start: i64,
}

/// What a return takes of stamps.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TakenStamps {
    /// Off the open card.
    pub taken: i64,
    /// Gone already, by card.
    pub lapsed: Vec<StampsOn>,
    /// To be repaid, or covered by a voucher that is not used.
    pub owed: i64,
    pub forgiven: i64,
    /// The visit that counts no more.
    pub visit: Option<Day>,
}

impl CardState {
    /// Cards of different ids that an account has; the one that stood still the longest makes room.
    pub const IDS_MAX: usize = 64;
    const FILLED_MAX: usize = 50;
    const LAPSED_MAX: usize = 50;
    pub const VISITS_MAX: usize = 400;

    fn new(card: CardId) -> CardState {
        CardState {
            card,
            open: None,
            owed: 0,
            begun: 0,
            filled_ever: 0,
            beginnings: Vec::new(),
            filled: Vec::new(),
            lapsed: Vec::new(),
            visits: Vec::new(),
        }
    }

    /// Stamps on the open card, those for free included, and what fills it.
    pub fn progress(&self) -> Option<(i64, i64)> {
        let open = self.open.as_ref()?;
        Some((open.start.saturating_add(open.stamps), open.start.saturating_add(open.to_earn)))
    }

    fn begin(&mut self, new: NewCard, at: Instant) -> Result<(), ApplyError> {
        if self.open.is_some() {
            return Err(ApplyError::Inconsistent("a card is begun while another is open"));
        }
        self.begun = self.begun.checked_add(1).ok_or(ApplyError::Overflow)?;
        self.beginnings.push(at);
        let surplus = self.beginnings.len().saturating_sub(CardsMax::CARDS_MAX);
        self.beginnings.drain(..surplus);
        let NewCard { expires_at, to_earn, start } = new;
        self.open = Some(OpenCard { number: self.begun, begun_at: at, expires_at, to_earn, start, stamps: 0 });
        Ok(())
    }

    fn opened(&mut self) -> Result<&mut OpenCard, ApplyError> {
        self.open.as_mut().ok_or(ApplyError::Inconsistent("no card is open"))
    }

    /// A card without a stamp is none.
    fn close_if_empty(&mut self) {
        if let Some(open) = self.open.take_if(|open| open.stamps == 0)
            && let Some(at) = self.beginnings.iter().rposition(|at| *at == open.begun_at)
        {
            self.beginnings.remove(at);
        }
    }

    fn lapse(&mut self, card: &OpenCard, at: Instant) {
        self.lapsed.push(LapsedStamps { number: card.number, stamps: card.stamps, lapsed_at: at });
    }

    fn forget(&mut self, since: Instant) {
        self.lapsed.retain(|lapsed| 0 < lapsed.stamps && since < lapsed.lapsed_at);
        let surplus = self.lapsed.len().saturating_sub(CardState::LAPSED_MAX);
        self.lapsed.drain(..surplus);
        let surplus = self.filled.len().saturating_sub(CardState::FILLED_MAX);
        self.filled.drain(..surplus);
        let surplus = self.visits.len().saturating_sub(CardState::VISITS_MAX);
        self.visits.drain(..surplus);
    }
}

impl CardState {
    /// Stamps that find no room on this open card when those of another account come to it: they begin a new one.
    pub fn surplus(&self, theirs: &CardState) -> i64 {
        let (Some(own), Some(their)) = (&self.open, &theirs.open) else { return 0 };
        own.stamps.saturating_add(their.stamps).saturating_sub(own.to_earn.saturating_sub(1)).max(0)
    }

    /// Takes in what another account has of the same card. Stamps add up on the card that is open here, which lasts as long as the
    /// one that lasts longer; it is not filled by that, see [`CardState::surplus`].
    fn join(&mut self, theirs: &CardState) -> Result<(), ApplyError> {
        let shift = self.begun;
        let number = |number: u32| number.checked_add(shift).ok_or(ApplyError::Overflow);
        let renumbered = |card: &OpenCard| Ok(OpenCard { number: number(card.number)?, ..card.clone() });
        for filled in &theirs.filled {
            self.filled.push(FilledCard { card: renumbered(&filled.card)?, voucher: filled.voucher.clone() });
        }
        for lapsed in &theirs.lapsed {
            self.lapsed.push(LapsedStamps { number: number(lapsed.number)?, ..lapsed.clone() });
        }
        match (&mut self.open, &theirs.open) {
            (Some(own), Some(their)) => {
                let all = own.stamps.checked_add(their.stamps).ok_or(ApplyError::Overflow)?;
                own.stamps = all.min(own.to_earn.saturating_sub(1).max(own.stamps));
                own.expires_at = own.expires_at.max(their.expires_at);
            }
            (None, Some(their)) => self.open = Some(renumbered(their)?),
            (_, None) => {}
        }
        self.begun = self.begun.checked_add(theirs.begun).ok_or(ApplyError::Overflow)?;
        self.filled_ever = self.filled_ever.checked_add(theirs.filled_ever).ok_or(ApplyError::Overflow)?;
        self.beginnings.extend(&theirs.beginnings);
        self.beginnings.sort_unstable();
        let surplus = self.beginnings.len().saturating_sub(CardsMax::CARDS_MAX);
        self.beginnings.drain(..surplus);
        self.visits.extend(&theirs.visits);
        self.visits.sort_unstable();
        self.visits.dedup();
        self.owed = self.owed.checked_add(theirs.owed).ok_or(ApplyError::Overflow)?;
        // What stands covers what is owed.
        if let Some(open) = &mut self.open {
            let covered = self.owed.min(open.stamps);
            self.owed -= covered;
            open.stamps -= covered;
        }
        self.close_if_empty();
        Ok(())
    }

    /// That goes again, as far as it is here. Numbers of cards and vouchers are not given anew.
    fn part(&mut self, what: &CardState) -> Result<(), ApplyError> {
        if let Some(theirs) = &what.open {
            let open = self.opened()?;
            let left = open.stamps.checked_sub(theirs.stamps).filter(|left| 0 <= *left);
            open.stamps = left.ok_or(ApplyError::Inconsistent("more stamps leave than there are"))?;
            self.close_if_empty();
        }
        self.owed = self.owed.checked_sub(what.owed).filter(|left| 0 <= *left).ok_or(ApplyError::Overflow)?;
        self.filled.retain(|filled| !what.filled.iter().any(|gone| gone.voucher == filled.voucher));
        let is = |lapsed: &LapsedStamps, gone: &LapsedStamps| {
            (lapsed.stamps, lapsed.lapsed_at) == (gone.stamps, gone.lapsed_at)
        };
        self.lapsed.retain(|lapsed| !what.lapsed.iter().any(|gone| is(lapsed, gone)));
        self.visits.retain(|day| !what.visits.contains(day));
        for gone in &what.beginnings {
            if let Some(at) = self.beginnings.iter().rposition(|at| at == gone) {
                self.beginnings.remove(at);
            }
        }
        Ok(())
    }
}

impl AccountState {
    pub(super) fn take_card(&mut self, theirs: &CardState) -> Result<(), ApplyError> {
        let has_room = self.cards.len() < CardState::IDS_MAX;
        match self.cards.iter_mut().find(|known| known.card == theirs.card) {
            Some(own) => own.join(theirs)?,
            None if has_room => self.cards.push(theirs.clone()),
            None => {}
        }
        Ok(())
    }

    /// What is left of the cards that a home brought: of what stands on the open one as many stamps as stood on theirs.
    pub(super) fn left_of_card(&self, theirs: &CardState) -> Option<CardState> {
        let own = self.card(&theirs.card)?;
        let open = own.open.as_ref().zip(theirs.open.as_ref());
        let open = open.map(|(own, their)| OpenCard { stamps: own.stamps.min(their.stamps), ..their.clone() });
        let here = |filled: &&FilledCard| own.filled.iter().any(|known| known.voucher == filled.voucher);
        Some(CardState {
            open,
            owed: theirs.owed.min(own.owed),
            filled: theirs.filled.iter().filter(here).cloned().collect(),
            ..theirs.clone()
        })
    }

    pub(super) fn part_with_card(&mut self, what: &CardState) -> Result<(), ApplyError> {
        // All of it, where nothing was here before and nothing has come to it.
        self.cards.retain(|known| known != what);
        match self.cards.iter_mut().find(|known| known.card == what.card) {
            Some(own) => own.part(what),
            None => Ok(()),
        }
    }

    pub fn card(&self, card: &CardId) -> Option<&CardState> {
        self.cards.iter().find(|known| known.card == *card)
    }

    fn card_mut(&mut self, card: &CardId) -> Result<&mut CardState, ApplyError> {
        let known = self.cards.iter_mut().find(|known| known.card == *card);
        known.ok_or(ApplyError::Inconsistent("there is no such card"))
    }

    /// Puts stamps on the open card, or on a new one, or repays what is owed.
    pub(super) fn stamp(
        &mut self,
        card: &CardId,
        stamps: i64,
        repaid: i64,
        begins: Option<NewCard>,
        visit: Option<Day>,
        at: Instant,
    ) -> Result<(), ApplyError> {
        if self.card(card).is_none() {
            if CardState::IDS_MAX <= self.cards.len() {
                self.cards.remove(0);
            }
            self.cards.push(CardState::new(card.clone()));
        }
        let known = self.card_mut(card)?;
        if let Some(new) = begins {
            known.begin(new, at)?;
        }
        if let Some(day) = visit
            && let Err(place) = known.visits.binary_search(&day)
        {
            known.visits.insert(place, day);
        }
        known.owed = known.owed.checked_sub(repaid).ok_or(ApplyError::Overflow)?;
        if 0 < stamps {
            let open = known.opened()?;
            open.stamps = open.stamps.checked_add(stamps).ok_or(ApplyError::Overflow)?;
        }
        Ok(())
    }

    /// The open card is full: `voucher` was issued for it.
    pub(super) fn fill_card(&mut self, card: &CardId, voucher: &VoucherId) -> Result<(), ApplyError> {
        let known = self.card_mut(card)?;
        let full = known.open.take().filter(|open| open.stamps == open.to_earn);
        let full = full.ok_or(ApplyError::Inconsistent("a card that is not full is handed in"))?;
        known.filled_ever = known.filled_ever.checked_add(1).ok_or(ApplyError::Overflow)?;
        known.filled.push(FilledCard { card: full, voucher: voucher.clone() });
        Ok(())
    }

    pub(super) fn expire_card(&mut self, card: &CardId, posted_at: Instant) -> Result<(), ApplyError> {
        let known = self.card_mut(card)?;
        let open = known.open.take().ok_or(ApplyError::Inconsistent("no card is open that could expire"))?;
        known.lapse(&open, posted_at);
        Ok(())
    }

    /// The stamps that a voucher was issued for went with it.
    pub(super) fn lapse_with(&mut self, voucher: &VoucherId, posted_at: Instant) {
        for known in &mut self.cards {
            if let Some(at) = known.filled.iter().position(|filled| filled.voucher == *voucher) {
                let filled = known.filled.remove(at);
                known.lapse(&filled.card, posted_at);
            }
        }
    }

    pub(super) fn unstamp(&mut self, card: &CardId, what: &TakenStamps) -> Result<(), ApplyError> {
        let known = self.card_mut(card)?;
        if 0 < what.taken {
            let open = known.opened()?;
            open.stamps = open.stamps.checked_sub(what.taken).filter(|left| 0 <= *left).ok_or(ApplyError::Overflow)?;
        }
        known.owed = known.owed.checked_add(what.owed).ok_or(ApplyError::Overflow)?;
        for gone in &what.lapsed {
            let lapsed = known.lapsed.iter_mut().find(|lapsed| lapsed.number == gone.number);
            let lapsed = lapsed.ok_or(ApplyError::Inconsistent("stamps are taken that had not lapsed"))?;
            lapsed.stamps = lapsed.stamps.checked_sub(gone.stamps).ok_or(ApplyError::Overflow)?;
        }
        known.visits.retain(|day| Some(*day) != what.visit);
        known.close_if_empty();
        Ok(())
    }

    /// The card that was filled last and whose voucher can be taken back, where stamps are owed.
    pub(in crate::domain) fn reopenable(&self) -> Option<(CardId, VoucherId)> {
        let owing = self.cards.iter().filter(|known| 0 < known.owed && known.open.is_none());
        owing.filter_map(|known| Some((known.card.clone(), self.unused(known).next_back()?.voucher.clone()))).next()
    }

    /// Full cards whose voucher is not used.
    pub(in crate::domain) fn unused<'a>(
        &'a self,
        known: &'a CardState,
    ) -> impl DoubleEndedIterator<Item = &'a FilledCard> {
        let issued = |id: &VoucherId| self.voucher(id).is_some_and(|v| v.state == VoucherState::Issued);
        known.filled.iter().filter(move |filled| issued(&filled.voucher))
    }

    /// Takes back a voucher that a full card has issued; its stamps cover what is owed, the rest stands.
    pub(super) fn reopen_card(
        &mut self,
        card: &CardId,
        voucher: &VoucherId,
        posted_at: Instant,
    ) -> Result<(), ApplyError> {
        self.move_voucher(voucher, VoucherState::Cancelled, None, posted_at)?;
        let known = self.card_mut(card)?;
        let at = known.filled.iter().position(|filled| filled.voucher == *voucher);
        let at = at.ok_or(ApplyError::Inconsistent("the voucher comes from no full card"))?;
        if known.open.is_some() {
            return Err(ApplyError::Inconsistent("a card is reopened while another is open"));
        }
        let FilledCard { card: mut full, voucher: _ } = known.filled.remove(at);
        let covered = known.owed.min(full.stamps);
        known.owed -= covered;
        full.stamps -= covered;
        known.open = Some(full);
        known.close_if_empty();
        Ok(())
    }

    /// When the next open card expires.
    pub(in crate::domain) fn card_due(&self) -> Option<Instant> {
        self.cards.iter().filter_map(|known| known.open.as_ref()).map(|open| open.expires_at).min()
    }

    pub(super) fn forget_cards(&mut self, since: Instant) {
        let AccountState { cards, vouchers, .. } = self;
        for known in cards {
            known.filled.retain(|filled| {
                let voucher = vouchers.iter().find(|voucher| voucher.voucher == filled.voucher);
                voucher.is_some_and(|voucher| voucher.state.is_open() || voucher.state == VoucherState::Used)
            });
            known.forget(since);
        }
    }

    pub(super) fn card_faults(&self, faults: &mut Vec<String>) {
        for known in &self.cards {
            let odd = known.open.as_ref().is_some_and(|open| open.stamps < 1 || open.to_earn <= open.stamps);
            if odd || known.owed < 0 || (known.open.is_some() && 0 < known.owed) {
                faults.push(format!("card {}: the stamps do not add up", known.card));
            }
        }
    }
}
