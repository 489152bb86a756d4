//! What the cases are written with: a world of accounts that only decisions change.

use std::collections::BTreeMap;
use std::sync::Arc;

use guerdon::domain::account::{AccountState, Inbound, MemberRecord};
use guerdon::domain::answer::{
    Answer, Change, CommitAnswer, Decided, Effect, ReferralState, Refund, Refusal, ReleaseAnswer, ReserveAnswer,
    ReturnAnswer, Subject, TouchAnswer,
};
use guerdon::domain::command::{
    Adjust, AdjustReason, Claim, Command, Commit, ConfirmReferral, EnteredCode, GuestOrder, Measure, Outgoing,
    PayAmount, PayWithUnits, ProfileChange, RecordTouch, Redeem, RedeemMode, Release, Reserve, Return, ReturnCause,
    ReturnWhat, SettleReferral, Tender, Transfer,
};
use guerdon::domain::decide::{CodeClaim, CodeWanted, DecideError, Decision, Known, Snapshot, decide};
use guerdon::domain::event_record::DeedRecord;
use guerdon::domain::id::{
    AccountId, CampaignId, Code, EventId, GrantId, Label, LevelId, LineId, MemberId, OrderId, ProgramId, RequestId,
    ReturnId, RewardId, Sku, UnitId, VisitorId,
};
use guerdon::domain::ledger::{Entry, Stored, decode, encode};
use guerdon::domain::order::{Currency, Line, LineKind, Order};
use guerdon::domain::order_record::{OrderRecord, Returned};
use guerdon::domain::program::{Program, Timeline};
use guerdon::domain::quota::{QuotaKey, SetAside, Want};
use guerdon::domain::referral::code::{ATTEMPTS_MAX, Maker, made};
use guerdon::domain::referral::cycle::{End, HOPS_MAX, Link, Verdict, verdict};
use guerdon::domain::referral::signal::{HashedSignals, RawSignals, SignalKey, Signals};
use guerdon::domain::referral::touch::{TouchKind, VisitorState};
use guerdon::domain::referral::{CodeOwner, CodeState};
use guerdon::domain::time::{Instant, Times};
use guerdon::program::compile;

/// A program from its sections; what they leave out of the head is filled in.
pub(crate) fn program(sections: &str) -> Arc<Program> {
    let mut text = String::from("guerdon: 1\nprogram: p\ntitle: P\n");
    for (section, default) in
        [("time_zone", "time_zone: UTC"), ("currencies", "currencies: [GBP]"), ("units", "units: {points: {}}")]
    {
        if !sections.lines().any(|line| line.starts_with(&format!("{section}:"))) {
            text.push_str(default);
            text.push('\n');
        }
    }
    text.push_str(sections);
    match compile(&text) {
        Ok(program) => Arc::new(program),
        Err(faults) => panic!("{faults}\n{text}"),
    }
}

/// A point for each pound.
pub(crate) const BASE: &str = "
rules:
  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}
";

pub(crate) fn at(text: &str) -> Instant {
    let full = match text.len() {
        10 => format!("{text}T12:00:00Z"),
        16 => format!("{text}:00Z"),
        _ => text.to_owned(),
    };
    Instant(full.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

pub(crate) fn points() -> UnitId {
    UnitId::points()
}

pub(crate) fn account(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

pub(crate) fn order_id(name: &str) -> OrderId {
    OrderId::parse(name).unwrap()
}

pub(crate) fn label(name: &str) -> Label {
    Label::parse(name).unwrap()
}

/// One item of goods for so many minor units.
pub(crate) fn line(id: &str, amount_minor: i64) -> Line {
    Line {
        line_id: LineId::parse(id).unwrap(),
        sku: None,
        categories: Vec::new(),
        brand: None,
        seller: None,
        collections: Vec::new(),
        labels: Vec::new(),
        kind: LineKind::Goods,
        quantity: 1,
        amount_minor,
        list_amount_minor: None,
        prior_amount_minor: None,
        tax_minor: 0,
    }
}

pub(crate) fn of_kind(kind: LineKind, line: Line) -> Line {
    Line { kind, ..line }
}

pub(crate) fn of_category(category: &str, line: Line) -> Line {
    Line { categories: vec![label(category)], ..line }
}

pub(crate) fn of_sku(sku: &str, line: Line) -> Line {
    Line { sku: Some(Sku::parse(sku).unwrap()), ..line }
}

pub(crate) fn of_brand(brand: &str, line: Line) -> Line {
    Line { brand: Some(label(brand)), ..line }
}

pub(crate) fn items(quantity: i64, line: Line) -> Line {
    Line { quantity, ..line }
}

pub(crate) fn taxed(tax_minor: i64, line: Line) -> Line {
    Line { tax_minor, ..line }
}

pub(crate) fn order(id: &str, lines: Vec<Line>) -> Order {
    Order {
        order_id: order_id(id),
        currency: Currency::parse("GBP").unwrap(),
        channel: None,
        store: None,
        zone: None,
        prices_include_tax: true,
        lines,
        kind: guerdon::domain::order::OrderKind::Ordinary,
        coupons: Vec::new(),
        payment_methods: Vec::new(),
        recipient: None,
    }
}

/// An order of one line.
pub(crate) fn order_for(id: &str, amount_minor: i64) -> Order {
    order(id, vec![line("a", amount_minor)])
}

pub(crate) fn commit(order: Order) -> Commit {
    let (codes, tenders, visitor) = (Vec::new(), Vec::new(), None);
    Commit {
        order,
        redeem: None,
        codes,
        paid: false,
        tenders,
        explain: false,
        quote: None,
        visitor,
        signals: Signals::None,
    }
}

pub(crate) fn reserve(order: Order, redeem: Redeem) -> Reserve {
    Reserve { order, redeem, ttl_s: None, explain: false, quote: None }
}

pub(crate) fn nothing() -> Redeem {
    Redeem { mode: RedeemMode::AllOrNothing, pay: None, rewards: Vec::new(), vouchers: Vec::new() }
}

pub(crate) fn pay(amount: PayAmount) -> Redeem {
    Redeem { pay: Some(PayWithUnits { unit: None, amount }), ..nothing() }
}

pub(crate) fn pay_exactly(units: i64) -> Redeem {
    pay(PayAmount::Exactly(units))
}

pub(crate) fn rewards(ids: &[&str]) -> Redeem {
    Redeem { rewards: ids.iter().map(|id| RewardId::parse(id).unwrap()).collect(), ..nothing() }
}

pub(crate) fn as_possible(redeem: Redeem) -> Redeem {
    Redeem { mode: RedeemMode::AsPossible, ..redeem }
}

pub(crate) fn tender(name: &str, amount_minor: i64) -> Tender {
    Tender { tender: label(name), amount_minor }
}

pub(crate) fn returned(order: &str, id: &str, what: ReturnWhat) -> Return {
    Return { order_id: order_id(order), return_id: ReturnId::parse(id).unwrap(), what, cause: ReturnCause::Return }
}

pub(crate) fn everything(order: &str, id: &str) -> Return {
    returned(order, id, ReturnWhat::Everything)
}

pub(crate) fn quantity(line: &str, n: i64) -> (LineId, Measure) {
    (LineId::parse(line).unwrap(), Measure::Quantity(n))
}

pub(crate) fn amount(line: &str, n: i64) -> (LineId, Measure) {
    (LineId::parse(line).unwrap(), Measure::Amount(n))
}

pub(crate) fn entered(raw: &str) -> EnteredCode {
    EnteredCode { raw: raw.to_owned(), code: guerdon::domain::referral::code::read(raw) }
}

/// A friend names a code, after sign-up.
pub(crate) fn named(code: &str) -> Command {
    Command::Attribute(guerdon::domain::command::Attribute { code: entered(code), agent: None, signals: Signals::None })
}

/// An advocate asks for a code.
pub(crate) fn wish(campaign: Option<&str>, vanity: Option<&str>) -> guerdon::domain::command::CreateCode {
    guerdon::domain::command::CreateCode {
        campaign: campaign.map(|id| CampaignId::parse(id).unwrap()),
        vanity: vanity.and_then(guerdon::domain::referral::code::read),
        label: None,
        expires_at: None,
        uses_max: None,
    }
}

/// What a command tells of a person.
fn signals_of(command: &Command) -> Option<HashedSignals> {
    match command {
        Command::Enroll(c) => c.signals.hashed().cloned(),
        Command::Commit(c) => c.signals.hashed().cloned(),
        Command::Attribute(c) => c.signals.hashed().cloned(),
        Command::UpdateMember(c) => c.signals.hashed().cloned(),
        _ => None,
    }
}

/// Signals under the key of the tests.
pub(crate) fn hashed(raw: RawSignals) -> Signals {
    hashed_under(raw, &[[1; 16]])
}

/// The first key writes, all are compared.
pub(crate) fn hashed_under(raw: RawSignals, keys: &[[u8; 16]]) -> Signals {
    let keys: Vec<SignalKey> = keys.iter().map(|key| SignalKey::of(key).unwrap()).collect();
    Signals::Hashed(Box::new(raw.hashed(&ProgramId::parse("p").unwrap(), &keys)))
}

/// A code that is good.
pub(crate) fn owner_of(account: &AccountId, campaign: &CampaignId) -> CodeOwner {
    CodeOwner {
        account: account.clone(),
        campaign: campaign.clone(),
        state: CodeState::Active,
        revision: 1,
        expires_at: Instant::MAX,
        uses_max: None,
    }
}

/// Accounts, orders and codes, and a clock that goes when told. What a decision answers is applied at once, as a
/// store would.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) timeline: Timeline,
    pub(crate) now: Instant,
    pub(crate) accounts: BTreeMap<AccountId, AccountState>,
    pub(crate) ledgers: BTreeMap<AccountId, Vec<Entry>>,
    pub(crate) orders: BTreeMap<OrderId, OrderRecord>,
    pub(crate) codes: BTreeMap<Code, CodeOwner>,
    pub(crate) visitors: BTreeMap<VisitorId, VisitorState>,
    pub(crate) inbound: BTreeMap<(AccountId, GrantId), Inbound>,
    /// Of orders whose Commit asked for it.
    pub(crate) traces: BTreeMap<OrderId, guerdon::domain::answer::Explain>,
    /// Effects that nobody has delivered yet.
    /// What is left of limits over all members.
    pub(crate) quotas: BTreeMap<QuotaKey, i64>,
    /// By account and the id of the event.
    pub(crate) events: BTreeMap<(AccountId, EventId), DeedRecord>,
    pub(crate) recoveries: BTreeMap<(AccountId, OrderId), DeedRecord>,
    pub(crate) outbox: Vec<Outgoing>,
}

impl World {
    /// Noon of 2026-05-04, a Monday, with nobody enrolled.
    pub(crate) fn of(program: Arc<Program>) -> World {
        World {
            timeline: Timeline::of(program),
            now: at("2026-05-04"),
            accounts: BTreeMap::new(),
            ledgers: BTreeMap::new(),
            orders: BTreeMap::new(),
            codes: BTreeMap::new(),
            visitors: BTreeMap::new(),
            inbound: BTreeMap::new(),
            traces: BTreeMap::new(),
            outbox: Vec::new(),
            quotas: BTreeMap::new(),
            events: BTreeMap::new(),
            recoveries: BTreeMap::new(),
        }
    }

    pub(crate) fn new(sections: &str) -> World {
        World::of(program(sections))
    }

    /// A member with so many points by hand, that never expire.
    pub(crate) fn with(mut self, member: &str, units: i64) -> World {
        self.enrol(member, &[]);
        if units != 0 {
            self.adjust(member, units, None);
        }
        self
    }

    pub(crate) fn on(mut self, when: &str) -> World {
        self.now = at(when);
        self
    }

    pub(crate) fn go(&mut self, when: &str) {
        self.now = at(when);
    }

    pub(crate) fn times(&self) -> Times {
        Times { now: self.now, effective_at: self.now, stated: false }
    }

    pub(crate) fn snapshot(&self, member: Option<&AccountId>, command: &Command) -> Snapshot {
        let named = match command {
            Command::Reserve(c) => Some(&c.order.order_id),
            Command::Commit(c) => Some(&c.order.order_id),
            Command::Release(c) => Some(&c.order_id),
            Command::Return(c) => Some(&c.order_id),
            Command::Amend(c) => Some(&c.order_id),
            Command::Adjust(c) => c.order.as_ref(),
            Command::Claim(c) => Some(&c.order_id),
            Command::OrderEvent(c) => Some(&c.order_id),
            _ => None,
        };
        let codes: Vec<Code> = match command {
            Command::Commit(c) => c.codes.iter().filter_map(|c| c.code.clone()).collect(),
            Command::Enroll(c) => c.codes.iter().filter_map(|c| c.code.clone()).collect(),
            Command::Attribute(c) => c.code.code.iter().cloned().collect(),
            Command::RecordTouch(c) => c.code.code.iter().cloned().collect(),
            Command::Claim(Claim { guest: GuestOrder::Claimed(record), .. }) => {
                record.codes.iter().filter_map(|c| c.code.clone()).collect()
            }
            _ => Vec::new(),
        };
        let visitor = match command {
            Command::Commit(Commit { visitor: Some(visitor), .. })
            | Command::Enroll(guerdon::domain::command::Enroll { visitor: Some(visitor), .. }) => {
                Some(self.visitors.get(visitor).cloned().unwrap_or_default())
            }
            Command::Claim(Claim { guest: GuestOrder::Claimed(record), .. }) => {
                Some(VisitorState { touches: record.touches.clone(), ..VisitorState::default() })
            }
            _ => None,
        };
        let touched = visitor.iter().flat_map(|visitor| &visitor.touches).map(|touch| touch.code.clone());
        let codes: Vec<Code> = codes.into_iter().chain(touched).collect();
        let grant = match command {
            Command::Receive(transfer) => Some(transfer.grant.clone()),
            Command::Take(parcel) => parcel.grant(),
            _ => None,
        };
        let inbound = member.zip(grant).and_then(|(member, grant)| self.inbound.get(&(member.clone(), grant)).cloned());
        Snapshot {
            program: ProgramId::parse("p").unwrap(),
            account_id: member.cloned(),
            account: member.and_then(|member| self.accounts.get(member)).cloned().map(Arc::new),
            order: named.and_then(|order| self.orders.get(order)).cloned().map(Box::new),
            codes: codes.into_iter().map(|code| (code.clone(), self.codes.get(&code).cloned())).collect(),
            inbound,
            member: member.map(MemberId::from),
            salt: [7; 16],
            set_aside: Vec::new(),
            code_claim: None,
            visitor,
            upline: self.upline(member, command),
            signals: signals_of(command),
            deed: match (command.event(), member) {
                (Some(event), Some(member)) => self.events.get(&(member.clone(), event.clone())).cloned(),
                (None, Some(member)) => {
                    named.and_then(|order| self.recoveries.get(&(member.clone(), order.clone()))).cloned()
                }
                _ => None,
            },
            recipient: self.recipient_of(command, member),
        }
    }

    /// Those above a friend, as the service finds them.
    fn upline(&self, friend: Option<&AccountId>, command: &Command) -> Vec<Known> {
        if !matches!(command, Command::Enroll(_) | Command::Commit(_) | Command::Attribute(_)) {
            return Vec::new();
        }
        let own = friend.and_then(|friend| self.accounts.get(friend)).and_then(|state| state.referral.as_ref());
        let named = self.codes.values().map(|owner| owner.account.clone());
        let attributed = own.into_iter().flat_map(|own| own.credits()).map(|(advocate, _)| advocate.clone());
        let advocates: std::collections::BTreeSet<AccountId> = named.chain(attributed).collect();
        let mut found = Vec::new();
        for advocate in advocates {
            let mut next = self.accounts.get(&advocate);
            for hops in 1..=8 {
                let Some(state) = next else { break };
                found.push(Known { advocate: advocate.clone(), hops, state: state.clone() });
                next = state.referral.as_ref().and_then(|referral| self.accounts.get(&referral.advocate));
            }
        }
        found
    }

    /// What would be decided; nothing changes.
    pub(crate) fn preview(&self, member: &str, command: &Command, effective_at: Instant) -> Decision {
        let member = (!member.is_empty()).then(|| account(member));
        let times = Times { now: self.now, effective_at, stated: effective_at != self.now };
        *decide(&self.timeline, &self.snapshot(member.as_ref(), command), command, times, None, true).unwrap()
    }

    /// What would be decided as things stand, limits over all members included; nothing changes.
    pub(crate) fn look(&self, member: &str, command: &Command) -> Decision {
        let member = (!member.is_empty()).then(|| account(member));
        let mut world = self.clone();
        let mut snapshot = self.snapshot(member.as_ref(), command);
        loop {
            let decision = *decide(&self.timeline, &snapshot, command, self.times(), None, true).unwrap();
            if decision.wants.is_empty() {
                return decision;
            }
            snapshot.set_aside.extend(decision.wants.iter().map(|want| world.claim(want)));
        }
    }

    /// Decides and applies.
    pub(crate) fn decide(&mut self, member: &str, command: Command) -> Decision {
        let times = self.times();
        self.decide_at(member, command, times).unwrap()
    }

    /// Decides what happened at a stated instant, and applies it.
    pub(crate) fn decide_as_of(&mut self, member: &str, command: Command, effective_at: Instant) -> Decision {
        let times = Times { now: self.now, effective_at, stated: true };
        self.decide_at(member, command, times).unwrap()
    }

    /// Decides, checks what must always hold, and applies.
    pub(crate) fn decide_at(&mut self, member: &str, command: Command, times: Times) -> Result<Decision, DecideError> {
        let acting = account(member);
        let stays =
            matches!(&command, Command::Relocate(_)) || matches!(&command, Command::Take(p) if p.is_homecoming());
        let member = if stays { acting.clone() } else { self.home_of(&acting) };
        // As from outside: no two deeds of an account share one.
        let posted = self.ledgers.get(&member).map_or(0, Vec::len);
        let request = RequestId::parse(&format!("r{posted}")).unwrap();
        let mut snapshot = Snapshot { member: Some(MemberId::from(&acting)), ..self.snapshot(Some(&member), &command) };
        let mut decision = *decide(&self.timeline, &snapshot, &command, times, Some(&request), false)?;
        while !decision.wants.is_empty() || decision.wants_code.is_some() {
            snapshot.set_aside.extend(decision.wants.iter().map(|want| self.claim(want)));
            snapshot.code_claim = decision.wants_code.as_ref().map(|wanted| self.claim_code(&member, wanted));
            decision = *decide(&self.timeline, &snapshot, &command, times, Some(&request), false)?;
        }
        for used in &decision.used {
            *self.quotas.get_mut(&used.quota).unwrap() -= used.amount;
        }
        for quota in &decision.stock_back {
            assert!(!decision.entries.is_empty(), "nothing comes back by itself");
            *self.quotas.get_mut(quota).unwrap() += 1;
        }
        // What is told of all that is outstanding may be more than there is room for.
        for change in &decision.outstanding {
            *self.quotas.entry(change.quota.clone()).or_insert(change.capacity) += change.back;
        }
        let kept = self.quotas.iter().filter(|(quota, _)| !quota.of.starts_with("outstanding|"));
        assert!(kept.clone().all(|(_, left)| 0 <= *left), "{:?}", self.quotas);
        let again = *decide(&self.timeline, &snapshot, &command, times, Some(&request), false)?;
        assert_eq!(decision, again, "the same input gives the same decision");
        let Some(after) = &decision.account else {
            assert!(decision.entries.is_empty());
            return Ok(decision);
        };
        assert_eq!(after.faults(), Vec::<String>::new(), "after {command:?}");
        for book in &after.units {
            let available = book.amount(guerdon::domain::ledger::Book::Available);
            assert!(available == 0 || after.debt(&book.unit) == 0, "{after:?} owes and has");
            assert!(book.lots.iter().all(|lot| 0 <= lot.free && 0 <= lot.held && lot.free + lot.held != 0));
        }
        assert_eq!(Answer::from_receipt(&decision.answer.to_receipt()).as_ref(), Ok(&decision.answer), "asked again");
        if decision.entries.is_empty() {
            assert_eq!(decision.account, snapshot.account, "no entry, no change");
        } else {
            let posted = self.now.max(snapshot.account.as_ref().map_or(self.now, |before| before.posted_at));
            assert_eq!(after.posted_at, posted, "{command:?}");
            assert!(after.next_due().is_none_or(|due| after.posted_at < due), "nothing is left due");
        }
        let ledger = self.ledgers.entry(member.clone()).or_default();
        ledger.extend(decision.entries.iter().map(|entry| decode(&encode(entry)).unwrap()));
        let mut folded = AccountState::new(member.clone());
        ledger.iter().try_for_each(|entry| folded.apply(entry)).unwrap();
        if !ledger.is_empty() {
            assert!(after.is_told_by(&folded), "the ledger folds to the state: {folded:?}\n{after:?}");
        }
        let record = MemberRecord::Account(Arc::clone(after));
        assert_eq!(MemberRecord::from_stored(&record.to_stored()).as_ref(), Ok(&record));
        self.accounts.insert(member.clone(), AccountState::clone(after));
        if let Some(record) = &decision.order {
            check_record(record);
            self.orders.insert(record.order_id.clone(), OrderRecord::clone(record));
            if let (Command::Commit(_), Some(trace)) = (&command, decided(&decision.answer).explain) {
                self.traces.insert(record.order_id.clone(), trace);
            }
        }
        if let Some((grant, inbound)) = &decision.inbound {
            self.inbound.insert((member, grant.clone()), inbound.clone());
        }
        if let (Some(DeedRecord::Event(record)), account) = (&decision.deed, &after.account) {
            let deed = DeedRecord::Event(record.clone());
            assert_eq!(decode::<DeedRecord>(&encode(&deed)).as_ref(), Ok(&deed));
            self.events.insert((account.clone(), record.event.clone()), deed);
        }
        if let Some(DeedRecord::Recovery(record)) = &decision.deed {
            let deed = DeedRecord::Recovery(record.clone());
            self.recoveries.insert((after.account.clone(), record.order.clone()), deed);
        }
        self.outbox.extend(decision.transfers.iter().cloned().map(Outgoing::Transfer));
        self.outbox.extend(decision.outgoing.iter().cloned());
        Ok(decision)
    }

    /// Claims the code that is wanted, as the service does.
    fn claim_code(&mut self, member: &AccountId, wanted: &CodeWanted) -> CodeClaim {
        let program = ProgramId::parse("p").unwrap();
        let CodeWanted { campaign, label, vanity, pattern } = wanted;
        let maker = Maker { program: &program, campaign, account: member, label: label.as_ref() };
        let tries: Vec<Code> = match vanity {
            Some(wished) => vec![wished.clone()],
            None => (0..ATTEMPTS_MAX).filter_map(|attempt| made(maker, pattern, attempt)).collect(),
        };
        for code in tries {
            let mine = CodeOwner { state: CodeState::Claimed, revision: 0, ..owner_of(member, campaign) };
            if *self.codes.entry(code.clone()).or_insert_with(|| mine.clone()) == mine {
                return CodeClaim::Mine(code);
            }
        }
        CodeClaim::Taken
    }

    /// What becomes of a pending claim, as the service finds out.
    fn verdict(&self, claim: &ConfirmReferral) -> Verdict {
        let link = |friend: &AccountId| {
            let referral = self.accounts.get(friend)?.referral.as_ref()?;
            let stands = referral.state != ReferralState::Rejected;
            stands.then(|| {
                (
                    referral,
                    Link {
                        friend: friend.clone(),
                        attributed_at: referral.attributed_at,
                        confirmed: referral.confirmed,
                    },
                )
            })
        };
        let Some((own, own_link)) = link(&claim.friend) else { return Verdict::Confirm };
        let mut above = Vec::new();
        let mut next: Vec<AccountId> = own.credits().into_iter().map(|(account, _)| account.clone()).collect();
        let mut closes = false;
        for _ in 0..HOPS_MAX {
            let Some(account) = next.pop() else {
                return verdict(&own_link, &above, if closes { End::Friend } else { End::Root });
            };
            if account == claim.friend {
                closes = true;
            } else if let Some((referral, link)) = link(&account).filter(|_| above.iter().all(|l| l.friend != account))
            {
                above.push(link);
                next.extend(referral.credits().into_iter().map(|(account, _)| account.clone()));
            }
        }
        verdict(&own_link, &above, if closes { End::Friend } else { End::TooFar })
    }

    /// What of a quota a want is granted; nothing is taken before it is used.
    fn claim(&mut self, want: &Want) -> SetAside {
        let left = (*self.quotas.entry(want.quota.clone()).or_insert(want.capacity)).max(0);
        let granted = if want.whole && left < want.amount { 0 } else { left.min(want.amount) };
        let number = (want.numbered && 0 < granted).then(|| want.capacity - left);
        SetAside { quota: want.quota.clone(), deed: want.deed.clone(), granted, left, number }
    }

    pub(crate) fn enrol(&mut self, member: &str, codes: &[&str]) -> Decision {
        let codes = codes.iter().map(|raw| entered(raw)).collect();
        let member_id = MemberId::parse(member).unwrap();
        let (profile, visitor) = (ProfileChange::default(), None);
        let enroll =
            guerdon::domain::command::Enroll { member: member_id, codes, profile, visitor, signals: Signals::None };
        self.decide(member, Command::Enroll(enroll))
    }

    /// The same for somebody who was a visitor before.
    pub(crate) fn enrol_visitor(&mut self, member: &str, codes: &[&str], visitor: &str) -> Decision {
        let codes = codes.iter().map(|raw| entered(raw)).collect();
        let (profile, visitor) = (ProfileChange::default(), Some(VisitorId::parse(visitor).unwrap()));
        let member_id = MemberId::parse(member).unwrap();
        let enroll =
            guerdon::domain::command::Enroll { member: member_id, codes, profile, visitor, signals: Signals::None };
        self.decide(member, Command::Enroll(enroll))
    }

    /// A visitor comes by a code now.
    pub(crate) fn touch(&mut self, visitor: &str, kind: TouchKind, code: &str, channel: &str) -> TouchAnswer {
        let command = RecordTouch {
            visitor: VisitorId::parse(visitor).unwrap(),
            kind,
            code: entered(code),
            channel: (!channel.is_empty()).then(|| label(channel)),
            source: None,
            user_agent: String::new(),
        };
        self.record_touch(command)
    }

    pub(crate) fn record_touch(&mut self, record: RecordTouch) -> TouchAnswer {
        let visitor = record.visitor.clone();
        let command = Command::RecordTouch(record);
        let known = self.visitors.get(&visitor).cloned().unwrap_or_default();
        let snapshot = Snapshot { visitor: Some(known), ..self.snapshot(None, &command) };
        let decision = decide(&self.timeline, &snapshot, &command, self.times(), None, false).unwrap();
        if let Some(state) = decision.visitor {
            assert_eq!(decode::<VisitorState>(&encode(&state)).as_ref(), Ok(&state));
            self.visitors.insert(visitor, state);
        }
        match decision.answer {
            Answer::Touch(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    /// Adds or takes points by hand.
    pub(crate) fn adjust(&mut self, member: &str, amount: i64, expires: Option<&str>) -> Decision {
        self.decide(member, Command::Adjust(adjust(amount, expires)))
    }

    pub(crate) fn buy(&mut self, member: &str, order: Order) -> Decision {
        self.decide(member, Command::Commit(commit(order)))
    }

    pub(crate) fn commit(&mut self, member: &str, commit: Commit) -> Decision {
        self.decide(member, Command::Commit(commit))
    }

    pub(crate) fn reserve(&mut self, member: &str, order: Order, redeem: Redeem) -> Decision {
        self.decide(member, Command::Reserve(reserve(order, redeem)))
    }

    pub(crate) fn release(&mut self, member: &str, order: &str) -> Decision {
        self.decide(member, Command::Release(Release { order_id: order_id(order) }))
    }

    pub(crate) fn give_back(&mut self, member: &str, what: Return) -> Decision {
        self.decide(member, Command::Return(what))
    }

    pub(crate) fn advance(&mut self, member: &str) -> Decision {
        self.decide(member, Command::Advance)
    }

    /// A code that is somebody's.
    pub(crate) fn code(&mut self, raw: &str, owner: &str, campaign: &str) {
        let owner = owner_of(&account(owner), &CampaignId::parse(campaign).unwrap());
        self.codes.insert(guerdon::domain::referral::code::read(raw).unwrap(), owner);
    }

    /// The account that an id leads to.
    pub(crate) fn home_of(&self, id: &AccountId) -> AccountId {
        let mut account = id.clone();
        for _ in 0..=self.accounts.len() {
            match self.accounts.get(&account).and_then(|state| state.away.as_ref()) {
                Some(away) => account = away.to.clone(),
                None => return account,
            }
        }
        panic!("the aliases of {id} do not end");
    }

    /// Takes out of the outbox what was granted to other accounts.
    pub(crate) fn sent(&mut self) -> Vec<Transfer> {
        let effects = std::mem::take(&mut self.outbox).into_iter();
        let transfers = effects.map(|effect| match effect {
            Outgoing::Transfer(transfer) => transfer,
            other => panic!("{other:?}"),
        });
        transfers.collect()
    }

    pub(crate) fn deliver(&mut self, effect: Outgoing) {
        let target = effect.target().to_string();
        let command = match effect {
            Outgoing::Transfer(transfer) => Command::Receive(transfer),
            Outgoing::Parcel(parcel) => Command::Take(parcel),
            Outgoing::StockBack(_) | Outgoing::Overdrawn(_) => panic!("the service tells the pools"),
            Outgoing::Review(_) => panic!("the service keeps the queue of reviews"),
            Outgoing::Forget(forget) => {
                for code in &forget.codes {
                    self.codes.get_mut(code).unwrap().state = CodeState::Erased;
                }
                return;
            }
            Outgoing::Code(effect) => {
                let stands = self.codes.get_mut(&effect.code).unwrap();
                if stands.revision < effect.owner.revision && stands.state != CodeState::Erased {
                    *stands = CodeOwner { account: stands.account.clone(), ..effect.owner };
                }
                return;
            }
            Outgoing::Confirm(claim) => {
                let verdict = self.verdict(&claim);
                let (referral, attributed_at) = (claim.referral.clone(), claim.attributed_at);
                let settle = SettleReferral { referral, attributed_at, verdict };
                let times = Times { now: self.now, effective_at: attributed_at, stated: true };
                let settled = self.decide_at(&target, Command::SettleReferral(settle), times).unwrap();
                if !settled.received {
                    self.outbox.push(Outgoing::Confirm(claim));
                }
                return;
            }
        };
        // One that waits for a claim to be settled comes again.
        let again = match &command {
            Command::Receive(transfer) => Some(Outgoing::Transfer(transfer.clone())),
            _ => None,
        };
        if !self.decide(&target, command).received {
            self.outbox.push(again.expect("nothing else waits"));
        }
    }

    /// Delivers what decisions sent to other accounts.
    pub(crate) fn relay(&mut self) {
        // What is delivered may send something in turn.
        while !self.outbox.is_empty() {
            for effect in std::mem::take(&mut self.outbox) {
                self.deliver(effect);
            }
        }
    }

    /// What the member has of points, in words; brought up to date.
    pub(crate) fn has(&self, member: &str) -> String {
        self.has_of(member, &points())
    }

    pub(crate) fn has_of(&self, member: &str, unit: &UnitId) -> String {
        let state = self.accounts[&self.home_of(&account(member))].clone();
        let state = guerdon::domain::decide::as_of(&self.timeline, state, self.now).unwrap();
        let Some(balance) = state.balances().into_iter().find(|balance| balance.unit == *unit) else {
            return "nothing".to_owned();
        };
        let all = [
            ("available", balance.available),
            ("pending", balance.pending),
            ("held", balance.held),
            ("debt", balance.debt),
        ];
        let words: Vec<String> = all.iter().filter(|(_, n)| *n != 0).map(|(what, n)| format!("{what} {n}")).collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    }

    pub(crate) fn order(&self, order: &str) -> &OrderRecord {
        &self.orders[&order_id(order)]
    }

    pub(crate) fn facts(&self, member: &str) -> Vec<&'static str> {
        self.ledgers[&account(member)].iter().map(|entry| entry.fact.name()).collect()
    }
}

pub(crate) fn adjust(amount: i64, expires: Option<&str>) -> Adjust {
    Adjust {
        order: None,
        unit: None,
        amount,
        reason: AdjustReason::Goodwill,
        agent: label("tess"),
        note: None,
        expires_at: expires.map(at),
    }
}

/// As a store has it.
pub(crate) fn stored_account(state: &AccountState) -> Vec<u8> {
    MemberRecord::Account(Arc::new(state.clone())).to_stored()
}

/// Shares sum to what they share, and nothing is given back twice.
fn check_record(record: &OrderRecord) {
    let stored = record.to_stored();
    assert_eq!(OrderRecord::from_stored(&stored).as_ref(), Ok(record));
    assert!(record.is_as_written(&stored));
    for grant in &record.grants {
        assert_eq!(grant.shares.iter().sum::<i64>(), grant.amount, "{grant:?}");
        assert!(grant.shares.iter().all(|share| 0 <= *share), "{grant:?}");
        assert!(0 <= grant.reversed && grant.reversed <= grant.amount, "{grant:?}");
    }
    for used in &record.uses {
        assert_eq!(used.shares.iter().sum::<i64>(), used.units, "{used:?}");
        assert_eq!(
            used.parts.iter().map(|part| part.amount).sum::<i64>() + used.debt + used.forgiven,
            used.units,
            "{used:?}"
        );
        assert!(0 <= used.restored && used.restored <= used.units, "{used:?}");
    }
    for line in &record.lines {
        assert!(0 <= line.reduced_minor && line.reduced_minor <= line.amount_minor, "{line:?}");
        assert!(0 <= line.money_minor && 0 <= line.earning_minor, "{line:?}");
    }
    assert_eq!(record.lines.iter().map(|line| line.money_minor).sum::<i64>(), record.money_minor);
    assert!(record.money_refunded_minor <= record.money_minor);
    let refunded: i64 = record.tenders.iter().map(|t| t.refunded_minor).sum();
    assert!(record.tenders.is_empty() || refunded == record.money_refunded_minor, "{record:?}");
    if record.lines.iter().all(|line| line.returned == Returned::All) {
        assert!(record.grants.iter().all(|grant| grant.reversed == grant.amount), "{record:?}");
        assert!(record.uses.iter().all(|used| used.restored == used.units), "{record:?}");
        assert_eq!(record.money_refunded_minor, record.money_minor);
    }
}

pub(crate) fn decided(answer: &Answer) -> Decided {
    match answer {
        Answer::Enroll(a) => a.decided.clone(),
        Answer::Reserve(a) => a.decided.clone(),
        Answer::Commit(a) => a.decided.clone(),
        Answer::Return(a) => a.decided.clone(),
        Answer::Amend(a) => a.decided.clone(),
        Answer::Adjust(a) => a.decided.clone(),
        Answer::Claim(a) => a.decided.clone(),
        Answer::OrderEvent(a) => a.decided.clone(),
        Answer::Extend(a) | Answer::Reinstate(a) => a.decided.clone(),
        Answer::Attribute(a) => a.decided.clone(),
        Answer::UpdateMember(a) => a.decided.clone(),
        Answer::RecordEvent(a) | Answer::ReviewEvent(a) | Answer::RevokeEvent(a) => a.decided.clone(),
        Answer::SetTier(a) => a.decided.clone(),
        Answer::Move(a) => a.decided.clone(),
        Answer::Erase(a) => a.decided.clone(),
        Answer::Send(a) => a.decided.clone(),
        Answer::CreateAccount(a) => a.decided.clone(),
        Answer::SetRole(a) => a.decided.clone(),
        Answer::RedeemReward(a) | Answer::FulfilVoucher(a) | Answer::CancelVoucher(a) => a.decided.clone(),
        Answer::PreparePayout(a) | Answer::ConfirmPayout(a) => a.decided.clone(),
        Answer::Catalogue(a) => a.decided.clone(),
        other => panic!("{other:?} decides nothing"),
    }
}

/// Effects and refusals, a sentence each.
pub(crate) fn told(decision: &Decision) -> Vec<String> {
    let refusals = match &decision.answer {
        Answer::Release(a) => return a.refusals.iter().map(refusal).collect(),
        Answer::CreateCode(a) => return a.refusals.iter().map(refusal).collect(),
        Answer::UpdateCode(a) => return a.refusals.iter().map(refusal).collect(),
        Answer::Announced(a) => return a.refusals.iter().map(refusal).collect(),
        Answer::Done => return Vec::new(),
        answer => decided(answer).refusals,
    };
    let effects = decided(&decision.answer).effects;
    effects.iter().map(effect).chain(refusals.iter().map(refusal)).collect()
}

fn effect(effect: &Effect) -> String {
    let extra = |parts: &[(&str, i64)]| {
        let some = parts.iter().filter(|(_, n)| *n != 0);
        some.map(|(what, n)| format!(", {what} {n}")).collect::<String>()
    };
    match effect {
        Effect::Granted(g) => format!("{} grants {}{}", g.rule, g.granted, extra(&[("repaid", g.repaid)])),
        Effect::Redeemed(r) => format!("{} units pay {}{}", r.units, r.value_minor, extra(&[("debt", r.debt)])),
        Effect::Discount(d) => {
            let price = d.price.as_ref().map_or_else(String::new, |(_, n)| format!(" for {n}"));
            let rail = d.rail.map_or_else(String::new, |rail| format!(" of {} by {rail:?}", d.desired_minor));
            let add = d.to_add.as_ref().map_or_else(String::new, |(sku, n)| format!(", add {n} {sku}"));
            let debt = extra(&[("debt", d.debt)]);
            format!("{} takes {} off{rail}{price}{add}{debt}", d.reward, d.amount_minor)
        }
        Effect::Reversed { grant, amount, debt, forgiven, expired, .. } => {
            let extra = extra(&[("debt", *debt), ("forgiven", *forgiven), ("expired", *expired)]);
            format!("{grant} loses {amount}{extra}")
        }
        Effect::Restored { amount, repaid, expired, .. } => {
            format!("{amount} units come back{}", extra(&[("repaid", *repaid), ("expired", *expired)]))
        }
        Effect::Referral { referral, state } => format!("{referral} is {state:?}"),
        Effect::Released(r) => format!("{} releases {}{}", r.grant, r.amount, extra(&[("repaid", r.repaid)])),
        Effect::Extended { amount, .. } => format!("{amount} live longer"),
        Effect::Reinstated { amount, repaid, .. } => format!("{amount} are back{}", extra(&[("repaid", *repaid)])),
        Effect::Claimable { granted: g, .. } => format!("{} would grant {}", g.rule, g.granted),
        Effect::Adjusted { amount, repaid, .. } => format!("adjusted by {amount}{}", extra(&[("repaid", *repaid)])),
        Effect::StampsGiven(g) => {
            let extra = extra(&[("repaid", g.repaid), ("lost", g.lost)]);
            format!("{} stamps {}: {} of {}{extra}", g.rule, g.stamps, g.stands, g.goal)
        }
        Effect::StampsTaken(t) => {
            let extra = extra(&[("owed", t.owed), ("forgiven", t.forgiven), ("expired", t.expired)]);
            format!("{} stamps taken: {}{extra}", t.stamps, t.stands)
        }
        Effect::MemberPrice(p) => {
            let rail = p.rail.map_or_else(String::new, |rail| format!(" instead of {} by {rail:?}", p.desired_minor));
            let prior = p.prior_minor.map_or_else(String::new, |prior| format!(", before {prior}"));
            format!(
                "{} costs {} instead of {} by {}{rail}{prior}",
                p.line_id, p.member_minor, p.ordinary_minor, p.price
            )
        }
        Effect::Voucher(v) => format!("{} {}", v.voucher, format!("{:?}", v.state).to_lowercase()),
        Effect::Drawn(d) => format!("ticket {:?} of {} wins {:?}", d.ticket, d.of, d.prize),
        Effect::Tags { added, removed } => {
            let list = |labels: &[Label]| labels.iter().map(Label::to_string).collect::<Vec<_>>().join(" ");
            format!("tags +[{}] -[{}]", list(added), list(removed))
        }
        Effect::TierChanged { ladder, from, to } => {
            let name = |level: &Option<LevelId>| level.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
            format!("{ladder}: {} -> {}", name(from), name(to))
        }
        Effect::GoalMet { goal, number, .. } => format!("goal {goal} met ({number})"),
        Effect::GoalUndone { goal, number } => format!("goal {goal} undone ({number})"),
        Effect::Moved { to, available, pending, debt, short, .. } => {
            let extra = extra(&[("pending", *pending), ("debt", *debt), ("short", *short)]);
            format!("{available} units move to {to}{extra}")
        }
        Effect::Forfeited { amount, debt, .. } => format!("{amount} units are forfeited{}", extra(&[("debt", *debt)])),
        Effect::Transferred { to, amount, fee, .. } => format!("{amount} units go to {to}{}", extra(&[("fee", *fee)])),
        Effect::GrantedTo(given) => format!("{} grants {} to {}", given.rule, given.amount, given.to),
    }
}

/// What is not as it was promised, a line each.
pub(crate) fn changes(decision: &Decision) -> Vec<String> {
    let changes = decided(&decision.answer).changes;
    let text = |c: &Change| format!("{}: {} -> {}, {:?}", subject(&c.subject), c.quoted, c.now, c.reason);
    changes.iter().map(text).collect()
}

fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Payment(unit) => format!("payment {unit}"),
        Subject::Reward(reward) => format!("reward {reward}"),
        Subject::Code(raw) => format!("code {raw}"),
        Subject::Line(line) => format!("line {line}"),
        Subject::Event(event) => format!("event {event}"),
        Subject::Attribute(name) => format!("attribute {name}"),
        Subject::Profile(field) => format!("profile {field}"),
        Subject::Card(card) => format!("card {card}"),
        Subject::Draw(draw) => format!("draw {draw}"),
        Subject::Voucher(voucher) => format!("voucher {voucher}"),
        Subject::Bound(bound) => format!("more of {} by {}", bound.rule, bound.of),
        Subject::Units(unit) => format!("units {unit}"),
        Subject::Quote => "quote".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

pub(crate) fn refusal(refusal: &Refusal) -> String {
    let subject = subject(&refusal.subject);
    let numbers = match (refusal.required, refusal.available) {
        (Some(required), Some(available)) => format!(", asks {required}, has {available}"),
        (Some(required), None) => format!(", asks {required}"),
        _ => String::new(),
    };
    format!("no {subject}: {:?}{numbers}", refusal.reason)
}

pub(crate) fn committed(decision: &Decision) -> &CommitAnswer {
    match &decision.answer {
        Answer::Commit(answer) => answer,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn reserved(decision: &Decision) -> &ReserveAnswer {
    match &decision.answer {
        Answer::Reserve(answer) => answer,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn released(decision: &Decision) -> &ReleaseAnswer {
    match &decision.answer {
        Answer::Release(answer) => answer,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn gave_back(decision: &Decision) -> &ReturnAnswer {
    match &decision.answer {
        Answer::Return(answer) => answer,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn refund(decision: &Decision) -> Refund {
    gave_back(decision).refund.clone().unwrap_or_default()
}

/// What rules grant, by rule.
pub(crate) fn grants(decision: &Decision) -> Vec<(String, i64)> {
    let effects = decided(&decision.answer).effects;
    let granted = effects.into_iter().filter_map(|effect| match effect {
        Effect::Granted(g) => Some((g.rule.to_string(), g.granted)),
        _ => None,
    });
    granted.collect()
}
