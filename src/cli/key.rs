//! `guerdon key new`: a key for who is to call a server.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::access::{ApiKey, Credentials, Faults, Role};

/// Make keys for callers.
#[derive(Clone, Debug, clap::Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    pub command: KeyCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
pub enum KeyCommand {
    /// Make a new key and print it, once; only its hash goes into the credentials file.
    New(NewKeyArgs),
}

#[derive(Clone, Debug, clap::Args)]
pub struct NewKeyArgs {
    /// Who it is for, as the audit shows it.
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// What they may do; repeat for several.
    #[arg(long, value_name = "ROLE", required = true, value_parser = role)]
    pub role: Vec<Role>,
    /// A program that they may reach, or `*` for all; repeat for several.
    #[arg(long, value_name = "ID", required = true)]
    pub program: Vec<String>,
    /// How often they may call; without it as often as they like.
    #[arg(long, value_name = "COUNT")]
    pub calls_per_second: Option<u32>,
    /// The credentials file to add them to, created when missing. Without it the lines go to standard error.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

fn role(name: &str) -> Result<Role, String> {
    Role::parse(name).ok_or_else(|| {
        let known: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
        format!("write one of {}", known.join(", "))
    })
}

/// It was made.
pub const EXIT_FINE: i32 = 0;
/// It was not made, or could not be put where it belongs.
pub const EXIT_FAILED: i32 = 1;

/// Runs the command and gives its exit code. The key alone goes to `out`, so that it can be piped into where secrets
/// are kept.
pub fn key_command(args: &KeyArgs, out: &mut dyn Write, notes: &mut dyn Write) -> i32 {
    let KeyCommand::New(args) = &args.command;
    match new_key(args, out, notes) {
        Ok(()) => EXIT_FINE,
        Err(problem) => {
            // The exit code says it where nobody reads along.
            let _ = writeln!(notes, "guerdon: {problem}");
            EXIT_FAILED
        }
    }
}

fn new_key(args: &NewKeyArgs, out: &mut dyn Write, notes: &mut dyn Write) -> Result<(), String> {
    let key = ApiKey::generate().ok_or("this machine gives no random bytes")?;
    let lines = entry(args, &key);
    let alone = |Faults(faults): Faults| faults.join("\n");
    match &args.file {
        None => {
            Credentials::parse(&lines, &|_| Err(String::new())).map_err(alone)?;
            let told = write!(notes, "# For the credentials file:\n{lines}");
            told.map_err(|error| format!("standard error cannot be written: {error}"))?;
        }
        Some(path) => {
            let name = path.display();
            let before = match std::fs::read_to_string(path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
                Err(error) => return Err(format!("{name} cannot be read: {error}")),
            };
            let gap = if before.is_empty() { "" } else { "\n" };
            let after = format!("{before}{gap}{lines}");
            let folder = path.parent().unwrap_or(std::path::Path::new("")).to_owned();
            let open = |file: &str| std::fs::read_to_string(folder.join(file)).map_err(|error| error.to_string());
            Credentials::parse(&after, &open)
                .map_err(|faults| format!("{name} would have faults:\n{}", alone(faults)))?;
            replace(path, &after).map_err(|error| format!("{name} cannot be written: {error}"))?;
        }
    }
    writeln!(out, "{}", key.expose()).map_err(|error| format!("the key cannot be printed: {error}"))
}

/// A server that reads it meanwhile finds it as it was or as it is, and never half of it.
fn replace(path: &std::path::Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

fn entry(args: &NewKeyArgs, key: &ApiKey) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let list = |items: &mut dyn Iterator<Item = &str>| items.map(quoted).collect::<Vec<_>>().join(", ");
    let mut text = format!(
        "[[keys]]\nname = {}\nsha256 = \"{}\"\nroles = [{}]\nprograms = [{}]\n",
        quoted(&args.name),
        key.hash(),
        list(&mut args.role.iter().map(|role| role.name())),
        list(&mut args.program.iter().map(String::as_str)),
    );
    if let Some(calls) = args.calls_per_second {
        text.push_str(&format!("calls_per_second = {calls}\n"));
    }
    text
}
