//! `guerdon schema`: the JSON Schema of program files and of case files, for editors.

use std::io::{self, Write};

/// Print the JSON Schema of program files, for editors.
#[derive(clap::Args, Debug, Default)]
pub struct SchemaArgs {
    /// That of case files instead.
    #[arg(long)]
    pub cases: bool,
}

/// Prints the schema.
///
/// # Errors
/// Those of `out`.
pub fn schema_command(args: &SchemaArgs, out: &mut dyn Write) -> io::Result<()> {
    let schema = if args.cases { super::cases::schema() } else { crate::program::schema() };
    out.write_all(schema.as_bytes())
}
