//! `/utils/hash`: any client may request hashes, which must not delay others.

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{ADMIN, TestServer};

/// "password", with the cost parameters of Directus.
const HASH: &str = "$argon2id$v=19$m=65536,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg\
                    $uKZLaN6muIyoyIYr5waqw3y+zaDbe9aLSPj6Ln/rbz4";

#[tokio::test]
async fn hashes_are_generated_and_verified() {
    let server = TestServer::start().await;
    let nobody = server.anonymous();

    let own = nobody.post("/utils/hash/generate", &json!({"string": "password"})).await.ok();
    for hash in [&own, &json!(HASH)] {
        for (string, fits) in [("password", true), ("passw0rd", false)] {
            let check = json!({"string": string, "hash": hash});
            assert_eq!(nobody.post("/utils/hash/verify", &check).await.ok(), fits, "{check}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn expensive_hashes_are_not_verified() {
    let server = TestServer::start().await;
    let nobody = server.anonymous();

    for hash in [
        HASH.replace("m=65536", "m=65537"),
        HASH.replace("t=3", "t=4"),
        HASH.replace("p=4", "p=5"),
        HASH.replace("m=65536,t=3,p=4", "m=262144,t=16,p=16"),
        "$argon2id$".to_owned(),
        "password".to_owned(),
    ] {
        let check = json!({"string": "password", "hash": hash});
        nobody.post("/utils/hash/verify", &check).await.refused(400, "INVALID_PAYLOAD");
    }
    server.stop().await;
}

#[tokio::test]
async fn hash_verification_does_not_block_sign_in() {
    let server = TestServer::start().await;
    let nobody = server.anonymous();
    let mut checks = JoinSet::new();
    for _ in 0..150 {
        let nobody = nobody.clone();
        checks.spawn(async move {
            let check = json!({"string": "password", "hash": HASH});
            nobody.post("/utils/hash/verify", &check).await.status
        });
    }
    // The first response may belong to a check that was accepted.
    while checks.join_next().await.unwrap().unwrap() != 503 {}

    let (email, password) = ADMIN;
    let sign_in = json!({"email": email, "password": password});
    nobody.post("/auth/login", &sign_in).await.ok();

    assert!(!checks.is_empty(), "hashes are still being checked");
    checks.shutdown().await;
    server.stop().await;
}
