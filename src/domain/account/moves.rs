//! How accounts become parts of each other, end, and hand units to each other: the facts of that, applied.

use super::{AccountKind, AccountState, ApplyError, Away, Home, HomeWhy, LadderState, Person, Profile};
use crate::domain::id::{MemberId, UnitId};
use crate::domain::ledger::{Entry, Fact, MoveWhy, Part};

impl AccountState {
    pub(super) fn apply_move(&mut self, entry: &Entry) -> Result<(), ApplyError> {
        match &entry.fact {
            Fact::AccountCreated { kind } => {
                self.kind = *kind;
                self.enrolled_at = entry.effective_at;
            }
            Fact::Announced { why: MoveWhy::Join { member, role }, .. } => {
                self.seats.retain(|(of, ..)| of != member);
                self.seats.push((member.clone(), *role, entry.posted_at));
            }
            Fact::Departed { to, belongings, .. } => {
                self.part_with(belongings, &[])?;
                self.departures = self.departures.checked_add(1).ok_or(ApplyError::Overflow)?;
                self.away = Some(Away { to: to.clone(), revision: self.departures });
                // What is known of them goes along, and is in one place only.
                self.people.iter_mut().for_each(|person| person.profile_digest = None);
            }
            Fact::Arrived { from, revision, why, belongings, digest } => {
                let brings =
                    |ladder: &&LadderState| belongings.ladders.iter().any(|known| known.ladder == ladder.ladder);
                let before: Vec<LadderState> = self.ladders.iter().filter(brings).cloned().collect();
                self.take_in(belongings, entry.posted_at)?;
                let (home, brought) = match why {
                    MoveWhy::Merge { into } => {
                        if let Ok(person) = self.person_mut(into) {
                            person.profile_digest = *digest;
                        }
                        // What came once for the one does not come again for the other.
                        self.remember(belongings, |_| into.clone());
                        (HomeWhy::Merged { into: into.clone() }, Some(belongings.clone()))
                    }
                    MoveWhy::Join { member, role } => {
                        self.seats.retain(|(of, ..)| of != member);
                        self.people.retain(|person| person.member != *member);
                        self.people.push(Person {
                            member: member.clone(),
                            role: *role,
                            joined_at: entry.effective_at,
                            profile_digest: *digest,
                            profile: Profile::default(),
                            redeemed: Vec::new(),
                        });
                        (HomeWhy::Joined, None)
                    }
                };
                self.homes.retain(|known| known.account != *from);
                let ladders_before = if brought.is_some() { before } else { Vec::new() };
                let (since, revision) = (entry.effective_at, *revision);
                self.homes.push(Home { account: from.clone(), why: home, since, revision, brought, ladders_before });
            }
            Fact::GaveBack { to, why, belongings } => {
                let home = self.homes.iter().find(|home| home.account == *to);
                let before = home.map(|home| home.ladders_before.clone()).unwrap_or_default();
                self.part_with(belongings, &before)?;
                self.homes.retain(|home| home.account != *to);
                if let MoveWhy::Join { member, .. } = why {
                    self.people.retain(|person| person.member != *member);
                }
            }
            Fact::CameBack { from, revision, belongings, digest } => {
                self.take_in(belongings, entry.posted_at)?;
                self.away = None;
                self.people.iter_mut().for_each(|person| person.profile_digest = *digest);
                self.homes.retain(|known| known.account != *from);
                let (since, revision) = (entry.effective_at, *revision);
                let (account, why, ladders_before) = (from.clone(), HomeWhy::Left, Vec::new());
                self.homes.push(Home { account, why, since, revision, brought: None, ladders_before });
                self.forget_left();
            }
            Fact::RoleSet { member, role } => self.person_mut(member)?.role = *role,
            Fact::Erased => {
                self.erased_at = Some(entry.effective_at);
                self.erase();
            }
            Fact::Forfeited { unit, parts, .. } => self.take_parts(unit, parts)?,
            Fact::TransferredOut { unit, parts, day, .. } => {
                self.take_parts(unit, parts)?;
                self.transfers.retain(|(_, of, _)| of == day);
                match self.transfers.iter_mut().find(|(of, ..)| of == unit) {
                    Some((_, _, count)) => *count = count.saturating_add(1),
                    None => self.transfers.push((unit.clone(), *day, 1)),
                }
            }
            Fact::TransferredIn { unit, parts, .. } | Fact::TransferReturned { unit, parts, .. } => {
                let book = self.unit(unit);
                parts.iter().try_for_each(|part| book.put(part.dates.lot_at(entry.posted_at), part.amount, true))?;
            }
            Fact::PersonRedeemed { member, unit, amount, day } => {
                let person = self.person_mut(member)?;
                person.redeemed.retain(|(_, of, _)| of == day);
                match person.redeemed.iter_mut().find(|(of, ..)| of == unit) {
                    Some((_, _, sum)) => *sum = sum.checked_add(*amount).ok_or(ApplyError::Overflow)?,
                    None => person.redeemed.push((unit.clone(), *day, *amount)),
                }
            }
            // All others are applied by whoever called.
            _ => {}
        }
        Ok(())
    }

    /// What tells of the member is gone; what orders and others' effects may still ask for stays.
    fn erase(&mut self) {
        // Whoever adds a field to the account decides here whether it tells of the member.
        let AccountState {
            codes,
            seats,
            people,
            counters,
            tags,
            events,
            occasions,
            weighed,
            // The books, and what returns and effects of others take from.
            account: _,
            units: _,
            holds: _,
            orders: _,
            orders_returned: _,
            referral: _,
            referrals_merged: _,
            friends_qualified: _,
            cards: _,
            vouchers: _,
            ladders: _,
            goals: _,
            transfers: _,
            payouts: _,
            // What the account is, and when.
            enrolled_at: _,
            sequence: _,
            head: _,
            posted_at: _,
            kind: _,
            active_at: _,
            ordered_at: _,
            outstanding: _,
            homes: _,
            away: _,
            departures: _,
            erased_at: _,
        } = self;
        codes.clear();
        seats.clear();
        tags.clear();
        events.clear();
        occasions.clear();
        weighed.clear();
        counters.retain(|known| known.counter.value_part().is_none());
        people.iter_mut().for_each(|person| person.profile_digest = None);
    }

    fn take_parts(&mut self, unit: &UnitId, parts: &[Part]) -> Result<(), ApplyError> {
        let book = self.unit(unit);
        parts.iter().try_for_each(|part| book.take(part.dates, part.amount))
    }

    /// Of the accounts that this one was part of, the earliest are forgotten.
    fn forget_left(&mut self) {
        let left = self.homes.iter().filter(|home| home.why == HomeWhy::Left).count();
        let mut surplus = left.saturating_sub(AccountState::HOMES_MAX);
        self.homes.retain(|home| {
            let drop = home.why == HomeWhy::Left && 0 < surplus;
            surplus -= usize::from(drop);
            !drop
        });
    }

    /// Whether people can join it.
    pub fn is_shared(&self) -> bool {
        matches!(self.kind, AccountKind::Household | AccountKind::Company | AccountKind::Partner)
    }

    /// The person who acts under a member id: themselves, or who they were merged into.
    pub fn acting(&self, member: &MemberId) -> Option<&Person> {
        let mut who = member;
        // One who was merged may have been merged into one who was merged.
        for _ in 0..=self.homes.len() {
            if let Some(person) = self.person(who) {
                return Some(person);
            }
            let home = self.homes.iter().find(|home| home.account.as_str() == who.as_str())?;
            let HomeWhy::Merged { into } = &home.why else { return None };
            who = into;
        }
        None
    }
}
