//! Takes settings one by one, typed, and remembers every problem and every effective value.

use std::collections::BTreeMap;

use serde_json::Value;

use super::keys::{self, Shape};
use super::problem::{Fault, Origin, Problem};
use super::source::Settings;

/// One key with what holds and why; a secret is redacted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Effective {
    /// The key.
    pub key: &'static str,
    /// Its value; `null` where nothing holds.
    pub value: Value,
    /// Where the value comes from.
    pub origin: Origin,
}

/// Reads typed values out of the settings.
pub(super) struct Reader {
    settings: Settings,
    problems: Vec<Problem>,
    effective: BTreeMap<&'static str, Effective>,
}

impl Reader {
    pub(super) fn new(settings: Settings, problems: Vec<Problem>) -> Self {
        Self { settings, problems, effective: BTreeMap::new() }
    }

    /// The key's value. What does not parse is a problem, and the default stands in so that reading
    /// goes on; `None` where there is no default.
    pub(super) fn one<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let Some(setting) = self.settings.get(key).cloned() else {
            self.show(key, Value::Null, Origin::Default);
            return None;
        };
        let text = setting.items.first()?;
        match parse(text) {
            Ok(value) => {
                self.show(key, shown(key, text), setting.origin);
                Some(value)
            }
            Err(fault) => {
                self.problem(key, fault);
                parse(self.settings.default_of(key)?.first()?).ok()
            }
        }
    }

    /// The key's list. Each item that does not parse is a problem of its own and is left out.
    pub(super) fn many<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Vec<T> {
        let Some(setting) = self.settings.get(key).cloned() else {
            self.show(key, Value::Null, Origin::Default);
            return Vec::new();
        };
        let mut values = Vec::new();
        for item in &setting.items {
            match parse(item) {
                Ok(value) => values.push(value),
                Err(fault) => self.problem(key, fault),
            }
        }
        self.show(key, Value::from(setting.items), setting.origin);
        values
    }

    /// Whether an operator set the key, rightly or wrongly.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.place(key).is_some()
    }

    /// Where the key's value comes from.
    pub(super) fn origin(&self, key: &str) -> Origin {
        self.place(key).unwrap_or(Origin::Default)
    }

    /// Whether an operator gave the key something, rightly or wrongly; an empty list is nothing.
    pub(super) fn is_filled(&self, key: &str) -> bool {
        self.settings.get(key).is_some_and(|setting| !setting.items.is_empty())
    }

    /// Records a fault of a key, at the place that sets it.
    pub(super) fn problem(&mut self, key: &str, fault: Fault) {
        let place = self.place(key);
        self.problems.push(Problem { place, key: Some(key.to_owned()), fault });
    }

    /// Records what holds for a key.
    pub(super) fn show(&mut self, key: &'static str, value: Value, origin: Origin) {
        self.effective.insert(key, Effective { key, value, origin });
    }

    /// Everything found: the problems, and what holds in the order of the table.
    pub(super) fn finish(mut self) -> (Vec<Problem>, Vec<Effective>) {
        let effective =
            keys::KEYS.iter().filter_map(|key| self.effective.remove(key.name)).collect();
        (self.problems, effective)
    }

    fn place(&self, key: &str) -> Option<Origin> {
        let origin = self.settings.get(key)?.origin.clone();
        (origin != Origin::Default).then_some(origin)
    }
}

fn shown(key: &str, text: &str) -> Value {
    match keys::find(key).map(|key| key.shape) {
        Some(Shape::Boolean) => Value::Bool(text == "true"),
        _ => Value::from(text),
    }
}
