//! What whoever asks is allowed: `/roles/me`, `/policies/me/globals`, `/permissions/me`.

use std::future::ready;

use poem::Response;
use poem::http::Method;
use serde_json::Value as Json;
use serde_json::json;

use crate::domain::Error;
use crate::domain::items::Which;
use crate::model::schema::ROLES;
use crate::transport::rest::envelope;
use crate::transport::rest::items;
use crate::transport::rest::operation::Access;
use crate::transport::rest::operation::Call;
use crate::transport::rest::operation::Handler;
use crate::transport::rest::operation::Operation;
use crate::transport::rest::operation::Reply;
use crate::transport::rest::operation::Success;
use crate::transport::rest::operation::Words;
use crate::transport::rest::parameters;
use crate::transport::rest::schemas;

/// Returns the operations about one's own rights.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let operation = |path: &str, handler: Handler, words| Operation {
        method: Method::GET,
        path: path.to_owned(),
        access: Access::SignedIn,
        collection: Some(&ROLES),
        handler,
        words: Some(words),
    };
    vec![
        operation("/roles/me", |call| Box::pin(roles(call)), roles_words()),
        operation(
            "/policies/me/globals",
            |call| Box::pin(ready(Ok(globals(&call)))),
            globals_words(),
        ),
        operation(
            "/permissions/me",
            |call| Box::pin(ready(Ok(permissions(&call)))),
            permissions_words(),
        ),
    ]
}

async fn roles(call: Call) -> Reply {
    let query = call.query()?;
    let keys = call.actor().roles.iter().map(|role| Json::from(role.to_string())).collect();
    let items = &call.context.services.items;
    let answer = items.read(call.actor(), &ROLES, Which::Keys(keys), &query).await?;
    Ok(items::shown(&call, &ROLES, &answer))
}

fn globals(call: &Call) -> Response {
    let actor = call.actor();
    envelope::data(&json!({
        "app_access": actor.app,
        "admin_access": actor.admin,
        "enforce_tfa": actor.enforce_tfa(),
    }))
}

fn permissions(call: &Call) -> Response {
    envelope::data(&call.context.services.permissions.summary(call.actor()))
}

fn roles_words() -> Words {
    Words {
        id: "readMyRoles",
        tag: "Roles",
        summary: "List one's own roles",
        description: "The role of one's account and the roles above it. Needs the right to read \
                      roles.",
        parameters: parameters::of_list(),
        request: None,
        success: Success::json(
            "The roles.",
            schemas::data(schemas::list(schemas::of(&ROLES))),
            json!({"data": [schemas::example(&ROLES)]}),
        ),
        failures: vec![Error::collection(ROLES.name)],
    }
}

fn globals_words() -> Words {
    Words {
        id: "readMyGlobals",
        tag: "Policies",
        summary: "Read what one's policies give in general",
        description: "Whether some policy gives access to an administration app, or everything, \
                      and whether one demands a second factor from whoever uses such an app.",
        parameters: vec![],
        request: None,
        success: Success::json(
            "Three flags.",
            schemas::data(schemas::reference("Globals")),
            json!({"data": {
                "app_access": false, "admin_access": false, "enforce_tfa": false,
            }}),
        ),
        failures: vec![],
    }
}

fn permissions_words() -> Words {
    Words {
        id: "readMyPermissions",
        tag: "Permissions",
        summary: "Read one's own rights",
        description: "For each collection and action: `full`, `partial` (not all items) or \
                      `none`, and which fields.",
        parameters: vec![],
        request: None,
        success: Success::json(
            "Rights by collection and action.",
            schemas::data(schemas::reference("Rights")),
            json!({"data": {"messages": {
                "read": {"access": "full", "fields": ["*"]},
                "create": {"access": "full", "fields": ["*"]},
                "update": {"access": "partial", "fields": ["content"]},
                "delete": {"access": "partial", "fields": ["*"]},
                "share": {"access": "none"},
            }}}),
        ),
        failures: vec![],
    }
}
