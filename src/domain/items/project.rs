//! A record to the JSON that its reader may see: written straight to text, since a tree of values
//! for each item would cost more than everything else on the way.

use serde_json::value::RawValue;

use crate::domain::permissions::Permissions;
use crate::model::Action;
use crate::model::Actor;
use crate::model::Field;
use crate::model::Key;
use crate::model::Kind;
use crate::model::Record;
use crate::model::Related;
use crate::model::Value;
use crate::query::Fields;
use crate::query::Relations;
use crate::query::Scope;
use crate::query::Selection;

use crate::domain::Error;
use crate::domain::Forbidden;

/// What stands for a secret that is set.
const MASK: &str = "**********";

/// The fields that a reader asked for and may see, and the scope that says of which items.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    scope: Scope,
    columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq)]
enum Column {
    Field(&'static Field),
    Opened(&'static Field, Projection),
    /// A list of keys, and what may be read of the items in it.
    Keys(&'static Field, Scope),
}

impl Projection {
    /// Works out what a reader with this scope gets for the fields asked for.
    ///
    /// # Errors
    /// [`Error::Forbidden`] naming the fields, of one level, that they may not read.
    pub fn new(
        permissions: &Permissions,
        actor: &Actor,
        scope: Scope,
        fields: &Fields,
        path: &mut Vec<&'static str>,
    ) -> Result<Self, Error> {
        let collection = scope.collection();
        let starred = fields.0.contains(&Selection::All);
        let mut columns = Vec::new();
        let mut hidden = Vec::new();
        let opened = |field: &Field| {
            fields
                .0
                .iter()
                .any(|one| matches!(one, Selection::Related(other, _) if *other == field))
        };
        for selection in &fields.0 {
            match selection {
                Selection::All => {
                    let shown = collection
                        .fields
                        .iter()
                        .filter(|field| !field.by_name && scope.has(field) && !opened(field));
                    for column in shown.filter_map(|field| Column::bare(permissions, actor, field))
                    {
                        add(&mut columns, column);
                    }
                }
                Selection::Field(field) if scope.has(field) => {
                    match Column::bare(permissions, actor, field) {
                        Some(column) => add(&mut columns, column),
                        None => hidden.push(field.name.to_owned()),
                    }
                }
                Selection::Related(field, inner) if scope.has(field) => {
                    let Some(target) = field.target() else { continue };
                    match permissions.scope(actor, target, Action::Read) {
                        Ok(nested) => {
                            path.push(field.name);
                            let nested = Self::new(permissions, actor, nested, inner, path)?;
                            path.pop();
                            columns.push(Column::Opened(field, nested));
                        }
                        // A star shows what may be read, and here that is the bare key.
                        Err(_) if *inner == Fields::all() => columns.push(Column::Field(field)),
                        Err(error) => return Err(error),
                    }
                }
                Selection::Related(_, inner) if starred && *inner == Fields::all() => {}
                Selection::Field(field) | Selection::Related(field, _) => {
                    hidden.push(field.name.to_owned());
                }
            }
        }
        if hidden.is_empty() {
            return Ok(Self { scope, columns });
        }
        let path = path.join(".");
        Err(Error::Forbidden(Forbidden::Fields {
            collection: collection.name,
            fields: hidden,
            path,
        }))
    }

    /// Returns the scope of the reader.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns the to-one relations that must be attached to a record before it can be written:
    /// those that are shown, and those that the rules of a scope look through.
    #[must_use]
    pub fn relations(&self) -> Relations {
        let mut relations = Relations::default();
        for rule in self.scope.rules() {
            relations.merge(rule.filter.relations());
        }
        for column in &self.columns {
            if let Column::Opened(field, nested) = column {
                relations.open(field).merge(nested.relations());
            }
        }
        relations
    }

    /// Returns the lists of keys that must be attached to a record of the collection itself, and
    /// what may be read of the items in them.
    pub fn lists(&self) -> impl Iterator<Item = (&'static Field, &Scope)> {
        self.columns.iter().filter_map(|column| match column {
            Column::Keys(field, scope) => Some((*field, scope)),
            Column::Field(_) | Column::Opened(..) => None,
        })
    }

    /// Returns whether the reader may see the record at all.
    #[must_use]
    pub fn fits(&self, record: &Record) -> bool {
        self.scope.fits(record)
    }

    /// Returns whether the reader may see the record's key, and so hear of it by events.
    #[must_use]
    pub fn shows_key(&self, record: &Record) -> bool {
        self.scope.shows(record, self.scope.collection().key())
    }

    /// Writes the records as a JSON list.
    #[must_use]
    pub fn list<'r>(&self, records: impl IntoIterator<Item = &'r Record>) -> Box<RawValue> {
        let mut text = Text::default();
        text.0.push('[');
        for (place, record) in records.into_iter().enumerate() {
            if place > 0 {
                text.0.push(',');
            }
            self.write(record, &mut text);
        }
        text.0.push(']');
        text.finish()
    }

    /// Writes one record as a JSON object.
    #[must_use]
    pub fn object(&self, record: &Record) -> Box<RawValue> {
        let mut text = Text::default();
        self.write(record, &mut text);
        text.finish()
    }

    fn write(&self, record: &Record, text: &mut Text) {
        let varies = self.scope.varies();
        text.0.push('{');
        for (place, column) in self.columns.iter().enumerate() {
            if place > 0 {
                text.0.push(',');
            }
            let field = column.field();
            text.0.push('"');
            text.0.push_str(field.name);
            text.0.push_str("\":");
            if varies && !self.scope.shows(record, field) {
                text.0.push_str("null");
                continue;
            }
            match column {
                Column::Field(field) => text.field(field, record.value(field)),
                Column::Opened(field, nested) => match record.one(field) {
                    Some(behind) if nested.fits(behind) => nested.write(behind, text),
                    _ => text.0.push_str("null"),
                },
                Column::Keys(field, _) => match record.related(field) {
                    Some(Related::Keys(keys)) => text.keys(keys),
                    _ => text.0.push_str("[]"),
                },
            }
        }
        text.0.push('}');
    }
}

/// Writes keys as a JSON list.
#[must_use]
pub fn keys(keys: &[Key]) -> Box<RawValue> {
    let mut text = Text::default();
    text.keys(keys);
    text.finish()
}

/// Writes one key as JSON.
#[must_use]
pub fn key(key: Key) -> Box<RawValue> {
    let mut text = Text::default();
    text.value(&Value::from(key));
    text.finish()
}

impl Column {
    /// Returns the column of a field that is not opened; `None` for a list of items of which the
    /// reader may not read that they are in it.
    fn bare(permissions: &Permissions, actor: &Actor, field: &'static Field) -> Option<Self> {
        let Kind::ToMany(other, back) = field.kind else { return Some(Self::Field(field)) };
        let scope = permissions.scope(actor, other, Action::Read).ok()?;
        let readable = scope.has(other.require(back)) && scope.has(other.key());
        readable.then_some(Self::Keys(field, scope))
    }

    const fn field(&self) -> &'static Field {
        match self {
            Self::Field(field) | Self::Opened(field, _) | Self::Keys(field, _) => field,
        }
    }
}

fn add(columns: &mut Vec<Column>, column: Column) {
    if !columns.contains(&column) {
        columns.push(column);
    }
}

/// JSON under construction.
#[derive(Default)]
struct Text(String);

impl Text {
    fn field(&mut self, field: &Field, value: &Value) {
        if matches!(field.kind, Kind::Secret) && !value.is_null() {
            self.string(MASK);
        } else {
            self.value(value);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.0.push_str("null"),
            Value::Boolean(flag) => self.0.push_str(if *flag { "true" } else { "false" }),
            Value::Integer(number) => self.0.push_str(&number.to_string()),
            Value::Text(text) => self.string(text),
            Value::Uuid(id) => self.string(id.hyphenated().encode_lower(&mut [0; 36])),
            Value::Timestamp(at) => self.string(&at.to_string()),
            Value::Json(document) => self.0.push_str(&document.to_string()),
        }
    }

    fn string(&mut self, text: &str) {
        self.0.push_str(&serde_json::to_string(text).expect("text is always JSON"));
    }

    fn keys(&mut self, keys: &[Key]) {
        self.0.push('[');
        for (place, key) in keys.iter().enumerate() {
            if place > 0 {
                self.0.push(',');
            }
            self.value(&Value::from(*key));
        }
        self.0.push(']');
    }

    fn finish(self) -> Box<RawValue> {
        RawValue::from_string(self.0).expect("what is written here is JSON")
    }
}
