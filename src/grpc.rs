//! The gRPC face: wire to domain and back, statuses, limits. Generated types stop here.

mod account;
mod checkout;
pub mod codec;
mod events;
mod fingerprints;
mod guard;
mod ledger;
mod limit;
mod member;
mod payout;
mod profile;
mod referral;
mod request;
mod response;
mod reward;
mod shortcut;
mod simulation;
mod standing;
mod status;
mod tenants;
mod violations;
pub mod wire;

use std::sync::Arc;
use std::time::Duration;

use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::{Code, Response, Status};

pub use limit::{ProgramFile, Told};
pub use shortcut::{Forked, Shortcut};
pub use status::ERROR_DOMAIN;

use crate::access::Access;
use crate::domain::answer::{Answer, Reason};
use crate::domain::id::{ProgramId, RequestId};
use crate::service::{Answered, Calls, Error, Preview, Write};
use guard::Guarded;
use tenants::Tenants;
use violations::Violations;
use wire::checkout_service_server::CheckoutServiceServer;

/// Largest request in bytes, also after decompression.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;

/// How calls are served.
#[derive(Clone)]
pub struct Options {
    /// For callers that state no deadline of their own (`grpc-timeout`).
    pub deadline_default: Duration,
    pub observer: Arc<dyn Observer>,
    /// Who may call what.
    pub access: Arc<Access>,
    /// Where calls come in once they may.
    pub gate: Arc<dyn Gate>,
    /// What is enforced elsewhere, for callers to know.
    pub told: Told,
}

/// Lets calls in before they are read, or refuses them. Must be quick.
pub trait Gate: Send + Sync {
    /// A place for a call.
    ///
    /// # Errors
    /// There is none, and why: what callers are told.
    fn enter(&self) -> Result<Place, Error>;
}

/// Held by a call until it is answered, or its caller has left; given back when it is dropped.
pub type Place = Box<dyn TakenPlace>;

/// See [`Place`].
pub trait TakenPlace: Send {
    /// The call has been at the end of the runtime's queue, and a worker begins with it.
    fn begin(&mut self) {}
}

impl TakenPlace for () {}

/// Lets everybody in.
#[derive(Clone, Copy, Debug)]
pub struct OpenGate;

impl Gate for OpenGate {
    fn enter(&self) -> Result<Place, Error> {
        Ok(Box::new(()))
    }
}

/// Watches the calls: metrics and traces hook in here. Must be quick and must not panic.
pub trait Observer: Send + Sync {
    /// A call has come in; `span` is its own, so that a trace context in the headers can become its parent.
    fn call_began(&self, span: &tracing::Span, method: &'static str, headers: &http::HeaderMap) {
        let _ = (span, method, headers);
    }

    /// A call was answered. `method` is one of the contract (`guerdon.v1.CheckoutService/Commit`), or `unknown`.
    fn call_finished(&self, method: &'static str, code: Code, took: Duration);

    /// An answer given for the first time, or a preview, holds a refusal.
    fn refused(&self, reason: Reason);
}

/// The services of the contract, ready for a server; health and reflection are added by the caller. The service
/// that drives time is among them only where requests do so already.
///
/// Deadlines are kept here: do not set `Server::timeout`, whose answer is another status than the contract's.
pub fn routes(calls: Arc<dyn Calls>, options: &Options) -> Routes {
    let face = Face::of(calls, options);
    let deadline = Some(options.deadline_default);
    let follows_requests = face.calls.follows_requests();
    macro_rules! guarded {
        ($server:expr, $methods:expr, $deadline:expr) => {
            Guarded::new(
                $server.max_decoding_message_size(REQUEST_BYTES_MAX).accept_compressed(CompressionEncoding::Gzip),
                $methods,
                $deadline,
                options,
            )
        };
    }
    use wire::account_service_server::AccountServiceServer;
    use wire::ledger_service_server::LedgerServiceServer;
    use wire::limit_service_server::LimitServiceServer;
    use wire::member_service_server::MemberServiceServer;
    use wire::payout_service_server::PayoutServiceServer;
    use wire::referral_service_server::ReferralServiceServer;
    use wire::reward_service_server::RewardServiceServer;
    use wire::simulation_service_server::SimulationServiceServer;

    let routes = Routes::new(checkout(face.clone(), options))
        .add_service(guarded!(MemberServiceServer::new(face.clone()), member::METHODS, deadline))
        .add_service(guarded!(AccountServiceServer::new(face.clone()), account::METHODS, deadline))
        .add_service(guarded!(ReferralServiceServer::new(face.clone()), referral::METHODS, deadline))
        .add_service(guarded!(RewardServiceServer::new(face.clone()), reward::METHODS, deadline))
        .add_service(guarded!(PayoutServiceServer::new(face.clone()), payout::METHODS, deadline))
        .add_service(guarded!(LedgerServiceServer::new(face.clone()), ledger::METHODS, deadline))
        .add_service(guarded!(LimitServiceServer::new(face.clone()), limit::METHODS, deadline));
    if !follows_requests {
        return routes;
    }
    // The end of a day of a long history takes its time, and no shopper waits for it: no deadline by default.
    routes.add_service(guarded!(SimulationServiceServer::new(face), simulation::METHODS, None))
}

/// A layer in front of [`routes`]: the same calls get the same answers, those of checkouts sooner.
pub fn shortcut(calls: Arc<dyn Calls>, options: &Options) -> Shortcut {
    Shortcut(checkout(Face::of(calls, options), options))
}

fn checkout(face: Face, options: &Options) -> Guarded<CheckoutServiceServer<Face>> {
    let server = CheckoutServiceServer::new(face).max_decoding_message_size(REQUEST_BYTES_MAX);
    let server = server.accept_compressed(CompressionEncoding::Gzip);
    Guarded::new(server, checkout::METHODS, Some(options.deadline_default), options)
}

/// The full names of the services that [`routes`] gives for `calls`, as health reports them.
pub fn service_names(calls: &dyn Calls) -> Vec<&'static str> {
    let mut names = vec![
        wire::checkout_service_server::SERVICE_NAME,
        wire::member_service_server::SERVICE_NAME,
        wire::account_service_server::SERVICE_NAME,
        wire::referral_service_server::SERVICE_NAME,
        wire::reward_service_server::SERVICE_NAME,
        wire::payout_service_server::SERVICE_NAME,
        wire::ledger_service_server::SERVICE_NAME,
        wire::limit_service_server::SERVICE_NAME,
    ];
    if calls.follows_requests() {
        names.push(wire::simulation_service_server::SERVICE_NAME);
    }
    names
}

/// What answers every service of the contract.
#[derive(Clone)]
struct Face {
    calls: Arc<dyn Calls>,
    observer: Arc<dyn Observer>,
    deadline_default: Duration,
    told: Told,
}

/// What a method answers.
type Reply<T> = Result<Response<T>, Status>;

impl Face {
    fn of(calls: Arc<dyn Calls>, options: &Options) -> Face {
        Face {
            calls: Arc::new(Tenants::new(calls)),
            observer: Arc::clone(&options.observer),
            deadline_default: options.deadline_default,
            told: options.told,
        }
    }

    /// Sends a write on, and makes its answer a response with `convert`, which knows the one kind that fits.
    async fn write<T>(
        &self,
        write: Result<Write, Violations>,
        convert: impl FnOnce(Answer, bool) -> Option<T>,
    ) -> Reply<T> {
        let write = Box::new(write.map_err(status::of_violations)?);
        self.write_or(write, convert).await.map(Response::new).map_err(|error| status::of(&error))
    }

    /// The same, for whom the reason matters why there is no answer.
    async fn write_or<T>(
        &self,
        write: Box<Write>,
        convert: impl FnOnce(Answer, bool) -> Option<T>,
    ) -> Result<T, Error> {
        trace(&write.program, Some(&write.request_id));
        let Answered { answer, replayed } = self.calls.write(write).await?;
        if !replayed {
            self.count_refusals(&answer);
        }
        converted(answer, |answer| convert(answer, replayed))
    }

    async fn preview<T>(
        &self,
        preview: Result<Preview, Violations>,
        convert: impl FnOnce(Answer) -> Option<T>,
    ) -> Reply<T> {
        let preview = preview.map_err(status::of_violations)?;
        trace(&preview.program, None);
        let answer = self.calls.preview(preview).await.map_err(|error| status::of(&error))?;
        self.count_refusals(&answer);
        respond(answer, convert)
    }

    async fn quote(&self, preview: Result<Preview, Violations>) -> Reply<wire::QuoteResponse> {
        let preview = preview.map_err(status::of_violations)?;
        trace(&preview.program, None);
        let (answer, sealed) = self.calls.quote(preview).await.map_err(|error| status::of(&error))?;
        self.count_refusals(&answer);
        respond(answer, |answer| match answer {
            Answer::Commit(answer) => Some(response::quote(answer, sealed)),
            _ => None,
        })
    }

    fn count_refusals(&self, answer: &Answer) {
        for refusal in answer.refusals() {
            self.observer.refused(refusal.reason);
        }
    }
}

fn respond<T>(answer: Answer, convert: impl FnOnce(Answer) -> Option<T>) -> Reply<T> {
    converted(answer, convert).map(Response::new).map_err(|error| status::of(&error))
}

fn converted<T>(answer: Answer, convert: impl FnOnce(Answer) -> Option<T>) -> Result<T, Error> {
    if answer == Answer::Fenced {
        return Err(Error::RequestFenced);
    }
    convert(answer).ok_or_else(|| Error::Internal("an answer of another kind than asked".into()))
}

/// Makes a write of a Commit that was accepted while the store was away; `None`: it is none that this version knows.
pub fn promised(calls: &dyn Calls, program: &ProgramId, request: &[u8]) -> Option<Write> {
    checkout::promised(calls, program, request)
}

/// Names the call in its span. Members are left out: traces hold no personal data.
fn trace(program: &ProgramId, request_id: Option<&RequestId>) {
    let span = tracing::Span::current();
    span.record("program.id", program.as_str());
    if let Some(request_id) = request_id {
        span.record("request.id", request_id.as_str());
    }
}
