//! The WebSocket of topics.

use std::time::Duration;

use crate::config::parse;
use crate::config::parse::DefaultUnit;
use crate::config::reader::Reader;

/// The WebSocket of topics. Frame size, outbox, heartbeat and connection limits are those of the
/// other socket.
#[derive(Debug, Clone)]
pub struct TopicsConfig {
    /// `TOPICS_ENABLED`, default true.
    pub enabled: bool,
    /// `TOPICS_CHAT_LENGTH`, default 100: number of messages in the list.
    pub chat_length: usize,
    /// `TOPICS_CHAT_SIZE_MAX`, default `256kb`: size of the list; older messages are dropped.
    pub chat_bytes_max: usize,
    /// `TOPICS_INTERNAL`, default true: whether a connection is sent its name.
    pub internal: bool,
    /// `TOPICS_CHAT_DEFAULT`, default `false`: whether every connection is subscribed to `chat`
    /// from the start.
    pub chat_default: bool,
    /// `TOPICS_RATE_MAX`, default 20: frames per second of one connection; faster ones are delayed.
    pub rate_max: u32,
    /// `TYPING_TIMEOUT`, in seconds, default 5: how long a typing notification is valid without
    /// being repeated, on either socket.
    pub typing_timeout: Duration,
}

impl TopicsConfig {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            enabled: from.read("TOPICS_ENABLED", "true", parse::boolean),
            chat_length: from.read("TOPICS_CHAT_LENGTH", "100", parse::number(1, 1000)),
            chat_bytes_max: from.read(
                "TOPICS_CHAT_SIZE_MAX",
                "256kb",
                parse::size(1 << 10, 1 << 24),
            ),
            internal: from.read("TOPICS_INTERNAL", "true", parse::boolean),
            chat_default: from.read("TOPICS_CHAT_DEFAULT", "false", parse::boolean),
            rate_max: from.read("TOPICS_RATE_MAX", "20", parse::number(1, 100_000)),
            typing_timeout: from.read(
                "TYPING_TIMEOUT",
                "5",
                parse::duration(DefaultUnit::Seconds, Duration::from_millis(100)),
            ),
        }
    }
}
