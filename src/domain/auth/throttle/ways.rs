//! What may be guessed at, and how often that costs nothing: the numbers.
//!
//! They leave room for people who mistype and for an office behind one address. A guesser who has all
//! the patience there is comes to about 60 passwords an hour for one account from wherever they like
//! (OWASP ASVS: fewer than 100), to four codes of a second factor an hour, and to 30 passwords a
//! minute from one address over all accounts.

use std::time::Duration;

use crate::domain::auth::throttle::rule::Rule;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The password of an account.
    Password,
    /// A code of the second factor of an account.
    Factor,
    /// A refresh or session token of a session.
    Session,
    /// A token of no session that could be found, or one that no link has.
    Token,
    /// A link for an account, genuine but perhaps used.
    Link,
    /// Signing up with an address. Each counts: nothing tells a good one from a bad one.
    Register,
    /// Asking for a link to choose a new password. Each counts.
    Reset,
}

/// The counters of a way; those that there are must all allow an attempt.
#[derive(Debug)]
pub struct Rules {
    /// Of one account from one place, for strangers.
    pub pair: Option<Rule>,
    /// The same at a place where the account was used before. No other counter holds there.
    pub known: Option<Rule>,
    /// Of one account, from wherever it was not used before.
    pub account: Option<Rule>,
    /// Of one place, over all accounts that were not used there before.
    pub place: Option<Rule>,
}

const NONE: Rules = Rules { pair: None, known: None, account: None, place: None };

static PASSWORD: Rules = Rules {
    pair: Some(rule(10, 600, 900)),
    known: Some(rule(20, 60, 60)),
    account: Some(rule(20, 60, 60)),
    place: Some(rule(60, 2, 60)),
};

static FACTOR: Rules = Rules {
    pair: Some(rule(5, 1800, 3600)),
    known: Some(rule(10, 300, 300)),
    account: Some(rule(10, 900, 900)),
    place: Some(rule(60, 2, 60)),
};

static SESSION: Rules = Rules { pair: Some(rule(20, 30, 60)), ..NONE };

static TOKEN: Rules = Rules { place: Some(rule(60, 2, 60)), ..NONE };

static LINK: Rules = Rules { pair: Some(rule(10, 60, 60)), ..NONE };

static REGISTER: Rules =
    Rules { pair: Some(rule(5, 120, 300)), place: Some(rule(30, 60, 300)), ..NONE };

static RESET: Rules =
    Rules { pair: Some(rule(5, 300, 300)), place: Some(rule(30, 30, 300)), ..NONE };

impl Way {
    /// Returns the counters of this way.
    #[must_use]
    pub const fn rules(self) -> &'static Rules {
        match self {
            Self::Password => &PASSWORD,
            Self::Factor => &FACTOR,
            Self::Session => &SESSION,
            Self::Token => &TOKEN,
            Self::Link => &LINK,
            Self::Register => &REGISTER,
            Self::Reset => &RESET,
        }
    }

    /// Returns how many attempts cost a stranger nothing: what is told to whoever is refused, the
    /// same whoever they are.
    #[must_use]
    pub fn free(self) -> u32 {
        let rules = self.rules();
        rules.pair.or(rules.place).map_or(0, |rule| rule.free)
    }

    /// Returns what can be done about a refusal.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Password => {
                "Too many sign-ins have failed. Wait, or sign in from where this account was used \
                 before"
            }
            Self::Factor => "Too many wrong codes. Wait, and look at the clock of the device",
            Self::Session | Self::Token => "Too many tokens were no good. Wait, or sign in anew",
            Self::Link => "Too many attempts by this link. Wait, or ask for a new one",
            Self::Register => "Too many registrations from here. Wait, or look for a mail",
            Self::Reset => {
                "Too many requests for a new password from here. Wait, or look for a mail"
            }
        }
    }
}

/// Returns a rule whose first wait is a second: so many are free, one is forgotten in so many
/// seconds, and no wait is longer than so many.
const fn rule(free: u32, forgets: u64, longest: u64) -> Rule {
    Rule {
        free,
        forgets: Duration::from_secs(forgets),
        first: Duration::from_secs(1),
        longest: Duration::from_secs(longest),
    }
}
