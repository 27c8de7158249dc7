//! The values of variables in filters.

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::{Actor, Collection, Field};
use crate::query::QueryError;
use crate::query::date_shift::shifted;
use crate::query::profile;

/// The values of `$CURRENT_USER`, `$CURRENT_ROLE`, `$CURRENT_ROLES`, `$CURRENT_POLICIES`, `$NOW`,
/// and of fields of the referenced rows (`$CURRENT_USER.email`).
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// The caller.
    pub actor: &'a Actor,
    /// The current time.
    pub now: Timestamp,
    /// The fields the caller may name; `None` for all.
    visibility: Option<&'a FieldVisibility<'a>>,
}

/// Returns whether a caller may name a field. Any other field is treated as if it did not exist, so
/// that errors in the rest of a query do not reveal whether it does.
pub type FieldVisibility<'a> = dyn Fn(&'static Collection, &'static Field) -> bool + Sync + 'a;

/// The value of a variable, in the form in which a client would write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// No value: `$CURRENT_USER` of the public, `$CURRENT_ROLE` of an account without a role.
    Unset,
    /// One value.
    One(String),
    /// Any number of values.
    Many(Vec<String>),
}

impl<'a> Environment<'a> {
    /// Creates an environment in which every field may be named.
    #[must_use]
    pub const fn new(actor: &'a Actor, now: Timestamp) -> Self {
        Self { actor, now, visibility: None }
    }

    /// Restricts the fields that may be named.
    #[must_use]
    pub const fn restricted(self, visibility: &'a FieldVisibility<'a>) -> Self {
        Self { visibility: Some(visibility), ..self }
    }

    /// Returns whether the field may be named.
    #[must_use]
    pub fn may_name(&self, collection: &'static Collection, field: &'static Field) -> bool {
        self.visibility.is_none_or(|may_name| may_name(collection, field))
    }

    /// Returns the value of the variable; `None` if the text is not a variable.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] for an unknown variable. It must not be treated as a text, since a
    /// rule with a negation would then match everything.
    pub fn resolve(&self, text: &str) -> Result<Option<Variable>, QueryError> {
        let variable = match text {
            "$CURRENT_USER" => self.actor.user.into(),
            "$CURRENT_ROLE" => self.actor.role.into(),
            "$CURRENT_ROLES" => self.actor.roles.as_ref().into(),
            "$CURRENT_POLICIES" => self.actor.policies.as_ref().into(),
            "$NOW" => Variable::One(self.now.to_string()),
            _ if text.starts_with("$CURRENT_") && text.contains('.') => {
                return profile::resolve(self.actor, text).map(Some);
            }
            _ => match text.strip_prefix("$NOW(").and_then(|rest| rest.strip_suffix(')')) {
                Some(adjustment) => match shifted(self.now, adjustment) {
                    Some(at) => Variable::One(at.to_string()),
                    None => {
                        return Err(QueryError::invalid(format!("Invalid date value \"{text}\"")));
                    }
                },
                None => return Ok(None),
            },
        };
        Ok(Some(variable))
    }
}

impl From<Option<Uuid>> for Variable {
    fn from(id: Option<Uuid>) -> Self {
        id.map_or(Self::Unset, |id| Self::One(id.to_string()))
    }
}

impl From<&[Uuid]> for Variable {
    fn from(ids: &[Uuid]) -> Self {
        Self::Many(ids.iter().map(Uuid::to_string).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::date;

    fn resolve(actor: &Actor, text: &str) -> Result<Option<Variable>, QueryError> {
        let now = date::parse("2026-01-31T12:00:00.007Z").expect("a valid date");
        Environment::new(actor, now).resolve(text)
    }

    fn one(text: &str) -> Variable {
        Variable::One(text.to_owned())
    }

    #[test]
    fn variables_resolve_for_a_signed_in_user() {
        let ids = [1, 2, 3, 4].map(Uuid::from_u128);
        let texts = ids.map(|id| id.to_string());
        let actor = Actor {
            user: Some(ids[0]),
            role: Some(ids[1]),
            roles: [ids[1], ids[2]].into(),
            policies: [ids[3]].into(),
            ..Actor::denied()
        };
        let many = |texts: &[String]| Ok(Some(Variable::Many(texts.to_vec())));

        assert_eq!(resolve(&actor, "$CURRENT_USER"), Ok(Some(one(&texts[0]))));
        assert_eq!(resolve(&actor, "$CURRENT_ROLE"), Ok(Some(one(&texts[1]))));
        assert_eq!(resolve(&actor, "$CURRENT_ROLES"), many(&texts[1..3]));
        assert_eq!(resolve(&actor, "$CURRENT_POLICIES"), many(&texts[3..]));
    }

    #[test]
    fn variables_resolve_for_the_public() {
        let visitor = Actor::denied();

        assert_eq!(resolve(&visitor, "$CURRENT_USER"), Ok(Some(Variable::Unset)));
        assert_eq!(resolve(&visitor, "$CURRENT_ROLE"), Ok(Some(Variable::Unset)));
        assert_eq!(resolve(&visitor, "$CURRENT_ROLES"), Ok(Some(Variable::Many(Vec::new()))));
        assert_eq!(resolve(&visitor, "$NOW"), Ok(Some(one("2026-01-31T12:00:00.007Z"))));
        assert_eq!(resolve(&visitor, "$NOW(+1 month)"), Ok(Some(one("2026-02-28T12:00:00.007Z"))));
    }

    #[test]
    fn other_texts_are_not_variables() {
        for text in ["", "$", "$100", "$NOWHERE", "$NOW(", "$current_user", " $CURRENT_USER", "$ME"]
        {
            assert_eq!(resolve(&Actor::denied(), text), Ok(None), "{text}");
        }
    }

    #[test]
    fn malformed_variables_are_refused() {
        for text in ["$CURRENT_USER.nope", "$CURRENT_THING.id", "$NOW(soon)", "$NOW()"] {
            assert!(resolve(&Actor::denied(), text).is_err(), "{text}");
        }
    }
}
