//! `/server`: ping, server info and API descriptions. `health` has the health check.

use std::collections::BTreeMap;

use poem::Response;
use poem_openapi::Object;
use poem_openapi::types::Any;
use serde_json::Value as Json;
use serde_json::json;

use crate::config::{Config, RateLimit, WebSocketAuth};
use crate::domain::settings::InForce;
use crate::model::schema::settings;
use crate::transport::docs;
use crate::transport::rest::envelope;
use crate::transport::rest::openapi::docs::Content;
use crate::transport::rest::openapi::docs::operations;
use crate::transport::rest::operation::{Reply, RequestContext};

operations! {
    /// Ping the server
    ///
    /// Needs no sign-in; tokens are ignored.
    GET "/server/ping" => now ping, Open, TAG, "ping"
        .returns_content(
            "The server is available.",
            Content { media_type: "text/html", ..Content::of::<String>(json!("pong")) },
        );

    /// Read server information
    ///
    /// The name of the project, and the limits of requests.
    GET "/server/info" => info, Optional, TAG, "info"
        .returns::<Info>(
            "The project and, for signed-in accounts, the limits, the WebSocket and the version.",
            json!({
                "project": {"project_name": "chinwag", "public_registration": false},
                "setupCompleted": true,
                "rateLimit": {"points": 1000, "duration": 1},
                "rateLimitGlobal": false,
                "queryLimit": {"default": 100, "max": 10000},
                "websocket": {
                    "rest": {"authentication": "public", "path": "/websocket"},
                    "graphql": false,
                    "heartbeat": 30,
                },
            }),
        );

    /// Read the OpenAPI document
    ///
    /// Reduced to the permissions of the caller: operations, collections and fields. The
    /// complete document is at `/openapi.json`.
    GET "/server/specs/oas" => specification, Anyone, TAG, "readSpecification"
        .returns_content(
            "The document, without an envelope.",
            Content::of::<OpenApi>(json!({
                "openapi": "3.0.0", "info": {"title": "chinwag", "version": "1"}, "paths": {},
            })),
        );
}

const TAG: &str = "Server";

type Members = BTreeMap<String, Any<Json>>;

#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct Info {
    project: Members,
    setup_completed: bool,
    /// The version; for signed-in accounts.
    version: Option<String>,
    #[oai(flatten)]
    others: Members,
}

#[derive(Object)]
struct OpenApi {
    #[oai(flatten)]
    members: Members,
}

fn ping(_: &RequestContext) -> Response {
    Response::builder().content_type("text/html; charset=utf-8").body("pong")
}

async fn info(call: RequestContext) -> Reply {
    let config = &call.context.config;
    let settings = call.context.services.settings.in_force().await?;
    let mut info = public_info(config, &settings);
    if call.actor().user.is_some() {
        add_details(&mut info, config);
    }
    Ok(envelope::data(&info))
}

fn public_info(config: &Config, settings: &InForce) -> Json {
    json!({
        "project": {
            "project_name": settings.text(&settings::project_name)
                .unwrap_or(&config.server.project_name),
            "project_descriptor": settings.text(&settings::project_descriptor),
            "project_logo": null,
            "project_color": settings.text(&settings::project_color),
            "default_language": settings.text(&settings::default_language),
            "default_appearance": settings.text(&settings::default_appearance),
            "public_note": settings.text(&settings::public_note),
            "public_registration": settings.public_registration(),
            "public_registration_verify_email": settings.public_registration_verify_email(),
        },
        "setupCompleted": true,
    })
}

fn add_details(info: &mut Json, config: &Config) {
    let sockets = &config.websockets;
    info["rateLimit"] = rate(config.limits.per_address);
    info["rateLimitGlobal"] = rate(config.limits.global);
    info["queryLimit"] = json!({
        "default": config.query.limit_default,
        "max": config.query.limit_max.map_or(json!(-1), Json::from),
    });
    info["websocket"] = if sockets.enabled {
        let authentication = match sockets.auth {
            WebSocketAuth::Public => "public",
            WebSocketAuth::Handshake => "handshake",
            WebSocketAuth::Strict => "strict",
        };
        let heartbeat = if sockets.heartbeat {
            json!(sockets.heartbeat_period.as_secs())
        } else {
            json!(false)
        };
        json!({
            "rest": {"authentication": authentication, "path": "/websocket"},
            "graphql": false,
            "heartbeat": heartbeat,
        })
    } else {
        json!(false)
    };
    info["version"] = json!(env!("CARGO_PKG_VERSION"));
}

/// Returns a rate limit in Directus's format, with the period in seconds; false if there is none.
fn rate(limit: Option<RateLimit>) -> Json {
    let Some(RateLimit { points, duration }) = limit else { return json!(false) };
    let seconds = if duration.subsec_nanos() == 0 {
        json!(duration.as_secs())
    } else {
        json!(duration.as_secs_f64())
    };
    json!({"points": points, "duration": seconds})
}

async fn specification(call: RequestContext) -> Reply {
    let rights = call.context.services.permissions.rights(call.actor());
    let document = docs::document_for(rights).await?;
    Ok(Response::builder().content_type(envelope::JSON).body(document))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_signed_in_users_see_the_socket_path() {
        let config = Config::for_tests();

        let mut info = public_info(&config, &InForce::default());
        assert!(info.get("websocket").is_none());
        assert!(info.get("version").is_none());
        assert_eq!(info["project"]["project_name"], config.server.project_name.as_str());

        add_details(&mut info, &config);
        assert_eq!(info["websocket"]["rest"]["path"], "/websocket");
        assert_eq!(info["queryLimit"]["default"], 100);
    }

    #[test]
    fn a_rate_is_in_seconds_and_false_if_unset() {
        let quota = |points, millis| {
            let points = NonZeroU32::new(points).unwrap();
            Some(RateLimit { points, duration: Duration::from_millis(millis) })
        };

        assert_eq!(rate(None), json!(false));
        assert_eq!(rate(quota(50, 60_000)), json!({"points": 50, "duration": 60}));
        assert_eq!(rate(quota(5, 500)), json!({"points": 5, "duration": 0.5}));
    }
}
