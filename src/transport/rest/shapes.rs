//! Schemas of request and response bodies that belong to no collection.

use poem_openapi::registry::MetaSchema;
use poem_openapi::registry::MetaSchemaRef;
use serde_json::Value as Json;

use crate::transport::rest::query_schemas;
use crate::transport::rest::schemas::either;
use crate::transport::rest::schemas::inline;
use crate::transport::rest::schemas::list;
use crate::transport::rest::schemas::object;
use crate::transport::rest::schemas::reference;

/// Returns all of them, by name.
pub(super) fn fixed() -> impl Iterator<Item = (&'static str, MetaSchema)> {
    [
        of_items(),
        of_errors(),
        of_sign_in(),
        of_enrolment(),
        of_accounts(),
        of_rights(),
        of_server(),
        of_utilities(),
    ]
    .into_iter()
    .flatten()
}

type Shapes = Vec<(&'static str, MetaSchema)>;

fn of_items() -> Shapes {
    let key = either(inline(MetaSchema::new("integer")), inline(MetaSchema::new("string")));
    let item = open(MetaSchema::new("object"));
    let counts = object(
        &[],
        vec![
            ("total_count", number("All items that may be read.")),
            ("filter_count", number("The items that match `filter` and `search`.")),
        ],
    );
    let keys = || reference("Keys");
    vec![
        ("Item", about("An item of any collection.", item)),
        ("Keys", MetaSchema { items: Some(Box::new(key)), ..MetaSchema::new("array") }),
        ("Named", named(keys(), reference(query_schemas::ANY_SELECTION))),
        ("Changes", changes(keys(), reference(query_schemas::ANY_SELECTION), any())),
        ("Counts", counts),
    ]
}

/// A selection of items by keys or query.
pub(super) fn named(keys: MetaSchemaRef, query: MetaSchemaRef) -> MetaSchema {
    let either = object(&[], vec![("keys", keys), ("query", query)]);
    about("Selects items by exactly one of `keys` and `query`.", either)
}

/// A selection of items by keys or query, with their new values.
pub(super) fn changes(
    keys: MetaSchemaRef,
    query: MetaSchemaRef,
    data: MetaSchemaRef,
) -> MetaSchema {
    let changes = object(&["data"], vec![("keys", keys), ("query", query), ("data", data)]);
    about("Selects items by exactly one of `keys` and `query`, and sets values.", changes)
}

fn of_errors() -> Shapes {
    let extensions = open(object(&["code"], vec![("code", text("A code for programs."))]));
    let error = object(
        &["message", "extensions"],
        vec![("message", text("A message for users.")), ("extensions", inline(extensions))],
    );
    vec![
        ("Error", error),
        ("Errors", object(&["errors"], vec![("errors", list(reference("Error")))])),
    ]
}

fn of_sign_in() -> Shapes {
    let mode = || choice("Token transport; `json` by default.", &["json", "cookie", "session"]);
    let held = || object(&[], vec![("refresh_token", text("In `json` mode.")), ("mode", mode())]);
    let login = object(
        &["email", "password"],
        vec![
            ("email", text("The email address; case-insensitive.")),
            ("password", text("The password of the account.")),
            ("mode", mode()),
            ("otp", text("A one-time password, if the account has a second factor.")),
        ],
    );
    let tokens = object(
        &["expires"],
        vec![
            ("expires", number("The lifetime of the access token, in milliseconds.")),
            ("access_token", text("For `Authorization: Bearer …`; not in `session` mode.")),
            ("refresh_token", text("For `/auth/refresh`; in `json` mode only.")),
        ],
    );
    let provider = object(
        &["name", "label", "driver", "icon"],
        vec![
            ("name", text("For `/auth/login/{provider}`.")),
            ("label", text("The label of the sign-in button.")),
            ("driver", choice("The protocol.", &["openid", "oauth2"])),
            ("icon", text("The name of an icon.")),
        ],
    );
    let returned = object(
        &[],
        vec![
            ("code", text("The authorization code.")),
            ("state", text("The state of the authorization request.")),
            ("error", text("The error, if there is no code.")),
            ("iss", text("The issuer.")),
        ],
    );
    let providers = object(
        &["data", "disableDefault"],
        vec![("data", list(reference("Provider"))), ("disableDefault", flag())],
    );
    vec![
        ("Login", login),
        ("Refresh", held()),
        ("Logout", held()),
        ("Tokens", tokens),
        ("Provider", provider),
        ("ProviderAnswer", returned),
        ("Providers", providers),
    ]
}

fn of_enrolment() -> Shapes {
    let email = || ("email", text("The email address; case-insensitive."));
    let password = || ("password", text("The new password, used unchanged."));
    let page = |name| (name, text("A page of the front end that the settings allow."));
    let registration = object(
        &["email", "password"],
        vec![
            email(),
            password(),
            ("first_name", text("At most 255 characters.")),
            ("last_name", text("At most 255 characters.")),
            page("verification_url"),
        ],
    );
    let emails = either(inline(MetaSchema::new("string")), list(inline(MetaSchema::new("string"))));
    let invitation = object(
        &["email", "role"],
        vec![
            ("email", emails),
            ("role", text("The key of the role of the new accounts.")),
            page("invite_url"),
        ],
    );
    let proof = object(
        &["token", "password"],
        vec![("token", text("The token from the link in the email.")), password()],
    );
    vec![
        ("Registration", registration),
        ("Invitation", invitation),
        ("TokenAndPassword", proof),
        ("ResetRequest", object(&["email"], vec![email(), page("reset_url")])),
    ]
}

fn of_accounts() -> Shapes {
    let again = || ("password", text("The password of your own account, again."));
    let otp = || ("otp", text("A code from the authenticator app."));
    let secret = || ("secret", text("The secret, in base32."));
    let date = |description| {
        inline(MetaSchema {
            description: Some(description),
            ..MetaSchema::new_with_format("string", "date-time")
        })
    };
    let factor = object(
        &["secret", "otpauth_url"],
        vec![secret(), ("otpauth_url", text("The secret as a URL, for a QR code."))],
    );
    let nullable = |description| {
        inline(MetaSchema {
            description: Some(description),
            nullable: true,
            ..MetaSchema::new("string")
        })
    };
    let session = object(
        &["id", "mode", "date_created", "date_renewed", "expires", "current"],
        vec![
            ("id", inline(MetaSchema::new_with_format("string", "uuid"))),
            ("mode", choice("The token transport.", &["json", "cookie", "session"])),
            ("ip", nullable("The IP address at the sign-in.")),
            ("user_agent", nullable("The user agent at the sign-in.")),
            ("date_created", date("The time of the sign-in.")),
            ("date_renewed", date("The time of the last token refresh.")),
            ("expires", date("The time of expiry, unless the tokens are refreshed before.")),
            ("current", flag()),
        ],
    );
    let codes = list(inline(MetaSchema::new("string")));
    vec![
        ("PasswordAgain", object(&["password"], vec![again()])),
        (
            "FactorState",
            object(
                &["enabled", "recovery_codes_left"],
                vec![
                    ("enabled", flag()),
                    ("recovery_codes_left", inline(MetaSchema::new("integer"))),
                ],
            ),
        ),
        ("NewFactor", factor),
        ("FactorProof", object(&["secret", "otp"], vec![secret(), otp()])),
        ("Otp", object(&["otp"], vec![otp()])),
        ("RecoveryCodes", object(&["recovery_codes"], vec![("recovery_codes", codes)])),
        ("Session", session),
    ]
}

fn of_rights() -> Shapes {
    let globals = object(
        &["app_access", "admin_access", "enforce_tfa"],
        vec![("app_access", flag()), ("admin_access", flag()), ("enforce_tfa", flag())],
    );
    let right = object(
        &["access"],
        vec![
            ("access", choice("`partial`: only some items.", &["full", "partial", "none"])),
            ("fields", list(inline(MetaSchema::new("string")))),
        ],
    );
    let by_action = inline(map_of(reference("Right")));
    let fields = list(inline(MetaSchema::new("string")));
    let to_update = object(
        &["access"],
        vec![
            ("access", flag()),
            ("fields", fields),
            ("presets", inline(open(MetaSchema::new("object")))),
        ],
    );
    let yes_or_no = inline(object(&["access"], vec![("access", flag())]));
    let of_item = object(
        &["update", "delete", "share"],
        vec![("update", inline(to_update)), ("delete", yes_or_no.clone()), ("share", yes_or_no)],
    );
    vec![
        ("Globals", globals),
        ("Right", right),
        ("Rights", map_of(by_action)),
        ("ItemRights", of_item),
    ]
}

fn of_server() -> Shapes {
    let health = object(
        &["status"],
        vec![
            ("status", choice("The worst status of all checks.", &["ok", "warn", "error"])),
            ("releaseId", text("The version; for administrators.")),
            ("serviceId", text("The ID of this process; for administrators.")),
            ("checks", any()),
        ],
    );
    let info = object(
        &["project", "setupCompleted"],
        vec![
            ("project", any()),
            ("setupCompleted", flag()),
            ("version", text("The version; for signed-in accounts.")),
        ],
    );
    vec![("Health", health), ("Info", open(info)), ("OpenApi", open(MetaSchema::new("object")))]
}

fn of_utilities() -> Shapes {
    let check = object(
        &["string", "hash"],
        vec![("string", text("The text to compare.")), ("hash", text("The hash."))],
    );
    vec![
        ("HashInput", object(&["string"], vec![("string", text("The text to hash."))])),
        ("HashCheck", check),
    ]
}

fn text(description: &'static str) -> MetaSchemaRef {
    inline(MetaSchema { description: Some(description), ..MetaSchema::new("string") })
}

fn flag() -> MetaSchemaRef {
    inline(MetaSchema::new("boolean"))
}

fn number(description: &'static str) -> MetaSchemaRef {
    inline(MetaSchema {
        description: Some(description),
        ..MetaSchema::new_with_format("integer", "int64")
    })
}

fn choice(description: &'static str, values: &[&str]) -> MetaSchemaRef {
    inline(MetaSchema {
        description: Some(description),
        enum_items: values.iter().map(|value| Json::from(*value)).collect(),
        ..MetaSchema::new("string")
    })
}

/// Allows additional properties.
fn open(schema: MetaSchema) -> MetaSchema {
    MetaSchema { additional_properties: Some(Box::new(inline(MetaSchema::ANY))), ..schema }
}

fn any() -> MetaSchemaRef {
    inline(open(MetaSchema::new("object")))
}

/// A map from arbitrary names to values of one type.
fn map_of(values: MetaSchemaRef) -> MetaSchema {
    MetaSchema { additional_properties: Some(Box::new(values)), ..MetaSchema::new("object") }
}

fn about(description: &'static str, schema: MetaSchema) -> MetaSchema {
    MetaSchema { description: Some(description), ..schema }
}
