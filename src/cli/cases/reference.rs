//! What steps and expectations can say: from the contract itself, so that it is never out of date.

use std::io::{self, Write};

use super::expect::answer_fields;
use super::request::step_fields;
use super::steps::{StepWord, lookups, steps};
use super::words::{Field, Sort, fields, one_of, snake};

/// Prints all steps, or the fields of one; whether there is such a step.
pub(super) fn print(step: &str, out: &mut dyn Write) -> io::Result<bool> {
    if step.is_empty() {
        writeln!(out, "Steps (`guerdon test --fields STEP` shows what each can say):")?;
        let rows = steps().iter().map(|step| (&step.word, &step.about));
        table(rows.collect(), out)?;
        writeln!(out, "\nExpectations after any step, beside the answer of its own:")?;
        let rows = lookups().iter().map(|lookup| (&lookup.word, &lookup.about));
        table(rows.collect(), out)?;
        return Ok(true);
    }
    let Some(found) = steps().iter().find(|known| known.word == step) else {
        let known: Vec<&str> = steps().iter().map(|step| step.word.as_str()).collect();
        writeln!(out, "there is no step `{step}`; write {}", one_of(&known))?;
        return Ok(false);
    };
    one(found, out)?;
    Ok(true)
}

fn table(rows: Vec<(&String, &String)>, out: &mut dyn Write) -> io::Result<()> {
    let width = rows.iter().map(|(word, _)| word.len()).max().unwrap_or(0) + 2;
    rows.iter().try_for_each(|(word, about)| writeln!(out, "  {word:<width$}{about}"))
}

fn one(step: &StepWord, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}: {}. Its own word alone means `{}`.\n", step.word, step.about, step.main)?;
    let mut messages = Vec::new();
    for field in step_fields(step).iter().filter(|field| field.name != "explain") {
        line(&field.name, field, out)?;
        note(field, &mut messages);
    }
    writeln!(out, "\n`expect` after it:\n")?;
    for (name, field) in answer_fields(step) {
        line(&name, &field, out)?;
        note(&field, &mut messages);
    }
    let mut at = 0;
    // Messages name further ones; there are as many as the contract has.
    while let Some(field) = messages.get(at).cloned() {
        at += 1;
        let Sort::Message(message) = &field.sort else { continue };
        writeln!(out, "\n{}:\n", snake(message.name()).replace('_', " "))?;
        for field in fields(message) {
            line(&field.name, &field, out)?;
            note(&field, &mut messages);
        }
    }
    Ok(())
}

fn note(field: &Field, messages: &mut Vec<Field>) {
    let Sort::Message(message) = &field.sort else { return };
    let known = messages.iter().any(|known| matches!(&known.sort, Sort::Message(other) if other == message));
    if !known && field.values_of_map().is_none() {
        messages.push(field.clone());
    }
}

fn line(name: &str, field: &Field, out: &mut dyn Write) -> io::Result<()> {
    let phrase = if field.is_list() { format!("list, each {}", field.phrase()) } else { field.phrase() };
    let about = field.about();
    let first = about.split(". ").next().unwrap_or_default().trim_end_matches('.');
    writeln!(out, "  {name:<20}{phrase}{}{first}", if first.is_empty() { "" } else { " -- " })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_tells_its_fields() {
        for step in steps() {
            let mut out = Vec::new();
            assert!(print(&step.word, &mut out).expect("printed"), "{}", step.word);
            let text = String::from_utf8(out).expect("UTF-8");
            assert!(text.contains("member") && text.contains("`expect` after it"), "{text}");
        }
        // Bug: words longer than their column ran into what is said of them.
        let mut out = Vec::new();
        assert!(print("", &mut out).expect("printed"));
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(text.contains("  create_account  "), "{text}");
        let mut out = Vec::new();
        assert!(!print("nothing", &mut out).expect("printed"));
    }
}
