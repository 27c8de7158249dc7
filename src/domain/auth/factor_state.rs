//! What an account may know about its own second factor: whether there is one, and how many recovery
//! codes are left. Nothing of the secret or the codes is in it.

use crate::domain::Error;
use crate::domain::auth::Auth;
use crate::domain::auth::recovery_codes;
use crate::model::Actor;
use crate::model::Key;
use crate::model::schema::SECOND_FACTORS;
use crate::model::schema::USERS;

/// How an account stands with its second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactorState {
    /// Whether a sign-in needs a code.
    pub enabled: bool,
    /// How many recovery codes have not been used.
    pub recovery_codes_left: usize,
}

impl Auth {
    /// Returns how the account of the actor stands with its second factor. It needs no permission:
    /// whoever signs in with a code knows as much.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] if the account is gone; when the store fails.
    pub async fn factor_state(&self, actor: &Actor) -> Result<FactorState, Error> {
        let id = Key::Uuid(actor.user.ok_or(Error::InvalidCredentials)?);
        let user = self.store.find(&USERS, id).await?.ok_or(Error::InvalidCredentials)?;
        if user.value("tfa_secret").as_text().is_none() {
            return Ok(FactorState { enabled: false, recovery_codes_left: 0 });
        }
        let noted = self.store.find(&SECOND_FACTORS, id).await?;
        let codes = noted.as_ref().and_then(|row| row.value("recovery_codes").as_text());
        let recovery_codes_left = codes.map_or(0, recovery_codes::count);
        Ok(FactorState { enabled: true, recovery_codes_left })
    }
}
