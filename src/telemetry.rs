//! Logging to standard error, as text or as JSON, each event exactly one line.
//!
//! Callers decide which values to log. This module only escapes them: a value from a client can
//! neither start a new line nor control a terminal.

use std::fmt;
use std::fmt::Write;
use std::io;
use std::io::IsTerminal;

use tracing::field::Field;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, LogStyle};

/// Initializes logging. A second call in a process has no effect, which tests rely on.
pub fn init(config: &LogConfig) {
    let filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter).with(filter_fn(tells_nothing));
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let _ = if config.style == LogStyle::Raw {
        registry.with(layer.json().flatten_event(true)).try_init()
    } else {
        let layer = layer.with_ansi(io::stderr().is_terminal());
        registry.with(layer.fmt_fields(harmless_fields())).try_init()
    };
}

/// Returns whether log lines of this kind never contain transmitted data. Below `info`, libraries
/// log the data on the wire, including passwords and tokens.
fn tells_nothing(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
}

/// Formats the fields of an event as `name=value`. The library's formatter does not escape line
/// breaks, and escapes control sequences only in the message.
fn harmless_fields() -> impl for<'writer> FormatFields<'writer> + 'static {
    let write = |writer: &mut format::Writer<'_>, field: &Field, value: &dyn fmt::Debug| {
        if field.name() != "message" {
            write!(writer, "{field}=")?;
        }
        write!(Harmless(writer), "{value:?}")
    };
    format::debug_fn(write).delimited(" ")
}

/// A writer that escapes control characters.
struct Harmless<'a, W>(&'a mut W);

impl<W: fmt::Write> fmt::Write for Harmless<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(char::is_control) {
            match piece.chars().next_back().filter(|last| last.is_control()) {
                None => self.0.write_str(piece)?,
                Some(last) => {
                    self.0.write_str(&piece[..piece.len() - last.len_utf8()])?;
                    write!(self.0, "{}", last.escape_default())?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn log_values_escape_newlines_and_control_characters() {
        let buffer = Buffer::default();
        let written = buffer.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .fmt_fields(harmless_fields())
            .with_writer(move || buffer.clone());

        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let agent = "curl\n2026-11-22T00:00:00Z INFO forged\r\x1b[31mé\u{9b}0m";
            let _span = tracing::info_span!("request", agent = %agent).entered();
            tracing::info!(agent = %agent, status = 200, "answered {agent}");
        });

        let text = String::from_utf8(written.0.lock().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text:?}");
        assert_eq!(text.chars().filter(|c| c.is_control()).count(), 1, "{text:?}");
        let shown = "curl\\n2026-11-22T00:00:00Z INFO forged\\r\\u{1b}[31mé\\u{9b}0m";
        assert!(
            text.ends_with(&format!("answered {shown} agent={shown} status=200\n")),
            "{text:?}"
        );
        assert!(text.contains(&format!("request{{agent={shown}}}")), "{text:?}");
    }
}
