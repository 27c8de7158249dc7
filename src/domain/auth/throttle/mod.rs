//! Throttling of guesses, without locking out the owner of an account.
//!
//! Attempts are counted per account and network, per account, and per network. A network is an IPv4
//! address or an IPv6 /64. The last two counters apply to unknown networks only: on a network where
//! the account was used before, only failures of this account on this network count. An attempt
//! counts as failed from its start, so neither concurrency nor disconnecting gains further
//! attempts. A successful attempt is taken back. Whether the account exists makes no difference.
//! The counters are in memory and bounded (`counters`, `known_networks`); a restart resets them. The
//! limits are in `actions`.

mod actions;
mod counters;
mod known_networks;
mod rule;
#[cfg(test)]
mod tests;

pub use actions::ThrottledAction;

use std::net::IpAddr;
use std::time::Instant;

use crate::clock::Clock;
use crate::domain::auth::mac::MacKey;
use crate::domain::auth::throttle::counters::{Counters, Key};
use crate::domain::auth::throttle::known_networks::KnownNetworks;
use crate::domain::auth::throttle::rule::Rule;
use crate::domain::{Error, Exceeded};
use crate::model::Row;
use crate::model::network;
use crate::model::schema::users;
use crate::text::fold;
use parking_lot::Mutex;

/// Maximum number of hashed bytes of an account name. No email address is longer.
const NAME_BYTES_MAX: usize = 1024;

/// Counts attempts and refuses those above a limit.
pub struct Throttle {
    /// `None` if the throttle is disabled.
    state: Option<Mutex<State>>,
    /// Random for each process, so that the counter of a subject cannot be computed elsewhere.
    key: MacKey,
    clock: Clock,
}

#[derive(Default)]
struct State {
    /// Per account and network, per account, and per network.
    counters: [Counters; 3],
    known: KnownNetworks,
}

/// The account and network of an attempt, as keyed hashes. No address is stored.
#[derive(Clone, Copy)]
struct Subject {
    account: Key,
    network: Key,
}

/// An attempt in progress. Counts as failed unless it is settled.
#[must_use = "an attempt that is not settled counts as failed"]
pub struct Attempt<'a> {
    throttle: &'a Throttle,
    action: ThrottledAction,
    subject: Subject,
    /// The counters that were incremented.
    incremented: Counted,
}

/// The keys and rules of counters, in the order of [`State::counters`].
type Counted = [Option<(Key, &'static Rule)>; 3];

impl Throttle {
    /// Creates an empty throttle. Without `enabled`, it allows every attempt.
    ///
    /// # Panics
    /// If the operating system provides no random numbers.
    #[must_use]
    pub fn new(enabled: bool, clock: Clock) -> Self {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).expect("the operating system provides random numbers");
        let state = enabled.then(Mutex::default);
        Self { state, key: MacKey::new(&secret, b"throttle"), clock }
    }

    /// Begins an attempt on the account, session or link `name` from an address.
    ///
    /// # Errors
    /// [`Error::RequestsExceeded`] above a limit. The refused attempt does not count.
    pub fn begin(
        &self,
        action: ThrottledAction,
        name: &str,
        from: Option<IpAddr>,
    ) -> Result<Attempt<'_>, Error> {
        let subject = self.subject(name, from);
        let mut attempt =
            Attempt { throttle: self, action, subject, incremented: Counted::default() };
        if let Some(state) = &self.state {
            let (state, now) = (&mut *state.lock(), self.clock.instant());
            let counted = self.check(state, action, subject, now)?;
            for (counters, key, rule) in state.all(counted) {
                counters.increment(key, rule, now);
            }
            attempt.incremented = counted;
        }
        Ok(attempt)
    }

    /// Checks whether an attempt could begin now, without counting it.
    ///
    /// # Errors
    /// As [`Throttle::begin`].
    pub fn peek(
        &self,
        action: ThrottledAction,
        name: &str,
        from: Option<IpAddr>,
    ) -> Result<(), Error> {
        let Some(state) = &self.state else { return Ok(()) };
        let subject = self.subject(name, from);
        self.check(&mut state.lock(), action, subject, self.clock.instant()).map(drop)
    }

    /// Counts an invalid token and returns the error to respond with: `error`, or
    /// [`Error::RequestsExceeded`] above the limit. Valid tokens never reach this function, so it
    /// locks out no legitimate client.
    pub fn count_invalid_token(&self, from: Option<IpAddr>, error: Error) -> Error {
        match self.begin(ThrottledAction::Token, "", from) {
            Ok(_counted) => error,
            Err(exceeded) => exceeded,
        }
    }

    /// Records a network as known to an account after its owner was authenticated there.
    pub fn trust(&self, name: &str, from: Option<IpAddr>) {
        self.note(self.subject(name, from));
    }

    fn note(&self, Subject { account, network }: Subject) {
        if let Some(state) = &self.state {
            state.lock().known.add(account, network);
        }
    }

    /// Returns the counters of an attempt, if all of them allow it.
    fn check(
        &self,
        state: &mut State,
        action: ThrottledAction,
        subject: Subject,
        now: Instant,
    ) -> Result<Counted, Error> {
        let counted = state.counted(action, subject);
        let waits = state.all(counted);
        let waits =
            waits.map(|(counters, key, rule)| counters.count(key, rule, now).wait(rule, now));
        match waits.max() {
            Some(wait) if !wait.is_zero() => {
                let exceeded = Exceeded::new(action.free(), wait, &self.clock, action.advice());
                Err(Error::RequestsExceeded(exceeded))
            }
            _ => Ok(counted),
        }
    }

    fn subject(&self, name: &str, from: Option<IpAddr>) -> Subject {
        let network = from.map(|address| network(address).to_string()).unwrap_or_default();
        Subject {
            account: self.hash(&format!("account {}", normal(name))),
            network: self.hash(&format!("network {network}")),
        }
    }

    fn hash(&self, text: &str) -> Key {
        let mac = self.key.sign(text.as_bytes());
        let (half, _) = mac.split_at(size_of::<Key>());
        Key::from_be_bytes(half.try_into().expect("half of 32 bytes are 16"))
    }
}

impl State {
    /// Returns the counters that apply to an attempt.
    fn counted(&self, action: ThrottledAction, Subject { account, network }: Subject) -> Counted {
        let rules = action.rules();
        let with = |key: Key, rule: &'static Option<Rule>| {
            // Each action has separate counters. Secret keys prevent crafted collisions.
            rule.as_ref().map(|rule| (key ^ action as Key, rule))
        };
        let pair = account ^ network.rotate_left(1);
        if rules.known.is_some() && self.known.contains(account, network) {
            return [with(pair, &rules.known), None, None];
        }
        [with(pair, &rules.pair), with(account, &rules.account), with(network, &rules.network)]
    }

    fn all(
        &mut self,
        counted: Counted,
    ) -> impl Iterator<Item = (&mut Counters, Key, &'static Rule)> {
        let counted = self.counters.iter_mut().zip(counted);
        counted.filter_map(|(counters, counted)| counted.map(|(key, rule)| (counters, key, rule)))
    }
}

impl Attempt<'_> {
    /// Settles the attempt by its result. `is_wrong` selects the errors of a wrong guess; any other
    /// error takes the attempt back.
    pub fn settle<T>(self, answer: &Result<T, Error>, is_wrong: impl Fn(&Error) -> bool) {
        match answer {
            Ok(_) => self.succeed(),
            Err(error) if is_wrong(error) => {}
            Err(_) => self.take_back(),
        }
    }

    /// Settles an attempt that authenticated the owner. Clears the counter of this account and
    /// network, and records the network as known. Failures elsewhere and on other accounts still
    /// count: otherwise, a guesser could reset the counters by signing in to their own account.
    pub fn succeed(self) {
        if let (Some(state), [Some((pair, _)), ..]) = (&self.throttle.state, self.incremented) {
            state.lock().counters[0].clear(pair);
        }
        if self.action.rules().known.is_some() {
            self.throttle.note(self.subject);
        }
        self.take_back();
    }

    /// Settles an attempt that failed for an internal reason, or that guessed nothing.
    pub fn take_back(self) {
        let Some(state) = &self.throttle.state else { return };
        let now = self.throttle.clock.instant();
        for (counters, key, rule) in state.lock().all(self.incremented) {
            counters.decrement(key, rule, now);
        }
    }
}

/// Returns the name to count an account under: its email address, or its key if it has none.
#[must_use]
pub fn name(user: &Row) -> String {
    let email = user.get(&users::email).map(str::to_owned);
    email.or_else(|| user.get(&users::id).map(|id| id.to_string())).unwrap_or_default()
}

/// Normalizes a name as the store compares it.
fn normal(name: &str) -> String {
    let end = name.floor_char_boundary(NAME_BYTES_MAX);
    fold(&name[..end]).into_owned()
}
