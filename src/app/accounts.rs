//! The list of accounts for operators: one row per account, with the name of its role.

use std::collections::HashMap;

use serde_json::Value as Json;

use crate::app::{App, StartError};
use crate::domain::Error;
use crate::model::schema::ROLES;
use crate::model::schema::roles;
use crate::model::schema::users;
use crate::model::{Field, Key, Row};

/// An account as a table row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The email address; empty if the account has none.
    pub email: String,
    /// First and last name.
    pub name: String,
    /// The name of the role; empty if the account has none.
    pub role: String,
    /// `active`, `suspended`, …
    pub status: String,
    /// Time of the last use in wire format; empty if never used.
    pub last_access: String,
    /// The key.
    pub id: String,
}

impl App {
    /// Returns all accounts.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_accounts(&self) -> Result<Vec<Account>, StartError> {
        let users = self.services.accounts.list().await?;
        let roles = self.store.all(&ROLES).await.map_err(Error::from)?;
        let roles: HashMap<Key, String> =
            roles.iter().filter_map(|row| Some((row.key()?, shown(row, &roles::name)))).collect();
        Ok(users.iter().map(|user| Account::new(user, &roles)).collect())
    }
}

impl Account {
    fn new(user: &Row, roles: &HashMap<Key, String>) -> Self {
        let role = user.get(&users::role).and_then(|role| roles.get(&Key::Uuid(role)));
        let names = [&users::first_name, &users::last_name].map(|name| shown(user, name));
        Self {
            email: shown(user, &users::email),
            name: names.join(" ").trim().to_owned(),
            role: role.cloned().unwrap_or_default(),
            status: shown(user, &users::status),
            last_access: shown(user, &users::last_access),
            id: shown(user, &users::id),
        }
    }
}

/// Returns the value of a field as text; empty for null.
fn shown(row: &Row, field: &'static Field) -> String {
    match row[field].to_json() {
        Json::Null => String::new(),
        Json::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AccountStatus;
    use crate::model::id;
    use crate::model::schema::USERS;

    #[test]
    fn an_account_has_its_role_name_and_empty_text_for_null() {
        let role = id::fresh();
        let roles = HashMap::from([(Key::Uuid(role), "Member".to_owned())]);
        let user = Row::empty(&USERS)
            .with(&users::email, "ann@example.com")
            .with(&users::first_name, "Ann")
            .with(&users::role, role)
            .with(&users::status, AccountStatus::Active);

        let account = Account::new(&user, &roles);

        assert_eq!(account.role, "Member");
        assert_eq!(account.name, "Ann");
        assert_eq!(account.last_access, "");
        assert_eq!(account.id, "");
    }
}
