//! What is sent, for whom, and what its answer must be.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use prost::Message;
use prost::bytes::Bytes;

use super::LoadArgs;
use super::caller::{Caller, Failed};
use crate::grpc::wire;
use wire::{CommitStatus, ReturnStatus};

/// What is sent, and for whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Workload {
    /// Commits of members who are all as likely.
    Uniform,
    /// Quotes of members who are all as likely.
    Quote,
    /// Commits of members of whom the nth is n times less likely than the first.
    Zipf,
    /// Commits, one in twenty of them for one member; the others are measured by themselves.
    HotMember,
    /// Of four calls a sign-up with a code, the first order of somebody who signed up so, and two Commits of other members:
    /// by turns with codes of many advocates, and all with one code. How much slower the others are is told as a ratio.
    HotCode,
    /// Of ten calls nine visitors who follow a link with a code, and one Commit of another member: by turns with links of many
    /// advocates, and all with one. Told as for `hot-code`.
    HotLink,
    /// What a shop sends: of 20 calls 11 Quote, 3 Reserve, 4 Commit (of what was reserved, where there is something), 1
    /// Release, 1 Return.
    Shop,
}

/// One call to be sent.
pub struct Job {
    /// Under what name it is measured.
    pub series: &'static str,
    call: Call,
    /// The request as it goes over the wire.
    body: Bytes,
    /// Member and number of the order that it is about.
    about: (u64, u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Call {
    Enroll,
    Quote,
    Reserve,
    Commit,
    Release,
    Return,
    Touch,
}

/// The order of a request as it goes over the wire, but for its id. It is encoded once: what makes up orders on the machine of
/// the server takes its processors from it.
struct OrderField {
    bytes: Vec<u8>,
    /// Where the id belongs.
    id_at: usize,
}

impl OrderField {
    /// Of a kind of request, by how it carries an order.
    fn of<R: Message>(order: &wire::Order, carry: impl Fn(wire::Order) -> R) -> OrderField {
        // Where the id differs is where it belongs.
        let encoded = |fill: u8| {
            let order_id = String::from_utf8_lossy(&[fill; ORDER_ID_LEN]).into_owned();
            carry(wire::Order { order_id, ..order.clone() }).encode_to_vec()
        };
        let (bytes, other) = (encoded(b'0'), encoded(b'1'));
        let id_at = bytes.iter().zip(&other).position(|(a, b)| a != b).unwrap_or(0);
        OrderField { bytes, id_at }
    }

    /// The request with the order under an id: a message is the sum of its fields, in whatever order they come.
    fn with(&self, order_id: &str, others: &impl Message) -> Bytes {
        let mut body = Vec::with_capacity(self.bytes.len() + others.encoded_len());
        body.extend_from_slice(&self.bytes);
        if let Some(place) = body.get_mut(self.id_at..self.id_at + ORDER_ID_LEN)
            && let Some(id) = order_id.as_bytes().get(..ORDER_ID_LEN)
        {
            place.copy_from_slice(id);
        }
        others.encode_raw(&mut body);
        body.into()
    }
}

/// What a call came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    Fine,
    /// An error, by its reason or its status.
    Failed(String),
    /// An answer that it must not be.
    Wrong(String),
}

/// Every so manieth call of [`Workload::HotMember`] is for the hot member.
const HOT_EVERY: u64 = 20;
/// Every so manieth call of [`Workload::HotLink`] is an order.
const LINK_ORDER_EVERY: u64 = 10;
/// Each member has something to pay with, in [`Workload::Shop`].
const OPENING_UNITS: i64 = 1_000_000;
/// All ids of orders are as long.
const ORDER_ID_LEN: usize = RUN_LEN + 1 + NUMBER_LEN;
/// Of a run's name: all of the milliseconds since 1970, in hexadecimal.
const RUN_LEN: usize = 12;
const NUMBER_LEN: usize = 12;
/// Orders of the shop that wait for what happens to them next.
const WAITING_MAX: usize = 100_000;

/// What [`Workload::HotCode`] and [`Workload::HotLink`] name their calls: with codes of many advocates, and with one.
pub const OTHERS_WITH_MANY: &str = "others, many codes";
pub const OTHERS_WITH_ONE: &str = "others, one code";
const SIGN_UPS: [&str; 2] = ["Enroll, many codes", "Enroll, one code"];
const CLICKS: [&str; 2] = ["RecordTouch, many codes", "RecordTouch, one code"];
const FIRST_ORDERS: [&str; 2] = ["friends, many codes", "friends, one code"];

/// Codes that are named: the hot one, and others to compare with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Codes {
    /// Whose the hot code is; `None`: the caller named it.
    pub owner: Option<String>,
    pub hot: String,
    pub many: Vec<String>,
}

/// Makes the calls of a run.
pub struct Shape {
    workload: Workload,
    run: String,
    seed: u64,
    members: u64,
    program_id: String,
    codes: OnceLock<Codes>,
    /// Whether all name the hot code now.
    hot: AtomicBool,
    /// Who signed up with a code and has not ordered.
    joined: Mutex<VecDeque<u64>>,
    quotes: OrderField,
    reserves: OrderField,
    commits: OrderField,
    /// For [`Workload::Zipf`]: sums of weights, member by member.
    weights: Vec<u64>,
    sent: AtomicU64,
    /// Member and number of orders that are reserved, and that are committed.
    reserved: Mutex<VecDeque<(u64, u64)>>,
    committed: Mutex<VecDeque<(u64, u64)>>,
}

impl Shape {
    /// `began_ms` names the run, so that a second one does not repeat the first.
    pub fn new(args: &LoadArgs, began_ms: i64) -> Shape {
        let line = |at: u16| wire::Line {
            line_id: at.to_string(),
            sku: format!("SKU-{at}"),
            categories: args.categories.iter().cycle().skip(usize::from(at)).take(1).cloned().collect(),
            quantity: 1 + i64::from(at % 5),
            amount_minor: 250 + 10 * i64::from(at),
            kind: wire::LineKind::Goods.into(),
            ..wire::Line::default()
        };
        let order = wire::Order {
            currency_code: args.currency.clone(),
            channel: "web".to_owned(),
            prices_include_tax: true,
            lines: (0..args.lines).map(line).collect(),
            ..wire::Order::default()
        };
        let mut sum = 0u64;
        let weigh = |nth: u64| {
            sum += 1_000_000_000_000 / nth;
            sum
        };
        let weighted = if args.workload == Workload::Zipf { args.members } else { 0 };
        Shape {
            workload: args.workload,
            run: format!("{began_ms:0RUN_LEN$x}"),
            seed: args.seed,
            members: args.members,
            program_id: args.program_id.clone(),
            codes: OnceLock::new(),
            hot: AtomicBool::new(false),
            joined: Mutex::default(),
            quotes: OrderField::of(&order, |order| wire::QuoteRequest { order: Some(order), ..Default::default() }),
            reserves: OrderField::of(&order, |order| wire::ReserveRequest { order: Some(order), ..Default::default() }),
            commits: OrderField::of(&order, |order| wire::CommitRequest { order: Some(order), ..Default::default() }),
            weights: (1..=weighted).map(weigh).collect(),
            sent: AtomicU64::new(0),
            reserved: Mutex::default(),
            committed: Mutex::default(),
        }
    }

    /// Of the next call; each number is given once.
    pub fn number(&self) -> u64 {
        self.sent.fetch_add(1, Ordering::Relaxed)
    }

    pub fn enrolment(&self, member: u64) -> wire::EnrollRequest {
        wire::EnrollRequest {
            program_id: self.program_id.clone(),
            member_id: name(member),
            request_id: "load-enroll".to_owned(),
            ..wire::EnrollRequest::default()
        }
    }

    /// How a member stands.
    pub fn asked(&self, member: &str) -> wire::GetMemberRequest {
        wire::GetMemberRequest { program_id: self.program_id.clone(), member_id: member.to_owned() }
    }

    /// What a member is given before the load begins.
    pub fn opening(&self, member: u64) -> Option<wire::AdjustRequest> {
        (self.workload == Workload::Shop).then(|| wire::AdjustRequest {
            program_id: self.program_id.clone(),
            member_id: name(member),
            request_id: "load-opening".to_owned(),
            amount: OPENING_UNITS,
            reason: wire::AdjustReason::Migration.into(),
            agent_id: "load".to_owned(),
            ..wire::AdjustRequest::default()
        })
    }

    /// The nth call of the run.
    pub fn next(&self, nth: u64) -> Job {
        // Each call draws from the seed and its number alone: what it is does not depend on who asks first.
        let mut random = fastrand::Rng::with_seed(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(nth));
        match self.workload {
            Workload::Uniform => self.commit("Commit", random.u64(0..self.members), nth),
            Workload::Quote => self.quote(random.u64(0..self.members), nth),
            Workload::Zipf => {
                let at = random.u64(0..self.weights.last().copied().unwrap_or(1));
                let member = self.weights.partition_point(|sum| *sum <= at);
                self.commit("Commit", u64::try_from(member).unwrap_or(0), nth)
            }
            Workload::HotMember if nth.is_multiple_of(HOT_EVERY) => self.commit("Commit, hot member", 0, nth),
            Workload::HotMember => self.commit("Commit, others", random.u64(1..self.members.max(2)), nth),
            Workload::HotCode => self.around_a_code(&mut random, nth),
            Workload::HotLink => self.around_a_link(&mut random, nth),
            Workload::Shop => self.shop(random.u64(0..20), random.u64(0..self.members), nth),
        }
    }

    /// The codes that friends name from now on.
    pub fn with_codes(&self, codes: Codes) {
        // Set once, before the load begins.
        let _ = self.codes.set(codes);
    }

    pub fn codes(&self) -> Option<&Codes> {
        self.codes.get()
    }

    /// From now on friends name the hot code, or one of the many.
    pub fn heat(&self, hot: bool) {
        self.hot.store(hot, Ordering::Relaxed);
        lock(&self.joined).clear();
    }

    fn around_a_code(&self, random: &mut fastrand::Rng, nth: u64) -> Job {
        let hot = self.hot.load(Ordering::Relaxed);
        let at = usize::from(hot);
        let of = |names: [&'static str; 2]| names.get(at).copied().unwrap_or_default();
        match nth % 4 {
            0 => {
                let code = self.code(random, hot);
                let request = wire::EnrollRequest {
                    program_id: self.program_id.clone(),
                    member_id: self.friend(nth),
                    request_id: "load-enroll".to_owned(),
                    codes: code.into_iter().collect(),
                    ..Default::default()
                };
                Job {
                    series: of(SIGN_UPS),
                    call: Call::Enroll,
                    body: request.encode_to_vec().into(),
                    about: (nth, nth),
                }
            }
            1 if let Some(friend) = lock(&self.joined).pop_front() => {
                self.commit_of(of(FIRST_ORDERS), self.friend(friend), (friend, nth))
            }
            _ => self.commit(of([OTHERS_WITH_MANY, OTHERS_WITH_ONE]), random.u64(0..self.members), nth),
        }
    }

    fn around_a_link(&self, random: &mut fastrand::Rng, nth: u64) -> Job {
        let hot = self.hot.load(Ordering::Relaxed);
        let at = usize::from(hot);
        let of = |names: [&'static str; 2]| names.get(at).copied().unwrap_or_default();
        if nth.is_multiple_of(LINK_ORDER_EVERY) {
            return self.commit(of([OTHERS_WITH_MANY, OTHERS_WITH_ONE]), random.u64(0..self.members), nth);
        }
        let request = wire::RecordTouchRequest {
            program_id: self.program_id.clone(),
            visitor_id: self.friend(nth),
            request_id: "load-touch".to_owned(),
            kind: wire::TouchKind::Click.into(),
            code: self.code(random, hot).unwrap_or_default(),
            ..Default::default()
        };
        Job { series: of(CLICKS), call: Call::Touch, body: request.encode_to_vec().into(), about: (nth, nth) }
    }

    /// The hot code, or one of the many; `None`: there is none yet.
    fn code(&self, random: &mut fastrand::Rng, hot: bool) -> Option<String> {
        self.codes.get().map(|codes| {
            let one = codes.many.get(random.usize(0..codes.many.len().max(1)));
            one.filter(|_| !hot).unwrap_or(&codes.hot).clone()
        })
    }

    /// Somebody who signs up in this run, or visits.
    fn friend(&self, nth: u64) -> String {
        format!("load-{}-{nth}", self.run)
    }

    fn shop(&self, dice: u64, member: u64, nth: u64) -> Job {
        let waiting = |orders: &Mutex<VecDeque<(u64, u64)>>| lock(orders).pop_front();
        match dice {
            0..=10 => self.quote(member, nth),
            11..=13 => self.reserve(member, nth),
            14..=17 => match waiting(&self.reserved) {
                Some((member, order)) => self.commit("Commit", member, order),
                None => self.commit("Commit", member, nth),
            },
            18 => match waiting(&self.reserved) {
                Some((member, order)) => self.release(member, order),
                None => self.quote(member, nth),
            },
            _ => match waiting(&self.committed) {
                Some((member, order)) => self.give_back(member, order),
                None => self.quote(member, nth),
            },
        }
    }

    fn order_id(&self, nth: u64) -> String {
        format!("{}-{nth:0NUMBER_LEN$}", self.run)
    }

    fn quote(&self, member: u64, nth: u64) -> Job {
        let program_id = self.program_id.clone();
        let request = wire::QuoteRequest { program_id, member_id: name(member), ..Default::default() };
        let body = self.quotes.with(&self.order_id(nth), &request);
        Job { series: "Quote", call: Call::Quote, body, about: (member, nth) }
    }

    fn commit(&self, series: &'static str, member: u64, nth: u64) -> Job {
        self.commit_of(series, name(member), (member, nth))
    }

    fn commit_of(&self, series: &'static str, member_id: String, about: (u64, u64)) -> Job {
        let order_id = self.order_id(about.1);
        let request = wire::CommitRequest {
            program_id: self.program_id.clone(),
            member_id,
            request_id: format!("commit-{order_id}"),
            ..wire::CommitRequest::default()
        };
        Job { series, call: Call::Commit, body: self.commits.with(&order_id, &request), about }
    }

    fn reserve(&self, member: u64, nth: u64) -> Job {
        let amount = Some(wire::pay_with_units::Amount::AllPossible(true));
        let pay = wire::PayWithUnits { amount, ..wire::PayWithUnits::default() };
        let order_id = self.order_id(nth);
        let request = wire::ReserveRequest {
            program_id: self.program_id.clone(),
            member_id: name(member),
            request_id: format!("reserve-{order_id}"),
            redeem: Some(wire::Redeem {
                mode: wire::RedeemMode::AsPossible.into(),
                pay_with_units: Some(pay),
                ..wire::Redeem::default()
            }),
            ..wire::ReserveRequest::default()
        };
        let body = self.reserves.with(&order_id, &request);
        Job { series: "Reserve", call: Call::Reserve, body, about: (member, nth) }
    }

    fn release(&self, member: u64, nth: u64) -> Job {
        let request = wire::ReleaseRequest {
            program_id: self.program_id.clone(),
            member_id: name(member),
            request_id: format!("release-{}", self.order_id(nth)),
            order_id: self.order_id(nth),
            ..wire::ReleaseRequest::default()
        };
        Job { series: "Release", call: Call::Release, body: request.encode_to_vec().into(), about: (member, nth) }
    }

    /// One item of the first line.
    fn give_back(&self, member: u64, nth: u64) -> Job {
        let measure = Some(wire::return_line::Measure::Quantity(1));
        let lines = vec![wire::ReturnLine { line_id: "0".to_owned(), measure }];
        let request = wire::ReturnRequest {
            program_id: self.program_id.clone(),
            member_id: name(member),
            request_id: format!("return-{}", self.order_id(nth)),
            order_id: self.order_id(nth),
            return_id: "1".to_owned(),
            what: Some(wire::ReturnWhat { everything: false, lines }),
            ..wire::ReturnRequest::default()
        };
        Job { series: "Return", call: Call::Return, body: request.encode_to_vec().into(), about: (member, nth) }
    }

    /// What happened to an order can be followed by what comes next.
    fn keep(&self, orders: &Mutex<VecDeque<(u64, u64)>>, about: (u64, u64)) {
        let mut orders = lock(orders);
        if self.workload == Workload::Shop && orders.len() < WAITING_MAX {
            orders.push_back(about);
        }
    }

    /// Somebody who signed up with a code can order.
    fn keep_friend(&self, nth: u64) {
        let mut joined = lock(&self.joined);
        if joined.len() < WAITING_MAX {
            joined.push_back(nth);
        }
    }

    /// Sends a call once and looks at its answer.
    pub async fn send(&self, caller: &Caller, job: Job) -> Verdict {
        let Job { call, body, about, series: _ } = job;
        match call {
            Call::Enroll => {
                let attributed = |answer: &wire::EnrollResponse| {
                    let decision = answer.decision.as_ref();
                    answer.enrolled && decision.is_some_and(|decision| decision.refusals.is_empty())
                };
                let answer = caller.call("/guerdon.v1.MemberService/Enroll", body).await;
                let verdict = judge(answer, attributed, |answer| &answer.decision);
                if verdict == Verdict::Fine {
                    self.keep_friend(about.0);
                }
                verdict
            }
            Call::Quote => {
                let answer = caller.call("/guerdon.v1.CheckoutService/Quote", body).await;
                judge(answer, |answer: &wire::QuoteResponse| answer.decision.is_some(), |_| &None)
            }
            Call::Reserve => {
                let answer = caller.call("/guerdon.v1.CheckoutService/Reserve", body).await;
                let reserved = |answer: &wire::ReserveResponse| answer.reserved;
                let verdict = judge(answer, reserved, |answer| &answer.decision);
                if verdict == Verdict::Fine {
                    self.keep(&self.reserved, about);
                }
                verdict
            }
            Call::Commit => {
                let answer = caller.call("/guerdon.v1.CheckoutService/Commit", body).await;
                let committed = |answer: &wire::CommitResponse| answer.status() == CommitStatus::Committed;
                let verdict = judge(answer, committed, |answer| &answer.decision);
                if verdict == Verdict::Fine {
                    self.keep(&self.committed, about);
                }
                verdict
            }
            Call::Release => {
                let answer = caller.call("/guerdon.v1.CheckoutService/Release", body).await;
                judge(answer, |answer: &wire::ReleaseResponse| answer.released, |_| &None)
            }
            Call::Touch => {
                match caller.call::<wire::RecordTouchResponse>("/guerdon.v1.ReferralService/RecordTouch", body).await {
                    Ok(answer) if answer.recorded => Verdict::Fine,
                    Ok(answer) => {
                        let reasons: Vec<&str> = answer.refusals.iter().map(|r| r.reason().as_str_name()).collect();
                        let (dropped, reasons) = (answer.dropped().as_str_name(), reasons.join(", "));
                        Verdict::Wrong(format!("not recorded: {dropped} {reasons}"))
                    }
                    Err(Failed(what)) => Verdict::Failed(what),
                }
            }
            Call::Return => {
                let answer = caller.call("/guerdon.v1.CheckoutService/Return", body).await;
                let applied = |answer: &wire::ReturnResponse| answer.status() == ReturnStatus::Applied;
                judge(answer, applied, |answer| &answer.decision)
            }
        }
    }
}

fn judge<T>(
    answer: Result<T, Failed>,
    fine: impl Fn(&T) -> bool,
    decision: impl Fn(&T) -> &Option<wire::Decision>,
) -> Verdict {
    match answer {
        Ok(answer) if fine(&answer) => Verdict::Fine,
        Ok(answer) => {
            let refusals = decision(&answer).iter().flat_map(|decision| &decision.refusals);
            let reasons: Vec<&str> = refusals.map(|refusal| refusal.reason().as_str_name()).collect();
            Verdict::Wrong(format!("refused: {}", reasons.join(", ")))
        }
        Err(Failed(what)) => Verdict::Failed(what),
    }
}

/// The id of a member that the load is spread over.
pub fn name(member: u64) -> String {
    format!("load-member-{member}")
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_from_parts_says_what_one_made_at_once_does() {
        let order = wire::Order {
            currency_code: "GBP".to_owned(),
            lines: vec![wire::Line { line_id: "000".to_owned(), amount_minor: 250, ..Default::default() }],
            ..Default::default()
        };
        let field = OrderField::of(&order, |order| wire::CommitRequest { order: Some(order), ..Default::default() });
        for order_id in ["0199aabbccdd-000000000000", "0199aabbccdd-000000012345", "1111111111111111111111111"] {
            assert_eq!(order_id.len(), ORDER_ID_LEN);
            let others = wire::CommitRequest {
                member_id: "000000000000000000000000000".to_owned(),
                request_id: format!("commit-{order_id}"),
                ..Default::default()
            };
            let order = wire::Order { order_id: order_id.to_owned(), ..order.clone() };
            let whole = wire::CommitRequest { order: Some(order), ..others.clone() };
            let body = field.with(order_id, &others);
            assert_eq!(body.len(), whole.encoded_len());
            assert_eq!(wire::CommitRequest::decode(body), Ok(whole), "{order_id}");
        }
    }
}
