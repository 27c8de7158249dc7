//! The settings that an operator makes through `/settings`, for the code that applies them.
//!
//! `items` reads, authorizes and changes them as an item. Each call here reads the row from
//! `row_cache`, which events keep up to date, so a change takes effect with the next call.

use std::sync::Arc;

use serde_json::Value as Json;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::row_cache::RowCache;
use crate::model::Key;
use crate::model::Row;
use crate::model::Value;
use crate::model::collection::SINGLE_KEY;
use crate::model::schema::SETTINGS;

/// The one row of `directus_settings`.
pub struct Settings {
    directory: Arc<RowCache>,
}

/// A snapshot of the settings.
#[derive(Debug, Clone, Default)]
pub struct InForce(Option<Arc<Row>>);

impl Settings {
    /// Creates the settings on top of the row cache.
    #[must_use]
    pub const fn new(directory: Arc<RowCache>) -> Self {
        Self { directory }
    }

    /// Returns the current settings. They are read from memory unless they have just changed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn in_force(&self) -> Result<InForce, Error> {
        let row = self.directory.find(&SETTINGS, Key::Integer(SINGLE_KEY)).await?;
        Ok(InForce(row))
    }
}

impl InForce {
    /// Returns the name of the project; without one, `PROJECT_NAME` applies.
    #[must_use]
    pub fn project_name(&self) -> Option<&str> {
        self.text("project_name")
    }

    /// Returns the line below the name.
    #[must_use]
    pub fn project_descriptor(&self) -> Option<&str> {
        self.text("project_descriptor")
    }

    /// Returns the colour of the project, unvalidated.
    #[must_use]
    pub fn project_color(&self) -> Option<&str> {
        self.text("project_color")
    }

    /// Returns the language of users without a choice of their own.
    #[must_use]
    pub fn default_language(&self) -> Option<&str> {
        self.text("default_language")
    }

    /// Returns the default appearance: `auto`, `light` or `dark`.
    #[must_use]
    pub fn default_appearance(&self) -> Option<&str> {
        self.text("default_appearance")
    }

    /// Returns the note for visitors before they sign in.
    #[must_use]
    pub fn public_note(&self) -> Option<&str> {
        self.text("public_note")
    }

    /// Returns whether visitors may sign up.
    #[must_use]
    pub fn public_registration(&self) -> bool {
        self.value("public_registration").is_true()
    }

    /// Returns whether a new account is inactive until its address is confirmed.
    #[must_use]
    pub fn public_registration_verify_email(&self) -> bool {
        *self.value("public_registration_verify_email") != Value::Boolean(false)
    }

    /// Returns the role of accounts created by sign-up.
    #[must_use]
    pub fn public_registration_role(&self) -> Option<Uuid> {
        self.value("public_registration_role").as_uuid()
    }

    /// Returns the filter on accounts that a new address has to match:
    /// `{"email":{"_ends_with":…}}`.
    #[must_use]
    pub fn public_registration_email_filter(&self) -> Option<&Json> {
        match self.value("public_registration_email_filter") {
            Value::Json(filter) if !filter.is_null() => Some(filter),
            _ => None,
        }
    }

    /// Returns how many consecutive failed sign-ins an account may have; `None` for no limit.
    #[must_use]
    pub fn auth_login_attempts(&self) -> Option<u32> {
        self.value("auth_login_attempts").as_integer().and_then(|number| number.try_into().ok())
    }

    /// Returns the pattern for new passwords, as the operator wrote it.
    #[must_use]
    pub fn auth_password_policy(&self) -> Option<&str> {
        self.text("auth_password_policy")
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.value(name).as_text().filter(|text| !text.is_empty())
    }

    fn value(&self, name: &str) -> &Value {
        self.0.as_ref().map_or(&Value::Null, |row| row.value(name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_disable_registration_and_require_verification() {
        let none = InForce(None);

        assert!(!none.public_registration());
        assert!(none.public_registration_verify_email());
        assert_eq!(none.project_name(), None);
        assert_eq!(none.public_registration_email_filter(), None);
    }

    #[test]
    fn settings_are_read_from_the_row() {
        let filter = json!({"email": {"_ends_with": "@example.com"}});
        let row = Row::empty(&SETTINGS)
            .with("project_name", Value::text("Our chat"))
            .with("project_descriptor", Value::text(""))
            .with("public_registration", Value::Boolean(true))
            .with("public_registration_verify_email", Value::Boolean(false))
            .with("public_registration_role", Value::Uuid(Uuid::from_u128(7)))
            .with("public_registration_email_filter", Value::Json(Arc::new(filter.clone())))
            .with("auth_login_attempts", Value::Integer(25));
        let settings = InForce(Some(Arc::new(row)));

        assert_eq!(settings.project_name(), Some("Our chat"));
        assert_eq!(settings.project_descriptor(), None);
        assert!(settings.public_registration());
        assert!(!settings.public_registration_verify_email());
        assert_eq!(settings.public_registration_role(), Some(Uuid::from_u128(7)));
        assert_eq!(settings.public_registration_email_filter(), Some(&filter));
        assert_eq!(settings.auth_login_attempts(), Some(25));
        assert_eq!(settings.auth_password_policy(), None);
    }
}
