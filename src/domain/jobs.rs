//! Periodic jobs, and the runner that they share.
//!
//! A job is a function that does one step and returns the pause before the next. A step is short,
//! and it is never cancelled, so that its result is recorded. Long work takes many steps. Failures
//! are logged and retried.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Timestamp;
use crate::config::StoreConfig;
use crate::domain::{Error, Services};
use crate::store::{Retention, Store};

/// Interval of session expiry. A socket outlives its expired session by at most this long.
const EXPIRY_PERIOD: Duration = Duration::from_secs(30);

/// Interval at which pending activity rows are written, and the maximum number of transactions per
/// run. That keeps up with 2,000 messages a second and hardly delays message writes.
const ACTIVITY_PERIOD: Duration = Duration::from_secs(10);
const ACTIVITY_TRANSACTIONS_MAX: usize = 20;

/// Interval at which recovery positions are persisted. If the process is killed, clients receive
/// the events of this interval a second time.
const POSITIONS_PERIOD: Duration = Duration::from_secs(1);

/// Interval of event log truncation, and the pause between two steps of it, in which queued writes
/// take precedence.
const LOG_PERIOD: Duration = Duration::from_secs(10);
const LOG_PAUSE: Duration = Duration::from_millis(10);

/// Interval at which the size of the write-ahead log is checked, and the same after a failure.
const WAL_PERIOD: Duration = Duration::from_millis(100);
const WAL_RETRY: Duration = Duration::from_secs(5);

/// Interval at which free space is looked for, and the pause between two steps of returning it.
const SPACE_PERIOD: Duration = Duration::from_secs(10);
const SPACE_PAUSE: Duration = Duration::from_millis(20);

/// Interval at which the records of sent mails are deleted, and the pause after a failure to access
/// the mail queue.
const SENT_MAIL_PERIOD: Duration = Duration::from_mins(1);
const MAIL_RETRY: Duration = Duration::from_secs(1);

/// The running jobs.
pub struct Jobs {
    tasks: TaskTracker,
    stopping: CancellationToken,
}

/// The subjects of all jobs.
struct Work {
    services: Services,
    store: Arc<Store>,
    /// The age at which events may be dropped; zero for no limit.
    log_retention: Duration,
    /// The maximum number of events in the log.
    log_events_max: Option<i64>,
    stopping: CancellationToken,
}

impl Jobs {
    /// Starts all jobs, and resumes the deletions that an earlier process left unfinished. The jobs
    /// run until `stopping` is cancelled.
    #[must_use]
    pub fn start(
        services: &Services,
        store: &Arc<Store>,
        config: &StoreConfig,
        stopping: &CancellationToken,
    ) -> Self {
        services.committer.resume();
        let work = Arc::new(Work {
            services: services.clone(),
            store: Arc::clone(store),
            log_retention: config.log_retention,
            log_events_max: (config.log_events_max > 0).then_some(config.log_events_max),
            stopping: stopping.clone(),
        });
        let jobs = Self { tasks: TaskTracker::new(), stopping: stopping.clone() };
        jobs.spawn(&work, "cannot end expired sessions", EXPIRY_PERIOD, Work::end_sessions);
        jobs.spawn(&work, "cannot write activity entries", ACTIVITY_PERIOD, Work::project_activity);
        jobs.spawn(&work, "cannot save recovery positions", POSITIONS_PERIOD, Work::save_positions);
        jobs.spawn(&work, "cannot truncate the event log", LOG_PERIOD, Work::truncate_log);
        jobs.spawn(&work, "cannot truncate the write-ahead log", WAL_RETRY, Work::truncate_wal);
        jobs.spawn(&work, "cannot return free space", SPACE_PERIOD, Work::return_space);
        jobs.spawn(&work, "cannot access the email queue", MAIL_RETRY, Work::deliver_mails);
        jobs.spawn(&work, "cannot delete sent emails", SENT_MAIL_PERIOD, Work::delete_sent_mails);
        jobs
    }

    /// Waits for the steps in progress. Call it after cancelling `stopping`.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Spawns a job: `step` runs again after the pause that it returns, or after `retry` if it
    /// fails. During shutdown failures are not logged, since shutdown interrupts reads and writes.
    fn spawn<F>(
        &self,
        work: &Arc<Work>,
        failure: &'static str,
        retry: Duration,
        step: fn(Arc<Work>) -> F,
    ) where
        F: Future<Output = Result<Duration, Error>> + Send + 'static,
    {
        let (work, stopping) = (Arc::clone(work), self.stopping.clone());
        self.tasks.spawn(async move {
            loop {
                let outcome = step(Arc::clone(&work)).await;
                let pause = outcome.unwrap_or_else(|error| {
                    if !stopping.is_cancelled() {
                        let error: &(dyn std::error::Error + 'static) = &error;
                        tracing::warn!(error, "{failure}");
                    }
                    retry
                });
                if stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                    return;
                }
            }
        });
    }
}

impl Work {
    async fn end_sessions(self: Arc<Self>) -> Result<Duration, Error> {
        self.services.auth.end_expired_sessions().await?;
        Ok(EXPIRY_PERIOD)
    }

    /// Writes pending activity rows, so that reading activity does not have to write many first.
    async fn project_activity(self: Arc<Self>) -> Result<Duration, Error> {
        self.store.catch_up(Some(ACTIVITY_TRANSACTIONS_MAX)).await?;
        Ok(ACTIVITY_PERIOD)
    }

    async fn save_positions(self: Arc<Self>) -> Result<Duration, Error> {
        // Older positions point before the start of the event log and cannot be resumed.
        self.services.hub.recovery().save(self.log_start()).await?;
        Ok(POSITIONS_PERIOD)
    }

    async fn truncate_log(self: Arc<Self>) -> Result<Duration, Error> {
        self.store.hold_log("delivery", self.services.hub.delivered());
        let retention = Retention { since: self.log_start(), events_max: self.log_events_max };
        let has_more = self.store.truncate_log(retention).await?;
        Ok(if has_more { LOG_PAUSE } else { LOG_PERIOD })
    }

    async fn truncate_wal(self: Arc<Self>) -> Result<Duration, Error> {
        self.store.shorten_wal().await?;
        Ok(WAL_PERIOD)
    }

    async fn return_space(self: Arc<Self>) -> Result<Duration, Error> {
        let has_more = self.store.return_space().await?;
        Ok(if has_more { SPACE_PAUSE } else { SPACE_PERIOD })
    }

    async fn deliver_mails(self: Arc<Self>) -> Result<Duration, Error> {
        self.services.mails.deliver(&self.stopping).await?;
        Ok(Duration::ZERO)
    }

    async fn delete_sent_mails(self: Arc<Self>) -> Result<Duration, Error> {
        self.services.mails.delete_sent().await?;
        Ok(SENT_MAIL_PERIOD)
    }

    /// Returns the time before which events may be dropped; `None` for no limit.
    fn log_start(&self) -> Option<Timestamp> {
        let retention = self.log_retention;
        (!retention.is_zero()).then(|| self.services.clock.now().minus(retention))
    }
}
