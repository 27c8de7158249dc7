//! What is driven: where it is, how it is spoken to, and what is written into it.

use std::sync::Arc;
use std::time::Instant;

use crate::Outcome;
use crate::arguments::Common;
use crate::arguments::Protocol;
use crate::directus;
use crate::marker::Marker;
use crate::process;
use crate::process::Usage;

/// The server of this run. Shared by all connections and threads.
pub struct Target {
    /// Host and port.
    pub address: String,
    /// The frames it speaks.
    pub protocol: Protocol,
    /// The collection that is written and followed.
    pub collection: String,
    /// Marks the messages of this run.
    pub marker: Marker,
    /// Shown in the report.
    pub label: String,
    /// How to sign in.
    pub credentials: directus::Credentials,
    token: Option<String>,
    pid: Option<u32>,
    began: Instant,
}

impl Target {
    /// Makes the target that the arguments name. Nothing is connected yet.
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

    /// Returns the token that was given, or signs in. socket.io's peer knows no accounts and gets
    /// an empty one.
    pub async fn token(&self) -> Outcome<Arc<str>> {
        match (&self.token, self.protocol) {
            (Some(token), _) => Ok(token.as_str().into()),
            (None, Protocol::Socketio) => Ok("".into()),
            (None, Protocol::Directus) => Ok(directus::sign_in(self).await?.into()),
        }
    }

    /// Microseconds since this run began: the clock of every latency.
    pub fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    /// The same of another instant; 0 for those before.
    pub fn at(&self, instant: Instant) -> u64 {
        let passed = instant.saturating_duration_since(self.began);
        u64::try_from(passed.as_micros()).expect("a run takes less than centuries")
    }

    /// What the server has used so far; nothing if its process was not named.
    pub fn usage(&self) -> Option<Usage> {
        self.pid.and_then(process::usage)
    }
}
