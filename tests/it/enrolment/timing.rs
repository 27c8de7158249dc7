//! Response times do not reveal whether an account exists.

use std::time::{Duration, Instant};

use chinwag::model::id;
use serde_json::Value as Json;
use serde_json::json;

use super::PASSWORD;
use super::set;
use super::start;
use crate::support::TestServer;

/// The stall of registrations and reset requests in this test. It is longer than the work of
/// either, so that the test measures the stall and not the machine.
const STEP: Duration = Duration::from_millis(250);
/// Number of pairs per measurement.
const ROUNDS: usize = 8;
/// Largest allowed difference between the minimum times of both kinds. Minimums, since other load
/// on the machine only adds time.
const APART_MAX: Duration = Duration::from_millis(10);
/// Attempts until the difference is small enough: a real difference shows every time.
const TRIES: usize = 4;

/// Returns the minimum response times for known and for unknown addresses. Both alternate, so that
/// other load on the machine affects them equally.
async fn least(
    server: &TestServer,
    path: &str,
    body: impl Fn(&str) -> Json,
    known: &[String],
) -> [Duration; 2] {
    let client = server.anonymous();
    let mut least = [Duration::MAX; 2];
    for email in known {
        let unknown = format!("{}@example.com", id::fresh());
        for (kind, email) in [email, &unknown].into_iter().enumerate() {
            let body = body(email);
            let start = Instant::now();
            client.post(path, &body).await.nothing();
            least[kind] = least[kind].min(start.elapsed());
        }
    }
    least
}

#[tokio::test]
async fn response_times_do_not_reveal_whether_an_account_exists() {
    let (server, _post) = start(|config| {
        config.links.register_stall = STEP;
        config.links.reset_stall = STEP;
        config.auth.throttle = false;
        config.limits.registration = None;
    })
    .await;
    set(&server, json!({"public_registration": true})).await;
    let accounts = &server.app().services().accounts;
    let mut known = Vec::new();
    for number in 0..ROUNDS {
        let email = format!("known{number}@example.com");
        accounts.create(&email, None, None, Some(PASSWORD)).await.unwrap();
        known.push(email);
    }

    for path in ["/auth/password/request", "/users/register"] {
        let body = |email: &str| match path {
            "/users/register" => json!({"email": email, "password": PASSWORD}),
            _ => json!({"email": email}),
        };
        let mut measured = Vec::new();
        let same = async {
            for _ in 0..TRIES {
                let [with, without] = least(&server, path, body, &known).await;
                assert!(with >= STEP && without >= STEP, "{path}: {with:?}, {without:?}");
                measured.push((with, without));
                if with.abs_diff(without) < APART_MAX {
                    return true;
                }
            }
            false
        };
        assert!(same.await, "{path}: {measured:?}, with and without an account");
    }
    server.stop().await;
}
