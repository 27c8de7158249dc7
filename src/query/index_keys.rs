//! Index keys of a filter: a matching record must satisfy at least one of these equality
//! predicates. Filters can be looked up by them instead of being evaluated one by one.

use crate::model::{Field, Value};
use crate::query::{Filter, Test};

/// Maximum number of index keys; a filter with more is always evaluated.
const INDEX_KEYS_MAX: usize = 32;

/// A field of a row, and a value of it.
pub type IndexKey = (&'static Field, Value);

impl Filter {
    /// Returns field values such as the author in `user_created = $CURRENT_USER`: every matching
    /// record has at least one of these values. `None` if there are none, or too many. A record
    /// that has one of them must still be matched against the filter.
    #[must_use]
    pub fn index_keys(&self) -> Option<Vec<IndexKey>> {
        self.index_keys_in(None)
    }

    /// Returns the index keys; with `only`, those in this field.
    fn index_keys_in(&self, only: Option<&'static Field>) -> Option<Vec<IndexKey>> {
        let wanted = |field: &'static Field| only.is_none_or(|only| only == field);
        match self {
            // Every part has to match, so the most selective one suffices.
            Self::And(parts) => {
                parts.iter().filter_map(|part| part.index_keys_in(only)).min_by_key(Vec::len)
            }
            Self::Or(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    all.extend(part.index_keys_in(only)?);
                    if all.len() > INDEX_KEYS_MAX {
                        return None;
                    }
                }
                Some(all)
            }
            Self::Field(field, Test::Eq(value)) if wanted(field) => {
                Some(vec![(*field, value.clone())])
            }
            Self::Field(field, Test::In(values))
                if wanted(field) && values.len() <= INDEX_KEYS_MAX =>
            {
                Some(values.iter().map(|value| (*field, value.clone())).collect())
            }
            // The key of the related item is the value of the relation field.
            Self::Related(field, behind) if wanted(field) => {
                let keys = behind.index_keys_in(Some(field.target()?.key()))?;
                Some(keys.into_iter().map(|(_, key)| (*field, key)).collect())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use crate::model::schema::USERS;

    use super::*;
    use crate::model::schema::messages;
    use crate::model::schema::users;

    fn author() -> &'static Field {
        &messages::user_created
    }

    fn content() -> &'static Field {
        &messages::content
    }

    fn user(id: u128) -> Value {
        Value::Uuid(Uuid::from_u128(id))
    }

    fn by(id: u128) -> Filter {
        Filter::Field(author(), Test::Eq(user(id)))
    }

    fn says(texts: &[&str]) -> Filter {
        let texts = texts.iter().map(|text| Value::text(text)).collect();
        Filter::Field(content(), Test::In(texts))
    }

    fn open() -> Filter {
        Filter::Field(content(), Test::Nnull)
    }

    #[test]
    fn only_equality_yields_index_keys() {
        assert_eq!(by(1).index_keys(), Some(vec![(author(), user(1))]));
        assert_eq!(says(&["a", "b"]).index_keys().unwrap().len(), 2);
        for filter in [
            open(),
            Filter::everything(),
            Filter::Field(author(), Test::Neq(user(1))),
            Filter::Field(author(), Test::Nin(vec![user(1)])),
            Filter::Field(author(), Test::Null),
            says(&["x"; INDEX_KEYS_MAX + 1]),
        ] {
            assert_eq!(filter.index_keys(), None, "{filter:?}");
        }
    }

    #[test]
    fn a_conjunction_uses_its_most_selective_part() {
        let both = Filter::And(vec![open(), says(&["a", "b"]), by(1)]);

        assert_eq!(both.index_keys(), Some(vec![(author(), user(1))]));
    }

    #[test]
    fn a_disjunction_needs_an_index_key_in_each_alternative() {
        assert_eq!(
            Filter::Or(vec![by(1), says(&["a"])]).index_keys(),
            Some(vec![(author(), user(1)), (content(), Value::text("a"))])
        );
        assert_eq!(Filter::Or(vec![by(1), open()]).index_keys(), None);
        assert_eq!(Filter::Or(vec![by(1); INDEX_KEYS_MAX + 1]).index_keys(), None);
        assert_eq!(Filter::nothing().index_keys(), Some(vec![]));
    }

    #[test]
    fn a_related_key_is_treated_as_the_relation_itself() {
        let behind = |filter| Filter::Related(author(), Box::new(filter));
        let id = Filter::Field(USERS.key(), Test::Eq(user(1)));
        let name = Filter::Field(&users::first_name, Test::Eq(Value::text("Ann")));

        let both = behind(Filter::And(vec![name.clone(), id]));

        assert_eq!(both.index_keys(), Some(vec![(author(), user(1))]));
        assert_eq!(behind(name).index_keys(), None);
    }
}
