//! Something of a provider that is fetched when it is first needed, and kept: one request at a time,
//! and no more of them than are good for the provider, however many ask, and with whatever tokens.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::providers::Http;
use crate::providers::ProviderError;

/// After how long it is fetched anew.
const FRESH: Duration = Duration::from_mins(15);
/// How long it serves while the provider does not answer.
const STALE_MAX: Duration = Duration::from_hours(24);
/// How long nothing is fetched after a try, whatever came of it.
const PAUSE: Duration = Duration::from_secs(5);
/// How long nothing is fetched after a try only because something is missing in it.
const PAUSE_FOR_MORE: Duration = Duration::from_secs(30);

/// Something that was fetched.
pub(super) struct Edition<T> {
    /// It.
    pub value: T,
    /// How many there were before.
    pub number: u64,
    at: Timestamp,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// What is there, if it is not too old.
    Any,
    /// Something newer than the edition of this number, if the pause is over.
    After(u64),
}

/// Something that is fetched when it is needed.
pub(super) struct Fetched<T> {
    clock: Clock,
    held: Arc<Mutex<Held<T>>>,
    /// Held by whoever fetches.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct Held<T> {
    edition: Option<Arc<Edition<T>>>,
    tried: Option<(Timestamp, Option<ProviderError>)>,
}

impl<T: Send + Sync + 'static> Fetched<T> {
    /// Returns nothing yet.
    pub(super) fn new(clock: Clock) -> Self {
        let held = Held { edition: None, tried: None };
        Self { clock, held: Arc::new(Mutex::new(held)), turn: Arc::default() }
    }

    /// Returns it, fetched by `fetch` if need be.
    ///
    /// # Errors
    /// What fetching came to, if there is nothing that could serve instead.
    pub(super) async fn get<F>(
        &self,
        wanted: Wanted,
        http: &Http,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<Edition<T>>, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>> + Send + 'static,
    {
        if let Some(known) = self.known(wanted) {
            return known;
        }
        let turn = match Arc::clone(&self.turn).try_lock_owned() {
            Ok(turn) => turn,
            Err(_) => match self.serving(wanted) {
                // Somebody else is fetching: what is old serves until they have.
                Some(edition) => return Ok(edition),
                None => Arc::clone(&self.turn).lock_owned().await,
            },
        };
        if let Some(known) = self.known(wanted) {
            return known;
        }
        let (clock, held, fetching) = (self.clock.clone(), Arc::clone(&self.held), fetch());
        // In a task of its own: whoever leaves early must not be able to keep it from ending.
        let task = http.spawn(async move {
            let fetched = fetching.await;
            let now = clock.now();
            let mut held = held.lock();
            held.tried = Some((now, fetched.as_ref().err().copied()));
            if let Ok(value) = fetched {
                let number = held.edition.as_ref().map_or(0, |edition| edition.number + 1);
                held.edition = Some(Arc::new(Edition { value, number, at: now }));
            }
            drop(turn);
            Ok(())
        });
        let done = task.await.unwrap_or(Err(ProviderError::Unavailable("fetching failed")));
        done?;
        self.outcome()
    }

    /// Returns what there is to answer without fetching anything, if there is.
    fn known(&self, wanted: Wanted) -> Option<Result<Arc<Edition<T>>, ProviderError>> {
        let now = self.clock.now();
        let held = self.held.lock();
        let since = held.tried.as_ref().map(|(at, _)| at.until(now));
        let in_pause = |pause| since.is_some_and(|since| since < pause);
        let edition = held.edition.as_ref().filter(|edition| edition.at.until(now) < STALE_MAX);
        match (edition, wanted) {
            (Some(edition), Wanted::Any) => {
                let is_fresh = edition.at.until(now) < FRESH;
                (is_fresh || in_pause(PAUSE)).then(|| Ok(Arc::clone(edition)))
            }
            (Some(edition), Wanted::After(number)) => {
                let is_newer = edition.number > number;
                (is_newer || in_pause(PAUSE_FOR_MORE)).then(|| Ok(Arc::clone(edition)))
            }
            (None, _) => {
                let error = held.tried.as_ref().and_then(|(_, error)| *error);
                error.filter(|_| in_pause(PAUSE)).map(Err)
            }
        }
    }

    /// Returns what can serve while somebody fetches anew.
    fn serving(&self, wanted: Wanted) -> Option<Arc<Edition<T>>> {
        let now = self.clock.now();
        let edition = self.held.lock().edition.clone();
        edition.filter(|edition| wanted == Wanted::Any && edition.at.until(now) < STALE_MAX)
    }

    /// Returns what there is after a try.
    fn outcome(&self) -> Result<Arc<Edition<T>>, ProviderError> {
        let now = self.clock.now();
        let held = self.held.lock();
        let edition = held.edition.clone().filter(|edition| edition.at.until(now) < STALE_MAX);
        let error = held.tried.as_ref().and_then(|(_, error)| *error);
        edition.ok_or(error.unwrap_or(ProviderError::Unavailable("it was not fetched")))
    }
}
