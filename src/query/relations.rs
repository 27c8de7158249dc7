//! The relations a filter or a sort order follows. A reader has to attach them to a row before it
//! evaluates the filter.
//!
//! Relations expanded by `fields` are not included, since they depend on permissions.

use crate::model::Field;
use crate::query::Filter;

/// A tree of relations, each listed once per level.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Relations(pub Vec<(&'static Field, Relations)>);

impl Relations {
    /// Returns whether no relation is followed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a relation if it is missing, and returns the relations followed behind it.
    pub fn open(&mut self, field: &'static Field) -> &mut Self {
        let index = self.0.iter().position(|(known, _)| *known == field).unwrap_or_else(|| {
            self.0.push((field, Self::default()));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }

    /// Adds the relations of another tree.
    pub fn merge(&mut self, other: Self) {
        for (field, behind) in other.0 {
            self.open(field).merge(behind);
        }
    }
}

impl Filter {
    /// Returns the relations that must be attached to a record before [`Filter::matches`].
    #[must_use]
    pub fn relations(&self) -> Relations {
        let mut relations = Relations::default();
        self.follow(&mut relations);
        relations
    }

    fn follow(&self, relations: &mut Relations) {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                for part in parts {
                    part.follow(relations);
                }
            }
            Self::Field(..) | Self::Part(..) => {}
            Self::Related(field, behind)
            | Self::Some(field, behind)
            | Self::None(field, behind) => behind.follow(relations.open(field)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Collection;
    use crate::model::schema::messages;
    use crate::model::schema::users;
    use crate::model::schema::{MESSAGES, ROLES, USERS};
    use crate::query::Test;

    fn related(field: &'static Field, behind: Filter) -> Filter {
        Filter::Related(field, Box::new(behind))
    }

    #[test]
    fn relations_of_all_parts_form_one_tree() {
        let author = messages::user_created.field();
        let editor = messages::user_updated.field();
        let role = users::role.field();
        let named = |collection: &'static Collection, field| {
            Filter::Field(collection.field(field).unwrap(), Test::Nnull)
        };

        let filter = Filter::And(vec![
            named(&MESSAGES, "content"),
            related(author, named(&USERS, "first_name")),
            Filter::Or(vec![
                related(author, related(role, named(&ROLES, "name"))),
                related(editor, named(&USERS, "id")),
            ]),
        ]);

        assert_eq!(
            filter.relations(),
            Relations(vec![
                (author, Relations(vec![(role, Relations::default())])),
                (editor, Relations::default()),
            ]),
        );
        assert!(named(&MESSAGES, "content").relations().is_empty());
    }
}
