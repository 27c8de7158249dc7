//! To what each subscriber listens, and whether it is to hear what is written.

use std::sync::Arc;

use serde_json::Value as Json;
use serde_json::json;

use crate::Outcome;
use crate::accounts::Accounts;
use crate::arguments::Subscribers;
use crate::target::Target;

/// The subscribers of a run.
pub struct Seats {
    accounts: Accounts,
    filters: Filters,
}

/// One of them.
pub struct Seat {
    /// The token of its account.
    pub token: Arc<str>,
    /// The filter of its subscription.
    pub filter: Option<Json>,
    /// Whether it is told what the publishers write. If not, anything it is told is wrong.
    pub is_told: bool,
}

enum Filters {
    None,
    /// So many, all of which everything fits.
    Different(usize),
    /// By the account of the subscriber: see [`current_user`].
    CurrentUser,
}

impl Seats {
    /// Makes the accounts that are asked for, and deals the filters.
    pub async fn prepare(target: &Target, asked: &Subscribers) -> Outcome<Self> {
        let accounts = Accounts::prepare(target, asked.accounts, &asked.role).await?;
        let filters = match asked.filters {
            _ if asked.current_user => Filters::CurrentUser,
            0 => Filters::None,
            number => Filters::Different(number),
        };
        if asked.current_user && accounts.len() < 3 {
            return Err("--current-user takes --accounts 3 or more".into());
        }
        Ok(Self { accounts, filters })
    }

    /// Returns one subscriber.
    pub fn seat(&self, place: usize) -> Seat {
        let token = Arc::clone(self.accounts.token(place));
        let (filter, is_told) = match self.filters {
            Filters::None => (None, true),
            Filters::Different(number) => {
                let text = format!("nobody says this, least of all {}", place % number);
                (Some(json!({"content": {"_ncontains": text}})), true)
            }
            Filters::CurrentUser => {
                let (filter, is_told) = current_user(place % self.accounts.len(), &self.accounts);
                (Some(filter), is_told)
            }
        };
        Seat { token, filter, is_told }
    }

    /// The token of a publisher. With filters by account there is one account that writes, the
    /// first.
    pub fn publisher(&self, place: usize) -> &Arc<str> {
        match self.filters {
            Filters::CurrentUser => self.accounts.token(0),
            Filters::None | Filters::Different(_) => self.accounts.token(place),
        }
    }
}

/// The first account writes and follows what is its own. The others follow what is not, but for the
/// last: it follows its own as well, writes nothing, and so is told nothing.
fn current_user(account: usize, accounts: &Accounts) -> (Json, bool) {
    let own = json!({"user_created": {"_eq": "$CURRENT_USER"}});
    let foreign = json!({"user_created": {"_neq": "$CURRENT_USER"}});
    match account {
        0 => (own, true),
        last if last + 1 == accounts.len() => (own, false),
        _ => (foreign, true),
    }
}
