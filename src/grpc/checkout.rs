//! What a checkout asks.

use prost::Message;
use tonic::{Request, Response};

use super::request::{self, Envelope, SOME_AMOUNT};
use super::violations::{Path, Violations, read};
use super::wire::{self, checkout_service_server::CheckoutService};
use super::{Face, Reply, fingerprints, response, status, trace};
use crate::domain::answer::Answer;
use crate::domain::command::{
    Amend, Catalogue, Claim, Command, Commit, GuestOrder, Measure, OrderEvent, Release, Reserve, Return, ReturnCause,
    ReturnWhat, TENDERS_MAX,
};
use crate::domain::id::{Label, LineId, MemberId, OrderEventId, OrderId, ProgramId, RequestId, ReturnId};
use crate::domain::order::Order;
use crate::domain::time::Instant;
use crate::service::{Calls, Error, Known, Preview, Write};
use crate::store;

pub(super) const METHODS: &[&str] = &[
    "guerdon.v1.CheckoutService/Quote",
    "guerdon.v1.CheckoutService/Reserve",
    "guerdon.v1.CheckoutService/Commit",
    "guerdon.v1.CheckoutService/Release",
    "guerdon.v1.CheckoutService/QuoteReturn",
    "guerdon.v1.CheckoutService/Return",
    "guerdon.v1.CheckoutService/AmendOrder",
    "guerdon.v1.CheckoutService/ClaimOrder",
    "guerdon.v1.CheckoutService/RecordOrderEvent",
    "guerdon.v1.CheckoutService/GetOrder",
    "guerdon.v1.CheckoutService/GetOutcome",
];

/// A reservation of 31 years is none that anybody waits for; keeps sums of instants far inside `i64`.
pub(super) const TTL_S_MAX: i64 = 1_000_000_000;

#[tonic::async_trait]
impl CheckoutService for Face {
    async fn quote(&self, raw: Request<wire::QuoteRequest>) -> Reply<wire::QuoteResponse> {
        let preview = read(|bad| quote(bad, &*self.calls, raw.get_ref()));
        let offers = preview.as_ref().ok().filter(|_| raw.get_ref().list_rewards).map(on_offer);
        let mut quoted = Face::quote(self, preview).await?;
        if let Some(offers) = offers.flatten() {
            let offers = self.calls.preview(offers).await.map_err(|error| status::of(&error))?;
            if let Answer::Catalogue(answer) = offers {
                let listed = response::rewards(answer);
                quoted.get_mut().rewards = listed.rewards;
                quoted.get_mut().line_prices = listed.line_prices;
            }
        }
        Ok(quoted)
    }

    async fn reserve(&self, raw: Request<wire::ReserveRequest>) -> Reply<wire::ReserveResponse> {
        let write = read(|bad| reserve(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Reserve(answer) => Some(response::reserve(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn commit(&self, raw: Request<wire::CommitRequest>) -> Reply<wire::CommitResponse> {
        let write =
            read(|bad| commit(bad, &*self.calls, raw.get_ref())).map(Box::new).map_err(status::of_violations)?;
        let program = write.program.clone();
        // What is not needed any more goes before the store is waited for.
        let raw = self.calls.keeps_promises().then(|| Box::new(raw.into_inner()));
        let answered = self.write_or(write, |answer, replayed| match answer {
            Answer::Commit(answer) => Some(response::commit(answer, replayed)),
            _ => None,
        });
        match answered.await {
            Err(Error::Store(
                error @ (store::Error::Unavailable | store::Error::OutcomeUnknown | store::Error::Moved),
            )) => {
                // The order has been paid: where there is a journal it is not sent away.
                let taken = match raw {
                    Some(raw) => {
                        let request = wire::CommitRequest { signals: None, ..*raw }.encode_to_vec();
                        self.calls.promise(&program, request).await.unwrap_or(false)
                    }
                    None => false,
                };
                if taken { Ok(Response::new(response::journaled())) } else { Err(status::of(&Error::Store(error))) }
            }
            answered => answered.map(Response::new).map_err(|error| status::of(&error)),
        }
    }

    async fn release(&self, raw: Request<wire::ReleaseRequest>) -> Reply<wire::ReleaseResponse> {
        let write = read(|bad| release(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Release(answer) => Some(response::release(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn quote_return(&self, raw: Request<wire::QuoteReturnRequest>) -> Reply<wire::QuoteReturnResponse> {
        let preview = read(|bad| quote_return(bad, &*self.calls, raw.get_ref()));
        self.preview(preview, |answer| match answer {
            Answer::Return(answer) => Some(response::quote_return(answer)),
            _ => None,
        })
        .await
    }

    async fn r#return(&self, raw: Request<wire::ReturnRequest>) -> Reply<wire::ReturnResponse> {
        let write = read(|bad| r#return(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Return(answer) => Some(response::r#return(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn amend_order(&self, raw: Request<wire::AmendOrderRequest>) -> Reply<wire::AmendOrderResponse> {
        let write = read(|bad| amend_order(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Amend(answer) => Some(response::amend_order(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn claim_order(&self, raw: Request<wire::ClaimOrderRequest>) -> Reply<wire::ClaimOrderResponse> {
        let write = read(|bad| claim_order(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::Claim(answer) => Some(response::claim_order(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn record_order_event(
        &self,
        raw: Request<wire::RecordOrderEventRequest>,
    ) -> Reply<wire::RecordOrderEventResponse> {
        let write = read(|bad| record_order_event(bad, &*self.calls, raw.get_ref()));
        self.write(write, |answer, replayed| match answer {
            Answer::OrderEvent(answer) => Some(response::record_order_event(answer, replayed)),
            _ => None,
        })
        .await
    }

    async fn get_order(&self, raw: Request<wire::GetOrderRequest>) -> Reply<wire::GetOrderResponse> {
        let asked = read(|bad| get_order(bad, &*self.calls, raw.get_ref()));
        let (program, member, order) = asked.map_err(status::of_violations)?;
        trace(&program, None);
        let view = self.calls.order(&program, &member, &order).await.map_err(|error| status::of(&error))?;
        let why = match raw.get_ref().explain {
            true => self.calls.explain(&program, &member, &order).await.map_err(|error| status::of(&error))?,
            false => None,
        };
        Ok(Response::new(response::order(view, why)))
    }

    async fn get_outcome(&self, raw: Request<wire::GetOutcomeRequest>) -> Reply<wire::GetOutcomeResponse> {
        let asked = read(|bad| get_outcome(bad, &*self.calls, raw.get_ref()));
        let (program, member, request_id) = asked.map_err(status::of_violations)?;
        trace(&program, Some(&request_id));
        let known = self.calls.outcome(&program, &member, &request_id, raw.get_ref().fence).await;
        let (state, answer) = match known.map_err(|error| status::of(&error))? {
            Known::NotApplied => (wire::OutcomeState::NotApplied, None),
            Known::Fenced | Known::Answered(Answer::Fenced) => (wire::OutcomeState::Fenced, None),
            Known::Answered(answer) => match response::outcome(answer) {
                Some(answer) => (wire::OutcomeState::Answered, Some(answer)),
                None => return Err(status::of(&Error::Internal("the outcome of no caller's write".into()))),
            },
        };
        Ok(Response::new(wire::GetOutcomeResponse { state: state.into(), answer }))
    }
}

fn quote(bad: &mut Violations, calls: &dyn Calls, raw: &wire::QuoteRequest) -> Option<Preview> {
    let program = request::program(bad, calls, &raw.program_id);
    let member = request::optional(bad, &Path::Of("member_id"), &raw.member_id, MemberId::parse);
    let order = request::order(bad, raw.order.as_ref());
    let redeem = request::redeem(bad, raw.redeem.as_ref());
    let codes = request::codes(bad, &raw.codes);
    let visitor = request::visitor(bad, &raw.visitor_id);
    let signals = request::signals(bad, raw.signals.as_ref());
    let occurred_at = request::instant(bad, &Path::Of("occurred_at"), raw.occurred_at.as_ref());
    let commit = Commit {
        order: order?,
        redeem: redeem?,
        codes: codes?,
        paid: false,
        tenders: Vec::new(),
        explain: raw.explain,
        quote: None,
        visitor: visitor?,
        signals: signals?,
    };
    Some(Preview { program: program?, member: member?, occurred_at: occurred_at?, command: Command::Commit(commit) })
}

/// Asks what else is on offer on an order that is quoted.
fn on_offer(preview: &Preview) -> Option<Preview> {
    let Command::Commit(commit) = &preview.command else { return None };
    let (order, redeem) = (Some(commit.order.clone()), commit.redeem.clone().unwrap_or_default());
    let command = Command::Catalogue(Catalogue { order, redeem, store: None });
    Some(Preview { command, ..preview.clone() })
}

fn reserve(bad: &mut Violations, calls: &dyn Calls, raw: &wire::ReserveRequest) -> Option<Write> {
    let wire::ReserveRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let order = request::order(bad, raw.order.as_ref());
    let redeem = match raw.redeem {
        Some(_) => request::redeem(bad, raw.redeem.as_ref()),
        None => {
            bad.add(&Path::Of("redeem"), "is required: what to hold");
            None
        }
    };
    let ttl_s = match raw.ttl_seconds {
        Some(ttl_s) => request::number(bad, &Path::Of("ttl_seconds"), ttl_s, 1..=TTL_S_MAX).map(Some),
        None => Some(None),
    };
    let quote = request::quote_token(bad, &raw.quote_token);
    let reserve = Reserve { order: order?, redeem: redeem??, ttl_s: ttl_s?, explain: raw.explain, quote: quote? };
    Some(envelope?.write(fingerprints::reserve(raw), Command::Reserve(reserve)))
}

fn commit(bad: &mut Violations, calls: &dyn Calls, raw: &wire::CommitRequest) -> Option<Write> {
    let wire::CommitRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let order_id = raw.order.as_ref().map_or("", |order| &order.order_id);
    let envelope = Envelope::or_guest(bad, calls, program_id, member_id, order_id, request_id, occurred_at.as_ref());
    let order = request::order(bad, raw.order.as_ref());
    let redeem = request::redeem(bad, raw.redeem.as_ref());
    let codes = request::codes(bad, &raw.codes);
    let visitor = request::visitor(bad, &raw.visitor_id);
    let signals = request::signals(bad, raw.signals.as_ref());
    let tenders = request::tenders(bad, &raw.tenders);
    let methods = request::methods(bad, raw.tenders.get(..TENDERS_MAX).unwrap_or(&raw.tenders));
    let quote = request::quote_token(bad, &raw.quote_token);
    let (mut order, methods) = (order?, methods?);
    for method in methods {
        if !order.payment_methods.contains(&method) {
            order.payment_methods.push(method);
        }
    }
    let commit = Commit {
        order,
        redeem: redeem?,
        codes: codes?,
        paid: raw.paid,
        tenders: tenders?,
        explain: raw.explain,
        quote: quote?,
        visitor: visitor?,
        signals: signals?,
    };
    Some(envelope?.write(fingerprints::commit(raw), Command::Commit(commit)))
}

/// Makes a write of a Commit that was accepted while the store was away.
pub(super) fn promised(calls: &dyn Calls, program: &ProgramId, request: &[u8]) -> Option<Write> {
    let raw = wire::CommitRequest::decode(request).ok()?;
    let raw = wire::CommitRequest { program_id: program.as_str().to_owned(), ..raw };
    read(|bad| commit(bad, calls, &raw)).ok()
}

fn release(bad: &mut Violations, calls: &dyn Calls, raw: &wire::ReleaseRequest) -> Option<Write> {
    let wire::ReleaseRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let order_id = bad.take(&Path::Of("order_id"), OrderId::parse(&raw.order_id));
    let release = Release { order_id: order_id? };
    Some(envelope?.write(fingerprints::release(raw), Command::Release(release)))
}

fn quote_return(bad: &mut Violations, calls: &dyn Calls, raw: &wire::QuoteReturnRequest) -> Option<Preview> {
    let program = request::program(bad, calls, &raw.program_id);
    let member = request::member_or_guest(bad, &raw.member_id, &raw.order_id);
    let occurred_at = request::instant(bad, &Path::Of("occurred_at"), raw.occurred_at.as_ref());
    let order_id = bad.take(&Path::Of("order_id"), OrderId::parse(&raw.order_id));
    let what = return_what(bad, raw.what.as_ref(), raw.cause);
    let (what, cause) = what?;
    let back = Return { order_id: order_id?, return_id: ReturnId::preview(), what, cause };
    Some(Preview {
        program: program?,
        member: Some(member?),
        occurred_at: occurred_at?,
        command: Command::Return(back),
    })
}

fn r#return(bad: &mut Violations, calls: &dyn Calls, raw: &wire::ReturnRequest) -> Option<Write> {
    let wire::ReturnRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let envelope =
        Envelope::or_guest(bad, calls, program_id, member_id, &raw.order_id, request_id, occurred_at.as_ref());
    let order_id = bad.take(&Path::Of("order_id"), OrderId::parse(&raw.order_id));
    let return_id = bad.take(&Path::Of("return_id"), ReturnId::parse(&raw.return_id));
    let what = return_what(bad, raw.what.as_ref(), raw.cause);
    let (what, cause) = what?;
    let back = Return { order_id: order_id?, return_id: return_id?, what, cause };
    Some(envelope?.write(fingerprints::r#return(raw), Command::Return(back)))
}

fn amend_order(bad: &mut Violations, calls: &dyn Calls, raw: &wire::AmendOrderRequest) -> Option<Write> {
    let wire::AmendOrderRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let order_id = bad.take(&Path::Of("order_id"), OrderId::parse(&raw.order_id));
    let amendment_id = bad.take(&Path::Of("amendment_id"), ReturnId::parse(&raw.amendment_id));
    let remove = return_lines(bad, &Path::Of("remove"), &raw.remove);
    let add = request::more_lines(bad, &Path::Of("add"), &raw.add);
    if raw.remove.is_empty() && raw.add.is_empty() {
        bad.add(&Path::Of("add"), "must have at least 1 element where `remove` has none");
    }
    let redeem = request::redeem(bad, raw.redeem.as_ref());
    let tenders = request::tenders(bad, &raw.tenders);
    let amend = Amend {
        order_id: order_id?,
        amendment_id: amendment_id?,
        remove: remove?,
        add: add?,
        redeem: redeem?,
        tenders: tenders?,
    };
    Some(envelope?.write(fingerprints::amend_order(raw), Command::Amend(amend)))
}

fn claim_order(bad: &mut Violations, calls: &dyn Calls, raw: &wire::ClaimOrderRequest) -> Option<Write> {
    let wire::ClaimOrderRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let order_id = bad.take(&Path::Of("order_id"), OrderId::parse(&raw.order_id));
    // What stands under the guest, and the instant of a claim without one, is for the service to see.
    let claim = Claim { order_id: order_id?, claimed_at: Instant::MAX, guest: GuestOrder::Absent };
    Some(envelope?.write(fingerprints::claim_order(raw), Command::Claim(claim)))
}

fn record_order_event(bad: &mut Violations, calls: &dyn Calls, raw: &wire::RecordOrderEventRequest) -> Option<Write> {
    let wire::RecordOrderEventRequest { program_id, member_id, request_id, occurred_at, .. } = raw;
    let envelope =
        Envelope::or_guest(bad, calls, program_id, member_id, &raw.order_id, request_id, occurred_at.as_ref());
    let order_id = bad.take(&Path::Of("order_id"), OrderId::parse(&raw.order_id));
    let event_id = bad.take(&Path::Of("event_id"), OrderEventId::parse(&raw.event_id));
    let event = bad.take(&Path::Of("event"), Label::parse(&raw.event));
    let lines = request::each(bad, &Path::Of("line_ids"), &raw.line_ids, Order::LINES_MAX, |bad, at, unique, raw| {
        let is_unique = unique.check(bad, at, raw);
        let line = bad.take(at, LineId::parse(raw));
        is_unique.and(line)
    });
    let event = OrderEvent { order_id: order_id?, event_id: event_id?, event: event?, lines: lines? };
    Some(envelope?.write(fingerprints::record_order_event(raw), Command::OrderEvent(event)))
}

fn get_order(
    bad: &mut Violations,
    calls: &dyn Calls,
    raw: &wire::GetOrderRequest,
) -> Option<(ProgramId, MemberId, OrderId)> {
    let program = request::program(bad, calls, &raw.program_id);
    let member = request::member_or_guest(bad, &raw.member_id, &raw.order_id);
    let order = bad.take(&Path::Of("order_id"), OrderId::parse(&raw.order_id));
    Some((program?, member?, order?))
}

fn get_outcome(
    bad: &mut Violations,
    calls: &dyn Calls,
    raw: &wire::GetOutcomeRequest,
) -> Option<(ProgramId, MemberId, RequestId)> {
    let program = request::program(bad, calls, &raw.program_id);
    let order_at = &Path::Of("guest_order_id");
    let order = request::optional(bad, order_at, &raw.guest_order_id, OrderId::parse);
    let member = match (raw.member_id.is_empty(), &order) {
        (true, Some(Some(order))) => Some(MemberId::guest(order)),
        (true, None) => None,
        (true, Some(None)) | (false, _) => bad.take(&Path::Of("member_id"), MemberId::parse(&raw.member_id)),
    };
    if !raw.member_id.is_empty() && !raw.guest_order_id.is_empty() {
        bad.add(order_at, "must be empty where `member_id` is not");
    }
    let request_id = bad.take(&Path::Of("request_id"), RequestId::parse(&raw.request_id));
    Some((program?, member?, request_id?))
}

/// What comes back and why. Cancelling returns all that is left, so it need not say what.
fn return_what(
    bad: &mut Violations,
    raw: Option<&wire::ReturnWhat>,
    raw_cause: i32,
) -> Option<(ReturnWhat, ReturnCause)> {
    let cause = request::known(bad, &Path::Of("cause"), raw_cause).map(|cause| match cause {
        wire::ReturnCause::Unspecified | wire::ReturnCause::Return => ReturnCause::Return,
        wire::ReturnCause::Cancel => ReturnCause::Cancel,
    });
    let at = &Path::Of("what");
    let lines_at = &at.field("lines");
    let what = match raw {
        None if cause == Some(ReturnCause::Return) => {
            bad.add(at, "is required: `everything` or `lines`");
            None
        }
        None => Some(ReturnWhat::Everything),
        Some(raw) => {
            let lines = return_lines(bad, lines_at, &raw.lines);
            match (raw.everything, raw.lines.is_empty()) {
                (true, true) => Some(ReturnWhat::Everything),
                (true, false) => {
                    bad.add(lines_at, "must be empty where `everything` is set");
                    None
                }
                // Who names lines means some; cancelling takes all.
                (false, false) if cause == Some(ReturnCause::Cancel) => {
                    bad.add(lines_at, "must be empty where the order is cancelled: that returns all that is left");
                    None
                }
                (false, false) => lines.map(ReturnWhat::Lines),
                (false, true) if cause == Some(ReturnCause::Return) => {
                    bad.add(lines_at, "must have at least 1 element where `everything` is not set");
                    None
                }
                (false, true) => Some(ReturnWhat::Everything),
            }
        }
    };
    Some((what?, cause?))
}

fn return_lines(bad: &mut Violations, at: &Path<'_>, raw: &[wire::ReturnLine]) -> Option<Vec<(LineId, Measure)>> {
    use wire::return_line::Measure as Wire;

    request::each(bad, at, raw, Order::LINES_MAX, |bad, at, unique, raw| {
        let line_at = &at.field("line_id");
        let is_unique = unique.check(bad, line_at, &raw.line_id);
        let line_id = bad.take(line_at, LineId::parse(&raw.line_id));
        let quantity = 1..=Order::QUANTITY_MAX;
        let measure = match raw.measure {
            Some(Wire::Quantity(n)) => request::number(bad, &at.field("quantity"), n, quantity).map(Measure::Quantity),
            Some(Wire::AmountMinor(n)) => {
                request::number(bad, &at.field("amount_minor"), n, SOME_AMOUNT).map(Measure::Amount)
            }
            None => {
                bad.add(&at.field("measure"), "is required: `quantity` or `amount_minor`");
                None
            }
        };
        is_unique?;
        Some((line_id?, measure?))
    })
}
