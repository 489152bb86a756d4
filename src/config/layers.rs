//! The three places that settings come from, read into raw text with its origin.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::table::{CONFIG, SETTINGS, Setting};
use super::{Fault, Secret, VARIABLE_PREFIX};

/// The environment as a value, so that tests pass their own.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// The variables of this process that begin with `GUERDON_`.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn of_process() -> Environment {
        let ours = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok()?;
            name.starts_with(VARIABLE_PREFIX).then_some((name, value))
        };
        Environment(std::env::vars_os().filter_map(ours).collect())
    }
}

impl Environment {
    /// What clients show a server: no setting of one.
    pub fn key(&self) -> Option<Secret> {
        self.0.get(KEY).and_then(|value| value.to_str()).map(Secret::new)
    }
}

/// For the commands that are clients.
const KEY: &str = "GUERDON_KEY";

impl<'a> FromIterator<(&'a str, &'a str)> for Environment {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Environment {
        Environment(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
    }
}

/// Where a value was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    Flag(String),
    Variable(String),
    File { file: String, line: usize, key: String },
    Default(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(flag) => f.write_str(flag),
            Origin::Variable(name) => f.write_str(name),
            Origin::File { file, line, key } => write!(f, "{file}:{line}: {key}"),
            Origin::Default(key) => write!(f, "the default of {key}"),
        }
    }
}

/// What was written for one setting; several values only where a setting takes many.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) origin: Origin,
    pub(super) values: Vec<String>,
}

/// What was written, by key, after precedence.
#[derive(Debug, Default)]
pub(super) struct Layers {
    raw: BTreeMap<&'static str, Raw>,
    pub(super) warnings: Vec<String>,
}

impl Layers {
    /// Lowest first: file, environment, flags.
    pub(super) fn read(
        flags: &BTreeMap<&'static str, Vec<String>>,
        environment: &Environment,
        faults: &mut Vec<Fault>,
    ) -> Layers {
        let mut layers = Layers::default();
        layers.environment(environment, faults);
        for setting in SETTINGS {
            if let Some(values) = flags.get(setting.key) {
                let origin = Origin::Flag(setting.flag());
                layers.raw.insert(setting.key, Raw { origin, values: values.clone() });
            }
        }
        let file = layers.raw.get(CONFIG.key).and_then(|raw| Some((raw.origin.clone(), raw.values.last()?.clone())));
        if let Some((origin, path)) = file {
            layers.file(&origin, &path, faults);
        }
        layers
    }

    pub(super) fn get(&self, setting: &Setting) -> Option<&Raw> {
        self.raw.get(setting.key)
    }

    fn environment(&mut self, environment: &Environment, faults: &mut Vec<Fault>) {
        for (name, value) in environment.0.iter().filter(|(name, _)| *name != KEY) {
            let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == *name) else {
                // An orchestrator may set variables of its own for a service named guerdon: no fault.
                self.warnings.push(format!("the variable {name} is no setting and has no effect"));
                continue;
            };
            let Some(text) = value.to_str() else {
                faults.push(Fault::new(name.clone(), None, "is not UTF-8", "set it to plain text"));
                continue;
            };
            let values = match setting.many {
                true => text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect(),
                false => vec![text.to_owned()],
            };
            self.raw.insert(setting.key, Raw { origin: Origin::Variable(name.clone()), values });
        }
    }

    /// Adds what the file says where nothing above it spoke.
    fn file(&mut self, named_by: &Origin, path: &str, faults: &mut Vec<Fault>) {
        let text = match read(Path::new(path)) {
            Ok(text) => text,
            Err(problem) => {
                faults.push(Fault::new(named_by.to_string(), Some(path.to_owned()), problem, "name a readable file"));
                return;
            }
        };
        let table = match DeTable::parse(&text) {
            Ok(table) => table,
            Err(error) => {
                let line = line_of(&text, error.span().map_or(0, |span| span.start));
                let problem = format!("is not TOML: {}", error.message());
                faults.push(Fault::new(format!("{path}:{line}"), None, problem, "mend the line"));
                return;
            }
        };
        for (key, value) in table.get_ref() {
            let line = line_of(&text, key.span().start);
            let key = key.get_ref().as_ref();
            let known = SETTINGS.iter().find(|setting| setting.key == key && setting.key != CONFIG.key);
            let origin = Origin::File { file: path.to_owned(), line, key: key.to_owned() };
            let Some(setting) = known else {
                faults.push(Fault::new(origin.to_string(), None, "is no setting", nearest(key)));
                continue;
            };
            match values_of(setting, value) {
                Ok(values) if !self.raw.contains_key(setting.key) => {
                    self.raw.insert(setting.key, Raw { origin, values });
                }
                Ok(_) => {}
                Err(remedy) => faults.push(Fault::new(origin.to_string(), None, "has the wrong type", remedy)),
            }
        }
    }
}

const FILE_BYTES_MAX: u64 = 1 << 20;

fn read(path: &Path) -> Result<String, String> {
    let meta = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !meta.is_file() || FILE_BYTES_MAX < meta.len() {
        return Err(format!("is not a file of at most {FILE_BYTES_MAX} bytes"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))
}

/// Values as text, because every place is read by the same rules.
fn values_of(setting: &Setting, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, &'static str> {
    match (value.get_ref(), setting.many) {
        (DeValue::Array(items), true) => items.iter().map(|item| scalar(item.get_ref())).collect(),
        (scalar_value, true) => Ok(vec![scalar(scalar_value).map_err(|_| "write a list of strings")?]),
        (scalar_value, false) => Ok(vec![scalar(scalar_value)?]),
    }
}

fn scalar(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            Err("write a string or a whole number")
        }
    }
}

/// Counts from 1.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

fn nearest(key: &str) -> String {
    let best = SETTINGS
        .iter()
        .map(|setting| (strsim::damerau_levenshtein(key, setting.key), setting.key))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    match best {
        Some((_, near)) => format!("did you mean `{near}`? Else remove it"),
        None => "remove it, or see docs/SETTINGS.md for the names".to_owned(),
    }
}
