//! Policies restricted to certain IP addresses, and trust in proxies that report these addresses.

use chinwag::config::TrustProxy;
use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Answer, Client, Permission, Socket, TestServer, User};

const NEAR: &str = "127.0.0.1";
const FAR: &str = "203.0.113.7";

/// Returns a server behind a trusted proxy, and an account that may read messages from certain
/// addresses only.
async fn behind_a_proxy(trust: TrustProxy) -> (TestServer, User, User, Json) {
    let server = TestServer::with(|config| config.server.trust_proxy = trust).await;
    let admin = server.admin().await;
    let guest = server.user_with("guest", &[]).await;
    let policy = admin.policy("at home", &[Permission::to("read", "messages")]).await;
    let home = json!({"ip_access": [FAR, "10.0.0.0/8", "198.51.100.1-198.51.100.9"]});
    admin.patch(&format!("/policies/{}", policy.as_str().unwrap()), &home).await.ok();
    admin.post("/access", &json!({"user": guest.id, "policy": policy})).await.ok();
    admin.say("hello").await;
    (server, admin, guest, policy)
}

async fn from(client: &Client, address: &str) -> Answer {
    let request = client.request("GET", "/items/messages").header("x-forwarded-for", address);
    Answer::to(request).await
}

async fn socket_from(server: &TestServer, address: &str) -> Socket {
    let mut request = Socket::request(server, "");
    request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
    Socket::open(request).await.unwrap()
}

const READ: fn() -> Json = || json!({"type": "items", "collection": "messages", "action": "read"});

#[tokio::test]
async fn ip_restricted_policies_are_evaluated_for_each_request() {
    let (server, _, guest, _) = behind_a_proxy(TrustProxy::Hops(1)).await;

    // The same account, token and query, one after the other.
    for (address, may) in [
        (FAR, true),
        (NEAR, false),
        ("10.9.9.9", true),
        ("198.51.100.9", true),
        ("198.51.100.10", false),
        ("::ffff:203.0.113.7", true),
        ("203.0.113.7, 1.2.3.4", false),
        ("nonsense", false),
        (FAR, true),
    ] {
        let answer = from(&guest, address).await;
        if may {
            assert_eq!(answer.ok()[0]["content"], "hello", "{address}");
        } else {
            answer.refused(403, "FORBIDDEN");
        }
    }
    guest.get("/items/messages").await.refused(403, "FORBIDDEN");
    server.stop().await;
}

#[tokio::test]
async fn a_socket_keeps_the_ip_address_of_its_upgrade() {
    let (server, admin, guest, policy) = behind_a_proxy(TrustProxy::Hops(1)).await;
    let (mut near, mut far) = (Socket::connect(&server).await, socket_from(&server, FAR).await);

    for socket in [&mut near, &mut far] {
        socket.auth(&guest).await;
    }

    assert_eq!(near.ask(&READ()).await["error"]["code"], "FORBIDDEN");
    assert_eq!(far.ask(&READ()).await["data"][0]["content"], "hello");
    assert_eq!(near.subscribe("s", json!({})).await["error"]["code"], "FORBIDDEN");
    assert_eq!(far.subscribe("s", json!({})).await["event"], "init");

    // Permissions that are computed again still depend on the address.
    let policy = format!("/policies/{}", policy.as_str().unwrap());
    admin.patch(&policy, &json!({"ip_access": [NEAR]})).await.ok();
    assert_eq!(near.ask(&READ()).await["data"][0]["content"], "hello");
    let ended = far.next().await;
    assert_eq!((&ended["type"], &ended["event"]), (&json!("subscription"), &json!("error")));
    assert_eq!(far.ask(&READ()).await["error"]["code"], "FORBIDDEN");
    server.stop().await;
}

#[tokio::test]
async fn forwarded_addresses_count_only_from_trusted_proxies() {
    for (trust, may) in [
        (TrustProxy::None, false),
        (TrustProxy::Networks(vec!["192.0.2.0/24".parse().unwrap()]), false),
        (TrustProxy::Networks(vec!["127.0.0.0/8".parse().unwrap()]), true),
        (TrustProxy::All, true),
    ] {
        let (server, _, guest, _) = behind_a_proxy(trust.clone()).await;

        let status = from(&guest, FAR).await.status;
        let mut socket = socket_from(&server, FAR).await;
        socket.auth(&guest).await;
        let heard = socket.ask(&READ()).await["error"]["code"].is_null();

        assert_eq!((status == 200, heard), (may, may), "{trust:?}");
        server.stop().await;
    }
}

#[tokio::test]
async fn admin_and_public_policies_respect_ip_restrictions() {
    let (server, admin, guest, policy) = behind_a_proxy(TrustProxy::Hops(1)).await;
    let path = format!("/policies/{}", policy.as_str().unwrap());
    admin.patch(&path, &json!({"admin_access": true, "enforce_tfa": true})).await.ok();
    let globals = async |address: &str| {
        let request = guest.request("GET", "/policies/me/globals");
        Answer::to(request.header("x-forwarded-for", address)).await.ok()
    };

    let everything = json!({"app_access": true, "admin_access": true, "enforce_tfa": true});
    assert_eq!(globals(FAR).await, everything);
    let nothing = json!({"app_access": false, "admin_access": false, "enforce_tfa": false});
    assert_eq!(globals(NEAR).await, nothing);
    let request = |address: &str| guest.request("GET", "/users").header("x-forwarded-for", address);
    Answer::to(request(FAR)).await.ok();
    Answer::to(request(NEAR)).await.refused(403, "FORBIDDEN");

    server.allow_public(&[Permission::to("read", "messages")]).await;
    let public = "/access?filter[role][_null]=true&filter[user][_null]=true&fields=policy";
    let public = admin.get(public).await.ok()[0]["policy"].clone();
    let near = json!({"ip_access": NEAR});
    admin.patch(&format!("/policies/{}", public.as_str().unwrap()), &near).await.ok();
    from(&server.anonymous(), FAR).await.refused(403, "FORBIDDEN");
    from(&server.anonymous(), NEAR).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn invalid_ip_addresses_are_refused() {
    let server = TestServer::start().await;
    let admin = server.admin().await;

    for nonsense in [json!(["home"]), json!("10.0.0.0/33"), json!([5]), json!({"a": "10.0.0.1"})] {
        let policy = json!({"name": "x", "ip_access": nonsense});
        let refused = admin.post("/policies", &policy).await;
        refused.refused(400, "INVALID_PAYLOAD");
        // A value that is not a list of texts is refused as such, before its contents are checked.
        let texts = ["\"ip_access\" takes addresses", "\"ip_access\" must be a list of strings"];
        assert!(texts.iter().any(|text| refused.message().contains(text)), "{}", refused.text);
    }
    for fine in [json!(null), json!([]), json!("10.0.0.1,10.0.0.2"), json!(["::1", "fd00::/8"])] {
        admin.post("/policies", &json!({"name": "x", "ip_access": fine})).await.ok();
    }
    server.stop().await;
}
