//! `guerdon check FILE`: every fault of a program file at once, for people or for machines.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use serde_json::json;

use crate::program::{self, Checked, Fault, Faults, TEXT_LEN_MAX};

/// How the result is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// As a compiler prints it.
    #[default]
    Words,
    /// One JSON object: `file`, `ok`, `faults`, `warnings`, `omitted`, and when ok `program` and `version`.
    Json,
}

/// The file may be published; there may be warnings.
pub const EXIT_FINE: i32 = 0;
/// The file has faults.
pub const EXIT_FAULTS: i32 = 1;
/// The file cannot be read (`EX_NOINPUT`).
pub const EXIT_NO_INPUT: i32 = 66;
/// What was found could not be printed (`EX_IOERR`).
pub const EXIT_NO_OUTPUT: i32 = 74;

/// Checks the program file at `path`, prints what is wrong with it, and gives the exit code.
pub fn check_command(path: &Path, format: Format, out: &mut dyn Write) -> i32 {
    let file = path.display().to_string();
    let (code, printed) = match read(path) {
        Err(error) => (EXIT_NO_INPUT, unreadable(&file, &error, format, out)),
        Ok(bytes) => {
            let checked = text_of(&bytes).and_then(program::check);
            let code = if checked.is_ok() { EXIT_FINE } else { EXIT_FAULTS };
            (code, report(&file, &checked, format, out))
        }
    };
    match printed.and_then(|()| out.flush()) {
        Ok(()) => code,
        Err(_) => EXIT_NO_OUTPUT,
    }
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
            let none: [Fault; 0] = [];
            let object = json!({
                "file": file, "ok": true, "program": id, "version": version,
                "faults": none, "warnings": warnings.list, "omitted": warnings.omitted,
            });
            writeln!(out, "{object}")
        }
        (Format::Json, Err(faults)) => {
            let none: [Fault; 0] = [];
            let object = json!({
                "file": file, "ok": false,
                "faults": faults.list, "warnings": none, "omitted": faults.omitted,
            });
            writeln!(out, "{object}")
        }
    }
}
