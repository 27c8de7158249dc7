//! Definitions of collections and fields: type, exposure, and values that the server sets.
//!
//! The collections are listed in `schema`. Each exists once, so they are compared by address.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ptr;

use crate::model::length::Length;

/// A collection: a table that clients may access.
pub struct Collection {
    /// The name, on the wire and in SQL.
    pub name: &'static str,
    /// The fields, the key first, in the order in which clients see them.
    pub fields: &'static [Field],
    /// How clients can access it.
    pub exposure: Exposure,
    /// Its kind.
    pub kind: CollectionKind,
}

/// How clients can access a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// Under `/items/…` and over the WebSocket.
    Items,
    /// Under its own path (`/users`, …), and in subscriptions.
    System,
    /// Not accessible.
    Internal,
}

/// The kind of a collection, which determines its operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionKind {
    /// Any number of items, which clients create and delete.
    Items,
    /// A single item with the key [`SINGLE_KEY`]. It always exists and can only be updated.
    Single,
    /// Any number of items, written by the store with its event log. Clients can only read them.
    History,
}

/// The key of the item of a [`CollectionKind::Single`] collection.
pub const SINGLE_KEY: i64 = 1;

/// One field of a collection.
#[derive(Clone, Copy)]
pub struct Field {
    /// The name, on the wire and in SQL.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
    /// The value that the server sets, if any.
    pub special: Special,
    /// Whether `*` leaves it out, so that it has to be requested by name.
    pub by_name: bool,
    /// Whether an item must have a value.
    pub required: bool,
    /// The value of a new item unless another one is given.
    pub default: DefaultValue,
    /// The required shape of a JSON document.
    pub document: Document,
    /// Maximum length of its values.
    pub length: Length,
    /// Whether its texts are stored as one line.
    pub line: bool,
    /// The effect of removing an item from this list.
    pub deselect: Deselect,
    /// The effect of deleting the item behind a to-one relation on the item that has the field.
    pub on_delete: OnDelete,
    /// The index within [`Collection::fields`].
    pub index: usize,
}

/// The effect of removing an item from a to-many relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deselect {
    /// The relation of the item is set to null.
    Nullify,
    /// The item is deleted.
    Delete,
}

/// The type of a field.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A 64-bit integer.
    Integer,
    /// Text.
    Text,
    /// A UUID.
    Uuid,
    /// A timestamp.
    Timestamp,
    /// True or false.
    Boolean,
    /// A JSON document.
    Json,
    /// Text that is never returned: clients see `**********` or null.
    Secret,
    /// The key of one item of another collection.
    ToOne(&'static Collection),
    /// The keys of the items of another collection whose field refers here. Not stored.
    ToMany(&'static Collection, &'static Field),
}

/// The referential action of a to-one relation when the referenced item is deleted. The writer
/// performs it as an ordinary change with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// None: the key stays, as in the history.
    Keep,
    /// Sets the field to null.
    SetNull,
    /// Deletes the item as well.
    Cascade,
}

/// The default value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// None.
    Null,
    /// True or false.
    Boolean(bool),
    /// A text.
    Text(&'static str),
}

/// The required shape of a JSON document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// A list of texts.
    Texts,
    /// An object.
    Object,
    /// Anything.
    Any,
}

/// The value that the server sets for a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// None.
    None,
    /// The caller, when the item is created.
    UserCreated,
    /// The current time, when the item is created.
    DateCreated,
    /// The caller, when the item is updated.
    UserUpdated,
    /// The current time, when the item is updated.
    DateUpdated,
    /// The hash of the given password.
    Password,
    /// The digest of the given token.
    Token,
    /// Only the service sets it; a client's value is refused.
    Managed,
    /// The name of the guest's connection, when the item is created.
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

    /// Returns the fields that have a column in the table.
    pub fn columns(&'static self) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().filter(|field| field.is_stored())
    }

    /// Returns whether keys are integers assigned by the server.
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
    pub const fn pointing(&self) -> Option<(&'static Collection, &'static Field)> {
        match self.kind {
            Kind::ToMany(other, back) => Some((other, back)),
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

/// Creates a field with only a name and a type. Deleting the referenced item of a to-one relation
/// sets the field to null unless another referential action is set.
pub(super) const fn field(name: &'static str, kind: Kind) -> Field {
    let on_delete = match kind {
        Kind::ToOne(_) => OnDelete::SetNull,
        _ => OnDelete::Keep,
    };
    Field {
        name,
        kind,
        special: Special::None,
        by_name: false,
        required: false,
        default: DefaultValue::Null,
        document: Document::Any,
        length: Length::Given,
        line: false,
        deselect: Deselect::Nullify,
        on_delete,
        index: 0,
    }
}

/// Setters of the other attributes, for the schema.
impl Field {
    pub(super) const fn special(mut self, special: Special) -> Self {
        self.special = special;
        self
    }

    pub(super) const fn by_name(mut self) -> Self {
        self.by_name = true;
        self
    }

    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) const fn default(mut self, value: DefaultValue) -> Self {
        self.default = value;
        self
    }

    /// A document that is a list of texts.
    pub(super) const fn texts(mut self) -> Self {
        self.document = Document::Texts;
        self
    }

    /// A document that is an object.
    pub(super) const fn object(mut self) -> Self {
        self.document = Document::Object;
        self
    }

    pub(super) const fn most(mut self, characters: usize) -> Self {
        self.length = Length::Most(characters);
        self
    }

    /// At most this number of characters, in one line.
    pub(super) const fn line(mut self, characters: usize) -> Self {
        self.line = true;
        self.most(characters)
    }

    /// At most `CONTENT_LENGTH_MAX` characters.
    pub(super) const fn by_setting(mut self) -> Self {
        self.length = Length::Setting;
        self
    }

    pub(super) const fn owns(mut self) -> Self {
        self.deselect = Deselect::Delete;
        self
    }

    pub(super) const fn on_delete(mut self, action: OnDelete) -> Self {
        self.on_delete = action;
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
