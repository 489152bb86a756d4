//! `guerdon demo`: two months of a fictional bakery, in a few seconds, on a real server.

pub mod goods;
pub mod story;
pub mod tell;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::time::Instant as Stopwatch;

use super::client::{Client, Patience};
use super::local::{Local, LocalStore};
use super::replay::pool::each;
use super::replay::summary::{Totals, Verification, grouped};
use crate::domain::time::{DAY_MS, HOUR_MS, Instant};
use crate::grpc::wire;
use goods::{Dice, Purchase};
use story::{DemoError, PEOPLE, Sent, Story, buy, enroll};

const PROGRAM: &str = include_str!("../../examples/programs/marlow-bakery.yaml");

/// Monday, 2 November 2026: the bonus of the program for December falls into the second month.
const BEGINS: Instant = Instant(1_793_577_600_000);
const DAYS: i64 = 60;
/// Members besides the people of the story.
const CROWD: u64 = 35;
const CROWD_ORDERS_PER_DAY: u64 = 10;
/// Regulars served at a time.
const AT_ONCE: usize = 16;
/// The day after Olga's return.
const CLAWED_BACK_DAY: i64 = 10;

const PATIENCE: Patience = Patience { deadline: Duration::from_secs(10), retry_for: Duration::from_secs(20) };

/// Shows the service at work: two months of a fictional bakery, on a real server inside this process.
///
/// The server keeps its data in the embedded store, in a temporary directory, and is driven over gRPC as a checkout
/// would drive it. Ends with 0 when everything happened as it should and every ledger verifies.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// What the crowd buys: the same for the same number.
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub seed: u64,
}

/// Runs the command and gives its exit code: 0, or 1 when something went otherwise than the story says.
pub async fn run(args: DemoArgs) -> i32 {
    let mut out = std::io::stdout();
    match demo(&args, &mut out).await {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}"); // the exit code tells as well
            1
        }
    }
}

/// Tells the story to `out`; whether every ledger verifies.
///
/// # Errors
/// The server could not be used, or did something else than the story says.
pub async fn demo(args: &DemoArgs, out: &mut (impl Write + Send)) -> Result<bool, DemoError> {
    let local = Local::start(PROGRAM, LocalStore::Embedded, None, None).await.map_err(DemoError::Server)?;
    let told = tell(args, &local.target(), out).await;
    local.stop().await;
    told
}

async fn tell(args: &DemoArgs, target: &str, out: &mut (impl Write + Send)) -> Result<bool, DemoError> {
    let began = Stopwatch::now();
    let client = Client::connect(target, PATIENCE).await.map_err(|error| DemoError::Server(error.to_string()))?;
    let zone = TimeZone::get("Europe/London").map_err(|error| DemoError::Server(error.to_string()))?;
    writeln!(
        out,
        "Marlow's Bakery Club, a fictional shop: {DAYS} days, {CROWD} regulars, and five members to follow."
    )?;
    writeln!(out, "The server listens on {target}, keeps a SQLite file, and its clock follows the requests.\n")?;

    let mut dice = Dice::new(args.seed);
    let mut story = Story::new(client.clone(), zone, out);
    let mut regulars = BTreeMap::new();
    let mut sent = Sent::default();
    for day in 0..DAYS {
        let begins = BEGINS.plus_ms(day * DAY_MS);
        if day == CLAWED_BACK_DAY {
            story.clawed_back(begins.plus_ms(7 * HOUR_MS)).await?;
        }
        story.day(day, begins).await?;
        for purchase in goods::day(&mut dice, day, begins, CROWD, CROWD_ORDERS_PER_DAY) {
            sent.count(&purchase.order);
            let regular: &mut Regular = regulars.entry(purchase.member_id.clone()).or_default();
            regular.today.push(purchase);
        }
        serve(&client, &mut regulars).await?;
        client.end_day(begins.plus_ms(DAY_MS)).await?;
    }
    let sent = sent + story.sent();
    let members: Vec<String> = regulars.into_keys().chain(PEOPLE.map(str::to_owned)).collect();
    let explained = story.into_explained();

    writeln!(out, "\nWhy? Three of these decisions, rule by rule:")?;
    for one in explained {
        writeln!(out, "\n  {}", one.title)?;
        for line in one.lines {
            writeln!(out, "    {line}")?;
        }
    }
    let (totals, verification) = settle(&client, &members, sent).await?;
    let count = |n: u64| grouped(n.into());
    writeln!(out, "\nAfter {DAYS} days: {} orders of {} members", count(sent.orders), count(totals.members))?;
    let mut table = String::new();
    if totals.write_units(&mut table).is_ok() {
        out.write_all(table.as_bytes())?;
    }
    if verification.all() {
        let entries = grouped(verification.entries.into());
        writeln!(out, "\nEvery ledger verified: {} members, {entries} entries.", count(verification.members))?;
    } else {
        for (member, fault) in &verification.failed {
            writeln!(out, "\nThe ledger of {member} does not verify: {fault}")?;
        }
    }
    let ms = began.elapsed().as_millis();
    writeln!(out, "Done in {}.{} s.", ms / 1_000, ms % 1_000 / 100)?;
    Ok(verification.all())
}

/// One of the crowd.
#[derive(Clone, Debug, Default)]
struct Regular {
    is_member: bool,
    today: Vec<Purchase>,
}

/// Sends what the regulars buy on one day: all of them side by side, each one's purchases one after another.
async fn serve(client: &Client, regulars: &mut BTreeMap<String, Regular>) -> Result<(), DemoError> {
    let mut jobs = Vec::new();
    for regular in regulars.values_mut().filter(|regular| !regular.today.is_empty()) {
        jobs.push(Regular { is_member: regular.is_member, today: std::mem::take(&mut regular.today) });
        regular.is_member = true;
    }
    let client = client.clone();
    let work = move |jobs: Arc<Vec<Regular>>, at: usize| {
        let client = client.clone();
        async move {
            let Some(job) = jobs.get(at) else { return Ok(()) };
            for (nth, purchase) in job.today.iter().enumerate() {
                if nth == 0 && !job.is_member {
                    enroll(&client, &purchase.member_id, purchase.at, &[]).await?;
                }
                buy(&client, &purchase.member_id, purchase.at, purchase.order.clone()).await?;
            }
            Ok::<(), DemoError>(())
        }
    };
    each(Arc::new(jobs), AT_ONCE, work).await
}

/// Balances of all members together, and the proof of each ledger.
async fn settle(client: &Client, members: &[String], sent: Sent) -> Result<(Totals, Verification), DemoError> {
    let as_of = BEGINS.plus_ms(DAYS * DAY_MS);
    let mut totals = Totals::new(as_of, sent.orders, sent.lines, members.len() as u64);
    let mut verification = Verification::default();
    for member_id in members {
        let (program_id, of) = (String::new(), member_id.clone());
        let answer = client.get_member(wire::GetMemberRequest { program_id, member_id: of }).await?;
        let (program_id, of) = (String::new(), member_id.clone());
        let proof = client.verify_member(wire::VerifyMemberRequest { program_id, member_id: of }).await?;
        totals.add(&answer.member.unwrap_or_default());
        verification.add(member_id, &proof);
    }
    Ok((totals, verification))
}
