//! Logs.

use clap::ValueEnum;

settings! {
    /// Logs.
    pub struct LogConfig {
        /// The log level: trace, debug, info, warn, error, fatal or silent; or filters by module,
        /// such as `info,chinwag::store=debug`. Libraries log at info at most, since lower levels
        /// would disclose the data that is sent.
        level: String = setting("LOG_LEVEL", "info", log_level);
        /// The log format: pretty for people, raw for JSON lines.
        style: LogStyle = setting("LOG_STYLE", "pretty", choice);
    }
}

/// Formats of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum LogStyle {
    /// Text for people.
    Pretty,
    /// Lines of JSON.
    Raw,
}
