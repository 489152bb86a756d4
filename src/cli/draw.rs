//! Prize draws, by hand: what a seed commits to, and which ticket was drawn.

use std::io::{Read, Write};

use clap::{Args, Subcommand};

use crate::domain::draw::{Seed, drum_ticket, ticket};
use crate::domain::id::{AccountId, DrawId, GrantId};

/// Check a prize draw: what a seed commits to, and which ticket it draws.
#[derive(Debug, Args)]
pub struct DrawArgs {
    #[command(subcommand)]
    command: DrawCommand,
}

#[derive(Debug, Subcommand)]
enum DrawCommand {
    /// Print the commitment of a seed, read from standard input: what the program states.
    Commit,
    /// Recompute a ticket by the seed that GetDraw has revealed, read from standard input.
    Verify {
        /// The draw.
        #[arg(long)]
        draw: String,
        /// Whose ticket it is, as the effect names the account.
        #[arg(long, required_unless_present = "number", conflicts_with = "number")]
        account: Option<String>,
        /// What it is for, as the effect names the cause.
        #[arg(long, required_unless_present = "number", conflicts_with = "number")]
        cause: Option<String>,
        /// Of a draw with a fixed pool, instead of both: the number of the ticket, as effect and ListDrawTickets name it.
        #[arg(long)]
        number: Option<i64>,
        /// Tickets in the drum.
        #[arg(long)]
        of: i64,
    },
}

/// What was asked cannot be understood.
const EXIT_USAGE: i32 = 64;
/// The answer cannot be written.
const EXIT_NO_OUTPUT: i32 = 74;

/// Answers an exit code.
pub fn draw_command(args: &DrawArgs, seed: &mut dyn Read, out: &mut dyn Write, errors: &mut dyn Write) -> i32 {
    let answer = match answer(args, seed) {
        Ok(answer) => answer,
        Err(problem) => {
            // Nothing is left to do if this is closed, too.
            let _ = writeln!(errors, "{problem}");
            return EXIT_USAGE;
        }
    };
    match out.write_all(answer.as_bytes()) {
        Ok(()) => 0,
        Err(_) => EXIT_NO_OUTPUT,
    }
}

fn answer(args: &DrawArgs, seed: &mut dyn Read) -> Result<String, String> {
    const SEED_BYTES_MAX: u64 = 1_024;
    let mut text = String::new();
    Read::take(seed, SEED_BYTES_MAX).read_to_string(&mut text).map_err(|error| format!("the seed: {error}"))?;
    let known = Seed::parse(text.trim());
    let seed = known.ok_or("standard input holds no seed: 32 to 128 hexadecimal digits")?;
    let commitment: String = seed.commitment().iter().map(|byte| format!("{byte:02x}")).collect();
    match &args.command {
        DrawCommand::Commit => Ok(format!("{commitment}\n")),
        DrawCommand::Verify { draw, account, cause, number, of } => {
            let draw = DrawId::parse(draw).map_err(|e| format!("--draw {e}"))?;
            if *of < 1 {
                return Err("--of must be at least 1".to_owned());
            }
            let ticket = match number {
                Some(number) if (0..*of).contains(number) => drum_ticket(&seed, &draw, *number, *of),
                Some(_) => return Err("--number must be from 0 to below --of".to_owned()),
                None => {
                    let account = account.as_deref().unwrap_or_default();
                    let cause = cause.as_deref().unwrap_or_default();
                    let account = AccountId::parse(account).map_err(|e| format!("--account {e}"))?;
                    let cause = GrantId::parse(cause).map_err(|e| format!("--cause {e}"))?;
                    ticket(&seed, &draw, &account, &cause, *of)
                }
            };
            Ok(format!("commitment {commitment}\nticket {ticket} of {of}\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        args: DrawArgs,
    }

    fn run(words: &[&str], seed: &str) -> (i32, String) {
        let args = Alone::parse_from(std::iter::once("draw").chain(words.iter().copied())).args;
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let code = draw_command(&args, &mut seed.as_bytes(), &mut out, &mut errors);
        out.extend(errors);
        (code, String::from_utf8(out).expect("text"))
    }

    #[test]
    fn d7_a_revealed_draw_is_verified_by_hand() {
        const SEED: &str = "000102030405060708090a0b0c0d0e0f\n";
        const COMMITMENT: &str = "be45cb2605bf36bebde684841a28f0fd43c69850a3dce5fedba69928ee3a8991";
        assert_eq!(run(&["commit"], SEED), (0, format!("{COMMITMENT}\n")));
        let verify = |of| ["verify", "--draw", "spring", "--account", "mia", "--cause", "o1:lucky", "--of", of];
        // HMAC-SHA256 of `spring|mia|o1:lucky` begins 8a45c3515bb671cdfcc11708e9ab27d6.
        let (code, text) = run(&verify("1000"), SEED);
        assert_eq!((code, text), (0, format!("commitment {COMMITMENT}\nticket 382 of 1000\n")));
        assert_eq!(run(&verify("0"), SEED).0, EXIT_USAGE);
        // As another program, written after the formula that GetDraw tells, has it.
        let verify = |number| ["verify", "--draw", "spring", "--of", "1000", "--number", number];
        for (number, ticket) in [("0", 659), ("1", 587), ("2", 208)] {
            let expected = format!("commitment {COMMITMENT}\nticket {ticket} of 1000\n");
            assert_eq!(run(&verify(number), SEED), (0, expected));
        }
        assert_eq!(run(&verify("1000"), SEED).0, EXIT_USAGE);
        assert_eq!(run(&["commit"], "no seed").0, EXIT_USAGE);
    }
}
