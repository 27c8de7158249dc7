//! Puts load on a server that speaks Directus's REST and WebSocket or socket.io, and prints the
//! measurements as one JSON object.
//!
//! It runs on the same machine as the server, speaks plain `http://` only, and does not assess the
//! results. `scripts/bench-realtime` runs it against several servers in turn.

mod accounts;
mod arguments;
mod audience;
mod create;
mod directus;
mod fanout;
mod histogram;
mod http;
mod idle;
mod marker;
mod process;
mod protocol;
mod publisher;
mod requests;
mod seats;
mod socketio;
mod target;
mod websocket;

use clap::Parser;
use serde_json::Value as Json;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::arguments::Arguments;
use crate::arguments::Test;
use crate::target::Target;

/// An error ends the run: it is printed, and there is no report.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    // The main thread publishes and evaluates. Subscribers have threads of their own.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(LocalSet::new().run_until(run(arguments)))?;
    println!("{report}");
    Ok(())
}

async fn run(arguments: Arguments) -> Outcome<Json> {
    let target = Target::new(&arguments.common)?;
    match &arguments.test {
        Test::Fanout(asked) => fanout::run(target, asked).await,
        Test::Idle(asked) => idle::run(target, asked).await,
        Test::Create(asked) => create::run(target, asked).await,
        Test::HttpRead(asked) => requests::read(target, asked).await,
        Test::HttpCreate(asked) => requests::create(target, asked).await,
        Test::Login(asked) => requests::login(target, asked).await,
    }
}
