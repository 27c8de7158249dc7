//! Slows down whoever guesses, and never whoever it is about.
//!
//! Attempts are counted per account and place, per account, and per place; a place is an address, of
//! IPv6 a /64. Those of the last two kinds hold for strangers alone: where an account was used before,
//! only what failed right there counts for it. An attempt counts as failed from its beginning, so
//! neither many at once nor hanging up gets anybody more of them; one that comes out well is taken
//! back. Whether there is such an account plays no part. All of it is in memory and bounded
//! (`counters`, `places`); a restart forgets it. The numbers are in `ways`.

mod counters;
mod places;
mod rule;
#[cfg(test)]
mod tests;
mod ways;

pub use ways::Way;

use std::net::IpAddr;
use std::time::Duration;
use std::time::Instant;

use crate::clock::Clock;
use crate::domain::Error;
use crate::domain::Exceeded;
use crate::domain::auth::mac::MacKey;
use crate::domain::auth::throttle::counters::Counters;
use crate::domain::auth::throttle::counters::Key;
use crate::domain::auth::throttle::places::Places;
use crate::domain::auth::throttle::rule::Rule;
use crate::model::Row;
use crate::model::network;
use crate::text::fold;
use parking_lot::Mutex;

/// How many bytes of an account's name are looked at: no address is longer.
const NAME_BYTES_MAX: usize = 1024;

/// Counts attempts, and says who has to wait.
pub struct Throttle {
    /// Nothing if it is switched off.
    state: Option<Mutex<State>>,
    /// Of this process alone: what leads to which counter cannot be worked out elsewhere.
    key: MacKey,
    clock: Clock,
}

#[derive(Default)]
struct State {
    pairs: Counters,
    accounts: Counters,
    by_place: Counters,
    places: Places,
}

/// Whom an attempt is about and where it comes from, as keyed hashes: nothing here holds an address.
#[derive(Clone, Copy)]
struct Subject {
    account: Key,
    place: Key,
}

/// An attempt that has begun. It counts as failed unless it is said how it came out.
#[must_use = "an attempt that is not settled counts as failed"]
pub struct Attempt<'a> {
    throttle: &'a Throttle,
    way: Way,
    subject: Subject,
    /// The counters that rose.
    risen: Counted,
}

/// Counters, each with the rule that holds for it.
#[derive(Clone, Copy, Default)]
struct Counted {
    pair: Option<(Key, &'static Rule)>,
    account: Option<(Key, &'static Rule)>,
    place: Option<(Key, &'static Rule)>,
}

impl Throttle {
    /// Returns a throttle that has seen nobody; one that is not `enabled` never does.
    ///
    /// # Panics
    /// If the operating system has no random numbers to give.
    #[must_use]
    pub fn new(enabled: bool, clock: Clock) -> Self {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).expect("the operating system gives random numbers");
        let state = enabled.then(Mutex::default);
        Self { state, key: MacKey::new(&secret, b"throttle"), clock }
    }

    /// Begins an attempt at what belongs to `name`, from an address.
    ///
    /// # Errors
    /// [`Error::RequestsExceeded`] if there were too many. That attempt does not count.
    pub fn begin(&self, way: Way, name: &str, from: Option<IpAddr>) -> Result<Attempt<'_>, Error> {
        let subject = self.subject(name, from);
        let mut attempt = Attempt { throttle: self, way, subject, risen: Counted::default() };
        if let Some(state) = &self.state {
            let (state, now) = (&mut *state.lock(), self.clock.instant());
            let counted = self.check(state, way, subject, now)?;
            for (counters, counted) in state.all(counted) {
                if let Some((key, rule)) = counted {
                    counters.rise(key, rule, now);
                }
            }
            attempt.risen = counted;
        }
        Ok(attempt)
    }

    /// Returns nothing if an attempt could begin now.
    ///
    /// # Errors
    /// As [`Throttle::begin`].
    pub fn look(&self, way: Way, name: &str, from: Option<IpAddr>) -> Result<(), Error> {
        let Some(state) = &self.state else { return Ok(()) };
        let subject = self.subject(name, from);
        self.check(&mut state.lock(), way, subject, self.clock.instant()).map(drop)
    }

    /// Counts what was shown and belongs to nobody, and returns what it is refused with: `error`, or
    /// that it was too often. What is genuine never comes here, so nobody is kept out by this.
    pub fn blame(&self, from: Option<IpAddr>, error: Error) -> Error {
        match self.begin(Way::Token, "", from) {
            Ok(_counted) => error,
            Err(exceeded) => exceeded,
        }
    }

    /// Notes that the owner of an account was here.
    pub fn welcome(&self, name: &str, from: Option<IpAddr>) {
        self.note(self.subject(name, from));
    }

    fn note(&self, Subject { account, place }: Subject) {
        if let Some(state) = &self.state {
            state.lock().places.note(account, place);
        }
    }

    /// Returns the counters that hold for somebody, if all of them allow an attempt.
    fn check(
        &self,
        state: &mut State,
        way: Way,
        subject: Subject,
        now: Instant,
    ) -> Result<Counted, Error> {
        let counted = state.counted(way, subject);
        let waits = state.all(counted).into_iter().map(|(counters, counted)| {
            counted.map_or(Duration::ZERO, |(key, rule)| {
                counters.count(key, rule, now).wait(rule, now)
            })
        });
        match waits.max() {
            Some(wait) if !wait.is_zero() => Err(Error::RequestsExceeded(Exceeded {
                limit: way.free(),
                retry_after: wait,
                reset: self.clock.now().plus(wait),
                reason: way.advice(),
            })),
            _ => Ok(counted),
        }
    }

    fn subject(&self, name: &str, from: Option<IpAddr>) -> Subject {
        let place = from.map(|address| network(address).to_string()).unwrap_or_default();
        Subject {
            account: self.hash(&format!("account {}", normal(name))),
            place: self.hash(&format!("place {place}")),
        }
    }

    fn hash(&self, text: &str) -> Key {
        let mac = self.key.sign(text.as_bytes());
        let (half, _) = mac.split_at(size_of::<Key>());
        Key::from_be_bytes(half.try_into().expect("half of 32 bytes are 16"))
    }
}

impl State {
    /// Returns the counters that hold for somebody.
    fn counted(&self, way: Way, Subject { account, place }: Subject) -> Counted {
        let rules = way.rules();
        let with = |key: Key, rule: &'static Option<Rule>| {
            // Each way has counters of its own. The keys are random, and nobody knows them.
            rule.as_ref().map(|rule| (key ^ way as Key, rule))
        };
        let pair = account ^ place.rotate_left(1);
        if rules.known.is_some() && self.places.knows(account, place) {
            return Counted { pair: with(pair, &rules.known), ..Counted::default() };
        }
        Counted {
            pair: with(pair, &rules.pair),
            account: with(account, &rules.account),
            place: with(place, &rules.place),
        }
    }

    fn all(&mut self, of: Counted) -> [(&mut Counters, Option<(Key, &'static Rule)>); 3] {
        [
            (&mut self.pairs, of.pair),
            (&mut self.accounts, of.account),
            (&mut self.by_place, of.place),
        ]
    }
}

impl Attempt<'_> {
    /// Settles the attempt by how it came out. `is_wrong` says which errors are those of a wrong
    /// guess; of all others nobody is to blame, and the attempt is taken back.
    pub fn settle<T>(self, answer: &Result<T, Error>, is_wrong: impl Fn(&Error) -> bool) {
        match answer {
            Ok(_) => self.succeed(),
            Err(error) if is_wrong(error) => {}
            Err(_) => self.take_back(),
        }
    }

    /// Settles an attempt that showed the owner: what failed before it from here is forgotten, and
    /// here they are no stranger any more. What strangers did elsewhere, and what was tried at other
    /// accounts from here, still counts: else a guesser with an account of their own would begin anew
    /// whenever they like.
    pub fn succeed(self) {
        if let (Some(state), Some((pair, _))) = (&self.throttle.state, self.risen.pair) {
            state.lock().pairs.clear(pair);
        }
        if self.way.rules().known.is_some() {
            self.throttle.note(self.subject);
        }
        self.take_back();
    }

    /// Settles an attempt that came to nothing for a reason of ours, or did not guess at anything.
    pub fn take_back(self) {
        let Some(state) = &self.throttle.state else { return };
        let now = self.throttle.clock.instant();
        for (counters, risen) in state.lock().all(self.risen) {
            if let Some((key, rule)) = risen {
                counters.sink(key, rule, now);
            }
        }
    }
}

/// Returns the name that an account is counted under: its address, or its key if it has none.
#[must_use]
pub fn name(user: &Row) -> String {
    let email = user.value("email").as_text().map(str::to_owned);
    email.or_else(|| user.value("id").as_uuid().map(|id| id.to_string())).unwrap_or_default()
}

/// Returns a name as the store compares it.
fn normal(name: &str) -> String {
    let end = name.floor_char_boundary(NAME_BYTES_MAX);
    fold(&name[..end]).into_owned()
}
