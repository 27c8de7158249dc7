//! A document of a provider, fetched on first use and cached.
//!
//! At most one request runs at a time. The request rate is limited regardless of the number of
//! callers and of the tokens they present.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{Clock, Timestamp};
use crate::providers::{Http, ProviderError};

/// Age after which the value is fetched again.
const FRESH: Duration = Duration::from_mins(15);
/// Maximum age of a value that is served while the provider does not respond.
const STALE_MAX: Duration = Duration::from_hours(24);
/// Minimum time after an attempt before the next one, whether it succeeded or failed.
const PAUSE: Duration = Duration::from_secs(5);
/// Minimum time after an attempt before a fetch for an entry that the cached value lacks.
const PAUSE_FOR_MORE: Duration = Duration::from_secs(30);

/// A version of the value.
pub(super) struct CachedVersion<T> {
    /// The value.
    pub value: T,
    /// The number of versions before this one.
    pub number: u64,
    at: Timestamp,
}

/// The version that a caller requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The cached version, if it is fresh.
    Any,
    /// A version after this number, unless the last attempt is too recent to fetch again.
    After(u64),
}

/// A value that is fetched on demand and cached.
pub(super) struct Fetched<T> {
    clock: Clock,
    held: Arc<Mutex<Held<T>>>,
    /// Locked during a fetch.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct Held<T> {
    version: Option<Arc<CachedVersion<T>>>,
    tried: Option<(Timestamp, Option<ProviderError>)>,
}

impl<T: Send + Sync + 'static> Fetched<T> {
    /// Creates an empty cache.
    pub(super) fn new(clock: Clock) -> Self {
        let held = Held { version: None, tried: None };
        Self { clock, held: Arc::new(Mutex::new(held)), turn: Arc::default() }
    }

    /// Returns the value, fetched by `fetch` if necessary.
    ///
    /// # Errors
    /// The error of the last attempt if no cached value can be served instead, and
    /// [`ProviderError::Unavailable`] if the service is stopping.
    pub(super) async fn get<F>(
        &self,
        wanted: Wanted,
        http: &Http,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<CachedVersion<T>>, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>> + Send + 'static,
    {
        if let Some(known) = self.known(wanted) {
            return known;
        }
        let turn = match Arc::clone(&self.turn).try_lock_owned() {
            Ok(turn) => turn,
            Err(_) => match self.serving(wanted) {
                // Another caller is fetching: the stale version is served meanwhile.
                Some(version) => return Ok(version),
                None => Arc::clone(&self.turn).lock_owned().await,
            },
        };
        if let Some(known) = self.known(wanted) {
            return known;
        }
        let (clock, held, fetching) = (self.clock.clone(), Arc::clone(&self.held), fetch());
        // A separate task, so that a cancelled caller does not abort the fetch.
        let task = http.spawn(async move {
            let fetched = fetching.await;
            let now = clock.now();
            let mut held = held.lock();
            held.tried = Some((now, fetched.as_ref().err().copied()));
            if let Ok(value) = fetched {
                let number = held.version.as_ref().map_or(0, |version| version.number + 1);
                held.version = Some(Arc::new(CachedVersion { value, number, at: now }));
            }
            drop(turn);
            Ok(())
        });
        let done = task.await.unwrap_or(Err(ProviderError::Unavailable("the fetch failed")));
        done?;
        self.outcome()
    }

    /// Returns the result that is available without a fetch, if any.
    fn known(&self, wanted: Wanted) -> Option<Result<Arc<CachedVersion<T>>, ProviderError>> {
        let now = self.clock.now();
        let held = self.held.lock();
        let since = held.tried.as_ref().map(|(at, _)| at.until(now));
        let in_pause = |pause| since.is_some_and(|since| since < pause);
        let version = held.version.as_ref().filter(|version| version.at.until(now) < STALE_MAX);
        match (version, wanted) {
            (Some(version), Wanted::Any) => {
                let is_fresh = version.at.until(now) < FRESH;
                (is_fresh || in_pause(PAUSE)).then(|| Ok(Arc::clone(version)))
            }
            (Some(version), Wanted::After(number)) => {
                let is_newer = version.number > number;
                (is_newer || in_pause(PAUSE_FOR_MORE)).then(|| Ok(Arc::clone(version)))
            }
            (None, _) => {
                let error = held.tried.as_ref().and_then(|(_, error)| *error);
                error.filter(|_| in_pause(PAUSE)).map(Err)
            }
        }
    }

    /// Returns the version to serve during a fetch by another caller.
    fn serving(&self, wanted: Wanted) -> Option<Arc<CachedVersion<T>>> {
        let now = self.clock.now();
        let version = self.held.lock().version.clone();
        version.filter(|version| wanted == Wanted::Any && version.at.until(now) < STALE_MAX)
    }

    /// Returns the result after an attempt.
    fn outcome(&self) -> Result<Arc<CachedVersion<T>>, ProviderError> {
        let now = self.clock.now();
        let held = self.held.lock();
        let version = held.version.clone().filter(|version| version.at.until(now) < STALE_MAX);
        let error = held.tried.as_ref().and_then(|(_, error)| *error);
        version.ok_or(error.unwrap_or(ProviderError::Unavailable("the data was not fetched")))
    }
}
