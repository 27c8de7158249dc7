//! Unknown names in payloads. They are reported to the client. If a required field is missing, the
//! error suggests it as the correction of a similar unknown name.

use serde_json::json;

use crate::domain::Violation;
use crate::model::{Collection, Field};

/// The maximum number of recorded names per request, and their maximum length in characters.
const NAMES_MAX: usize = 20;
const NAME_LENGTH_MAX: usize = 64;

/// The minimum similarity between a name and that of a missing field, from 0 to 1, if several
/// fields are missing.
const ALIKE_MIN: f64 = 0.8;

/// The unknown names of a request, without duplicates.
#[derive(Debug, Default)]
pub(super) struct Ignored(Vec<String>);

impl Ignored {
    /// Adds names.
    pub(super) fn extend(&mut self, names: &[&str]) {
        for name in names {
            let name = shortened(name);
            if self.0.len() < NAMES_MAX && !self.0.contains(&name) {
                self.0.push(name);
            }
        }
    }

    /// Logs the names, if there are any, and returns them.
    pub(super) fn report(self, collection: &Collection) -> Vec<String> {
        if !self.0.is_empty() {
            let (collection, names) = (collection.name, &self.0);
            tracing::debug!(collection, ?names, "a payload has unknown fields");
        }
        self.0
    }
}

/// Returns one violation for each missing field, with the unknown name that was probably sent in
/// its place.
pub(super) fn missing(
    collection: &Collection,
    fields: &[&Field],
    unknown: &[&str],
) -> Vec<Violation> {
    let reason = |field: &Field| {
        let alike = |name: &str| strsim::jaro_winkler(name, field.name);
        let best = unknown.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)))?;
        let is_meant = fields.len() == 1 || alike(best) >= ALIKE_MIN;
        is_meant.then(|| {
            let (name, collection, field) = (shortened(best), collection.name, field.name);
            format!("`{name}` is not a field of {collection}; did you mean `{field}`?")
        })
    };
    let violation = |field: &&Field| {
        let details = reason(field).map(|reason| ("reason", json!(reason)));
        Violation::new(field.name, "required", details.into_iter().collect())
    };
    fields.iter().map(violation).collect()
}

fn shortened(name: &str) -> String {
    name.chars().take(NAME_LENGTH_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::{MESSAGES, PERMISSIONS};

    fn reasons(collection: &'static Collection, fields: &[&str], unknown: &[&str]) -> Vec<String> {
        let fields: Vec<&Field> =
            fields.iter().map(|name| collection.field(name).unwrap()).collect();
        let missing = missing(collection, &fields, unknown).into_iter();
        let reason = |violation: Violation| match violation.details.as_slice() {
            [(_, reason)] => reason.as_str().unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        missing.map(reason).collect()
    }

    #[test]
    fn a_single_missing_field_is_suggested_for_an_unknown_name() {
        let found = reasons(&MESSAGES, &["content"], &["x", "text"]);
        assert_eq!(found, ["`text` is not a field of messages; did you mean `content`?"]);
        assert_eq!(reasons(&MESSAGES, &["content"], &[]), [""]);
    }

    #[test]
    fn missing_fields_are_suggested_for_similar_names() {
        let found = reasons(&PERMISSIONS, &["collection", "action"], &["colection", "x"]);

        let expected = "`colection` is not a field of directus_permissions; did you mean \
                        `collection`?";
        assert_eq!(found, [expected, ""]);
    }

    #[test]
    fn ignored_names_are_bounded_and_unique() {
        let mut ignored = Ignored::default();
        let (long, many) = ("x".repeat(1000), (0..100).map(|n| n.to_string()));
        let many: Vec<String> = many.collect();
        ignored.extend(&[&long, "a", "a"]);
        ignored.extend(&many.iter().map(String::as_str).collect::<Vec<_>>());

        assert_eq!(ignored.0.len(), NAMES_MAX);
        assert_eq!(ignored.0[0].len(), NAME_LENGTH_MAX);
        assert_eq!(ignored.0[1..3], ["a", "0"]);
    }
}
