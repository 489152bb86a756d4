//! `guerdon check FILE...`: every fault of program files at once, for people or for machines.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::program::{self, Checked, Fault, Faults, TEXT_LEN_MAX};

/// How the result is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Format {
    /// As a compiler prints it.
    #[default]
    Words,
    /// One JSON object on one line for each file: `file`, `ok`, `faults`, `warnings`, `omitted`, and when ok `program` and
    /// `version`. Each entry of `faults` and `warnings` has `severity`, `path`, `line`, `column`, `message` and `hint`.
    Json,
}

/// Check program files: every fault at once, with line and column.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The program files.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// How the result is printed; `json`: one object on one line for each file.
    #[arg(long, value_enum, default_value = "words")]
    pub format: Format,
    /// End with 2 when a file has warnings.
    #[arg(long)]
    pub deny_warnings: bool,
}

/// The files may be published; there may be warnings.
pub const EXIT_FINE: i32 = 0;
/// A file has faults.
pub const EXIT_FAULTS: i32 = 1;
/// No file has faults, one has warnings, and warnings are denied.
pub const EXIT_WARNINGS: i32 = 2;
/// A file cannot be read (`EX_NOINPUT`).
pub const EXIT_NO_INPUT: i32 = 66;
/// What was found could not be printed (`EX_IOERR`).
pub const EXIT_NO_OUTPUT: i32 = 74;

/// Checks each program file, prints what is wrong with it, and gives the exit code of the worst.
pub fn check_command(args: &CheckArgs, out: &mut dyn Write) -> i32 {
    let mut worst = EXIT_FINE;
    for (number, path) in args.files.iter().enumerate() {
        let gap = if 0 < number && args.format == Format::Words { writeln!(out) } else { Ok(()) };
        let Ok(code) = gap.and_then(|()| check_file(path, args, out)) else { return EXIT_NO_OUTPUT };
        worst = worse(worst, code);
    }
    match out.flush() {
        Ok(()) => worst,
        Err(_) => EXIT_NO_OUTPUT,
    }
}

/// What cannot be read is worse than what is faulty, and that is worse than what is suspicious.
fn worse(a: i32, b: i32) -> i32 {
    let order = [EXIT_NO_INPUT, EXIT_FAULTS, EXIT_WARNINGS];
    order.into_iter().find(|code| *code == a || *code == b).unwrap_or(EXIT_FINE)
}

fn check_file(path: &Path, args: &CheckArgs, out: &mut dyn Write) -> io::Result<i32> {
    let file = path.display().to_string();
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            unreadable(&file, &error, args.format, out)?;
            return Ok(EXIT_NO_INPUT);
        }
    };
    let checked = text_of(&bytes).and_then(program::check);
    report(&file, &checked, args.format, out)?;
    Ok(match &checked {
        Err(_) => EXIT_FAULTS,
        Ok(checked) if args.deny_warnings && !checked.warnings.list.is_empty() => EXIT_WARNINGS,
        Ok(_) => EXIT_FINE,
    })
}

/// A finding as machines read it.
fn finding(severity: &str, fault: &Fault) -> serde_json::Value {
    let Fault { line, column, path, message, hint, .. } = fault;
    json!({
        "severity": severity, "path": path, "line": line, "column": column, "message": message, "hint": hint,
    })
}

fn findings(severity: &str, faults: &Faults) -> Vec<serde_json::Value> {
    faults.list.iter().map(|fault| finding(severity, fault)).collect()
}

/// At most one byte more than allowed, so that a wrong path to something huge does no harm.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(TEXT_LEN_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text_of(bytes: &[u8]) -> Result<&str, Faults> {
    if TEXT_LEN_MAX < bytes.len() {
        return Err(Faults::whole(format!("the file is longer than {TEXT_LEN_MAX} bytes"), None));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let message = format!("the file is not UTF-8: byte {} is the first that is not", error.valid_up_to());
        Faults::whole(message, Some("save it as UTF-8"))
    })
}

fn unreadable(file: &str, error: &io::Error, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Words => writeln!(out, "{file}: {error}"),
        Format::Json => writeln!(out, "{}", json!({ "file": file, "ok": false, "error": error.to_string() })),
    }
}

fn report(file: &str, checked: &Result<Checked, Faults>, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match (format, checked) {
        (Format::Words, Ok(Checked { program, warnings })) => {
            for warning in &warnings.list {
                writeln!(out, "warning: {}\n", warning.of_file(file))?;
            }
            let version = &program.version;
            write!(out, "{file}: fine. Program {}, version {version}: ", program.id)?;
            let counts = [
                (program.units.len(), "unit"),
                (program.rules.len(), "rule"),
                (program.rewards.len(), "reward"),
                (program.campaigns.len(), "referral campaign"),
                (warnings.list.len() + warnings.omitted, "warning"),
            ];
            let counts = counts.map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }));
            writeln!(out, "{}.", counts.join(", "))
        }
        (Format::Words, Err(faults)) => {
            let count = faults.list.len() + faults.omitted;
            let word = if count == 1 { "fault" } else { "faults" };
            writeln!(out, "{}\n{file}: {count} {word}.", faults.of_file(file))
        }
        (Format::Json, Ok(Checked { program, warnings })) => {
            let (id, version) = (program.id.as_str(), &*program.version.0);
            let object = json!({
                "file": file, "ok": true, "program": id, "version": version,
                "faults": [], "warnings": findings("warning", warnings), "omitted": warnings.omitted,
            });
            writeln!(out, "{object}")
        }
        (Format::Json, Err(faults)) => {
            let object = json!({
                "file": file, "ok": false,
                "faults": findings("fault", faults), "warnings": [], "omitted": faults.omitted,
            });
            writeln!(out, "{object}")
        }
    }
}
