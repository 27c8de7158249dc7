//! Columns: the fields of system collections as typed constants, such as `users::email`.
//!
//! They replace names in code that knows its collection: a misspelt column does not compile, and a
//! value of another type neither. Names that a client sends are looked up in the collection. Columns
//! keep their index when a collection gets further fields.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use serde_json::Value as Json;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::model::named::Named;
use crate::model::{Field, Key, Value};

/// A field whose values have the type `T`, see [`Cell`].
pub struct Column<T: ?Sized + 'static> {
    field: &'static Field,
    values: PhantomData<fn(&T)>,
}

impl<T: ?Sized> Column<T> {
    pub(super) const fn of(field: &'static Field) -> Self {
        Self { field, values: PhantomData }
    }

    /// Returns the field.
    #[must_use]
    pub const fn field(&self) -> &'static Field {
        self.field
    }

    /// Returns this field with a value, as an update sets it.
    #[must_use]
    pub fn to(&self, value: impl IntoValue<T>) -> (&'static Field, Value) {
        (self.field, value.into_value())
    }
}

impl<T: ?Sized> Deref for Column<T> {
    type Target = Field;

    fn deref(&self) -> &Field {
        self.field
    }
}

impl<T: ?Sized> PartialEq<Column<T>> for Field {
    fn eq(&self, column: &Column<T>) -> bool {
        self == column.field
    }
}

/// A type of the values of a [`Column`].
pub trait Cell {
    /// A value that was read.
    type Read<'a>;

    /// Reads a value. Null and, for named values, an unknown name are `None`.
    fn read(value: &Value) -> Option<Self::Read<'_>>;
}

macro_rules! cells {
    ($($lifetime:lifetime $type:ty => $read:ty: $method:ident;)*) => {$(
        impl Cell for $type {
            type Read<$lifetime> = $read;

            fn read(value: &Value) -> Option<Self::Read<'_>> {
                value.$method()
            }
        }
    )*};
}

cells! {
    'a str => &'a str: as_text;
    'a Json => &'a Json: as_json;
    'a bool => bool: as_boolean;
    'a i64 => i64: as_integer;
    'a Uuid => Uuid: as_uuid;
    'a Timestamp => Timestamp: as_timestamp;
}

impl<T: Named> Cell for T {
    type Read<'a> = T;

    fn read(value: &Value) -> Option<T> {
        T::find(value.as_text()?)
    }
}

/// A value that can be written to a column of type `T`.
pub trait IntoValue<T: ?Sized> {
    /// Returns it as a value.
    fn into_value(self) -> Value;
}

impl<T: ?Sized> IntoValue<T> for Value {
    fn into_value(self) -> Value {
        self
    }
}

impl<T: ?Sized, V: IntoValue<T>> IntoValue<T> for Option<V> {
    fn into_value(self) -> Value {
        self.map_or(Value::Null, V::into_value)
    }
}

impl<T: Named> IntoValue<T> for T {
    fn into_value(self) -> Value {
        Value::text(self.name())
    }
}

macro_rules! into_value {
    ($($from:ty, $column:ty: $convert:expr;)*) => {$(
        impl IntoValue<$column> for $from {
            fn into_value(self) -> Value {
                $convert(self)
            }
        }
    )*};
}

into_value! {
    &str, str: Value::text;
    &String, str: |text: &String| Value::text(text);
    String, str: |text: String| Value::Text(text.into());
    Arc<str>, str: Value::Text;
    Json, Json: |document| Value::Json(Arc::new(document));
    bool, bool: Value::Boolean;
    i64, i64: Value::Integer;
    Uuid, Uuid: Value::Uuid;
    Key, Uuid: Value::from;
    Timestamp, Timestamp: Value::Timestamp;
}

/// Defines a collection and the module of its columns.
///
/// A line is `name: Kind` as in [`Kind`](crate::model::Kind), `as Type` if the values of the column
/// are not those of the kind, and further attributes of the [`Field`].
macro_rules! collection {
    (
        $(#[$doc:meta])*
        $collection:ident, $module:ident: $name:literal, $exposure:ident, $form:ident {
            $($field:ident: $kind:ident $(($($target:tt)*))? $(as $type:ident)?
                $(.$attribute:ident($($argument:expr),*))*,)*
        }
    ) => {
        $(#[$doc])*
        pub static $collection: Collection = Collection {
            name: $name,
            fields: &$module::FIELDS,
            exposure: Exposure::$exposure,
            kind: CollectionKind::$form,
        };

        #[doc = concat!("The columns of `", $name, "`.")]
        #[expect(non_upper_case_globals, non_camel_case_types, missing_docs, reason = "names of fields")]
        #[allow(clippy::wildcard_imports, reason = "the attributes of some fields")]
        pub mod $module {
            use super::*;

            #[derive(Clone, Copy)]
            enum Index { $($field),* }

            pub(in $crate::model) static FIELDS: [Field; [$(Index::$field),*].len()] = numbered([
                $(
                    field(stringify!($field), Kind::$kind $(($($target)*))?)
                        $(.$attribute($($argument),*))*,
                )*
            ]);

            $(pub static $field: Column<column_type!($kind $($type)?)> =
                Column::of(&FIELDS[Index::$field as usize]);)*
        }
    };
}

macro_rules! column_type {
    ($kind:ident $type:ident) => {
        $type
    };
    (Text) => {
        str
    };
    (Secret) => {
        str
    };
    (Integer) => {
        i64
    };
    (Boolean) => {
        bool
    };
    (Timestamp) => {
        crate::clock::Timestamp
    };
    (Json) => {
        serde_json::Value
    };
    (Uuid) => {
        uuid::Uuid
    };
    (ToOne) => {
        uuid::Uuid
    };
    (ToMany) => {
        ()
    };
}

pub(super) use collection;
pub(super) use column_type;
