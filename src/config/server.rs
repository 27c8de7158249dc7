//! The HTTP server.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::TrustProxy;
use crate::config::trust_proxy::trust_proxy;

settings! {
    /// The HTTP server.
    pub struct ServerConfig {
        /// The IP address to listen on: 127.0.0.1 for this machine only, 0.0.0.0 or :: for all
        /// networks.
        host: IpAddr = setting("HOST", "127.0.0.1", host);
        /// The port to listen on; 0 for any free one.
        port: u16 = setting("PORT", "8055", number(0, 65_535));
        /// The URL under which browsers reach the service, such as `https://chat.example.com`. /
        /// stands for unknown.
        public_url: String = setting("PUBLIC_URL", "/", public_url);
        /// `--public`: a directory with a built front end, served at `/`.
        public_dir: Option<PathBuf> = computed(None);
        /// The name of the service in /server/info, on the chat page, in mails and in authenticator
        /// apps. The `project_name` of /settings takes precedence.
        project_name: String = setting("PROJECT_NAME", "chinwag", text);
        /// The largest request body.
        body_bytes_max: usize = setting("MAX_PAYLOAD_SIZE", "1mb", message_size);
        /// The memory for data of clients (bodies, messages, their JSON, lists and responses);
        /// beyond it requests are answered 503. An account may use a quarter, the visitors of an
        /// address a twentieth; beyond that requests are answered 429 and sockets close with 1013.
        /// Each request has 8 KiB free.
        answers_bytes_max: usize = setting("ANSWERS_SIZE_MAX", "256mb", budget);
        /// The nesting depth of JSON (8 to 100) in bodies, URLs and socket messages; deeper JSON is
        /// refused before it is parsed. Filters nest at most 32 levels in any case.
        json_depth_max: usize = setting("JSON_DEPTH_MAX", "32", number(8, 100));
        /// The longest request URL, including the query (up to 64kb); longer ones are answered 414.
        url_bytes_max: usize = setting("URL_SIZE_MAX", "32kb", size(1 << 10, 1 << 16));
        /// The largest request headers, names and values (up to 64kb); larger ones are answered
        /// 431, and so are more than 100.
        headers_bytes_max: usize = setting("HEADERS_SIZE_MAX", "32kb", size(1 << 10, 1 << 16));
        /// The number of open connections; further ones are answered 503 and closed. The limit is
        /// lower if the process may open fewer files (ulimit -n), which is logged at the start.
        connections_max: usize = setting("CONNECTIONS_MAX", "100000", number(1, 10_000_000));
        /// The number of connections from one address (IPv6: one /64); further ones are answered
        /// 429 and closed. Behind a proxy of `IP_TRUST_PROXY` only sockets count, by the address
        /// that the proxy reports. -1 for no limit.
        connections_per_address_max: Option<usize> =
            setting("CONNECTIONS_PER_ADDRESS_MAX", "50000", number_or_none(10_000_000));
        /// The timeout for the head of a request (plain: milliseconds). For a body it is ten
        /// seconds, and up to thirty while a kilobyte arrives each second.
        header_timeout: Duration = setting("HEADER_TIMEOUT", "10s", milliseconds(100));
        /// The idle timeout of a connection after a response (plain: milliseconds). A proxy in
        /// front should close its connections earlier: nginx does after 60 seconds, Caddy after
        /// 120.
        keep_alive_timeout: Duration =
            setting("SERVER_KEEP_ALIVE_TIMEOUT", "150000", milliseconds(100));
        /// The time for running requests to end after SIGTERM, SIGINT or SIGHUP (plain:
        /// milliseconds).
        drain: Duration = setting("SERVER_SHUTDOWN_TIMEOUT", "5000", milliseconds(0));
        /// The proxies with a trusted X-Forwarded-For: false for none, a number of proxies, or
        /// their addresses and networks (10.0.0.0/8, loopback, linklocal, uniquelocal). true trusts
        /// every address: then clients can choose theirs, unless a proxy removes the header.
        trust_proxy: TrustProxy = setting("IP_TRUST_PROXY", "false", trust_proxy);
    }
}
