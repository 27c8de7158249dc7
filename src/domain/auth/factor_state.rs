//! The state of an account's second factor, as its owner may see it. It contains neither the secret
//! nor the codes.

use crate::domain::Error;
use crate::domain::auth::Auth;
use crate::domain::auth::recovery_codes;
use crate::model::schema::second_factors;
use crate::model::schema::users;
use crate::model::schema::{SECOND_FACTORS, USERS};
use crate::model::{Actor, Key};

/// The state of an account's second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactorState {
    /// Whether a sign-in needs a code.
    pub enabled: bool,
    /// Number of unused recovery codes.
    pub recovery_codes_left: usize,
}

impl Auth {
    /// Returns the state of the second factor of the actor's account. It needs no permission: a
    /// sign-in with a code reveals as much.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] if the account is gone; when the store fails.
    pub async fn factor_state(&self, actor: &Actor) -> Result<FactorState, Error> {
        let id = Key::Uuid(actor.user.ok_or(Error::InvalidCredentials)?);
        let user = self.store.find(&USERS, id).await?.ok_or(Error::InvalidCredentials)?;
        if user.get(&users::tfa_secret).is_none() {
            return Ok(FactorState { enabled: false, recovery_codes_left: 0 });
        }
        let noted = self.store.find(&SECOND_FACTORS, id).await?;
        let codes = noted.as_ref().and_then(|row| row.get(&second_factors::recovery_codes));
        let recovery_codes_left = codes.map_or(0, recovery_codes::count);
        Ok(FactorState { enabled: true, recovery_codes_left })
    }
}
