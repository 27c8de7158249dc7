//! The WebSocket of Directus's protocol.

use std::time::Duration;

use clap::ValueEnum;

settings! {
    /// The WebSocket of Directus's protocol.
    pub struct WebSocketConfig {
        /// Whether there is a socket at /websocket. Without it clients receive no events, and the
        /// built-in page only shows that it is disabled.
        enabled: bool = setting("WEBSOCKETS_ENABLED", "true", boolean);
        /// The access of a socket before sign-in. public: the Public policy, also after a failed
        /// sign-in; handshake: only a sign-in, within the timeout; strict: a token in the URL is
        /// required.
        auth: WebSocketAuth = setting("WEBSOCKETS_REST_AUTH", "public", choice);
        // In the mode that Directus itself has, frames are byte-compatible with Directus.
        /// Whether all frames of subscriptions carry a cursor, or only those of subscriptions with
        /// `since` or `recover`. Not set: all, but in handshake, the mode of Directus, only those.
        cursors: bool = derived(
            "WEBSOCKETS_CURSORS",
            if auth == WebSocketAuth::Handshake { "false" } else { "true" },
            boolean
        );
        /// The timeout for a sign-in, at the start (handshake) and after the token expires (plain:
        /// seconds).
        auth_timeout: Duration = setting("WEBSOCKETS_REST_AUTH_TIMEOUT", "10", seconds(100));
        /// Whether signed-in sockets are sent heartbeats of the Directus protocol. Other sockets,
        /// and all sockets if this is disabled, are sent WebSocket pings.
        heartbeat: bool = setting("WEBSOCKETS_HEARTBEAT_ENABLED", "true", boolean);
        /// The interval of heartbeats, and the timeout of the response (plain: seconds).
        heartbeat_period: Duration = setting("WEBSOCKETS_HEARTBEAT_PERIOD", "30", seconds(100));
        /// The number of open sockets; further ones are answered 403. Not set: no limit.
        connections_max: Option<usize> = optional("WEBSOCKETS_REST_CONN_LIMIT", rate);
        /// The largest message from a client; a larger one closes its socket.
        frame_bytes_max: usize = setting("WEBSOCKETS_FRAME_SIZE_MAX", "1mb", message_size);
        /// The largest message while only a sign-in is accepted (`WEBSOCKETS_REST_AUTH=handshake`).
        /// In the mode public, visitors have the limit of other clients, since they may write
        /// messages of the same size.
        handshake_bytes_max: usize = setting("WEBSOCKETS_HANDSHAKE_SIZE_MAX", "16kb", message_size);
        /// The unsent bytes of one socket; more closes the socket, and the client has to reconnect.
        outbox_bytes_max: usize = setting("WEBSOCKETS_OUTBOX_SIZE_MAX", "1mb", message_size);
        /// The unsent bytes of all sockets together; a frame for several sockets counts once.
        /// Beyond it the sockets with the largest backlog are closed (1013).
        outboxes_bytes_max: usize = setting("WEBSOCKETS_OUTBOXES_SIZE_MAX", "32mb", budget);
        /// The number of subscriptions of one socket.
        subscriptions_max: usize =
            setting("WEBSOCKETS_SUBSCRIPTIONS_MAX", "128", number(1, 100_000));
        /// The number of subscriptions of all sockets of one account or, for visitors, of one
        /// address. All clients of one address have four times the limit, as for the other limits
        /// of an account.
        user_subscriptions_max: usize = setting("WEBSOCKETS_USER_SUBSCRIPTIONS_MAX", "50000", rate);
        /// The number of distinct queries of all subscriptions of one account or, for visitors, of
        /// one address. Equal queries count once, for the first account that uses them; an
        /// expensive one, as with `_contains`, counts several times.
        user_queries_max: usize =
            setting("WEBSOCKETS_USER_QUERIES_MAX", "2000", number(1, 1_000_000));
        /// The size of the queries of one socket's subscriptions, together and as JSON.
        queries_bytes_max: usize = setting("WEBSOCKETS_QUERIES_SIZE_MAX", "64kb", message_size);
        /// The size of the queries of all sockets of one account or, for visitors, of one address.
        /// The first 256 bytes of each query do not count.
        user_queries_bytes_max: usize =
            setting("WEBSOCKETS_USER_QUERIES_SIZE_MAX", "1mb", message_size);
        /// The size of the queries of all sockets. The first 256 bytes of each query do not count.
        all_queries_bytes_max: usize =
            setting("WEBSOCKETS_ALL_QUERIES_SIZE_MAX", "16mb", message_size);
        /// The largest response on a socket, or first list of a subscription; larger ones are
        /// refused with `LIMIT_EXCEEDED`. Notifications that would be larger have keys in place of
        /// their last items.
        answer_bytes_max: usize = setting("WEBSOCKETS_ANSWER_SIZE_MAX", "4mb", message_size);
        /// The number of stored positions of subscriptions with "recover"; the oldest are dropped
        /// first. Visitors have at most half of them.
        positions_max: usize = setting("WEBSOCKETS_POSITIONS_MAX", "20000", number(2, 1_000_000));
        /// The number of stored positions of one account or, for visitors, of one address.
        user_positions_max: usize =
            setting("WEBSOCKETS_USER_POSITIONS_MAX", "500", number(1, 1_000_000));
        /// The number of queued messages of one socket; while the queue is full, the socket is not
        /// read.
        pending_max: usize = setting("WEBSOCKETS_PENDING_MAX", "128", number(1, 100_000));
        /// The number of upgrades per second: after a restart all clients reconnect at once.
        /// Further ones wait, and those that would wait longer than five seconds are answered 503.
        upgrades_per_second: u32 = setting("WEBSOCKETS_UPGRADES_MAX", "2000", rate);
        /// The number of messages per second on one socket; more are refused with
        /// `REQUESTS_EXCEEDED`, and at /_ws delayed. Each item of a list that is created, updated
        /// or deleted counts as a message, and delays the next messages of its socket.
        messages_per_second: u32 = setting("WEBSOCKETS_MESSAGES_MAX", "5000", rate);
        /// The number of messages per second on all sockets of one account, and of all visitors of
        /// one address (IPv6: one /64); more are refused.
        user_messages_per_second: u32 = setting("WEBSOCKETS_USER_MESSAGES_MAX", "50000", rate);
        /// The number of pings, pongs and message fragments read from one socket per second; beyond
        /// it reading pauses. No frame is dropped, but of several pings only the latest may be
        /// answered.
        parts_per_second: u32 = setting("WEBSOCKETS_FRAMES_MAX", "1000", rate);
        /// The number of threads that write to sockets, each to a share of them, at least one. Not
        /// set: one for every two cores.
        writer_threads: Option<usize> = optional("WEBSOCKETS_SWEEP_THREADS", number(0, 64));
    }
}

/// Access to a socket before sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum WebSocketAuth {
    /// Everything the Public policy allows; a failed sign-in leaves the socket open.
    Public,
    /// Only a sign-in, as the first frame and within the timeout.
    Handshake,
    /// None: the upgrade is refused without a token in its URL.
    Strict,
}
