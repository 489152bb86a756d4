//! `guerdon load`: puts a stated load on a running server and says how long its answers took.
//!
//! With a rate the load is open: calls are sent when the clock says so, whether or not earlier ones were answered, and
//! a call's latency counts from when it was *due*. A server that stalls is charged for all that waited. Without a rate so many
//! calls are kept in flight, which shows how much the server can do.

pub mod caller;
pub mod measured;
pub mod pace;
pub mod shape;

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::client::{CallError, Client, Patience};
use super::reach::Reach;
use crate::clock::Clock;
use crate::grpc::wire;
use caller::Caller;
use measured::Measured;
use pace::{Pace, drive};
use shape::{Codes, Shape, Workload};

/// All answers were what they must be.
pub const EXIT_FINE: i32 = 0;
/// A call failed, or an answer was not what it must be.
pub const EXIT_FAILED: i32 = 1;
/// The server cannot be used.
pub const EXIT_NO_SERVER: i32 = 69;

/// Members are enrolled, so many at a time, before the load begins.
const ENROL_AT_ONCE: u64 = 64;
/// How often the workloads hot-code and hot-link change from many codes to one and back.
const TURNS: u32 = 4;
/// Advocates whose codes a hot one is compared with.
const ADVOCATES_MAX: u64 = 1_000;
/// After each turn the rewards of advocates arrive; for so long nobody waits.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);
const LOOKS_EVERY: Duration = Duration::from_millis(500);

/// Puts a load on a running server and shows latencies, from when each call was due to its answer.
#[derive(Clone, Debug, clap::Args)]
pub struct LoadArgs {
    /// The server (host:port).
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7060")]
    pub target: String,
    /// The program, when the server has several.
    #[arg(long, value_name = "ID", default_value = "")]
    pub program_id: String,
    /// What is sent, and for whom.
    #[arg(long, value_name = "KIND", default_value = "uniform")]
    pub workload: Workload,
    /// Calls a second, sent whether or not earlier ones were answered. They are due at even distances; those due within 250
    /// microseconds go together when the last of them is due, and the others' wait counts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000), conflicts_with = "in_flight")]
    pub rate: Option<u64>,
    /// Instead of a rate: so many calls are always under way.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=4_096))]
    pub in_flight: u64,
    /// For how long, after warming up.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = super::replay::duration)]
    pub duration: Duration,
    /// Load that comes first and is not measured.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = super::replay::duration)]
    pub warm_up: Duration,
    /// Members the load is spread over; they are enrolled first.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub members: u64,
    /// Connections to the server.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub connections: u8,
    /// Threads that send; one for each core but one if left out, and one at the least.
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    #[command(flatten)]
    pub reach: Reach,
    /// Lines of each order.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub lines: u16,
    /// Categories that the lines carry in turn.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "bread,pastry")]
    pub categories: Vec<String>,
    /// Currency of the orders.
    #[arg(long, value_name = "CODE", default_value = "GBP")]
    pub currency: String,
    /// For the workloads hot-code and hot-link: the code that all name; without it, one of a member that is made for it.
    #[arg(long, value_name = "CODE", default_value = "")]
    pub code: String,
    /// For the workloads hot-code and hot-link: whose codes are named, when the program has several campaigns.
    #[arg(long, value_name = "ID", default_value = "")]
    pub campaign: String,
    /// How long a call may take before it counts as failed.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = super::replay::duration)]
    pub deadline: Duration,
    /// Chooses who buys what; the same seed, the same load.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Print the figures as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command and gives its exit code: 0 fine, 1 a call failed or answered wrongly, 69 no server.
pub async fn load_command(args: &LoadArgs, out: &mut (dyn Write + Send)) -> i32 {
    match load(args).await {
        Ok(measured) => {
            let text = if args.json { measured.json() } else { measured.table() };
            // Where nobody reads the figures, the exit code still tells.
            let _ = writeln!(out, "{text}");
            if measured.is_empty() {
                let _ = writeln!(
                    std::io::stderr(),
                    "guerdon load: no call was due in that time: ask for a higher --rate or a longer --duration"
                );
            }
            if measured.is_fine() { EXIT_FINE } else { EXIT_FAILED }
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "guerdon load: {error}");
            EXIT_NO_SERVER
        }
    }
}

/// Enrols the members, warms up, and measures.
async fn load(args: &LoadArgs) -> Result<Measured, String> {
    let load = Load::begin(args).await?;
    let pace = args.rate.map_or(Pace::InFlight(args.in_flight), Pace::PerSecond);
    load.put(pace, args.warm_up).await;
    match args.workload {
        Workload::HotCode | Workload::HotLink => {
            load.put_by_turns(pace, args.duration).await.map_err(|error| error.to_string())
        }
        _ => Ok(load.put(pace, args.duration).await),
    }
}

/// A load that is ready to be put on a server.
pub struct Load {
    /// For the workloads that look at a member between turns.
    looks: Option<Client>,
    callers: Vec<Caller>,
    shape: Arc<Shape>,
}

impl Load {
    /// Connects, and enrols the members.
    ///
    /// # Errors
    /// In words: nothing answers, or the members cannot be enrolled.
    pub async fn begin(args: &LoadArgs) -> Result<Load, String> {
        let patience = Patience { deadline: args.deadline, retry_for: Duration::ZERO };
        let mut clients = Vec::new();
        for _ in 0..args.connections {
            clients.push(
                Client::connect_as(&args.target, &args.reach, patience).await.map_err(|error| error.to_string())?,
            );
        }
        let began_ms = Clock::system().now(None).0;
        let shape = Arc::new(Shape::new(args, began_ms));
        // The server may still be busy with a load before this one.
        let patient: Vec<Client> = clients.iter().map(|client| client.patient(args.deadline)).collect();
        prepare(&patient, &shape, args).await.map_err(|error| error.to_string())?;
        if let (Workload::HotCode | Workload::HotLink, Some(client)) = (args.workload, clients.first()) {
            shape.with_codes(codes(client, args, began_ms).await?);
        }
        // The calls have connections of their own; those that enrolled are closed.
        let looks = shape.codes().and_then(|_| clients.into_iter().next());
        let callers = (0..args.connections).map(|_| {
            let target = args.reach.line(&args.target).map_err(|error| error.to_string())?;
            Ok(Caller::new(target, args.deadline))
        });
        let callers = callers.collect::<Result<_, String>>()?;
        Ok(Load { looks, callers, shape })
    }

    /// Puts it on the server by turns, with many codes and with one, for so long in all.
    async fn put_by_turns(&self, pace: Pace, duration: Duration) -> Result<Measured, CallError> {
        let mut all: Option<Measured> = None;
        for turn in 0..2 * TURNS {
            self.shape.heat(turn % 2 == 1);
            let measured = self.put(pace, duration / (2 * TURNS)).await;
            self.rest().await?;
            all = Some(match all {
                Some(before) => before.and(measured),
                None => measured,
            });
        }
        Ok(all.unwrap_or_else(|| Measured::of(std::iter::empty(), pace, Duration::ZERO, 0)))
    }

    /// Until no more rewards arrive with whoever has the hot code: what a turn leaves behind is not measured with the next.
    async fn rest(&self) -> Result<(), CallError> {
        let (Some(owner), Some(client)) = (self.shape.codes().and_then(|codes| codes.owner.clone()), &self.looks)
        else {
            return Ok(());
        };
        let began = std::time::Instant::now();
        let mut before = None;
        while began.elapsed() < ARRIVES_WITHIN {
            let brought =
                client.get_member(self.shape.asked(&owner)).await?.member.map(|member| member.friends_qualified);
            if before == Some(brought) {
                break;
            }
            before = Some(brought);
            tokio::time::sleep(LOOKS_EVERY).await;
        }
        Ok(())
    }

    /// Puts it on the server for so long.
    pub async fn put(&self, pace: Pace, duration: Duration) -> Measured {
        drive(&self.callers, &self.shape, pace, duration).await
    }
}

/// Enrols the members that the load needs; who was enrolled by an earlier run is left as they are.
async fn prepare(clients: &[Client], shape: &Arc<Shape>, args: &LoadArgs) -> Result<(), CallError> {
    let mut tasks = JoinSet::new();
    let members = args.members;
    for (lane, client) in (0..ENROL_AT_ONCE.min(members)).zip(clients.iter().cycle()) {
        let (client, shape) = (client.clone(), Arc::clone(shape));
        tasks.spawn(async move {
            for member in (lane..members).step_by(ENROL_AT_ONCE as usize) {
                client.enroll(shape.enrolment(member)).await?;
                if let Some(credit) = shape.opening(member) {
                    client.adjust(credit).await?;
                }
            }
            Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        // A panic is a defect of this command; the calls after it would only hide it.
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    }
    Ok(())
}

/// The hot code, and those of members to compare it with.
async fn codes(client: &Client, args: &LoadArgs, began_ms: i64) -> Result<Codes, String> {
    let told = |error: CallError| error.to_string();
    let of = async |member_id: String| {
        let request = wire::CreateCodeRequest {
            program_id: args.program_id.clone(),
            member_id: member_id.clone(),
            request_id: "load-code".to_owned(),
            campaign_id: args.campaign.clone(),
            ..wire::CreateCodeRequest::default()
        };
        let answer = client.create_code(request).await.map_err(told)?;
        let reasons: Vec<&str> = answer.refusals.iter().map(|refusal| refusal.reason().as_str_name()).collect();
        if answer.code.is_empty() {
            Err(format!("no code for {member_id}: {}", reasons.join(", ")))
        } else {
            Ok(answer.code)
        }
    };
    let mut many = Vec::new();
    for member in 0..args.members.min(ADVOCATES_MAX) {
        many.push(of(shape::name(member)).await?);
    }
    if !args.code.is_empty() {
        return Ok(Codes { owner: None, hot: args.code.clone(), many });
    }
    let owner = format!("load-influencer-{began_ms:x}");
    let request = wire::EnrollRequest {
        program_id: args.program_id.clone(),
        member_id: owner.clone(),
        request_id: "load-enroll".to_owned(),
        ..wire::EnrollRequest::default()
    };
    client.enroll(request).await.map_err(told)?;
    let hot = of(owner.clone()).await?;
    Ok(Codes { owner: Some(owner), hot, many })
}
