//! One collection under one path: list, search, read, create, change, delete, the same for all.

use poem::http::Method;
use poem_openapi::registry::MetaOperationParam;
use poem_openapi::registry::MetaSchema;
use poem_openapi::registry::MetaSchemaRef;
use serde_json::Value as Json;
use serde_json::json;

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::Violation;
use crate::model::Collection;
use crate::model::collection::Form;
use crate::model::history::ACTIVITY;
use crate::model::history::REVISIONS;
use crate::model::schema;
use crate::transport::rest::items;
use crate::transport::rest::operation::Access;
use crate::transport::rest::operation::Content;
use crate::transport::rest::operation::Handler;
use crate::transport::rest::operation::Operation;
use crate::transport::rest::operation::Success;
use crate::transport::rest::operation::Words;
use crate::transport::rest::parameters;
use crate::transport::rest::schemas;

/// A collection and the path it is under.
struct Resource {
    path: &'static str,
    /// `None` where the path names it.
    collection: Option<&'static Collection>,
    tag: &'static str,
    names: Names,
}

/// The words of the operations on one resource.
struct Names {
    list: Named,
    search: Named,
    create: Named,
    update_many: Named,
    delete_many: Named,
    read: Named,
    update: Named,
    delete: Named,
}

/// An operation's id and summary.
struct Named(&'static str, &'static str);

/// Makes the words out of the names of one and many items.
macro_rules! names {
    ($one:literal, $many:literal, $id:literal, $ids:literal) => {
        Names {
            list: Named(concat!("read", $ids), concat!("List ", $many)),
            search: Named(concat!("search", $ids), concat!("Look for ", $many)),
            create: Named(concat!("create", $ids), concat!("Create ", $many)),
            update_many: Named(concat!("update", $ids), concat!("Change several ", $many)),
            delete_many: Named(concat!("delete", $ids), concat!("Delete several ", $many)),
            read: Named(concat!("read", $id), concat!("Read ", $one)),
            update: Named(concat!("update", $id), concat!("Change ", $one)),
            delete: Named(concat!("delete", $id), concat!("Delete ", $one)),
        }
    };
}

/// Returns the operations on all collections.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let resources = [
        Resource {
            path: "/items/messages",
            collection: Some(&schema::MESSAGES),
            tag: "Messages",
            names: names!("a message", "messages", "Message", "Messages"),
        },
        Resource {
            path: "/items/{collection}",
            collection: None,
            tag: "Items",
            names: names!("an item", "items", "Item", "Items"),
        },
        Resource {
            path: "/users",
            collection: Some(&schema::USERS),
            tag: "Users",
            names: names!("an account", "accounts", "User", "Users"),
        },
        Resource {
            path: "/roles",
            collection: Some(&schema::ROLES),
            tag: "Roles",
            names: names!("a role", "roles", "Role", "Roles"),
        },
        Resource {
            path: "/policies",
            collection: Some(&schema::POLICIES),
            tag: "Policies",
            names: names!("a policy", "policies", "Policy", "Policies"),
        },
        Resource {
            path: "/permissions",
            collection: Some(&schema::PERMISSIONS),
            tag: "Permissions",
            names: names!("a permission", "permissions", "Permission", "Permissions"),
        },
        Resource {
            path: "/access",
            collection: Some(&schema::ACCESS),
            tag: "Access",
            names: names!("an access row", "access rows", "AccessRow", "AccessRows"),
        },
        Resource {
            path: "/settings",
            collection: Some(&schema::SETTINGS),
            tag: "Settings",
            names: names!("the settings", "the settings", "Settings", "AllSettings"),
        },
        Resource {
            path: "/activity",
            collection: Some(&ACTIVITY),
            tag: "Activity",
            names: names!("what somebody did", "what was done", "Activity", "Activities"),
        },
        Resource {
            path: "/revisions",
            collection: Some(&REVISIONS),
            tag: "Revisions",
            names: names!("a revision", "revisions", "Revision", "Revisions"),
        },
    ];
    resources.iter().flat_map(Resource::operations).collect()
}

impl Resource {
    fn operations(&self) -> Vec<Operation> {
        match self.collection.map_or(Form::Items, |collection| collection.form) {
            Form::Single => {
                return vec![self.read_single(), self.search_single(), self.update_single()];
            }
            Form::History => return vec![self.list(), self.search(), self.read()],
            Form::Items => {}
        }
        vec![
            self.list(),
            self.search(),
            self.create(),
            self.update_many(),
            self.delete_many(),
            self.read(),
            self.update(),
            self.delete(),
        ]
    }

    fn operation(&self, method: Method, one: bool, handler: Handler, words: Words) -> Operation {
        let path = if one { format!("{}/{{id}}", self.path) } else { self.path.to_owned() };
        let operation = Operation::new(method, path, Access::Anyone, handler, words);
        match self.collection {
            Some(collection) => operation.about(collection),
            None => operation,
        }
    }

    fn list(&self) -> Operation {
        let words = self.list_words(&self.names.list);
        self.operation(Method::GET, false, |call| Box::pin(items::list(call)), words)
    }

    fn list_words(&self, named: &Named) -> Words {
        Words {
            description: "What there is to see for whoever asks, 100 items at most unless `limit` \
                          says otherwise. With `aggregate` or `groupBy`, numbers about them \
                          instead. With `export`, a file (`x-export` of this path). `SEARCH` \
                          takes the same query as its body (`x-search`).",
            parameters: self.parameters(false, parameters::of_list()),
            success: Success::json(
                "The items, with counts beside them if `meta` asks for some; or groups, if \
                 `aggregate` or `groupBy` does.",
                schemas::data_with_meta(schemas::list(self.item())),
                json!({"data": [self.example()]}),
            ),
            failures: vec![numeric(), self.hidden(), unknown_field()],
            ..self.words(named)
        }
    }

    fn search(&self) -> Operation {
        let query = json!({"query": {
            "filter": {self.shown().key().name: {"_in": [self.key_example()]}}, "limit": 10,
        }});
        let words = Words {
            description: "A list, for queries that are too long for an address: by the method \
                          `SEARCH`, which OpenAPI 3.0 has no place for. A `query` in the body \
                          makes the one of the address count for nothing; with `keys`, the \
                          address says how the items are shown.",
            request: Some(Content::json(self.search_input(), query)),
            ..self.list_words(&self.names.search)
        };
        self.operation(search_method(), false, |call| Box::pin(items::search(call)), words)
    }

    fn create(&self) -> Operation {
        let words = Words {
            description: "One item, or several as a list: then all of them or none. Whoever may \
                          not see what came of it gets `204`.",
            parameters: self.parameters(false, with_idempotency_key(parameters::of_one())),
            request: Some(Content::json(
                schemas::either(self.create_input(), schemas::list(self.create_input())),
                self.input_example(),
            )),
            success: Success::json(
                "The new item, or the new items in the order in which they were sent.",
                schemas::data(schemas::either(self.item(), schemas::list(self.item()))),
                json!({"data": self.example()}),
            )
            .or_unseen(),
            failures: self.write_failures().into_iter().chain([reused_key()]).collect(),
            ..self.words(&self.names.create)
        };
        self.operation(Method::POST, false, |call| Box::pin(items::create(call)), words)
    }

    fn update_many(&self) -> Operation {
        let words = Words {
            description: "Either the same change for all items that `keys` or `query` names, or a \
                          list of items, each with its key and its own values. All of them or \
                          none.",
            parameters: self.parameters(false, parameters::of_one()),
            request: Some(Content::json(
                schemas::either(self.changes(), schemas::list(self.keyed_update())),
                json!({"keys": [self.key_example()], "data": self.update_example()}),
            )),
            success: Success::json(
                "The items as they are now.",
                schemas::data(schemas::list(self.item())),
                json!({"data": [self.example()]}),
            )
            .or_unseen(),
            failures: self.write_failures(),
            ..self.words(&self.names.update_many)
        };
        let handler: Handler = |call| Box::pin(items::update_many(call));
        self.operation(Method::PATCH, false, handler, words)
    }

    fn delete_many(&self) -> Operation {
        let words = Words {
            description: "The items that a list of keys, `keys` or `query` names. All of them or \
                          none.",
            parameters: self.parameters(false, vec![]),
            request: Some(Content::json(
                schemas::either(self.keys(), self.named()),
                json!([self.key_example()]),
            )),
            success: Success::nothing("Done."),
            failures: vec![
                Error::payload("\"value\" must contain at least one of [query, keys]"),
                numeric(),
                self.undeletable(),
                too_many(),
                last_administrator(),
            ],
            ..self.words(&self.names.delete_many)
        };
        let handler: Handler = |call| Box::pin(items::delete_many(call));
        self.operation(Method::DELETE, false, handler, words)
    }

    fn read(&self) -> Operation {
        let words = Words {
            description: "What is not there and what one may not see are the same answer: `403`.",
            parameters: self.parameters(true, parameters::of_item()),
            success: Success::json(
                "The item.",
                schemas::data(self.item()),
                json!({"data": self.example()}),
            ),
            failures: vec![numeric(), Error::Forbidden(Forbidden::Item), unknown_field()],
            ..self.words(&self.names.read)
        };
        self.operation(Method::GET, true, |call| Box::pin(items::one(call)), words)
    }

    fn update(&self) -> Operation {
        let words = Words {
            description: "The fields that are sent; the others stay. Whoever may not see what came \
                          of it gets `204`.",
            parameters: self.parameters(true, parameters::of_one()),
            request: Some(Content::json(self.update_input(), self.update_example())),
            success: Success::json(
                "The item as it is now.",
                schemas::data(self.item()),
                json!({"data": self.example()}),
            )
            .or_unseen(),
            failures: self.write_failures(),
            ..self.words(&self.names.update)
        };
        let handler: Handler = |call| Box::pin(items::update_one(call));
        self.operation(Method::PATCH, true, handler, words)
    }

    fn delete(&self) -> Operation {
        let words = Words {
            description: "For administrators, deleting what is not there is no error.",
            parameters: self.parameters(true, vec![]),
            success: Success::nothing("Done."),
            failures: vec![self.undeletable(), last_administrator()],
            ..self.words(&self.names.delete)
        };
        let handler: Handler = |call| Box::pin(items::delete_one(call));
        self.operation(Method::DELETE, true, handler, words)
    }

    fn read_single(&self) -> Operation {
        let words = self.single_words(&self.names.read);
        self.operation(Method::GET, false, |call| Box::pin(items::single(call)), words)
    }

    fn search_single(&self) -> Operation {
        let words = Words {
            description: "The one item, for queries that are too long for an address: by the \
                          method `SEARCH`, which OpenAPI 3.0 has no place for.",
            request: Some(Content::json(
                self.search_input(),
                json!({"query": {"fields": [self.shown().key().name]}}),
            )),
            ..self.single_words(&self.names.search)
        };
        self.operation(search_method(), false, |call| Box::pin(items::single(call)), words)
    }

    fn single_words(&self, named: &Named) -> Words {
        Words {
            description: "There is one item. With `export`, a file (`x-export` of this path). \
                          `SEARCH` takes the same query as its body (`x-search`).",
            parameters: self.parameters(false, parameters::of_item()),
            success: Success::json(
                "The item.",
                schemas::data(self.item()),
                json!({"data": self.example()}),
            ),
            failures: vec![numeric(), self.hidden()],
            ..self.words(named)
        }
    }

    fn update_single(&self) -> Operation {
        let words = Words {
            description: "The fields that are sent; the others stay. Whoever may not see what came \
                          of it gets `204`.",
            parameters: self.parameters(false, parameters::of_one()),
            request: Some(Content::json(self.update_input(), self.update_example())),
            success: Success::json(
                "The item as it is now.",
                schemas::data(self.item()),
                json!({"data": self.example()}),
            )
            .or_unseen(),
            failures: self.write_failures(),
            ..self.words(&self.names.update)
        };
        let handler: Handler = |call| Box::pin(items::update_single(call));
        self.operation(Method::PATCH, false, handler, words)
    }

    fn words(&self, named: &Named) -> Words {
        let Named(id, summary) = *named;
        Words::new(self.tag, id, summary, "")
    }

    fn parameters(&self, one: bool, query: Vec<MetaOperationParam>) -> Vec<MetaOperationParam> {
        let mut path = Vec::new();
        if self.collection.is_none() {
            let name = MetaSchema::new("string");
            path.push(parameters::path("collection", name, "Its name.", json!("messages")));
        }
        if one {
            let (key, example) = match self.collection {
                Some(collection) => (schemas::key_schema(collection), self.key_example()),
                None => (MetaSchema::new("string"), json!("213149")),
            };
            path.push(parameters::path("id", key, "The item's key.", example));
        }
        path.into_iter().chain(query).collect()
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
        schemas::example(self.shown())
    }

    fn input_example(&self) -> Json {
        schemas::input_example(self.shown())
    }

    fn key_example(&self) -> Json {
        self.example().get(self.shown().key().name).cloned().unwrap_or_default()
    }

    fn item(&self) -> MetaSchemaRef {
        self.collection.map_or_else(schemas::any_item, schemas::of)
    }

    fn update_example(&self) -> Json {
        schemas::update_example(self.shown())
    }

    fn create_input(&self) -> MetaSchemaRef {
        self.collection.map_or_else(schemas::any_item, schemas::create_of)
    }

    fn update_input(&self) -> MetaSchemaRef {
        self.collection.map_or_else(schemas::any_item, schemas::update_of)
    }

    fn keyed_update(&self) -> MetaSchemaRef {
        self.collection.map_or_else(schemas::any_item, schemas::keyed_update_of)
    }

    fn changes(&self) -> MetaSchemaRef {
        self.collection.map_or_else(|| schemas::reference("Changes"), schemas::changes_of)
    }

    fn keys(&self) -> MetaSchemaRef {
        self.collection.map_or_else(|| schemas::reference("Keys"), schemas::keys_of)
    }

    fn named(&self) -> MetaSchemaRef {
        self.collection.map_or_else(|| schemas::reference("Named"), schemas::named_of)
    }

    fn search_input(&self) -> MetaSchemaRef {
        self.collection.map_or_else(|| schemas::reference("Search"), schemas::search_of)
    }
}

fn search_method() -> Method {
    Method::from_bytes(b"SEARCH").expect("a method is any word")
}

fn with_idempotency_key(mut parameters: Vec<MetaOperationParam>) -> Vec<MetaOperationParam> {
    parameters.push(parameters::idempotency_key());
    parameters
}

fn reused_key() -> Error {
    Error::key_reused()
}

fn numeric() -> Error {
    Error::InvalidQuery("Invalid numeric value".to_owned())
}

/// Returns what can be wrong with values for an item.
pub(super) fn write_failures(collection: &'static Collection) -> Vec<Error> {
    vec![
        Error::payload("The body has to be a JSON object or a list"),
        Error::FailedValidation(vec![Violation {
            field: "content".to_owned(),
            kind: "nnull",
            details: vec![],
        }]),
        Error::InvalidForeignKey { collection: collection.name, field: None },
        Error::collection(collection.name),
        last_administrator(),
    ]
}

fn too_many() -> Error {
    Error::LimitExceeded("one request may change at most 1000 items".to_owned())
}

/// Whatever changes accounts or rights can come to this.
fn last_administrator() -> Error {
    Error::Unprocessable(
        "the last active administrator has to stay: make another one first".to_owned(),
    )
}

fn unknown_field() -> Error {
    Error::Forbidden(Forbidden::Fields {
        collection: schema::USERS.name,
        fields: vec!["email".to_owned()],
        path: "user_created".to_owned(),
    })
}
