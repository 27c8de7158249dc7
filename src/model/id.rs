//! Generates identifiers.

use uuid::Uuid;

/// Returns a random identifier (UUID version 4) for an account, role, policy or session.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one home of fresh identifiers")]
pub fn fresh() -> Uuid {
    Uuid::new_v4()
}
