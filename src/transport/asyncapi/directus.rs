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

const ABOUT: &str = "The socket of Directus, unless `WEBSOCKETS_ENABLED` is false. `WEBSOCKETS_REST_AUTH` says what a connection may do before \
it signs in: as much as the public (`public`), nothing, and it has ten seconds to sign in \
(`handshake`), or there is none without a token (`strict`). Frames of one \
connection are handled and answered in order; news comes in between, and `uid` tells what an answer \
belongs to. Frames of an unknown `type` are passed over. Every \
connection is asked for a sign of life each `WEBSOCKETS_HEARTBEAT_PERIOD`.";

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
            "Begins a session. A sign-in on an open connection makes it somebody else's; its \
             subscriptions stay.",
            request(
                &["type", "email", "password"],
                json!({
                    "type": always("auth"),
                    "email": text("The address of the account, in any case."),
                    "password": text("Its password."),
                    "otp": text("A code of the second factor, where the account has one."),
                    "uid": reference("Uid"),
                }),
            ),
        ),
        Message::of_client(
            "signInWithRefreshToken",
            "Sign in with a refresh token",
            "Goes on with a session, and replaces its refresh token.",
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
            "Or with a static token. Lasts as long as the token does.",
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
            "Makes the connection nobody's, or the public's, and ends the session if this connection \
             began it. There is no answer.",
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
            "The answer to a good sign-in, with the next refresh token unless it was an access token.",
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
            "Not signed in, or not any more",
            "`AUTH_FAILED`: a sign-in failed, or what it rested on has ended. `TOKEN_EXPIRED`: sign in \
             again, subscriptions wait for it. `AUTH_TIMEOUT`: that did not come in time. Where the \
             public has no socket the connection is closed then.",
            refusal(&always("auth")),
        ),
    ]
}

fn of_typing() -> Vec<Message> {
    vec![
        Message::of_client(
            "typing",
            "Say that one is writing",
            "Or that one is not, or ask to be told who is. To be repeated while keys are pressed; it \
             lasts for `TYPING_TIMEOUT`. There is no answer but to what is refused. Not part of \
             Directus.",
            request(
                &["type"],
                json!({
                    "type": always("typing"),
                    "action": one_of(
                        &["start", "stop", "subscribe", "unsubscribe"],
                        "`start` without it.",
                    ),
                    "uid": reference("Uid"),
                }),
            ),
        ),
        Message::of_server(
            "typists",
            "Who is writing",
            "To those who asked, at most once a second; takes the place of what was told before.",
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
            "Ask for a sign of life",
            "Answered at once, behind what was answered before.",
            request(&["type"], with_uid("ping")),
        ),
        Message::of_server(
            "pong",
            "A sign of life",
            "The answer.",
            object(&["type"], with_uid("pong")),
        ),
        Message::of_server(
            "heartbeat",
            "Are you there?",
            "To be answered; who says nothing at all until the next one is closed. Before a sign-in a \
             ping of the protocol is sent instead, which browsers answer by themselves.",
            object(&["type"], json!({"type": always("ping")})),
        ),
        Message::of_client(
            "heartbeatAnswer",
            "Yes",
            "Also says that everything before the question has arrived.",
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
            title: "A sign-in that ends",
            about: "Told when it happens: expiry, a suspension, another password, a session that ends.",
            from: From::Server,
            messages: &["notSignedIn"],
            replies: &[],
        },
        Operation {
            name: "changeItems",
            title: "Reading and changing items",
            about: "As over REST, by the same rules.",
            from: From::Client,
            messages: &["createItems", "readItems", "updateItems", "deleteItems"],
            replies: &["items", "refused"],
        },
        Operation {
            name: "follow",
            title: "Subscribing",
            about: "To what happens to the items of a collection, or to one of them.",
            from: From::Client,
            messages: &["subscribe", "unsubscribe"],
            replies: &["subscriptionInit", "subscriptionEnded", "refused"],
        },
        Operation {
            name: "tellNews",
            title: "News",
            about: "For each subscription that an event fits.",
            from: From::Server,
            messages: &["subscriptionEvent", "subscriptionError"],
            replies: &[],
        },
        Operation {
            name: "noteTyping",
            title: "Who is writing",
            about: "Never stored, and told to those alone who ask.",
            from: From::Client,
            messages: &["typing"],
            replies: &["typists", "refused"],
        },
        Operation {
            name: "askForLife",
            title: "Is the server there?",
            about: "For clients that want to know.",
            from: From::Client,
            messages: &["ping"],
            replies: &["pong"],
        },
        Operation {
            name: "beat",
            title: "Heartbeat",
            about: "The server asks every `WEBSOCKETS_HEARTBEAT_PERIOD`.",
            from: From::Server,
            messages: &["heartbeat"],
            replies: &["heartbeatAnswer"],
        },
    ]
}
