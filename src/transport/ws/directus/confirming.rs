//! What a client has got, by its answers to pings: when it has answered one, it has everything that
//! was sent before it.
//!
//! Decides only, from the instants it is given; it neither sends nor waits.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::realtime::Mark;

/// How often pings are sent for a confirmation in the long run, and for how many that may be saved up.
/// What is sent between two of them may be told twice after a lost connection; where people write,
/// each message is confirmed at once.
const PAUSE: Duration = Duration::from_millis(100);
const SAVED_UP_MAX: u32 = 20;
/// How many pings may wait for an answer. Of further ones the answers count for nothing.
const ASKED_MAX: usize = 8;

/// The pings of one connection that are not answered yet.
#[derive(Debug)]
pub struct Confirming {
    asked: VecDeque<(Question, Mark)>,
    wanted: bool,
    /// Until when the pauses after all pings so far last, one after the other.
    paused: Instant,
}

/// What asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// A frame of Directus.
    Frame,
    /// A ping of the protocol.
    Protocol,
}

impl Confirming {
    /// Returns the state of a connection that was not asked anything.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { asked: VecDeque::new(), wanted: false, paused: now }
    }

    /// Notes that something was sent that is to be confirmed.
    pub const fn want(&mut self) {
        self.wanted = true;
    }

    /// Returns whether something was sent since the last ping.
    #[must_use]
    pub const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Returns when to send a ping, if at all: not while another one waits for its answer.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let earliest = || self.paused.checked_sub(PAUSE * SAVED_UP_MAX).unwrap_or(self.paused);
        (self.wanted && self.asked.is_empty()).then(earliest)
    }

    /// Notes a ping, sent for this or another reason, and what its answer confirms.
    pub fn ask(&mut self, question: Question, mark: Mark, now: Instant) {
        self.wanted = false;
        self.paused = self.paused.max(now) + PAUSE;
        if self.asked.len() < ASKED_MAX {
            self.asked.push_back((question, mark));
        }
    }

    /// Takes an answer, and returns what it confirms.
    pub fn answer(&mut self, question: Question) -> Option<Mark> {
        // Clients answer in order; an answer to nothing confirms nothing.
        self.asked.pop_front_if(|(asked, _)| *asked == question).map(|(_, mark)| mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_asked_about_at_once_and_then_not_too_often() {
        let now = Instant::now();
        let mut confirming = Confirming::new(now);
        assert_eq!(confirming.due(), None);

        for _ in 0..SAVED_UP_MAX {
            confirming.want();
            assert!(confirming.due() <= Some(now));
            confirming.ask(Question::Frame, Mark::default(), now);
            assert_eq!(confirming.due(), None);
            confirming.want();
            assert_eq!(confirming.due(), None, "one ping at a time is enough");
            assert!(confirming.answer(Question::Frame).is_some());
        }
        confirming.ask(Question::Frame, Mark::default(), now);
        confirming.answer(Question::Frame);
        confirming.want();
        assert_eq!(confirming.due(), Some(now + PAUSE));
    }

    #[test]
    fn an_answer_to_nothing_confirms_nothing() {
        let now = Instant::now();
        let mut confirming = Confirming::new(now);
        assert!(confirming.answer(Question::Frame).is_none());

        confirming.ask(Question::Protocol, Mark::default(), now);

        assert!(confirming.answer(Question::Frame).is_none());
        assert!(confirming.answer(Question::Protocol).is_some());
    }

    #[test]
    fn pings_that_nobody_answers_do_not_pile_up() {
        let now = Instant::now();
        let mut confirming = Confirming::new(now);
        for _ in 0..2 * ASKED_MAX {
            confirming.ask(Question::Frame, Mark::default(), now);
        }

        assert_eq!(confirming.asked.len(), ASKED_MAX);
    }
}
