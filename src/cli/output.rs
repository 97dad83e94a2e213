//! How commands speak: tables for people, JSON for programs, and nothing raw that a terminal acts on.

use std::io::Write;

use comfy_table::presets;
use serde::Serialize;
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

    /// One JSON document on a line of its own.
    pub(super) fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        writeln!(self.out, "{}", serde_json::to_string(value)?)?;
        Ok(())
    }

    /// A line for people.
    pub(super) fn line(&mut self, text: &str) -> anyhow::Result<()> {
        writeln!(self.out, "{}", harmless(text))?;
        Ok(())
    }

    /// A line for people that programs do not get.
    pub(super) fn remark(&mut self, text: &str) -> anyhow::Result<()> {
        if self.json { Ok(()) } else { self.line(text) }
    }

    /// What a command did: a sentence for people, a document for programs.
    pub(super) fn done(&mut self, sentence: &str, value: &Value) -> anyhow::Result<()> {
        if self.json { self.json(value) } else { self.line(sentence) }
    }

    /// The fields of one thing: lines for people, without those that are empty.
    pub(super) fn fields(&mut self, value: &Value) -> anyhow::Result<()> {
        let Value::Object(fields) = value else { return self.json(value) };
        if self.json {
            return self.json(value);
        }
        for (name, value) in fields {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                Value::Array(parts) => {
                    parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
                }
                other => other.to_string(),
            };
            self.line(&format!("{name:<14} {text}"))?;
        }
        Ok(())
    }

    /// A table for people.
    pub(super) fn table(&mut self, table: &Table) -> anyhow::Result<()> {
        for line in table.0.lines() {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
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
