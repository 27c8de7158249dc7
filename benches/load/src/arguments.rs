//! Command-line arguments. Secrets and settings of many runs can also come from the environment.

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

/// Puts load on a server and prints the measurements as one JSON object.
#[derive(Parser)]
pub struct Arguments {
    /// Options of all tests.
    #[command(flatten)]
    pub common: Common,
    /// The test.
    #[command(subcommand)]
    pub test: Test,
}

/// The server and the credentials.
#[derive(Args)]
pub struct Common {
    /// The server's URL; http:// only.
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
    /// The server's process: its CPU time and memory are reported, including those of its children.
    #[arg(long, global = true)]
    pub pid: Option<u32>,
    /// The collection to write to and subscribe to.
    #[arg(long, global = true, default_value = "messages")]
    pub collection: String,
    /// Length of a message's text, in bytes.
    #[arg(long, global = true, default_value_t = 200)]
    pub size: usize,
    /// A label for the report.
    #[arg(long, global = true, default_value = "")]
    pub label: String,
}

/// The wire protocol.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// JSON frames at `/websocket`.
    Directus,
    /// socket.io 4 over WebSocket alone.
    Socketio,
}

/// The tests.
#[derive(Subcommand)]
pub enum Test {
    /// Subscribers receive the messages of publishers: deliveries, latency, lost, duplicate and
    /// reordered messages.
    Fanout(Fanout),
    /// Subscribers stay connected without traffic: memory per connection.
    Idle(Idle),
    /// Connections write through the socket, one message at a time each.
    Create(Create),
    /// Reads of the newest ten messages over REST.
    HttpRead(Requests),
    /// Writes of messages over REST.
    HttpCreate(Requests),
    /// Sign-ins over REST.
    Login(Requests),
}

/// The subscribers and their subscriptions.
#[derive(Args)]
pub struct Subscribers {
    /// Number of subscribers.
    #[arg(long, default_value_t = 1000)]
    pub subs: usize,
    /// Number of threads of this program that read their sockets.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Number of concurrent connection attempts per thread.
    #[arg(long, default_value_t = 32)]
    pub connecting: usize,
    /// Create this number of ordinary accounts and spread the connections over them; 0 connects all
    /// as the account that signs in.
    #[arg(long, default_value_t = 0)]
    pub accounts: usize,
    /// The name of their role.
    #[arg(long, default_value = "Member")]
    pub role: String,
    /// Number of distinct filters; every message matches each of them.
    #[arg(long, default_value_t = 0, conflicts_with = "current_user")]
    pub filters: usize,
    /// Filter by `$CURRENT_USER`; requires at least three accounts.
    #[arg(long)]
    pub current_user: bool,
}

/// Arguments of [`Test::Fanout`].
#[derive(Args)]
pub struct Fanout {
    /// The subscribers.
    #[command(flatten)]
    pub subscribers: Subscribers,
    /// Duration of the measurement, in seconds.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Duration of the warm-up, in seconds.
    #[arg(long, default_value_t = 1.0)]
    pub warmup: f64,
    /// Pause after connecting, in seconds; memory is read at its end.
    #[arg(long, default_value_t = 0.0)]
    pub hold: f64,
    /// Maximum number of messages in flight: the next is written once an earlier one has reached
    /// all subscribers.
    #[arg(long, default_value_t = 1)]
    pub window: u64,
    /// Write this number of messages per second instead, independent of deliveries; latency counts
    /// from the time a message is due.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Number of publishing connections.
    #[arg(long, default_value_t = 1)]
    pub publishers: usize,
}

/// Arguments of [`Test::Idle`].
#[derive(Args)]
pub struct Idle {
    /// The subscribers.
    #[command(flatten)]
    pub subscribers: Subscribers,
    /// Time to stay connected, in seconds.
    #[arg(long, default_value_t = 5.0)]
    pub hold: f64,
}

/// Arguments of [`Test::Create`].
#[derive(Args)]
pub struct Create {
    /// Number of writing connections.
    #[arg(long, default_value_t = 512)]
    pub conns: usize,
    /// Duration of the measurement, in seconds.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Duration of the warm-up, in seconds.
    #[arg(long, default_value_t = 1.0)]
    pub warmup: f64,
    /// Create this number of ordinary accounts and spread the connections over them; 0 connects all
    /// as the account that signs in.
    #[arg(long, default_value_t = 0)]
    pub accounts: usize,
    /// The name of their role.
    #[arg(long, default_value = "Member")]
    pub role: String,
}

/// Arguments of the REST tests.
#[derive(Args)]
pub struct Requests {
    /// Number of connections that send requests.
    #[arg(long, default_value_t = 16)]
    pub conns: usize,
    /// Duration of the measurement, in seconds.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Duration of the warm-up, in seconds.
    #[arg(long, default_value_t = 0.5)]
    pub warmup: f64,
}
