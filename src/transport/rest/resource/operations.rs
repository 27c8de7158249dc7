//! The operations on a resource.

use poem::http::Method;
use serde_json::Value as Json;
use serde_json::json;

use crate::domain::{Error, Forbidden, Violation};
use crate::model::schema;
use crate::model::{Action, Collection, TooLong};
use crate::transport::rest::items;
use crate::transport::rest::openapi;
use crate::transport::rest::openapi::docs::handler;
use crate::transport::rest::openapi::docs::prose;
use crate::transport::rest::openapi::docs::{Content, OperationDocs};
use crate::transport::rest::openapi::parameters;
use crate::transport::rest::openapi::parameters::parameter;
use crate::transport::rest::operation::{Access, Handler, Need, Operation};
use crate::transport::rest::resource::Resource;

/// The subject of an operation.
#[derive(Clone, Copy)]
enum Target {
    One,
    Several,
    /// The item of a collection with a single one.
    Single,
}

impl Resource {
    pub(super) fn list(&self) -> Operation {
        let about = prose!(
            /// The items that the caller may read, at most 100 unless `limit` is set. With
            /// `aggregate` or `groupBy`, aggregates instead. With `export`, a file (`x-export` of
            /// this path). `SEARCH` takes the same query as its body (`x-search`).
        );
        self.listing(self.operation("read", Target::Several, handler!(items::list), about))
    }

    pub(super) fn search(&self) -> Operation {
        let about = prose!(
            /// A list, for queries that are too long for a URL, by the method `SEARCH`, which
            /// OpenAPI 3.0 does not support. A `query` in the body replaces the query in the URL;
            /// with `keys`, the query shapes the response.
        );
        let query = json!({"query": {
            "filter": {self.shown().key().name: {"_in": [self.key_example()]}}, "limit": 10,
        }});
        self.listing(self.operation("search", Target::Several, handler!(items::search), about))
            .takes_content(Content::json(openapi::search(self.collection), query))
    }

    /// Adds the documentation of a list.
    fn listing(&self, operation: Operation) -> Operation {
        const RETURNED: &str = "The items, with counts if `meta` requests them; or groups, with \
                                `aggregate` or `groupBy`.";
        let body = json!({
            "type": "object",
            "required": ["data"],
            "properties": {
                "data": openapi::list(self.schema("")),
                "meta": openapi::reference_to(None, "Counts"),
            },
        });
        operation
            .with(parameters::of_list(self.collection))
            .exports()
            .returns_content(RETURNED, Content::json(body, json!({"data": [self.example()]})))
            .fails([numeric(), self.hidden(), unknown_field()])
    }

    pub(super) fn create(&self) -> Operation {
        let about = prose!(
            /// One item, or a list of items: all of them or none. The response is `204` if the
            /// caller may not read the result. The response header `Ignored-Fields` lists unknown
            /// field names in the body, percent-encoded.
        );
        let returned = "The new item, or the new items in the order of the request.";
        let one_or_more = |schema: Json| openapi::one_of([schema.clone(), openapi::list(schema)]);
        let (body, example) = (self.schema("Create"), openapi::input_example(self.shown()));
        self.operation("create", Target::Several, handler!(items::create), about)
            .with(parameters::of_item())
            .with([parameters::named("Idempotency-Key")])
            .takes_content(Content::json(one_or_more(body), example))
            .returns_data(returned, one_or_more(self.schema("")), self.example())
            .or_unseen()
            .fails(self.write_failures())
            .fails([Error::key_reused()])
    }

    pub(super) fn update_many(&self) -> Operation {
        let about = prose!(
            /// Either the same change for all items that `keys` or `query` selects, or a list of
            /// items, each with its key and its own values. All of them or none.
        );
        let example = openapi::update_example(self.shown());
        let example = json!({"keys": [self.key_example()], "data": example});
        let keyed = self.collection.map_or_else(
            || self.schema(""),
            |collection| {
                let name = collection.key().name;
                let keyed = json!({
                    "type": "object",
                    "required": [name],
                    "properties": {name: openapi::key(collection)},
                });
                json!({"allOf": [keyed, self.schema("Update")]})
            },
        );
        let body = openapi::one_of([self.schema("Changes"), openapi::list(keyed)]);
        self.operation("update", Target::Several, handler!(items::update_many), about)
            .with(parameters::of_item())
            .takes_content(Content::json(body, example))
            .returns_data(
                "The updated items.",
                openapi::list(self.schema("")),
                json!([self.example()]),
            )
            .or_unseen()
            .fails(self.write_failures())
    }

    pub(super) fn delete_many(&self) -> Operation {
        let about = prose!(
            /// The items that a list of keys, `keys` or `query` selects. All of them or none.
        );
        let body = openapi::one_of([openapi::keys(self.collection), self.schema("Named")]);
        self.operation("delete", Target::Several, handler!(items::delete_many), about)
            .takes_content(Content::json(body, json!([self.key_example()])))
            .fails([
                Error::payload("\"value\" must contain at least one of [query, keys]"),
                numeric(),
                self.undeletable(),
                too_many(),
                last_administrator(),
            ])
    }

    pub(super) fn read(&self) -> Operation {
        let about = prose!(
            /// Missing items and items without permission get the same response: `403`.
        );
        self.operation("read", Target::One, handler!(items::one), about)
            .with(parameters::of_item())
            .exports()
            .returns_data("The item.", self.schema(""), self.example())
            .fails([numeric(), Error::Forbidden(Forbidden::Item), unknown_field()])
    }

    pub(super) fn update(&self) -> Operation {
        self.updating(Target::One, handler!(items::update_one))
    }

    pub(super) fn update_single(&self) -> Operation {
        self.updating(Target::Single, handler!(items::update_single))
    }

    fn updating(&self, target: Target, handler: Handler) -> Operation {
        let about = prose!(
            /// Updates the fields in the body; the others stay. The response is `204` if the caller
            /// may not read the result.
        );
        let (body, example) = (self.schema("Update"), openapi::update_example(self.shown()));
        self.operation("update", target, handler, about)
            .with(parameters::of_item())
            .takes_content(Content::json(body, example))
            .returns_data("The updated item.", self.schema(""), self.example())
            .or_unseen()
            .fails(self.write_failures())
    }

    pub(super) fn delete(&self) -> Operation {
        let about = prose!(
            /// For administrators, deleting a missing item is not an error.
        );
        self.operation("delete", Target::One, handler!(items::delete_one), about)
            .fails([self.undeletable(), last_administrator()])
    }

    pub(super) fn read_single(&self) -> Operation {
        let about = prose!(
            /// The single item of the collection. With `export`, a file (`x-export` of this path).
            /// `SEARCH` takes the same query as its body (`x-search`).
        );
        self.single("read", about)
    }

    pub(super) fn search_single(&self) -> Operation {
        let about = prose!(
            /// The single item, for queries that are too long for a URL, by the method `SEARCH`,
            /// which OpenAPI 3.0 does not support.
        );
        let query = json!({"query": {"fields": [self.shown().key().name]}});
        self.single("search", about)
            .takes_content(Content::json(openapi::search(self.collection), query))
    }

    fn single(&self, verb: &str, about: &'static str) -> Operation {
        self.operation(verb, Target::Single, handler!(items::single), about)
            .with(parameters::of_item())
            .exports()
            .returns_data("The item.", self.schema(""), self.example())
            .fails([numeric(), self.hidden()])
    }

    fn operation(
        &self,
        verb: &str,
        target: Target,
        handler: Handler,
        about: &'static str,
    ) -> Operation {
        let (method, action) = match verb {
            "create" => (Method::POST, Action::Create),
            "update" => (Method::PATCH, Action::Update),
            "delete" => (Method::DELETE, Action::Delete),
            "search" => (search_method(), Action::Read),
            _ => (Method::GET, Action::Read),
        };
        let is_several = matches!(target, Target::Several) || verb == "search";
        let (id, noun) = (self.ids[usize::from(is_several)], self.nouns[usize::from(is_several)]);
        let title = match (verb, target) {
            ("read", Target::Several) => "List".to_owned(),
            ("update" | "delete", Target::Several) => format!("{} several", capitalized(verb)),
            _ => capitalized(verb),
        };
        let docs =
            OperationDocs::new(self.tag, format!("{verb}{id}"), format!("{title} {noun}"), about);
        let is_one = matches!(target, Target::One);
        let path = if is_one { format!("{}/{{id}}", self.path) } else { self.path.to_owned() };
        let mut operation = Operation::new(method, path, Access::Anyone, handler, docs)
            .needing(Need::Right(action, self.collection));
        operation.collection = self.collection;
        operation.with(self.path_parameters(is_one))
    }

    fn path_parameters(&self, is_one: bool) -> impl Iterator<Item = Json> {
        let name = parameter!(
            /// The collection.
            path "collection": {"type": "string"} = "messages"
        );
        let (schema, example) = match self.collection {
            Some(collection) => (openapi::key(collection), self.key_example()),
            None => (json!({"type": "string"}), json!("213149")),
        };
        let key = parameter!(
            /// The key of the item.
            path "id": (schema) = example
        );
        let name = self.collection.is_none().then_some(name);
        name.into_iter().chain(is_one.then_some(key))
    }

    fn write_failures(&self) -> Vec<Error> {
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

    fn hidden(&self) -> Error {
        Error::collection(self.shown().name)
    }

    fn undeletable(&self) -> Error {
        Error::Forbidden(Forbidden::Delete { collection: self.shown().name })
    }

    /// Returns the collection that examples show.
    fn shown(&self) -> &'static Collection {
        self.collection.unwrap_or(&schema::MESSAGES)
    }

    fn example(&self) -> Json {
        openapi::example(self.shown())
    }

    fn key_example(&self) -> Json {
        self.example()[self.shown().key().name].take()
    }

    fn schema(&self, suffix: &str) -> Json {
        openapi::reference_to(self.collection, suffix)
    }
}

fn search_method() -> Method {
    Method::from_bytes(b"SEARCH").expect("`SEARCH` is a valid method")
}

fn capitalized(verb: &str) -> String {
    verb[..1].to_ascii_uppercase() + &verb[1..]
}

fn numeric() -> Error {
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

fn too_many() -> Error {
    Error::payload("Exceeded max batch mutation limit of 1000")
}

fn unknown_field() -> Error {
    Error::Forbidden(Forbidden::Fields {
        collection: schema::USERS.name,
        fields: vec!["email".to_owned()],
        path: "user_created".to_owned(),
    })
}

/// An error of every operation that changes accounts or rights.
fn last_administrator() -> Error {
    Error::Unprocessable(
        "this would remove the last active administrator: make another account an administrator \
         first"
            .to_owned(),
    )
}
