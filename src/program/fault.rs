//! What is wrong with a program file, and where.

use std::fmt;

use serde::Serialize;

/// A place in the text. Both count from 1; columns count characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Pos {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Pos {
    pub(super) const START: Pos = Pos { line: 1, column: 1 };
}

/// One thing that is wrong (or, in a list of warnings, suspicious).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fault {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Where in the structure: `rules[2].then.earn.per`; empty for the whole file.
    pub path: String,
    pub message: String,
    pub hint: Option<String>,
    #[serde(skip)]
    excerpt: Excerpt,
}

/// The part of the source line that is shown; control characters are replaced.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Excerpt {
    text: String,
    /// Characters before the caret.
    caret: usize,
}

/// Everything that is wrong with a text, by position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Faults {
    /// At most [`Faults::LISTED_MAX`].
    pub list: Vec<Fault>,
    /// How many more there are.
    pub omitted: usize,
}

impl Faults {
    pub const LISTED_MAX: usize = 100;

    /// All faults as a compiler prints them, under the name of the file.
    pub fn of_file<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        OfFile { faults: self, file }
    }

    /// A single fault at the start, for a text that cannot be read at all.
    pub fn whole(message: String, hint: Option<&str>) -> Faults {
        let mut collector = Collector::default();
        collector.push(Pos::START, String::new(), message, hint.map(str::to_owned));
        collector.finish("")
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.of_file("program").fmt(f)
    }
}

impl std::error::Error for Faults {}

impl Fault {
    /// This fault as a compiler prints it, under the name of the file.
    pub fn of_file<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        FaultOfFile { fault: self, file }
    }
}

struct OfFile<'a> {
    faults: &'a Faults,
    file: &'a str,
}

impl fmt::Display for OfFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.faults.list.iter().enumerate() {
            if 0 < number {
                writeln!(f)?;
            }
            writeln!(f, "{}", fault.of_file(self.file))?;
        }
        match self.faults.omitted {
            0 => Ok(()),
            omitted => writeln!(f, "\n... and {omitted} more"),
        }
    }
}

struct FaultOfFile<'a> {
    fault: &'a Fault,
    file: &'a str,
}

impl fmt::Display for FaultOfFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { line, column, path, message, hint, excerpt } = self.fault;
        write!(f, "{}:{line}:{column}: {message}", self.file)?;
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        let caret = " ".repeat(excerpt.caret);
        write!(f, "\n{gutter} |\n{number} | {}\n{gutter} | {caret}^", excerpt.text)?;
        if !path.is_empty() {
            write!(f, "\n{gutter} = at {path}")?;
        }
        match hint {
            Some(hint) => write!(f, "\n{gutter} = hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Takes faults in any order. Bounded: a text of a megabyte may be wrong in very many places.
#[derive(Default)]
pub(super) struct Collector {
    found: Vec<(Pos, String, String, Option<String>)>,
    omitted: usize,
}

impl Collector {
    /// Enough that those listed are the first by position unless nearly everything is wrong.
    const KEPT_MAX: usize = 10 * Faults::LISTED_MAX;

    pub(super) fn push(&mut self, pos: Pos, path: String, message: String, hint: Option<String>) {
        if self.found.len() < Collector::KEPT_MAX {
            self.found.push((pos, path, message, hint));
        } else {
            self.omitted += 1;
        }
    }

    /// Whether more was found than will be listed.
    pub(super) fn is_crowded(&self) -> bool {
        Faults::LISTED_MAX < self.found.len()
    }

    pub(super) fn count(&self) -> usize {
        self.found.len().saturating_add(self.omitted)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The faults by position, each with its line of `text`.
    pub(super) fn finish(mut self, text: &str) -> Faults {
        self.found.sort_by_key(|(pos, ..)| *pos);
        let omitted = self.omitted + self.found.len().saturating_sub(Faults::LISTED_MAX);
        let lines = lines_of(text);
        let listed = self.found.into_iter().take(Faults::LISTED_MAX);
        let list = listed.map(|(pos, path, message, hint)| {
            let line = lines.get(pos.line as usize - 1).copied().unwrap_or_default();
            let excerpt = Excerpt::of(line, pos.column as usize - 1);
            Fault { line: pos.line, column: pos.column, path, message, hint, excerpt }
        });
        Faults { list: list.collect(), omitted }
    }
}

impl Excerpt {
    const WIDTH_MAX: usize = 120;

    /// The line, or of a long one the part around the caret.
    fn of(line: &str, caret: usize) -> Excerpt {
        let skipped = if caret < Excerpt::WIDTH_MAX { 0 } else { caret - Excerpt::WIDTH_MAX / 2 };
        let shown = line.chars().skip(skipped).take(Excerpt::WIDTH_MAX);
        let text: String = shown.map(|c| if c.is_control() { ' ' } else { c }).collect();
        Excerpt { text: text.trim_end().to_owned(), caret: caret - skipped }
    }
}

/// Lines as YAML counts them: they end with LF, CR LF or CR.
fn lines_of(text: &str) -> Vec<&str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r')).collect()
}

/// `raw` in quotes for a message, shortened when long, without control characters.
pub(super) fn quoted(raw: &str) -> String {
    const SHOWN_MAX: usize = 60;
    let clean = raw.chars().map(|c| if c.is_control() { ' ' } else { c });
    let shown: String = clean.take(SHOWN_MAX).collect();
    let more = if raw.chars().nth(SHOWN_MAX).is_some() { "..." } else { "" };
    format!("`{shown}{more}`")
}

/// The one of `known` that `raw` was probably meant to be.
pub(super) fn nearest<'a>(raw: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LEN_MAX: usize = 64;
    if LEN_MAX < raw.len() {
        return None; // the distance takes quadratic time
    }
    let folded = raw.to_lowercase();
    let distances = known.into_iter().filter(|name| name.len() <= LEN_MAX).map(|name| {
        let distance = strsim::osa_distance(&folded, &name.to_lowercase());
        (distance, name)
    });
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    let tolerated = (name.len() / 3).max(1);
    (distance <= tolerated).then_some(name)
}
