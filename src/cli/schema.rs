//! `guerdon schema`: the JSON Schema of program files, for editors.

use std::io::{self, Write};

/// Prints the schema.
///
/// # Errors
/// Those of `out`.
pub fn schema_command(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(crate::program::schema().as_bytes())
}
