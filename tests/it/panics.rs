//! A handler that panics: its request is answered with 500, and other requests continue, also on
//! the same connection.

use std::sync::Arc;
use std::time::Duration;

use chinwag::app::App;
use chinwag::app::acceptor::{Acceptor, ConnectionLimits};
use chinwag::app::server::Server;
use chinwag::clock::Clock;
use chinwag::config::Config;
use chinwag::transport::Context;
use chinwag::transport::middleware::OuterMiddleware;
use poem::{Endpoint, IntoResponse, Request, Response};
use serde_json::Value as Json;
use tokio::net::TcpListener;

use crate::support::Client;
use crate::support::soon;

/// Panics at one path.
struct Fragile;

impl Endpoint for Fragile {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        assert_ne!(request.uri().path(), "/fragile", "for the test");
        Ok("whole".into_response())
    }
}

#[tokio::test]
async fn a_panicking_handler_returns_500_and_others_continue() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::for_tests();
    config.store.filename = Some(directory.path().join("chinwag.db"));
    let app = App::open(config.clone(), Clock::system()).await.unwrap();
    let context = Context::new(app.services().clone(), Arc::new(config.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(listener.local_addr().unwrap());
    let acceptor = Acceptor::new(listener, ConnectionLimits::of(&config.server)).unwrap();
    let server =
        Server::start(acceptor, OuterMiddleware::new(Fragile, context), Duration::from_secs(1));

    for _ in 0..3 {
        let broken = client.get("/fragile").await;
        let body: Json = serde_json::from_str(&broken.text).unwrap();
        assert_eq!(broken.status, 500);
        assert_eq!(body["errors"][0]["extensions"]["code"], "INTERNAL_SERVER_ERROR");
        assert!(!broken.text.contains("for the test"));
        assert_eq!(client.get("/anything").await.text, "whole");
    }

    server.stop_accepting();
    soon(server.drained()).await;
    soon(app.close()).await;
}
