//! How commands speak: tables for people, JSON for programs, and nothing raw that a terminal acts on.

use std::fmt::Write as _;
use std::io::Write;

use comfy_table::presets;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

use crate::telemetry::write_escaped;

/// Where a command prints, and in which form.
pub(super) struct Printer<'w> {
    out: &'w mut dyn Write,
    json: bool,
}

impl<'w> Printer<'w> {
    pub(super) fn new(out: &'w mut dyn Write, json: bool) -> Self {
        Self { out, json }
    }

    /// Whether programs read this.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// One JSON document on a line of its own; it may be read on a terminal all the same.
    pub(super) fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        writeln!(self.out, "{}", harmless_json(&serde_json::to_string(value)?))?;
        Ok(())
    }

    /// Octets that are harmless already, as they stand.
    pub(super) fn raw(&mut self, octets: &[u8]) -> anyhow::Result<()> {
        self.out.write_all(octets)?;
        Ok(())
    }

    /// A line for people.
    pub(super) fn line(&mut self, text: &str) -> anyhow::Result<()> {
        writeln!(self.out, "{}", harmless(text))?;
        Ok(())
    }

    /// What a command did: a sentence for people, a document for programs.
    pub(super) fn done(&mut self, sentence: &str, value: &impl Serialize) -> anyhow::Result<()> {
        if self.json { self.json(value) } else { self.line(sentence) }
    }

    /// One thing: its fields as lines for people, without those that are empty.
    pub(super) fn fields(&mut self, fields: &Fields) -> anyhow::Result<()> {
        if self.json {
            return self.json(fields);
        }
        let set = fields.0.iter().filter_map(|(name, value)| Some((name, shown(value)?)));
        for (name, text) in set {
            self.line(&format!("{name:<14} {text}"))?;
        }
        Ok(())
    }

    /// Things of one kind: a table for people, an array for programs.
    pub(super) fn list(&mut self, rows: &[Fields], table: &Table) -> anyhow::Result<()> {
        if self.json { self.json(&rows) } else { self.table(table) }
    }

    /// A table for people.
    pub(super) fn table(&mut self, table: &Table) -> anyhow::Result<()> {
        for line in table.0.lines() {
            // The library's margin is no part of the first column.
            let line = line.strip_prefix(' ').unwrap_or(&line).trim_end();
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }
}

/// The columns of one thing by name, in the order in which they are shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// The columns, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(&'static str, Value)> {
        self.0.iter()
    }

    /// Columns that hold text or nothing.
    pub(super) fn with_texts<'t>(
        mut self,
        texts: impl IntoIterator<Item = (&'static str, Option<&'t str>)>,
    ) -> Self {
        self.0.extend(texts.into_iter().map(|(name, text)| (name, text.into())));
        self
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        fields.0.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// A value for people; nothing where there is nothing to say.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Array(parts) if parts.is_empty() => None,
        Value::Array(parts) => Some(parts.iter().filter_map(shown).collect::<Vec<_>>().join(", ")),
        Value::Bool(true) => Some("yes".to_owned()),
        Value::Bool(false) => Some("no".to_owned()),
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Rows under headings, without lines, so that they can be cut and grepped.
pub(super) struct Table(comfy_table::Table);

impl Table {
    pub(super) fn new(headings: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::NOTHING)
            .set_header(headings.iter().map(|text| text.to_uppercase()));
        Self(table)
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.add_row(cells.into_iter().map(|cell| harmless(&cell)));
    }
}

/// Text with every character that a terminal would act on written out.
pub(super) fn harmless(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    // Writing into a string does not fail.
    let _ = write_escaped(&mut clean, text);
    clean
}

/// The same JSON with the characters that a terminal would act on in JSON's own escapes; outside
/// of strings there are none.
fn harmless_json(json: &str) -> String {
    let mut clean = String::with_capacity(json.len());
    let mut utf8 = [0; 4];
    let mut utf16 = [0; 2];
    for character in json.chars() {
        let text = character.encode_utf8(&mut utf8);
        if harmless(text) == *text {
            clean.push_str(text);
            continue;
        }
        for unit in character.encode_utf16(&mut utf16) {
            // Writing into a string does not fail.
            let _ = write!(clean, "\\u{unit:04x}");
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[2J\u{202e}b\u{9b}\u{e0001}\n";

    fn printed(json: bool, print: impl FnOnce(&mut Printer<'_>) -> anyhow::Result<()>) -> String {
        let mut out = Vec::new();
        print(&mut Printer::new(&mut out, json)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nothing_that_a_terminal_acts_on_is_printed_raw() {
        let fields = || Fields::default().with("note", HOSTILE).with("id", 7).with("no", ());
        let mut table = Table::new(&["note"]);
        table.row([HOSTILE.to_owned()]);
        for text in [
            printed(false, |printer| printer.line(HOSTILE)),
            printed(false, |printer| printer.fields(&fields())),
            printed(false, |printer| printer.table(&table)),
            printed(true, |printer| printer.fields(&fields())),
        ] {
            let rest = text.replace('\n', "");
            assert!(rest.chars().all(|character| !character.is_control()), "{text:?}");
            assert!(!rest.contains('\u{202e}'), "{text:?}");
        }
    }

    #[test]
    fn json_keeps_the_value_and_the_order() {
        let fields = Fields::default().with("note", HOSTILE).with("id", 7).with("email", ());
        let text = printed(true, |printer| printer.fields(&fields));
        assert!(text.starts_with("{\"note\":\"a\\u001b[2J\\u202eb\\u009b"), "{text}");
        assert!(text.ends_with("\"id\":7,\"email\":null}\n"), "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["note"], HOSTILE);
    }
}
