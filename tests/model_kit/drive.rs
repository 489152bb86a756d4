//! Runs a history on a stand, checks after each step what must hold, and finds a short history that fails alike.

use std::collections::BTreeMap;

use guerdon::domain::account::VoucherState;
use guerdon::domain::answer::{Answer, CommitStatus, MemberView, OrderState, Reason, Refusal, ReturnStatus};
use guerdon::domain::command::{
    Adjust, AdjustReason, Amend, Attribute, Command, Commit, CreateCode, Enroll, EnteredCode, Measure, OrderEvent,
    PayWithUnits, ProfileChange, Recipient, Redeem, RedeemMode, Release, Reserve, Return, ReturnCause, ReturnWhat,
    SendUnits, Tender,
};
use guerdon::domain::id::{
    AccountId, Label, LineId, MemberId, OrderEventId, OrderId, ProgramId, RequestId, ReturnId, RewardId, UnitId,
};
use guerdon::domain::ledger::Book;
use guerdon::domain::order::{Currency, Line, LineKind, Order, OrderKind};
use guerdon::domain::referral::code;
use guerdon::domain::referral::signal::Signals;
use guerdon::domain::time::{DAY_MS, HOUR_MS, Instant, MINUTE_MS};
use guerdon::service::{Answered, Audit, AuditEntries, Calls, Error, Fingerprint, Known, Preview, Write};

use super::oracle::{Checked, Ledger, Oracle, decided, ensure, is_done};
use super::programs::Subject;
use super::stand::{Kind, Stand, layout};
use super::step::{Act, Basket, Goods, Item, MEMBERS, Step, Uses, What};

/// Each so-manieth time that a member is checked, the service verifies them, too: it reads the ledger from the beginning.
const VERIFY_EVERY: usize = 8;

const NAMES: [&str; MEMBERS] = ["ann", "ben", "cat", "dan", "eve"];

/// A history and what it met, so far.
struct Run<'a> {
    stand: Stand,
    subject: &'static Subject,
    oracle: Oracle,
    ledgers: BTreeMap<MemberId, Ledger>,
    checks: usize,
    /// Writes that were answered for good, with their answers.
    answered: Vec<(Write, Answer)>,
    /// Writes whose request was used up by what was decided, though it be a refusal; and why it was one.
    decided: Vec<(MemberId, RequestId, Vec<Reason>)>,
    codes: [Option<String>; MEMBERS],
    /// What each step was answered, for comparison between stores; left out where things happened at the same time.
    told: &'a mut Vec<Answer>,
}

/// Where a history failed, and why.
pub(crate) struct Failure {
    pub(crate) why: String,
}

/// Runs a history; answers what its writes were told.
pub(crate) async fn run(kind: &Kind, subject: &'static Subject, steps: &[Step]) -> Result<Vec<Answer>, Failure> {
    let mut told = Vec::new();
    let stand = Stand::start(kind, subject).await;
    let codes = [const { None }; MEMBERS];
    let (oracle, ledgers) = (Oracle::default(), BTreeMap::new());
    let (answered, decided) = (Vec::new(), Vec::new());
    let mut run = Run { stand, subject, oracle, ledgers, checks: 0, answered, decided, codes, told: &mut told };
    for step in steps {
        run.take(step).await.map_err(|why| Failure { why: format!("{step:?}\n    {why}") })?;
    }
    run.end().await.map_err(|why| Failure { why: format!("at the end: {why}") })?;
    Ok(told)
}

fn program() -> ProgramId {
    ProgramId::parse("p").unwrap()
}

fn member_id(member: usize) -> MemberId {
    MemberId::parse(NAMES[member]).unwrap()
}

/// The number of an order says whose it is.
fn order_id(order: usize) -> OrderId {
    OrderId::parse(&format!("o{order}")).unwrap()
}

fn owner(order: usize) -> usize {
    order % MEMBERS
}

fn line_id(name: usize) -> LineId {
    LineId::parse(&format!("l{name}")).unwrap()
}

fn unit(credit: bool, subject: &Subject) -> Option<UnitId> {
    (credit && subject.name == "status").then(|| UnitId::parse("credit").unwrap())
}

fn line(item: &Item) -> Line {
    Line {
        line_id: line_id(item.name),
        sku: None,
        categories: if item.kind == Goods::Tea { vec![Label::parse("tea").unwrap()] } else { Vec::new() },
        brand: None,
        seller: None,
        collections: Vec::new(),
        labels: Vec::new(),
        kind: match item.kind {
            Goods::Cup | Goods::Tea => LineKind::Goods,
            Goods::Shipping => LineKind::Shipping,
            Goods::GiftCard => LineKind::GiftCard,
        },
        quantity: item.quantity,
        amount_minor: item.amount,
        list_amount_minor: None,
        prior_amount_minor: None,
        tax_minor: item.tax.min(item.amount),
    }
}

fn order(number: usize, basket: &Basket) -> Order {
    Order {
        order_id: order_id(number),
        currency: Currency::parse("GBP").unwrap(),
        channel: None,
        store: None,
        zone: None,
        prices_include_tax: basket.tax_included,
        lines: basket.items.iter().map(line).collect(),
        kind: OrderKind::Ordinary,
        coupons: Vec::new(),
        payment_methods: Vec::new(),
        recipient: basket.recipient.filter(|to| *to != owner(number)).map(member_id),
    }
}

fn tenders() -> Vec<Tender> {
    [("card", 700), ("cash", 300)]
        .map(|(name, amount_minor)| Tender { tender: Label::parse(name).unwrap(), amount_minor })
        .into()
}

fn measures(parts: &[(usize, Measure)]) -> Vec<(LineId, Measure)> {
    parts.iter().map(|(name, measure)| (line_id(*name), *measure)).collect()
}

fn entered(raw: &str) -> EnteredCode {
    EnteredCode { raw: raw.to_owned(), code: code::read(raw) }
}

/// Of what is missing, and may come yet.
const PASSING: [Reason; 5] =
    [Reason::MemberUnknown, Reason::OrderUnknown, Reason::LineUnknown, Reason::InFuture, Reason::EventUnknown];

/// Whether a resend is answered alike: what is missing may have come since.
fn is_remembered(answer: &Answer) -> bool {
    let lasts = |refusals: &[Refusal]| refusals.iter().all(|refusal| !PASSING.contains(&refusal.reason));
    is_done(answer) || decided(answer).is_some_and(|decided| lasts(&decided.refusals))
}

/// Of two writes that were answered at the same time, which came first, as far as that matters to sums.
fn turn(command: &Command, answer: &Answer) -> (u32, u32) {
    let state = |state: &Option<OrderState>| match state {
        None => 0,
        Some(OrderState::Committed) => 1,
        Some(OrderState::PartiallyReturned) => 2,
        Some(OrderState::Returned | OrderState::Cancelled) => 3,
    };
    match (command, answer) {
        (_, Answer::Reserve(told)) => (0, told.reservation.as_ref().map_or(0, |held| held.revision)),
        (Command::Commit(_), _) => (1, 0),
        (_, Answer::Amend(told)) => (2, state(&told.order_state)),
        (_, Answer::Return(told)) => (3, state(&told.order_state)),
        _ => (0, 0),
    }
}

impl Run<'_> {
    async fn take(&mut self, step: &Step) -> Checked {
        match &step.what {
            What::Pass { minutes } => self.stand.pass_ms(minutes * MINUTE_MS),
            What::Jobs => {
                self.jobs(step.server).await?;
                self.check_in_transit().await?;
            }
            What::Restart { version } => {
                let before = self.views().await?;
                self.stand.restart(*version).await;
                // Another version says other things of where a member stands; of what they have it says the same.
                for (before, after) in before.iter().zip(self.views().await?) {
                    ensure!(before.balances == after.balances, "{}: a restart changed what is there", after.member);
                }
            }
            What::Resend { back } => {
                let Some(at) = self.answered.len().checked_sub(back + 1) else { return Ok(()) };
                let (write, first) = self.answered[at].clone();
                let again = self.send(step.server, &write).await?;
                ensure!(
                    again.replayed && again.answer == first,
                    "{write:?}\n sent again: {again:?}\n first: {first:?}"
                );
                let service = &self.stand.services[step.server];
                let known = service.outcome(&program(), &write.member, &write.request_id, false).await;
                ensure!(known == Ok(Known::Answered(first)), "the outcome of {write:?} is {known:?}");
                self.check(&write.member).await?;
            }
            What::Act(act) => {
                let Some(write) = self.write(step.id, "", act).await? else { return Ok(()) };
                self.settle(step.server, write).await?;
            }
            What::Race { one, two } => {
                let (Some(one), Some(two)) =
                    (self.write(step.id, "a", one).await?, self.write(step.id, "b", two).await?)
                else {
                    return Ok(());
                };
                // Which of them was the last one tells nobody.
                if matches!((&one.command, &two.command), (Command::Reserve(a), Command::Release(b)) | (Command::Release(b), Command::Reserve(a)) if a.order.order_id == b.order_id)
                {
                    return Ok(());
                }
                let (first, second) = tokio::join!(
                    self.stand.services[step.server].write(Box::new(one.clone())),
                    self.stand.services[1 - step.server].write(Box::new(two.clone())),
                );
                let named = |answered: Result<Answered, Error>| answered.map_err(|error| format!("{error:?}"));
                let (first, second) = (named(first)?, named(second)?);
                let mut both = [(one, first), (two, second)];
                both.sort_by_key(|(write, answered)| turn(&write.command, &answered.answer));
                for (write, answered) in &both {
                    self.note(write, answered, false)?;
                }
                self.pause().await;
                for (write, _) in &both {
                    self.check(&write.member).await?;
                }
            }
        }
        Ok(())
    }

    /// What is on its way in the background gets there: what writes have set aside and not used goes back after their answers.
    async fn pause(&self) {
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }

    async fn jobs(&self, server: usize) -> Checked {
        // What was sent before this instant is delivered.
        self.stand.pass_ms(1);
        let through = self.stand.now();
        let done = self.stand.services[server].end_day(through).await;
        ensure!(done.is_ok(), "the jobs: {done:?}");
        Ok(())
    }

    async fn send(&self, server: usize, write: &Write) -> Result<Answered, String> {
        let answered = self.stand.services[server].write(Box::new(write.clone())).await;
        answered.map_err(|error| format!("{write:?}: {error:?}"))
    }

    /// Quotes, writes, compares, takes in and checks.
    async fn settle(&mut self, server: usize, write: Write) -> Checked {
        let quotes = matches!(write.command, Command::Commit(_) | Command::Return(_));
        let preview = Preview {
            program: program(),
            member: Some(write.member.clone()),
            occurred_at: write.occurred_at,
            command: write.command.clone(),
        };
        let quoted = if quotes {
            let quoted = self.stand.services[server].preview(preview).await;
            Some(quoted.map_err(|error| format!("a quote of {write:?}: {error:?}"))?)
        } else {
            None
        };
        let answered = self.send(server, &write).await?;
        ensure!(!answered.replayed, "{write:?} is new, and was answered before");
        match (&quoted, &answered.answer) {
            // What was done before is quoted as what it would be now, and what lies in the future as what it would be then.
            (Some(Answer::Commit(quoted)), Answer::Commit(done)) if done.status != CommitStatus::AlreadyCommitted => {
                let same = (quoted.status, &quoted.decided) == (done.status, &done.decided);
                ensure!(same, "{write:?}\n quoted: {quoted:?}\n done: {done:?}");
            }
            (Some(Answer::Return(quoted)), Answer::Return(done)) if done.status == ReturnStatus::Applied => {
                let same = (&quoted.decided, &quoted.refund) == (&done.decided, &done.refund);
                ensure!(same, "{write:?}\n quoted: {quoted:?}\n done: {done:?}");
            }
            _ => {}
        }
        self.told.push(answered.answer.clone());
        self.note(&write, &answered, true)?;
        let claims =
            matches!(write.command, Command::Commit(_) | Command::Amend(_)) && !self.subject.budgets.is_empty();
        if claims && !is_done(&answered.answer) {
            self.pause().await;
        }
        self.check(&write.member).await?;
        if let Command::Commit(Commit { order: Order { order_id, .. }, .. })
        | Command::Return(Return { order_id, .. })
        | Command::Amend(Amend { order_id, .. }) = &write.command
            && is_done(&answered.answer)
        {
            let view = self.stand.services[1 - server].order(&program(), &write.member, order_id).await;
            self.oracle.check_order(&view.map_err(|error| format!("{order_id}: {error:?}"))?)?;
        }
        Ok(())
    }

    fn note(&mut self, write: &Write, answered: &Answered, alone: bool) -> Checked {
        let (member, now) = (write.member.as_str(), self.stand.now());
        self.oracle.note(self.subject, member, &write.command, &answered.answer, now, alone)?;
        if let Answer::CreateCode(told) = &answered.answer {
            let at = NAMES.iter().position(|name| *name == member).unwrap();
            self.codes[at] = self.codes[at].take().or_else(|| told.code.as_ref().map(ToString::to_string));
        }
        let refused_for: Vec<Reason> = answered.answer.refusals().iter().map(|refusal| refusal.reason).collect();
        if is_done(&answered.answer) || refused_for.iter().all(|reason| !PASSING.contains(reason)) {
            self.decided.push((write.member.clone(), write.request_id.clone(), refused_for));
        }
        if is_remembered(&answered.answer) {
            self.answered.push((write.clone(), answered.answer.clone()));
        }
        Ok(())
    }

    async fn view(&self, member: &MemberId) -> Result<Option<MemberView>, String> {
        match self.stand.services[0].member(&program(), member).await {
            Ok(view) => Ok(Some(view)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(format!("{member}: {error:?}")),
        }
    }

    async fn views(&self) -> Result<Vec<MemberView>, String> {
        let mut views = Vec::new();
        for member in 0..MEMBERS {
            views.extend(self.view(&member_id(member)).await?);
        }
        Ok(views)
    }

    /// Everything that must hold of a member at any time.
    async fn check(&mut self, member: &MemberId) -> Checked {
        let Some(view) = self.view(member).await? else { return Ok(()) };
        self.read(member).await?;
        self.checks += 1;
        if self.checks.is_multiple_of(VERIFY_EVERY) {
            self.verify(member).await?;
        }
        let ledger = &self.ledgers[member];
        ensure!(ledger.folded.sequence == view.entries, "{member}: the view knows of {} entries", view.entries);
        self.oracle.check_member(self.subject, &view, ledger, self.stand.now())
    }

    /// Reads on in a member's ledger.
    async fn read(&mut self, member: &MemberId) -> Checked {
        let ledger = self.ledgers.entry(member.clone()).or_insert_with(|| Ledger::new(member));
        let log = layout().log(&program(), &AccountId::from(member));
        let from = ledger.folded.sequence + 1;
        let entries = self.stand.services[1].store().entries(&log, from, 100_000).await;
        ledger.read(&entries.map_err(|error| format!("{member}: {error:?}"))?)
    }

    /// The service comes to the same from what is stored, and finds every order as the ledger says.
    async fn verify(&self, member: &MemberId) -> Checked {
        let proof = self.stand.services[1].verify(&program(), member).await;
        let proof = proof.map_err(|error| format!("{member}: {error:?}"))?;
        ensure!(proof.faults.is_empty(), "{member}: {:?}", proof.faults);
        let orders = self.oracle.members_orders(member.as_str());
        ensure!(proof.orders == orders as u64, "{member}: {} orders in the ledger, {orders} answered", proof.orders);
        Ok(())
    }

    /// What has left one account has come to another.
    async fn check_in_transit(&mut self) -> Checked {
        let mut on_the_way: BTreeMap<UnitId, i64> = BTreeMap::new();
        for member in 0..MEMBERS {
            let member = member_id(member);
            self.read(&member).await?;
            for ((unit, book), amount) in &self.ledgers[&member].books {
                if *book == Book::InTransit.name() {
                    *on_the_way.entry(unit.clone()).or_default() += amount;
                }
            }
        }
        ensure!(on_the_way.values().all(|sum| *sum == 0), "between accounts {on_the_way:?} units are lost");
        Ok(())
    }

    /// What was decided for good is in the audit, each once and with why not, and nothing else is.
    async fn check_audit(&mut self) -> Checked {
        let mut listed = Vec::new();
        let mut asked = AuditEntries { limit: 500, ..AuditEntries::default() };
        for _ in 0..1_000 {
            let page = self.stand.services[0].audit(&program(), &asked).await;
            let (entries, next) = page.map_err(|error| format!("the audit: {error:?}"))?;
            for entry in entries {
                ensure!(entry.position == listed.len() as u64 + 1, "the audit has a gap: {entry:?}");
                listed.push((entry.member, entry.request, entry.refused_for));
            }
            let Some(next) = next else { break };
            asked.token = Some(next);
        }
        // Each request id is used once in a history.
        listed.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        self.decided.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        ensure!(listed == self.decided, "the audit: {listed:?}\n decided: {:?}", self.decided);
        Ok(())
    }

    /// Everything comes back, everything lapses, and the books are still in order.
    async fn end(&mut self) -> Checked {
        let open: Vec<(OrderId, String)> =
            self.oracle.orders.iter().map(|(order, known)| (order.clone(), known.member.clone())).collect();
        for (at, (order_id, member)) in open.into_iter().enumerate() {
            let command = Command::Return(Return {
                order_id,
                return_id: ReturnId::parse("last").unwrap(),
                what: ReturnWhat::Everything,
                cause: ReturnCause::Return,
            });
            let write = self.as_write(&format!("last-{at}"), &member, None, command);
            self.settle(at % 2, write).await?;
        }
        self.jobs(0).await?;
        self.stand.pass_ms(400 * DAY_MS);
        self.jobs(1).await?;
        self.check_in_transit().await?;
        self.check_audit().await?;
        for member in 0..MEMBERS {
            let member = member_id(member);
            self.check(&member).await?;
            if self.view(&member).await?.is_some() {
                self.verify(&member).await?;
            }
        }
        Ok(())
    }

    fn as_write(&self, request: &str, member: &str, occurred_at: Option<Instant>, command: Command) -> Write {
        let fingerprint = Fingerprint::of(0).field("command", format!("{command:?}").as_bytes()).done();
        Write {
            program: program(),
            member: MemberId::parse(member).unwrap(),
            request_id: RequestId::parse(request).unwrap(),
            fingerprint,
            occurred_at,
            command,
            audit: Some(Box::new(Audit { principal: "model".into(), method: "guerdon.v1.Model/Any", agent: None })),
        }
    }

    async fn redeem(&self, member: usize, uses: &Uses) -> Result<Redeem, String> {
        let mut vouchers = Vec::new();
        if uses.voucher {
            let view = self.view(&member_id(member)).await?;
            let all = view.into_iter().flat_map(|view| view.vouchers);
            vouchers.extend(all.filter(|known| known.state == VoucherState::Issued).map(|known| known.voucher).take(1));
        }
        Ok(Redeem {
            mode: if uses.as_possible { RedeemMode::AsPossible } else { RedeemMode::AllOrNothing },
            pay: uses.pay.map(|amount| PayWithUnits { unit: unit(uses.credit, self.subject), amount }),
            rewards: uses.rewards.iter().map(|id| RewardId::parse(id).unwrap()).collect(),
            vouchers,
        })
    }

    /// The write that an act is; none where it names what cannot be named.
    async fn write(&self, id: usize, suffix: &str, act: &Act) -> Result<Option<Write>, String> {
        let now = self.stand.now();
        let code = |advocate: &Option<usize>| advocate.and_then(|at| self.codes[at].as_deref()).map(entered);
        let mut occurred_at = None;
        let (member, command) = match act {
            Act::Enroll { member, advocate } => {
                let codes = code(advocate).into_iter().collect();
                let profile = ProfileChange::default();
                (
                    *member,
                    Command::Enroll(Enroll {
                        member: member_id(*member),
                        codes,
                        profile,
                        visitor: None,
                        signals: Signals::None,
                    }),
                )
            }
            Act::CreateCode { member } => {
                if !self.subject.versions[0].contains("\nreferrals:") {
                    return Ok(None);
                }
                let create = CreateCode { campaign: None, vanity: None, label: None, expires_at: None, uses_max: None };
                (*member, Command::CreateCode(create))
            }
            Act::Attribute { member, advocate } => {
                let Some(code) = code(&Some(*advocate)) else { return Ok(None) };
                (*member, Command::Attribute(Attribute { code, agent: None, signals: Signals::None }))
            }
            Act::Adjust { amount: 0, .. } => return Ok(None),
            Act::Adjust { member, credit, amount, days } => {
                let expires_at = days.filter(|_| 0 < *amount).map(|days| now.plus_ms(days * DAY_MS));
                let command = Command::Adjust(Adjust {
                    unit: unit(*credit, self.subject),
                    amount: *amount,
                    reason: AdjustReason::Correction,
                    agent: Label::parse("zoe").unwrap(),
                    note: None,
                    expires_at,
                    order: None,
                });
                (*member, command)
            }
            Act::Send { member, to, credit, amount } => {
                let command = Command::Send(SendUnits {
                    to: member_id(*to),
                    unit: unit(*credit, self.subject),
                    amount: *amount,
                    target: Recipient::Unknown,
                });
                (*member, command)
            }
            Act::Commit { order: number, basket, uses, advocate, paid, late_h } => {
                occurred_at = (*late_h != 0).then(|| now.minus_ms(late_h * HOUR_MS));
                let member = owner(*number);
                let redeem = match uses {
                    Some(uses) => Some(self.redeem(member, uses).await?),
                    None => None,
                };
                let command = Command::Commit(Commit {
                    order: order(*number, basket),
                    redeem,
                    codes: code(advocate).into_iter().collect(),
                    paid: *paid,
                    tenders: tenders(),
                    explain: false,
                    quote: None,
                    visitor: None,
                    signals: Signals::None,
                });
                (member, command)
            }
            Act::Reserve { order: number, basket, uses, ttl_s } => {
                let member = owner(*number);
                let redeem = self.redeem(member, uses).await?;
                let ttl_s = Some(*ttl_s);
                (
                    member,
                    Command::Reserve(Reserve {
                        order: order(*number, basket),
                        redeem,
                        ttl_s,
                        explain: false,
                        quote: None,
                    }),
                )
            }
            Act::Release { order } => (owner(*order), Command::Release(Release { order_id: order_id(*order) })),
            Act::Return { order, id, cancel, parts } => {
                let lines = measures(parts);
                let command = Command::Return(Return {
                    order_id: order_id(*order),
                    return_id: ReturnId::parse(&format!("r{id}")).unwrap(),
                    what: if lines.is_empty() { ReturnWhat::Everything } else { ReturnWhat::Lines(lines) },
                    cause: if *cancel { ReturnCause::Cancel } else { ReturnCause::Return },
                });
                (owner(*order), command)
            }
            Act::Amend { order, id, out, add, uses } => {
                let member = owner(*order);
                let redeem = match uses {
                    Some(uses) if !add.is_empty() => Some(self.redeem(member, uses).await?),
                    _ => None,
                };
                if out.is_empty() && add.is_empty() {
                    return Ok(None);
                }
                let command = Command::Amend(Amend {
                    order_id: order_id(*order),
                    amendment_id: ReturnId::parse(&format!("a{id}")).unwrap(),
                    remove: measures(out),
                    add: add.iter().map(line).collect(),
                    redeem,
                    tenders: tenders(),
                });
                (member, command)
            }
            Act::Parcel { order, id, lines } => {
                let mut lines = lines.clone();
                lines.sort_unstable();
                lines.dedup();
                let command = Command::OrderEvent(OrderEvent {
                    order_id: order_id(*order),
                    event_id: OrderEventId::parse(&format!("e{id}")).unwrap(),
                    event: Label::parse("fulfilled").unwrap(),
                    lines: lines.into_iter().map(line_id).collect(),
                });
                (owner(*order), command)
            }
        };
        Ok(Some(self.as_write(&format!("q{id}{suffix}"), NAMES[member], occurred_at, command)))
    }
}
