//! Drives time in replays and tests.

use tonic::{Request, Response};

use super::violations::{Path, Violations, read};
use super::wire::{self, simulation_service_server::SimulationService};
use super::{Face, Reply, request, response, status};
use crate::domain::time::Instant;

pub(super) const METHODS: &[&str] = &["guerdon.v1.SimulationService/EndDay"];

#[tonic::async_trait]
impl SimulationService for Face {
    async fn end_day(&self, raw: Request<wire::EndDayRequest>) -> Reply<wire::EndDayResponse> {
        let through = read(|bad| end_day(bad, raw.get_ref())).map_err(status::of_violations)?;
        let (delivered, swept) = self.calls.end_day(through).await.map_err(|error| status::of(&error))?;
        Ok(Response::new(wire::EndDayResponse {
            effects_delivered: response::count(delivered),
            accounts_swept: response::count(swept),
        }))
    }
}

fn end_day(bad: &mut Violations, raw: &wire::EndDayRequest) -> Option<Instant> {
    let at = &Path::Of("through");
    if raw.through.is_none() {
        bad.add(at, "is required");
    }
    request::instant(bad, at, raw.through.as_ref())?
}
