//! `/users/me`: the caller's account. For accounts in general see [resource].

use poem::http::Method;
use serde_json::Value as Json;
use serde_json::json;

use crate::domain::Error;
use crate::domain::items::Which;
use crate::model::Action;
use crate::model::schema::USERS;
use crate::transport::rest::envelope;
use crate::transport::rest::examples;
use crate::transport::rest::fields;
use crate::transport::rest::items;
use crate::transport::rest::operation::Access;
use crate::transport::rest::operation::Content;
use crate::transport::rest::operation::Handler;
use crate::transport::rest::operation::Need;
use crate::transport::rest::operation::Operation;
use crate::transport::rest::operation::OperationDocs;
use crate::transport::rest::operation::Reply;
use crate::transport::rest::operation::RequestContext;
use crate::transport::rest::operation::Success;
use crate::transport::rest::parameters;
use crate::transport::rest::resource;
use crate::transport::rest::schemas;

/// Returns the operations on `/users/me`.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let own = |method, handler: Handler, docs| {
        Operation::new(method, "/users/me", Access::SignedIn, handler, docs).about(&USERS)
    };
    vec![
        own(Method::GET, |call| Box::pin(me(call)), me_docs()),
        own(Method::PATCH, |call| Box::pin(update_me(call)), update_me_docs())
            .needing(Need::Right(Action::Update, Some(&USERS))),
    ]
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

const TAG: &str = "Users";

fn success() -> Success {
    Success::json(
        "The account.",
        schemas::data(schemas::of(&USERS)),
        json!({"data": examples::example(&USERS)}),
    )
}

fn me_docs() -> OperationDocs {
    OperationDocs {
        parameters: parameters::of_one(),
        success: success(),
        failures: vec![Error::InvalidQuery("Max relational depth exceeded".to_owned())],
        ..OperationDocs::new(
            TAG,
            "readMe",
            "Read your own account",
            "The readable fields; only the `id` if you may not read the account or all requested \
             fields.",
        )
    }
}

fn update_me_docs() -> OperationDocs {
    OperationDocs {
        id: "updateMe",
        tag: TAG,
        summary: "Update your own account",
        description: "Needs the permission to update the fields of your own account. A new \
                      password ends all other sessions.",
        parameters: parameters::of_one(),
        request: Some(Content::json(schemas::update_of(&USERS), json!({"first_name": "Alice"}))),
        success: success().or_unseen(),
        failures: resource::write_failures(&USERS)
            .into_iter()
            .chain([Error::RecordNotUnique {
                collection: USERS.name,
                field: "email",
                value: "alice@example.com".to_owned(),
            }])
            .collect(),
    }
}
