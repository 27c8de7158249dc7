//! The caller's rights: `/roles/me`, `/policies/me/globals`, `/permissions/me` and, for a
//! collection or one of its items, `/permissions/me/…`.

use std::future::ready;

use poem::Response;
use poem::http::Method;
use poem_openapi::registry::MetaOperationParam;
use poem_openapi::registry::MetaSchema;
use serde_json::Value as Json;
use serde_json::json;

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::items::Which;
use crate::model::Action;
use crate::model::schema::ROLES;
use crate::transport::rest::envelope;
use crate::transport::rest::examples;
use crate::transport::rest::items;
use crate::transport::rest::operation::Access;
use crate::transport::rest::operation::Handler;
use crate::transport::rest::operation::Need;
use crate::transport::rest::operation::Operation;
use crate::transport::rest::operation::OperationDocs;
use crate::transport::rest::operation::Reply;
use crate::transport::rest::operation::RequestContext;
use crate::transport::rest::operation::Success;
use crate::transport::rest::parameters;
use crate::transport::rest::schemas;

/// Returns the operations on the caller's rights.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let own = |path: &str, handler: Handler, docs| {
        Operation::new(Method::GET, path, Access::SignedIn, handler, docs).about(&ROLES)
    };
    vec![
        own("/roles/me", |call| Box::pin(roles(call)), roles_docs())
            .needing(Need::Right(Action::Read, Some(&ROLES))),
        own("/policies/me/globals", |call| Box::pin(ready(Ok(globals(&call)))), globals_docs()),
        own("/permissions/me", |call| Box::pin(ready(Ok(permissions(&call)))), permissions_docs()),
        of_items("/permissions/me/{collection}", collection_docs()),
        of_items("/permissions/me/{collection}/{id}", item_docs()),
    ]
}

fn of_items(path: &str, docs: OperationDocs) -> Operation {
    let handler: Handler = |call| Box::pin(item_permissions(call));
    Operation::new(Method::GET, path, Access::Anyone, handler, docs).needing(Need::SignIn)
}

/// As in Directus, forbidden without a sign-in.
async fn item_permissions(call: RequestContext) -> Reply {
    if call.actor().user.is_none() {
        return Err(Error::Forbidden(Forbidden::Action).into());
    }
    let (collection, id) = (call.path_part("collection"), call.path_part("id"));
    let key = (!id.is_empty()).then(|| Json::from(id));
    let items = &call.context.services.items;
    Ok(envelope::data(&items.access(call.actor(), collection, key.as_ref()).await?))
}

async fn roles(call: RequestContext) -> Reply {
    let query = call.query()?;
    let keys = call.actor().roles.iter().map(|role| Json::from(role.to_string())).collect();
    let items = &call.context.services.items;
    let answer = items.read(call.actor(), &ROLES, Which::Keys(keys), &query).await?;
    Ok(items::shown(&call, &ROLES, answer))
}

fn globals(call: &RequestContext) -> Response {
    let actor = call.actor();
    envelope::data(&json!({
        "app_access": actor.app,
        "admin_access": actor.admin,
        "enforce_tfa": actor.enforce_tfa(),
    }))
}

fn permissions(call: &RequestContext) -> Response {
    envelope::data(&call.context.services.permissions.summary(call.actor()))
}

fn roles_docs() -> OperationDocs {
    OperationDocs {
        parameters: parameters::of_list(),
        success: Success::json(
            "The roles.",
            schemas::data(schemas::list(schemas::of(&ROLES))),
            json!({"data": [examples::example(&ROLES)]}),
        ),
        failures: vec![Error::collection(ROLES.name)],
        ..OperationDocs::new(
            "Roles",
            "readMyRoles",
            "List your own roles",
            "The role of your account and its parent roles. Needs the permission to read roles.",
        )
    }
}

fn globals_docs() -> OperationDocs {
    OperationDocs {
        success: Success::json(
            "Three flags.",
            schemas::data(schemas::reference("Globals")),
            json!({"data": {
                "app_access": false, "admin_access": false, "enforce_tfa": false,
            }}),
        ),
        ..OperationDocs::new(
            "Policies",
            "readMyGlobals",
            "Read the flags of your own policies",
            "Whether a policy grants access to an administration app, or full access, and whether \
             one requires a second factor for such an app.",
        )
    }
}

fn permissions_docs() -> OperationDocs {
    OperationDocs {
        success: Success::json(
            "Permissions by collection and action.",
            schemas::data(schemas::reference("Rights")),
            json!({"data": {"messages": {
                "read": {"access": "full", "fields": ["*"]},
                "create": {"access": "full", "fields": ["*"]},
                "update": {"access": "partial", "fields": ["content"]},
                "delete": {"access": "partial", "fields": ["*"]},
                "share": {"access": "none"},
            }}}),
        ),
        ..OperationDocs::new(
            "Permissions",
            "readMyPermissions",
            "Read your own permissions",
            "For each collection and action: `full`, `partial` (only some items) or `none`, and \
             the allowed fields.",
        )
    }
}

fn collection_docs() -> OperationDocs {
    OperationDocs {
        parameters: vec![named_collection()],
        ..of_items_docs(
            "readMyCollectionPermissions",
            "Read your own permissions for a collection",
            "Whether you may update, delete and share at least one item of the collection. For a \
             collection with a single item, `update` also lists the fields and the presets.",
        )
    }
}

fn item_docs() -> OperationDocs {
    let id = MetaSchema::new("string");
    let id = parameters::path("id", id, "The key of the item.", json!("1"));
    OperationDocs {
        parameters: vec![named_collection(), id],
        ..of_items_docs(
            "readMyItemPermissions",
            "Read your own permissions for an item",
            "Whether you may update, delete and share the item. The response has the same form for \
             an item that does not exist.",
        )
    }
}

fn of_items_docs(
    id: &'static str,
    summary: &'static str,
    description: &'static str,
) -> OperationDocs {
    OperationDocs {
        success: Success::json(
            "Three permissions.",
            schemas::data(schemas::reference("ItemRights")),
            json!({"data": {
                "update": {"access": true}, "delete": {"access": true}, "share": {"access": false},
            }}),
        ),
        failures: vec![Error::Forbidden(Forbidden::Action)],
        ..OperationDocs::new("Permissions", id, summary, description)
    }
}

fn named_collection() -> MetaOperationParam {
    let name = MetaSchema::new("string");
    parameters::path("collection", name, "The name of the collection.", json!("messages"))
}
