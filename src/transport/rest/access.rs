//! The caller's rights: `/roles/me`, `/policies/me/globals`, `/permissions/me` and, for a
//! collection or one of its items, `/permissions/me/…`.

use std::collections::BTreeMap;

use poem::Response;
use poem_openapi::Object;
use poem_openapi::types::Any;
use serde_json::Value as Json;
use serde_json::json;

use crate::domain::items::Which;
use crate::domain::{Error, Forbidden};
use crate::model::Action;
use crate::model::schema::ROLES;
use crate::transport::rest::envelope;
use crate::transport::rest::items;
use crate::transport::rest::openapi;
use crate::transport::rest::openapi::docs::choice;
use crate::transport::rest::openapi::docs::formats;
use crate::transport::rest::openapi::docs::operations;
use crate::transport::rest::openapi::parameters;
use crate::transport::rest::openapi::parameters::parameter;
use crate::transport::rest::operation::{Need, Reply, RequestContext};

operations! {
    /// List your own roles
    ///
    /// The role of your account and its parent roles. Needs the permission to read roles.
    GET "/roles/me" => roles, SignedIn, "Roles", "readMyRoles"
        .about(&ROLES)
        .needing(Need::Right(Action::Read, Some(&ROLES)))
        .with(parameters::of_list(Some(&ROLES)))
        .exports()
        .returns_data("The roles.",
            openapi::list(openapi::reference_to(Some(&ROLES), "")),
            json!([openapi::example(&ROLES)]),
        )
        .fails([Error::collection(ROLES.name)]);

    /// Read the flags of your own policies
    ///
    /// Whether a policy grants access to an administration app, or full access, and whether
    /// one requires a second factor for such an app.
    GET "/policies/me/globals" => now globals, SignedIn, "Policies",
        "readMyGlobals"
        .returns::<Globals>(
            "Three flags.",
            json!({"app_access": false, "admin_access": false, "enforce_tfa": false}),
        );

    /// Read your own permissions
    ///
    /// For each collection and action: `full`, `partial` (only some items) or `none`, and
    /// the allowed fields.
    GET "/permissions/me" => now permissions, SignedIn, "Permissions",
        "readMyPermissions"
        .returns::<Rights>(
            "Permissions by collection and action.",
            json!({"messages": {
                "read": {"access": "full", "fields": ["*"]},
                "create": {"access": "full", "fields": ["*"]},
                "update": {"access": "partial", "fields": ["content"]},
                "delete": {"access": "partial", "fields": ["*"]},
                "share": {"access": "none"},
            }}),
        );

    /// Read your own permissions for a collection
    ///
    /// Whether you may update, delete and share at least one item of the collection. For a
    /// collection with a single item, `update` also lists the fields and the presets.
    GET "/permissions/me/{collection}" => item_permissions, Anyone, "Permissions",
        "readMyCollectionPermissions"
        .needing(Need::SignIn)
        .with([parameters::named("collection")])
        .returns::<ItemRights>(RETURNED, item_rights())
        .fails([Error::Forbidden(Forbidden::Action)]);

    /// Read your own permissions for an item
    ///
    /// Whether you may update, delete and share the item. The response has the same form for
    /// an item that does not exist.
    GET "/permissions/me/{collection}/{id}" => item_permissions, Anyone, "Permissions",
        "readMyItemPermissions"
        .needing(Need::SignIn)
        .with([
            parameters::named("collection"),
            parameter!(
                /// The key of the item.
                path "id": {"type": "string"} = "1"
            ),
        ])
        .returns::<ItemRights>(RETURNED, item_rights())
        .fails([Error::Forbidden(Forbidden::Action)]);
}

const RETURNED: &str = "Three permissions.";

fn item_rights() -> Json {
    json!({"update": {"access": true}, "delete": {"access": true}, "share": {"access": false}})
}

formats! {
    /// The extent of a right.
    Extent(String) = choice(&["full", "partial", "none"]);
}

#[derive(Object)]
struct Globals {
    app_access: bool,
    admin_access: bool,
    enforce_tfa: bool,
}

#[derive(Object)]
struct Right {
    /// `partial`: only some items.
    access: Extent,
    fields: Option<Vec<String>>,
}

#[derive(Object)]
struct Rights {
    #[oai(flatten)]
    collections: BTreeMap<String, BTreeMap<String, Right>>,
}

#[derive(Object)]
struct ItemRights {
    update: UpdateRight,
    delete: ItemRight,
    share: ItemRight,
}

#[derive(Object)]
struct UpdateRight {
    access: bool,
    fields: Option<Vec<String>>,
    presets: Option<BTreeMap<String, Any<Json>>>,
}

#[derive(Object)]
struct ItemRight {
    access: bool,
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
    envelope::value(&Globals {
        app_access: actor.app,
        admin_access: actor.admin,
        enforce_tfa: actor.enforce_tfa(),
    })
}

fn permissions(call: &RequestContext) -> Response {
    envelope::data(&call.context.services.permissions.summary(call.actor()))
}
