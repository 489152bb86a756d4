//! `guerdon health`: asks a server whether it serves, for probes of containers.

use std::io::Write;
use std::time::Duration;

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::reach::Reach;

/// Asks a server whether it serves: exit code 0 when it does, else 1.
#[derive(Clone, Debug, clap::Args)]
pub struct HealthArgs {
    /// The server, as HOST:PORT.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7060")]
    pub target: String,
    /// Full name of one service, such as `guerdon.v1.CheckoutService`; empty: the server as a whole.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub service: String,
    /// How long to wait for the answer, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub timeout_ms: u64,
    #[command(flatten)]
    pub reach: Reach,
}

/// It serves.
pub const EXIT_SERVING: u8 = 0;
/// It does not serve, or cannot be reached.
pub const EXIT_NOT_SERVING: u8 = 1;

/// Asks, prints the answer in a word, and gives the exit code.
pub async fn health_command(args: &HealthArgs, out: &mut (dyn Write + Send)) -> u8 {
    let limit = Duration::from_millis(args.timeout_ms);
    let asked = tokio::time::timeout(limit, ask(args));
    let (code, text) = match asked.await {
        Ok(Ok(ServingStatus::Serving)) => (EXIT_SERVING, "SERVING".to_owned()),
        Ok(Ok(status)) => (EXIT_NOT_SERVING, status.as_str_name().to_owned()),
        Ok(Err(problem)) => (EXIT_NOT_SERVING, problem),
        Err(_elapsed) => (EXIT_NOT_SERVING, format!("no answer within {} ms", args.timeout_ms)),
    };
    // The exit code says it all; a closed pipe changes nothing.
    let _ = writeln!(out, "{text}");
    code
}

async fn ask(args: &HealthArgs) -> Result<ServingStatus, String> {
    let endpoint = args.reach.endpoint(&args.target).map_err(|error| error.to_string())?;
    let channel = endpoint.connect().await.map_err(|_| format!("{} cannot be reached", args.target))?;
    let request = HealthCheckRequest { service: args.service.clone() };
    let answer = HealthClient::new(channel).check(request).await.map_err(|status| status.message().to_owned())?;
    Ok(answer.into_inner().status())
}
