//! Periodic jobs: expire sessions, write pending activity rows, persist recovery positions,
//! truncate the event log, checkpoint the write-ahead log, and return free space of the database
//! file to the file system.
//!
//! Each job is a task that runs until the service stops. The work itself is in `domain` and
//! `store`; this module sets the intervals, logs failures and retries.

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
use crate::domain::subscriptions::Hub;
use crate::store::Retention;
use crate::store::Store;

/// Interval of session expiry. A socket outlives its expired session by at most this long.
const EXPIRY_PERIOD: Duration = Duration::from_secs(30);

/// Interval at which pending activity rows are written, and the maximum number of transactions per
/// run. That keeps up with 2,000 messages a second and hardly delays message writes.
const CATCH_UP_PERIOD: Duration = Duration::from_secs(10);
const CATCH_UP_TRANSACTIONS_MAX: usize = 20;

/// Interval at which recovery positions are persisted. If the process is killed, clients receive
/// the events of this interval a second time.
const REMEMBER_PERIOD: Duration = Duration::from_secs(1);

/// Interval of event log truncation, and the pause between two steps of it.
const SHORTEN_PERIOD: Duration = Duration::from_secs(10);
const SHORTEN_PAUSE: Duration = Duration::from_millis(10);

/// Interval at which the size of the write-ahead log is checked, and the same after a failure.
const WAL_PERIOD: Duration = Duration::from_millis(100);
const WAL_RECOVERY: Duration = Duration::from_secs(5);

/// Interval at which free space is looked for, and the pause between two steps of returning it.
const SPACE_PERIOD: Duration = Duration::from_secs(10);
const SPACE_PAUSE: Duration = Duration::from_millis(20);

/// Spawns the periodic jobs.
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

/// Logs a failed run that will be retried. During shutdown failures are not logged, since shutdown
/// interrupts running work.
fn warn(stopping: &CancellationToken, error: &dyn Display, failure: &str) {
    if !stopping.is_cancelled() {
        tracing::warn!(%error, "{failure}");
    }
}

/// Expires sessions periodically until the service stops.
async fn end_expired(auth: Arc<Auth>, stopping: CancellationToken) {
    let mut interval = tokio::time::interval(EXPIRY_PERIOD);
    while stopping.run_until_cancelled(interval.tick()).await.is_some() {
        if let Some(Err(error)) = stopping.run_until_cancelled(auth.sweep()).await {
            warn(&stopping, &error, "cannot end expired sessions");
        }
    }
}

/// Writes pending activity rows periodically until the service stops, so that reading activity does
/// not have to write many first.
async fn catch_up(store: Arc<Store>, stopping: CancellationToken) {
    let mut interval = tokio::time::interval(CATCH_UP_PERIOD);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stopping.run_until_cancelled(interval.tick()).await.is_some() {
        let catching_up = store.catch_up(Some(CATCH_UP_TRANSACTIONS_MAX));
        if let Some(Err(error)) = stopping.run_until_cancelled(catching_up).await {
            warn(&stopping, &error, "cannot write activity entries");
        }
    }
}

/// Keeps the write-ahead log short until the service stops.
async fn shorten_wal(store: Arc<Store>, stopping: CancellationToken) {
    let mut pause = WAL_PERIOD;
    while stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        pause = match stopping.run_until_cancelled(store.shorten_wal()).await {
            Some(Err(error)) => {
                warn(&stopping, &error, "cannot truncate the write-ahead log");
                WAL_RECOVERY
            }
            Some(Ok(())) | None => WAL_PERIOD,
        };
    }
}

/// Returns free space to the file system in small steps until the service stops.
async fn return_space(store: Arc<Store>, stopping: CancellationToken) {
    let mut pause = SPACE_PERIOD;
    while stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        pause = match stopping.run_until_cancelled(store.return_space()).await {
            Some(Ok(true)) => SPACE_PAUSE,
            Some(Err(error)) => {
                warn(&stopping, &error, "cannot return free space to the file system");
                SPACE_PERIOD
            }
            Some(Ok(false)) | None => SPACE_PERIOD,
        };
    }
}

/// Persists recovery positions periodically until the service stops.
async fn remember(hub: Arc<Hub>, retention: Duration, clock: Clock, stopping: CancellationToken) {
    let mut interval = tokio::time::interval(REMEMBER_PERIOD);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stopping.run_until_cancelled(interval.tick()).await.is_some() {
        // Older positions point before the start of the event log and cannot be resumed.
        let since = (!retention.is_zero()).then(|| clock.now().minus(retention));
        // Not cancelled by shutdown, or positions would be lost. `close` waits for it.
        if let Err(error) = hub.remember(since).await {
            warn(&stopping, &error, "cannot save the recovery positions of clients");
        }
    }
}

/// Truncates the event log in small steps until the service stops.
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
            // Not cancelled by shutdown: a step that was queued is noted once it is committed.
            match store.shorten_log(Retention { since, events_max }).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    warn(&stopping, &error, "cannot truncate the event log");
                    break;
                }
            }
            // Queued writes take precedence.
            let pause = tokio::time::sleep(SHORTEN_PAUSE);
            if stopping.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }
}
