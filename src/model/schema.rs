//! The list of all collections and their fields: names, types, relations, values set by the server.
//! `collection` defines the attributes.
//!
//! All SQL names come from here. A new field requires a line here and a migration.

use crate::model::collection::Collection;
use crate::model::collection::CollectionKind;
use crate::model::collection::Exposure;
use crate::model::collection::Field;
use crate::model::collection::Kind;
use crate::model::collection::OnDelete;
use crate::model::collection::Special;
use crate::model::collection::field;
use crate::model::collection::numbered;
use crate::model::history::ACTIVITY;
use crate::model::history::REVISIONS;
use crate::model::value::Value;

/// Maximum characters of a short text such as a name.
const SHORT: usize = 255;
/// Maximum characters of a text of some sentences, which is shown along with other items.
const SENTENCES: usize = 5_000;
/// Maximum characters of a document that users store for themselves.
const SMALL_DOCUMENT: usize = 16_384;
/// Maximum characters of a document written by an operator.
const DOCUMENT: usize = 65_536;

/// Returns the collection with this name, including internal ones.
#[must_use]
pub fn find(name: &str) -> Option<&'static Collection> {
    COLLECTIONS.iter().copied().find(|collection| collection.name == name)
}

/// Returns the to-one relations that reference this collection and have a referential action, with
/// their collections; cascading deletes come first.
pub fn references(
    to: &'static Collection,
) -> impl Iterator<Item = (&'static Collection, &'static Field)> {
    [OnDelete::Cascade, OnDelete::SetNull].into_iter().flat_map(move |action| {
        COLLECTIONS.into_iter().flat_map(move |collection| {
            let acts = move |field: &&'static Field| {
                field.on_delete == action && field.target() == Some(to)
            };
            collection.fields.iter().filter(acts).map(move |field| (collection, field))
        })
    })
}

/// Returns the values that disable an item while its deletion takes several transactions: an
/// account accepts neither sign-ins nor tokens, a policy makes no administrators, a role inherits
/// nothing. (Roles and policies grant nothing from then on, see `PolicySnapshot` of the
/// permissions.)
#[must_use]
pub fn retired(collection: &'static Collection) -> Vec<(&'static Field, Value)> {
    if *collection == USERS {
        vec![
            (USERS.require("status"), Value::text("archived")),
            (USERS.require("token"), Value::Null),
        ]
    } else if *collection == POLICIES {
        vec![(POLICIES.require("admin_access"), Value::Boolean(false))]
    } else if *collection == ROLES {
        vec![(ROLES.require("parent"), Value::Null)]
    } else {
        Vec::new()
    }
}

/// Returns the collections with an author field, and that field.
pub fn authored() -> impl Iterator<Item = (&'static Collection, &'static Field)> {
    let items = COLLECTIONS.into_iter().filter(|collection| collection.exposure == Exposure::Items);
    items.filter_map(|collection| {
        let is_author = |field: &&Field| field.special == Special::UserCreated;
        Some((collection, collection.fields.iter().find(is_author)?))
    })
}

/// All collections. Each references only earlier ones, apart from its own parent.
pub static COLLECTIONS: [&Collection; 12] = [
    &ROLES,
    &POLICIES,
    &USERS,
    &ACCESS,
    &PERMISSIONS,
    &SETTINGS,
    &SESSIONS,
    &SECOND_FACTORS,
    &MAILS,
    &MESSAGES,
    &ACTIVITY,
    &REVISIONS,
];

/// Chat messages.
pub static MESSAGES: Collection = Collection {
    name: "messages",
    fields: &MESSAGE_FIELDS,
    exposure: Exposure::Items,
    kind: CollectionKind::Items,
};

static MESSAGE_FIELDS: [Field; 7] = numbered([
    field("id", Kind::Integer),
    field("user_created", Kind::ToOne(&USERS)).special(Special::UserCreated),
    field("date_created", Kind::Timestamp).special(Special::DateCreated),
    field("content", Kind::Text).by_setting(),
    field("user_updated", Kind::ToOne(&USERS)).special(Special::UserUpdated).by_name(),
    field("date_updated", Kind::Timestamp).special(Special::DateUpdated).by_name(),
    field("guest", Kind::Uuid).special(Special::Guest).by_name(),
]);

/// Accounts.
pub static USERS: Collection = Collection {
    name: "directus_users",
    fields: &USER_FIELDS,
    exposure: Exposure::System,
    kind: CollectionKind::Items,
};

static USER_FIELDS: [Field; 28] = numbered([
    field("id", Kind::Uuid),
    field("first_name", Kind::Text).line(SHORT),
    field("last_name", Kind::Text).line(SHORT),
    field("email", Kind::Text).most(254),
    field("password", Kind::Secret).special(Special::Password).most(1024),
    field("location", Kind::Text).line(SHORT),
    field("title", Kind::Text).line(SHORT),
    field("description", Kind::Text).most(SENTENCES),
    field("tags", Kind::Json).most(SENTENCES),
    field("avatar", Kind::Text).most(SHORT),
    field("language", Kind::Text).most(SHORT),
    field("tfa_secret", Kind::Secret).special(Special::Kept),
    field("status", Kind::Text).most(SHORT),
    field("role", Kind::ToOne(&ROLES)),
    field("token", Kind::Secret).special(Special::Token).most(SHORT),
    field("last_access", Kind::Timestamp).special(Special::Kept),
    field("last_page", Kind::Text).most(2048),
    field("provider", Kind::Text).most(SHORT),
    field("external_identifier", Kind::Text).most(SHORT),
    field("auth_data", Kind::Json).most(SMALL_DOCUMENT),
    field("email_notifications", Kind::Boolean),
    field("appearance", Kind::Text).most(SHORT),
    field("theme_dark", Kind::Text).most(SHORT),
    field("theme_light", Kind::Text).most(SHORT),
    field("theme_light_overrides", Kind::Json).most(SMALL_DOCUMENT),
    field("theme_dark_overrides", Kind::Json).most(SMALL_DOCUMENT),
    field("text_direction", Kind::Text).most(SHORT),
    field("policies", Kind::ToMany(&ACCESS, "user")).owns(),
]);

/// Named groups of accounts, nested by `parent`.
pub static ROLES: Collection = Collection {
    name: "directus_roles",
    fields: &ROLE_FIELDS,
    exposure: Exposure::System,
    kind: CollectionKind::Items,
};

static ROLE_FIELDS: [Field; 8] = numbered([
    field("id", Kind::Uuid),
    field("name", Kind::Text).required().line(SHORT),
    field("icon", Kind::Text).most(SHORT),
    field("description", Kind::Text).most(SENTENCES),
    field("parent", Kind::ToOne(&ROLES)),
    field("children", Kind::ToMany(&ROLES, "parent")),
    field("policies", Kind::ToMany(&ACCESS, "role")).owns(),
    field("users", Kind::ToMany(&USERS, "role")),
]);

/// Sets of permissions.
pub static POLICIES: Collection = Collection {
    name: "directus_policies",
    fields: &POLICY_FIELDS,
    exposure: Exposure::System,
    kind: CollectionKind::Items,
};

static POLICY_FIELDS: [Field; 11] = numbered([
    field("id", Kind::Uuid),
    field("name", Kind::Text).required().line(SHORT),
    field("icon", Kind::Text).most(SHORT),
    field("description", Kind::Text).most(SENTENCES),
    field("ip_access", Kind::Json).most(DOCUMENT),
    field("enforce_tfa", Kind::Boolean),
    field("admin_access", Kind::Boolean),
    field("app_access", Kind::Boolean),
    field("permissions", Kind::ToMany(&PERMISSIONS, "policy")).owns(),
    field("users", Kind::ToMany(&ACCESS, "policy")).owns(),
    field("roles", Kind::ToMany(&ACCESS, "policy")).owns(),
]);

/// Assignments of policies to a user, a role or, with neither, the public.
pub static ACCESS: Collection = Collection {
    name: "directus_access",
    fields: &ACCESS_FIELDS,
    exposure: Exposure::System,
    kind: CollectionKind::Items,
};

static ACCESS_FIELDS: [Field; 5] = numbered([
    field("id", Kind::Uuid),
    field("role", Kind::ToOne(&ROLES)).on_delete(OnDelete::Cascade),
    field("user", Kind::ToOne(&USERS)).on_delete(OnDelete::Cascade),
    field("policy", Kind::ToOne(&POLICIES)).required().on_delete(OnDelete::Cascade),
    field("sort", Kind::Integer),
]);

/// The permissions of policies.
pub static PERMISSIONS: Collection = Collection {
    name: "directus_permissions",
    fields: &PERMISSION_FIELDS,
    exposure: Exposure::System,
    kind: CollectionKind::Items,
};

static PERMISSION_FIELDS: [Field; 8] = numbered([
    field("id", Kind::Integer),
    field("collection", Kind::Text).required().most(SHORT),
    field("action", Kind::Text).required().most(SHORT),
    field("permissions", Kind::Json).most(DOCUMENT),
    field("validation", Kind::Json).most(DOCUMENT),
    field("presets", Kind::Json).most(DOCUMENT),
    field("fields", Kind::Json).most(DOCUMENT),
    field("policy", Kind::ToOne(&POLICIES)).required().on_delete(OnDelete::Cascade),
]);

/// Settings that an operator changes at runtime.
pub static SETTINGS: Collection = Collection {
    name: "directus_settings",
    fields: &SETTING_FIELDS,
    exposure: Exposure::System,
    kind: CollectionKind::Single,
};

static SETTING_FIELDS: [Field; 14] = numbered([
    field("id", Kind::Integer),
    field("project_name", Kind::Text).line(SHORT),
    field("project_descriptor", Kind::Text).line(SHORT),
    field("project_url", Kind::Text).most(2048),
    field("project_color", Kind::Text).required().most(SHORT),
    field("default_language", Kind::Text).required().most(SHORT),
    field("default_appearance", Kind::Text).required().most(SHORT),
    field("public_note", Kind::Text).most(SENTENCES),
    field("auth_login_attempts", Kind::Integer),
    field("auth_password_policy", Kind::Text).most(1000),
    field("public_registration", Kind::Boolean).required(),
    field("public_registration_verify_email", Kind::Boolean).required(),
    field("public_registration_role", Kind::ToOne(&ROLES)),
    field("public_registration_email_filter", Kind::Json).most(DOCUMENT),
]);

/// Sign-ins: one row for each chain of refresh tokens.
pub static SESSIONS: Collection = Collection {
    name: "directus_sessions",
    fields: &SESSION_FIELDS,
    exposure: Exposure::Internal,
    kind: CollectionKind::Items,
};

static SESSION_FIELDS: [Field; 10] = numbered([
    field("id", Kind::Uuid),
    field("user", Kind::ToOne(&USERS)).on_delete(OnDelete::Cascade),
    field("mode", Kind::Text),
    field("seed", Kind::Secret),
    field("generation", Kind::Integer),
    field("date_created", Kind::Timestamp),
    field("date_rotated", Kind::Timestamp),
    field("expires", Kind::Timestamp),
    field("ip", Kind::Text),
    field("user_agent", Kind::Text),
]);

/// State of second factors: one row per account that has one, under the account's key.
pub static SECOND_FACTORS: Collection = Collection {
    name: "chinwag_second_factors",
    fields: &SECOND_FACTOR_FIELDS,
    exposure: Exposure::Internal,
    kind: CollectionKind::Items,
};

static SECOND_FACTOR_FIELDS: [Field; 3] = numbered([
    field("id", Kind::ToOne(&USERS)).on_delete(OnDelete::Cascade),
    field("step", Kind::Integer),
    field("recovery_codes", Kind::Secret),
]);

/// Mail in the send queue or sent recently, a row each.
pub static MAILS: Collection = Collection {
    name: "chinwag_mails",
    fields: &MAIL_FIELDS,
    exposure: Exposure::Internal,
    kind: CollectionKind::Items,
};

static MAIL_FIELDS: [Field; 8] = numbered([
    field("id", Kind::Uuid),
    field("user", Kind::ToOne(&USERS)).on_delete(OnDelete::Cascade),
    field("kind", Kind::Text),
    field("url", Kind::Text),
    field("expires", Kind::Timestamp),
    field("attempts", Kind::Integer),
    field("date_created", Kind::Timestamp),
    field("date_next", Kind::Timestamp),
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_their_index() {
        for collection in COLLECTIONS {
            for (index, field) in collection.fields.iter().enumerate() {
                assert_eq!(field.index, index, "{collection:?}.{field:?}");
            }
        }
    }

    #[test]
    fn to_many_relations_name_a_field_that_points_back() {
        for collection in COLLECTIONS {
            for field in collection.fields {
                if let Kind::ToMany(other, back) = field.kind {
                    assert_eq!(other.require(back).target(), Some(collection), "{field:?}");
                }
            }
        }
    }
}
