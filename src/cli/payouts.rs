//! `guerdon payouts`: the payouts of partners as CSV, for whoever pays them.

use std::io::{self, Write};
use std::time::Duration;

use super::client::{CallError, Client, ServerArgs};
use crate::grpc::wire;

/// All of it was written.
pub const EXIT_FINE: i32 = 0;
/// A partner is unknown, or the lines could not be written.
pub const EXIT_FAILED: i32 = 1;
/// The server cannot be used.
pub const EXIT_NO_SERVER: i32 = 69;

/// Payouts asked for at a time.
const PAGE: i32 = 120;

/// Writes the payouts of partners as CSV, the latest first: partner, payout_id, number, state, currency_code,
/// amount_minor, prepared_at, settled_at, reference.
#[derive(Clone, Debug, clap::Args)]
pub struct PayoutsArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// The accounts of the partners.
    #[arg(required = true, value_name = "PARTNER")]
    pub partners: Vec<String>,
    /// Only those that are prepared and not settled: what is to be paid now.
    #[arg(long)]
    pub open: bool,
    /// How long a call may take.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = super::replay::duration)]
    pub deadline: Duration,
}

/// Runs the command and gives its exit code.
pub async fn payouts_command(args: &PayoutsArgs, out: &mut (dyn Write + Send)) -> i32 {
    let complain = |message: String| {
        // Where nobody reads it, the exit code still tells.
        let _ = writeln!(io::stderr(), "guerdon payouts: {message}");
    };
    let client = match args.server.connect(args.deadline).await {
        Ok(client) => client,
        Err(error) => {
            complain(error.to_string());
            return EXIT_NO_SERVER;
        }
    };
    let mut rows = Vec::new();
    for partner in &args.partners {
        match of_partner(&client, args, partner).await {
            Ok(payouts) => rows.extend(payouts.into_iter().map(|payout| row(partner, &payout))),
            Err(error) => {
                complain(format!("{partner}: {error}"));
                return EXIT_FAILED;
            }
        }
    }
    match write(out, rows) {
        Ok(()) => EXIT_FINE,
        Err(error) => {
            complain(error.to_string());
            EXIT_FAILED
        }
    }
}

async fn of_partner(client: &Client, args: &PayoutsArgs, partner: &str) -> Result<Vec<wire::Payout>, CallError> {
    let request = wire::ListPayoutsRequest {
        program_id: args.server.program_id.clone(),
        member_id: partner.to_owned(),
        before_number: 0,
        page_size: PAGE,
    };
    let mut payouts = client.list_payouts(request).await?.payouts;
    payouts.retain(|payout| !args.open || payout.state() == wire::PayoutState::Prepared);
    Ok(payouts)
}

fn row(partner: &str, payout: &wire::Payout) -> [String; 9] {
    let state = match payout.state() {
        wire::PayoutState::Prepared => "prepared",
        wire::PayoutState::Paid => "paid",
        wire::PayoutState::Failed => "failed",
        wire::PayoutState::Unspecified => "unknown",
    };
    let instant = |at: &Option<prost_types::Timestamp>| at.as_ref().map_or_else(String::new, ToString::to_string);
    [
        partner.to_owned(),
        payout.payout_id.clone(),
        payout.number.to_string(),
        state.to_owned(),
        payout.currency_code.clone(),
        payout.amount_minor.to_string(),
        instant(&payout.prepared_at),
        instant(&payout.settled_at),
        payout.reference.clone(),
    ]
}

fn write(out: &mut (dyn Write + Send), rows: Vec<[String; 9]>) -> Result<(), csv::Error> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record([
        "partner",
        "payout_id",
        "number",
        "state",
        "currency_code",
        "amount_minor",
        "prepared_at",
        "settled_at",
        "reference",
    ])?;
    for row in rows {
        writer.write_record(&row)?;
    }
    Ok(writer.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r19_a_payout_is_a_line() {
        let payout = wire::Payout {
            payout_id: "may".to_owned(),
            number: 3,
            unit: "cents".to_owned(),
            currency_code: "EUR".to_owned(),
            amount_minor: 1_250,
            state: wire::PayoutState::Paid.into(),
            prepared_at: Some(prost_types::Timestamp { seconds: 1_767_225_600, nanos: 0 }),
            settled_at: None,
            reference: "a,b".to_owned(),
        };
        let mut out = Vec::new();
        write(&mut out, vec![row("acme", &payout)]).expect("written");
        let text = String::from_utf8(out).expect("UTF-8");
        let expected = "partner,payout_id,number,state,currency_code,amount_minor,prepared_at,settled_at,reference\n\
             acme,may,3,paid,EUR,1250,2026-01-01T00:00:00Z,,\"a,b\"\n";
        assert_eq!(text, expected);
    }
}
