//! The declared form, described: as a JSON Schema for editors and as the field tables of the reference.

use serde_json::{Map, Value as Json, json};

use super::form::FileSection;
use super::read::{Presence, Section, SectionInfo, Value};

/// Every section, each once, in the order in which a reader meets them.
fn sections() -> Vec<SectionInfo> {
    let mut sections = Vec::new();
    FileSection::sections(&mut sections);
    sections
}

/// The JSON Schema (draft 2020-12) of a program file, indented, with a line feed at its end.
pub fn schema() -> String {
    let defs = sections().into_iter().map(|section| (section.title.replace(' ', "_"), schema_of(&section)));
    let root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Guerdon program",
        "description": "A program file. `guerdon check FILE` checks more than this schema can say.",
        "$ref": format!("#/$defs/{}", FileSection::TITLE),
        "$defs": defs.collect::<Map<String, Json>>(),
    });
    format!("{root:#}\n")
}

fn schema_of(section: &SectionInfo) -> Json {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in &section.fields {
        let mut schema = field.schema.clone();
        if let Some(fields) = schema.as_object_mut() {
            let note = match field.presence {
                Presence::Required => String::new(),
                Presence::Default(text) => format!(" Default: {text}."),
                Presence::Without(what) => format!(" Without it: {what}."),
            };
            fields.insert("description".to_owned(), Json::String(format!("{}{note}", field.doc)));
        }
        if matches!(field.presence, Presence::Required) {
            required.push(field.name);
        }
        properties.insert(field.name.to_owned(), schema);
    }
    let mut schema = json!({
        "type": "object",
        "description": section.doc,
        "properties": properties,
        "additionalProperties": false,
    });
    if let Some(fields) = schema.as_object_mut() {
        if !required.is_empty() {
            fields.insert("required".to_owned(), json!(required));
        }
        if section.choice {
            fields.insert("minProperties".to_owned(), json!(1));
            fields.insert("maxProperties".to_owned(), json!(1));
        }
    }
    schema
}

/// The field tables of `docs/PROGRAM.md`, as Markdown.
pub fn reference() -> String {
    let mut text = String::new();
    for section in sections() {
        text.push_str(&format!("### {}\n\n{}\n\n", section.title, section.doc));
        text.push_str("| field | what to write | without it | meaning |\n|---|---|---|---|\n");
        for field in &section.fields {
            let absent = match field.presence {
                Presence::Required => "**required**".to_owned(),
                Presence::Default(text) => format!("`{text}`"),
                Presence::Without(what) => what.to_owned(),
            };
            let cells = [format!("`{}`", field.name), field.phrase.clone(), absent, field.doc.clone()];
            let cells = cells.map(|cell| cell.replace('|', "\\|"));
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        text.push('\n');
    }
    text.push_str(&super::cel::reference());
    text
}
