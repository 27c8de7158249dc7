//! What it means: who may do what, and what happens then. No HTTP, no SQL, no sockets.
//!
//! Calls go down: `realtime, enrolment, bootstrap > items, accounts, mails > auth > settings, changes`
//! `> permissions > directory`; `changes > admission`.

pub mod accounts;
pub mod admission;
pub mod auth;
pub mod bootstrap;
pub mod changes;
pub mod client_shares;
pub mod directory;
pub mod enrolment;
pub mod error;
pub mod items;
pub mod mails;
pub mod memory;
pub mod permissions;
pub mod rate;
pub mod realtime;
pub mod settings;
pub mod shares;

use std::sync::Arc;

pub use error::Error;
pub use error::Exceeded;
pub use error::Forbidden;
pub use error::Violation;

use crate::clock::Clock;
use crate::domain::accounts::Accounts;
use crate::domain::auth::Auth;
use crate::domain::auth::password::Passwords;
use crate::domain::changes::Changes;
use crate::domain::enrolment::Enrolment;
use crate::domain::items::Items;
use crate::domain::mails::Mails;
use crate::domain::permissions::Permissions;
use crate::domain::realtime::Hub;
use crate::domain::settings::Settings;
use crate::domain::shares::Shares;
pub use crate::store::Integrity;

/// The handle that transports hold: every call the outside can make goes through one of these.
#[derive(Clone)]
pub struct Services {
    /// Sign-in, and recognising who is asking.
    pub auth: Arc<Auth>,
    /// Who may do what.
    pub permissions: Arc<Permissions>,
    /// Reading and changing items.
    pub items: Arc<Items>,
    /// Live subscriptions.
    pub hub: Arc<Hub>,
    /// Accounts, as whoever runs the service makes them.
    pub accounts: Arc<Accounts>,
    /// Signing up, invitations, forgotten passwords.
    pub enrolment: Arc<Enrolment>,
    /// The queue of mails.
    pub mails: Arc<Mails>,
    /// Making and checking hashes for whoever asks, in places of their own: sign-ins never wait
    /// for them.
    pub hashing: Arc<Passwords>,
    /// Commits, and the health of the store.
    pub changes: Arc<Changes>,
    /// What an operator has set.
    pub settings: Arc<Settings>,
    /// The memory that clients make the process hold.
    pub memory: Arc<Shares>,
    /// The time.
    pub clock: Clock,
}
