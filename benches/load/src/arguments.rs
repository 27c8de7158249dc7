//! What can be asked for on the command line, and in the environment where it is secret or the same
//! for many runs.

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

/// Drives a server, and prints what it took as one JSON object.
#[derive(Parser)]
pub struct Arguments {
    /// What every test takes.
    #[command(flatten)]
    pub common: Common,
    /// The test.
    #[command(subcommand)]
    pub test: Test,
}

/// Which server, and as whom.
#[derive(Args)]
pub struct Common {
    /// The server: http:// and nothing else.
    #[arg(long, global = true, env = "BASE_URL", default_value = "http://127.0.0.1:8055")]
    pub url: String,
    /// The address to sign in with.
    #[arg(long, global = true, env = "EMAIL", default_value = "admin@example.com")]
    pub email: String,
    /// The password to sign in with.
    #[arg(long, global = true, env = "PASSWORD", default_value = "", hide_env_values = true)]
    pub password: String,
    /// A token to use instead of signing in.
    #[arg(long, global = true, env = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The frames that the server speaks.
    #[arg(long, global = true, value_enum, default_value = "directus")]
    pub protocol: Protocol,
    /// The process of the server: its time and memory, and those of its children, are told.
    #[arg(long, global = true)]
    pub pid: Option<u32>,
    /// The collection that is written and followed.
    #[arg(long, global = true, default_value = "messages")]
    pub collection: String,
    /// How long the text of a message is, in bytes.
    #[arg(long, global = true, default_value_t = 200)]
    pub size: usize,
    /// A name for the report.
    #[arg(long, global = true, default_value = "")]
    pub label: String,
}

/// How the server is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// JSON frames at `/websocket`.
    Directus,
    /// socket.io 4 over WebSocket alone.
    Socketio,
}

/// What is measured.
#[derive(Subcommand)]
pub enum Test {
    /// Subscribers follow what publishers write: deliveries, latency, what is lost, doubled, out of
    /// order.
    Fanout(Fanout),
    /// Subscribers are connected and nothing happens: memory for each.
    Idle(Idle),
    /// Connections write through the socket, each one message at a time.
    Create(Create),
    /// The newest ten messages over REST.
    HttpRead(Requests),
    /// Messages written over REST.
    HttpCreate(Requests),
    /// Sign-ins over REST.
    Login(Requests),
}

/// Who is connected, and to what they listen.
#[derive(Args)]
pub struct Subscribers {
    /// How many.
    #[arg(long, default_value_t = 1000)]
    pub subs: usize,
    /// How many threads of this program read for them.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// How many connect at the same time, for each thread.
    #[arg(long, default_value_t = 32)]
    pub connecting: usize,
    /// Make so many ordinary accounts and spread the connections over them; 0 for all as the one
    /// that signs in.
    #[arg(long, default_value_t = 0)]
    pub accounts: usize,
    /// The role of these accounts, by its name.
    #[arg(long, default_value = "Member")]
    pub role: String,
    /// So many different filters, all of which fit everything that is written.
    #[arg(long, default_value_t = 0, conflicts_with = "current_user")]
    pub filters: usize,
    /// Filters by `$CURRENT_USER`; takes at least three accounts.
    #[arg(long)]
    pub current_user: bool,
}

/// Arguments of [`Test::Fanout`].
#[derive(Args)]
pub struct Fanout {
    /// Who listens.
    #[command(flatten)]
    pub subscribers: Subscribers,
    /// How long is measured.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// How long is published before, in seconds.
    #[arg(long, default_value_t = 1.0)]
    pub warmup: f64,
    /// How long everybody rests once connected, in seconds; then memory is looked at.
    #[arg(long, default_value_t = 0.0)]
    pub hold: f64,
    /// How many messages may be on their way to somebody: the next is written when one has reached
    /// all.
    #[arg(long, default_value_t = 1)]
    pub window: u64,
    /// Write so many messages a second instead, however slowly they arrive; latency counts from
    /// when one was due.
    #[arg(long)]
    pub rate: Option<f64>,
    /// How many connections write.
    #[arg(long, default_value_t = 1)]
    pub publishers: usize,
}

/// Arguments of [`Test::Idle`].
#[derive(Args)]
pub struct Idle {
    /// Who is connected.
    #[command(flatten)]
    pub subscribers: Subscribers,
    /// For how long, in seconds.
    #[arg(long, default_value_t = 5.0)]
    pub hold: f64,
}

/// Arguments of [`Test::Create`].
#[derive(Args)]
pub struct Create {
    /// How many connections write.
    #[arg(long, default_value_t = 512)]
    pub conns: usize,
    /// How long is measured.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// How long is written before, in seconds.
    #[arg(long, default_value_t = 1.0)]
    pub warmup: f64,
    /// Make so many ordinary accounts and spread the connections over them; 0 for all as the one
    /// that signs in.
    #[arg(long, default_value_t = 0)]
    pub accounts: usize,
    /// The role of these accounts, by its name.
    #[arg(long, default_value = "Member")]
    pub role: String,
}

/// Arguments of the tests of REST.
#[derive(Args)]
pub struct Requests {
    /// How many connections ask.
    #[arg(long, default_value_t = 16)]
    pub conns: usize,
    /// How long is measured.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// How long is asked before, in seconds.
    #[arg(long, default_value_t = 0.5)]
    pub warmup: f64,
}
