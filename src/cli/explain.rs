//! `guerdon explain`: why an order earned what it earned, for whoever has a customer on the line.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::client::{CallError, Client, Patience};
use super::demo::tell;
use super::reach::Reach;
use crate::domain::order::Currency;
use crate::domain::time::Instant;
use crate::grpc::wire;
use crate::program::document::money_text;

/// Explain a member's order: what it earned and used, rule by rule, and what became of it since.
///
/// Asks a running server; works for any order that it knows, however old.
#[derive(Clone, Debug, clap::Args)]
pub struct ExplainArgs {
    /// Whose order it is.
    #[arg(long, value_name = "ID")]
    pub member: String,
    /// The order.
    #[arg(long, value_name = "ID")]
    pub order: String,
    /// The program; needed where the server has several.
    #[arg(long, value_name = "ID", default_value = "")]
    pub program: String,
    /// The server, as HOST:PORT.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7060")]
    pub target: String,
    /// By whose clock times are shown, such as Europe/London.
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    pub time_zone: TimeZone,
    /// How long to wait for each answer, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub timeout_ms: u64,
    #[command(flatten)]
    pub reach: Reach,
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| "write an IANA time zone such as Europe/London".to_owned())
}

/// It was explained.
pub const EXIT_FINE: i32 = 0;
/// The server cannot be reached, or knows no such order.
pub const EXIT_FAILED: i32 = 1;
/// It could not be printed (`EX_IOERR`).
pub const EXIT_NO_OUTPUT: i32 = 74;

/// Runs the command and gives its exit code.
pub async fn explain_command(args: &ExplainArgs, out: &mut (dyn Write + Send)) -> i32 {
    let (code, text) = match ask(args).await {
        Ok((order, entries)) => (EXIT_FINE, told(&order, &entries, &args.time_zone)),
        Err(problem) => (EXIT_FAILED, format!("{problem}\n")),
    };
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => code,
        Err(_) => EXIT_NO_OUTPUT,
    }
}

const PAGE: i32 = 500;
/// Half a million entries of one member are read before the end is given up.
const PAGES_MAX: usize = 1_000;

async fn ask(args: &ExplainArgs) -> Result<(wire::GetOrderResponse, Vec<wire::Entry>), String> {
    let deadline = Duration::from_millis(args.timeout_ms);
    let patience = Patience { deadline, retry_for: Duration::ZERO };
    let client = Client::connect_as(&args.target, &args.reach, patience).await.map_err(|error| error.to_string())?;
    let request = wire::GetOrderRequest {
        program_id: args.program.clone(),
        member_id: args.member.clone(),
        order_id: args.order.clone(),
        explain: true,
    };
    let unknown = |error: CallError| match error.reason().as_deref() {
        Some("NOT_FOUND") => format!("{} has no order {} there", args.member, args.order),
        _ => error.to_string(),
    };
    let order = client.get_order(request).await.map_err(unknown)?;
    let mut entries = Vec::new();
    let mut page_token = String::new();
    for _ in 0..PAGES_MAX {
        let request = wire::ListEntriesRequest {
            program_id: args.program.clone(),
            member_id: args.member.clone(),
            page_size: PAGE,
            page_token,
            ..Default::default()
        };
        let page = client.list_entries(request).await.map_err(|error| error.to_string())?;
        entries.extend(page.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok((order, entries))
}

/// What the trace cannot vouch for.
fn reservations(explanation: &wire::OrderExplanation) -> Vec<String> {
    let caveats = explanation.caveats().map(|caveat| match caveat {
        wire::ExplanationCaveat::ProfileChanged => "what is known of the member has changed since, or was erased",
        wire::ExplanationCaveat::OtherVersion => "the version of the program that decided is not at hand",
        wire::ExplanationCaveat::Unspecified => "for a reason that this client does not know",
    });
    let mut lines: Vec<String> = caveats.map(|caveat| format!("  Not for certain: {caveat}.")).collect();
    if !explanation.reproduces {
        lines.push("  By this, it would have earned something else than it did.".to_owned());
    }
    lines
}

/// The whole explanation.
fn told(order: &wire::GetOrderResponse, entries: &[wire::Entry], zone: &TimeZone) -> String {
    let code = &order.currency_code;
    let money = |minor: i64| Currency::parse(code).map_or(format!("{minor} {code}"), |c| money_text(c, minor));
    let decision = order.decision.clone().unwrap_or_default();
    let mut lines = vec![format!(
        "Order {} of {}, committed {}: {}.",
        order.order_id,
        order.member_id,
        when(order.committed_at.as_ref(), zone),
        state(order.state()),
    )];
    lines.push(format!("Decided by version {} of the program.", decision.program_version));
    for line in &order.lines {
        let mut text = format!("  line {}: {} x, {}", line.line_id, line.quantity, money(line.amount_minor));
        if 0 < line.reduced_minor {
            text.push_str(&format!(", of which rewards and units paid {}", money(line.reduced_minor)));
        }
        if 0 < line.returned_quantity || 0 < line.returned_amount_minor {
            let back = money(line.returned_amount_minor);
            text.push_str(&format!("; came back: {} x, {back}", line.returned_quantity));
        }
        lines.push(text);
    }
    section("What it led to", tell::effects(&decision, code, zone), "nothing", &mut lines);
    let refused = tell::refusals(&decision.refusals);
    if !refused.is_empty() {
        section("What was asked for and not given", refused, "", &mut lines);
    }
    match &decision.explain {
        Some(explain) => section("Why, rule by rule", tell::explain(explain), "no rule", &mut lines),
        None => {
            lines.push("\nNobody can tell any more by which rules: the account has become part of another.".to_owned())
        }
    }
    lines.extend(order.explanation.iter().flat_map(reservations));
    let returns = order.returns.iter().map(|back| {
        let refund = back.refund.clone().unwrap_or_default();
        let what = if back.cause() == wire::ReturnCause::Cancel { "cancelled" } else { "returned" };
        let mut text = format!("{}  {what} ({})", when(back.effective_at.as_ref(), zone), back.return_id);
        text.push_str(&format!(", {} refunded", money(refund.money_minor)));
        for units in &refund.units {
            text.push_str(&format!(", {} {} given back", units.amount, units.unit));
        }
        text
    });
    let returns: Vec<String> = returns.collect();
    if !returns.is_empty() {
        section("What came back since", returns, "", &mut lines);
    }
    let names = names_of(&order.order_id, &decision);
    let about = entries.iter().filter(|entry| names_any(entry, &names));
    let about: Vec<String> = about.map(|entry| entry_line(entry, zone)).collect();
    section("In the ledger", about, "no entry names it", &mut lines);
    lines.push(String::new());
    lines.join("\n")
}

fn section(title: &str, body: Vec<String>, empty: &str, lines: &mut Vec<String>) {
    lines.push(format!("\n{title}:"));
    if body.is_empty() {
        lines.push(format!("  {empty}"));
    }
    lines.extend(body.into_iter().map(|line| format!("  {line}")));
}

fn when(at: Option<&prost_types::Timestamp>, zone: &TimeZone) -> String {
    let Some(at) = at else { return "at no known time".to_owned() };
    let at = Instant(at.seconds.saturating_mul(1_000).saturating_add(i64::from(at.nanos) / 1_000_000));
    at.zoned(zone).strftime("%a %-d %b %Y %H:%M").to_string()
}

fn state(state: wire::OrderState) -> &'static str {
    match state {
        wire::OrderState::Unspecified => "in an unknown state",
        wire::OrderState::Committed => "nothing has come back",
        wire::OrderState::PartiallyReturned => "some of it has come back",
        wire::OrderState::Returned => "all of it has come back",
        wire::OrderState::Cancelled => "it was cancelled",
    }
}

/// What entries about the order name: itself, and what it granted.
fn names_of(order: &str, decision: &wire::Decision) -> BTreeSet<String> {
    let mut names = BTreeSet::from([order.to_owned()]);
    for effect in decision.effects.iter().filter_map(|effect| effect.effect.as_ref()) {
        if let wire::effect::Effect::UnitsGranted(granted) = effect {
            names.insert(granted.grant_id.clone());
        }
    }
    names
}

/// How deep the details of entries nest: far less than this.
const DEPTH_MAX: usize = 16;

fn names_any(entry: &wire::Entry, names: &BTreeSet<String>) -> bool {
    let detail: Json = serde_json::from_str(&entry.detail_json).unwrap_or_default();
    holds(&detail, names, 0)
}

fn holds(value: &Json, names: &BTreeSet<String>, depth: usize) -> bool {
    if DEPTH_MAX < depth {
        return false;
    }
    match value {
        Json::String(text) => names.contains(text),
        Json::Array(items) => items.iter().any(|item| holds(item, names, depth + 1)),
        // The id of a request may look like that of an order.
        Json::Object(fields) => {
            fields.iter().filter(|(name, _)| *name != "request_id").any(|(_, value)| holds(value, names, depth + 1))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

fn entry_line(entry: &wire::Entry, zone: &TimeZone) -> String {
    // The member's side of the books; the program's mirrors it.
    const MINE: [&str; 4] = ["available", "pending", "held", "debt"];
    let mine = entry.postings.iter().filter(|posting| MINE.contains(&posting.book.as_str()));
    let mine: Vec<String> =
        mine.map(|posting| format!("{} {:+} {}", posting.book, posting.amount, posting.unit)).collect();
    let at = when(entry.effective_at.as_ref(), zone);
    let moved = if mine.is_empty() { String::new() } else { format!(": {}", mine.join(", ")) };
    format!("{at}  {}{moved}  (entry {})", entry.fact.replace('_', " "), entry.sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_an_order_are_told_from_others() {
        let names = BTreeSet::from(["order-1".to_owned(), "order-1:base".to_owned()]);
        for (detail, expected) in [
            (r#"{"order": "order-1", "digest": "00"}"#, true),
            (r#"{"grant": "order-1:base", "amount": 5}"#, true),
            (r#"{"grant": "order-11:base"}"#, false),
            (r#"{"request_id": "order-1"}"#, false),
            (r#"{"parts": [{"order": "order-1"}]}"#, true),
            ("not JSON", false),
        ] {
            let entry = wire::Entry { detail_json: detail.to_owned(), ..Default::default() };
            assert_eq!(names_any(&entry, &names), expected, "{detail}");
        }
    }
}
