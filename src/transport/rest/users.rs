//! `/users/me`: the caller's account. For accounts in general see [resource].

use serde_json::Value as Json;
use serde_json::json;

use crate::domain::Error;
use crate::domain::items::Which;
use crate::model::Action;
use crate::model::schema::USERS;
use crate::transport::rest::envelope;
use crate::transport::rest::fields;
use crate::transport::rest::items;
use crate::transport::rest::openapi;
use crate::transport::rest::openapi::docs::Content;
use crate::transport::rest::openapi::docs::operations;
use crate::transport::rest::openapi::parameters;
use crate::transport::rest::operation::{Need, Reply, RequestContext};
use crate::transport::rest::resource;

operations! {
    /// Read your own account
    ///
    /// The readable fields; only the `id` if you may not read the account or all requested
    /// fields.
    GET "/users/me" => me, SignedIn, "Users", "readMe"
        .about(&USERS)
        .with(parameters::of_item())
        .returns_data("The account.", schema(""), openapi::example(&USERS))
        .fails([Error::InvalidQuery("Max relational depth exceeded".to_owned())]);

    /// Update your own account
    ///
    /// Needs the permission to update the fields of your own account. A new password ends
    /// all other sessions.
    PATCH "/users/me" => update_me, SignedIn, "Users", "updateMe"
        .about(&USERS)
        .needing(Need::Right(Action::Update, Some(&USERS)))
        .with(parameters::of_item())
        .takes_content(Content::json(
            schema("Update"),
            json!({"first_name": "Alice"}),
        ))
        .returns_data("The account.", schema(""), openapi::example(&USERS))
        .or_unseen()
        .fails(resource::write_failures(&USERS))
        .fails([taken()]);
}

fn taken() -> Error {
    let value = "alice@example.com".to_owned();
    Error::RecordNotUnique { collection: USERS.name, field: "email", value }
}

fn schema(suffix: &str) -> Json {
    openapi::reference_to(Some(&USERS), suffix)
}

/// Returns the key even if the caller may not read the account or all requested fields. Directus
/// does so, and clients rely on it.
async fn me(call: RequestContext) -> Reply {
    let user = call.require_user()?;
    let query = call.query()?;
    let which = Which::One(Json::from(user.to_string()));
    match call.context.services.items.read(call.actor(), &USERS, which, &query).await {
        Ok(answer) => Ok(envelope::one(answer)),
        Err(Error::Forbidden(_)) => Ok(envelope::data(&json!({ "id": user }))),
        Err(other) => Err(other.into()),
    }
}

async fn update_me(mut call: RequestContext) -> Reply {
    let user = call.require_user()?;
    let payload = fields::object(call.values().await?)?;
    items::update(&call, Which::One(Json::from(user.to_string())), payload).await
}
