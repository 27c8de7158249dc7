//! The list of all collections and their fields: names, types, relations, values set by the server.
//! `collection` defines the attributes.
//!
//! All SQL names come from here. A new field requires a line here and a migration.

use crate::model::Action;
use crate::model::account::{AccountStatus, DEFAULT_PROVIDER, MailKind, SessionMode};
use crate::model::collection::DefaultValue::{Boolean, Text};
use crate::model::collection::field;
use crate::model::collection::numbered;
use crate::model::collection::{
    Collection, CollectionKind, Exposure, Field, Kind, OnDelete, Special,
};
use crate::model::column::Column;
use crate::model::column::collection;
use crate::model::column::column_type;
use crate::model::history::{ACTIVITY, REVISIONS};
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
        vec![users::status.to(AccountStatus::Archived), users::token.to(Value::Null)]
    } else if *collection == POLICIES {
        vec![policies::admin_access.to(false)]
    } else if *collection == ROLES {
        vec![roles::parent.to(Value::Null)]
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

collection! {
    /// Chat messages.
    MESSAGES, messages: "messages", Items, Items {
        id: Integer,
        user_created: ToOne(&USERS).special(Special::UserCreated),
        date_created: Timestamp.special(Special::DateCreated),
        content: Text.by_setting(),
        user_updated: ToOne(&USERS).special(Special::UserUpdated).by_name(),
        date_updated: Timestamp.special(Special::DateUpdated).by_name(),
        guest: Uuid.special(Special::Guest).by_name(),
    }
}

collection! {
    /// Accounts.
    USERS, users: "directus_users", System, Items {
        id: Uuid,
        first_name: Text.line(SHORT),
        last_name: Text.line(SHORT),
        email: Text.most(254),
        password: Secret.special(Special::Password).most(1024),
        location: Text.line(SHORT),
        title: Text.line(SHORT),
        description: Text.most(SENTENCES),
        tags: Json.most(SENTENCES).texts(),
        avatar: Text.most(SHORT),
        language: Text.most(SHORT),
        tfa_secret: Secret.special(Special::Managed),
        status: Text as AccountStatus.most(SHORT).default(Text("active")),
        role: ToOne(&ROLES),
        token: Secret.special(Special::Token).most(SHORT),
        last_access: Timestamp.special(Special::Managed),
        last_page: Text.most(2048),
        provider: Text.most(SHORT).default(Text(DEFAULT_PROVIDER)),
        external_identifier: Text.most(SHORT),
        auth_data: Json.most(SMALL_DOCUMENT),
        email_notifications: Boolean.default(Boolean(true)),
        appearance: Text.most(SHORT),
        theme_dark: Text.most(SHORT),
        theme_light: Text.most(SHORT),
        theme_light_overrides: Json.most(SMALL_DOCUMENT),
        theme_dark_overrides: Json.most(SMALL_DOCUMENT),
        text_direction: Text.most(SHORT).default(Text("auto")),
        policies: ToMany(&ACCESS, access::user.field()).owns(),
    }
}

collection! {
    /// Named groups of accounts, nested by `parent`.
    ROLES, roles: "directus_roles", System, Items {
        id: Uuid,
        name: Text.required().line(SHORT),
        icon: Text.most(SHORT).default(Text("supervised_user_circle")),
        description: Text.most(SENTENCES),
        parent: ToOne(&ROLES),
        children: ToMany(&ROLES, roles::parent.field()),
        policies: ToMany(&ACCESS, access::role.field()).owns(),
        users: ToMany(&USERS, users::role.field()),
    }
}

collection! {
    /// Sets of permissions.
    POLICIES, policies: "directus_policies", System, Items {
        id: Uuid,
        name: Text.required().line(SHORT),
        icon: Text.most(SHORT).default(Text("badge")),
        description: Text.most(SENTENCES),
        ip_access: Json.most(DOCUMENT).texts(),
        enforce_tfa: Boolean.default(Boolean(false)),
        admin_access: Boolean.default(Boolean(false)),
        app_access: Boolean.default(Boolean(false)),
        permissions: ToMany(&PERMISSIONS, permissions::policy.field()).owns(),
        users: ToMany(&ACCESS, access::policy.field()).owns(),
        roles: ToMany(&ACCESS, access::policy.field()).owns(),
    }
}

collection! {
    /// Assignments of policies to a user, a role or, with neither, the public.
    ACCESS, access: "directus_access", System, Items {
        id: Uuid,
        role: ToOne(&ROLES).on_delete(OnDelete::Cascade),
        user: ToOne(&USERS).on_delete(OnDelete::Cascade),
        policy: ToOne(&POLICIES).required().on_delete(OnDelete::Cascade),
        sort: Integer,
    }
}

collection! {
    /// The permissions of policies.
    PERMISSIONS, permissions: "directus_permissions", System, Items {
        id: Integer,
        collection: Text.required().most(SHORT),
        action: Text as Action.required().most(SHORT),
        permissions: Json.most(DOCUMENT).object(),
        validation: Json.most(DOCUMENT).object(),
        presets: Json.most(DOCUMENT).object(),
        fields: Json.most(DOCUMENT).texts(),
        policy: ToOne(&POLICIES).required().on_delete(OnDelete::Cascade),
    }
}

collection! {
    /// Settings that an operator changes at runtime.
    SETTINGS, settings: "directus_settings", System, Single {
        id: Integer,
        project_name: Text.line(SHORT),
        project_descriptor: Text.line(SHORT),
        project_url: Text.most(2048),
        project_color: Text.required().most(SHORT),
        default_language: Text.required().most(SHORT),
        default_appearance: Text.required().most(SHORT),
        public_note: Text.most(SENTENCES),
        auth_login_attempts: Integer,
        auth_password_policy: Text.most(1000),
        public_registration: Boolean.required(),
        public_registration_verify_email: Boolean.required(),
        public_registration_role: ToOne(&ROLES),
        public_registration_email_filter: Json.most(DOCUMENT),
    }
}

collection! {
    /// Sign-ins: one row for each chain of refresh tokens.
    SESSIONS, sessions: "directus_sessions", Internal, Items {
        id: Uuid,
        user: ToOne(&USERS).on_delete(OnDelete::Cascade),
        mode: Text as SessionMode,
        seed: Secret,
        generation: Integer,
        date_created: Timestamp,
        date_rotated: Timestamp,
        expires: Timestamp,
        ip: Text,
        user_agent: Text,
    }
}

collection! {
    /// State of second factors: one row per account that has one, under the account's key.
    SECOND_FACTORS, second_factors: "chinwag_second_factors", Internal, Items {
        id: ToOne(&USERS).on_delete(OnDelete::Cascade),
        step: Integer,
        recovery_codes: Secret,
    }
}

collection! {
    /// Mail in the send queue or sent recently, a row each.
    MAILS, mails: "chinwag_mails", Internal, Items {
        id: Uuid,
        user: ToOne(&USERS).on_delete(OnDelete::Cascade),
        kind: Text as MailKind,
        url: Text,
        expires: Timestamp,
        attempts: Integer,
        date_created: Timestamp,
        date_next: Timestamp,
    }
}

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
                    assert_eq!(back.target(), Some(collection), "{field:?}");
                    assert!(other.fields.contains(back), "{field:?}");
                }
            }
        }
    }
}
