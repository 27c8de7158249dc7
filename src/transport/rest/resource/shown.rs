//! The documentation of a resource: parameters, schemas and examples of its items, and errors.

use poem_openapi::registry::MetaOperationParam;
use poem_openapi::registry::MetaSchema;
use poem_openapi::registry::MetaSchemaRef;
use serde_json::Value as Json;
use serde_json::json;

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::Violation;
use crate::model::Collection;
use crate::model::TooLong;
use crate::model::schema;
use crate::transport::rest::examples;
use crate::transport::rest::parameters;
use crate::transport::rest::resource::Resource;
use crate::transport::rest::schemas;

impl Resource {
    pub(super) fn parameters(
        &self,
        one: bool,
        query: Vec<MetaOperationParam>,
    ) -> Vec<MetaOperationParam> {
        let mut path = Vec::new();
        if self.collection.is_none() {
            let name = MetaSchema::new("string");
            path.push(parameters::path("collection", name, "The collection.", json!("messages")));
        }
        if one {
            let (key, example) = match self.collection {
                Some(collection) => (schemas::key_schema(collection), self.key_example()),
                None => (MetaSchema::new("string"), json!("213149")),
            };
            path.push(parameters::path("id", key, "The key of the item.", example));
        }
        path.into_iter().chain(query).collect()
    }

    pub(super) fn write_failures(&self) -> Vec<Error> {
        let collection = self.shown();
        let mut failures = write_failures(collection);
        failures.extend([
            Error::RecordNotUnique {
                collection: collection.name,
                field: collection.key().name,
                value: self.key_example().to_string().trim_matches('"').to_owned(),
            },
            too_many(),
        ]);
        failures
    }

    pub(super) fn hidden(&self) -> Error {
        Error::collection(self.shown().name)
    }

    pub(super) fn undeletable(&self) -> Error {
        Error::Forbidden(Forbidden::Delete { collection: self.shown().name })
    }

    /// Returns the collection that examples show.
    pub(super) fn shown(&self) -> &'static Collection {
        self.collection.unwrap_or(&schema::MESSAGES)
    }

    pub(super) fn example(&self) -> Json {
        examples::example(self.shown())
    }

    pub(super) fn input_example(&self) -> Json {
        examples::input_example(self.shown())
    }

    pub(super) fn key_example(&self) -> Json {
        self.example().get(self.shown().key().name).cloned().unwrap_or_default()
    }

    pub(super) fn item(&self) -> MetaSchemaRef {
        self.collection.map_or_else(schemas::any_item, schemas::of)
    }

    pub(super) fn update_example(&self) -> Json {
        examples::update_example(self.shown())
    }

    pub(super) fn create_input(&self) -> MetaSchemaRef {
        self.collection.map_or_else(schemas::any_item, schemas::create_of)
    }

    pub(super) fn update_input(&self) -> MetaSchemaRef {
        self.collection.map_or_else(schemas::any_item, schemas::update_of)
    }

    pub(super) fn keyed_update(&self) -> MetaSchemaRef {
        self.collection.map_or_else(schemas::any_item, schemas::keyed_update_of)
    }

    pub(super) fn changes(&self) -> MetaSchemaRef {
        self.collection.map_or_else(|| schemas::reference("Changes"), schemas::changes_of)
    }

    pub(super) fn keys(&self) -> MetaSchemaRef {
        self.collection.map_or_else(|| schemas::reference("Keys"), schemas::keys_of)
    }

    pub(super) fn named(&self) -> MetaSchemaRef {
        self.collection.map_or_else(|| schemas::reference("Named"), schemas::named_of)
    }

    /// `merge` replaces it with the schema of the query.
    pub(super) fn search_input() -> MetaSchemaRef {
        schemas::inline(MetaSchema::new("object"))
    }
}

pub(super) fn numeric() -> Error {
    Error::InvalidQuery("Invalid numeric value".to_owned())
}

/// Returns the errors of invalid item values.
pub(in crate::transport::rest) fn write_failures(collection: &'static Collection) -> Vec<Error> {
    vec![
        Error::payload("The body has to be a JSON object or a list"),
        Error::FailedValidation(vec![Violation {
            field: "content".to_owned(),
            kind: "nnull",
            details: vec![],
        }]),
        too_long(collection.name),
        Error::InvalidForeignKey { collection: collection.name, field: None },
        Error::collection(collection.name),
        last_administrator(),
    ]
}

/// Returns the error for a value that exceeds the length limit of its field.
pub(in crate::transport::rest) fn too_long(collection: &'static str) -> Error {
    let (field, most) =
        if collection == schema::USERS.name { ("first_name", 255) } else { ("content", 65_536) };
    Error::ValueTooLong(TooLong { collection, field, most })
}

pub(super) fn too_many() -> Error {
    Error::payload("Exceeded max batch mutation limit of 10000")
}

/// An error of every operation that changes accounts or rights.
pub(super) fn last_administrator() -> Error {
    Error::Unprocessable(
        "this would remove the last active administrator: make another account an administrator \
         first"
            .to_owned(),
    )
}

pub(super) fn unknown_field() -> Error {
    Error::Forbidden(Forbidden::Fields {
        collection: schema::USERS.name,
        fields: vec!["email".to_owned()],
        path: "user_created".to_owned(),
    })
}
