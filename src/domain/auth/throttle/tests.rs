//! Tests of the throttle with a manual clock.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::clock::Timestamp;

use super::*;

const ALICE: &str = "alice@example.com";
const HOME: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));

fn throttle() -> Throttle {
    Throttle::new(true, Clock::manual(Timestamp::from_millis(0)))
}

/// Returns the address of one of many machines.
#[expect(clippy::unnecessary_wraps, reason = "as the throttle takes it")]
fn machine(number: u32) -> Option<IpAddr> {
    Some(Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 0).to_bits() + number).into())
}

/// Fails attempts until one is refused, up to 1000, and returns their number.
fn wrong(throttle: &Throttle, action: ThrottledAction, name: &str, from: Option<IpAddr>) -> usize {
    (0..1000).take_while(|_| throttle.begin(action, name, from).is_ok()).count()
}

fn right(throttle: &Throttle, name: &str, from: Option<IpAddr>) -> bool {
    let attempt = throttle.begin(ThrottledAction::Password, name, from);
    attempt.map(Attempt::succeed).is_ok()
}

/// Returns the current wait in seconds.
fn wait(throttle: &Throttle, action: ThrottledAction, name: &str, from: Option<IpAddr>) -> u64 {
    match throttle.peek(action, name, from) {
        Ok(()) => 0,
        Err(Error::RequestsExceeded(exceeded)) => exceeded.retry_after.as_secs(),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn backoff_doubles_after_each_failure() {
    let throttle = throttle();

    assert_eq!(wrong(&throttle, ThrottledAction::Password, ALICE, HOME), 11);

    for expected in [1, 2, 4, 8, 16, 32, 64] {
        assert_eq!(wait(&throttle, ThrottledAction::Password, ALICE, HOME), expected);
        // A refused attempt does not count.
        assert_eq!(wrong(&throttle, ThrottledAction::Password, ALICE, HOME), 0);
        throttle.clock.advance(Duration::from_secs(expected));
        assert_eq!(wrong(&throttle, ThrottledAction::Password, ALICE, HOME), 1);
    }
}

#[test]
fn distributed_guessing_is_bounded_over_hours() {
    let throttle = throttle();
    let (mut passwords, mut codes) = (0, 0);

    for second in 0..6 * 3600 {
        passwords +=
            usize::from(throttle.begin(ThrottledAction::Password, ALICE, machine(second)).is_ok());
        codes +=
            usize::from(throttle.begin(ThrottledAction::Factor, ALICE, machine(second)).is_ok());
        throttle.clock.advance(Duration::from_secs(1));
    }

    assert!(passwords < 6 * 60 + 100, "{passwords}");
    assert!(codes < 6 * 4 + 50, "{codes}");
}

#[test]
fn the_owner_signs_in_from_a_known_network_during_an_attack() {
    let throttle = throttle();
    assert!(right(&throttle, ALICE, HOME));

    for number in 0..1000 {
        wrong(&throttle, ThrottledAction::Password, ALICE, machine(number));
        throttle.clock.advance(Duration::from_secs(1));
    }

    assert_ne!(wait(&throttle, ThrottledAction::Password, ALICE, machine(5000)), 0);
    // The owner may even mistype first.
    assert!(throttle.begin(ThrottledAction::Password, ALICE, HOME).is_ok());
    assert!(right(&throttle, ALICE, HOME));
    // The owner's sign-in does not reset the counters of unknown networks.
    assert_ne!(wait(&throttle, ThrottledAction::Password, ALICE, machine(5000)), 0);
}

#[test]
fn password_spraying_does_not_lock_out_known_accounts() {
    let throttle = throttle();
    assert!(right(&throttle, ALICE, HOME));

    let sprayed = (0..1000)
        .take_while(|number| {
            throttle
                .begin(ThrottledAction::Password, &format!("{number}@example.com"), HOME)
                .is_ok()
        })
        .count();

    assert_eq!(sprayed, 61);
    assert_ne!(wait(&throttle, ThrottledAction::Password, "other@example.com", HOME), 0);
    assert_eq!(wait(&throttle, ThrottledAction::Password, "other@example.com", machine(1)), 0);
    assert!(right(&throttle, ALICE, HOME));
    // The sprayer does not reset the counters by signing in to an account of their own.
    assert_ne!(wait(&throttle, ThrottledAction::Password, "other@example.com", HOME), 0);
}

#[test]
fn many_accounts_behind_one_address_sign_in_concurrently() {
    let throttle = throttle();

    let began: Vec<_> = (0..60)
        .map(|person| {
            throttle.begin(ThrottledAction::Password, &format!("{person}@example.com"), HOME)
        })
        .collect();
    for attempt in began {
        attempt.unwrap().succeed();
    }

    for person in 0..1000 {
        assert!(right(&throttle, &format!("{person}@example.com"), HOME), "{person}");
    }
}

#[test]
fn concurrent_and_dropped_attempts_count_as_failures() {
    let throttle = throttle();

    let at_once: Vec<_> = (0..100)
        .map_while(|_| throttle.begin(ThrottledAction::Password, ALICE, HOME).ok())
        .collect();

    assert_eq!(at_once.len(), 11);
    drop(at_once);
    assert_ne!(wait(&throttle, ThrottledAction::Password, ALICE, HOME), 0);
}

#[test]
fn server_errors_do_not_count_as_failures() {
    let throttle = throttle();

    for _ in 0..1000 {
        let attempt = throttle.begin(ThrottledAction::Password, ALICE, HOME).unwrap();
        let busy: Result<(), Error> = Err(Error::TooBusy { retry_after: Duration::ZERO });
        attempt.settle(&busy, |error| matches!(error, Error::InvalidCredentials));
    }

    assert_eq!(wrong(&throttle, ThrottledAction::Password, ALICE, HOME), 11);
}

#[test]
fn counters_ignore_email_case_and_the_ipv6_host_part() {
    let throttle = throttle();
    let here = |host| Some(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host).into());
    let spelt = ["alice@example.com", "ALICE@example.com", "Alice@Example.COM"];

    let began = (0..100)
        .take_while(|number: &u16| {
            let name = spelt[usize::from(*number) % spelt.len()];
            throttle.begin(ThrottledAction::Password, name, here(*number)).is_ok()
        })
        .count();

    assert_eq!(began, 11);
}

#[test]
fn each_action_has_its_own_counters() {
    let throttle = throttle();

    for action in [
        ThrottledAction::Password,
        ThrottledAction::Factor,
        ThrottledAction::Register,
        ThrottledAction::Reset,
        ThrottledAction::Link,
    ] {
        assert!(throttle.peek(action, ALICE, HOME).is_ok(), "{action:?}");
        assert!(wrong(&throttle, action, ALICE, HOME) < 20, "{action:?}");
    }
}

#[test]
fn unknown_tokens_are_throttled_per_network_only() {
    let throttle = throttle();
    let refused = || throttle.count_invalid_token(HOME, Error::InvalidCredentials);

    let told = (0..1000).take_while(|_| matches!(refused(), Error::InvalidCredentials)).count();

    assert_eq!(told, 61);
    assert!(matches!(refused(), Error::RequestsExceeded(_)));
    assert!(throttle.peek(ThrottledAction::Session, "a session", HOME).is_ok());
    assert!(throttle.peek(ThrottledAction::Password, ALICE, HOME).is_ok());
}

#[test]
fn made_up_accounts_evict_no_counters() {
    let throttle = throttle();
    assert!(right(&throttle, ALICE, HOME));
    for number in 0..20 {
        wrong(&throttle, ThrottledAction::Password, ALICE, machine(number));
    }
    let waits = wait(&throttle, ThrottledAction::Password, ALICE, machine(99));
    assert_ne!(waits, 0);

    for number in 0..80_000 {
        drop(throttle.begin(
            ThrottledAction::Password,
            &format!("{number}@example.com"),
            machine(number),
        ));
    }

    assert_eq!(wait(&throttle, ThrottledAction::Password, ALICE, machine(99)), waits);
    assert!(right(&throttle, ALICE, HOME));
}

#[test]
fn a_disabled_throttle_refuses_no_attempt() {
    let throttle = Throttle::new(false, Clock::system());

    assert_eq!(wrong(&throttle, ThrottledAction::Password, ALICE, HOME), 1000);
}

#[test]
fn long_names_are_truncated_at_character_boundaries() {
    let long = "é".repeat(NAME_BYTES_MAX);

    assert!(throttle().begin(ThrottledAction::Password, &long, None).is_ok());
}
