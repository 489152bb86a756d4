//! What came of the cases: for people, as JSON, and as JUnit XML.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::coverage::{Coverage, Part};
use super::run::Failure;

/// All cases of one file.
#[derive(Clone, Debug)]
pub(super) struct FileReport {
    pub(super) file: String,
    pub(super) program: String,
    pub(super) cases: Vec<CaseReport>,
}

#[derive(Clone, Debug)]
pub(super) struct CaseReport {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) failure: Option<Failure>,
    pub(super) took: Duration,
}

/// How far the cases reach into one program.
#[derive(Clone, Debug)]
pub(super) struct ProgramReport {
    pub(super) program: String,
    pub(super) coverage: Coverage,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    pub(super) files: Vec<FileReport>,
    pub(super) programs: Vec<ProgramReport>,
    /// Cases that the filter left out.
    pub(super) left_out: usize,
    /// The least coverage in percent that is asked for.
    pub(super) coverage_min: Option<usize>,
}

impl Report {
    pub(super) fn count(&self) -> (usize, usize) {
        let cases = || self.files.iter().flat_map(|file| &file.cases);
        (cases().count(), cases().filter(|case| case.failure.is_some()).count())
    }

    /// Programs that the cases reach less far into than asked.
    pub(super) fn below(&self) -> Vec<&ProgramReport> {
        let least = self.coverage_min.unwrap_or(0);
        self.programs.iter().filter(|program| program.coverage.percent() < least).collect()
    }

    pub(super) fn is_good(&self) -> bool {
        self.count().1 == 0 && self.below().is_empty()
    }

    pub(super) fn summary(&self, out: &mut dyn Write) -> io::Result<()> {
        let (cases, failed) = self.count();
        let passed = cases - failed;
        let left_out = match self.left_out {
            0 => String::new(),
            left_out => format!(", {left_out} left out by the filter"),
        };
        writeln!(out, "{cases} {}: {passed} passed, {failed} failed{left_out}.", plural(cases, "case"))?;
        for program in &self.programs {
            self.coverage(program, out)?;
        }
        Ok(())
    }

    fn coverage(&self, report: &ProgramReport, out: &mut dyn Write) -> io::Result<()> {
        let coverage = &report.coverage;
        let sections = coverage.by_section();
        let sections: Vec<String> =
            sections.iter().map(|(section, (applied, all))| format!("{applied} of {all} {section}")).collect();
        let short = self.coverage_min.filter(|least| coverage.percent() < *least);
        let less = short.map(|least| format!(", less than the {least} % asked for")).unwrap_or_default();
        writeln!(out, "coverage of {}: {} %{less} ({})", report.program, coverage.percent(), sections.join(", "))?;
        for (what, parts) in
            [("considered, but never applied", &coverage.considered), ("never considered", &coverage.never)]
        {
            if !parts.is_empty() {
                let named: Vec<String> = parts.iter().map(|part| format!("{} {}", part.section, part.id)).collect();
                writeln!(out, "  {what}: {}", named.join(", "))?;
            }
        }
        Ok(())
    }

    pub(super) fn json(&self) -> Json {
        let (cases, failed) = self.count();
        let parts = |parts: &[Part]| -> Json {
            parts.iter().map(|part| json!({ "section": part.section, "id": part.id })).collect()
        };
        let files: Vec<Json> = self.files.iter().map(FileReport::json).collect();
        let programs = self.programs.iter().map(|report| {
            json!({
                "program": report.program,
                "percent": report.coverage.percent(),
                "applied": parts(&report.coverage.applied),
                "considered": parts(&report.coverage.considered),
                "never_considered": parts(&report.coverage.never),
            })
        });
        json!({
            "ok": self.is_good(),
            "cases": cases,
            "passed": cases - failed,
            "failed": failed,
            "left_out": self.left_out,
            "files": files,
            "coverage": programs.collect::<Vec<Json>>(),
        })
    }

    /// One suite for each file, one test case for each case.
    pub(super) fn junit(&self) -> String {
        let (cases, failed) = self.count();
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        xml.push_str(&format!("<testsuites name=\"guerdon test\" tests=\"{cases}\" failures=\"{failed}\">\n"));
        for file in &self.files {
            let failures = file.cases.iter().filter(|case| case.failure.is_some()).count();
            let took: Duration = file.cases.iter().map(|case| case.took).sum();
            xml.push_str(&format!(
                "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"{}\">\n",
                escaped(&file.file),
                file.cases.len(),
                seconds(took),
            ));
            for case in &file.cases {
                xml.push_str(&format!(
                    "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" line=\"{}\" time=\"{}\"",
                    escaped(&case.name),
                    escaped(&file.program),
                    escaped(&file.file),
                    case.line,
                    seconds(case.took),
                ));
                match &case.failure {
                    None => xml.push_str("/>\n"),
                    Some(failure) => {
                        let text = failure.text(&file.file);
                        let first = text.lines().next().unwrap_or_default();
                        xml.push_str(&format!(
                            ">\n      <failure message=\"{}\" type=\"failure\">{}</failure>\n    </testcase>\n",
                            escaped(first),
                            escaped(&text),
                        ));
                    }
                }
            }
            xml.push_str("  </testsuite>\n");
        }
        xml.push_str("</testsuites>\n");
        xml
    }
}

impl FileReport {
    fn json(&self) -> Json {
        let cases = self.cases.iter().map(|case| {
            let failure = case.failure.as_ref().map(|failure| {
                let differences = failure.differences.iter().map(|difference| {
                    json!({
                        "path": difference.path,
                        "line": difference.place.line,
                        "column": difference.place.column,
                        "expected": difference.expected,
                        "actual": difference.actual,
                    })
                });
                json!({
                    "line": failure.place.line,
                    "step": failure.title,
                    "at": failure.at,
                    "message": failure.message,
                    "differences": differences.collect::<Vec<Json>>(),
                })
            });
            json!({ "name": case.name, "line": case.line, "ok": case.failure.is_none(), "failure": failure })
        });
        json!({ "file": self.file, "program": self.program, "cases": cases.collect::<Vec<Json>>() })
    }
}

impl Failure {
    /// For people.
    pub(super) fn text(&self, file: &str) -> String {
        let mut text = format!("{file}:{}: {}, at {}", self.place.line, self.title, self.at);
        if !self.message.is_empty() {
            text.push_str(&format!("\n  {}", self.message));
        }
        for difference in &self.differences {
            text.push_str(&format!(
                "\n  {} (line {})\n    expected  {}\n    actual    {}",
                difference.path, difference.place.line, difference.expected, difference.actual,
            ));
        }
        text
    }
}

pub(super) fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

fn seconds(took: Duration) -> String {
    format!("{}.{:03}", took.as_secs(), took.subsec_millis())
}

/// As text or attribute of XML 1.0; characters that it cannot hold are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_holds_any_text() {
        assert_eq!(escaped("a < \"b\" & c > \u{1}d\n"), "a &lt; &quot;b&quot; &amp; c &gt; d&#10;");
    }
}
