//! The decision: one pure function family. A preview and the write it previews call the same function on the same
//! kind of input; they differ in whether the result is committed.

mod amend;
mod awards;
mod catalogue;
mod checkout;
mod claim;
mod elsewhere;
mod erase;
mod events;
mod expiry;
mod gifts;
mod giveback;
mod limits;
mod member;
mod moves;
pub(in crate::domain) mod occasions;
mod order_event;
mod outstanding;
mod payouts;
mod people;
mod promise;
mod purse;
mod quoted;
mod readjudicate;
mod recall;
mod referral;
pub(in crate::domain) mod ripple;
mod rules;
mod same_order;
mod status;

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use super::account::{AccountState, ApplyError, Inbound, Salt};
use super::answer::{Answer, Decided, Explain, Reason, Refusal, Subject};
use super::command::{Command, ConfirmPayout, Outgoing, PreparePayout, Recipient, Transfer};
use super::conditions::{Seen, SeenEvent, View};
use super::desk::{self, Desk};
use super::event_record::{DeedRecord, EventRecord};
use super::id::{AccountId, Code, GrantId, MemberId, ProgramId, RequestId, RewardId, UnitId};
use super::ledger::{Dates, Entry};
use super::order_record::OrderRecord;
use super::program::{Bonus, Draw, GiveVoucher, LifeTerms, Program, Rule, Stock, Then, Timeline};
use super::quota::{Asked, OutstandingChange, QuotaKey, SetAside, Taken, Used, Want};
use super::referral::CodeOwner;
use super::referral::signal::HashedSignals;
use super::referral::touch::VisitorState;
use super::stats;
use super::time::{Instant, Period, Times};

use quoted::Standing;

pub use claim::claimable;
pub use recall::{Deed, DeedFinder, Found, recall};
pub use referral::codes::{CodeClaim, CodeWanted};
pub use referral::qualify::partner_due;
pub use referral::suspect::Known;

/// All that a decision may depend on, as loaded.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    pub program: ProgramId,
    /// Whom the command names; a guest has none.
    pub account_id: Option<AccountId>,
    /// `None`: nobody is enrolled under the id.
    pub account: Option<Arc<AccountState>>,
    /// The record of the order that the command names. Apart, like all that is large and mostly not there: what is handed from
    /// function to function is moved each time.
    pub order: Option<Box<OrderRecord>>,
    /// Codes that the command names, and whose they are.
    pub codes: Vec<(Code, Option<CodeOwner>)>,
    /// For a delivered effect: what came in before under its grant.
    pub inbound: Option<Inbound>,
    /// Who acts: one of the account's people. A guest is nobody.
    pub member: Option<MemberId>,
    /// Random bytes, should a profile change.
    pub salt: Salt,
    /// What is kept under the name of the event, or of the recovery of an order, that the command is about.
    pub deed: Option<DeedRecord>,
    /// What was set aside of limits over all members; in a preview, what is left of them.
    pub set_aside: Vec<SetAside>,
    /// What was found of the member whom an order or an event names as its recipient; `None`: it names nobody.
    pub recipient: Option<Recipient>,
    /// What became of the claim of a code, once there was one.
    pub code_claim: Option<CodeClaim>,
    /// What is kept of the visitor whom the command names; `None`: it names none.
    pub visitor: Option<VisitorState>,
    /// Those above the friend whom the command may attribute, as far as the program looks.
    pub upline: Vec<Known>,
    /// What the command tells of a person, hashed.
    pub signals: Option<HashedSignals>,
}

impl Snapshot {
    /// Of nobody.
    fn empty(program: ProgramId) -> Snapshot {
        Snapshot {
            program,
            account_id: None,
            account: None,
            order: None,
            codes: Vec::new(),
            inbound: None,
            member: None,
            salt: Salt::default(),
            deed: None,
            set_aside: Vec::new(),
            recipient: None,
            code_claim: None,
            visitor: None,
            upline: Vec::new(),
            signals: None,
        }
    }

    fn owner_of(&self, code: &Code) -> Option<&CodeOwner> {
        self.codes.iter().find(|(known, _)| known == code).and_then(|(_, owner)| owner.as_ref())
    }
}

/// What was decided. Nothing of it counts until the store has applied it.
#[derive(Clone, PartialEq, Debug)]
pub struct Decision {
    pub answer: Answer,
    /// Whether a resend should find this answer; false where something is missing that may yet arrive.
    pub remember: bool,
    /// The account after `entries`; `None`: there is none.
    pub account: Option<Arc<AccountState>>,
    pub entries: Vec<Entry>,
    /// Each of `entries` as it is to be stored; none of them in a preview.
    pub stored: Vec<Vec<u8>>,
    /// The order's record, when it changed.
    pub order: Option<Box<OrderRecord>>,
    /// That record as it is to be stored, where deciding took it.
    pub order_stored: Option<Vec<u8>>,
    /// What came in under a grant, when it changed.
    pub inbound: Option<(GrantId, Inbound)>,
    /// Effects for other accounts.
    pub transfers: Vec<Transfer>,
    /// A note to keep beside the entry of that sequence.
    pub note: Option<(u64, String)>,
    /// The record of an event or of a recovery, when it changed.
    pub deed: Option<DeedRecord>,
    /// What has to be claimed of limits over all members before this can be decided for good. Unless it is empty, the
    /// decision is provisional: it must not be committed.
    pub wants: Vec<Want>,
    /// A code that has to be claimed first: the decision is provisional likewise.
    pub wants_code: Option<CodeWanted>,
    /// What the decision uses of the claims in its snapshot.
    pub used: Vec<Used>,
    /// The trace of the order, where it is to be kept beside its record.
    pub trace: Option<Explain>,
    /// Further effects for other accounts.
    pub outgoing: Vec<Outgoing>,
    /// Whether what another account sent is part of this one now, by this decision or by an earlier one.
    pub received: bool,
    /// Quotas of stock that one each goes back to.
    pub stock_back: Vec<QuotaKey>,
    /// What bounds on all that is outstanding have to be told.
    pub outstanding: Vec<OutstandingChange>,
    /// The record of a visitor, when it changed.
    pub visitor: Option<VisitorState>,
    /// What a visitor changes in the figures of referrals; what accounts change follows from their entries.
    pub figures: Option<stats::Change>,
}

/// Why nothing could be decided.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecideError {
    #[error("there is no program")]
    NoProgram,
    /// The state does not allow what the decision found: a defect, or damaged data.
    #[error("{0}")]
    Inconsistent(&'static str),
}

/// Decides a command on a snapshot. Pure: the same input gives the same decision, bit for bit. Boxed, for it is large and
/// handed on.
///
/// `request` is named in the entries. `preview` allows instants in the future.
pub fn decide(
    timeline: &Timeline,
    snapshot: &Snapshot,
    command: &Command,
    times: Times,
    request: Option<&RequestId>,
    preview: bool,
) -> Result<Box<Decision>, DecideError> {
    let standing = Standing::of(timeline, snapshot, command, times.now);
    let times = standing.times(effective(snapshot, command, times));
    let program = timeline.at(times.effective_at).ok_or(DecideError::NoProgram)?;
    let scene = Scene::new(timeline, program, snapshot, times, request, preview);
    let mut decided = match command {
        Command::Enroll(enroll) => member::enroll(&scene, enroll),
        Command::Reserve(reserve) => checkout::reserve(&scene, reserve, &standing),
        Command::Commit(commit) => checkout::commit(&scene, commit, &standing),
        Command::Release(release) => checkout::release(&scene, release),
        Command::Return(what) => giveback::give_back(&scene, what),
        Command::Adjust(adjust) => member::adjust(&scene, adjust),
        Command::CreateCode(create) => referral::create_code(&scene, create),
        Command::Attribute(attribute) => referral::attribute(&scene, attribute),
        Command::Receive(transfer) => referral::receive(&scene, transfer),
        Command::Advance => member::advance(&scene),
        Command::UpdateMember(update) => people::update(&scene, update),
        Command::RecordEvent(record) => events::record(&scene, record),
        Command::ReviewEvent(review) => events::review(&scene, review),
        Command::RevokeEvent(revoke) => events::revoke(&scene, revoke),
        Command::Claim(claim) => claim::claim(&scene, claim),
        Command::OrderEvent(event) => order_event::record(&scene, event),
        Command::Extend(extend) => expiry::extend(&scene, extend),
        Command::Reinstate(reinstate) => expiry::reinstate(&scene, reinstate),
        Command::SetTier(set) => status::set_tier(&scene, set),
        Command::Relocate(relocate) => moves::relocate(&scene, relocate),
        Command::Announce(announce) => moves::announce(&scene, announce),
        Command::Depart(depart) => moves::depart(&scene, *depart),
        Command::Take(parcel) => moves::take(&scene, parcel),
        Command::Erase => erase::erase(&scene),
        Command::Send(send) => gifts::send(&scene, send),
        Command::CreateAccount(create) => people::create_account(&scene, create),
        Command::SetRole(set) => people::set_role(&scene, set),
        Command::Amend(amend) => amend::amend(&scene, amend),
        Command::UpdateCode(update) => referral::update_code(&scene, update),
        Command::SettleReferral(settle) => referral::confirm(&scene, settle),
        Command::RedeemReward(redeem) => catalogue::redeem(&scene, redeem),
        Command::FulfilVoucher(voucher) => catalogue::fulfil(&scene, voucher),
        Command::CancelVoucher(voucher) => catalogue::cancel(&scene, voucher),
        Command::Catalogue(asked) => catalogue::list(&scene, asked),
        Command::RecordTouch(record) => referral::record_touch(&scene, record),
        Command::ReviewReward(review) => referral::review(&scene, review),
        Command::PreparePayout(prepare) => payouts::prepare(&scene, prepare),
        Command::ConfirmPayout(confirm) => payouts::confirm(&scene, confirm),
    };
    if let Ok(decision) = &mut decided
        && let Err(halt) = outstanding::settle(&scene, decision)
    {
        decided = Err(halt);
    }
    let refusal = match decided {
        // A refusal stands whatever limits would have granted: it asks nothing of them.
        Ok(decision) => {
            let mut decision = Box::new(decision);
            Asked { wants: decision.wants, used: decision.used } = scene.asked.into_inner();
            return Ok(decision);
        }
        Err(Halt::Refused(refusal)) => *refusal,
        Err(Halt::Apply(ApplyError::Overflow)) => Refusal::new(subject_of(command), Reason::OutOfBounds),
        Err(Halt::Apply(ApplyError::TooLarge)) => Refusal::new(subject_of(command), Reason::TooLarge),
        Err(Halt::Apply(ApplyError::Inconsistent(what))) => return Err(DecideError::Inconsistent(what)),
    };
    Ok(Box::new(scene.refused(command, refusal)))
}

/// What a review approves happened when the event did; what a settled claim had earned by then, when it qualified.
fn effective(snapshot: &Snapshot, command: &Command, times: Times) -> Times {
    match (command, &snapshot.deed) {
        (Command::SettleReferral(settle), _) => {
            let state = snapshot.account.as_deref().into_iter();
            let mut meant = state.flat_map(AccountState::referrals).filter(|known| known.referral == settle.referral);
            let qualified_at = meant.find_map(|known| known.qualified_at);
            Times { effective_at: qualified_at.unwrap_or(settle.attributed_at), ..times }
        }
        (Command::ReviewEvent(_), Some(DeedRecord::Event(event))) => {
            Times { effective_at: event.effective_at, ..times }
        }
        _ => times,
    }
}

/// Brings a state up to date for reading: nothing is committed.
pub fn as_of(
    timeline: &Timeline,
    state: impl Into<Arc<AccountState>>,
    now: Instant,
) -> Result<AccountState, DecideError> {
    let version = timeline.at(now).ok_or(DecideError::NoProgram)?.version.clone();
    let mut desk = Desk::new(state.into(), now, version, None, true);
    match desk.advance(timeline) {
        Ok(()) => Ok(Arc::unwrap_or_clone(desk.state)),
        Err(ApplyError::Inconsistent(what)) => Err(DecideError::Inconsistent(what)),
        Err(ApplyError::Overflow | ApplyError::TooLarge) => {
            Err(DecideError::Inconsistent("the state does not advance"))
        }
    }
}

/// What follows, good for so long where it does not say itself.
fn good_for(then: &Then, valid_for: Period) -> Then {
    match then {
        Then::Bonus(bonus) if bonus.life.is_none() => {
            let life = LifeTerms { expires_after: Some(valid_for), ..LifeTerms::default() };
            Then::Bonus(Bonus { life: Some(life), ..bonus.clone() })
        }
        Then::Voucher(voucher) if voucher.valid_for.is_none() => {
            Then::Voucher(GiveVoucher { valid_for: Some(valid_for), ..voucher.clone() })
        }
        other => other.clone(),
    }
}

/// Why a decision stops early.
enum Halt {
    Refused(Box<Refusal>),
    Apply(ApplyError),
}

impl From<ApplyError> for Halt {
    fn from(error: ApplyError) -> Halt {
        Halt::Apply(error)
    }
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Halt {
        Halt::Refused(Box::new(refusal))
    }
}

fn no(subject: Subject, reason: Reason) -> Halt {
    Refusal::new(subject, reason).into()
}

/// So many of a stock are looked for wherever they lie.
const LOOK_MAX: i64 = 100;

const OVERFLOW: Halt = Halt::Apply(ApplyError::Overflow);

/// What every decision needs at hand.
struct Scene<'a> {
    timeline: &'a Timeline,
    program: &'a Arc<Program>,
    snapshot: &'a Snapshot,
    times: Times,
    request: Option<&'a RequestId>,
    preview: bool,
    /// What was asked of limits over all members so far.
    asked: RefCell<Asked>,
    /// What was given so far under the bounds of each order, by their owner.
    tab: RefCell<Vec<(String, i64)>>,
    /// Dates that were computed so far: calendars take their time, and rules of one order mostly grant alike.
    dates: RefCell<Vec<(LifeTerms, Dates)>>,
}

impl<'a> Scene<'a> {
    fn new(
        timeline: &'a Timeline,
        program: &'a Arc<Program>,
        snapshot: &'a Snapshot,
        times: Times,
        request: Option<&'a RequestId>,
        preview: bool,
    ) -> Scene<'a> {
        let (asked, tab, dates) = (RefCell::default(), RefCell::default(), RefCell::default());
        Scene { timeline, program, snapshot, times, request, preview, asked, tab, dates }
    }
}

impl Scene<'_> {
    /// The same scene under another version and as of another instant.
    fn as_of<'s>(&'s self, program: &'s Arc<Program>, times: Times) -> Scene<'s> {
        Scene::new(self.timeline, program, self.snapshot, times, self.request, self.preview)
    }

    /// Takes over what was asked of limits in another scene of the same decision.
    fn adopt(&self, other: Scene<'_>) {
        self.asked.borrow_mut().append(other.asked.into_inner());
    }
}

impl Scene<'_> {
    /// The record of the event that the command is about.
    fn event(&self) -> Option<&EventRecord> {
        match &self.snapshot.deed {
            Some(DeedRecord::Event(record)) => Some(record),
            Some(DeedRecord::Recovery(_)) | None => None,
        }
    }

    /// The rule as it is to be read where something other than an order fires it: what is granted for so much of an
    /// event's value is worked out. `None`: nothing follows.
    fn worth<'r>(&self, rule: &'r Rule, event: Option<SeenEvent<'_>>) -> Option<Cow<'r, Rule>> {
        if let Some(valid_for) = rule.occasion.and_then(|occasion| occasion.valid_for) {
            return Some(Cow::Owned(Rule { then: good_for(&rule.then, valid_for), ..rule.clone() }));
        }
        let Then::Bonus(bonus) = &rule.then else { return Some(Cow::Borrowed(rule)) };
        let Some(each) = bonus.for_each_value else { return Some(Cow::Borrowed(rule)) };
        let value = event.and_then(|event| event.value).unwrap_or(0);
        let times = value.checked_div(each).unwrap_or(0);
        // What leaves the numbers that there are is more than anybody has.
        let units = bonus.units.checked_mul(times).filter(|units| 0 < *units)?;
        let bonus = Bonus { units, for_each_value: None, ..bonus.clone() };
        Some(Cow::Owned(Rule { then: Then::Bonus(bonus), ..rule.clone() }))
    }

    /// Refuses instants that lie in the future (but for previews) or further back than the program allows.
    fn check_times(&self, subject: Subject) -> Result<(), Halt> {
        let Times { now, effective_at, stated: _ } = self.times;
        if now < effective_at && !self.preview {
            return Err(no(subject, Reason::InFuture));
        }
        if effective_at < now.minus_ms(self.program.back_dating_ms_max) {
            return Err(no(subject, Reason::TooFarBack));
        }
        Ok(())
    }

    /// The dates of units that are granted now: see [`desk::dates`].
    fn dates(&self, unit: &UnitId, own: Option<&LifeTerms>) -> Dates {
        let Some(life) = own.or_else(|| self.program.unit(unit).map(|terms| &terms.life)) else {
            return desk::dates(self.program, unit, own, self.times.effective_at);
        };
        let mut known = self.dates.borrow_mut();
        if let Some((_, dates)) = known.iter().find(|(of, _)| of == life) {
            return *dates;
        }
        let dates = desk::dates(self.program, unit, own, self.times.effective_at);
        known.push((life.clone(), dates));
        dates
    }

    /// The account, brought up to date. A preview in the future sees the account as it will be then.
    fn desk(&self) -> Result<Desk, Halt> {
        match &self.snapshot.account {
            None => Err(no(Subject::Member, Reason::MemberUnknown)),
            Some(state) if state.erased_at.is_some() => Err(no(Subject::Member, Reason::MemberErased)),
            Some(state) if state.away.is_some() => Err(no(Subject::Member, Reason::NotMovable)),
            Some(state) => self.desk_of(Arc::clone(state)),
        }
    }

    /// The same, also where the member was erased: what belongs to the past still comes to its end.
    fn desk_of_any(&self) -> Result<Desk, Halt> {
        let state = self.snapshot.account.as_ref().ok_or_else(|| no(Subject::Member, Reason::MemberUnknown))?;
        self.desk_of(Arc::clone(state))
    }

    fn desk_of(&self, state: impl Into<Arc<AccountState>>) -> Result<Desk, Halt> {
        let now = if self.preview { self.times.now.max(self.times.effective_at) } else { self.times.now };
        let (version, request) = (self.program.version.clone(), self.request.cloned());
        let mut desk = Desk::new(state.into(), now, version, request, self.preview);
        desk.advance(self.timeline)?;
        Ok(desk)
    }

    /// What rules may look at.
    fn view<'v>(&'v self, state: &'v AccountState, order: Option<Seen<'v>>) -> View<'v> {
        let (at, member) = (self.times.effective_at, self.snapshot.member.as_ref());
        View { program: self.program, at, state, member, order, event: None }
    }

    /// The person who acts, as one of the account's people.
    fn acting(&self, state: &AccountState) -> Result<MemberId, Halt> {
        let person = self.snapshot.member.as_ref().and_then(|member| state.acting(member));
        person.map(|person| person.member.clone()).ok_or_else(|| no(Subject::Member, Reason::MemberUnknown))
    }

    /// Who acts.
    fn member(&self) -> &Option<MemberId> {
        &self.snapshot.member
    }

    /// How much of `desired` limits over all members allow.
    fn take(&self, desired: i64, wants: Vec<Want>) -> Taken {
        self.asked.borrow_mut().take(&self.snapshot.set_aside, desired, wants)
    }

    /// Takes back what was asked of limits so far: none of it is used.
    fn ask_nothing(&self) {
        *self.asked.borrow_mut() = Asked::default();
    }

    /// Takes one out of a stock, for a deed named so. `Err`: what is left. Until the claim has been made there is one.
    fn take_stock(&self, stock: &Stock, quota: &QuotaKey, deed: &[&str]) -> Result<Option<i64>, i64> {
        let want = self.want(quota.clone(), deed, stock.items, true);
        let want = Want { numbered: stock.is_codes, comes_back: !stock.is_codes, ..want };
        let number = self.snapshot.set_aside.iter().find(|claim| want.is_of(claim)).and_then(|claim| claim.number);
        let taken = self.take(1, vec![want]);
        if 0 < taken.granted { Ok(number) } else { Err(taken.short.unwrap_or(0)) }
    }

    /// What is left of a stock, exactly where that is no more than [`LOOK_MAX`]; all of it until it has been looked at.
    fn left_of(&self, stock: &Stock, quota: &QuotaKey, reward: &RewardId) -> i64 {
        let want = self.want(quota.clone(), &["look", reward.as_str()], stock.items, false);
        let want = Want { numbered: stock.is_codes, amount: stock.items.min(LOOK_MAX), ..want };
        let seen = self.snapshot.set_aside.iter().find(|claim| want.is_of(claim)).map(|claim| claim.left);
        if seen.is_none() {
            self.asked.borrow_mut().wants.push(want);
        }
        seen.unwrap_or(stock.items)
    }

    /// The number of the ticket that is taken out of a draw's drum; `None`: it is empty. Until the claim has been made,
    /// any number will do: the decision is made again.
    fn take_out_of(&self, draw: &Draw, cause: &GrantId) -> Option<i64> {
        let want = self.want(draw.drum(&self.program.id), &[cause.as_str()], draw.of, true);
        let want = Want { numbered: true, ..want };
        let claim = self.snapshot.set_aside.iter().find(|claim| want.is_of(claim)).map(|claim| claim.number);
        let taken = self.take(1, vec![want]);
        (0 < taken.granted).then(|| claim.flatten().unwrap_or(0))
    }

    /// A want under the program that decides.
    fn want(&self, quota: QuotaKey, deed: &[&str], capacity: i64, whole: bool) -> Want {
        let since = self.timeline.since(self.times.effective_at);
        Want {
            quota,
            deed: deed.join("|").into(),
            capacity,
            since,
            amount: 0,
            whole,
            numbered: false,
            pause: None,
            comes_back: false,
        }
    }

    fn decided(&self) -> Decided {
        Decided::empty(self.program.version.clone(), self.times.effective_at)
    }

    /// A decision that changes what the desk holds.
    fn done(&self, desk: Desk, answer: Answer) -> Decision {
        Decision {
            stock_back: desk.freed.into_iter().map(|taken| taken.quota).collect(),
            outstanding: Vec::new(),
            answer,
            remember: true,
            account: Some(desk.state),
            entries: desk.entries,
            stored: desk.stored,
            order: None,
            order_stored: None,
            inbound: None,
            transfers: Vec::new(),
            note: None,
            deed: None,
            wants: Vec::new(),
            wants_code: None,
            used: Vec::new(),
            trace: None,
            outgoing: Vec::new(),
            received: false,
            visitor: None,
            figures: None,
        }
    }

    /// A decision that changes nothing: the account stays as loaded.
    fn unchanged(&self, answer: Answer, remember: bool) -> Decision {
        Decision {
            answer,
            remember,
            account: self.snapshot.account.clone(),
            stock_back: Vec::new(),
            outstanding: Vec::new(),
            entries: Vec::new(),
            stored: Vec::new(),
            order: None,
            order_stored: None,
            inbound: None,
            transfers: Vec::new(),
            note: None,
            deed: None,
            wants: Vec::new(),
            wants_code: None,
            used: Vec::new(),
            trace: None,
            outgoing: Vec::new(),
            received: false,
            visitor: None,
            figures: None,
        }
    }

    /// The whole command is refused for one reason.
    fn refused(&self, command: &Command, refusal: Refusal) -> Decision {
        let remember = refusal.reason.is_remembered();
        let answer = refusal_answer(command, self.decided(), vec![refusal]);
        self.unchanged(answer, remember)
    }
}

/// The answer of a command that is refused whole.
fn refusal_answer(command: &Command, mut decided: Decided, refusals: Vec<Refusal>) -> Answer {
    use super::answer as a;
    decided.refusals = refusals;
    match command {
        Command::Enroll(_) => Answer::Enroll(a::EnrollAnswer { enrolled: false, decided, balances: Vec::new() }),
        Command::Reserve(_) => Answer::Reserve(a::ReserveAnswer { reserved: false, reservation: None, decided }),
        Command::Commit(_) => {
            Answer::Commit(a::CommitAnswer { status: a::CommitStatus::Refused, decided, balances: Vec::new() })
        }
        Command::Release(_) => {
            Answer::Release(a::ReleaseAnswer { released: false, reservation: None, refusals: decided.refusals })
        }
        Command::Return(_) => Answer::Return(a::ReturnAnswer {
            status: a::ReturnStatus::Refused,
            decided,
            refund: None,
            order_state: None,
            balances: Vec::new(),
        }),
        Command::Adjust(_) => Answer::Adjust(a::AdjustAnswer { adjusted: false, decided, balances: Vec::new() }),
        Command::CreateCode(_) => {
            Answer::CreateCode(a::CreateCodeAnswer { code: None, created: false, refusals: decided.refusals })
        }
        Command::Attribute(_) => Answer::Attribute(a::AttributeAnswer { attributed: false, decided }),
        Command::Receive(_) | Command::Advance | Command::SettleReferral(_) => Answer::Done,
        Command::UpdateCode(_) => {
            Answer::UpdateCode(a::UpdateCodeAnswer { changed: false, refusals: decided.refusals })
        }
        Command::UpdateMember(_) => Answer::UpdateMember(a::UpdateMemberAnswer { updated: false, decided }),
        Command::Extend(_) => Answer::Extend(a::AdjustAnswer { adjusted: false, decided, balances: Vec::new() }),
        Command::Reinstate(_) => Answer::Reinstate(a::AdjustAnswer { adjusted: false, decided, balances: Vec::new() }),
        Command::OrderEvent(_) => Answer::OrderEvent(a::OrderEventAnswer {
            status: a::OrderEventStatus::Refused,
            decided,
            order_state: None,
            balances: Vec::new(),
        }),
        Command::RecordEvent(_) => Answer::RecordEvent(a::EventAnswer::of_nothing(decided)),
        Command::ReviewEvent(_) => Answer::ReviewEvent(a::EventAnswer::of_nothing(decided)),
        Command::RevokeEvent(_) => Answer::RevokeEvent(a::EventAnswer::of_nothing(decided)),
        Command::Claim(_) => Answer::Claim(a::ClaimAnswer {
            status: a::ClaimStatus::Refused,
            decided,
            order_state: None,
            balances: Vec::new(),
        }),
        Command::SetTier(_) => Answer::SetTier(a::SetTierAnswer { set: false, decided }),
        Command::Relocate(_) | Command::Depart(_) => Answer::Move(a::MoveAnswer {
            kind: moves::kind_of(command),
            moved: false,
            decided,
            account: None,
            balances: Vec::new(),
        }),
        Command::Announce(_) => Answer::Announced(a::AnnouncedAnswer { refusals: decided.refusals, found: None }),
        Command::Take(_) => Answer::Done,
        Command::Erase => Answer::Erase(a::EraseAnswer { erased: false, decided }),
        Command::Send(_) => Answer::Send(a::SendAnswer { sent: false, decided, balances: Vec::new() }),
        Command::CreateAccount(_) => Answer::CreateAccount(a::CreateAccountAnswer { created: false, decided }),
        Command::SetRole(_) => Answer::SetRole(a::SetRoleAnswer { set: false, decided }),
        Command::Amend(_) => Answer::Amend(a::AmendAnswer {
            status: a::ReturnStatus::Refused,
            decided,
            refund: None,
            due_minor: 0,
            order_state: None,
            balances: Vec::new(),
        }),
        Command::RedeemReward(_) => Answer::RedeemReward(a::VoucherAnswer::of_nothing(decided)),
        Command::FulfilVoucher(_) => Answer::FulfilVoucher(a::VoucherAnswer::of_nothing(decided)),
        Command::CancelVoucher(_) => Answer::CancelVoucher(a::VoucherAnswer::of_nothing(decided)),
        Command::Catalogue(_) => {
            Answer::Catalogue(a::CatalogueAnswer { offers: Vec::new(), prices: Vec::new(), decided })
        }
        Command::RecordTouch(_) => {
            Answer::Touch(a::TouchAnswer { recorded: false, dropped: None, refusals: decided.refusals })
        }
        Command::ReviewReward(_) => Answer::ReviewReward(a::ReviewAnswer { changed: false, decided }),
        Command::PreparePayout(_) => Answer::PreparePayout(a::PayoutAnswer::of_nothing(decided)),
        Command::ConfirmPayout(_) => Answer::ConfirmPayout(a::PayoutAnswer::of_nothing(decided)),
    }
}

fn subject_of(command: &Command) -> Subject {
    match command {
        Command::Reserve(_) | Command::Commit(_) | Command::Claim(_) | Command::Amend(_) => Subject::Order,
        Command::Release(_) => Subject::Reservation,
        Command::Return(_) => Subject::Return,
        Command::Adjust(_) | Command::Extend(_) | Command::Reinstate(_) => Subject::Adjustment,
        Command::OrderEvent(event) => Subject::Event(event.event_id.clone()),
        Command::RecordEvent(_) | Command::ReviewEvent(_) | Command::RevokeEvent(_) => Subject::MemberEvent,
        Command::Attribute(attribute) => Subject::Code(attribute.code.raw.clone()),
        Command::UpdateCode(update) => Subject::Code(update.code.raw.clone()),
        Command::RecordTouch(record) => Subject::Code(record.code.raw.clone()),
        Command::ReviewReward(review) => Subject::Referral(review.referral.clone()),
        Command::Enroll(_)
        | Command::CreateCode(_)
        | Command::Receive(_)
        | Command::Advance
        | Command::SettleReferral(_)
        | Command::UpdateMember(_)
        | Command::Erase
        | Command::Take(_) => Subject::Member,
        Command::Relocate(_)
        | Command::Announce(_)
        | Command::Depart(_)
        | Command::CreateAccount(_)
        | Command::SetRole(_) => Subject::Account,
        Command::Send(_) => Subject::Transfer,
        Command::SetTier(_) => Subject::Tier,
        Command::RedeemReward(redeem) => Subject::Reward(redeem.reward.clone()),
        Command::FulfilVoucher(voucher) | Command::CancelVoucher(voucher) => Subject::Voucher(voucher.clone()),
        Command::Catalogue(_) => Subject::Member,
        Command::PreparePayout(PreparePayout { payout, .. }) | Command::ConfirmPayout(ConfirmPayout { payout, .. }) => {
            Subject::Payout(payout.clone())
        }
    }
}
