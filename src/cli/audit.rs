//! `guerdon audit`: administrative writes as CSV, for whoever looks into who did what.

use std::io::{self, Write};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::client::{CallError, Client, ServerArgs, stamp};
use crate::domain::time::Instant;
use crate::grpc::wire;

/// All of it was written.
pub const EXIT_FINE: i32 = 0;
/// The server does not answer what was asked, or the lines could not be written.
pub const EXIT_FAILED: i32 = 1;
/// The server cannot be used.
pub const EXIT_NO_SERVER: i32 = 69;

/// Entries asked for at a time.
const PAGE: i32 = 500;

/// Writes the administrative writes of a program as CSV, those refused too: position, recorded_at, decided_at, principal,
/// agent_id, method, member_id, account_id, request_id, reason, refused_for, note. For admins.
#[derive(Clone, Debug, clap::Args)]
pub struct AuditArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// Only what was recorded then or later: `2026-05-01`, in UTC, or `2026-05-01T09:30:00Z`.
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    pub from: Option<Instant>,
    /// Only what was recorded before.
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    pub until: Option<Instant>,
    /// Only entries after this position: those that were not seen the last time.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    pub after: i64,
    /// Only calls with this credential.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub principal: String,
    /// Only what this agent has done.
    #[arg(long, value_name = "ID", default_value = "")]
    pub agent: String,
    /// Only calls of this method, such as `Adjust`.
    #[arg(long, value_name = "METHOD", default_value = "")]
    pub method: String,
    /// Only what was asked for this member.
    #[arg(long, value_name = "ID", default_value = "")]
    pub member: String,
    /// The latest first.
    #[arg(long)]
    pub newest_first: bool,
    /// At most so many lines.
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    pub limit: usize,
    /// How long a call may take.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = super::replay::duration)]
    pub deadline: Duration,
}

/// An instant as RFC 3339 has it, or the beginning of a day in UTC.
fn instant(raw: &str) -> Result<Instant, String> {
    // A time without a zone would pass for the beginning of its day.
    let date = raw.parse::<Date>().ok().filter(|date| date.to_string() == raw);
    let day = || date.and_then(|date| date.to_zoned(TimeZone::UTC).ok()).map(|day| day.timestamp());
    let at = raw.parse::<jiff::Timestamp>().ok().or_else(day);
    let at = at.map(|at| Instant(at.as_millisecond())).filter(|at| at.in_bounds());
    at.ok_or_else(|| "is no instant such as 2026-05-01 or 2026-05-01T09:30:00Z".to_owned())
}

/// Runs the command and gives its exit code.
pub async fn audit_command(args: &AuditArgs, out: &mut (dyn Write + Send)) -> i32 {
    let complain = |message: String| {
        // Where nobody reads it, the exit code still tells.
        let _ = writeln!(io::stderr(), "guerdon audit: {message}");
    };
    let client = match args.server.connect(args.deadline).await {
        Ok(client) => client,
        Err(error) => {
            complain(error.to_string());
            return EXIT_NO_SERVER;
        }
    };
    match write_all(&client, args, out).await {
        Ok(()) => EXIT_FINE,
        Err(error) => {
            complain(error.to_string());
            EXIT_FAILED
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Write(#[from] csv::Error),
}

/// Page by page: a log of years is not held in memory.
async fn write_all(client: &Client, args: &AuditArgs, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(COLUMNS)?;
    let mut left = args.limit;
    let mut page_token = String::new();
    while 0 < left {
        let page_size = i32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let found = client.list_audit_entries(asked(args, page_size, page_token)).await?;
        left = left.saturating_sub(found.entries.len());
        for entry in &found.entries {
            writer.write_record(row(entry))?;
        }
        writer.flush().map_err(csv::Error::from)?;
        page_token = found.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    writer.flush().map_err(csv::Error::from)?;
    Ok(())
}

fn asked(args: &AuditArgs, page_size: i32, page_token: String) -> wire::ListAuditEntriesRequest {
    wire::ListAuditEntriesRequest {
        program_id: args.server.program_id.clone(),
        page_size,
        page_token,
        newest_first: args.newest_first,
        after_position: args.after,
        from: args.from.map(stamp),
        until: args.until.map(stamp),
        principal: args.principal.clone(),
        agent_id: args.agent.clone(),
        method: args.method.clone(),
        member_id: args.member.clone(),
    }
}

const COLUMNS: [&str; 12] = [
    "position",
    "recorded_at",
    "decided_at",
    "principal",
    "agent_id",
    "method",
    "member_id",
    "account_id",
    "request_id",
    "reason",
    "refused_for",
    "note",
];

fn row(entry: &wire::AuditEntry) -> [String; 12] {
    let instant = |at: &Option<prost_types::Timestamp>| at.as_ref().map_or_else(String::new, ToString::to_string);
    let reason = match entry.reason() {
        wire::AdjustReason::Unspecified => entry.reason_code.clone(),
        reason => short(reason.as_str_name(), "ADJUST_REASON_"),
    };
    let refused_for = entry.refused_for().map(|reason| short(reason.as_str_name(), "REFUSAL_REASON_"));
    [
        entry.position.to_string(),
        instant(&entry.recorded_at),
        instant(&entry.decided_at),
        entry.principal.clone(),
        entry.agent_id.clone(),
        entry.method.clone(),
        entry.member_id.clone(),
        entry.account_id.clone(),
        entry.request_id.clone(),
        reason,
        refused_for.collect::<Vec<_>>().join(" "),
        entry.note.clone(),
    ]
}

fn short(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f5_an_administrative_write_is_a_line() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let entry = wire::AuditEntry {
            position: 3,
            recorded_at: at(1_767_225_601),
            decided_at: at(1_767_225_600),
            principal: "help-desk".to_owned(),
            agent_id: "zoe".to_owned(),
            method: "guerdon.v1.MemberService/Adjust".to_owned(),
            request_id: "r-1".to_owned(),
            member_id: "mia".to_owned(),
            account_id: "home".to_owned(),
            reason: wire::AdjustReason::ServiceRecovery.into(),
            reason_code: String::new(),
            note: "late, twice".to_owned(),
            refused_for: vec![wire::RefusalReason::BalanceTooLow.into(), wire::RefusalReason::DailyLimit.into()],
        };
        let expected = [
            "3",
            "2026-01-01T00:00:01Z",
            "2026-01-01T00:00:00Z",
            "help-desk",
            "zoe",
            "guerdon.v1.MemberService/Adjust",
            "mia",
            "home",
            "r-1",
            "SERVICE_RECOVERY",
            "BALANCE_TOO_LOW DAILY_LIMIT",
            "late, twice",
        ];
        assert_eq!(row(&entry), expected);
        let coded =
            wire::AuditEntry { reason: 0, reason_code: "known-family".to_owned(), refused_for: Vec::new(), ..entry };
        assert_eq!(row(&coded)[9..11], ["known-family", ""]);
    }

    #[test]
    fn instants_are_days_or_have_a_zone() {
        for (raw, expected) in [
            ("2026-01-01", Some(1_767_225_600_000)),
            ("2026-01-01T00:00:00Z", Some(1_767_225_600_000)),
            ("2026-01-01T01:00:00.5+01:00", Some(1_767_225_600_500)),
            ("1999-12-31", None),
            ("2026-01-01T00:00:00", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(instant(raw).ok().map(|at| at.0), expected, "{raw}");
        }
    }
}
