//! What a collection and a field are: what they hold, who can name them, what the server does with
//! them by itself.
//!
//! Which there are is in `schema`. There is one of each, so they are compared by where they are.

use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;
use std::ptr;

use crate::model::length::Length;

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
    /// How long its values may be.
    pub length: Length,
    /// Whether its texts are kept as one line.
    pub line: bool,
    /// What becomes of an item that this list lets go.
    pub deselect: Deselect,
    /// What the deletion of the item behind a to-one relation does to the item that has the field.
    pub on_delete: OnDelete,
    /// The position within [`Collection::fields`].
    pub index: usize,
}

/// What becomes of an item that a to-many relation lets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deselect {
    /// It points nowhere.
    Nullify,
    /// It is deleted.
    Delete,
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

/// The referential action of a to-one relation: what the deletion of the item it leads to does. The
/// writer carries it out as an ordinary change with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// Nothing: the key stays, as in the history.
    Keep,
    /// Sets the field to null.
    SetNull,
    /// Deletes the item as well.
    Cascade,
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

/// Returns a field that is nothing but a name and what it holds. The deletion of the item behind a
/// to-one relation sets it to null unless another referential action is named.
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
        length: Length::Given,
        line: false,
        deselect: Deselect::Nullify,
        on_delete,
        index: 0,
    }
}

/// What else a line of the schema can say of a field.
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

    pub(super) const fn most(mut self, characters: usize) -> Self {
        self.length = Length::Most(characters);
        self
    }

    /// At most this number of characters, in one line.
    pub(super) const fn line(mut self, characters: usize) -> Self {
        self.line = true;
        self.most(characters)
    }

    /// As long as `CONTENT_LENGTH_MAX` lets it be.
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
