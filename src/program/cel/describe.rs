//! The names that expressions know, for the reference.

use super::names::{CHOSEN, known};

/// A table in Markdown.
pub(in crate::program) fn reference() -> String {
    let mut text = String::from(
        "### names in expressions\n\nWhat an expression may look at. What is missing (an order without a store) can be \
         asked for with `has(...)`.\n\n| name | what it is | meaning |\n|---|---|---|\n",
    );
    for name in known() {
        text.push_str(&format!("| `{}` | {} | {} |\n", name.path, name.kind.phrase(), name.meaning));
    }
    for (path, kind, meaning) in CHOSEN {
        text.push_str(&format!("| `{path}` | {kind} | {meaning} |\n"));
    }
    text.push('\n');
    text
}
