//! Constructs the services, each from its dependencies. No other code does.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::StartError;
use crate::app::enrolment;
use crate::app::providers;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::Services;
use crate::domain::accounts::Accounts;
use crate::domain::accounts::bootstrap::Bootstrapped;
use crate::domain::admission::{Admission, Progress};
use crate::domain::auth::Auth;
use crate::domain::auth::password::Passwords;
use crate::domain::auth::password_policy::PasswordPolicy;
use crate::domain::committer::Committer;
use crate::domain::enrolment::Enrolment;
use crate::domain::items::{Items, Patterns};
use crate::domain::memory;
use crate::domain::permissions::Permissions;
use crate::domain::row_cache::RowCache;
use crate::domain::settings::Settings;
use crate::domain::subscriptions::Hub;
use crate::query::Limits;
use crate::store::Store;
use crate::transport::ws;

/// Capacity of the queue for hashes other than those of passwords. Any client may request them, and
/// a single thread computes them.
const HASHES_WAITING_MAX: usize = 10;

/// The services that the first start needs, and that the others are built on.
pub(super) struct Core {
    clock: Clock,
    store: Arc<Store>,
    row_cache: Arc<RowCache>,
    permissions: Arc<Permissions>,
    committer: Arc<Committer>,
    settings: Arc<Settings>,
    passwords: Arc<Passwords>,
    pub(super) accounts: Arc<Accounts>,
}

impl Core {
    /// Constructs the core on an open database.
    ///
    /// # Errors
    /// When the policies cannot be read.
    pub(super) async fn open(
        config: &Config,
        clock: Clock,
        store: Arc<Store>,
        progress: &Arc<Progress>,
    ) -> Result<Self, StartError> {
        let row_cache = Arc::new(RowCache::new(Arc::clone(&store)));
        let permissions = Permissions::open(Arc::clone(&store), clock.clone(), limits(config));
        let permissions = Arc::new(permissions.await?);
        let committer = Arc::new(Committer::new(
            Arc::clone(&store),
            Arc::clone(&row_cache),
            Arc::clone(&permissions),
            Admission::new(clock.clone(), config.limits.items, Arc::clone(progress)),
            clock.clone(),
        ));
        let settings = Arc::new(Settings::new(Arc::clone(&row_cache)));
        let policy =
            PasswordPolicy::new(config.auth.password_policy.clone(), Arc::clone(&settings));
        let passwords = Arc::new(Passwords::new(config.auth.hash).demanding(policy));
        let accounts = Arc::new(Accounts {
            store: Arc::clone(&store),
            committer: Arc::clone(&committer),
            passwords: Arc::clone(&passwords),
            clock: clock.clone(),
        });
        Ok(Self { clock, store, row_cache, permissions, committer, settings, passwords, accounts })
    }

    /// Constructs the other services. Their tasks run until `stopping` is cancelled.
    ///
    /// # Errors
    /// [`StartError::System`] without TLS certificates.
    pub(super) fn services(
        self,
        config: &Config,
        first: &Bootstrapped,
        tasks: &TaskTracker,
        stopping: &CancellationToken,
    ) -> Result<Services, StartError> {
        let auth = Auth::new(
            config.auth.clone(),
            self.clock.clone(),
            Arc::clone(&self.store),
            Arc::clone(&self.committer),
            Arc::clone(&self.row_cache),
            Arc::clone(&self.permissions),
            Arc::clone(&self.passwords),
        );
        let auth = providers::with_others(auth, config, &self.clock, tasks, stopping)?;
        let items = self.items(config, first);
        let hub = self.hub(config, &items, &auth);
        let mails =
            enrolment::mails(config, &self.store, &self.committer, &self.settings, &self.clock)?;
        let enrolment = Arc::new(Enrolment {
            config: config.links.clone(),
            clock: self.clock.clone(),
            store: self.store,
            committer: Arc::clone(&self.committer),
            settings: Arc::clone(&self.settings),
            passwords: self.passwords,
            throttle: Arc::clone(auth.throttle()),
            items: Arc::clone(&items),
            accounts: Arc::clone(&self.accounts),
            mails: Arc::clone(&mails),
        });
        Ok(Services {
            auth,
            permissions: self.permissions,
            memory: Arc::clone(&items.memory),
            items,
            hub,
            accounts: self.accounts,
            enrolment,
            mails,
            hashing: Arc::new(Passwords::with_slots(config.auth.hash, 1, HASHES_WAITING_MAX)),
            committer: self.committer,
            settings: self.settings,
            clock: self.clock,
        })
    }

    fn items(&self, config: &Config, first: &Bootstrapped) -> Arc<Items> {
        Arc::new(Items {
            memory: memory::budget(config.server.answers_bytes_max),
            clock: self.clock.clone(),
            store: Arc::clone(&self.store),
            committer: Arc::clone(&self.committer),
            permissions: Arc::clone(&self.permissions),
            row_cache: Arc::clone(&self.row_cache),
            passwords: Arc::clone(&self.passwords),
            patterns: Patterns::default(),
            limits: limits(config),
            config: config.query.clone(),
            public_user: first.public_user,
        })
    }

    fn hub(&self, config: &Config, items: &Arc<Items>, auth: &Arc<Auth>) -> Arc<Hub> {
        Arc::new(Hub::new(
            Arc::clone(items),
            Arc::clone(&self.permissions),
            Arc::clone(auth),
            Arc::clone(&self.committer),
            &config.websockets,
            config.topics.clone(),
            ws::topics::encode,
        ))
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        default: config.query.limit_default,
        max: config.query.limit_max,
        depth: config.query.depth_max,
        ..Limits::default()
    }
}
