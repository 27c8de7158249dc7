//! Regular expressions of rules, matched against values from clients. A match is limited in time. A
//! match that may take long runs on a background thread, away from the threads that serve clients.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::sync::Semaphore;
use tokio::time;

use crate::config::Pattern;
use crate::domain::Error;
use crate::domain::auth::background;
use crate::query::QueryError;

/// The maximum number of cached compiled patterns.
const KEPT_MAX: usize = 32;
/// The maximum length of a short text in bytes. A pattern of linear time is matched against a short
/// text immediately. Other matches wait for a permit; short texts have a separate one, so that they
/// do not wait for long texts.
const SHORT_MAX: usize = 1024;
/// The time limit of a match, including the wait for its permit.
const TIME_MAX: Duration = Duration::from_secs(2);

/// Matches patterns against texts.
pub struct Patterns {
    known: Cache<String, Pattern>,
    /// The permits for a match on a background thread: one at a time of short and of long texts.
    short: Arc<Semaphore>,
    long: Arc<Semaphore>,
}

impl Default for Patterns {
    fn default() -> Self {
        let permit = || Arc::new(Semaphore::new(1));
        Self { known: Cache::new(KEPT_MAX), short: permit(), long: permit() }
    }
}

impl Patterns {
    /// Returns whether a text matches the pattern of a rule for a field.
    ///
    /// # Errors
    /// [`Error::InvalidQuery`] for an invalid pattern; [`Error::Unprocessable`] if the text is too
    /// long or the match takes too long; [`Error::TooBusy`] if other matches take too long;
    /// [`Error::NoThread`].
    pub(super) async fn fits(&self, field: &str, pattern: &str, text: &str) -> Result<bool, Error> {
        let pattern = self.known.get_or_insert_with(pattern, || read(pattern))?;
        let outcome = if pattern.is_linear() && text.len() <= SHORT_MAX {
            pattern.fits(text)
        } else {
            let busy = || Error::TooBusy { retry_after: TIME_MAX };
            let end = time::Instant::now() + TIME_MAX;
            let permits = if text.len() <= SHORT_MAX { &self.short } else { &self.long };
            let permit = time::timeout_at(end, Arc::clone(permits).acquire_owned())
                .await
                .map_err(|_| busy())?
                .expect("the semaphore is never closed");
            let text = text.to_owned();
            let trial = background::spawn(move || {
                // The thread holds the permit, since it continues after the client is gone.
                let _permit = permit;
                pattern.fits(&text)
            })
            .map_err(Error::NoThread)?;
            match time::timeout_at(end, trial).await {
                Ok(outcome) => outcome.map_err(|_| busy())?.map_err(|_| busy())?,
                Err(_) => {
                    return Err(undecided(field, "the pattern needs too much time for this text"));
                }
            }
        };
        outcome.map_err(|reason| undecided(field, &reason.to_string()))
    }
}

/// Parses the pattern of a rule.
///
/// # Errors
/// [`Error::InvalidQuery`] if it is invalid.
pub(super) fn read(pattern: &str) -> Result<Pattern, Error> {
    let should = |should| QueryError::invalid(format!("\"_regex\" has to be {should}"));
    Ok(Pattern::parse(pattern).map_err(should)?)
}

fn undecided(field: &str, reason: &str) -> Error {
    Error::Unprocessable(format!(
        "\"{field}\" cannot be checked against its rule: {reason}. Shorten the text, or ask an \
         administrator to change the rule"
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn patterns_match_texts_and_refuse_overlong_ones() {
        let patterns = Patterns::default();
        let long = "a".repeat(60_000);

        for text in ["abc", &long] {
            assert!(patterns.fits("content", "^[a-z]+$", text).await.unwrap());
            assert!(!patterns.fits("content", "^[0-9]+$", text).await.unwrap());
        }
        assert!(patterns.fits("content", "^(?!.*spam)", "ham").await.unwrap());
        let refused = patterns.fits("content", "^(?!.*spam)", &long).await.unwrap_err();
        let Error::Unprocessable(reason) = refused else { panic!("{refused}") };
        assert!(
            reason.contains("\"content\"") && reason.contains("at most 8192 bytes"),
            "{reason}"
        );
        assert!(matches!(patterns.fits("content", "(", "x").await, Err(Error::InvalidQuery(_))));
    }

    #[tokio::test]
    async fn a_slow_pattern_times_out_without_blocking_the_runtime() {
        let patterns = Patterns::default();
        let text = "a".repeat(8_000) + "!";
        let start = Instant::now();

        let trials = (0..8).map(|_| patterns.fits("content", "/(?=x?)(a+)+$/", &text));
        let all = futures_util::future::join_all(trials);
        tokio::pin!(all);
        let mut longest = Duration::ZERO;
        let outcomes = loop {
            let tick = Instant::now();
            tokio::select! {
                outcomes = &mut all => break outcomes,
                () = time::sleep(Duration::from_millis(1)) => {}
            }
            longest = longest.max(tick.elapsed());
        };

        assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
        assert!(start.elapsed() < 2 * TIME_MAX, "{:?}", start.elapsed());
        assert!(longest < Duration::from_millis(500), "{longest:?}");
    }
}
