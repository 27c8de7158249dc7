//! The names of those who are writing, as somebody may see them.

use std::collections::HashMap;

use serde::Deserialize;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::items::Items;
use crate::domain::items::plan::Plan;
use crate::domain::permissions::Permissions;
use crate::domain::realtime::typing::Typist;
use crate::model::Action;
use crate::model::Actor;
use crate::model::Key;
use crate::model::schema::MESSAGES;
use crate::model::schema::USERS;

/// Who writes what nobody is named for.
const NOBODY: &str = "Guest";

/// The names of some people, worked out once for all who may see the same.
pub(super) struct Names<'a> {
    items: &'a Items,
    permissions: &'a Permissions,
    typists: &'a [Typist],
    /// For each sight the names, in the order of the people.
    seen: Vec<(Sight, Vec<String>)>,
}

/// What an actor may see.
#[derive(PartialEq)]
struct Sight {
    /// How first names are read, if they may be.
    accounts: Option<Plan>,
    /// Whether the names of connections may be seen.
    guests: bool,
    /// Whether the keys of accounts may be seen.
    keys: bool,
}

#[derive(Deserialize)]
struct Account {
    first_name: Option<String>,
}

#[derive(Serialize)]
struct Named<'a> {
    user: &'a str,
}

impl<'a> Names<'a> {
    pub(super) const fn new(
        items: &'a Items,
        permissions: &'a Permissions,
        typists: &'a [Typist],
    ) -> Self {
        Self { items, permissions, typists, seen: Vec::new() }
    }

    /// Returns the list that an actor may see, without themselves; `None` if they may not read
    /// messages.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn seen_by(
        &mut self,
        actor: &Actor,
        is_self: impl Fn(&Typist) -> bool,
    ) -> Result<Option<String>, Error> {
        let Some(sight) = self.sight(actor)? else { return Ok(None) };
        let known = self.seen.iter().position(|(known, _)| *known == sight);
        let index = if let Some(index) = known {
            index
        } else {
            let names = self.names(&sight).await?;
            self.seen.push((sight, names));
            self.seen.len() - 1
        };
        let others = self.typists.iter().zip(&self.seen[index].1);
        let named: Vec<Named<'_>> =
            others.filter(|(typist, _)| !is_self(typist)).map(|(_, user)| Named { user }).collect();
        Ok(Some(serde_json::to_string(&named).expect("texts have a JSON form")))
    }

    fn sight(&self, actor: &Actor) -> Result<Option<Sight>, Error> {
        let Ok(messages) = self.permissions.scope(actor, &MESSAGES, Action::Read) else {
            return Ok(None);
        };
        let accounts = self.permissions.scope(actor, &USERS, Action::Read);
        let accounts = if accounts.is_ok_and(|scope| scope.has(USERS.require("first_name"))) {
            let query = self.items.parse(actor, &USERS, &json!({"fields": ["first_name"]}))?;
            Some(Plan::new(self.permissions, actor, &USERS, &query)?)
        } else {
            None
        };
        Ok(Some(Sight {
            accounts,
            guests: messages.has(MESSAGES.require("guest")),
            keys: messages.has(MESSAGES.require("user_created")),
        }))
    }

    async fn names(&self, sight: &Sight) -> Result<Vec<String>, Error> {
        let first_names = match &sight.accounts {
            Some(plan) => self.first_names(plan).await?,
            None => HashMap::new(),
        };
        let name = |typist: &Typist| match (typist.user, typist.guest) {
            (Some(user), _) => {
                first_names.get(&user).cloned().or_else(|| sight.keys.then(|| user.to_string()))
            }
            (None, guest) => guest.filter(|_| sight.guests).map(|guest| guest.to_string()),
        };
        let names = self.typists.iter();
        Ok(names.map(|typist| name(typist).unwrap_or_else(|| NOBODY.to_owned())).collect())
    }

    async fn first_names(&self, plan: &Plan) -> Result<HashMap<Uuid, String>, Error> {
        let keys: Vec<Key> =
            self.typists.iter().filter_map(|typist| typist.user.map(Key::Uuid)).collect();
        let rows = self.items.directory.find_many(&USERS, &keys).await?;
        let relations = plan.select.filter.relations();
        let records = self.items.records(&plan.projection, rows, relations).await?;
        let mut names = HashMap::new();
        for record in records.iter().filter(|record| plan.projection.fits(record)) {
            let shown = plan.projection.object(record);
            let account: Option<Account> = serde_json::from_str(shown.get()).ok();
            let name = account.and_then(|account| account.first_name);
            if let (Some(name), Some(id)) = (name, record.row.value("id").as_uuid())
                && !name.trim().is_empty()
            {
                names.insert(id, name);
            }
        }
        Ok(names)
    }
}
