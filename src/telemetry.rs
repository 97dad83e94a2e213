//! The log: one event is one line on standard error, whatever is in it.
//!
//! Names in a certificate are an attacker's choice. Nothing raw that a terminal or a log reader
//! acts on leaves this room: line ends, control characters and characters that turn the writing
//! direction are escaped here, once, for both formats. It must not be the place that decides what
//! is logged.

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

/// What the HTTP library says of its own threads at every start is no news to an operator; the
/// filter that the operator wrote comes after this and can ask for it.
const QUIET: &str = "actix_server=warn";

/// Whether `log.filter` can be used.
pub fn check_filter(text: &str) -> Result<(), TelemetryError> {
    EnvFilter::builder().parse(text)?;
    Ok(())
}

/// A subscriber that writes events of `filter` to `writer`; apart from [`init`] so that tests can
/// look.
pub fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    writer: W,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(format!("{QUIET},{filter}"))?;
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

/// Collects one event and writes it when dropped, in one call, with one line end. The collecting
/// makes it independent of how the formatter cuts its writes.
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
        // A log that cannot be written must not stop an answer, and there is nowhere left to say
        // so.
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A writer that keeps everything.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("lock").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `log` writes in a format.
    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = subscriber(format, "info", move || writer.clone()).expect("subscriber");
        tracing::subscriber::with_default(subscriber, log);
        let bytes = kept.0.lock().expect("lock").clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    const HOSTILE: &[&str] = &[
        "CN=alice\nlevel=ERROR CN=mallory",
        "CN=alice\r\n{\"level\":\"ERROR\"}",
        "CN=\u{1b}[31malice\u{1b}]0;title\u{7}",
        "CN=\u{9b}31malice",
        "CN=\u{85}alice\u{2028}bob\u{2029}",
        "CN=\u{202e}ecila\u{2066}bob\u{2069}",
        "CN=al\u{200b}ice\u{feff}\u{e0041}",
        "CN=\0\u{7f}\u{8}alice",
        "\"},{\"level\":\"ERROR\"",
    ];

    /// Independent of `is_hostile`: what must never be in a line, written out.
    fn is_plain(character: char) -> bool {
        !matches!(
            u32::from(character),
            0..0x20 | 0x7f..0xa0 | 0x61c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2066..=0x2069
                | 0xfeff | 0xe0000..=0xe007f
        )
    }

    #[test]
    fn one_event_is_one_line_in_both_formats_whatever_is_in_it() {
        for format in [LogFormat::Json, LogFormat::Text] {
            for value in HOSTILE {
                let text = logged(format, || {
                    tracing::info!(subject = %value, debug = ?value, plain = value, "{value}");
                });
                let line = text.strip_suffix('\n').expect("a line end");
                assert!(line.chars().all(is_plain), "{format} {value:?}: {line:?}");
            }
        }
    }

    #[test]
    fn a_json_line_parses_and_gives_the_value_back() {
        for value in HOSTILE {
            let line = logged(LogFormat::Json, || tracing::info!(subject = value, "seen"));
            let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(event["subject"], **value);
            assert_eq!(event["message"], "seen");
            assert_eq!(event["level"], "INFO");
        }
    }

    #[test]
    fn an_error_with_many_lines_is_one_line() {
        let error = io::Error::other("first\nsecond");
        let text = logged(LogFormat::Text, || tracing::error!(%error, "failed"));
        assert_eq!(text.lines().count(), 1, "{text:?}");
    }

    #[test]
    fn the_filter_leaves_out_what_it_does_not_name() {
        assert_eq!(logged(LogFormat::Text, || tracing::debug!("quiet")), "");
        assert!(check_filter("certgate=debug,info").is_ok());
        assert!(check_filter("certgate=loud").is_err());
    }

    #[test]
    fn a_terminal_gets_text_and_anything_else_json() {
        assert_eq!(default_format(true), LogFormat::Text);
        assert_eq!(default_format(false), LogFormat::Json);
    }
}
