//! Keeps the roles a tree: no role is its own ancestor.

use std::collections::HashMap;

use crate::domain::Error;
use crate::domain::row_cache::RowCache;
use crate::model::Key;
use crate::model::schema::ROLES;
use crate::model::schema::roles;
use crate::store::Mutation;

/// The maximum number of checked ancestors. Those beyond it grant no permissions anyway.
const ANCESTORS_MAX: usize = 100;

/// Refuses a role as its own parent, and as a child of one of its descendants. Two concurrent
/// changes can still create a cycle together. It grants no permission that its roles do not grant.
///
/// # Errors
/// [`Error::InvalidPayload`].
pub(super) async fn check_parents(row_cache: &RowCache, ops: &[Mutation]) -> Result<(), Error> {
    let parent = roles::parent.field();
    let mut parents: HashMap<Key, Option<Key>> = HashMap::new();
    for op in ops {
        match op {
            Mutation::Create { collection, rows } if **collection == ROLES => {
                parents
                    .extend(rows.iter().filter_map(|row| Some((row.key()?, row[parent].as_key()))));
            }
            Mutation::Update { collection, keys, set, .. } if **collection == ROLES => {
                if let Some((_, above)) = set.iter().find(|(field, _)| *field == parent) {
                    parents.extend(keys.iter().map(|key| (*key, above.as_key())));
                }
            }
            _ => {}
        }
    }
    for role in parents.keys().copied() {
        let mut above = parents[&role];
        if above == Some(role) {
            return Err(Error::payload("A role cannot be a parent of itself"));
        }
        for _ in 0..ANCESTORS_MAX {
            let Some(next) = above else { break };
            if next == role {
                return Err(Error::payload(
                    "A role cannot have a parent that is already a descendant of itself",
                ));
            }
            above = if let Some(above) = parents.get(&next) {
                *above
            } else {
                let found = row_cache.find(&ROLES, next).await?;
                found.and_then(|row| row[parent].as_key())
            };
        }
    }
    Ok(())
}
