//! The domain logic: authorization and the effects of each call. No HTTP, no SQL, no sockets.
//!
//! Modules call only modules further right: `jobs > subscriptions, enrolment > items, accounts,
//! mails > auth > settings, committer > permissions > row_cache`; `committer > admission`;
//! `subscriptions > delivery`.

pub mod accounts;
pub mod admission;
pub mod auth;
pub mod bounded_map;
pub mod client_quota;
pub mod committer;
pub mod delivery;
pub mod enrolment;
pub mod error;
pub mod items;
pub mod jobs;
pub mod mails;
pub mod memory;
pub mod permissions;
pub mod quota;
pub mod row_cache;
pub mod settings;
pub mod subscriptions;
pub mod token_bucket;

use std::sync::Arc;

pub use error::{Error, Exceeded, Forbidden, Violation};

use crate::clock::Clock;
use crate::domain::accounts::Accounts;
use crate::domain::auth::Auth;
use crate::domain::auth::password::Passwords;
use crate::domain::committer::Committer;
use crate::domain::enrolment::Enrolment;
use crate::domain::items::Items;
use crate::domain::mails::Mails;
use crate::domain::permissions::Permissions;
use crate::domain::quota::Quota;
use crate::domain::settings::Settings;
use crate::domain::subscriptions::Hub;
pub use crate::store::Integrity;

/// The handle that transports hold. Every external call uses one of these services.
#[derive(Clone)]
pub struct Services {
    /// Sign-in and authentication.
    pub auth: Arc<Auth>,
    /// Authorization.
    pub permissions: Arc<Permissions>,
    /// Reading and changing items.
    pub items: Arc<Items>,
    /// Live subscriptions.
    pub hub: Arc<Hub>,
    /// Account management by the operator.
    pub accounts: Arc<Accounts>,
    /// Sign-up, invitations and password resets.
    pub enrolment: Arc<Enrolment>,
    /// The mail queue.
    pub mails: Arc<Mails>,
    /// Hashing and verification as a service for clients. It has its own limits, so that sign-ins
    /// never wait for these requests.
    pub hashing: Arc<Passwords>,
    /// Commits, and the health of the store.
    pub committer: Arc<Committer>,
    /// The operator's settings.
    pub settings: Arc<Settings>,
    /// The memory budget of clients.
    pub memory: Arc<Quota>,
    /// The clock.
    pub clock: Clock,
}
