//! The rotation policy: the response to the k-th token of a session.
//!
//! Pure; `refresh` acts on it. A page may have been closed before it stored the successor of its
//! token, so a used token stays valid until its successor is used for the first time. After the
//! grace period, that holds only for the client that the token was rotated for
//! (`sessions::Session::was_rotated_for`): the same token from another client is a copy, and ends
//! the session. A token with a used successor ends the session too, since the copy cannot be told
//! from the original.

use std::time::Duration;

use crate::model::SessionMode;

/// The response to a genuine token of a live session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The newest token: issue its successor.
    Rotate,
    /// The successor was issued but not used: issue the same successor again.
    Again,
    /// Refuse the token.
    Refuse,
    /// A copy: refuse it and end the session.
    End,
}

/// The last rotation of a session, seen by a client that presents one of its tokens.
#[derive(Debug, Clone, Copy)]
pub struct Rotation {
    /// The generation of the newest token.
    pub newest: i64,
    /// The time since that token was issued.
    pub age: Duration,
    /// Whether it was issued to the client that presents the token now.
    pub same_client: bool,
}

/// Judges the token of generation `shown`.
#[must_use]
pub fn judge(shown: i64, last: Rotation, grace: Duration, mode: SessionMode) -> Verdict {
    let in_grace = last.age <= grace;
    if shown > last.newest {
        return Verdict::Refuse;
    }
    match last.newest - shown {
        0 => Verdict::Rotate,
        1 if in_grace => Verdict::Again,
        1 if !last.same_client => Verdict::End,
        // In session mode every request carries the token, so the old one must end.
        1 if mode == SessionMode::Session => Verdict::Refuse,
        1 => Verdict::Again,
        // Two tabs that refresh at the same time are no theft.
        _ if in_grace => Verdict::Refuse,
        _ => Verdict::End,
    }
}

/// Returns whether a session token of generation `shown` still authenticates requests.
#[must_use]
pub fn is_current(shown: i64, newest: i64, age: Duration, grace: Duration) -> bool {
    let last = Rotation { newest, age, same_client: true };
    matches!(judge(shown, last, grace, SessionMode::Session), Verdict::Rotate | Verdict::Again)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);
    const EARLY: Duration = Duration::from_secs(3);
    const LATE: Duration = Duration::from_millis(10_001);

    #[test]
    fn verdicts_depend_on_generation_grace_period_and_mode() {
        use SessionMode::{Cookie, Json, Session};
        use Verdict::{Again, End, Refuse, Rotate};

        for (shown, age, mode, verdict) in [
            (5, EARLY, Json, Rotate),
            (5, LATE, Json, Rotate),
            (5, EARLY, Session, Rotate),
            (5, LATE, Session, Rotate),
            (4, EARLY, Json, Again),
            (4, LATE, Json, Again),
            (4, LATE, Cookie, Again),
            (4, EARLY, Session, Again),
            (4, GRACE, Session, Again),
            (4, LATE, Session, Refuse),
            (3, EARLY, Json, Refuse),
            (3, GRACE, Json, Refuse),
            (3, LATE, Json, End),
            (3, LATE, Cookie, End),
            (3, EARLY, Session, Refuse),
            (3, LATE, Session, End),
            (1, EARLY, Json, Refuse),
            (1, LATE, Json, End),
            (6, EARLY, Json, Refuse),
            (6, LATE, Json, Refuse),
            (6, EARLY, Session, Refuse),
            (i64::MAX, LATE, Json, Refuse),
        ] {
            let last = Rotation { newest: 5, age, same_client: true };
            assert_eq!(judge(shown, last, GRACE, mode), verdict, "{shown} {age:?} {mode:?}");
        }
    }

    #[test]
    fn reuse_by_another_client_after_grace_ends_the_session() {
        for mode in [SessionMode::Json, SessionMode::Cookie, SessionMode::Session] {
            for (shown, age, verdict) in [
                (5, LATE, Verdict::Rotate),
                (4, GRACE, Verdict::Again),
                (4, LATE, Verdict::End),
                (3, GRACE, Verdict::Refuse),
                (3, LATE, Verdict::End),
            ] {
                let last = Rotation { newest: 5, age, same_client: false };
                assert_eq!(judge(shown, last, GRACE, mode), verdict, "{shown} {age:?} {mode:?}");
            }
        }
    }

    #[test]
    fn a_session_token_is_current_until_its_grace_period_ends() {
        assert!(is_current(5, 5, LATE, GRACE));
        assert!(is_current(4, 5, GRACE, GRACE));
        assert!(!is_current(4, 5, LATE, GRACE));
        assert!(!is_current(3, 5, EARLY, GRACE));
        assert!(!is_current(6, 5, EARLY, GRACE));
    }

    #[test]
    fn tabs_of_one_client_get_the_same_successor_without_grace() {
        let last = Rotation { newest: 5, age: EARLY, same_client: true };
        assert_eq!(judge(4, last, Duration::ZERO, SessionMode::Json), Verdict::Again);
        assert_eq!(judge(3, last, Duration::ZERO, SessionMode::Json), Verdict::End);
    }
}
