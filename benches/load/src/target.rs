//! The server under test: its address, its protocol, and the data written to it.

use std::sync::Arc;
use std::time::Instant;

use crate::Outcome;
use crate::arguments::Common;
use crate::arguments::Protocol;
use crate::directus;
use crate::marker::Marker;
use crate::process;
use crate::process::Usage;

/// The server of this run, shared by all connections and threads.
pub struct Target {
    /// Host and port.
    pub address: String,
    /// The protocol it speaks.
    pub protocol: Protocol,
    /// The collection to write to and subscribe to.
    pub collection: String,
    /// Marks the messages of this run.
    pub marker: Marker,
    /// A label for the report.
    pub label: String,
    /// The credentials for signing in.
    pub credentials: directus::Credentials,
    token: Option<String>,
    pid: Option<u32>,
    began: Instant,
}

impl Target {
    /// Creates the target that the arguments describe, without connecting.
    pub fn new(common: &Common) -> Outcome<Arc<Self>> {
        let address =
            common.url.strip_prefix("http://").ok_or("--url has to begin with http://")?;
        Ok(Arc::new(Self {
            address: address.trim_end_matches('/').to_owned(),
            protocol: common.protocol,
            collection: common.collection.clone(),
            marker: Marker::new(common.size),
            label: common.label.clone(),
            credentials: directus::Credentials {
                email: common.email.clone(),
                password: common.password.clone(),
            },
            token: common.token.clone(),
            pid: common.pid,
            began: Instant::now(),
        }))
    }

    /// Returns the given token, or signs in. The token is empty for socket.io, which has no
    /// accounts to sign in.
    pub async fn token(&self) -> Outcome<Arc<str>> {
        match (&self.token, self.protocol) {
            (Some(token), _) => Ok(token.as_str().into()),
            (None, Protocol::Socketio) => Ok("".into()),
            (None, Protocol::Directus) => Ok(directus::sign_in(self).await?.into()),
        }
    }

    /// Microseconds since this run began; all latencies use this clock.
    pub fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    /// The same for another instant; 0 for instants before the run.
    pub fn at(&self, instant: Instant) -> u64 {
        let passed = instant.saturating_duration_since(self.began);
        u64::try_from(passed.as_micros()).expect("a run takes less than centuries")
    }

    /// The server's resource usage so far; `None` if no process was given.
    pub fn usage(&self) -> Option<Usage> {
        self.pid.and_then(process::usage)
    }
}
