//! The layers of settings: the environment over the file over the defaults.
//!
//! Everything is text here; what a value means is in `parse`. Unknown names are found here, so that
//! a misspelt setting never means "the default".

use std::collections::BTreeMap;

use config::{FileFormat, Value, ValueKind};
use toml::de::{DeTable, DeValue};

use super::file::SourceFile;
use super::keys::{self, Fallback, KEYS, Key, Shape, VARIABLE_PREFIX};
use super::problem::{Fault, Origin, Problem, Warning};

/// The environment, as far as it is text.
pub type Environment = BTreeMap<String, String>;

/// This process's environment. What is not UTF-8 is taken with replacement characters: a setting of
/// ours then fails to parse instead of vanishing.
pub fn environment() -> Environment {
    std::env::vars_os()
        .map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        })
        .collect()
}

/// One setting as text, with its place.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// One item, or those of a list.
    pub(super) items: Vec<String>,
    /// Where it stands.
    pub(super) origin: Origin,
}

/// Every key that has a value: from the environment, else the file, else the default.
pub(super) struct Settings {
    values: BTreeMap<&'static str, Setting>,
    defaults: Value,
}

impl Settings {
    /// Lays the environment over the file over the defaults, and collects what is not a setting.
    pub(super) fn collect(
        file: Option<&SourceFile>,
        env: &Environment,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let lines = file.map_or_else(BTreeMap::new, |file| known_lines(file, problems));
        let variables = known_variables(env, problems);
        let defaults = layered(None, &BTreeMap::new());
        let text = file.filter(|_| !lines.is_empty()).map(|file| file.text.as_str());
        let tree = layered(text, &variables);
        let mut settings = Self { values: BTreeMap::new(), defaults };
        for key in KEYS {
            let Some(value) = lookup(&tree, key.name) else { continue };
            let origin = if variables.contains_key(key.name) {
                Origin::Variable(key.variable())
            } else if let (Some(file), Some(line)) = (file, lines.get(key.name)) {
                Origin::File { path: file.path.clone(), line: Some(*line) }
            } else {
                Origin::Default
            };
            match items(key, value, &origin) {
                Ok(items) => {
                    settings.values.insert(key.name, Setting { items, origin });
                }
                Err(fault) => {
                    problems.push(Problem {
                        place: Some(origin),
                        key: Some(key.name.to_owned()),
                        fault,
                    });
                    if let Some(items) = settings.default_of(key.name) {
                        let origin = Origin::Default;
                        settings.values.insert(key.name, Setting { items, origin });
                    }
                }
            }
        }
        settings
    }

    /// The setting, if the key has a value at all.
    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.values.get(key)
    }

    /// The default's text, if the key has one.
    pub(super) fn default_of(&self, key: &str) -> Option<Vec<String>> {
        let key = keys::find(key)?;
        items(key, lookup(&self.defaults, key.name)?, &Origin::Default).ok()
    }
}

/// The lines of the keys that the file sets. What is not a key becomes a problem; a file that is
/// not TOML becomes one problem and sets nothing.
fn known_lines(file: &SourceFile, problems: &mut Vec<Problem>) -> BTreeMap<String, usize> {
    let mut found = Vec::new();
    match DeTable::parse(&file.text) {
        Ok(table) => flatten(table.get_ref(), "", &mut found),
        Err(error) => {
            let offset = error.span().map_or(0, |span| span.start);
            let (line, column) = position(&file.text, offset);
            problems.push(Problem {
                place: None,
                key: None,
                fault: Fault::new(
                    format!(
                        "{}:{line}:{column}: not valid TOML: {}",
                        file.path.display(),
                        error.message()
                    ),
                    "",
                ),
            });
        }
    }
    let mut lines = BTreeMap::new();
    for (name, offset, is_table) in found {
        let (line, _) = position(&file.text, offset);
        let fault = if keys::find(&name).is_some() && !is_table {
            lines.insert(name, line);
            continue;
        } else if keys::find(&name).is_some() {
            Fault::new("is a key and stands here as a section", "")
        } else if keys::is_section(&name) {
            Fault::new("is a section and stands here as a key", "")
        } else {
            Fault::new("no such key", suggestion(&name))
        };
        let origin = Origin::File { path: file.path.clone(), line: Some(line) };
        problems.push(Problem { place: Some(origin), key: Some(name), fault });
    }
    lines
}

/// Every leaf below `table` with its byte offset. A table that is no section of ours is a leaf too.
/// A quoted name with a dot in it is one name, not a path: it gets a spelling that no key has.
fn flatten(table: &DeTable<'_>, prefix: &str, found: &mut Vec<(String, usize, bool)>) {
    for (name, value) in table.iter() {
        let own = name.get_ref();
        let own = if own.contains('.') { format!("{own:?}") } else { own.to_string() };
        let path = if prefix.is_empty() { own } else { format!("{prefix}.{own}") };
        match value.get_ref() {
            DeValue::Table(inner) if keys::is_section(&path) => flatten(inner, &path, found),
            other => {
                let is_table = matches!(other, DeValue::Table(_));
                found.push((path, name.span().start, is_table));
            }
        }
    }
}

/// Line and column of a byte, both counted from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

/// The variables that set a key, by key. A name that looks like a setting and is none is a problem.
fn known_variables(
    env: &Environment,
    problems: &mut Vec<Problem>,
) -> BTreeMap<&'static str, String> {
    let mut known = BTreeMap::new();
    for (name, value) in env.iter().filter(|(name, _)| is_ours(name)) {
        match KEYS.iter().find(|key| key.variable() == *name) {
            Some(key) => {
                known.insert(key.name, value.clone());
            }
            None => problems.push(Problem {
                place: Some(Origin::Variable(name.clone())),
                key: None,
                fault: Fault::new("no such setting", variable_suggestion(name)),
            }),
        }
    }
    known
}

/// Whether a variable claims to be a setting: our prefix in any case, and `__`.
fn is_ours(name: &str) -> bool {
    name.to_ascii_uppercase().starts_with(VARIABLE_PREFIX) && name.contains("__")
}

/// Variables that would set a key if they had `__` where they have `_`: not ours by the rule, and
/// hardly anything else.
pub(super) fn nearly_settings(env: &Environment) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for name in env.keys().filter(|name| !is_ours(name)) {
        for key in KEYS {
            let variable = key.variable();
            if variable.replace("__", "_") == *name {
                warnings.push(Warning::NotASetting { name: name.clone(), meant: variable });
            }
        }
    }
    warnings
}

fn variable_suggestion(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    let variables: Vec<String> = KEYS.iter().map(Key::variable).collect();
    match nearest(&upper, variables.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean {meant}?"),
        None => "certgate config example lists every key".to_owned(),
    }
}

fn suggestion(name: &str) -> String {
    let leaf = name.rsplit('.').next().unwrap_or(name);
    let meant = nearest(name, KEYS.iter().map(|key| key.name))
        .or_else(|| KEYS.iter().find(|key| key.leaf() == leaf).map(|key| key.name));
    match meant {
        Some(meant) => format!("did you mean {meant}?"),
        None => "certgate config example lists every key".to_owned(),
    }
}

/// The candidate that `text` most likely means, if any is near: a third of it may differ.
pub(super) fn nearest<'a>(
    text: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = text.chars().count() / 3;
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(text, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Defaults, file and variables as one tree. The text has been parsed before and the defaults are
/// our own, so that a failure here leaves a tree without values, which then does not start.
fn layered(file: Option<&str>, variables: &BTreeMap<&'static str, String>) -> Value {
    let mut builder = config::Config::builder()
        .add_source(config::File::from_str(&defaults_as_toml(), FileFormat::Toml));
    if let Some(text) = file {
        builder = builder.add_source(config::File::from_str(text, FileFormat::Toml));
    }
    let source = variables.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    builder
        .add_source(config::Environment::default().separator(".").source(Some(source)))
        .build()
        .map_or_else(|_| Value::new(None, ValueKind::Nil), |tree| tree.cache)
}

fn defaults_as_toml() -> String {
    KEYS.iter()
        .filter_map(|key| match key.fallback {
            Fallback::Value(value) => Some(format!("{} = {value}\n", key.name)),
            Fallback::Words { .. } => None,
        })
        .collect()
}

fn lookup<'a>(tree: &'a Value, name: &str) -> Option<&'a Value> {
    name.split('.').try_fold(tree, |node, part| match &node.kind {
        ValueKind::Table(table) => table.get(part),
        _ => None,
    })
}

/// The value's text by the key's shape. In a variable everything is text; in a file a boolean is
/// not quoted and a text is. Empty text is refused everywhere: a variable that an orchestrator left
/// empty must not loosen anything.
fn items(key: &Key, value: &Value, origin: &Origin) -> Result<Vec<String>, Fault> {
    let in_variable = matches!(origin, Origin::Variable(_));
    let items = match (key.shape, &value.kind) {
        (Shape::Boolean, ValueKind::Boolean(value)) => vec![value.to_string()],
        (Shape::Boolean, ValueKind::String(text)) if in_variable => vec![text.clone()],
        (Shape::Boolean, _) => return Err(Fault::new("must be true or false, without quotes", "")),
        (Shape::Text, ValueKind::String(text)) => vec![text.clone()],
        (Shape::Text, _) => return Err(Fault::new("must be one text in quotes", "")),
        (Shape::List | Shape::Names, ValueKind::Array(values)) => {
            values.iter().map(text_of).collect::<Option<_>>().ok_or_else(not_a_list)?
        }
        (shape, ValueKind::String(text)) => {
            if in_variable && text.trim_start().starts_with('[') {
                array_of_text(text)?
            } else if shape == Shape::List {
                text.split(',').map(|item| item.trim().to_owned()).collect()
            } else {
                vec![text.clone()]
            }
        }
        (Shape::List | Shape::Names, _) => return Err(not_a_list()),
    };
    if items.iter().any(|item| item.trim().is_empty()) {
        let remedy = match key.shape {
            Shape::List | Shape::Names => "write [] for none",
            Shape::Boolean | Shape::Text => "leave the key out for its default",
        };
        return Err(Fault::new("is empty", remedy));
    }
    Ok(items)
}

fn text_of(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn not_a_list() -> Fault {
    Fault::new("must be a list of texts", "write [\"one\", \"two\"]")
}

/// Reads a TOML array of text that stands in a variable.
fn array_of_text(text: &str) -> Result<Vec<String>, Fault> {
    let value = DeValue::parse(text.trim())
        .map_err(|error| Fault::new(format!("not a TOML array: {}", error.message()), ""))?;
    let array = value.get_ref().as_array().ok_or_else(not_a_list)?;
    array
        .iter()
        .map(|item| item.get_ref().as_str().map(str::to_owned))
        .collect::<Option<_>>()
        .ok_or_else(not_a_list)
}
