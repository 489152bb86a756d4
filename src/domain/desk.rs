//! Where a decision is made: a working copy of the account, and the entries posted on it so far.

use std::sync::Arc;

use super::account::{AccountState, ApplyError, UnitBook, VoucherState};
use super::answer::ReferralState;
use super::counters::CounterChange;
use super::id::{RequestId, RewardId, UnitId, VoucherId};
use super::ledger::{Book, Dates, Entry, Fact, Part, Unhold, UnitParts, encode};
use super::occasions;
use super::program::{Activity, LifeTerms, Program, ProgramVersion, Timeline};
use super::referral::Referral;
use super::stock::StockItem;
use super::time::Instant;

/// A working copy. Nothing on it counts until the store has applied what it holds.
#[derive(Clone, Debug)]
pub struct Desk {
    /// Shared with whoever loaded it until it changes.
    pub state: Arc<AccountState>,
    pub entries: Vec<Entry>,
    /// Each of `entries` as it is to be stored; none of them in a preview.
    pub stored: Vec<Vec<u8>>,
    /// Nothing of this will be stored: entries are applied, not hashed.
    preview: bool,
    /// When entries are posted: the time given, but never before the account's last entry.
    pub now: Instant,
    /// The version that decides.
    pub version: ProgramVersion,
    pub request: Option<RequestId>,
    /// What has gone back into the stock of rewards so far.
    pub freed: Vec<StockItem>,
    /// Up to when what comes with time has been dealt with.
    walked: Instant,
}

/// What falls due in an account, in the order in which equal instants are handled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Mature,
    Lapse,
    CallOff,
    Expire,
    Referral,
    Review,
    Card,
    Voucher,
    Tier,
    Occasion,
}

/// Occasions of one account that come at once: enough for years of sleep.
const OCCASIONS_MAX: usize = 10_000;

/// A period each: daily ones over a quarter of a century.
const TIER_STEPS_MAX: usize = 10_000;

impl Desk {
    /// `preview`: for looking only.
    pub fn new(
        state: Arc<AccountState>,
        now: Instant,
        version: ProgramVersion,
        request: Option<RequestId>,
        preview: bool,
    ) -> Desk {
        let (walked, now) = (state.posted_at, now.max(state.posted_at));
        let (entries, stored, freed) = Default::default();
        Desk { state, entries, stored, preview, now, version, request, freed, walked }
    }

    /// To change it: from then on it is a copy of its own.
    pub fn state_mut(&mut self) -> &mut AccountState {
        Arc::make_mut(&mut self.state)
    }

    /// Posts a fact that happened at `effective_at`.
    pub fn post(&mut self, effective_at: Instant, fact: Fact) -> Result<(), ApplyError> {
        let (version, request) = (self.version.clone(), self.request.clone());
        self.post_as(effective_at, version, request, fact)
    }

    fn post_as(
        &mut self,
        effective_at: Instant,
        version: ProgramVersion,
        request: Option<RequestId>,
        fact: Fact,
    ) -> Result<(), ApplyError> {
        let sequence = self.state.sequence + 1;
        let entry = Entry { sequence, posted_at: self.now, effective_at, version, request, fact };
        if let Fact::Unheld { order, .. } = &entry.fact {
            let held = self.state.hold(order).map_or(&[][..], |hold| &hold.stock);
            self.freed.extend(held.iter().cloned());
        }
        if self.preview {
            self.state_mut().apply_unhashed(&entry)?;
        } else {
            let stored = encode(&entry);
            self.state_mut().apply_stored(&entry, &stored)?;
            self.stored.push(stored);
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Brings the account up to date: walks what is due by now, instant by instant, each under the program
    /// version active then. Every load does this first, so no answer depends on whether a background job ran.
    pub fn advance(&mut self, timeline: &Timeline) -> Result<(), ApplyError> {
        // Each step resolves something that was due: a lot matures once and expires once, and once more for each
        // lapsed hold that gives something back to it.
        let lots: usize = self.state.units.iter().map(|book| book.lots.len()).sum();
        let holds: usize =
            self.state.holds.iter().map(|hold| hold.units.iter().map(|u| u.parts.len() + 1).sum::<usize>() + 1).sum();
        // A full card may be reopened once for what its voucher has covered, and expire then.
        let full: usize = self.state.cards.iter().map(|card| card.filled.len() + 1).sum();
        let awaiting: usize = self.state.units.iter().map(|book| book.awaiting.len() + 1).sum();
        let tiers = self.state.ladders.len() * TIER_STEPS_MAX;
        let others = self.state.vouchers.len() + full + awaiting + tiers + OCCASIONS_MAX;
        // Each may run out, and its review lapse.
        let referrals = 2 * self.state.referrals_merged.len() + 1;
        let steps_max = 2 * lots + holds + others + referrals + 2;
        self.settle(timeline, self.now)?;
        for _ in 0..steps_max {
            let coming = occasions::next(timeline, &self.state, self.walked, self.now);
            let occasion = coming.as_ref().map(|coming| (coming.at, Due::Occasion));
            let Some((at, due)) = self.first_due().into_iter().chain(occasion).min() else {
                self.walked = self.now;
                return Ok(());
            };
            if let (Due::Occasion, Some(coming)) = (due, &coming) {
                super::decide::occasions::fall_due(self, timeline, coming)?;
                continue;
            }
            if due == Due::Tier {
                super::decide::ripple::time_passes(self, timeline, at)?;
                continue;
            }
            let version = self.version_at(timeline, at);
            for fact in self.due_facts(at, due) {
                self.post_as(at, version.clone(), None, fact)?;
            }
            // Only a lapse frees units here; what goes back to a lot that has expired by then repays nothing.
            if due == Due::Lapse {
                self.settle(timeline, at)?;
            }
        }
        Err(ApplyError::Inconsistent("what is due does not come to an end"))
    }

    /// Nobody owes and has units to spend at once: what becomes free again repays the debt. Nor does anybody owe
    /// stamps and have an unused voucher for them.
    fn settle(&mut self, timeline: &Timeline, at: Instant) -> Result<(), ApplyError> {
        let due = if self.state.erased_at.is_some() { |book, _| forfeited(book) } else { settled };
        // What waits for an event will be nobody's either.
        let waiting = self.state.units.iter().filter(|_| self.state.erased_at.is_some()).flat_map(called_off);
        let facts: Vec<Fact> = self.state.units.iter().filter_map(|book| due(book, at)).chain(waiting).collect();
        for fact in facts {
            let version = self.version_at(timeline, at);
            self.post_as(at, version, None, fact)?;
        }
        self.cover_owed_stamps(at)?;
        Ok(())
    }

    /// Takes back unused vouchers of full cards for stamps that are owed; answers which, with reward and expiry.
    pub fn cover_owed_stamps(&mut self, at: Instant) -> Result<Vec<(VoucherId, RewardId, Instant)>, ApplyError> {
        let full: usize = self.state.cards.iter().map(|card| card.filled.len()).sum();
        let mut taken = Vec::new();
        for _ in 0..full {
            let Some((card, voucher)) = self.state.reopenable() else { break };
            if let Some(stands) = self.state.voucher(&voucher) {
                taken.push((voucher.clone(), stands.reward.clone(), stands.expires_at));
            }
            self.post(at, Fact::CardReopened { card, voucher })?;
        }
        Ok(taken)
    }

    fn version_at(&self, timeline: &Timeline, at: Instant) -> ProgramVersion {
        timeline.at(at).map_or_else(|| self.version.clone(), |program| program.version.clone())
    }

    fn first_due(&self) -> Option<(Instant, Due)> {
        let lots = self.state.units.iter().flat_map(|book| &book.lots);
        let of_lots = lots.filter_map(|lot| {
            if !lot.matured {
                return Some((lot.dates.activates_at, Due::Mature));
            }
            (0 < lot.free).then_some((lot.dates.expires_at, Due::Expire))
        });
        let of_holds = self.state.holds.iter().filter(|hold| hold.is_open()).map(|hold| (hold.at, Due::Lapse));
        let referral = self.state.referrals().filter(|r| r.state == ReferralState::Attributed);
        let of_review = self.state.reviews_due().map(|at| (at, Due::Review));
        let of_referral = referral.map(|r| (r.qualify_by, Due::Referral)).chain(of_review);
        let of_card = self.state.card_due().map(|at| (at, Due::Card));
        let of_voucher = self.state.voucher_due().map(|at| (at, Due::Voucher));
        let awaiting = self.state.units.iter().flat_map(|book| &book.awaiting);
        let of_awaiting = awaiting.map(|waits| (waits.lapses_at, Due::CallOff));
        let of_idle = self.state.units.iter().filter_map(UnitBook::idle_due).map(|at| (at, Due::Expire));
        let of_units = of_lots.chain(of_awaiting).chain(of_idle);
        let of_tiers = self.state.tiers_due().map(|at| (at, Due::Tier));
        let first =
            of_units.chain(of_holds).chain(of_referral).chain(of_card).chain(of_voucher).chain(of_tiers).min()?;
        (first.0 <= self.now && first.0 < Instant::MAX).then_some(first)
    }

    fn due_facts(&self, at: Instant, due: Due) -> Vec<Fact> {
        let lots = |of: fn(&UnitBook, Instant) -> Vec<Fact>| self.state.units.iter().flat_map(|b| of(b, at)).collect();
        match due {
            Due::Mature => lots(|book, at| {
                let mut owed = book.amount(Book::Debt).saturating_neg();
                let due = book.lots.iter().filter(|lot| !lot.matured && lot.dates.activates_at <= at);
                due.map(|lot| {
                    let repaid = owed.min(lot.free);
                    owed -= repaid;
                    Fact::Matured { unit: book.unit.clone(), dates: lot.dates, amount: lot.free, repaid }
                })
                .collect()
            }),
            Due::Expire => lots(|book, at| {
                let due = book.lots.iter().filter(|lot| lot.matured && 0 < lot.free && book.ends_at(lot.dates) <= at);
                due.map(|lot| Fact::Expired { unit: book.unit.clone(), dates: lot.dates, amount: lot.free }).collect()
            }),
            Due::Lapse => {
                let due = self.state.holds.iter().filter(|hold| hold.is_open() && hold.at <= at);
                due.map(|hold| Fact::Unheld {
                    order: hold.order.clone(),
                    why: Unhold::Lapsed,
                    units: hold.units.clone(),
                })
                .collect()
            }
            Due::CallOff => lots(|book, at| {
                let due = book.awaiting.iter().filter(|waits| waits.lapses_at <= at);
                due.map(|waits| Fact::CalledOff {
                    grant: waits.grant.clone(),
                    unit: book.unit.clone(),
                    amount: waits.amount,
                    returned: false,
                })
                .collect()
            }),
            Due::Referral => {
                let open =
                    self.state.referrals().filter(|r| r.state == ReferralState::Attributed && r.qualify_by <= at);
                open.map(|r| Fact::ReferralExpired { referral: r.referral.clone() }).collect()
            }
            Due::Review => {
                let due = |r: &&Referral| r.review.as_ref().is_some_and(|own| own.is_open() && own.due_at <= at);
                let due = self.state.referrals().filter(due);
                due.map(|r| Fact::ReviewLapsed { referral: r.referral.clone() }).collect()
            }
            Due::Card => {
                let open = self.state.cards.iter().filter_map(|known| Some((&known.card, known.open.as_ref()?)));
                let due = open.filter(|(_, open)| open.expires_at <= at);
                due.map(|(card, open)| Fact::CardExpired {
                    card: card.clone(),
                    number: open.number,
                    stamps: open.stamps,
                })
                .collect()
            }
            // Posted where it is found.
            Due::Occasion => Vec::new(),
            Due::Voucher => {
                let issued = self.state.vouchers.iter().filter(|voucher| voucher.state == VoucherState::Issued);
                let due = issued.filter(|voucher| voucher.expires_at <= at);
                due.map(|voucher| Fact::VoucherExpired { voucher: voucher.voucher.clone() }).collect()
            }
            Due::Tier => Vec::new(),
        }
    }

    /// Moves counters; nothing is posted for nothing.
    pub fn count(&mut self, effective_at: Instant, mut changes: Vec<CounterChange>) -> Result<(), ApplyError> {
        changes.retain(|change| change.change != 0);
        if changes.is_empty() { Ok(()) } else { self.post(effective_at, Fact::Counted { changes }) }
    }

    /// Ends the open hold of an order; answers what it held.
    pub fn unhold(
        &mut self,
        order: &super::id::OrderId,
        why: Unhold,
        effective_at: Instant,
    ) -> Result<Vec<UnitParts>, ApplyError> {
        let Some(hold) = self.state.hold(order).filter(|hold| hold.is_open()) else { return Ok(Vec::new()) };
        let units = hold.units.clone();
        self.post(effective_at, Fact::Unheld { order: order.clone(), why, units: units.clone() })?;
        Ok(units)
    }

    /// How much of a grant goes to repay a debt at once: none while it is pending.
    pub fn repays(&self, unit: &UnitId, amount: i64, dates: Dates) -> i64 {
        if dates.active_at(self.now) { self.state.debt(unit).min(amount) } else { 0 }
    }

    /// Notes that something happened at `at`: to one unit, or to all. Units that would expire for want of it live on.
    /// Whatever it was, it counts where nothing is left that could have expired.
    pub fn stir(
        &mut self,
        program: &Program,
        unit: Option<&UnitId>,
        activity: Activity,
        at: Instant,
    ) -> Result<(), ApplyError> {
        let mut until = Vec::new();
        for terms in program.units.iter().filter(|terms| unit.is_none_or(|unit| *unit == terms.unit)) {
            let Some(book) = self.state.book(&terms.unit) else { continue };
            let next = match &terms.idle {
                None => Instant::MAX,
                Some(idle) => {
                    let begins = book.idle_at == Instant::MAX || book.idle_at <= self.now;
                    if !begins && !idle.reset_by.contains(&activity) {
                        continue;
                    }
                    let ends = idle.ends(at, &program.zone);
                    if book.idle_at == Instant::MAX { ends } else { ends.max(book.idle_at) }
                }
            };
            if next != book.idle_at {
                until.push((terms.unit.clone(), next));
            }
        }
        if until.is_empty() { Ok(()) } else { self.post(at, Fact::Active { until }) }
    }

    /// The entry that the next post will make.
    pub fn next_sequence(&self) -> u64 {
        self.state.sequence + 1
    }
}

/// What a book can repay of its debt at an instant, from lots that have not expired by then.
fn settled(book: &UnitBook, at: Instant) -> Option<Fact> {
    let mut left = book.amount(Book::Debt).saturating_neg();
    if left <= 0 {
        return None;
    }
    let mut parts = Vec::new();
    for lot in book.spendable().filter(|lot| at < book.ends_at(lot.dates)) {
        let amount = left.min(lot.free);
        left -= amount;
        if 0 < amount {
            parts.push(Part { dates: lot.dates, amount });
        }
    }
    (!parts.is_empty()).then(|| Fact::Settled { unit: book.unit.clone(), parts })
}

/// When units granted at `effective_at` activate and expire: by the rule's own terms, else the unit's. Units that no
/// order earned wait for no event.
pub fn dates(program: &Arc<Program>, unit: &UnitId, own: Option<&LifeTerms>, effective_at: Instant) -> Dates {
    let life = own.or_else(|| program.unit(unit).map(|terms| &terms.life));
    let at_once = Dates { activates_at: effective_at, expires_at: Instant::MAX };
    life.map_or(at_once, |life| life.dates(effective_at, &program.zone))
}

/// What nobody owns any more: all that is there, but for what is held.
fn forfeited(book: &UnitBook) -> Option<Fact> {
    let free = book.lots.iter().filter(|lot| 0 < lot.free);
    let parts: Vec<Part> = free.map(|lot| Part { dates: lot.dates, amount: lot.free }).collect();
    let debt = book.amount(Book::Debt).saturating_neg();
    (!parts.is_empty() || debt != 0).then(|| Fact::Forfeited { unit: book.unit.clone(), parts, debt })
}

fn called_off(book: &UnitBook) -> impl Iterator<Item = Fact> + '_ {
    let unit = || book.unit.clone();
    book.awaiting.iter().map(move |waits| {
        let (grant, amount) = (waits.grant.clone(), waits.amount);
        Fact::CalledOff { grant, unit: unit(), amount, returned: false }
    })
}
