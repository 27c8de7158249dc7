//! Invitations: created by accounts with permission to create accounts, accepted with the token in
//! the mail.

use std::time::Duration;

use serde_json::json;

use super::PASSWORD;
use super::accept;
use super::ask_reset;
use super::find;
use super::login;
use super::role;
use super::start;
use crate::support::Permission;

#[tokio::test]
async fn an_invited_user_sets_a_password_and_gets_the_role() {
    let (server, mut post) = start(|_| {}).await;
    let admin = server.admin().await;
    let member = role(&admin, "Member").await;

    let body =
        json!({"email": ["bob@example.com", "Bob@example.com", "eve@example.com"], "role": member});
    admin.post("/users/invite", &body).await.nothing();
    let mut mails = [post.mail().await, post.mail().await];
    mails.sort_by(|one, other| one.to.cmp(&other.to));
    let [bob, eve] = mails;

    assert_eq!((bob.to.as_str(), eve.to.as_str()), ("bob@example.com", "eve@example.com"));
    assert_eq!(bob.header("Subject"), "You are invited to chinwag");
    let page = "https://chat.example.com/admin/accept-invite?token=";
    assert!(bob.link().starts_with(page), "{}", bob.link());
    let account = find(&admin, "bob@example.com").await;
    assert_eq!((&account["status"], &account["role"]), (&json!("invited"), &member));
    login(&server, "bob@example.com", PASSWORD).await.unknown();
    // An invited account has no password to reset yet.
    ask_reset(&server, "bob@example.com").await.nothing();

    accept(&server, bob.token(), "password").await.refused(400, "FAILED_VALIDATION");
    accept(&server, bob.token(), PASSWORD).await.nothing();
    let token = login(&server, "bob@example.com", PASSWORD).await.ok()["access_token"].clone();
    server.anonymous().bearing(token.as_str().unwrap()).say("hello").await;
    accept(&server, bob.token(), "another password").await.refused(403, "FORBIDDEN");
    assert!(post.all_so_far(&server).await.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn repeated_invitations_send_a_link_except_to_active_accounts() {
    let (server, mut post) = start(|_| {}).await;
    let (admin, alice) = (server.admin().await, server.member("alice").await);
    let member = role(&admin, "Member").await;
    let administrator = role(&admin, "Administrator").await;
    let invite = async |email: &str, role: &serde_json::Value| {
        let body = json!({"email": email, "role": role});
        server.admin().await.post("/users/invite", &body).await.nothing();
    };

    invite("bob@example.com", &member).await;
    post.mail().await;
    server.clock.advance(Duration::from_hours(7 * 24));
    invite("bob@example.com", &administrator).await;
    let mail = post.mail().await;
    invite(&alice.email, &administrator).await;

    let admin = server.admin().await;
    assert_eq!(find(&admin, "bob@example.com").await["role"], administrator);
    assert_eq!(find(&admin, &alice.email).await["role"], member);
    assert!(post.all_so_far(&server).await.is_empty());
    accept(&server, mail.token(), PASSWORD).await.nothing();
    server.stop().await;
}

#[tokio::test]
async fn invitations_expire_and_can_be_revoked() {
    let (server, mut post) = start(|config| {
        config.links.invite_ttl = Duration::from_hours(1);
    })
    .await;
    let admin = server.admin().await;
    let member = role(&admin, "Member").await;
    let emails = json!(["bob@example.com", "eve@example.com"]);
    admin.post("/users/invite", &json!({"email": emails, "role": member})).await.nothing();
    let mails = [post.mail().await, post.mail().await];
    let of = |email: &str| mails.iter().find(|mail| mail.to == email).unwrap();

    let eve = find(&admin, "eve@example.com").await;
    admin.delete(&format!("/users/{}", eve["id"].as_str().unwrap())).await.nothing();
    accept(&server, of("eve@example.com").token(), PASSWORD).await.refused(403, "FORBIDDEN");
    server.clock.advance(Duration::from_hours(1));
    accept(&server, of("bob@example.com").token(), PASSWORD).await.refused(401, "TOKEN_EXPIRED");
    server.stop().await;
}

#[tokio::test]
async fn invitations_require_permission_and_cannot_escalate_privileges() {
    let (server, mut post) = start(|_| {}).await;
    let admin = server.admin().await;
    let member = role(&admin, "Member").await;
    let administrator = role(&admin, "Administrator").await;
    let host = server
        .user_with(
            "host",
            &[Permission::to("create", "directus_users").fields(&["email", "role", "status"])],
        )
        .await;
    let clerk = server
        .user_with(
            "clerk",
            &[Permission::to("create", "directus_users").fields(&["email", "role"])],
        )
        .await;
    let alice = server.member("alice").await;
    let body = |role: &serde_json::Value| json!({"email": "bob@example.com", "role": role});

    server.anonymous().post("/users/invite", &body(&member)).await.unknown();
    alice.post("/users/invite", &body(&member)).await.refused(403, "FORBIDDEN");
    clerk.post("/users/invite", &body(&member)).await.refused(403, "FORBIDDEN");
    host.post("/users/invite", &body(&administrator)).await.refused(403, "FORBIDDEN");
    assert_eq!(find(&admin, "bob@example.com").await, json!(null));
    assert!(post.all_so_far(&server).await.is_empty());

    host.post("/users/invite", &body(&member)).await.nothing();
    assert_eq!(post.mail().await.to, "bob@example.com");
    server.stop().await;
}

#[tokio::test]
async fn invalid_payloads_are_refused() {
    let (server, mut post) = start(|config| {
        config.links.invite_urls = vec!["https://chat.example.com/welcome".parse().unwrap()];
    })
    .await;
    let admin = server.admin().await;
    let member = role(&admin, "Member").await;
    let many: Vec<String> = (0..101).map(|number| format!("a{number}@example.com")).collect();

    for (body, status, code) in [
        (json!({}), 400, "INVALID_PAYLOAD"),
        (json!({"email": "bob@example.com"}), 400, "INVALID_PAYLOAD"),
        (json!({"email": "bob", "role": member}), 400, "INVALID_PAYLOAD"),
        (json!({"email": [], "role": member}), 400, "INVALID_PAYLOAD"),
        (json!({"email": ["a@b.c", 7], "role": member}), 400, "INVALID_PAYLOAD"),
        (json!({"email": "a@b.c", "role": "Member"}), 400, "INVALID_PAYLOAD"),
        (json!({"email": "a@b.c", "role": member, "status": "active"}), 400, "INVALID_PAYLOAD"),
        (
            json!({"email": "a@b.c", "role": member, "invite_url": "https://evil.example"}),
            400,
            "INVALID_PAYLOAD",
        ),
        (
            json!({"email": "a@b.c", "role": "00000000-0000-4000-8000-000000000000"}),
            400,
            "INVALID_FOREIGN_KEY",
        ),
        (json!({"email": many, "role": member}), 403, "LIMIT_EXCEEDED"),
    ] {
        let answer = admin.post("/users/invite", &body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{body}: {}", answer.text);
    }
    assert!(post.all_so_far(&server).await.is_empty());
    let url = "https://chat.example.com/welcome";
    let body = json!({"email": "bob@example.com", "role": member, "invite_url": url});
    admin.post("/users/invite", &body).await.nothing();
    assert!(post.mail().await.link().starts_with(&format!("{url}?token=")));
    server.stop().await;
}

#[tokio::test]
async fn an_invitation_is_recorded_in_the_activity_of_the_inviter() {
    let (server, mut post) = start(|_| {}).await;
    let admin = server.admin().await;
    let member = role(&admin, "Member").await;

    admin
        .post("/users/invite", &json!({"email": "bob@example.com", "role": member}))
        .await
        .nothing();
    post.mail().await;

    let bob = find(&admin, "bob@example.com").await;
    let lines =
        admin.get("/activity?filter[collection][_eq]=directus_users&sort=-timestamp").await.ok();
    let line = lines.as_array().unwrap().iter().find(|line| line["item"] == bob["id"]).unwrap();
    assert_eq!((&line["action"], &line["user"]), (&json!("create"), &json!(admin.id)));
    assert!(!lines.to_string().contains("chinwag_mails"));
    server.stop().await;
}
