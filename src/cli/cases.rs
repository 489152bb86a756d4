//! `guerdon test`: runs the cases that are kept beside program files.

mod compare;
mod coverage;
mod expect;
mod file;
mod find;
mod known;
mod readable;
mod reference;
mod report;
mod request;
mod run;
mod schema;
mod steps;
mod words;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::app::rehearsal::Play;
use coverage::{Coverage, Seen};
use file::Case;
use find::{Pair, read_text};
use report::{CaseReport, FileReport, ProgramReport, Report};

/// All cases passed, and the coverage is as asked.
/// The JSON Schema of case files.
pub fn schema() -> String {
    schema::schema()
}

pub const EXIT_FINE: i32 = 0;
/// A case failed, or the coverage is less than asked.
pub const EXIT_FAILED: i32 = 1;
/// A case file or a program file has faults (`EX_DATAERR`).
pub const EXIT_FAULTS: i32 = 65;
/// A file cannot be read, or there are no cases (`EX_NOINPUT`).
pub const EXIT_NO_INPUT: i32 = 66;
/// What was found could not be printed or written (`EX_IOERR`).
pub const EXIT_NO_OUTPUT: i32 = 74;

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// A line for each case, and a summary.
    Words,
    /// One JSON object.
    Json,
}

/// Run the cases kept beside program files, on the service itself.
///
/// Cases of `shop.yaml` are in `shop.cases.yaml` beside it or in a folder `cases` beside it. Every case runs on a
/// service of its own, in this process, with a clock that stands still between steps; nothing is left behind. Ends
/// with 0 when all pass, 1 when one fails or the coverage is too low, 65 when a file has faults, 66 when there is
/// nothing to run.
#[derive(Clone, Debug, clap::Args)]
pub struct CasesArgs {
    /// Program files, case files, or folders that are searched for case files.
    #[arg(value_name = "PATH", default_value = ".")]
    pub paths: Vec<PathBuf>,
    /// Run only cases whose name contains this, in upper or lower case.
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Fail when cases apply less than this share of a program's rules, rewards, campaigns and so on.
    #[arg(long, value_name = "PERCENT", value_parser = percent, conflicts_with = "filter")]
    pub coverage_min: Option<usize>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value = "words")]
    pub format: Format,
    /// Write the result as JUnit XML too.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Print what steps and expectations can say, and run nothing. With the name of a step: its fields.
    #[arg(long, value_name = "STEP", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["filter", "coverage_min", "junit"])]
    pub fields: Option<String>,
}

/// `90%` or `90`.
fn percent(text: &str) -> Result<usize, String> {
    let digits = text.strip_suffix('%').unwrap_or(text).trim();
    let percent = digits.parse().ok().filter(|percent| *percent <= 100);
    percent.ok_or_else(|| "write a whole percentage such as 90%".to_owned())
}

/// Runs the command and gives its exit code.
pub async fn cases_command(args: &CasesArgs, out: &mut (dyn Write + Send)) -> i32 {
    if let Some(step) = &args.fields {
        return match reference::print(step, out) {
            Ok(true) => EXIT_FINE,
            Ok(false) => EXIT_NO_INPUT,
            Err(_) => EXIT_NO_OUTPUT,
        };
    }
    match cases(args, out).await {
        Ok(code) => code,
        Err(_) => EXIT_NO_OUTPUT,
    }
}

/// A case file that is free of faults.
struct Ready {
    pair: Pair,
    text: String,
    play: Play,
    cases: Vec<Case>,
}

async fn cases(args: &CasesArgs, out: &mut (dyn Write + Send)) -> io::Result<i32> {
    let pairs = match find::pairs(&args.paths) {
        Ok(pairs) => pairs,
        Err(why) => return complain(args, &[why], EXIT_NO_INPUT, out),
    };
    let mut ready = Vec::new();
    let (mut faults, mut unreadable) = (Vec::new(), Vec::new());
    for pair in pairs {
        match prepare(&pair) {
            Ok(found) => ready.push(found),
            Err(Unfit::Faults(text)) if !faults.contains(&text) => faults.push(text),
            Err(Unfit::Faults(_)) => {} // of a program with several case files
            Err(Unfit::Unreadable(text)) => unreadable.push(text),
        }
    }
    if !unreadable.is_empty() {
        return complain(args, &unreadable, EXIT_NO_INPUT, out);
    }
    if !faults.is_empty() {
        return complain(args, &faults, EXIT_FAULTS, out);
    }
    let report = run_all(args, ready, out).await?;
    if args.format == Format::Json {
        writeln!(out, "{}", report.json())?;
    } else {
        report.summary(out)?;
    }
    if let Some(path) = &args.junit {
        std::fs::write(path, report.junit())?;
    }
    out.flush()?;
    if report.count().0 == 0 {
        return Ok(EXIT_NO_INPUT);
    }
    Ok(if report.is_good() { EXIT_FINE } else { EXIT_FAILED })
}

fn complain(args: &CasesArgs, texts: &[String], code: i32, out: &mut (dyn Write + Send)) -> io::Result<i32> {
    if args.format == Format::Json {
        writeln!(out, "{}", serde_json::json!({ "ok": false, "faults": texts }))?;
    } else {
        texts.iter().try_for_each(|text| writeln!(out, "{}", text.trim_end()))?;
    }
    out.flush()?;
    Ok(code)
}

enum Unfit {
    Faults(String),
    Unreadable(String),
}

fn prepare(pair: &Pair) -> Result<Ready, Unfit> {
    let text = read_text(&pair.program).map_err(Unfit::Unreadable)?;
    let name = pair.program.display().to_string();
    let play = Play::of(&text).map_err(|faults| Unfit::Faults(faults.of_file(&name).to_string()))?;
    let cases_text = read_text(&pair.cases).map_err(Unfit::Unreadable)?;
    let file = pair.cases.display().to_string();
    let cases = file::read(&cases_text, play.program());
    let cases = cases.map_err(|faults| Unfit::Faults(faults.of_file(&file).to_string()))?;
    Ok(Ready { pair: pair.clone(), text, play, cases })
}

/// From so many cases on, a terminal shows how far it has come.
const PROGRESS_FROM: usize = 200;

async fn run_all(args: &CasesArgs, ready: Vec<Ready>, out: &mut (dyn Write + Send)) -> io::Result<Report> {
    let words = args.format == Format::Words;
    let wanted = args.filter.as_ref().map(|filter| filter.to_lowercase());
    let chosen = |case: &Case| wanted.as_ref().is_none_or(|wanted| case.name.to_lowercase().contains(wanted));
    let total: usize = ready.iter().flat_map(|file| &file.cases).filter(|case| chosen(case)).count();
    let progress = progress(total);
    let mut report = Report { coverage_min: args.coverage_min, ..Report::default() };
    let mut seen: Vec<(String, String, Seen)> = Vec::new();
    for file in &ready {
        let name = file.pair.cases.display().to_string();
        let program = file.pair.program.display().to_string();
        if !seen.iter().any(|(known, ..)| *known == program) {
            seen.push((program.clone(), file.text.clone(), Seen::default()));
        }
        let mut cases = Vec::new();
        for case in &file.cases {
            if !chosen(case) {
                report.left_out += 1;
                continue;
            }
            let began = Instant::now();
            let outcome = run::run(case, &file.play).await;
            let took = began.elapsed();
            progress.inc(1);
            if let Some((_, _, seen)) = seen.iter_mut().find(|(known, ..)| *known == program) {
                seen.add(&outcome.seen);
            }
            if words {
                if cases.is_empty() {
                    writeln!(out, "{name}")?;
                }
                let mark = if outcome.failure.is_some() { "FAIL" } else { "ok  " };
                let text = outcome.failure.as_ref().map(|failure| failure.text(&name));
                let text = text.map(|text| format!("\n      {}", text.replace('\n', "\n      ")));
                progress.suspend(|| writeln!(out, "  {mark}  {}{}", case.name, text.unwrap_or_default()))?;
            }
            let line = case.place.line;
            cases.push(CaseReport { name: case.name.clone(), line, failure: outcome.failure, took });
        }
        report.files.push(FileReport { file: name, program, cases });
    }
    progress.finish_and_clear();
    if wanted.is_none() {
        let programs = seen.into_iter().map(|(program, text, seen)| {
            let coverage = Coverage::of(&text, &seen);
            ProgramReport { program, coverage }
        });
        report.programs = programs.collect();
    }
    Ok(report)
}

fn progress(total: usize) -> ProgressBar {
    if total < PROGRESS_FROM || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(u64::try_from(total).ok(), ProgressDrawTarget::stderr());
    bar.set_style(
        ProgressStyle::with_template("{bar:40} {pos} of {len} cases").unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}
