//! What is done every now and then, by itself: sessions that expired, lines of activity that are
//! owed, how far clients have got, events that need not be kept, a write-ahead log that is long, free
//! space in the file.
//!
//! Each is a task of its own until the service stops. What they do is the domain's and the store's;
//! here is how often, and that a failure is logged and tried again.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::StoreConfig;
use crate::domain::Services;
use crate::domain::auth::Auth;
use crate::domain::realtime::Hub;
use crate::store::Retention;
use crate::store::Store;

/// How often expired sessions are ended: a socket that was signed in by one lives at most this much
/// longer.
const EXPIRY_PERIOD: Duration = Duration::from_secs(30);

/// How often lines of activity that are owed are written, and in how many transactions at most: it
/// keeps up with 2,000 messages a second, and those who write messages hardly wait for it.
const CATCH_UP_PERIOD: Duration = Duration::from_secs(10);
const CATCH_UP_TRANSACTIONS_MAX: usize = 20;

/// How often it is written down how far clients have got: should the process be killed, they are told
/// again what they were told in that time.
const REMEMBER_PERIOD: Duration = Duration::from_secs(1);

/// How often the log of events is shortened, and the pause between two steps of that.
const SHORTEN_PERIOD: Duration = Duration::from_secs(10);
const SHORTEN_PAUSE: Duration = Duration::from_millis(10);

/// How often the length of the write-ahead log is looked at, and after a failure.
const WAL_PERIOD: Duration = Duration::from_millis(100);
const WAL_RECOVERY: Duration = Duration::from_secs(5);

/// How often free space is looked for, and the pause between two steps of giving it back.
const SPACE_PERIOD: Duration = Duration::from_secs(10);
const SPACE_PAUSE: Duration = Duration::from_millis(20);

/// Begins what has to be done every now and then.
pub(super) fn begin(
    tasks: &TaskTracker,
    stopping: &CancellationToken,
    services: &Services,
    store: &Arc<Store>,
    config: &StoreConfig,
) {
    services.changes.resume();
    tasks.spawn(end_expired(Arc::clone(&services.auth), stopping.clone()));
    tasks.spawn(catch_up(Arc::clone(store), stopping.clone()));
    tasks.spawn(return_space(Arc::clone(store), stopping.clone()));
    tasks.spawn(shorten_wal(Arc::clone(store), stopping.clone()));
    tasks.spawn(remember(
        Arc::clone(&services.hub),
        config.log_retention,
        services.clock.clone(),
        stopping.clone(),
    ));
    tasks.spawn(shorten_log(
        Arc::clone(store),
        Arc::clone(&services.hub),
        config.clone(),
        services.clock.clone(),
        stopping.clone(),
    ));
}

/// Logs a failure of what is tried again; the end of the service is none, though it cuts work short.
fn warn(stopping: &CancellationToken, error: &dyn Display, failure: &str) {
    if !stopping.is_cancelled() {
        tracing::warn!(%error, "{failure}");
    }
}

/// Ends expired sessions every now and then, until the service stops.
async fn end_expired(auth: Arc<Auth>, stopping: CancellationToken) {
    let mut interval = tokio::time::interval(EXPIRY_PERIOD);
    while stopping.run_until_cancelled(interval.tick()).await.is_some() {
        if let Some(Err(error)) = stopping.run_until_cancelled(auth.sweep()).await {
            warn(&stopping, &error, "expired sessions could not be ended");
        }
    }
}

/// Writes lines of activity that are owed every now and then, so that whoever reads them need not
/// wait for many, until the service stops.
async fn catch_up(store: Arc<Store>, stopping: CancellationToken) {
    let mut interval = tokio::time::interval(CATCH_UP_PERIOD);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stopping.run_until_cancelled(interval.tick()).await.is_some() {
        let catching_up = store.catch_up(Some(CATCH_UP_TRANSACTIONS_MAX));
        if let Some(Err(error)) = stopping.run_until_cancelled(catching_up).await {
            warn(&stopping, &error, "lines of activity could not be written");
        }
    }
}

/// Keeps the write-ahead log short until the service stops.
async fn shorten_wal(store: Arc<Store>, stopping: CancellationToken) {
    let mut pause = WAL_PERIOD;
    while stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        pause = match stopping.run_until_cancelled(store.shorten_wal()).await {
            Some(Err(error)) => {
                warn(&stopping, &error, "the write-ahead log could not be truncated");
                WAL_RECOVERY
            }
            Some(Ok(())) | None => WAL_PERIOD,
        };
    }
}

/// Gives free space back to the disk, in small steps, until the service stops.
async fn return_space(store: Arc<Store>, stopping: CancellationToken) {
    let mut pause = SPACE_PERIOD;
    while stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        pause = match stopping.run_until_cancelled(store.return_space()).await {
            Some(Ok(true)) => SPACE_PAUSE,
            Some(Err(error)) => {
                warn(&stopping, &error, "free space could not be given back");
                SPACE_PERIOD
            }
            Some(Ok(false)) | None => SPACE_PERIOD,
        };
    }
}

/// Writes down how far clients have got every few seconds, until the service stops.
async fn remember(hub: Arc<Hub>, retention: Duration, clock: Clock, stopping: CancellationToken) {
    let mut interval = tokio::time::interval(REMEMBER_PERIOD);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stopping.run_until_cancelled(interval.tick()).await.is_some() {
        // Whoever was away for longer has missed what is not in the log any more.
        let since = (!retention.is_zero()).then(|| clock.now().minus(retention));
        // What is written down is not cut short, for it would be forgotten: `close` waits for it.
        if let Err(error) = hub.remember(since).await {
            warn(&stopping, &error, "how far clients have got could not be written down");
        }
    }
}

/// Drops the events that need not be kept, in small steps, until the service stops.
async fn shorten_log(
    store: Arc<Store>,
    hub: Arc<Hub>,
    config: StoreConfig,
    clock: Clock,
    stopping: CancellationToken,
) {
    let retention = config.log_retention;
    let mut interval = tokio::time::interval(SHORTEN_PERIOD);
    while stopping.run_until_cancelled(interval.tick()).await.is_some() {
        loop {
            store.hold_log("delivery", hub.delivered());
            let since = (!retention.is_zero()).then(|| clock.now().minus(retention));
            let events_max = (config.log_events_max > 0).then_some(config.log_events_max);
            let shortening = store.shorten_log(Retention { since, events_max });
            match stopping.run_until_cancelled(shortening).await {
                Some(Ok(true)) => {}
                Some(Ok(false)) | None => break,
                Some(Err(error)) => {
                    warn(&stopping, &error, "the log of events could not be shortened");
                    break;
                }
            }
            // Writes that wait come first.
            let pause = tokio::time::sleep(SHORTEN_PAUSE);
            if stopping.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }
}
