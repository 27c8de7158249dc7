//! Limits of the throttle for each kind of attempt.
//!
//! The limits allow for typing errors and for an office behind one address. A patient attacker gets
//! about 60 passwords an hour for one account from any number of addresses (OWASP ASVS: fewer than
//! 100), four second-factor codes an hour, and 30 passwords a minute from one address over all
//! accounts.

use std::time::Duration;

use crate::domain::auth::throttle::rule::Rule;

/// The kind of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottledAction {
    /// The password of an account.
    Password,
    /// A code of the second factor of an account.
    Factor,
    /// A refresh or session token of a session.
    Session,
    /// A token that matches no session or link.
    Token,
    /// A genuine link for an account, possibly used already.
    Link,
    /// A registration of an email address. Each counts: abuse cannot be told from regular use.
    Register,
    /// A request for a password reset link. Each counts.
    Reset,
}

/// The rules of a action. All counters that it has must allow an attempt.
#[derive(Debug)]
pub struct Rules {
    /// For one account on one unknown network.
    pub pair: Option<Rule>,
    /// The same on a known network, where no other counter applies.
    pub known: Option<Rule>,
    /// For one account, over all unknown networks.
    pub account: Option<Rule>,
    /// For one network, over all accounts that are not known there.
    pub network: Option<Rule>,
}

const NONE: Rules = Rules { pair: None, known: None, account: None, network: None };

static PASSWORD: Rules = Rules {
    pair: Some(rule(10, 600, 900)),
    known: Some(rule(20, 60, 60)),
    account: Some(rule(20, 60, 60)),
    network: Some(rule(60, 2, 60)),
};

static FACTOR: Rules = Rules {
    pair: Some(rule(5, 1800, 3600)),
    known: Some(rule(10, 300, 300)),
    account: Some(rule(10, 900, 900)),
    network: Some(rule(60, 2, 60)),
};

static SESSION: Rules = Rules { pair: Some(rule(20, 30, 60)), ..NONE };

static TOKEN: Rules = Rules { network: Some(rule(60, 2, 60)), ..NONE };

static LINK: Rules = Rules { pair: Some(rule(10, 60, 60)), ..NONE };

static REGISTER: Rules =
    Rules { pair: Some(rule(5, 120, 300)), network: Some(rule(30, 60, 300)), ..NONE };

static RESET: Rules =
    Rules { pair: Some(rule(5, 300, 300)), network: Some(rule(30, 30, 300)), ..NONE };

impl ThrottledAction {
    /// Returns the rules of this action.
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

    /// Returns the number of attempts without a wait on an unknown network. Every refused client is
    /// told the same number.
    #[must_use]
    pub fn free(self) -> u32 {
        let rules = self.rules();
        rules.pair.or(rules.network).map_or(0, |rule| rule.free)
    }

    /// Returns advice for a refused client.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Password => {
                "Too many failed sign-ins. Wait, or sign in from a network where this account was \
                 used before"
            }
            Self::Factor => "Too many wrong codes. Wait, and check the clock of your device",
            Self::Session | Self::Token => "Too many invalid tokens. Wait, or sign in again",
            Self::Link => "Too many attempts with this link. Wait, or request a new one",
            Self::Register => "Too many registrations from your network. Wait, or check your email",
            Self::Reset => {
                "Too many requests for a new password from your network. Wait, or check your email"
            }
        }
    }
}

/// Creates a rule with a first wait of one second: `free` attempts without a wait, one attempt
/// forgotten every `forgets` seconds, and no wait longer than `longest` seconds.
const fn rule(free: u32, forgets: u64, longest: u64) -> Rule {
    Rule {
        free,
        forgets: Duration::from_secs(forgets),
        first: Duration::from_secs(1),
        longest: Duration::from_secs(longest),
    }
}
