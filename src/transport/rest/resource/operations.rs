//! The operations on a resource: handlers and documentation.

use poem::http::Method;
use poem_openapi::registry::MetaOperationParam;
use serde_json::json;

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::model::Action;
use crate::transport::rest::items;
use crate::transport::rest::operation::Access;
use crate::transport::rest::operation::Content;
use crate::transport::rest::operation::Handler;
use crate::transport::rest::operation::Need;
use crate::transport::rest::operation::Operation;
use crate::transport::rest::operation::OperationDocs;
use crate::transport::rest::operation::Success;
use crate::transport::rest::parameters;
use crate::transport::rest::resource::Named;
use crate::transport::rest::resource::Resource;
use crate::transport::rest::resource::shown;
use crate::transport::rest::schemas;

impl Resource {
    pub(super) fn list(&self) -> Operation {
        let docs = self.list_docs(&self.names.list);
        self.operation(Method::GET, false, |call| Box::pin(items::list(call)), docs)
    }

    fn list_docs(&self, named: &Named) -> OperationDocs {
        OperationDocs {
            description: "The items that the caller may read, at most 100 unless `limit` is set. \
                          With `aggregate` or `groupBy`, aggregates instead. With `export`, a file \
                          (`x-export` of this path). `SEARCH` takes the same query as its body \
                          (`x-search`).",
            parameters: self.parameters(false, parameters::of_list()),
            success: Success::json(
                "The items, with counts if `meta` requests them; or groups, with `aggregate` or \
                 `groupBy`.",
                schemas::data_with_meta(schemas::list(self.item())),
                json!({"data": [self.example()]}),
            ),
            failures: vec![shown::numeric(), self.hidden(), shown::unknown_field()],
            ..self.docs(named)
        }
    }

    pub(super) fn search(&self) -> Operation {
        let query = json!({"query": {
            "filter": {self.shown().key().name: {"_in": [self.key_example()]}}, "limit": 10,
        }});
        let docs = OperationDocs {
            description: "A list, for queries that are too long for a URL, by the method `SEARCH`, \
                          which OpenAPI 3.0 does not support. A `query` in the body replaces the \
                          query in the URL; with `keys`, the query shapes the response.",
            request: Some(Content::json(Self::search_input(), query)),
            ..self.list_docs(&self.names.search)
        };
        self.operation(search_method(), false, |call| Box::pin(items::search(call)), docs)
    }

    pub(super) fn create(&self) -> Operation {
        let docs = OperationDocs {
            description: "One item, or a list of items: all of them or none. The response is `204` \
                          if the caller may not read the result. The response header \
                          `Ignored-Fields` lists unknown field names in the body, percent-encoded.",
            parameters: self.parameters(false, with_idempotency_key(parameters::of_one())),
            request: Some(Content::json(
                schemas::either(self.create_input(), schemas::list(self.create_input())),
                self.input_example(),
            )),
            success: Success::json(
                "The new item, or the new items in the order of the request.",
                schemas::data(schemas::either(self.item(), schemas::list(self.item()))),
                json!({"data": self.example()}),
            )
            .or_unseen(),
            failures: self.write_failures().into_iter().chain([Error::key_reused()]).collect(),
            ..self.docs(&self.names.create)
        };
        self.operation(Method::POST, false, |call| Box::pin(items::create(call)), docs)
    }

    pub(super) fn update_many(&self) -> Operation {
        let docs = OperationDocs {
            description: "Either the same change for all items that `keys` or `query` selects, or \
                          a list of items, each with its key and its own values. All of them or \
                          none.",
            parameters: self.parameters(false, parameters::of_one()),
            request: Some(Content::json(
                schemas::either(self.changes(), schemas::list(self.keyed_update())),
                json!({"keys": [self.key_example()], "data": self.update_example()}),
            )),
            success: Success::json(
                "The updated items.",
                schemas::data(schemas::list(self.item())),
                json!({"data": [self.example()]}),
            )
            .or_unseen(),
            failures: self.write_failures(),
            ..self.docs(&self.names.update_many)
        };
        let handler: Handler = |call| Box::pin(items::update_many(call));
        self.operation(Method::PATCH, false, handler, docs)
    }

    pub(super) fn delete_many(&self) -> Operation {
        let docs = OperationDocs {
            description: "The items that a list of keys, `keys` or `query` selects. All of them or \
                          none.",
            parameters: self.parameters(false, vec![]),
            request: Some(Content::json(
                schemas::either(self.keys(), self.named()),
                json!([self.key_example()]),
            )),
            success: Success::nothing("Done."),
            failures: vec![
                Error::payload("\"value\" must contain at least one of [query, keys]"),
                shown::numeric(),
                self.undeletable(),
                shown::too_many(),
                shown::last_administrator(),
            ],
            ..self.docs(&self.names.delete_many)
        };
        let handler: Handler = |call| Box::pin(items::delete_many(call));
        self.operation(Method::DELETE, false, handler, docs)
    }

    pub(super) fn read(&self) -> Operation {
        let docs = OperationDocs {
            description: "Missing items and items without permission get the same response: `403`.",
            parameters: self.parameters(true, parameters::of_item()),
            success: Success::json(
                "The item.",
                schemas::data(self.item()),
                json!({"data": self.example()}),
            ),
            failures: vec![
                shown::numeric(),
                Error::Forbidden(Forbidden::Item),
                shown::unknown_field(),
            ],
            ..self.docs(&self.names.read)
        };
        self.operation(Method::GET, true, |call| Box::pin(items::one(call)), docs)
    }

    pub(super) fn update(&self) -> Operation {
        let handler: Handler = |call| Box::pin(items::update_one(call));
        self.operation(Method::PATCH, true, handler, self.update_docs(true))
    }

    fn update_docs(&self, one: bool) -> OperationDocs {
        OperationDocs {
            description: "Updates the fields in the body; the others stay. The response is `204` \
                          if the caller may not read the result.",
            parameters: self.parameters(one, parameters::of_one()),
            request: Some(Content::json(self.update_input(), self.update_example())),
            success: Success::json(
                "The updated item.",
                schemas::data(self.item()),
                json!({"data": self.example()}),
            )
            .or_unseen(),
            failures: self.write_failures(),
            ..self.docs(&self.names.update)
        }
    }

    pub(super) fn delete(&self) -> Operation {
        let docs = OperationDocs {
            description: "For administrators, deleting a missing item is not an error.",
            parameters: self.parameters(true, vec![]),
            success: Success::nothing("Done."),
            failures: vec![self.undeletable(), shown::last_administrator()],
            ..self.docs(&self.names.delete)
        };
        let handler: Handler = |call| Box::pin(items::delete_one(call));
        self.operation(Method::DELETE, true, handler, docs)
    }

    pub(super) fn read_single(&self) -> Operation {
        let docs = self.single_docs(&self.names.read);
        self.operation(Method::GET, false, |call| Box::pin(items::single(call)), docs)
    }

    pub(super) fn search_single(&self) -> Operation {
        let docs = OperationDocs {
            description: "The single item, for queries that are too long for a URL, by the method \
                          `SEARCH`, which OpenAPI 3.0 does not support.",
            request: Some(Content::json(
                Self::search_input(),
                json!({"query": {"fields": [self.shown().key().name]}}),
            )),
            ..self.single_docs(&self.names.search)
        };
        self.operation(search_method(), false, |call| Box::pin(items::single(call)), docs)
    }

    fn single_docs(&self, named: &Named) -> OperationDocs {
        OperationDocs {
            description: "The single item of the collection. With `export`, a file (`x-export` of \
                          this path). `SEARCH` takes the same query as its body (`x-search`).",
            parameters: self.parameters(false, parameters::of_item()),
            success: Success::json(
                "The item.",
                schemas::data(self.item()),
                json!({"data": self.example()}),
            ),
            failures: vec![shown::numeric(), self.hidden()],
            ..self.docs(named)
        }
    }

    pub(super) fn update_single(&self) -> Operation {
        let handler: Handler = |call| Box::pin(items::update_single(call));
        self.operation(Method::PATCH, false, handler, self.update_docs(false))
    }

    fn operation(
        &self,
        method: Method,
        one: bool,
        handler: Handler,
        docs: OperationDocs,
    ) -> Operation {
        let path = if one { format!("{}/{{id}}", self.path) } else { self.path.to_owned() };
        let action = match method {
            Method::POST => Action::Create,
            Method::PATCH => Action::Update,
            Method::DELETE => Action::Delete,
            _ => Action::Read,
        };
        let operation = Operation::new(method, path, Access::Anyone, handler, docs)
            .needing(Need::Right(action, self.collection));
        match self.collection {
            Some(collection) => operation.about(collection),
            None => operation,
        }
    }

    fn docs(&self, named: &Named) -> OperationDocs {
        let Named(id, summary) = *named;
        OperationDocs::new(self.tag, id, summary, "")
    }
}

fn search_method() -> Method {
    Method::from_bytes(b"SEARCH").expect("`SEARCH` is a valid method")
}

fn with_idempotency_key(mut parameters: Vec<MetaOperationParam>) -> Vec<MetaOperationParam> {
    parameters.push(parameters::idempotency_key());
    parameters
}
