//! Clients that reconnect before they have signed in: the SDK repeats its subscriptions at once,
//! and the page signs in a moment later.

use serde_json::Value as Json;
use serde_json::json;

use crate::directus::recover::{PAGE, Page};
use crate::support::{Permission, Socket, TestServer, User};

/// Starts a server where the public may read messages that begin with "open".
async fn partly_open() -> TestServer {
    let server = TestServer::start().await;
    let open = json!({"content": {"_starts_with": "open"}});
    server.allow_public(&[Permission::to("read", "messages").on(open)]).await;
    server
}

fn ask(resume: &Json) -> Json {
    let mut frame = json!({"type": "subscribe", "collection": "messages", "event": "create",
        "uid": "chat", "query": {"fields": ["content"]}});
    frame.as_object_mut().unwrap().extend(resume.as_object().unwrap().clone());
    frame
}

async fn visitor(server: &TestServer) -> Page {
    Page { socket: Socket::connect(server).await }
}

impl Page {
    /// Sends a subscription, and returns its first frame.
    async fn begins(&mut self, resume: &Json) -> Json {
        self.socket.send(&ask(resume)).await;
        let init = self.next().await;
        assert_eq!(init["event"], "init", "{init}");
        init
    }

    /// Signs in, and returns the replayed events that arrive before the response.
    async fn signs_in(&mut self, user: &User) -> Vec<String> {
        self.socket.send(&json!({"type": "auth", "access_token": user.token})).await;
        let mut told = Vec::new();
        loop {
            let frame = self.next().await;
            if frame["type"] == "auth" {
                assert_eq!(frame["status"], "ok", "{frame}");
                return told;
            }
            assert_eq!(frame["replayed"], true, "{frame}");
            told.push(frame["data"][0]["content"].as_str().unwrap().to_owned());
        }
    }

    /// Receives a new message, and acknowledges it.
    async fn sees_and_confirms(&mut self, user: &User, content: &str) {
        user.say(content).await;
        assert!(!self.sees(content).await);
        self.confirm().await;
    }

    /// Signs in, and expects exactly these missed messages.
    async fn signs_in_and_is_told(&mut self, user: &User, missed: &[&str]) {
        let mut told = self.signs_in(user).await;
        while told.len() < missed.len() {
            let frame = self.next().await;
            assert_eq!(frame["replayed"], true, "{frame}");
            told.push(frame["data"][0]["content"].as_str().unwrap().to_owned());
        }
        assert_eq!(told, missed);
        self.quiet().await;
    }
}

/// Acknowledges everything up to now as a page of Alice's, and returns the resume fields for its
/// next connection.
async fn left_page(server: &TestServer, alice: &User, resume: &str) -> Json {
    let mut page = Page::signed_in(server, alice).await;
    let init = page.begins(&json!({"recover": PAGE, "since": ""})).await;
    page.confirm().await;
    if resume == "recover" { json!({"recover": PAGE}) } else { json!({"since": init["cursor"]}) }
}

async fn says(user: &User, contents: &[&str]) {
    for content in contents {
        user.say(content).await;
    }
}

#[tokio::test]
async fn signing_in_replays_events_hidden_from_the_public() {
    for resume in ["recover", "since"] {
        let server = partly_open().await;
        let alice = server.member("alice").await;
        let resume = left_page(&server, &alice, resume).await;
        says(&alice, &["members 1", "open 2", "members 3"]).await;

        // The SDK sends each subscription twice.
        let mut page = visitor(&server).await;
        assert_eq!(page.begins(&resume).await["recovered"], true);
        assert!(page.sees("open 2").await);
        assert_eq!(page.begins(&resume).await["recovered"], true);
        says(&alice, &["members 4", "open 5"]).await;
        page.sees("open 5").await;
        page.signs_in_and_is_told(&alice, &["members 1", "members 3", "members 4"]).await;

        assert_eq!(page.begins(&resume).await["recovered"], true);
        says(&alice, &["members 6"]).await;
        assert!(!page.sees("members 6").await);
        page.quiet().await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_sign_in_during_a_public_replay_loses_no_event() {
    let server = partly_open().await;
    let alice = server.member("alice").await;
    let since = left_page(&server, &alice, "since").await;
    let mut contents: Vec<String> = (0..300).map(|number| format!("members {number}")).collect();
    contents.extend((0..300).map(|number| format!("open {number}")));
    for content in &contents {
        alice.say(content).await;
    }

    let mut page = visitor(&server).await;
    page.socket.send(&ask(&since)).await;
    page.socket.send(&json!({"type": "auth", "access_token": alice.token})).await;
    let mut told = Vec::new();
    while told.len() < contents.len() {
        let frame = page.next().await;
        if let Some(content) = frame["data"][0]["content"].as_str() {
            assert_eq!(frame["replayed"], true, "{frame}");
            told.push(content.to_owned());
        }
    }

    told.sort();
    contents.sort();
    assert_eq!(told, contents);
    server.stop().await;
}

#[tokio::test]
async fn a_partial_public_view_does_not_advance_the_account_position() {
    let server = partly_open().await;
    let alice = server.member("alice").await;
    let recover = left_page(&server, &alice, "recover").await;
    says(&alice, &["members 1", "open 2"]).await;

    // The page reconnects, is disconnected and reconnects, before it signs in.
    let mut page = visitor(&server).await;
    page.begins(&recover).await;
    assert!(page.sees("open 2").await);
    page.confirm_unseen().await;
    drop(page);
    let server = server.restart().await;
    let alice = server.signed_in_again(&alice);
    says(&alice, &["open 3"]).await;
    let mut page = visitor(&server).await;
    assert_eq!(page.begins(&recover).await["recovered"], true);
    assert!(page.sees("open 3").await);

    // An event that was sent on the previous connection is sent again, marked as replayed.
    page.signs_in_and_is_told(&alice, &["members 1", "open 2"]).await;
    server.stop().await;
}

#[tokio::test]
async fn signing_in_again_resumes_at_the_account_position() {
    let server = partly_open().await;
    let alice = server.member("alice").await;
    let recover = left_page(&server, &alice, "recover").await;
    let mut page = visitor(&server).await;
    page.begins(&recover).await;
    says(&alice, &["members 1"]).await;
    page.signs_in_and_is_told(&alice, &["members 1"]).await;
    page.sees_and_confirms(&alice, "members, live").await;

    page.socket.send(&json!({"type": "auth", "action": "logout"})).await;
    page.quiet().await;
    says(&alice, &["members 2", "open 3"]).await;
    page.sees("open 3").await;
    page.signs_in_and_is_told(&alice, &["members 2"]).await;
    server.stop().await;
}

#[tokio::test]
async fn accounts_of_one_page_keep_separate_positions() {
    let server = partly_open().await;
    let alice = server.member("alice").await;
    let rule = json!({"content": {"_contains": "bob"}});
    let bob = server.user_with("bob", &[Permission::to("read", "messages").on(rule)]).await;
    let recover = left_page(&server, &alice, "recover").await;
    says(&alice, &["members 1", "members and bob 2", "open 3"]).await;

    let mut page = visitor(&server).await;
    page.begins(&recover).await;
    assert!(page.sees("open 3").await);
    page.signs_in_and_is_told(&bob, &["members and bob 2"]).await;
    page.sees_and_confirms(&alice, "bob, live").await;
    drop(page);

    let mut page = Page::signed_in(&server, &alice).await;
    assert_eq!(page.begins(&recover).await["recovered"], true);
    for content in ["members 1", "members and bob 2", "open 3", "bob, live"] {
        assert!(page.sees(content).await);
    }
    page.quiet().await;
    server.stop().await;
}

#[tokio::test]
async fn signing_in_resumes_a_short_key_at_the_account_position() {
    let server = partly_open().await;
    let alice = server.member("alice").await;
    let mut page = Page::signed_in(&server, &alice).await;
    page.begins(&json!({"recover": "page"})).await;
    drop(page);
    says(&alice, &["members 1"]).await;

    let mut page = visitor(&server).await;
    assert_eq!(page.begins(&json!({"recover": "page"})).await["recovered"], false);
    says(&alice, &["members 2", "open 3"]).await;
    page.sees("open 3").await;

    page.signs_in_and_is_told(&alice, &["members 1", "members 2"]).await;
    server.stop().await;
}

#[tokio::test]
async fn a_full_public_view_advances_every_account_position() {
    let server = TestServer::start().await;
    server.allow_public(&[Permission::to("read", "messages")]).await;
    let alice = server.member("alice").await;
    let recover = left_page(&server, &alice, "recover").await;
    says(&alice, &["one"]).await;
    let mut page = visitor(&server).await;
    page.begins(&recover).await;
    assert!(page.sees("one").await);
    page.confirm_unseen().await;
    drop(page);

    let mut page = visitor(&server).await;
    assert_eq!(page.begins(&recover).await["recovered"], true);
    says(&alice, &["two"]).await;
    page.sees("two").await;
    page.signs_in_and_is_told(&alice, &[]).await;
    server.stop().await;
}

#[tokio::test]
async fn a_new_cursor_or_new_permissions_restart_the_replay() {
    let server = partly_open().await;
    let admin = server.admin().await;
    let alice = server.member("alice").await;
    let open = json!({"content": {"_starts_with": "open"}});
    let reader = server.user_with("reader", &[Permission::to("read", "messages").on(open)]).await;
    let first = left_page(&server, &alice, "since").await;
    let mut page = Page::signed_in(&server, &alice).await;
    page.begins(&first).await;
    says(&alice, &["members 1", "open 2"]).await;
    let frame = page.next().await;
    let second = json!({"since": frame["cursor"]});
    assert!(!page.sees("open 2").await);

    page.begins(&second).await;
    assert!(page.sees("open 2").await);
    page.begins(&first).await;
    assert!(page.sees("members 1").await);
    assert!(page.sees("open 2").await);
    page.begins(&first).await;
    page.quiet().await;

    // Permissions granted since then show more items.
    let permissions = "/permissions?filter[collection][_eq]=messages&sort=-id&limit=1";
    let permission = format!("/permissions/{}", admin.get(permissions).await.ok()[0]["id"]);
    let mut page = Page::signed_in(&server, &reader).await;
    page.begins(&first).await;
    assert!(page.sees("open 2").await);
    admin.patch(&permission, &json!({"permissions": null})).await.ok();
    page.begins(&first).await;
    assert!(page.sees("members 1").await);
    assert!(page.sees("open 2").await);
    page.quiet().await;
    server.stop().await;
}
