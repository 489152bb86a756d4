//! `guerdon verify-figures`: whether the figures of referrals that a server keeps are those that its ledgers make.

use std::io::{self, Write};
use std::time::Duration;

use super::client::{CallError, Client, ServerArgs};
use crate::grpc::wire;

/// Every figure is what the ledgers make of it.
pub const EXIT_FINE: i32 = 0;
/// A figure is not, or a partition did not stand still.
pub const EXIT_FAILED: i32 = 1;
/// The server cannot be used.
pub const EXIT_NO_SERVER: i32 = 69;

/// More pages than there can be partitions.
const PAGES_MAX: u32 = 1 << 17;

/// Folds the ledgers of all members again and compares what they make with the figures of referrals that are kept. May be
/// run at any time.
#[derive(Clone, Debug, clap::Args)]
pub struct FiguresArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// How long a call may take: each reads the ledgers of some hundred members.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = super::replay::duration)]
    pub deadline: Duration,
}

/// What was found.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Found {
    pub accounts: i64,
    pub entries: i64,
    pub figures: i64,
    pub differing: i64,
    /// The first of each page.
    pub differences: Vec<wire::StatsDifference>,
    pub moving: i64,
}

impl Found {
    pub fn is_fine(&self) -> bool {
        self.differing == 0 && self.moving == 0
    }
}

/// Runs the command and gives its exit code.
pub async fn figures_command(args: &FiguresArgs, out: &mut (dyn Write + Send)) -> i32 {
    let found = match args.server.connect(args.deadline).await {
        Ok(client) => verify(&client, &args.server.program_id).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match found {
        Ok(found) => {
            // Where nobody reads it, the exit code still tells.
            let _ = show(out, &found);
            if found.is_fine() { EXIT_FINE } else { EXIT_FAILED }
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "guerdon verify-figures: {error}");
            EXIT_NO_SERVER
        }
    }
}

/// Asks page by page.
///
/// # Errors
/// The first call that failed.
pub async fn verify(client: &Client, program_id: &str) -> Result<Found, CallError> {
    let mut found = Found::default();
    let mut page_token = String::new();
    for _ in 0..PAGES_MAX {
        let request = wire::VerifyStatsRequest { program_id: program_id.to_owned(), page_token };
        let page = client.verify_stats(request).await?;
        found.accounts += page.accounts;
        found.entries += page.entries;
        found.figures += page.figures;
        found.differing += page.differing;
        found.moving += page.moving_partitions;
        found.differences.extend(page.differences);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(found)
}

fn show(out: &mut (dyn Write + Send), found: &Found) -> io::Result<()> {
    let Found { accounts, entries, figures, differing, differences, moving } = found;
    writeln!(out, "{accounts} ledgers folded, {entries} entries; {figures} figures compared, {differing} differ")?;
    for wire::StatsDifference { month, campaign_id, figure, kept, folded } in differences {
        writeln!(out, "  {month} {campaign_id} {figure}: kept {kept}, should be {folded}")?;
    }
    if 0 < *moving {
        writeln!(out, "{moving} partitions did not stand still: look again")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r18_what_differs_is_shown_line_by_line() {
        let difference = wire::StatsDifference {
            month: "2026-06".to_owned(),
            campaign_id: "friends".to_owned(),
            figure: "SignUps".to_owned(),
            kept: 2,
            folded: 3,
        };
        let fine = Found { accounts: 4, entries: 50, figures: 6, ..Found::default() };
        let wrong = Found { differing: 1, differences: vec![difference], ..fine.clone() };
        for (found, is_fine, expected) in [
            (fine.clone(), true, "4 ledgers folded, 50 entries; 6 figures compared, 0 differ\n"),
            (
                wrong,
                false,
                "4 ledgers folded, 50 entries; 6 figures compared, 1 differ\n  2026-06 friends SignUps: kept 2, should be 3\n",
            ),
            (
                Found { moving: 2, ..fine },
                false,
                "4 ledgers folded, 50 entries; 6 figures compared, 0 differ\n2 partitions did not stand still: look again\n",
            ),
        ] {
            let mut out = Vec::new();
            show(&mut out, &found).expect("written");
            assert_eq!((String::from_utf8(out).expect("UTF-8").as_str(), found.is_fine()), (expected, is_fine));
        }
    }
}
