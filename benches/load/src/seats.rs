//! The subscription of each subscriber, and whether it matches the published messages.

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

/// A subscriber.
pub struct Seat {
    /// The token of its account.
    pub token: Arc<str>,
    /// The filter of its subscription.
    pub filter: Option<Json>,
    /// Whether the publishers' messages match. If not, any message delivered to it is an error.
    pub is_told: bool,
}

enum Filters {
    None,
    /// This number of distinct filters; every message matches each of them.
    Different(usize),
    /// By the account of the subscriber, see [`current_user`].
    CurrentUser,
}

impl Seats {
    /// Creates the requested accounts and assigns the filters.
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

    /// Returns the subscriber at `place`.
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

    /// Returns the token of a publisher. With filters by account, only the first account publishes.
    pub fn publisher(&self, place: usize) -> &Arc<str> {
        match self.filters {
            Filters::CurrentUser => self.accounts.token(0),
            Filters::None | Filters::Different(_) => self.accounts.token(place),
        }
    }
}

/// The first account publishes and subscribes to its own messages. The others subscribe to those of
/// other accounts, except the last: it subscribes to its own and publishes none, so its
/// subscription receives nothing.
fn current_user(account: usize, accounts: &Accounts) -> (Json, bool) {
    let own = json!({"user_created": {"_eq": "$CURRENT_USER"}});
    let foreign = json!({"user_created": {"_neq": "$CURRENT_USER"}});
    match account {
        0 => (own, true),
        last if last + 1 == accounts.len() => (own, false),
        _ => (foreign, true),
    }
}
