//! The REST interface: one list of operations, from which both the routes and the OpenAPI document
//! are generated.
//!
//! Handlers decode the request, call the domain once and encode the response. All errors have
//! Directus's format, so the types of poem-openapi describe the bodies, and `fields` parses them.

pub mod access;
pub mod answers;
pub mod auth;
pub mod body;
mod content_coding;
pub mod enrolment;
pub mod envelope;
pub mod export;
pub mod fields;
pub mod health;
pub mod items;
pub mod openapi;
pub mod operation;
pub mod path;
pub mod providers;
pub mod query_string;
pub mod resource;
pub mod second_factor;
pub mod server;
pub mod sessions;
pub mod users;
pub mod utils;

use std::collections::HashSet;
use std::sync::Arc;

use poem::{Route, RouteMethod};

pub use content_coding::ACCEPTED as ACCEPTED_CODINGS;
pub use openapi::document;

use crate::transport::Context;
use crate::transport::rest::operation::Operation;

/// Returns all operations, in documentation order.
///
/// An iterator, since a list would be one block above 64 KiB, for which the allocator keeps some
/// megabytes of memory.
pub fn operations() -> impl Iterator<Item = Operation> {
    auth::operations()
        .into_iter()
        .chain(providers::operations())
        .chain(enrolment::operations())
        .chain(resource::operations())
        .chain(users::operations())
        .chain(second_factor::operations())
        .chain(sessions::operations())
        .chain(access::operations())
        .chain(server::operations())
        .chain(health::operations())
        .chain(utils::operations())
}

/// Returns the first path segments of all operations.
pub(super) fn first_segments() -> HashSet<String> {
    let first = |operation: &Operation| operation.path.split('/').nth(1).map(str::to_owned);
    operations()
        .filter_map(|operation| first(&operation))
        .filter(|segment| !segment.is_empty())
        .collect()
}

/// Adds all operations to the routes.
#[must_use]
pub fn mount(mut route: Route, context: &Arc<Context>) -> Route {
    let mut paths: Vec<(String, RouteMethod)> = Vec::new();
    for operation in operations() {
        let endpoint = operation.mount(Arc::clone(context));
        let path = operation.path.replace('{', ":").replace('}', "");
        let place = paths.iter().position(|(known, _)| *known == path).unwrap_or_else(|| {
            paths.push((path, RouteMethod::new()));
            paths.len() - 1
        });
        let methods = std::mem::take(&mut paths[place].1);
        paths[place].1 = methods.method(operation.method, endpoint);
    }
    for (path, methods) in paths {
        route = route.at(path, methods);
    }
    route
}
