//! A service without port, network or data directory, whose clock is set by hand: what `guerdon test` runs programs on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tonic::Code;
use tonic::service::Routes;

use crate::access::Access;
use crate::clock::Clock;
use crate::domain::answer::Reason;
use crate::domain::program::Program;
use crate::domain::time::Instant;
use crate::service::meter::Meter;
use crate::service::{self, Calls, Service, Source};
use crate::store::Layout;
use crate::{grpc, program};

/// A program that is ready to be rehearsed, any number of times.
#[derive(Clone, Debug)]
pub struct Play {
    source: Source,
}

impl Play {
    /// Compiles the text of a program file.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn of(text: &str) -> Result<Play, program::Faults> {
        Source::compile(text).map(|source| Play { source })
    }

    pub fn program(&self) -> &Program {
        &self.source.program
    }
}

/// What a server would run, in a memory of its own. Nothing happens in it by itself.
pub struct Rehearsal {
    service: Service,
    clock: Clock,
    options: service::Options,
}

/// Accounts of a rehearsal are few: each look through all partitions is short.
const PARTITIONS: u16 = 4;

/// No call of a rehearsal waits for anything.
const DEADLINE: Duration = Duration::from_secs(60);

impl Rehearsal {
    /// With no members yet, at an instant.
    ///
    /// # Errors
    /// In words; a defect of this program.
    pub async fn begin(play: &Play, at: Instant) -> Result<Rehearsal, String> {
        let clock = Clock::manual(at);
        let layout = Layout::new(PARTITIONS).ok_or("the store cannot be laid out")?;
        let store = super::in_memory(&clock);
        let sources = vec![play.source.clone()];
        let options = service::Options::default();
        let service = Service::new(store, layout, clock.clone(), sources, options.clone(), Arc::new(Silent));
        service.publish().await.map_err(|error| error.to_string())?;
        Ok(Rehearsal { service, clock, options })
    }

    /// What time it is from now on.
    pub fn set(&self, now: Instant) {
        self.clock.set(now);
    }

    /// The services of the contract, as a server has them.
    pub fn face(&self) -> Routes {
        let options = grpc::Options {
            deadline_default: DEADLINE,
            observer: Arc::new(Silent),
            access: Arc::new(Access::development()),
            gate: Arc::new(grpc::OpenGate),
            told: super::told(self.options.writes_max, self.options.writes_per_account_max),
        };
        grpc::routes(Arc::new(self.service.clone()), &options)
    }

    /// Does what a server's background jobs would have done by now: delivers what one member's deed has granted to
    /// others, and posts what has fallen due.
    ///
    /// # Errors
    /// In words; a defect of this program.
    pub async fn settle(&self, now: Instant) -> Result<(), String> {
        // What happened at this very instant is delivered too, and what falling due has sent on.
        for through in [now.plus_ms(1); 2] {
            self.service.end_day(through).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// Nobody counts.
struct Silent;

#[async_trait]
impl Meter for Silent {}

impl grpc::Observer for Silent {
    fn call_finished(&self, _: &'static str, _: Code, _: Duration) {}

    fn refused(&self, _: Reason) {}
}
