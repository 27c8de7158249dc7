//! The closed list of collections and their fields: names, types, relations, special meanings.
//!
//! Names in SQL come from here and from nowhere else. A new field is a line here and a migration.

use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;
use std::ptr;

use crate::model::history::ACTIVITY;
use crate::model::history::REVISIONS;

/// A collection: a table whose items clients can name.
pub struct Collection {
    /// The name, on the wire and in SQL.
    pub name: &'static str,
    /// The fields, the key first, in the order in which clients see them.
    pub fields: &'static [Field],
    /// Who can name it.
    pub reach: Reach,
    /// What there is of items.
    pub form: Form,
}

/// By which road clients can name a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Under `/items/…` and over the socket.
    Items,
    /// Under its own path (`/users`, …), and in subscriptions.
    System,
    /// Not at all.
    Internal,
}

/// What there is of the items of a collection, and what can be done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Any number, which come and go.
    Items,
    /// One, with the key [`SINGLE_KEY`]: it is always there and can only be changed.
    Single,
    /// Any number, which the store writes along with its log and clients can only read.
    History,
}

/// The key of the one item of a [`Form::Single`] collection.
pub const SINGLE_KEY: i64 = 1;

/// One field of a collection.
#[derive(Clone, Copy)]
pub struct Field {
    /// The name, on the wire and in SQL.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What the server does with it by itself.
    pub special: Special,
    /// Whether `*` leaves it out: it has to be asked for by name.
    pub by_name: bool,
    /// Whether an item must have it.
    pub required: bool,
    /// The position within [`Collection::fields`].
    pub index: usize,
}

/// What a field holds.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A 64-bit integer.
    Integer,
    /// Text.
    Text,
    /// A UUID.
    Uuid,
    /// An instant.
    Timestamp,
    /// True or false.
    Boolean,
    /// A JSON document.
    Json,
    /// Text that is never shown: clients see `**********` or null.
    Secret,
    /// The key of one item of another collection.
    ToOne(&'static Collection),
    /// The keys of the items of another collection whose named field points here. Not stored.
    ToMany(&'static Collection, &'static str),
}

/// What a JSON document has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// A list of texts.
    Texts,
    /// An object.
    Object,
    /// Anything.
    Any,
}

/// What the server does with a field by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// Nothing.
    None,
    /// Sets it to the caller when the item is created.
    UserCreated,
    /// Sets it to the time when the item is created.
    DateCreated,
    /// Sets it to the caller when the item is updated.
    UserUpdated,
    /// Sets it to the time when the item is updated.
    DateUpdated,
    /// Replaces a password by its hash.
    Password,
    /// Replaces a token by its digest.
    Token,
    /// Is set by the service alone; clients who send it are refused.
    Kept,
    /// Sets it, when the item is created, to the name of the connection of a guest.
    Guest,
}

impl Collection {
    /// Returns the key field.
    #[must_use]
    pub const fn key(&'static self) -> &'static Field {
        &self.fields[0]
    }

    /// Returns the field with this name.
    #[must_use]
    pub fn field(&'static self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Returns the field with this name, which the schema is known to have.
    ///
    /// # Panics
    /// If there is no such field: a mistake in this program, never in what a client sent.
    #[must_use]
    pub fn require(&'static self, name: &str) -> &'static Field {
        self.field(name).expect("the schema has every field the code names")
    }

    /// Returns the fields that have a column in the table.
    pub fn columns(&'static self) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().filter(|field| field.is_stored())
    }

    /// Returns whether keys are integers that the server counts up or keeps to itself.
    #[must_use]
    pub const fn counts_keys(&'static self) -> bool {
        matches!(self.key().kind, Kind::Integer)
    }
}

impl PartialEq for Collection {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self, other)
    }
}

impl Eq for Collection {}

impl Hash for Collection {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        ptr::hash(self, hasher);
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Field {
    /// Returns whether the field has a column in the table.
    #[must_use]
    pub const fn is_stored(&self) -> bool {
        !matches!(self.kind, Kind::ToMany(..))
    }

    /// Returns the collection a to-one relation leads to.
    #[must_use]
    pub const fn target(&self) -> Option<&'static Collection> {
        match self.kind {
            Kind::ToOne(target) => Some(target),
            _ => None,
        }
    }
}

impl Field {
    /// Returns what the document of a JSON field has to be.
    #[must_use]
    pub fn document(&self) -> Document {
        match self.name {
            "fields" | "tags" | "ip_access" => Document::Texts,
            "permissions" | "validation" | "presets" => Document::Object,
            _ => Document::Any,
        }
    }

    /// Returns the collection that a relation of either kind leads to.
    #[must_use]
    pub const fn leads_to(&self) -> Option<&'static Collection> {
        match self.kind {
            Kind::ToOne(target) | Kind::ToMany(target, _) => Some(target),
            _ => None,
        }
    }

    /// Returns, for a to-many relation, the collection of its items and their field that points
    /// back.
    #[must_use]
    pub fn pointing(&self) -> Option<(&'static Collection, &'static Field)> {
        match self.kind {
            Kind::ToMany(other, back) => Some((other, other.require(back))),
            _ => None,
        }
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self, other)
    }
}

impl Eq for Field {}

impl Hash for Field {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        ptr::hash(self, hasher);
    }
}

/// Returns the collection with this name, whatever its reach.
#[must_use]
pub fn find(name: &str) -> Option<&'static Collection> {
    COLLECTIONS.iter().copied().find(|collection| collection.name == name)
}

/// All collections, in an order in which none points at a later one except by its own parent.
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

pub(super) const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, special: Special::None, by_name: false, required: false, index: 0 }
}

impl Field {
    const fn special(mut self, special: Special) -> Self {
        self.special = special;
        self
    }

    const fn by_name(mut self) -> Self {
        self.by_name = true;
        self
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// Numbers the fields by their position.
pub(super) const fn numbered<const N: usize>(mut fields: [Field; N]) -> [Field; N] {
    let mut index = 0;
    while index < N {
        fields[index].index = index;
        index += 1;
    }
    fields
}

/// What people say.
pub static MESSAGES: Collection = Collection {
    name: "messages",
    fields: &MESSAGE_FIELDS,
    reach: Reach::Items,
    form: Form::Items,
};

static MESSAGE_FIELDS: [Field; 7] = numbered([
    field("id", Kind::Integer),
    field("user_created", Kind::ToOne(&USERS)).special(Special::UserCreated),
    field("date_created", Kind::Timestamp).special(Special::DateCreated),
    field("content", Kind::Text),
    field("user_updated", Kind::ToOne(&USERS)).special(Special::UserUpdated).by_name(),
    field("date_updated", Kind::Timestamp).special(Special::DateUpdated).by_name(),
    field("guest", Kind::Uuid).special(Special::Guest).by_name(),
]);

/// Accounts.
pub static USERS: Collection = Collection {
    name: "directus_users",
    fields: &USER_FIELDS,
    reach: Reach::System,
    form: Form::Items,
};

static USER_FIELDS: [Field; 28] = numbered([
    field("id", Kind::Uuid),
    field("first_name", Kind::Text),
    field("last_name", Kind::Text),
    field("email", Kind::Text),
    field("password", Kind::Secret).special(Special::Password),
    field("location", Kind::Text),
    field("title", Kind::Text),
    field("description", Kind::Text),
    field("tags", Kind::Json),
    field("avatar", Kind::Text),
    field("language", Kind::Text),
    field("tfa_secret", Kind::Secret).special(Special::Kept),
    field("status", Kind::Text),
    field("role", Kind::ToOne(&ROLES)),
    field("token", Kind::Secret).special(Special::Token),
    field("last_access", Kind::Timestamp).special(Special::Kept),
    field("last_page", Kind::Text),
    field("provider", Kind::Text),
    field("external_identifier", Kind::Text),
    field("auth_data", Kind::Json),
    field("email_notifications", Kind::Boolean),
    field("appearance", Kind::Text),
    field("theme_dark", Kind::Text),
    field("theme_light", Kind::Text),
    field("theme_light_overrides", Kind::Json),
    field("theme_dark_overrides", Kind::Json),
    field("text_direction", Kind::Text),
    field("policies", Kind::ToMany(&ACCESS, "user")),
]);

/// Named groups of accounts, nested by `parent`.
pub static ROLES: Collection = Collection {
    name: "directus_roles",
    fields: &ROLE_FIELDS,
    reach: Reach::System,
    form: Form::Items,
};

static ROLE_FIELDS: [Field; 8] = numbered([
    field("id", Kind::Uuid),
    field("name", Kind::Text).required(),
    field("icon", Kind::Text),
    field("description", Kind::Text),
    field("parent", Kind::ToOne(&ROLES)),
    field("children", Kind::ToMany(&ROLES, "parent")),
    field("policies", Kind::ToMany(&ACCESS, "role")),
    field("users", Kind::ToMany(&USERS, "role")),
]);

/// Sets of permissions.
pub static POLICIES: Collection = Collection {
    name: "directus_policies",
    fields: &POLICY_FIELDS,
    reach: Reach::System,
    form: Form::Items,
};

static POLICY_FIELDS: [Field; 11] = numbered([
    field("id", Kind::Uuid),
    field("name", Kind::Text).required(),
    field("icon", Kind::Text),
    field("description", Kind::Text),
    field("ip_access", Kind::Json),
    field("enforce_tfa", Kind::Boolean),
    field("admin_access", Kind::Boolean),
    field("app_access", Kind::Boolean),
    field("permissions", Kind::ToMany(&PERMISSIONS, "policy")),
    field("users", Kind::ToMany(&ACCESS, "policy")),
    field("roles", Kind::ToMany(&ACCESS, "policy")),
]);

/// Which policy holds for whom: a user, a role or, with neither, the public.
pub static ACCESS: Collection = Collection {
    name: "directus_access",
    fields: &ACCESS_FIELDS,
    reach: Reach::System,
    form: Form::Items,
};

static ACCESS_FIELDS: [Field; 5] = numbered([
    field("id", Kind::Uuid),
    field("role", Kind::ToOne(&ROLES)),
    field("user", Kind::ToOne(&USERS)),
    field("policy", Kind::ToOne(&POLICIES)).required(),
    field("sort", Kind::Integer),
]);

/// What a policy allows.
pub static PERMISSIONS: Collection = Collection {
    name: "directus_permissions",
    fields: &PERMISSION_FIELDS,
    reach: Reach::System,
    form: Form::Items,
};

static PERMISSION_FIELDS: [Field; 8] = numbered([
    field("id", Kind::Integer),
    field("collection", Kind::Text).required(),
    field("action", Kind::Text).required(),
    field("permissions", Kind::Json),
    field("validation", Kind::Json),
    field("presets", Kind::Json),
    field("fields", Kind::Json),
    field("policy", Kind::ToOne(&POLICIES)).required(),
]);

/// What an operator sets while the service runs.
pub static SETTINGS: Collection = Collection {
    name: "directus_settings",
    fields: &SETTING_FIELDS,
    reach: Reach::System,
    form: Form::Single,
};

static SETTING_FIELDS: [Field; 14] = numbered([
    field("id", Kind::Integer),
    field("project_name", Kind::Text),
    field("project_descriptor", Kind::Text),
    field("project_url", Kind::Text),
    field("project_color", Kind::Text).required(),
    field("default_language", Kind::Text).required(),
    field("default_appearance", Kind::Text).required(),
    field("public_note", Kind::Text),
    field("auth_login_attempts", Kind::Integer),
    field("auth_password_policy", Kind::Text),
    field("public_registration", Kind::Boolean).required(),
    field("public_registration_verify_email", Kind::Boolean).required(),
    field("public_registration_role", Kind::ToOne(&ROLES)),
    field("public_registration_email_filter", Kind::Json),
]);

/// Sign-ins: one row for each chain of refresh tokens.
pub static SESSIONS: Collection = Collection {
    name: "directus_sessions",
    fields: &SESSION_FIELDS,
    reach: Reach::Internal,
    form: Form::Items,
};

static SESSION_FIELDS: [Field; 10] = numbered([
    field("id", Kind::Uuid),
    field("user", Kind::ToOne(&USERS)),
    field("mode", Kind::Text),
    field("seed", Kind::Secret),
    field("generation", Kind::Integer),
    field("date_created", Kind::Timestamp),
    field("date_rotated", Kind::Timestamp),
    field("expires", Kind::Timestamp),
    field("ip", Kind::Text),
    field("user_agent", Kind::Text),
]);

/// What second factors leave behind: one row for each account that has one, under its key.
pub static SECOND_FACTORS: Collection = Collection {
    name: "chinwag_second_factors",
    fields: &SECOND_FACTOR_FIELDS,
    reach: Reach::Internal,
    form: Form::Items,
};

static SECOND_FACTOR_FIELDS: [Field; 3] = numbered([
    field("id", Kind::Uuid),
    field("step", Kind::Integer),
    field("recovery_codes", Kind::Secret),
]);

/// Mail that is to be sent, or was sent just now: one row for each.
pub static MAILS: Collection = Collection {
    name: "chinwag_mails",
    fields: &MAIL_FIELDS,
    reach: Reach::Internal,
    form: Form::Items,
};

static MAIL_FIELDS: [Field; 8] = numbered([
    field("id", Kind::Uuid),
    field("user", Kind::ToOne(&USERS)),
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
    fn fields_know_their_place() {
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
