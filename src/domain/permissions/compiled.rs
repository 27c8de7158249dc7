//! Compiled permissions. A rule is parsed only once, unless it depends on the caller.
//!
//! `policy_snapshot` selects the permissions to compile.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::model::schema;
use crate::model::schema::permissions as columns;
use crate::model::{Action, Collection, Row};
use crate::query::{Environment, Filter, Limits, Rule, RuleFields, Scope};
use crate::text;
use crate::text::json::any_text;

/// One row of `directus_permissions`.
pub(super) struct Permission {
    pub(super) collection: &'static Collection,
    pub(super) action: Action,
    fields: RuleFields,
    filter: Json,
    validation: Option<Json>,
    presets: Option<Map<String, Json>>,
}

/// The access that a set of policies grants to one collection for one action.
pub(super) enum CompiledRules {
    /// The same scope for every caller; `None` for no access.
    Static(Option<Scope>),
    /// A scope for each caller: a rule contains a variable for the caller or the time.
    Parameterized(&'static Collection, Vec<Part>),
}

pub(super) enum Part {
    Static(Box<Rule>),
    /// Parsed again for each caller.
    Parameterized(Arc<Permission>),
}

impl CompiledRules {
    pub fn of<'a>(
        collection: &'static Collection,
        permissions: impl Iterator<Item = &'a Arc<Permission>>,
        environment: &Environment<'_>,
        limits: &Limits,
    ) -> Self {
        let mut parts = Vec::new();
        for permission in permissions {
            if names_a_variable(&permission.filter) {
                parts.push(Part::Parameterized(Arc::clone(permission)));
            } else if let Some(rule) = permission.rule(environment, limits) {
                parts.push(Part::Static(Box::new(rule)));
            }
        }
        if parts.iter().any(|part| matches!(part, Part::Parameterized(_))) {
            return Self::Parameterized(collection, parts);
        }
        Self::Static(grant(collection, &parts, environment, limits))
    }

    /// Returns the scope for the environment's actor.
    pub fn scope(&self, environment: &Environment<'_>, limits: &Limits) -> Option<Scope> {
        match self {
            Self::Static(scope) => scope.clone(),
            Self::Parameterized(collection, parts) => grant(collection, parts, environment, limits),
        }
    }
}

fn grant(
    collection: &'static Collection,
    parts: &[Part],
    environment: &Environment<'_>,
    limits: &Limits,
) -> Option<Scope> {
    let mut rules: Vec<Rule> = Vec::with_capacity(parts.len());
    for part in parts {
        let rule = match part {
            Part::Static(rule) => Some(Rule::clone(rule)),
            Part::Parameterized(permission) => permission.rule(environment, limits),
        };
        rules.extend(rule.filter(|rule| !rules.contains(rule)));
    }
    (!rules.is_empty()).then(|| Scope::grant(collection, false, rules))
}

/// Returns whether a value of the filter may be a variable. Variables begin with `$`, also in a
/// filter that is written as a string.
fn names_a_variable(filter: &Json) -> bool {
    any_text(filter, &|text| text.contains('$'))
}

impl Permission {
    /// Parses a row; `None` if its collection or action does not exist, so that it grants nothing.
    pub fn read(row: &Row) -> Option<Self> {
        let collection = schema::find(row.get(&columns::collection)?)?;
        let action = row.get(&columns::action)?;
        let json = |column| row.get(column).filter(|json: &&Json| !json.is_null()).cloned();
        let names: Vec<&str> = match row.get(&columns::fields) {
            Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
            Some(Json::String(names)) => text::names(names).collect(),
            _ => Vec::new(),
        };
        let fields = if names.contains(&"*") {
            RuleFields::All
        } else {
            RuleFields::Some(names.iter().filter_map(|name| collection.field(name)).collect())
        };
        let presets = match json(&columns::presets) {
            Some(Json::Object(presets)) => Some(presets),
            _ => None,
        };
        let filter = json(&columns::permissions).unwrap_or(Json::Object(Map::new()));
        let validation = json(&columns::validation);
        Some(Self { collection, action, fields, filter, validation, presets })
    }

    /// Returns the rule for the environment's actor; `None` if its filter is invalid.
    fn rule(&self, environment: &Environment<'_>, limits: &Limits) -> Option<Rule> {
        let read = Filter::parse(self.collection, &self.filter, environment, limits);
        let Ok(filter) = read else {
            tracing::warn!(
                collection = self.collection.name,
                action = self.action.name(),
                "a permission has an invalid rule and grants nothing"
            );
            return None;
        };
        Some(Rule {
            filter,
            fields: self.fields.clone(),
            validation: self.validation.clone(),
            presets: self.presets.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_with_variables_are_detected() {
        for (filter, expected) in [
            (json!({}), false),
            (json!({"content": {"_eq": "plain"}}), false),
            (json!({"user_created": {"_eq": "$CURRENT_USER"}}), true),
            (json!({"_or": [{"id": 1}, {"date_created": {"_gt": "$NOW(-1 day)"}}]}), true),
            (json!({"id": {"_in": [1, "$CURRENT_ROLES"]}}), true),
            (json!("{\"user_created\":\"$CURRENT_USER\"}"), true),
        ] {
            assert_eq!(names_a_variable(&filter), expected, "{filter}");
        }
    }
}
