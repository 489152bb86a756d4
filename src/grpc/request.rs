//! The parts that requests share, from wire to domain. Each function notes every fault and gives `None` if there
//! is one; what it gives otherwise is trusted below.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use jiff::tz::TimeZone;

use super::violations::{Path, Violations, shortened};
use super::wire;
use crate::access::{self, Caller};
use crate::domain::command::{
    CODES_MAX, Command, EnteredCode, PayAmount, PayWithUnits, REWARDS_MAX, Redeem, RedeemMode, TENDERS_MAX, Tender,
    VOUCHERS_MAX,
};
use crate::domain::id::{
    IdError, Label, LineId, MemberId, OrderId, ProgramId, RequestId, RewardId, Sku, UnitId, VisitorId, VoucherId,
};
use crate::domain::order::{Currency, Line, LineKind, Order, OrderKind};
use crate::domain::quote::{self, Relied};
use crate::domain::referral::code;
use crate::domain::referral::signal::{RawSignals, Signals};
use crate::domain::time::Instant;
use crate::service::{Audit, Calls, Fingerprint, Write};

pub(super) const CODE_BYTES_MAX: usize = 64;
/// Of each.
pub(super) const SIGNAL_BYTES_MAX: usize = 1_024;

/// Amounts of money and of units in requests.
pub(super) const AMOUNT: RangeInclusive<i64> = 0..=Order::AMOUNT_MINOR_MAX;
/// Amounts where nothing would mean nothing.
pub(super) const SOME_AMOUNT: RangeInclusive<i64> = 1..=Order::AMOUNT_MINOR_MAX;

/// What every write carries beside its command.
pub(super) struct Envelope {
    program: ProgramId,
    member: MemberId,
    request_id: RequestId,
    occurred_at: Option<Instant>,
}

impl Envelope {
    pub(super) fn read(
        bad: &mut Violations,
        calls: &dyn Calls,
        program_id: &str,
        member_id: &str,
        request_id: &str,
        occurred_at: Option<&prost_types::Timestamp>,
    ) -> Option<Envelope> {
        let program = program(bad, calls, program_id);
        let member = bad.take(&Path::Of("member_id"), MemberId::parse(member_id));
        Envelope::of(bad, program, member, request_id, occurred_at)
    }

    /// A write on an account that no member is named for.
    pub(super) fn of_account(
        bad: &mut Violations,
        calls: &dyn Calls,
        program_id: &str,
        account_id: &str,
        request_id: &str,
        occurred_at: Option<&prost_types::Timestamp>,
    ) -> Option<Envelope> {
        let program = program(bad, calls, program_id);
        // Named like a member, for requests are found under either.
        let member = bad.take(&Path::Of("account_id"), MemberId::parse(account_id));
        Envelope::of(bad, program, member, request_id, occurred_at)
    }

    /// A write on what is kept of a visitor.
    pub(super) fn of_visitor(
        bad: &mut Violations,
        calls: &dyn Calls,
        program_id: &str,
        visitor_id: &str,
        request_id: &str,
        occurred_at: Option<&prost_types::Timestamp>,
    ) -> Option<(Envelope, VisitorId)> {
        let program = program(bad, calls, program_id);
        let visitor = bad.take(&Path::Of("visitor_id"), VisitorId::parse(visitor_id));
        let member = visitor.as_ref().map(MemberId::visitor);
        let envelope = Envelope::of(bad, program, member, request_id, occurred_at);
        Some((envelope?, visitor?))
    }

    /// Where no member is named, that of the order's guest.
    pub(super) fn or_guest(
        bad: &mut Violations,
        calls: &dyn Calls,
        program_id: &str,
        member_id: &str,
        order_id: &str,
        request_id: &str,
        occurred_at: Option<&prost_types::Timestamp>,
    ) -> Option<Envelope> {
        let program = program(bad, calls, program_id);
        let member = member_or_guest(bad, member_id, order_id);
        Envelope::of(bad, program, member, request_id, occurred_at)
    }

    fn of(
        bad: &mut Violations,
        program: Option<ProgramId>,
        member: Option<MemberId>,
        request_id: &str,
        occurred_at: Option<&prost_types::Timestamp>,
    ) -> Option<Envelope> {
        let request_id = bad.take(&Path::Of("request_id"), RequestId::parse(request_id));
        let occurred_at = instant(bad, &Path::Of("occurred_at"), occurred_at);
        Some(Envelope { program: program?, member: member?, request_id: request_id?, occurred_at: occurred_at? })
    }

    pub(super) fn member(&self) -> &MemberId {
        &self.member
    }

    pub(super) fn write(self, fingerprint: Fingerprint, command: Command) -> Write {
        let Envelope { program, member, request_id, occurred_at } = self;
        let audit = audit(&command).map(Box::new);
        Write { program, member, request_id, fingerprint, occurred_at, command, audit }
    }
}

/// Who is behind a command that is an administrative write: by its method, or because somebody of the staff says so.
fn audit(command: &Command) -> Option<Audit> {
    let Caller { principal, method } = access::caller()?;
    let method = method.filter(|method| method.audited || command.agent().is_some())?;
    Some(Audit { principal: principal.name().into(), method: method.name, agent: principal.agent().cloned() })
}

/// Whether it is one of ours is for the service to see. The outer `None` is a fault.
pub(super) fn quote_token(bad: &mut Violations, raw: &str) -> Option<Option<Relied>> {
    if raw.is_empty() {
        return Some(None);
    }
    if quote::TOKEN_BYTES_MAX < raw.len() {
        bad.add(&Path::Of("quote_token"), format!("must have at most {} bytes", quote::TOKEN_BYTES_MAX));
        return None;
    }
    Some(Some(Relied::Token(raw.into())))
}

/// Empty: the server's only program.
pub(super) fn program(bad: &mut Violations, calls: &dyn Calls, raw: &str) -> Option<ProgramId> {
    let at = Path::Of("program_id");
    if !raw.is_empty() {
        return bad.take(&at, ProgramId::parse(raw));
    }
    bad.take(&at, calls.only_program().ok_or("required: this server has several programs"))
}

/// Empty: the guest of the order. Where that has no proper id, which is a fault of its own, there is none.
pub(super) fn member_or_guest(bad: &mut Violations, raw: &str, order_id: &str) -> Option<MemberId> {
    if raw.is_empty() {
        return OrderId::parse(order_id).ok().as_ref().map(MemberId::guest);
    }
    bad.take(&Path::Of("member_id"), MemberId::parse(raw))
}

/// Who acts: the agent to whom the credential belongs, else whom the caller names.
pub(super) fn agent(bad: &mut Violations, raw: &str) -> Option<Label> {
    let at = Path::Of("agent_id");
    match access::caller().and_then(|caller| caller.principal.agent().cloned()) {
        None => bad.take(&at, Label::parse(raw)),
        Some(own) if raw.is_empty() || raw == own.as_str() => Some(own),
        Some(_) => {
            bad.add(&at, "is not the agent to whom the credential belongs; leave it empty");
            None
        }
    }
}

/// In whose name an agent does what members do, too; none: the member does it. The outer `None` is a fault.
pub(super) fn agent_if_any(bad: &mut Violations, raw: &str) -> Option<Option<Label>> {
    if raw.is_empty() {
        return Some(None);
    }
    if access::caller().is_some_and(|caller| !caller.principal.corrects()) {
        bad.add(&Path::Of("agent_id"), "is for credentials of support; leave it empty for what the member says");
        return None;
    }
    agent(bad, raw).map(Some)
}

/// What tells who somebody is; empty texts were not sent.
pub(super) fn signals(bad: &mut Violations, raw: Option<&wire::Signals>) -> Option<Signals> {
    let Some(raw) = raw else { return Some(Signals::None) };
    let at = &Path::Of("signals");
    let wire::Signals { email, phone, device_id, payment_instrument, address, ip, user_agent, referrer } = raw;
    let mut fits = true;
    for (name, text) in [
        ("email", email),
        ("phone", phone),
        ("device_id", device_id),
        ("payment_instrument", payment_instrument),
        ("address", address),
        ("ip", ip),
        ("user_agent", user_agent),
        ("referrer", referrer),
    ] {
        if SIGNAL_BYTES_MAX < text.len() {
            // Without the text: it is personal.
            let problem = format!("is {} bytes long, at most {SIGNAL_BYTES_MAX} are allowed", text.len());
            bad.add(&at.field(name), problem);
            fits = false;
        }
    }
    let raw = RawSignals {
        email: email.clone(),
        phone: phone.clone(),
        device_id: device_id.clone(),
        payment_instrument: payment_instrument.clone(),
        address: address.clone(),
        ip: ip.clone(),
        user_agent: user_agent.clone(),
        referrer: referrer.clone(),
    };
    fits.then(|| if raw == RawSignals::default() { Signals::None } else { Signals::Raw(Box::new(raw)) })
}

/// Who a member is to those who do not know them. The outer `None` is a fault.
pub(super) fn visitor(bad: &mut Violations, raw: &str) -> Option<Option<VisitorId>> {
    optional(bad, &Path::Of("visitor_id"), raw, VisitorId::parse)
}

/// An optional id or label: empty is none. The outer `None` is a fault.
pub(super) fn optional<T>(
    bad: &mut Violations,
    at: &Path<'_>,
    raw: &str,
    parse: impl FnOnce(&str) -> Result<T, IdError>,
) -> Option<Option<T>> {
    if raw.is_empty() {
        return Some(None);
    }
    bad.take(at, parse(raw)).map(Some)
}

/// A number within its bounds.
pub(super) fn number(bad: &mut Violations, at: &Path<'_>, raw: i64, within: RangeInclusive<i64>) -> Option<i64> {
    if within.contains(&raw) {
        return Some(raw);
    }
    bad.add(at, format!("is {raw}, must be {} to {}", within.start(), within.end()));
    None
}

/// An optional instant: absent is none. The outer `None` is a fault.
pub(super) fn instant(
    bad: &mut Violations,
    at: &Path<'_>,
    raw: Option<&prost_types::Timestamp>,
) -> Option<Option<Instant>> {
    let Some(raw) = raw else {
        return Some(None);
    };
    if !(0..=999_999_999).contains(&raw.nanos) {
        bad.add(at, format!("has {} nanoseconds, must be 0 to 999999999", raw.nanos));
        return None;
    }
    // Kept to the millisecond: what is finer is dropped.
    let ms = raw.seconds.checked_mul(1_000).and_then(|ms| ms.checked_add(i64::from(raw.nanos / 1_000_000)));
    match ms.map(Instant).filter(|instant| instant.in_bounds()) {
        Some(instant) => Some(Some(instant)),
        None => {
            bad.add(at, format!("is {} s after 1970, must lie between 2000-01-01 and 9000-01-01 (UTC)", raw.seconds));
            None
        }
    }
}

/// From an instant, which is part of it, to another, which is not. The outer `None` is a fault.
pub(super) fn period(
    bad: &mut Violations,
    from: Option<&prost_types::Timestamp>,
    until: Option<&prost_types::Timestamp>,
) -> Option<(Option<Instant>, Option<Instant>)> {
    let from = instant(bad, &Path::Of("from"), from);
    let until = instant(bad, &Path::Of("until"), until);
    if let (Some(Some(from)), Some(Some(until))) = (from, until)
        && until <= from
    {
        bad.add(&Path::Of("until"), "must be later than `from`");
    }
    Some((from?, until?))
}

/// A known value of an enum, or the number noted as unknown.
pub(super) fn known<E: TryFrom<i32>>(bad: &mut Violations, at: &Path<'_>, raw: i32) -> Option<E> {
    bad.take(at, E::try_from(raw).map_err(|_| format!("is {raw}, which is no known value")))
}

/// The ids that a list has shown so far.
#[derive(Default)]
pub(super) struct Unique<'a> {
    /// The first ones, looked through one by one: lists are short, mostly.
    few: Vec<&'a str>,
    /// Those after them.
    more: Option<HashSet<&'a str>>,
}

impl<'a> Unique<'a> {
    const FEW: usize = 16;

    /// Whether it is a new one.
    fn insert(&mut self, id: &'a str) -> bool {
        if self.few.contains(&id) {
            return false;
        }
        if self.few.len() < Self::FEW {
            if self.few.is_empty() {
                self.few.reserve(Self::FEW);
            }
            self.few.push(id);
            return true;
        }
        self.more.get_or_insert_default().insert(id)
    }

    /// Notes an `id` that stands in the list before.
    pub(super) fn check(&mut self, bad: &mut Violations, at: &Path<'_>, id: &'a str) -> Option<()> {
        // An empty id is a fault of its own.
        if !self.insert(id) && !id.is_empty() {
            bad.add(at, format!("is {} as in an element before, must be unique", shortened(id)));
            return None;
        }
        Some(())
    }
}

/// Reads a list, each element with `parse`. One that is too long is noted; what is beyond its bound is not looked at.
pub(super) fn each<'a, R, T>(
    bad: &mut Violations,
    at: &Path<'_>,
    raw: &'a [R],
    max: usize,
    mut parse: impl FnMut(&mut Violations, &Path<'_>, &mut Unique<'a>, &'a R) -> Option<T>,
) -> Option<Vec<T>> {
    if max < raw.len() {
        bad.add(at, format!("has {} elements, at most {max} are allowed", raw.len()));
    }
    let mut unique = Unique::default();
    let mut values = Vec::with_capacity(raw.len().min(max));
    for (index, element) in raw.iter().enumerate().take(max) {
        // No stop at the first fault: every one is to be noted.
        if let Some(value) = parse(bad, &at.item(index), &mut unique, element) {
            values.push(value);
        }
    }
    (values.len() == raw.len()).then_some(values)
}

pub(super) fn order(bad: &mut Violations, raw: Option<&wire::Order>) -> Option<Order> {
    let at = &Path::Of("order");
    let Some(raw) = raw else {
        bad.add(at, "is required");
        return None;
    };
    let order_id = bad.take(&at.field("order_id"), OrderId::parse(&raw.order_id));
    let currency = Currency::parse(&raw.currency_code)
        .ok_or_else(|| format!("is {}, must be an ISO 4217 code in upper case", shortened(&raw.currency_code)));
    let currency = bad.take(&at.field("currency_code"), currency);
    let channel = optional(bad, &at.field("channel"), &raw.channel, Label::parse);
    let store = optional(bad, &at.field("store_id"), &raw.store_id, Label::parse);
    let zone = zone(bad, &at.field("time_zone"), &raw.time_zone);
    let lines = lines(bad, &at.field("lines"), &raw.lines, raw.prices_include_tax);
    let kind = known(bad, &at.field("kind"), raw.kind).map(|kind| match kind {
        wire::OrderKind::Unspecified | wire::OrderKind::Ordinary => OrderKind::Ordinary,
        wire::OrderKind::First => OrderKind::First,
        wire::OrderKind::Renewal => OrderKind::Renewal,
        wire::OrderKind::Trial => OrderKind::Trial,
        wire::OrderKind::Replacement => OrderKind::Replacement,
    });
    let coupons = labels(bad, &at.field("coupons"), &raw.coupons, Order::LABELS_MAX);
    let payment_methods = labels(bad, &at.field("payment_methods"), &raw.payment_methods, Order::LABELS_MAX);
    let recipient = optional(bad, &at.field("recipient_member_id"), &raw.recipient_member_id, MemberId::parse);
    Some(Order {
        order_id: order_id?,
        currency: currency?,
        channel: channel?,
        store: store?,
        zone: zone?,
        prices_include_tax: raw.prices_include_tax,
        lines: lines?,
        kind: kind?,
        coupons: coupons?,
        payment_methods: payment_methods?,
        recipient: recipient?,
    })
}

/// Labels that rules may ask for.
fn labels(bad: &mut Violations, at: &Path<'_>, raw: &[String], max: usize) -> Option<Vec<Label>> {
    each(bad, at, raw, max, |bad, at, _, raw| bad.take(at, Label::parse(raw)))
}

/// A time zone by its IANA name alone: neither offsets nor rules as POSIX writes them.
pub(super) fn zone(bad: &mut Violations, at: &Path<'_>, raw: &str) -> Option<Option<TimeZone>> {
    if raw.is_empty() {
        return Some(None);
    }
    let problem = || format!("is {}, must be an IANA time zone such as `Europe/Berlin`", shortened(raw));
    let zone = TimeZone::get(raw).map_err(|_| problem());
    let zone = zone.and_then(|zone| if zone.iana_name() == Some(raw) { Ok(zone) } else { Err(problem()) });
    bad.take(at, zone).map(Some)
}

fn lines(bad: &mut Violations, at: &Path<'_>, raw: &[wire::Line], prices_include_tax: bool) -> Option<Vec<Line>> {
    if raw.is_empty() {
        bad.add(at, "must have at least 1 element");
        return None;
    }
    some_lines(bad, at, raw, prices_include_tax)
}

/// Lines of an order that is known, or none. Whether its prices include tax is not said again.
pub(super) fn more_lines(bad: &mut Violations, at: &Path<'_>, raw: &[wire::Line]) -> Option<Vec<Line>> {
    some_lines(bad, at, raw, false)
}

fn some_lines(bad: &mut Violations, at: &Path<'_>, raw: &[wire::Line], prices_include_tax: bool) -> Option<Vec<Line>> {
    let lines = each(bad, at, raw, Order::LINES_MAX, |bad, at, unique, raw| {
        let is_unique = unique.check(bad, &at.field("line_id"), &raw.line_id);
        let line = line(bad, at, raw, prices_include_tax);
        is_unique?;
        line
    })?;
    // Each amount is bounded, so the sum of so many cannot overflow.
    let total: i64 = lines.iter().map(|line| line.amount_minor).sum();
    if Order::AMOUNT_MINOR_MAX < total {
        bad.add(at, format!("have amounts that sum to {total}, at most {} is allowed", Order::AMOUNT_MINOR_MAX));
        return None;
    }
    Some(lines)
}

fn line(bad: &mut Violations, at: &Path<'_>, raw: &wire::Line, prices_include_tax: bool) -> Option<Line> {
    let line_id = bad.take(&at.field("line_id"), LineId::parse(&raw.line_id));
    let sku = optional(bad, &at.field("sku"), &raw.sku, Sku::parse);
    let categories = labels(bad, &at.field("categories"), &raw.categories, Line::LABELS_MAX);
    let brand = optional(bad, &at.field("brand"), &raw.brand, Label::parse);
    let collections = labels(bad, &at.field("collections"), &raw.collections, Line::LABELS_MAX);
    let own_labels = labels(bad, &at.field("labels"), &raw.labels, Line::LABELS_MAX);
    let seller = optional(bad, &at.field("seller"), &raw.seller, Label::parse);
    let quantity = number(bad, &at.field("quantity"), raw.quantity, 0..=Order::QUANTITY_MAX);
    let amount = number(bad, &at.field("amount_minor"), raw.amount_minor, AMOUNT);
    let list_amount = match raw.list_amount_minor {
        Some(raw) => number(bad, &at.field("list_amount_minor"), raw, AMOUNT).map(Some),
        None => Some(None),
    };
    let prior_amount = match raw.lowest_prior_amount_minor {
        Some(raw) => number(bad, &at.field("lowest_prior_amount_minor"), raw, AMOUNT).map(Some),
        None => Some(None),
    };
    let tax = number(bad, &at.field("tax_minor"), raw.tax_minor, AMOUNT);
    if let (true, Some(tax), Some(amount)) = (prices_include_tax, tax, amount)
        && amount < tax
    {
        bad.add(&at.field("tax_minor"), format!("is {tax}, more than the amount of {amount} that is to contain it"));
    }
    let kind = known(bad, &at.field("kind"), raw.kind).map(|kind| match kind {
        wire::LineKind::Unspecified | wire::LineKind::Goods => LineKind::Goods,
        wire::LineKind::Shipping => LineKind::Shipping,
        wire::LineKind::Fee => LineKind::Fee,
        wire::LineKind::GiftCard => LineKind::GiftCard,
    });
    Some(Line {
        line_id: line_id?,
        sku: sku?,
        categories: categories?,
        brand: brand?,
        collections: collections?,
        labels: own_labels?,
        seller: seller?,
        kind: kind?,
        quantity: quantity?,
        amount_minor: amount?,
        list_amount_minor: list_amount?,
        prior_amount_minor: prior_amount?,
        tax_minor: tax?,
    })
}

/// Absent: none. The outer `None` is a fault.
pub(super) fn redeem(bad: &mut Violations, raw: Option<&wire::Redeem>) -> Option<Option<Redeem>> {
    let at = &Path::Of("redeem");
    let Some(raw) = raw else {
        return Some(None);
    };
    let mode = known(bad, &at.field("mode"), raw.mode).map(|mode| match mode {
        wire::RedeemMode::Unspecified | wire::RedeemMode::AllOrNothing => RedeemMode::AllOrNothing,
        wire::RedeemMode::AsPossible => RedeemMode::AsPossible,
    });
    let pay = match &raw.pay_with_units {
        Some(raw) => pay_with_units(bad, &at.field("pay_with_units"), raw).map(Some),
        None => Some(None),
    };
    let rewards = each(bad, &at.field("reward_ids"), &raw.reward_ids, REWARDS_MAX, |bad, at, unique, raw| {
        let is_unique = unique.check(bad, at, raw);
        let reward = bad.take(at, RewardId::parse(raw));
        is_unique.and(reward)
    });
    let vouchers = each(bad, &at.field("voucher_ids"), &raw.voucher_ids, VOUCHERS_MAX, |bad, at, unique, raw| {
        let is_unique = unique.check(bad, at, raw);
        let voucher = bad.take(at, VoucherId::parse(raw));
        is_unique.and(voucher)
    });
    Some(Some(Redeem { mode: mode?, pay: pay?, rewards: rewards?, vouchers: vouchers? }))
}

fn pay_with_units(bad: &mut Violations, at: &Path<'_>, raw: &wire::PayWithUnits) -> Option<PayWithUnits> {
    use wire::pay_with_units::Amount;

    let unit = optional(bad, &at.field("unit"), &raw.unit, UnitId::parse);
    let amount = match raw.amount {
        Some(Amount::Exactly(n)) => number(bad, &at.field("exactly"), n, SOME_AMOUNT).map(PayAmount::Exactly),
        Some(Amount::AtMost(n)) => number(bad, &at.field("at_most"), n, SOME_AMOUNT).map(PayAmount::AtMost),
        Some(Amount::AllPossible(true)) => Some(PayAmount::AllPossible),
        Some(Amount::AllPossible(false)) => {
            bad.add(&at.field("all_possible"), "must be true where it is set");
            None
        }
        None => {
            bad.add(&at.field("amount"), "is required: one of `exactly`, `at_most` and `all_possible`");
            None
        }
    };
    Some(PayWithUnits { unit: unit?, amount: amount? })
}

pub(super) fn codes(bad: &mut Violations, raw: &[String]) -> Option<Vec<EnteredCode>> {
    each(bad, &Path::Of("codes"), raw, CODES_MAX, |bad, at, _, raw| entered_code(bad, at, raw))
}

/// A code as the shopper typed it. One that no code can read like is answered with a refusal, not with an error.
pub(super) fn entered_code(bad: &mut Violations, at: &Path<'_>, raw: &str) -> Option<EnteredCode> {
    if raw.is_empty() {
        bad.add(at, "must not be empty");
        return None;
    }
    if CODE_BYTES_MAX < raw.len() {
        bad.add(at, format!("is {} bytes long, at most {CODE_BYTES_MAX} are allowed", raw.len()));
        return None;
    }
    Some(EnteredCode { raw: raw.to_owned(), code: code::read(raw) })
}

/// The methods that tenders name, for the order's own.
pub(super) fn methods(bad: &mut Violations, raw: &[wire::Tender]) -> Option<Vec<Label>> {
    let methods = each(bad, &Path::Of("tenders"), raw, TENDERS_MAX, |bad, at, _, raw| {
        optional(bad, &at.field("method"), &raw.method, Label::parse)
    });
    Some(methods?.into_iter().flatten().collect())
}

pub(super) fn tenders(bad: &mut Violations, raw: &[wire::Tender]) -> Option<Vec<Tender>> {
    each(bad, &Path::Of("tenders"), raw, TENDERS_MAX, |bad, at, unique, raw| {
        let tender_at = &at.field("tender_id");
        let is_unique = unique.check(bad, tender_at, &raw.tender_id);
        let tender = bad.take(tender_at, Label::parse(&raw.tender_id));
        let amount = number(bad, &at.field("amount_minor"), raw.amount_minor, AMOUNT);
        is_unique?;
        Some(Tender { tender: tender?, amount_minor: amount? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_stands_in_the_list_before_is_found_wherever_it_stands() {
        let ids: Vec<String> = (0..3 * Unique::FEW).map(|n| format!("line-{n}")).collect();
        for again in &ids {
            let mut unique = Unique::default();
            assert!(ids.iter().all(|id| unique.insert(id)), "each stands there once");
            assert!(!unique.insert(again), "{again} stands there twice");
        }
    }
}
