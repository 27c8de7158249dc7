//! Connections send REST requests, each after the previous response: measures requests per second,
//! latency, and the cost for the server.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;
use tokio::task::spawn_local;
use tokio::time::Instant;
use tokio::time::sleep;
use tokio::time::sleep_until;

use crate::Outcome;
use crate::arguments::Requests;
use crate::directus::login_request;
use crate::histogram::Histogram;
use crate::http::Http;
use crate::http::request;
use crate::marker::Mark;
use crate::process::Usage;
use crate::process::rounded;
use crate::target::Target;

/// Pause of a connection after a failed request.
const REST: Duration = Duration::from_millis(10);

/// The responses to one connection, or to all.
#[derive(Default)]
struct Answered {
    latency: Histogram,
    bytes: u64,
    errors: u64,
    last_error: Option<String>,
}

/// Reads the newest ten messages with the names of their authors.
pub async fn read(target: Arc<Target>, asked: &Requests) -> Outcome<Json> {
    let token = target.token().await?;
    let path = format!(
        "/items/{}?limit=10&sort=-date_created&fields=*,user_created.first_name",
        target.collection
    );
    let request = request("GET", &path, &target.address, Some(&token), None);
    run(&target, asked, "http-read", move |_, _| request.clone()).await
}

/// Writes messages.
pub async fn create(target: Arc<Target>, asked: &Requests) -> Outcome<Json> {
    let token = target.token().await?;
    let path = format!("/items/{}", target.collection);
    run(&target, asked, "http-create", move |target, number| {
        let text = target.marker.text(Mark { number, sent: target.now() });
        let body = json!({"content": text}).to_string();
        request("POST", &path, &target.address, Some(&token), Some(&body))
    })
    .await
}

/// Signs in.
pub async fn login(target: Arc<Target>, asked: &Requests) -> Outcome<Json> {
    run(&target, asked, "login", |target, _| login_request(target)).await
}

async fn run(
    target: &Arc<Target>,
    asked: &Requests,
    test: &str,
    make: impl Fn(&Target, u64) -> Vec<u8> + 'static,
) -> Outcome<Json> {
    let measured_at = Instant::now() + Duration::try_from_secs_f64(asked.warmup)?;
    let end = measured_at + Duration::try_from_secs_f64(asked.seconds)?;
    let make = Rc::new(make);
    let tasks: Vec<_> = (0..asked.conns)
        .map(|_| {
            let (target, make) = (Arc::clone(target), Rc::clone(&make));
            spawn_local(async move { ask(&target, &*make, measured_at, end).await })
        })
        .collect();
    sleep_until(measured_at).await;
    let usage = target.usage();
    sleep_until(end).await;
    let usage = usage.zip(target.usage());
    let mut all = Answered::default();
    for task in tasks {
        let one = task.await?;
        all.latency.merge(&one.latency);
        all.bytes += one.bytes;
        all.errors += one.errors;
        all.last_error = one.last_error.or(all.last_error);
    }
    let count = all.latency.count();
    let cpu = usage.map(|(start, end)| end.cpu_micros.saturating_sub(start.cpu_micros) as f64);
    Ok(json!({
        "test": test, "label": target.label, "conns": asked.conns,
        "per_s": (count as f64 / asked.seconds).round(), "latency_ms": all.latency.json(),
        "errors": all.errors, "last_error": all.last_error,
        "body_bytes": all.bytes.checked_div(count),
        "cpu_us_each": cpu.map(|cpu| rounded(cpu / count.max(1) as f64)),
        "resident_mib": target.usage().map(Usage::mebibytes),
    }))
}

async fn ask(
    target: &Target,
    make: &impl Fn(&Target, u64) -> Vec<u8>,
    measured_at: Instant,
    end: Instant,
) -> Answered {
    let mut http = Http::new(&target.address);
    let mut answered = Answered::default();
    let mut number = 0;
    while Instant::now() < end {
        let request = make(target, number);
        number += 1;
        let began = Instant::now();
        let error = match http.call(&request).await {
            Ok(200..=299) => {
                let now = Instant::now();
                if now >= measured_at && now < end {
                    let taken = target.at(now.into_std()) - target.at(began.into_std());
                    answered.latency.record(taken);
                    answered.bytes += http.body.len() as u64;
                }
                continue;
            }
            Ok(status) => format!("{status} {}", String::from_utf8_lossy(&http.body)),
            Err(error) => error.to_string(),
        };
        answered.errors += 1;
        answered.last_error = Some(error);
        sleep(REST).await;
    }
    answered
}
