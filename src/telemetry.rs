//! The log: one event is one line on standard error, whatever is in it.
//!
//! Names in a certificate are an attacker's choice. Nothing raw that a terminal or a log reader acts
//! on leaves this room: line ends, control characters and characters that turn the writing direction
//! are escaped here, once, for both formats. It must not be the place that decides what is logged.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{Log, LogFormat};

/// Starts the log of this process, on standard error. May be called once.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    let format = log.format.unwrap_or_else(|| default_format(io::stderr().is_terminal()));
    subscriber(format, &log.filter, io::stderr)?.try_init().map_err(TelemetryError::AlreadyStarted)
}

/// Why the log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// It has been started before.
    #[error("the log has been started already: {0}")]
    AlreadyStarted(TryInitError),
    /// The filter does not parse.
    #[error("the filter does not parse: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
}

/// Whether `log.filter` can be used.
pub fn check_filter(text: &str) -> Result<(), TelemetryError> {
    EnvFilter::builder().parse(text)?;
    Ok(())
}

/// A subscriber that writes events of `filter` to `writer`; apart from [`init`] so that tests can look.
pub fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    writer: W,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(filter)?;
    let registry = tracing_subscriber::registry().with(filter);
    let writer = OneLine { inner: writer, format };
    // No colours in either format: an escape sequence in a log is an attack, never ours.
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
    Ok(match format {
        LogFormat::Json => Box::new(registry.with(layer.json().flatten_event(true))),
        LogFormat::Text => Box::new(registry.with(layer)),
    })
}

/// Writes `text` on one line: what a terminal or log reader would act on becomes `\u{..}`.
pub fn write_escaped(out: &mut dyn fmt::Write, text: &str) -> fmt::Result {
    for character in text.chars() {
        if is_hostile(character) {
            write!(out, "\\u{{{:x}}}", u32::from(character))?;
        } else {
            out.write_char(character)?;
        }
    }
    Ok(())
}

/// JSON for machines, text for people.
fn default_format(is_terminal: bool) -> LogFormat {
    if is_terminal { LogFormat::Text } else { LogFormat::Json }
}

/// C0, DEL and C1 controls, line and paragraph separators, and everything that changes the writing
/// direction or is invisible (Unicode UAX 9; the zero-width characters and the byte order mark).
fn is_hostile(character: char) -> bool {
    if character.is_control() {
        return true;
    }
    matches!(
        character,
        '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// Makes writers that write each event as one line.
struct OneLine<W> {
    inner: W,
    format: LogFormat,
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for OneLine<W> {
    type Writer = OneLineWriter<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        OneLineWriter { inner: self.inner.make_writer(), format: self.format, buffer: Vec::new() }
    }
}

/// Collects one event and writes it when dropped, in one call, with one line end. The collecting makes
/// it independent of how the formatter cuts its writes.
struct OneLineWriter<W: Write> {
    inner: W,
    format: LogFormat,
    buffer: Vec<u8>,
}

impl<W: Write> Write for OneLineWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Drop for OneLineWriter<W> {
    fn drop(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&self.buffer);
        let event = text.strip_suffix('\n').unwrap_or(&text);
        let mut line = String::with_capacity(event.len() + 1);
        for character in event.chars() {
            if !is_hostile(character) {
                line.push(character);
                continue;
            }
            match self.format {
                LogFormat::Json => push_json_escape(&mut line, character),
                LogFormat::Text => line.extend(character.escape_unicode()),
            }
        }
        line.push('\n');
        // A log that cannot be written must not stop an answer, and there is nowhere left to say so.
        let _ = self.inner.write_all(line.as_bytes());
    }
}

/// Inside a JSON string, the only place where such a character stands in a JSON event.
fn push_json_escape(line: &mut String, character: char) {
    let mut units = [0; 2];
    for unit in character.encode_utf16(&mut units) {
        line.push_str(&format!("\\u{unit:04x}"));
    }
}
