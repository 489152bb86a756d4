//! Everything that is wrong with a request, collected before it is answered.

use std::borrow::Cow;
use std::fmt;

use tonic_types::FieldViolation;

/// Where a field is: `order.lines[3].amount_minor`. Written out only when something is wrong there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'a> {
    /// A field of the request itself.
    Of(&'static str),
    Field(&'a Path<'a>, &'static str),
    Item(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(super) fn field(&'a self, name: &'static str) -> Path<'a> {
        Path::Field(self, name)
    }

    pub(super) fn item(&'a self, index: usize) -> Path<'a> {
        Path::Item(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Of(name) => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// What is wrong so far.
#[derive(Debug, Default)]
pub(super) struct Violations {
    listed: Vec<FieldViolation>,
    listed_bytes: usize,
    /// Found beyond the bounds of the list.
    left_out: usize,
}

impl Violations {
    /// A caller with this many faults has one cause for them.
    pub(super) const LISTED_MAX: usize = 100;
    /// Bytes of paths and descriptions. They travel as a trailer in base64, and some clients take
    /// no more than 8 KiB of those.
    const LISTED_BYTES_MAX: usize = 4_000;

    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    pub(super) fn add(&mut self, at: &Path<'_>, problem: impl Into<String>) {
        let violation = FieldViolation::new(at.to_string(), problem);
        let bytes = violation.field.len() + violation.description.len();
        let fits =
            self.listed.len() < Violations::LISTED_MAX && self.listed_bytes + bytes <= Violations::LISTED_BYTES_MAX;
        if fits || self.listed.is_empty() {
            self.listed_bytes += bytes;
            self.listed.push(violation);
        } else {
            self.left_out += 1;
        }
    }

    /// The parsed value; an error is noted under `at`.
    pub(super) fn take<T, E: fmt::Display>(&mut self, at: &Path<'_>, parsed: Result<T, E>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(problem) => {
                self.add(at, problem.to_string());
                None
            }
        }
    }

    /// What is listed, and how many more were found.
    pub(super) fn into_parts(self) -> (Vec<FieldViolation>, usize) {
        (self.listed, self.left_out)
    }
}

/// A value for a description: quoted, escaped, and cut where it is long.
pub(super) fn shortened(value: &str) -> String {
    const CHARS_MAX: usize = 32;
    let mut chars = value.chars();
    let head: Cow<'_, str> = chars.by_ref().take(CHARS_MAX).collect();
    match chars.next() {
        Some(_) => format!("{head:?}..."),
        None => format!("{head:?}"),
    }
}

/// Reads a request with `parse`, which notes all that is wrong and gives `None` if anything is.
pub(super) fn read<T>(parse: impl FnOnce(&mut Violations) -> Option<T>) -> Result<T, Violations> {
    let mut bad = Violations::default();
    match parse(&mut bad) {
        Some(value) if bad.is_empty() => Ok(value),
        _ => Err(bad),
    }
}
