//! Subscribers stay connected without traffic: measures the memory per connection.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;
use tokio::time::sleep;

use crate::Outcome;
use crate::arguments::Idle;
use crate::audience::Audience;
use crate::process::Usage;
use crate::process::kernel_tcp_kib;
use crate::process::rounded;
use crate::seats::Seats;
use crate::target::Target;

/// Runs the test and returns its report. Memory per connection is valid only for a freshly started
/// server: after earlier load, it reuses memory that it has kept.
pub async fn run(target: Arc<Target>, asked: &Idle) -> Outcome<Json> {
    let seats = Arc::new(Seats::prepare(&target, &asked.subscribers).await?);
    let (before, kernel_before) = (target.usage(), kernel_tcp_kib());
    let audience = Audience::gather(&target, &seats, &asked.subscribers, 0).await;
    sleep(Duration::try_from_secs_f64(asked.hold)?).await;
    let (after, kernel_after) = (target.usage(), kernel_tcp_kib());
    let connected = audience.tally.connected.load(Relaxed);
    let refused = audience.tally.refused.load(Relaxed);
    let connecting = audience.connecting.as_secs_f64();
    let heard = audience.dismiss()?;
    let grown = before.zip(after).map(|(before, after)| {
        (after.resident as f64 - before.resident as f64) / connected.max(1) as f64
    });
    let resident = [before, after].map(|usage| usage.map(Usage::mebibytes));
    Ok(json!({
        "test": "idle", "label": target.label, "subscribers": connected, "refused": refused,
        "connect_s": rounded(connecting), "connects_per_s": (connected as f64 / connecting).round(),
        "errors": heard.lost_connections, "last_error": heard.last_error,
        "resident_mib": resident,
        "bytes_per_connection": grown.map(f64::round),
        "kernel_tcp_kib": [kernel_before, kernel_after],
    }))
}
