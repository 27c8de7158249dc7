//! The WebSocket of topics.

use std::time::Duration;

settings! {
    /// The WebSocket of topics. Frame size, outbox, heartbeat and connection limits are those of
    /// the other socket.
    pub struct TopicsConfig {
        /// Whether there is a socket for nuxt-ws at /_ws. Its message size, outbox, heartbeat and
        /// connection limit are those set above.
        enabled: bool = setting("TOPICS_ENABLED", "true", boolean);
        /// The number of messages in the list of `chat`.
        chat_length: usize = setting("TOPICS_CHAT_LENGTH", "100", number(1, 1000));
        /// The size of the list of `chat`, which is sent with every message: the oldest messages
        /// are left out.
        chat_bytes_max: usize = setting("TOPICS_CHAT_SIZE_MAX", "256kb", size(1 << 10, 1 << 24));
        /// Whether each connection is sent its own name (topic `_internal`).
        internal: bool = setting("TOPICS_INTERNAL", "true", boolean);
        /// Whether every connection receives `chat` without a subscription, like `topics.defaults`
        /// in the page's nuxt.config. A page in a browser that has subscribed once receives it
        /// again after a lost connection in any case.
        chat_default: bool = setting("TOPICS_CHAT_DEFAULT", "false", boolean);
        /// The number of messages per second read from one connection, after a burst of twice as
        /// many; the others wait, and none is dropped.
        rate_max: u32 = setting("TOPICS_RATE_MAX", "20", number(1, 100_000));
        /// How long a typing notification is valid unless repeated, at either socket (plain:
        /// seconds).
        typing_timeout: Duration = setting("TYPING_TIMEOUT", "5", seconds(100));
    }
}
