//! The rule of rotation: what becomes of somebody who shows the k-th token of a session.
//!
//! Pure; `refresh` acts on it. A page may have been left before it could keep the successor it was
//! given, so a used token stays good until that successor is used for the first time. Only a token
//! whose successor was used can have been copied, and then nobody knows whose copy is the owner's.

use std::time::Duration;

use crate::domain::auth::Mode;

/// What to answer to a genuine token of a live session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the newest: make its successor.
    Rotate,
    /// Its successor is out and still unused: answer that one again.
    Again,
    /// Refuse it.
    Refuse,
    /// Its successor was used before: refuse it and end the session.
    End,
}

/// Judges the token of generation `shown` when `newest` is the newest that was issued, `age` ago.
#[must_use]
pub fn judge(shown: i64, newest: i64, age: Duration, grace: Duration, mode: Mode) -> Verdict {
    let in_grace = age <= grace;
    if shown > newest {
        return Verdict::Refuse;
    }
    match newest - shown {
        0 => Verdict::Rotate,
        // In session mode the token is also what every request shows, so the old one must go.
        1 if mode == Mode::Session && !in_grace => Verdict::Refuse,
        1 => Verdict::Again,
        // Two tabs that refresh at once are no thieves.
        _ if in_grace => Verdict::Refuse,
        _ => Verdict::End,
    }
}

/// Returns whether a session token of generation `shown` says who is asking.
#[must_use]
pub fn is_current(shown: i64, newest: i64, age: Duration, grace: Duration) -> bool {
    matches!(judge(shown, newest, age, grace, Mode::Session), Verdict::Rotate | Verdict::Again)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);
    const EARLY: Duration = Duration::from_secs(3);
    const LATE: Duration = Duration::from_millis(10_001);

    #[test]
    fn a_token_is_judged_by_its_generation_the_grace_and_the_mode() {
        use Mode::Cookie;
        use Mode::Json;
        use Mode::Session;
        use Verdict::Again;
        use Verdict::End;
        use Verdict::Refuse;
        use Verdict::Rotate;

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
            assert_eq!(judge(shown, 5, age, GRACE, mode), verdict, "{shown} {age:?} {mode:?}");
        }
    }

    #[test]
    fn a_session_token_is_current_until_the_grace_of_its_successor_is_over() {
        assert!(is_current(5, 5, LATE, GRACE));
        assert!(is_current(4, 5, GRACE, GRACE));
        assert!(!is_current(4, 5, LATE, GRACE));
        assert!(!is_current(3, 5, EARLY, GRACE));
        assert!(!is_current(6, 5, EARLY, GRACE));
    }

    #[test]
    fn without_grace_two_tabs_still_get_the_same_successor() {
        assert_eq!(judge(4, 5, EARLY, Duration::ZERO, Mode::Json), Verdict::Again);
        assert_eq!(judge(3, 5, EARLY, Duration::ZERO, Mode::Json), Verdict::End);
    }
}
