//! The JSON Schema of case files, for editors: from the contract itself, like the fields that it describes.

use std::collections::BTreeMap;

use prost_reflect::MessageDescriptor;
use serde_json::{Map, Value as Json, json};

use super::expect::{answer_fields, error_words};
use super::file::{CASES_MAX, STEPS_MAX};
use super::readable::BECAUSE;
use super::request::step_fields;
use super::steps::{StepWord, lookups, main_of, steps};
use super::words::{Field, Sort, fields, method, words_of};

/// What a single value may be in YAML; texts that look like numbers need no quotes.
fn scalar() -> Json {
    json!({ "type": ["string", "number", "boolean"] })
}

/// The schema, as it is printed.
pub(super) fn schema() -> String {
    let mut defs = Defs::default();
    let each = steps().iter().map(|step| step_of(step, &mut defs));
    let mut alternatives: Vec<Json> = each.collect();
    alternatives.push(passing(&mut defs));
    let steps_of = json!({ "type": "array", "items": { "$ref": "#/$defs/step" }, "maxItems": STEPS_MAX });
    let enroll = steps().iter().find(|step| step.word == "enroll");
    let mut given = enroll.map(|step| request_fields(step, &mut defs)).unwrap_or_default();
    given.remove("member");
    given.insert("units".to_owned(), json!({ "type": "object", "additionalProperties": { "type": "integer" } }));
    let given = json!({ "anyOf": [{ "type": "null" }, object(given)] });
    let case = json!({
        "type": "object",
        "required": ["name", "steps"],
        "additionalProperties": false,
        "properties": {
            "name": { "type": "string", "description": "What the case shows, in words." },
            "at": { "type": "string", "description": "When it begins, by the clock of the program's zone." },
            "member": described(scalar(), "Whose steps they are when a step does not say."),
            "given": {
                "type": "object",
                "additionalProperties": false,
                "description": "What is there from the beginning.",
                "properties": {
                    "members": { "type": "object", "additionalProperties": given },
                    "history": steps_of.clone(),
                },
            },
            "steps": steps_of,
        },
    });
    let mut named: BTreeMap<String, Json> = defs.done;
    named.insert("step".to_owned(), json!({ "anyOf": alternatives }));
    named.insert("case".to_owned(), case);
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Guerdon cases",
        "description": "Tests of a program: docs/CASES.md.",
        "type": "object",
        "required": ["cases"],
        "additionalProperties": false,
        "properties": {
            "program": { "type": "string", "description": "The path of the program file, when it is not beside this one." },
            "at": { "type": "string", "description": "When cases begin that do not say it." },
            "member": described(scalar(), "Whose steps they are when neither case nor step says."),
            "cases": { "type": "array", "items": { "$ref": "#/$defs/case" }, "minItems": 1, "maxItems": CASES_MAX },
        },
        "$defs": named,
    });
    format!("{schema:#}\n")
}

/// Messages that are described once: as requests write them, and as expectations do.
#[derive(Default)]
struct Defs {
    done: BTreeMap<String, Json>,
}

impl Defs {
    /// A reference to what `build` gives, which is built once; messages may contain each other.
    fn reference(&mut self, name: String, build: impl FnOnce(&mut Defs) -> Json) -> Json {
        let reference = json!({ "$ref": format!("#/$defs/{name}") });
        if !self.done.contains_key(&name) {
            self.done.insert(name.clone(), Json::Null);
            let built = build(self);
            self.done.insert(name, built);
        }
        reference
    }
}

fn described(schema: Json, about: &str) -> Json {
    let first = about.split(". ").next().unwrap_or_default().trim_end_matches('.');
    match (schema, first) {
        (schema, "") => schema,
        // Beside a reference, a description is allowed.
        (Json::Object(mut fields), first) => {
            fields.insert("description".to_owned(), format!("{first}.").into());
            Json::Object(fields)
        }
        (other, _) => other,
    }
}

fn object(properties: Map<String, Json>) -> Json {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// A step that does something.
fn step_of(step: &StepWord, defs: &mut Defs) -> Json {
    let asked = json!({ "anyOf": [{ "type": "null" }, scalar(), object(request_fields(step, defs))] });
    let mut expected = looked_up(defs);
    for (name, field) in answer_fields(step) {
        expected.insert(name, described(expectation(&field, defs), &field.about()));
    }
    if expected.contains_key("effects") {
        let units = json!({ "type": "object", "additionalProperties": leaf(&Sort::Whole, defs) });
        let earned = json!({ "anyOf": [{ "enum": ["none"] }, units] });
        expected.insert("earned".to_owned(), described(earned, "Units that are granted, by unit"));
    }
    let reasons = error_words();
    expected
        .insert("error".to_owned(), json!({ "enum": reasons, "description": "The call fails, and for this reason." }));
    let mut properties = modifiers();
    properties.insert("as".to_owned(), json!({ "type": "string", "description": "Keeps the answer under this name." }));
    properties.insert("expect".to_owned(), object(expected));
    properties.insert(step.word.clone(), described(asked, &step.about));
    json!({ "type": "object", "required": [step.word], "properties": properties, "additionalProperties": false })
}

/// A step in which only time passes.
fn passing(defs: &mut Defs) -> Json {
    let mut properties = modifiers();
    properties.insert("expect".to_owned(), object(looked_up(defs)));
    object(properties)
}

fn modifiers() -> Map<String, Json> {
    let mut properties = Map::new();
    properties.insert(
        "at".to_owned(),
        json!({ "type": "string", "description": "When it happens: an instant, or a time of the same day." }),
    );
    properties.insert(
        "wait".to_owned(),
        json!({ "type": "string", "description": "How long after the step before: `15 days`." }),
    );
    properties
}

/// What every expectation can look at.
fn looked_up(defs: &mut Defs) -> Map<String, Json> {
    let mut found = Map::new();
    for lookup in lookups() {
        let Some(answer) = method(&lookup.method).map(|method| method.output()) else { continue };
        let by_key = defs.reference(format!("at.{}", lookup.word), |defs| {
            let value = at_path(&answer, &lookup.path, defs);
            described(json!({ "type": "object", "additionalProperties": value }), &lookup.about)
        });
        found.insert(lookup.word.clone(), by_key);
    }
    found
}

fn at_path(message: &MessageDescriptor, path: &[String], defs: &mut Defs) -> Json {
    let Some((first, rest)) = path.split_first() else { return expected_message(message, defs) };
    let field = fields(message).into_iter().find(|field| field.raw.name() == *first);
    match (field, rest) {
        (Some(field), []) => expectation(&field, defs),
        (Some(Field { sort: Sort::Message(inner), .. }), rest) => at_path(&inner, rest, defs),
        _ => json!({}),
    }
}

/// The fields that a step is written with.
fn request_fields(step: &StepWord, defs: &mut Defs) -> Map<String, Json> {
    let mut properties = Map::new();
    for field in step_fields(step).iter().filter(|field| field.name != "explain") {
        properties.insert(field.name.clone(), described(asked(field, defs), &field.about()));
    }
    properties
}

/// A field of a request.
fn asked(field: &Field, defs: &mut Defs) -> Json {
    if let Some(values) = field.values_of_map() {
        return json!({ "type": "object", "additionalProperties": asked_value(&values, defs) });
    }
    let value = asked_value(field, defs);
    match (field.is_list(), &field.sort) {
        (false, _) => value,
        (true, Sort::Message(_)) => {
            let keyed =
                json!({ "type": "object", "additionalProperties": { "anyOf": [scalar(), { "type": "object" }] } });
            json!({ "anyOf": [{ "type": "array", "items": value }, keyed] })
        }
        (true, _) => json!({ "type": "array", "items": value }),
    }
}

fn asked_value(field: &Field, defs: &mut Defs) -> Json {
    let Sort::Message(message) = &field.sort else { return value_of(&field.sort) };
    let reference = defs.reference(format!("asked.{}", message.name()), |defs| {
        let each = fields(message);
        let properties = each.iter().map(|field| (field.name.clone(), described(asked(field, defs), &field.about())));
        object(properties.collect())
    });
    // A birthday may be written as a day.
    if message.name() == "Birthday" { json!({ "anyOf": [{ "type": "string" }, reference] }) } else { reference }
}

/// One value as it is written.
fn value_of(sort: &Sort) -> Json {
    match sort {
        Sort::Text => scalar(),
        Sort::Flag => json!({ "type": "boolean" }),
        Sort::Whole => json!({ "type": "integer" }),
        Sort::Minor | Sort::Money => json!({ "type": ["string", "number"] }),
        Sort::Instant | Sort::Length => json!({ "type": "string" }),
        Sort::Word(words) => json!({ "enum": words_of(words) }),
        Sort::Json | Sort::Message(_) => json!({}),
    }
}

/// A field of an answer, as an expectation writes it.
fn expectation(field: &Field, defs: &mut Defs) -> Json {
    if let Some(values) = field.values_of_map() {
        let values = json!({ "type": "object", "additionalProperties": expected_value(&values, defs) });
        return json!({ "anyOf": [present(), values] });
    }
    let value = expected_value(field, defs);
    if !field.is_list() {
        return value;
    }
    let (name, by_key) = match &field.sort {
        // By the first field of each.
        Sort::Message(message) => {
            let first = fields(message).into_iter().next();
            (message.name().to_owned(), first.is_some_and(|first| !matches!(first.sort, Sort::Message(_))))
        }
        Sort::Word(words) => (words.name().to_owned(), false),
        sort => (format!("{sort:?}").to_lowercase(), false),
    };
    defs.reference(format!("list.{name}"), |_| {
        let items = json!({ "type": "array", "items": value });
        let only = |test: &str, of: Json| {
            json!({ "type": "object", "required": [test], "properties": { test: of }, "additionalProperties": false })
        };
        let mut ways = vec![present(), items.clone(), only("exactly", items), only("count", json!({ "type": "integer" }))];
        ways.extend(by_key.then(|| json!({ "type": "object", "additionalProperties": value })));
        ways.push(value);
        json!({ "anyOf": ways })
    })
}

/// Something is there, or nothing.
fn present() -> Json {
    json!({ "enum": ["any", "none"] })
}

fn expected_value(field: &Field, defs: &mut Defs) -> Json {
    match &field.sort {
        Sort::Message(message) => expected_message(message, defs),
        Sort::Json => json!({}),
        sort => leaf(sort, defs),
    }
}

fn expected_message(message: &MessageDescriptor, defs: &mut Defs) -> Json {
    defs.reference(format!("expected.{}", message.name()), |defs| {
        let each = fields(message);
        let properties = each.iter().map(|field| (field.name.clone(), expectation(field, defs)));
        let mut properties: Map<String, Json> = properties.collect();
        if message.name() == "ExplainRule" {
            properties.insert(BECAUSE.to_owned(), json!({ "description": "Names of conditions that did not hold." }));
        }
        let by_look =
            each.iter().any(|field| field.raw.containing_oneof().is_some_and(|choice| !choice.is_synthetic()));
        let single = main_of(message.name()).is_some() || by_look;
        let mut ways = vec![present(), object(properties)];
        ways.extend(single.then(scalar));
        json!({ "anyOf": ways })
    })
}

/// One value, or what it must be like.
fn leaf(sort: &Sort, defs: &mut Defs) -> Json {
    let name = match sort {
        Sort::Text => "text",
        Sort::Flag => "flag",
        Sort::Whole => "whole",
        Sort::Minor | Sort::Money => "amount",
        Sort::Instant | Sort::Length => "time",
        Sort::Word(words) => words.name(),
        Sort::Json | Sort::Message(_) => return json!({}),
    };
    defs.reference(format!("is.{name}"), |_| {
        let value = value_of(sort);
        let tests = json!({
            "type": "object",
            "minProperties": 1,
            "properties": { "at_least": value, "at_most": value, "not": value, "contains": scalar() },
            "additionalProperties": false,
        });
        json!({ "anyOf": [value, present(), tests] })
    })
}
