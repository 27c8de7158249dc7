//! The operations of `/websocket`, and its frames for sign-in, typing and heartbeat.

use serde_json::json;

use crate::transport::asyncapi::document::Channel;
use crate::transport::asyncapi::items;
use crate::transport::asyncapi::message::From;
use crate::transport::asyncapi::message::Message;
use crate::transport::asyncapi::message::Operation;
use crate::transport::asyncapi::shapes::always;
use crate::transport::asyncapi::shapes::object;
use crate::transport::asyncapi::shapes::one_of;
use crate::transport::asyncapi::shapes::reference;
use crate::transport::asyncapi::shapes::refusal;
use crate::transport::asyncapi::shapes::request;
use crate::transport::asyncapi::subscriptions;

const ABOUT: &str = "The WebSocket protocol of Directus, unless `WEBSOCKETS_ENABLED` is false. \
`WEBSOCKETS_REST_AUTH` sets the permissions of a connection before the sign-in: those of the \
public (`public`), or none, with ten seconds to sign in (`handshake`). `strict` refuses \
connections without a token. The frames of a connection are processed and answered in order; \
events arrive in between, and `uid` links a response to its request. Frames of an unknown `type` \
are ignored. The server pings every connection at intervals of `WEBSOCKETS_HEARTBEAT_PERIOD`.";

/// Returns the description of `/websocket`.
pub(super) fn channel() -> Channel {
    let messages = [
        of_sign_in(),
        items::messages(),
        subscriptions::of_clients(),
        subscriptions::of_server(),
        of_typing(),
        of_life(),
    ]
    .into_iter()
    .flatten();
    Channel {
        name: "websocket",
        path: "/websocket",
        title: "Directus",
        about: ABOUT,
        messages: messages.collect(),
        operations: operations(),
    }
}

fn of_sign_in() -> Vec<Message> {
    let text = |about: &str| json!({"type": "string", "description": about});
    vec![
        Message::of_client(
            "signInWithPassword",
            "Sign in with a password",
            "Starts a session. A sign-in on an open connection replaces its account; the \
             subscriptions stay.",
            request(
                &["type", "email", "password"],
                json!({
                    "type": always("auth"),
                    "email": text("The email address of the account; case-insensitive."),
                    "password": text("The password of the account."),
                    "otp": text("A two-factor code, if the account has a second factor."),
                    "uid": reference("Uid"),
                }),
            ),
        ),
        Message::of_client(
            "signInWithRefreshToken",
            "Sign in with a refresh token",
            "Continues a session, and replaces its refresh token.",
            request(
                &["type", "refresh_token"],
                json!({
                    "type": always("auth"),
                    "refresh_token": reference("RefreshToken"),
                    "uid": reference("Uid"),
                }),
            ),
        ),
        Message::of_client(
            "signInWithToken",
            "Sign in with an access token",
            "Or with a static token. The sign-in lasts until the token expires.",
            request(
                &["type", "access_token"],
                json!({
                    "type": always("auth"),
                    "access_token": text("From `POST /auth/login`, or a static token."),
                    "uid": reference("Uid"),
                }),
            ),
        ),
        Message::of_client(
            "signOut",
            "Sign out",
            "Leaves the connection with the permissions of the public, or with none, and ends the \
             session if this connection started it. There is no response.",
            request(
                &["type", "action"],
                json!({
                    "type": always("auth"),
                    "action": always("logout"),
                    "uid": reference("Uid"),
                }),
            ),
        ),
        Message::of_server(
            "signedIn",
            "Signed in",
            "The response to a successful sign-in, with the next refresh token unless an access \
             token was used.",
            object(
                &["type", "status"],
                json!({
                    "type": always("auth"),
                    "status": always("ok"),
                    "uid": reference("Uid"),
                    "refresh_token": reference("RefreshToken"),
                }),
            ),
        ),
        Message::of_server(
            "notSignedIn",
            "Sign-in failed or ended",
            "`AUTH_FAILED`: a sign-in failed, or its credential was revoked. `TOKEN_EXPIRED`: sign \
             in again; the subscriptions wait for it. `AUTH_TIMEOUT`: no new sign-in arrived in \
             time. Unless the mode is `public`, `AUTH_FAILED` and `AUTH_TIMEOUT` close the \
             connection.",
            refusal(&always("auth")),
        ),
    ]
}

fn of_typing() -> Vec<Message> {
    vec![
        Message::of_client(
            "typing",
            "Start or stop typing",
            "Marks the user as typing or not typing, or subscribes to the list of typing users. \
             Repeat `start` while keys are pressed; it lasts for `TYPING_TIMEOUT`. Only refused \
             frames get a response. Not part of Directus.",
            request(
                &["type"],
                json!({
                    "type": always("typing"),
                    "action": one_of(
                        &["start", "stop", "subscribe", "unsubscribe"],
                        "`start` by default.",
                    ),
                    "uid": reference("Uid"),
                }),
            ),
        ),
        Message::of_server(
            "typists",
            "Typing users",
            "Sent to subscribers, at most once a second; replaces the previous list.",
            object(
                &["type", "data"],
                json!({
                    "type": always("typing"),
                    "data": reference("Names"),
                    "uid": reference("TextUid"),
                }),
            ),
        ),
    ]
}

fn of_life() -> Vec<Message> {
    let with_uid = |kind: &str| json!({"type": always(kind), "uid": reference("Uid")});
    vec![
        Message::of_client(
            "ping",
            "Ping",
            "Answered at once, after the responses to earlier frames.",
            request(&["type"], with_uid("ping")),
        ),
        Message::of_server(
            "pong",
            "Pong",
            "The response to a ping.",
            object(&["type"], with_uid("pong")),
        ),
        Message::of_server(
            "heartbeat",
            "Heartbeat ping",
            "Requires an answer: a connection that sends nothing until the next one is closed. \
             Before a sign-in the server sends a ping of the WebSocket protocol instead, which \
             browsers answer automatically.",
            object(&["type"], json!({"type": always("ping")})),
        ),
        Message::of_client(
            "heartbeatAnswer",
            "Heartbeat answer",
            "Also acknowledges all frames before the ping.",
            request(&["type"], json!({"type": always("pong")})),
        ),
    ]
}

fn operations() -> Vec<Operation> {
    vec![
        Operation {
            name: "signIn",
            title: "Signing in",
            about: "One frame with one kind of credentials.",
            from: From::Client,
            messages: &[
                "signInWithPassword",
                "signInWithRefreshToken",
                "signInWithToken",
                "signOut",
            ],
            replies: &["signedIn", "notSignedIn"],
        },
        Operation {
            name: "loseStanding",
            title: "End of a sign-in",
            about: "Sent when the token expires, the account is suspended, the password changes or \
                    the session ends.",
            from: From::Server,
            messages: &["notSignedIn"],
            replies: &[],
        },
        Operation {
            name: "changeItems",
            title: "Reading and changing items",
            about: "With the same rules as over REST.",
            from: From::Client,
            messages: &["createItems", "readItems", "updateItems", "deleteItems"],
            replies: &["items", "refused"],
        },
        Operation {
            name: "follow",
            title: "Subscribing",
            about: "To the changes of a collection, or of one of its items.",
            from: From::Client,
            messages: &["subscribe", "unsubscribe"],
            replies: &["subscriptionInit", "subscriptionEnded", "refused"],
        },
        Operation {
            name: "tellNews",
            title: "Events",
            about: "Sent for each subscription that matches the event.",
            from: From::Server,
            messages: &["subscriptionEvent", "subscriptionError"],
            replies: &[],
        },
        Operation {
            name: "noteTyping",
            title: "Typing users",
            about: "Not stored, and sent only to subscribers.",
            from: From::Client,
            messages: &["typing"],
            replies: &["typists", "refused"],
        },
        Operation {
            name: "askForLife",
            title: "Connection check",
            about: "For clients that test the connection.",
            from: From::Client,
            messages: &["ping"],
            replies: &["pong"],
        },
        Operation {
            name: "beat",
            title: "Heartbeat",
            about: "The server pings at intervals of `WEBSOCKETS_HEARTBEAT_PERIOD`.",
            from: From::Server,
            messages: &["heartbeat"],
            replies: &["heartbeatAnswer"],
        },
    ]
}
