//! Hands out what rules award, whatever fired them, and takes it back when what brought it is undone.

use super::super::account::{AccountState, NewCard, StampsOn, TakenStamps, VoucherIssue, VoucherState};
use super::super::answer::{Decided, Drawn, Effect, Reason, Refusal, StampsGiven, StampsTaken, Subject, VoucherEffect};
use super::super::awards::{Award, Consequence, Gave, Prize, Stands};
use super::super::counters::Tally;
use super::super::desk::{Desk, dates};
use super::super::draw;
use super::super::earn::Plan;
use super::super::id::{CardId, GrantId, Label, RewardId, RuleId, VoucherId};
use super::super::ledger::{Dates, Fact};
use super::super::money::split;
use super::super::order_record::{GrantRecord, OrderRecord, SentGrantRecord};
use super::super::program::{Beyond, CardsMax, Draw, GrantTo, Kind, StampCard};
use super::super::tiers;
use super::super::time::{Day, Instant, Period};
use super::checkout::grant_units;
use super::elsewhere::{Place, grant_of};
use super::limits::{self, Gift};
use super::{Halt, OVERFLOW, Scene, elsewhere};

/// What was handed out: for the record of whatever brought it, which undoes it by that.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Given {
    pub(super) grants: Vec<GrantRecord>,
    pub(super) consequences: Vec<Consequence>,
    /// What its limits counted.
    pub(super) counts: Vec<Tally>,
    /// What was granted to other accounts.
    pub(super) sent: Vec<SentGrantRecord>,
}

impl Given {
    pub(super) fn extend(&mut self, more: Given) {
        self.grants.extend(more.grants);
        self.consequences.extend(more.consequences);
        self.counts.extend(more.counts);
        self.sent.extend(more.sent);
    }
}

/// Hands out an award. `cause` names it: the same cause never hands out twice under another name. What finds no room is
/// told as a refusal and is no reason to refuse what brought it.
pub(super) fn give(
    scene: &Scene<'_>,
    desk: &mut Desk,
    award: &Award,
    cause: GrantId,
    at: Instant,
    decided: &mut Decided,
) -> Result<Given, Halt> {
    give_in(scene, desk, award, cause, at, None, decided)
}

/// The same for what was earned in a store.
pub(super) fn give_in(
    scene: &Scene<'_>,
    desk: &mut Desk,
    award: &Award,
    cause: GrantId,
    at: Instant,
    store: Option<&Label>,
    decided: &mut Decided,
) -> Result<Given, Halt> {
    let unit = match &award.what {
        Prize::Units { unit, .. } => Some(unit),
        Prize::Stamps { .. } | Prize::Voucher { .. } | Prize::Tags { .. } | Prize::Draw(_) => None,
    };
    let here = match elsewhere::place(scene, desk, award.to) {
        Ok(place) => place == Place::Here,
        Err(reason) => {
            decided.refusals.push(Refusal::new(Subject::Recipient, reason));
            return Ok(Given::default());
        }
    };
    let gift = Gift { rule: &award.rule, unit, desired: award.count, deed: &cause, here, store, at };
    let count = limits::allow(scene, desk, &gift, decided)?;
    if count <= 0 {
        return Ok(Given::default());
    }
    let stands = match &award.stands {
        Stands::ByLine(shares) if count < award.count => Stands::ByLine(split(count, shares)),
        stands => stands.clone(),
    };
    let shares = match &stands {
        Stands::ByLine(shares) => shares.clone(),
        Stands::Always | Stands::While { .. } => Vec::new(),
    };
    let tallies = limits::tallies(scene, &gift, count, &shares)?;
    let allowed = Award { count, stands, ..award.clone() };
    let effects = decided.effects.len();
    let mut given = give_out(scene, desk, &allowed, cause, at, decided)?;
    // A ticket that wins nothing has been drawn, too.
    let drawn = matches!(award.what, Prize::Draw(_)) && effects < decided.effects.len();
    if given != Given::default() || drawn {
        desk.count(at, tallies.iter().map(Tally::change).collect())?;
        given.counts = tallies;
    }
    match decided.effects.last_mut() {
        Some(Effect::Granted(granted)) if count < award.count => granted.desired = award.count,
        Some(Effect::GrantedTo(granted)) if count < award.count => granted.desired = award.count,
        _ => {}
    }
    Ok(given)
}

fn give_out(
    scene: &Scene<'_>,
    desk: &mut Desk,
    award: &Award,
    cause: GrantId,
    at: Instant,
    decided: &mut Decided,
) -> Result<Given, Halt> {
    let mut given = Given::default();
    let gave = match &award.what {
        Prize::Units { unit, life } => {
            let place = elsewhere::place(scene, desk, award.to).unwrap_or(Place::Here);
            let by_status = || tiers::life(scene.program, &desk.state, unit, at).filter(|_| place == Place::Here);
            let life = life.clone().or_else(by_status);
            let dates = dates(scene.program, unit, life.as_ref(), at);
            let full = desk.state.book(unit).is_some_and(|book| !book.has_room(dates, desk.now));
            if full && place == Place::Here {
                decided.refusals.push(Refusal::new(Subject::Earn, Reason::TooLarge));
                return Ok(given);
            }
            let shares = match &award.stands {
                Stands::Always => Vec::new(),
                Stands::ByLine(shares) => shares.clone(),
                Stands::While { basis, .. } => split(award.count, basis),
            };
            let plan = Plan {
                rule: award.rule.clone(),
                kind: award.kind,
                unit: unit.clone(),
                amount: award.count,
                shares: shares.clone(),
                life,
                to: award.to,
                builds: None,
            };
            if let Place::There(target) = place {
                let grant = grant_of(desk, &[cause.as_str()], award.to);
                given.sent.push(elsewhere::grant(scene, desk, target, grant, &plan, plan.amount, decided)?);
                return Ok(given);
            }
            let granted = grant_units(scene, desk, cause, &plan)?;
            given.grants.push(GrantRecord {
                grant: granted.grant.clone(),
                unit: plan.unit,
                amount: plan.amount,
                dates: Dates { activates_at: granted.activates_at, expires_at: granted.expires_at },
                shares,
                reversed: 0,
                awaits: None,
                rule: plan.rule,
            });
            decided.effects.push(Effect::Granted(granted));
            return Ok(given);
        }
        Prize::Stamps { card, visit } => stamps(scene, desk, award, card, *visit, &cause, at, decided)?,
        Prize::Voucher { reward, valid_for } => {
            voucher(scene, desk, award, reward, *valid_for, &cause, at, decided)?.map(Gave::Voucher)
        }
        Prize::Draw(draw) => {
            let Some(terms) = scene.program.draw(draw) else { return Ok(given) };
            return ticket(scene, desk, award, terms, cause, at, decided);
        }
        Prize::Tags { add, remove } => tags(desk, award, add, remove, &cause, at, decided)?,
    };
    given.consequences.extend(gave.map(|gave| Consequence {
        cause,
        rule: award.rule.clone(),
        gave,
        count: award.count,
        stands: award.stands.clone(),
        undone: 0,
    }));
    Ok(given)
}

/// Draws a ticket and hands out what it wins. A preview draws none: who could look first would pick the order that wins.
fn ticket(
    scene: &Scene<'_>,
    desk: &mut Desk,
    award: &Award,
    terms: &Draw,
    cause: GrantId,
    at: Instant,
    decided: &mut Decided,
) -> Result<Given, Halt> {
    let no = |reason| Refusal::new(Subject::Draw(terms.id.clone()), reason);
    // Once the seed is no secret nothing is drawn, not even for what happened before.
    if terms.ends_at <= at || terms.ends_at <= desk.now {
        decided.refusals.push(no(Reason::DrawOver));
        return Ok(Given::default());
    }
    let Some(seed) = &terms.seed else {
        decided.refusals.push(no(Reason::DrawNotReady));
        return Ok(Given::default());
    };
    let (rule, of, account) = (award.rule.clone(), terms.of, desk.state.account.clone());
    let number = if terms.once && !scene.preview {
        let Some(number) = scene.take_out_of(terms, &cause) else {
            decided.refusals.push(Refusal::short(Subject::Draw(terms.id.clone()), Reason::DrawEmpty, 1, 0));
            return Ok(Given::default());
        };
        Some(number)
    } else {
        None
    };
    let ticket = (!scene.preview).then(|| match number {
        Some(number) => draw::drum_ticket(seed, &terms.id, number, of),
        None => draw::ticket(seed, &terms.id, &account, &cause, of),
    });
    let won = ticket.and_then(|ticket| terms.prize(ticket));
    let prize = won.map(|prize| prize.id.clone());
    if let Some(ticket) = ticket {
        let (draw, cause, rule, prize) = (terms.id.clone(), cause.clone(), rule.clone(), prize.clone());
        desk.post(at, Fact::Drawn { draw, cause, rule, ticket, of, prize, number })?;
    }
    let draw = terms.id.clone();
    decided.effects.push(Effect::Drawn(Drawn { draw, rule, account, cause: cause.clone(), of, ticket, prize, number }));
    let Some(won) = won.filter(|won| !matches!(won.what, Prize::Draw(_))) else { return Ok(Given::default()) };
    let award = Award { what: won.what.clone(), count: won.count, ..award.clone() };
    give_out(scene, desk, &award, cause, at, decided)
}

#[expect(clippy::too_many_arguments, reason = "each names one thing of the award")]
fn voucher(
    scene: &Scene<'_>,
    desk: &mut Desk,
    award: &Award,
    reward: &RewardId,
    valid_for: Option<Period>,
    cause: &GrantId,
    at: Instant,
    decided: &mut Decided,
) -> Result<Option<VoucherId>, Halt> {
    let voucher = VoucherId::of(&desk.state.account, cause);
    if desk.state.voucher(&voucher).is_some() {
        return Ok(None);
    }
    if AccountState::VOUCHERS_OPEN_MAX <= desk.state.vouchers_open() {
        let max = AccountState::VOUCHERS_OPEN_MAX as i64;
        decided.refusals.push(Refusal::short(Subject::Reward(reward.clone()), Reason::TooManyVouchers, max + 1, max));
        return Ok(None);
    }
    let valid_for = valid_for.or(scene.program.vouchers.valid_for);
    let expires_at = valid_for.map_or(Instant::MAX, |period| period.after(at, &scene.program.zone));
    let issue =
        VoucherIssue { voucher: voucher.clone(), reward: reward.clone(), terms_at: at, expires_at, bought: None };
    issue_voucher(desk, issue, award, cause, at, decided)?;
    Ok(Some(voucher))
}

fn issue_voucher(
    desk: &mut Desk,
    issue: VoucherIssue,
    award: &Award,
    cause: &GrantId,
    at: Instant,
    decided: &mut Decided,
) -> Result<(), Halt> {
    decided.effects.push(Effect::Voucher(VoucherEffect {
        voucher: issue.voucher.clone(),
        reward: issue.reward.clone(),
        state: VoucherState::Issued,
        expires_at: issue.expires_at,
        rule: Some(award.rule.clone()),
        kind: Some(award.kind),
    }));
    let (cause, rule, kind) = (cause.clone(), award.rule.clone(), award.kind);
    Ok(desk.post(at, Fact::VoucherIssued { issue, cause, rule, kind })?)
}

/// Stamps that came with another account and fill the open card: as if a rule gave them.
pub(super) fn stamps_of_merge(
    scene: &Scene<'_>,
    desk: &mut Desk,
    card: &CardId,
    count: i64,
    cause: &GrantId,
    at: Instant,
) -> Result<(), Halt> {
    let award = Award {
        rule: RuleId::parse("merge").map_err(|_| OVERFLOW)?,
        kind: Kind::Transactional,
        what: Prize::Stamps { card: card.clone(), visit: None },
        count,
        stands: Stands::Always,
        to: GrantTo::Account,
    };
    stamps(scene, desk, &award, card, None, cause, at, &mut scene.decided())?;
    Ok(())
}

/// Puts stamps where they go: what is owed first, then the open card, then new ones. A card that is full issues its
/// voucher at once.
#[expect(clippy::too_many_arguments, reason = "each names one thing of the award")]
fn stamps(
    scene: &Scene<'_>,
    desk: &mut Desk,
    award: &Award,
    card: &CardId,
    visit: Option<Day>,
    cause: &GrantId,
    at: Instant,
    decided: &mut Decided,
) -> Result<Option<Gave>, Halt> {
    let Some(current) = scene.program.stamp_card(card) else { return Ok(None) };
    let repaid = desk.state.card(card).map_or(0, |known| known.owed).min(award.count);
    let mut left = award.count - repaid;
    let mut on: Vec<StampsOn> = Vec::new();
    let fact = |stamps: i64, repaid: i64, begins: Option<NewCard>| Fact::Stamped {
        card: card.clone(),
        cause: cause.clone(),
        rule: award.rule.clone(),
        kind: award.kind,
        stamps,
        repaid,
        begins,
        visit,
    };
    if 0 < repaid {
        desk.post(at, fact(0, repaid, None))?;
    }
    let given_at = decided.effects.len();
    // Each round fills a card but for the last, and each full card issues a voucher, of which there are only so many.
    for _ in 0..=AccountState::VOUCHERS_OPEN_MAX {
        if left == 0 {
            break;
        }
        if AccountState::VOUCHERS_OPEN_MAX <= desk.state.vouchers_open() {
            let max = AccountState::VOUCHERS_OPEN_MAX as i64;
            let subject = Subject::Card(card.clone());
            decided.refusals.push(Refusal::short(subject, Reason::TooManyVouchers, max + 1, max));
            break;
        }
        let open = desk.state.card(card).and_then(|known| known.open.clone());
        let begins = match &open {
            Some(_) => None,
            None if !may_begin(scene, desk, current, at) => {
                let max = current.cards_max.map_or(0, |max| max.cards as i64);
                let subject = Subject::Card(card.clone());
                decided.refusals.push(Refusal::short(subject, Reason::TooManyCards, max + 1, max));
                break;
            }
            None => Some(NewCard {
                expires_at: current.expires_after.map_or(Instant::MAX, |after| after.after(at, &scene.program.zone)),
                to_earn: current.goal - current.start_stamps,
                start: current.start_stamps,
            }),
        };
        let room = match (&open, &begins) {
            (Some(open), _) => open.to_earn - open.stamps,
            (None, Some(new)) => new.to_earn,
            (None, None) => 0,
        };
        let here = left.min(room);
        desk.post(at, fact(here, 0, begins))?;
        left -= here;
        let known = desk.state.card(card);
        let stands = known.and_then(|known| known.open.clone()).ok_or(OVERFLOW)?;
        let filled_ever = known.map_or(0, |known| known.filled_ever);
        on.push(StampsOn { number: stands.number, stamps: here });
        if stands.stamps < stands.to_earn {
            break;
        }
        // The terms of a card are those of its first stamp.
        let pinned = scene.timeline.at(stands.begun_at).and_then(|program| program.stamp_card(card)).unwrap_or(current);
        let number = filled_ever.saturating_add(1).to_string();
        let cause = GrantId::of(&["card", card.as_str(), &number]);
        let valid_for = pinned.voucher_valid_for.or(scene.program.vouchers.valid_for);
        let issue = VoucherIssue {
            voucher: VoucherId::of(&desk.state.account, &cause),
            reward: pinned.reward.clone(),
            terms_at: stands.begun_at,
            expires_at: valid_for.map_or(Instant::MAX, |period| period.after(at, &scene.program.zone)),
            bought: None,
        };
        let voucher = issue.voucher.clone();
        issue_voucher(desk, issue, award, &cause, at, decided)?;
        desk.post(at, Fact::CardFilled { card: card.clone(), voucher })?;
        if pinned.beyond == Beyond::Lost {
            break;
        }
    }
    let progress = desk.state.card(card).and_then(|known| known.progress());
    let effect = StampsGiven {
        card: card.clone(),
        rule: award.rule.clone(),
        kind: award.kind,
        stamps: award.count,
        repaid,
        lost: left,
        stands: progress.map_or(0, |(stands, _)| stands),
        goal: progress.map_or(current.goal, |(_, goal)| goal),
    };
    decided.effects.insert(given_at, Effect::StampsGiven(effect));
    Ok(Some(Gave::Stamps { card: card.clone(), repaid, on, lost: left, visit }))
}

/// Whether the account may begin one more card.
fn may_begin(scene: &Scene<'_>, desk: &Desk, terms: &StampCard, at: Instant) -> bool {
    let Some(CardsMax { cards, per }) = terms.cards_max else { return true };
    let Some(known) = desk.state.card(&terms.id) else { return true };
    let date = |at: Instant| at.zoned(&scene.program.zone).date();
    let first = per.map(|period| period.start(date(at)));
    let counts = |begun: &&Instant| first.is_none_or(|first| first <= date(**begun));
    known.beginnings.iter().filter(counts).count() < cards
}

fn tags(
    desk: &mut Desk,
    award: &Award,
    add: &[Label],
    remove: &[Label],
    cause: &GrantId,
    at: Instant,
    decided: &mut Decided,
) -> Result<Option<Gave>, Halt> {
    let removed: Vec<_> = desk.state.tags.iter().filter(|known| remove.contains(&known.tag)).cloned().collect();
    let new = add.iter().filter(|tag| !desk.state.has_tag(tag)).count();
    if AccountState::TAGS_MAX < desk.state.tags.len() - removed.len() + new {
        let max = AccountState::TAGS_MAX as i64;
        decided.refusals.push(Refusal::short(Subject::Earn, Reason::TooLarge, max + 1, max));
        return Ok(None);
    }
    if add.is_empty() && removed.is_empty() {
        return Ok(None);
    }
    let added: Vec<Label> = add.iter().filter(|tag| !desk.state.has_tag(tag)).cloned().collect();
    let (cause, rule) = (cause.clone(), award.rule.clone());
    let remove: Vec<Label> = removed.iter().map(|known| known.tag.clone()).collect();
    desk.post(at, Fact::Tagged { cause, rule, add: add.to_vec(), remove: remove.clone() })?;
    if !added.is_empty() || !remove.is_empty() {
        decided.effects.push(Effect::Tags { added, removed: remove });
    }
    let given = desk.state.tags.iter().filter(|known| add.contains(&known.tag));
    let added = given.map(|known| (known.tag.clone(), known.entry)).collect();
    Ok(Some(Gave::Tags { added, removed }))
}

/// Takes back what an order has brought for what has come back of it, less what was taken back before.
pub(super) fn undo_for(
    scene: &Scene<'_>,
    desk: &mut Desk,
    record: &mut OrderRecord,
    decided: &mut Decided,
) -> Result<(), Halt> {
    // The last thing that was brought goes first.
    for at in (0..record.consequences.len()).rev() {
        let Some(consequence) = record.consequences.get(at) else { continue };
        let target = consequence.stands.undone(record, consequence.count).ok_or(OVERFLOW)?;
        if let Some(consequence) = record.consequences.get_mut(at) {
            undo(scene, desk, consequence, target, decided)?;
        }
    }
    Ok(())
}

/// Takes back `target` in all of what was handed out.
pub(super) fn undo(
    scene: &Scene<'_>,
    desk: &mut Desk,
    consequence: &mut Consequence,
    target: i64,
    decided: &mut Decided,
) -> Result<(), Halt> {
    let (before, at) = (consequence.undone, scene.times.effective_at);
    if target <= before {
        return Ok(());
    }
    consequence.undone = target;
    let cause = consequence.cause.clone();
    match &consequence.gave {
        Gave::Voucher(voucher) => {
            let Some(stands) = desk.state.voucher(voucher) else { return Ok(()) };
            match stands.state {
                VoucherState::Issued => {}
                // What it gave stays given. Should it come back from there, it is gone.
                VoucherState::Held | VoucherState::Used => {
                    return Ok(desk.post(at, Fact::VoucherRevoked { voucher: voucher.clone(), cause })?);
                }
                VoucherState::Expired | VoucherState::Cancelled => return Ok(()),
            }
            decided.effects.push(Effect::Voucher(VoucherEffect {
                voucher: voucher.clone(),
                reward: stands.reward.clone(),
                state: VoucherState::Cancelled,
                expires_at: stands.expires_at,
                rule: Some(consequence.rule.clone()),
                kind: None,
            }));
            Ok(desk.post(at, Fact::VoucherCancelled { voucher: voucher.clone(), cause })?)
        }
        Gave::Tags { added, removed } => {
            let (given, back) = (added.clone(), removed.clone());
            let before: Vec<Label> = desk.state.tags.iter().map(|known| known.tag.clone()).collect();
            desk.post(at, Fact::Untagged { cause, given, back })?;
            let after: Vec<Label> = desk.state.tags.iter().map(|known| known.tag.clone()).collect();
            let less = |a: &[Label], b: &[Label]| a.iter().filter(|tag| !b.contains(tag)).cloned().collect::<Vec<_>>();
            let (added, removed) = (less(&after, &before), less(&before, &after));
            if !added.is_empty() || !removed.is_empty() {
                decided.effects.push(Effect::Tags { added, removed });
            }
            Ok(())
        }
        Gave::Stamps { card, repaid: _, on, lost, visit } => {
            let what = taken_stamps(scene, desk, card, on, *lost, consequence.count, before, target);
            let visit = visit.filter(|_| target == consequence.count);
            unstamp(desk, card, TakenStamps { visit, ..what }, cause, at, decided)
        }
    }
}

/// Stamps `before..target`, counted from the end: first those that found no room, then those on cards, the last card
/// first, then those that repaid. Which they are depends on the counts alone, not on the steps.
#[expect(clippy::too_many_arguments, reason = "each names one thing of what is undone")]
fn taken_stamps(
    scene: &Scene<'_>,
    desk: &Desk,
    card: &CardId,
    on: &[StampsOn],
    lost: i64,
    count: i64,
    before: i64,
    target: i64,
) -> TakenStamps {
    let mut what = TakenStamps::default();
    let Some(known) = desk.state.card(card) else { return what };
    let overlap = |from: i64, until: i64| (target.min(until) - before.max(from)).max(0);
    let mut position = lost;
    let mut wanted = 0;
    for part in on.iter().rev() {
        let here = overlap(position, position + part.stamps);
        position += part.stamps;
        let gone = known.lapsed.iter().find(|lapsed| lapsed.number == part.number).map_or(0, |lapsed| lapsed.stamps);
        let gone = gone.min(here);
        if 0 < gone {
            what.lapsed.push(StampsOn { number: part.number, stamps: gone });
        }
        wanted += here - gone;
    }
    wanted += overlap(position, count);
    what.taken = known.open.as_ref().map_or(0, |open| open.stamps).min(wanted);
    let missing = wanted - what.taken;
    let owed = scene.program.stamp_card(card).is_none_or(|terms| terms.stamps_owed);
    let covered: i64 = desk.state.unused(known).map(|filled| filled.card.stamps).sum();
    what.owed = if owed { missing } else { missing.min(covered) };
    what.forgiven = missing - what.owed;
    what
}

fn unstamp(
    desk: &mut Desk,
    card: &CardId,
    what: TakenStamps,
    cause: GrantId,
    at: Instant,
    decided: &mut Decided,
) -> Result<(), Halt> {
    if what == TakenStamps::default() {
        return Ok(());
    }
    let expired: i64 = what.lapsed.iter().map(|gone| gone.stamps).sum();
    let mut effect = StampsTaken {
        card: card.clone(),
        stamps: what.taken + what.owed + what.forgiven + expired,
        owed: 0,
        forgiven: what.forgiven,
        expired,
        stands: 0,
    };
    let at_effect = decided.effects.len();
    desk.post(at, Fact::Unstamped { card: card.clone(), cause, what })?;
    cover_owed(desk, at, decided)?;
    if let Some(known) = desk.state.card(card) {
        effect.owed = known.owed;
        effect.stands = known.progress().map_or(0, |(stands, _)| stands);
    }
    decided.effects.insert(at_effect, Effect::StampsTaken(effect));
    Ok(())
}

/// Nobody owes stamps and has an unused voucher for them: the voucher is taken back, the rest of its stamps stands.
pub(super) fn cover_owed(desk: &mut Desk, at: Instant, decided: &mut Decided) -> Result<(), Halt> {
    for (voucher, reward, expires_at) in desk.cover_owed_stamps(at)? {
        decided.effects.push(Effect::Voucher(VoucherEffect {
            voucher,
            reward,
            state: VoucherState::Cancelled,
            expires_at,
            rule: None,
            kind: None,
        }));
    }
    Ok(())
}

/// Gives back the vouchers that were used on what has come back, as far as the program does: each when all that it
/// lowered is back, or all of the order where it lowered nothing.
pub(super) fn return_vouchers(
    scene: &Scene<'_>,
    desk: &mut Desk,
    record: &mut OrderRecord,
    decided: &mut Decided,
) -> Result<(), Halt> {
    let at = scene.times.effective_at;
    let terms = scene.program.vouchers;
    for index in 0..record.vouchers.len() {
        let Some(used) = record.vouchers.get(index).filter(|used| !used.given_back && terms.come_back) else {
            continue;
        };
        let whole = used.shares.iter().try_fold(0i64, |sum, n| sum.checked_add(*n)).ok_or(OVERFLOW)?;
        let back = record.returned_of(&used.shares).ok_or(OVERFLOW)?;
        if !record.is_all_returned() && (whole == 0 || back < whole) {
            continue;
        }
        let mut issue = used.issue.clone();
        if let Some(used) = record.vouchers.get_mut(index) {
            used.given_back = true;
        }
        // One that stood as the shopper had paid, though it was used elsewhere, is not this order's to give back.
        let elsewhere = desk.state.voucher(&issue.voucher).is_some_and(|voucher| {
            voucher.state != VoucherState::Used || voucher.order.as_ref() != Some(&record.order_id)
        });
        if elsewhere {
            continue;
        }
        if let Some(cause) = desk.state.voucher(&issue.voucher).and_then(|voucher| voucher.revoked_by.clone()) {
            let (voucher, reward, expires_at) = (issue.voucher.clone(), issue.reward, issue.expires_at);
            let state = VoucherState::Cancelled;
            decided.effects.push(Effect::Voucher(VoucherEffect {
                voucher: issue.voucher,
                reward,
                state,
                expires_at,
                rule: None,
                kind: None,
            }));
            desk.post(at, Fact::VoucherCancelled { voucher, cause })?;
            continue;
        }
        if AccountState::VOUCHERS_OPEN_MAX <= desk.state.vouchers_open() {
            continue;
        }
        if issue.expires_at <= desk.now {
            let Some(grace) = terms.lapsed_grace else { continue };
            issue.expires_at = grace.after(desk.now, &scene.program.zone);
        }
        decided.effects.push(Effect::Voucher(VoucherEffect {
            voucher: issue.voucher.clone(),
            reward: issue.reward.clone(),
            state: VoucherState::Issued,
            expires_at: issue.expires_at,
            rule: None,
            kind: None,
        }));
        desk.post(at, Fact::VoucherReturned { issue, order: record.order_id.clone() })?;
    }
    cover_owed(desk, at, decided)
}
