//! Limits of request bodies: size, nesting, and content type.

use std::io::Write;

use data_encoding::BASE64;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::Value as Json;
use serde_json::json;

use crate::support::{Answer, TestServer};

const LIMIT: usize = 64 * 1024;
/// A message, compressed by the reference implementation of Brotli.
const BROTLI: &str = "GyoA+B0JdkziNxRPDGUZ2l7p9LUIG8jblKQSfuqAC9oHqQ8B";

fn nested(depth: usize) -> Json {
    (1..depth).fold(json!([]), |inner, _| json!([inner]))
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_without_effect() {
    let server = TestServer::with(|config| {
        config.server.body_bytes_max = LIMIT;
        config.query.text_max = 10 * LIMIT;
    })
    .await;
    let alice = server.member("alice").await;
    let body = |bytes: usize| {
        let around = json!({"content": ""}).to_string().len();
        json!({"content": "x".repeat(bytes - around)}).to_string()
    };
    let post = async |body: String| {
        let request = alice.request("POST", "/items/messages");
        Answer::to(request.header("content-type", "application/json").body(body)).await
    };

    post(body(LIMIT)).await.ok();
    post(body(LIMIT + 1)).await.refused(413, "CONTENT_TOO_LARGE");
    post(body(20 * LIMIT)).await.refused(413, "CONTENT_TOO_LARGE");

    assert_eq!(alice.get("/items/messages?fields=id").await.ok(), json!([{"id": 1}]));
    server.stop().await;
}

#[tokio::test]
async fn json_nesting_is_limited_to_32_levels() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;

    // Including the object around it.
    alice.post("/items/messages", &json!({"content": nested(31)})).await.ok();
    for depth in [32, 1_000, 20_000] {
        let body = format!("{{\"content\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let request = alice.request("POST", "/items/messages");
        let request = request.header("content-type", "application/json").body(body);
        Answer::to(request).await.refused(400, "INVALID_PAYLOAD");
    }
    server.stop().await;
}

#[tokio::test]
async fn json_nesting_limit_is_configurable() {
    for most in [8, 40] {
        let server = TestServer::with(move |config| config.server.json_depth_max = most).await;
        let alice = server.member("alice").await;
        let post = async |depth: usize| {
            let body = json!({"content": nested(depth - 1)});
            alice.post("/items/messages", &body).await
        };
        // Nested empty lists as the operand of a test: invalid, but only after parsing.
        let get = async |depth: usize| {
            let filter = json!({"content": {"_eq": nested(depth - 2)}});
            alice.get(&format!("/items/messages?filter={filter}")).await
        };

        post(most).await.ok();
        post(most + 1).await.refused(400, "INVALID_PAYLOAD");
        let words = "nests more than";
        assert!(!get(most).await.text.contains(words));
        assert!(get(most + 1).await.text.contains(words));
        server.stop().await;
    }
}

#[tokio::test]
async fn unpaired_surrogates_become_replacement_characters() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;

    let request = alice.request("POST", "/items/messages");
    let body = "{\"content\":\"cut \\ud83d, whole \\ud83d\\ude00\"}";
    let request = request.header("content-type", "application/json").body(body);
    let created = Answer::to(request).await.ok();

    assert_eq!(created["content"], "cut \u{fffd}, whole \u{1f600}");
    server.stop().await;
}

#[tokio::test]
async fn malformed_json_and_scalar_bodies_are_refused() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;

    for body in
        ["{", "{\"content\":", "hello", "\"text\"", "5", "null", "{}{}", "{\"a\":\"\\ud80\"}"]
    {
        let request = alice.request("POST", "/items/messages");
        let request = request.header("content-type", "application/json; charset=utf-8").body(body);
        Answer::to(request).await.refused(400, "INVALID_PAYLOAD");
    }
    let request = alice.request("POST", "/items/messages");
    let request = request.header("content-type", "application/json").body(vec![b'"', 0xff, b'"']);
    Answer::to(request).await.refused(400, "INVALID_PAYLOAD");

    assert_eq!(alice.get("/items/messages").await.ok(), json!([]));
    server.stop().await;
}

const OTHER_TYPES: [&str; 3] =
    ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"];

#[tokio::test]
async fn item_writes_require_a_json_content_type() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let id = admin.say("here").await;
    let message = format!("/items/messages/{id}");
    let ways = [
        ("POST", "/items/messages", r#"{"content":"x"}"#),
        ("PATCH", &message, r#"{"content":"x"}"#),
        ("PATCH", "/items/messages", r#"[{"id":1,"content":"x"}]"#),
        ("POST", "/users", r#"{"email":"x@example.com"}"#),
        ("PATCH", "/users/me", r#"{"first_name":"x"}"#),
        ("PATCH", "/settings", r#"{"project_name":"x"}"#),
    ];
    let before = admin.get("/users?fields=id,first_name").await.ok();

    for (method, path, body) in ways {
        for content_type in OTHER_TYPES {
            let request = admin.request(method, path).header("content-type", content_type);
            let answer = Answer::to(request.body(body)).await;
            answer.refused(400, "INVALID_PAYLOAD");
            assert!(answer.message().contains(content_type), "{}", answer.text);
        }
        let answer = Answer::to(admin.request(method, path).body(body)).await;
        answer.refused(400, "INVALID_PAYLOAD");
        assert!(answer.message().contains("no Content-Type"), "{}", answer.text);
    }

    assert_eq!(
        admin.get("/items/messages?fields=content").await.ok(),
        json!([{"content": "here"}])
    );
    assert_eq!(admin.get("/users?fields=id,first_name").await.ok(), before);
    server.stop().await;
}

#[tokio::test]
async fn non_json_bodies_count_as_empty_without_require_content() {
    let server = TestServer::with(|config| config.query.require_content = false).await;
    let alice = server.member("alice").await;

    for content_type in OTHER_TYPES {
        let request = alice.request("POST", "/items/messages");
        let request = request.header("content-type", content_type).body("{\"content\":\"x\"}");
        assert_eq!(Answer::to(request).await.ok()["content"], Json::Null, "{content_type}");
    }
    assert_eq!(alice.send("POST", "/items/messages").await.ok()["content"], Json::Null);
    server.stop().await;
}

#[tokio::test]
async fn text_length_is_limited() {
    let server = TestServer::with(|config| config.query.text_max = 10).await;
    let alice = server.member("alice").await;

    alice.say("🎉".repeat(10).as_str()).await;
    let long = alice.post("/items/messages", &json!({"content": "x".repeat(11)})).await;

    long.refused(400, "VALUE_TOO_LONG");
    assert_eq!(long.body["errors"][0]["extensions"]["field"], "content");
    assert_eq!(alice.get("/items/messages?fields=id").await.ok(), json!([{"id": 1}]));
    server.stop().await;
}

#[tokio::test]
async fn a_byte_order_mark_before_json_is_skipped() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;

    for content_type in ["application/json", "application/json; charset=utf-8"] {
        let request = alice.request("POST", "/items/messages");
        let body = "\u{feff}{\"content\":\"\u{feff}hi\"}";
        let request = request.header("content-type", content_type).body(body);
        assert_eq!(Answer::to(request).await.ok()["content"], "\u{feff}hi", "{content_type}");
    }
    let request = alice.request("POST", "/items/messages");
    let request = request.header("content-type", "application/json").body("\u{feff}\u{feff}{}");
    Answer::to(request).await.refused(400, "INVALID_PAYLOAD");
    server.stop().await;
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_compressed_body_is_inflated() {
    let server = TestServer::start().await;
    let alice = server.member("alice").await;
    let post = async |coding: &str, body: Vec<u8>| {
        let request = alice.request("POST", "/items/messages");
        let request = request.header("content-type", "application/json");
        Answer::to(request.header("content-encoding", coding).body(body)).await
    };

    let text = br#"{"content":"hello hello hello hello hello"}"#;
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(text).unwrap();
    let marked = [b"\xef\xbb\xbf", &text[..]].concat();
    let brotli = BASE64.decode(BROTLI.as_bytes()).unwrap();
    for (coding, body) in [
        ("gzip", gzip(text)),
        ("X-GZIP", gzip(&marked)),
        ("deflate", zlib.finish().unwrap()),
        ("br", brotli),
        ("identity", text.to_vec()),
    ] {
        let created = post(coding, body).await.ok();
        assert_eq!(created["content"], "hello hello hello hello hello", "{coding}");
    }
    // One message for each encoding above, and none for the refused requests below.
    let refused = post("gzip", text.to_vec()).await;
    refused.refused(400, "INVALID_PAYLOAD");
    assert!(refused.message().contains("\"Content-Encoding\""), "{}", refused.message());
    post("gzip", gzip(text)[..20].to_vec()).await.refused(400, "INVALID_PAYLOAD");
    for coding in ["zstd", "gzip, gzip", "gzip, br", "compress"] {
        let refused = post(coding, gzip(text)).await;
        refused.refused(415, "UNSUPPORTED_MEDIA_TYPE");
        assert_eq!(refused.header("accept-encoding"), "gzip, deflate, br");
        assert!(refused.message().contains("\"Content-Encoding\""), "{}", refused.message());
    }
    let all = alice.get("/items/messages?aggregate[count]=*").await.ok();
    assert_eq!(all[0]["count"], 5, "{all}");
    server.stop().await;
}

#[tokio::test]
async fn the_body_limit_applies_after_decompression() {
    let server = TestServer::with(|config| {
        config.server.body_bytes_max = LIMIT;
        config.query.text_max = 10 * LIMIT;
    })
    .await;
    let alice = server.member("alice").await;
    let body = |bytes: usize| {
        let around = json!({"content": ""}).to_string().len();
        gzip(json!({"content": "x".repeat(bytes - around)}).to_string().as_bytes())
    };
    let post = async |body: Vec<u8>| {
        let request = alice.request("POST", "/items/messages").header("content-encoding", "gzip");
        Answer::to(request.header("content-type", "application/json").body(body)).await
    };

    post(body(LIMIT)).await.ok();
    post(body(LIMIT + 1)).await.refused(413, "CONTENT_TOO_LARGE");
    // A decompression bomb: a thousand times its compressed size.
    post(body(8 << 20)).await.refused(413, "CONTENT_TOO_LARGE");
    server.stop().await;
}
