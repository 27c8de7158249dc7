//! Publishers write and subscribers receive: measures deliveries and latency, and verifies that
//! each message arrives once and in order.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;
use tokio::task::spawn_local;
use tokio::time::Instant;
use tokio::time::sleep;

use crate::Outcome;
use crate::arguments::Fanout;
use crate::audience::Audience;
use crate::audience::Heard;
use crate::process::Usage;
use crate::process::rounded;
use crate::publisher::Course;
use crate::publisher::Pace;
use crate::publisher::Publisher;
use crate::publisher::Written;
use crate::seats::Seats;
use crate::target::Target;

/// Maximum number of messages that a run can tell apart.
const MESSAGES_MAX: u32 = 1 << 21;

/// How long to wait for outstanding deliveries after the last write.
const DRAIN: Duration = Duration::from_secs(10);

/// The server's resource usage before subscribers connect, with all connected, and at the end.
struct Usages {
    before: Option<Usage>,
    connected: Option<Usage>,
    after: Option<Usage>,
}

/// Runs the test and returns its report.
pub async fn run(target: Arc<Target>, asked: &Fanout) -> Outcome<Json> {
    let seats = Arc::new(Seats::prepare(&target, &asked.subscribers).await?);
    let before = target.usage();
    let room = usize::try_from(MESSAGES_MAX)?;
    let audience = Audience::gather(&target, &seats, &asked.subscribers, room).await;
    if audience.tally.hearing.load(Relaxed) == 0 {
        let heard = audience.dismiss()?;
        return Err(format!("there is nobody to hear: {:?}", heard.last_error).into());
    }
    sleep(Duration::try_from_secs_f64(asked.hold)?).await;
    let connected = target.usage();

    let measured_at = Instant::now() + Duration::try_from_secs_f64(asked.warmup)?;
    let publishers = u32::try_from(asked.publishers)?;
    let gap = match asked.rate {
        Some(rate) => Some(Duration::try_from_secs_f64(f64::from(publishers) / rate)?),
        None => None,
    };
    let course = Rc::new(Course {
        target: Arc::clone(&target),
        tally: Arc::clone(&audience.tally),
        pace: gap.map_or(Pace::Window(asked.window), Pace::Every),
        messages_max: MESSAGES_MAX.into(),
        measured_at,
        end: measured_at + Duration::try_from_secs_f64(asked.seconds)?,
        written: Cell::default(),
        start: Cell::default(),
    });
    let mut tasks = Vec::new();
    for publisher in 0..asked.publishers {
        let token = Arc::clone(seats.publisher(publisher));
        // With a rate, publishers are staggered evenly over the gap.
        let turn = u32::try_from(publisher)?;
        let offset = gap.map_or(Duration::ZERO, |gap| gap * turn / publishers);
        tasks.push(spawn_local(Publisher::run(Rc::clone(&course), token, offset)));
    }
    let mut written = Written::default();
    for task in tasks {
        let one = task.await?;
        written.acknowledged.merge(&one.acknowledged);
        written.errors += one.errors;
        written.last_error = one.last_error.or(written.last_error);
    }
    let wanted = course.written.get() * audience.tally.hearing.load(Relaxed) as u64;
    let until = Instant::now() + DRAIN;
    while audience.tally.delivered.load(Relaxed) < wanted && Instant::now() < until {
        sleep(Duration::from_millis(5)).await;
    }
    let usages = Usages { before, connected, after: target.usage() };
    report(asked, &course, audience, &written, &usages)
}

fn report(
    asked: &Fanout,
    course: &Course,
    audience: Audience,
    written: &Written,
    usages: &Usages,
) -> Outcome<Json> {
    let tally = Arc::clone(&audience.tally);
    let connecting = audience.connecting.as_secs_f64();
    let heard: Heard = audience.dismiss()?;
    let start = course
        .start
        .get()
        .ok_or_else(|| format!("the run ended before it was measured: {:?}", written.last_error))?;
    let (connected, hearing) = (tally.connected.load(Relaxed), tally.hearing.load(Relaxed));
    let messages = course.written.get() - start.number;
    // The interval ends at the last delivery, so that draining the backlog counts as well.
    let seconds = heard.last.saturating_sub(start.at).max(1) as f64 / 1e6;
    let cpu = start.usage.zip(usages.after);
    let cpu = cpu.map(|(start, after)| after.cpu_micros.saturating_sub(start.cpu_micros) as f64);
    let grown = usages.before.zip(usages.connected).map(|(before, after)| {
        (after.resident as f64 - before.resident as f64) / connected.max(1) as f64
    });
    let resident =
        [usages.before, usages.connected, usages.after].map(|usage| usage.map(Usage::mebibytes));
    Ok(json!({
        "test": "fanout", "label": course.target.label,
        "subscribers": connected, "hearing": hearing, "refused": tally.refused.load(Relaxed),
        "accounts": asked.subscribers.accounts, "filters": asked.subscribers.filters,
        "current_user": asked.subscribers.current_user,
        "window": asked.rate.is_none().then_some(asked.window), "rate": asked.rate,
        "publishers": asked.publishers, "connect_s": rounded(connecting),
        "messages": messages, "deliveries": heard.measured,
        "messages_per_s": rounded(messages as f64 / seconds),
        "deliveries_per_s": (heard.measured as f64 / seconds).round(),
        "frame_bytes": heard.bytes.checked_div(heard.measured),
        "latency_ms": heard.latency.json(), "acknowledged_ms": written.acknowledged.json(),
        "lost": (course.written.get() * hearing as u64)
            .saturating_sub(tally.delivered.load(Relaxed)),
        "doubled": heard.doubled, "disordered": heard.disordered, "unexpected": heard.unexpected,
        "errors": heard.lost_connections + written.errors,
        "last_error": written.last_error.as_ref().or(heard.last_error.as_ref()),
        "cpu_us_per_delivery": cpu.map(|cpu| rounded(cpu / heard.measured.max(1) as f64)),
        "cpu_cores": cpu.map(|cpu| rounded(cpu / 1e6 / seconds)),
        "resident_mib": resident,
        "bytes_per_connection": grown.map(f64::round),
    }))
}
