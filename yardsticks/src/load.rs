//! The client: keeps so many calls in flight, and looks at every answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use guerdon_yardsticks::guerdon::checkout_service_client::CheckoutServiceClient;
use guerdon_yardsticks::guerdon::effect::Effect;
use guerdon_yardsticks::guerdon::member_service_client::MemberServiceClient;
use guerdon_yardsticks::guerdon::{CommitRequest, CommitResponse, CommitStatus, EnrollRequest, Line, LineKind, Order};
use guerdon_yardsticks::ratelimit::RateLimitDescriptor;
use guerdon_yardsticks::ratelimit::RateLimitRequest;
use guerdon_yardsticks::ratelimit::rate_limit_descriptor::Entry;
use guerdon_yardsticks::ratelimit::rate_limit_response::Code;
use guerdon_yardsticks::ratelimit::rate_limit_service_client::RateLimitServiceClient;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

const CONNECTIONS: usize = 4;
/// Members are enrolled, so many at a time, before anything is measured.
const ENROL_AT_ONCE: u64 = 64;
const DEADLINE: Duration = Duration::from_secs(10);
/// What the order earns under the rules of the rig, by Guerdon and by Node.
const POINTS: i64 = 31;

/// What a subject is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// An order of ten lines is bought, by somebody who must have been enrolled.
    EnrolledCommit,
    /// The same, by anybody.
    Commit,
    /// limitador counts a hit.
    ShouldRateLimit,
}

/// Calls that were answered as they must be.
pub struct Answered {
    pub took: Duration,
    pub latency_us: Histogram<u64>,
}

/// A client that is ready.
pub struct Load {
    lanes: Vec<Lane>,
    sent: Arc<AtomicU64>,
}

impl Load {
    /// Connects, and enrols whom it has to.
    pub async fn begin(call: Call, address: &str, members: u64) -> Result<Load, String> {
        let mut lanes = Vec::new();
        for _ in 0..CONNECTIONS {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| error.to_string())?;
            let channel = endpoint.timeout(DEADLINE).connect().await.map_err(|error| error.to_string())?;
            lanes.push(Lane { call, channel, members, order: order() });
        }
        if call == Call::EnrolledCommit {
            enrol(&lanes, members).await?;
        }
        Ok(Load { lanes, sent: Arc::default() })
    }

    /// So many calls are always under way; the first answer that is not what it must be ends it.
    pub async fn put(&self, in_flight: usize, duration: Duration) -> Result<Answered, String> {
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for lane in self.lanes.iter().cycle().take(in_flight) {
            let (lane, sent) = (lane.clone(), Arc::clone(&self.sent));
            tasks.spawn(async move {
                let mut latency_us = histogram();
                while began.elapsed() < duration {
                    let due = Instant::now();
                    lane.ask(sent.fetch_add(1, Ordering::Relaxed)).await?;
                    latency_us.saturating_record(u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX));
                }
                Ok::<_, String>(latency_us)
            });
        }
        let mut latency_us = histogram();
        while let Some(ended) = tasks.join_next().await {
            latency_us.add(ended.map_err(|panic| panic.to_string())??).expect("all have the same bounds");
        }
        Ok(Answered { took: began.elapsed(), latency_us })
    }
}

/// One microsecond to one minute; three digits are exact.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("these bounds are fine")
}

#[derive(Clone)]
struct Lane {
    call: Call,
    channel: Channel,
    members: u64,
    order: Order,
}

impl Lane {
    async fn ask(&self, nth: u64) -> Result<(), String> {
        // Members in an order that looks like none, each as often as any other.
        let member_id = member((nth.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % self.members);
        match self.call {
            Call::EnrolledCommit | Call::Commit => {
                let order = Order { order_id: format!("order-{nth}"), ..self.order.clone() };
                let request = CommitRequest {
                    member_id,
                    request_id: format!("commit-{nth}"),
                    order: Some(order),
                    ..CommitRequest::default()
                };
                let answer = CheckoutServiceClient::new(self.channel.clone()).commit(request).await;
                let answer = answer.map_err(|status| status.to_string())?.into_inner();
                let fine = answer.status() == CommitStatus::Committed && !answer.replayed && granted(&answer) == POINTS;
                if fine { Ok(()) } else { Err(format!("wrong answer: {answer:?}")) }
            }
            Call::ShouldRateLimit => {
                let entries = vec![Entry { key: "member".to_owned(), value: member_id }];
                let request = RateLimitRequest {
                    domain: "loyalty".to_owned(),
                    descriptors: vec![RateLimitDescriptor { entries }],
                    hits_addend: 1,
                };
                let answer = RateLimitServiceClient::new(self.channel.clone()).should_rate_limit(request).await;
                let answer = answer.map_err(|status| status.to_string())?.into_inner();
                if answer.overall_code() == Code::Ok { Ok(()) } else { Err(format!("wrong answer: {answer:?}")) }
            }
        }
    }
}

fn granted(answer: &CommitResponse) -> i64 {
    let effects = answer.decision.iter().flat_map(|decision| &decision.effects);
    let units = effects.map(|effect| match &effect.effect {
        Some(Effect::UnitsGranted(units)) => units.granted,
        _ => 0,
    });
    units.sum()
}

fn member(nth: u64) -> String {
    format!("load-member-{nth}")
}

/// As the rig's load sends it.
fn order() -> Order {
    let line = |at: i64| Line {
        line_id: at.to_string(),
        sku: format!("SKU-{at}"),
        categories: vec![format!("category-{at}")],
        quantity: 1 + at % 5,
        amount_minor: 250 + 10 * at,
        kind: LineKind::Goods.into(),
        ..Line::default()
    };
    Order {
        currency_code: "GBP".to_owned(),
        channel: "web".to_owned(),
        prices_include_tax: true,
        lines: (0..10).map(line).collect(),
        ..Order::default()
    }
}

async fn enrol(lanes: &[Lane], members: u64) -> Result<(), String> {
    let mut tasks = JoinSet::new();
    for (first, lane) in (0..ENROL_AT_ONCE).zip(lanes.iter().cycle()) {
        let mut client = MemberServiceClient::new(lane.channel.clone());
        tasks.spawn(async move {
            for nth in (first..members).step_by(ENROL_AT_ONCE as usize) {
                let request = EnrollRequest {
                    member_id: member(nth),
                    request_id: "load-enroll".to_owned(),
                    ..EnrollRequest::default()
                };
                client.enroll(request).await.map_err(|status| status.to_string())?;
            }
            Ok::<_, String>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|panic| panic.to_string())??;
    }
    Ok(())
}
