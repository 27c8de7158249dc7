//! Many connections write through the socket, each one message at a time. Counts acknowledged
//! creates and verifies that all of them are stored.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::Instant;
use tokio::time::sleep_until;
use tokio::time::timeout;

use crate::Outcome;
use crate::accounts::Accounts;
use crate::arguments::Create;
use crate::arguments::Protocol;
use crate::directus;
use crate::histogram::Histogram;
use crate::marker::Mark;
use crate::process::Usage;
use crate::process::rounded;
use crate::protocol;
use crate::target::Target;
use crate::websocket::Frame;
use crate::websocket::WebSocket;

/// Maximum number of concurrent connection attempts.
const CONNECTING: usize = 32;

/// Time limit for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// State shared by all connections.
struct Course {
    target: Arc<Target>,
    next: Cell<u64>,
    measured_at: Instant,
    end: Instant,
}

/// Outcomes of the writes of one connection, or of all.
#[derive(Default)]
struct Written {
    /// Time from write to answer, for answers within the measurement.
    latency: Histogram,
    /// All acknowledged writes, including those outside the measurement.
    acknowledged: u64,
    errors: u64,
    last_error: Option<String>,
}

/// Runs the test and returns its report.
pub async fn run(target: Arc<Target>, asked: &Create) -> Outcome<Json> {
    if target.protocol != Protocol::Directus {
        return Err("the peer for socket.io keeps nothing: there is nothing to compare".into());
    }
    let accounts = Accounts::prepare(&target, asked.accounts, &asked.role).await?;
    let own = target.token().await?;
    let sockets = connect(&target, &accounts, asked.conns).await?;
    let before = directus::count(&target, &own).await?;

    let measured_at = Instant::now() + Duration::try_from_secs_f64(asked.warmup)?;
    let course = Rc::new(Course {
        target: Arc::clone(&target),
        next: Cell::default(),
        measured_at,
        end: measured_at + Duration::try_from_secs_f64(asked.seconds)?,
    });
    let tasks: Vec<_> =
        sockets.into_iter().map(|socket| spawn_local(write(Rc::clone(&course), socket))).collect();
    sleep_until(course.measured_at).await;
    let usage = target.usage();
    sleep_until(course.end).await;
    let usage = usage.zip(target.usage());
    let mut all = Written::default();
    for task in tasks {
        let one = task.await?;
        all.latency.merge(&one.latency);
        all.acknowledged += one.acknowledged;
        all.errors += one.errors;
        all.last_error = one.last_error.or(all.last_error);
    }
    let stored = directus::count(&target, &own).await? - before;

    let count = all.latency.count();
    let cpu = usage.map(|(start, end)| end.cpu_micros.saturating_sub(start.cpu_micros) as f64);
    Ok(json!({
        "test": "create", "label": target.label, "conns": asked.conns, "accounts": asked.accounts,
        "per_s": (count as f64 / asked.seconds).round(), "latency_ms": all.latency.json(),
        "written": course.next.get(), "acknowledged": all.acknowledged, "stored": stored,
        "lost": all.acknowledged.saturating_sub(stored),
        "errors": all.errors, "last_error": all.last_error,
        "cpu_us_each": cpu.map(|cpu| rounded(cpu / count.max(1) as f64)),
        "resident_mib": target.usage().map(Usage::mebibytes),
    }))
}

async fn connect(
    target: &Arc<Target>,
    accounts: &Accounts,
    count: usize,
) -> Outcome<Vec<WebSocket>> {
    let turns = Rc::new(Semaphore::new(CONNECTING));
    let tasks: Vec<_> = (0..count)
        .map(|place| {
            let (target, turns) = (Arc::clone(target), Rc::clone(&turns));
            let token = Arc::clone(accounts.token(place));
            spawn_local(async move {
                let _turn = turns.acquire().await.map_err(io::Error::other)?;
                protocol::connect(&target, &token).await
            })
        })
        .collect();
    let mut sockets = Vec::with_capacity(count);
    for task in tasks {
        sockets.push(task.await??);
    }
    Ok(sockets)
}

/// Writes messages one after another, each once the previous one has been answered.
async fn write(course: Rc<Course>, mut socket: WebSocket) -> Written {
    let mut written = Written::default();
    while Instant::now() < course.end {
        let number = course.next.get();
        course.next.set(number + 1);
        let began = Instant::now();
        let mark = Mark { number, sent: course.target.at(began.into_std()) };
        let answered = async {
            socket.text(&protocol::create_frame(&course.target, mark)).await?;
            answer(&course.target, &mut socket, number).await
        };
        match timeout(ANSWER_MAX, answered).await.unwrap_or_else(|late| Err(late.into())) {
            Ok(()) => {
                written.acknowledged += 1;
                let now = Instant::now();
                if now >= course.measured_at && now < course.end {
                    let taken = course.target.now().saturating_sub(mark.sent);
                    written.latency.record(taken);
                }
            }
            Err(error) => {
                written.errors += 1;
                written.last_error = Some(error.to_string());
                break;
            }
        }
    }
    written
}

/// Waits for the answer to one message.
async fn answer(target: &Target, socket: &mut WebSocket, number: u64) -> io::Result<()> {
    loop {
        let frame = match socket.next().await? {
            Frame::Message(message) => socket.bytes(message).to_vec(),
            Frame::Close(code) => return Err(protocol::closed(code)),
        };
        if target.marker.find(&frame).is_some_and(|mark| mark.number == number) {
            return Ok(());
        }
        if protocol::refuses(&frame) {
            return Err(io::Error::other(String::from_utf8_lossy(&frame).into_owned()));
        }
        protocol::keep_alive(socket, &frame).await?;
    }
}
