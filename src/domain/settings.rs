//! The settings that an operator makes through `/settings`, for the code that applies them.
//!
//! `items` reads, authorizes and changes them as an item. Each call here reads the row from
//! `row_cache`, which events keep up to date, so a change takes effect with the next call.

use std::sync::Arc;

use serde_json::Value as Json;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::row_cache::RowCache;
use crate::model::collection::SINGLE_KEY;
use crate::model::column::Cell;
use crate::model::schema::SETTINGS;
use crate::model::schema::settings;
use crate::model::{Column, Key, Row};

/// The one row of `directus_settings`.
pub struct Settings {
    row_cache: Arc<RowCache>,
}

/// A snapshot of the settings.
#[derive(Debug, Clone, Default)]
pub struct InForce(Option<Arc<Row>>);

impl Settings {
    /// Creates the settings on top of the row cache.
    #[must_use]
    pub const fn new(row_cache: Arc<RowCache>) -> Self {
        Self { row_cache }
    }

    /// Returns the current settings. They are read from memory unless they have just changed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn in_force(&self) -> Result<InForce, Error> {
        let row = self.row_cache.find(&SETTINGS, Key::Integer(SINGLE_KEY)).await?;
        Ok(InForce(row))
    }
}

impl InForce {
    /// Returns a text, unless it is empty.
    #[must_use]
    pub fn text(&self, column: &Column<str>) -> Option<&str> {
        self.get(column).filter(|text| !text.is_empty())
    }

    /// Returns whether visitors may sign up.
    #[must_use]
    pub fn public_registration(&self) -> bool {
        self.get(&settings::public_registration).unwrap_or(false)
    }

    /// Returns whether a new account is inactive until its address is confirmed.
    #[must_use]
    pub fn public_registration_verify_email(&self) -> bool {
        self.get(&settings::public_registration_verify_email).unwrap_or(true)
    }

    /// Returns the role of accounts created by sign-up.
    #[must_use]
    pub fn public_registration_role(&self) -> Option<Uuid> {
        self.get(&settings::public_registration_role)
    }

    /// Returns the filter on accounts that a new address has to match:
    /// `{"email":{"_ends_with":…}}`.
    #[must_use]
    pub fn public_registration_email_filter(&self) -> Option<&Json> {
        self.get(&settings::public_registration_email_filter).filter(|filter| !filter.is_null())
    }

    /// Returns how many consecutive failed sign-ins an account may have; `None` for no limit.
    #[must_use]
    pub fn auth_login_attempts(&self) -> Option<u32> {
        self.get(&settings::auth_login_attempts)?.try_into().ok()
    }

    fn get<T: Cell + ?Sized>(&self, column: &Column<T>) -> Option<T::Read<'_>> {
        self.0.as_ref()?.get(column)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Value;

    #[test]
    fn defaults_disable_registration_and_require_verification() {
        let none = InForce(None);

        assert!(!none.public_registration());
        assert!(none.public_registration_verify_email());
        assert_eq!(none.text(&settings::project_name), None);
        assert_eq!(none.public_registration_email_filter(), None);
    }

    #[test]
    fn settings_are_read_from_the_row() {
        let filter = json!({"email": {"_ends_with": "@example.com"}});
        let row = Row::empty(&SETTINGS)
            .with(&settings::project_name, "Our chat")
            .with(&settings::project_descriptor, "")
            .with(&settings::public_registration, true)
            .with(&settings::public_registration_verify_email, false)
            .with(&settings::public_registration_role, Uuid::from_u128(7))
            .with(
                &settings::public_registration_email_filter,
                Value::Json(Arc::new(filter.clone())),
            )
            .with(&settings::auth_login_attempts, 25);
        let settings = InForce(Some(Arc::new(row)));

        assert_eq!(settings.text(&settings::project_name), Some("Our chat"));
        assert_eq!(settings.text(&settings::project_descriptor), None);
        assert!(settings.public_registration());
        assert!(!settings.public_registration_verify_email());
        assert_eq!(settings.public_registration_role(), Some(Uuid::from_u128(7)));
        assert_eq!(settings.public_registration_email_filter(), Some(&filter));
        assert_eq!(settings.auth_login_attempts(), Some(25));
        assert_eq!(settings.text(&settings::auth_password_policy), None);
    }
}
