//! Admission control for writes: an item rate per account and per address at all entry points, and
//! a limit on the deliveries that a client has in flight.
//!
//! Events are delivered in one order, so a committed change delays all later ones. A flood is
//! therefore held back before its commit, and only its own client waits.

mod followers;
mod progress;
mod window;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

pub use followers::Followers;
pub use progress::Progress;

use crate::clock::Clock;
use crate::config::RateLimit;
use crate::domain::admission::window::{ALONE, Load, Slot, Windows};
use crate::domain::quota::Owner;
use crate::domain::token_bucket::TokenBuckets;
use crate::domain::{Error, Exceeded};
use crate::model::{Actor, Collection};
use crate::store::{Mutation, Write};

/// Maximum time that a write waits for admission.
const PATIENCE: Duration = Duration::from_secs(2);
/// Item rate of an address, as a multiple of the rate of an account.
const ADDRESS_RATE: NonZeroU32 = NonZeroU32::new(4).expect("it is not zero");
/// Delivery window of an address, as a multiple of the window of an account. It leaves room for the
/// other accounts of the address while one of them floods.
const ADDRESS_WINDOW: u32 = 2;
/// Number of items that one request may create regardless of the number of followers.
const LIST_MIN: u64 = 100;
/// Delay of a refusal for each item of the list, up to half of `PATIENCE`.
const REFUSAL_EACH: Duration = Duration::from_micros(125);
/// Number of bytes of text that count as one more delivery.
const TEXT_BYTES: usize = 1024;
/// Numbers of changed or deleted items in one event that count as one more delivery.
const CHANGED_EACH: usize = 16;
const DELETED_EACH: usize = 64;

const ADVICE_ITEMS: &str =
    "Create or change fewer items. The operator can raise RATE_LIMITER_ITEMS_POINTS";
const ADVICE_DELIVERY: &str = "These changes have many subscribers, and other clients write too. \
                               Wait for the delivery of one change before you send the next";

/// Admission control for writes.
pub struct Admission {
    clock: Clock,
    /// The item rates of accounts and of addresses; `None` without a limit.
    rates: Option<[TokenBuckets<Owner>; 2]>,
    followers: Followers,
    progress: Arc<Progress>,
    /// The windows of accounts and of addresses.
    windows: [Windows; 2],
}

/// An admitted write.
pub struct Permit([Slot; 2]);

impl Permit {
    /// Records the commit of the write, with its last event.
    pub fn commit(self, seq: i64) {
        for slot in self.0 {
            slot.commit(seq);
        }
    }
}

impl Admission {
    /// Creates admission control with this item rate per account. `progress` paces deliveries.
    #[must_use]
    pub fn new(clock: Clock, items: Option<RateLimit>, progress: Arc<Progress>) -> Arc<Self> {
        let of_address = |limit: RateLimit| {
            let points = limit.points.saturating_mul(ADDRESS_RATE);
            RateLimit { points, ..limit }
        };
        Arc::new(Self {
            clock,
            rates: items.map(|limit| [limit, of_address(limit)].map(TokenBuckets::new)),
            followers: Followers::default(),
            windows: [1, ADDRESS_WINDOW].map(|factor| Windows::new(Arc::clone(&progress), factor)),
            progress,
        })
    }

    /// Returns the follower counts of all collections.
    #[must_use]
    pub const fn followers(&self) -> &Followers {
        &self.followers
    }

    /// Returns the delivery progress.
    #[must_use]
    pub const fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Refuses a request that creates items and cannot be admitted, before more work is done for
    /// it. Counts nothing. The delay of a refusal grows with the length of the list. Otherwise,
    /// lists that are parsed and refused without a pause would take the CPU time of all clients.
    ///
    /// # Errors
    /// As [`Admission::admit`].
    pub async fn foresee(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        items: usize,
    ) -> Result<(), Error> {
        let foreseen = self.look_ahead(actor, collection, items);
        if foreseen.is_err() {
            let items = u32::try_from(items).unwrap_or(u32::MAX);
            tokio::time::sleep(REFUSAL_EACH.saturating_mul(items).min(PATIENCE / 2)).await;
        }
        foreseen
    }

    fn look_ahead(
        &self,
        actor: &Actor,
        collection: &'static Collection,
        items: usize,
    ) -> Result<(), Error> {
        self.check_rate(actor, items, false)?;
        let followers = self.followers.of(collection);
        if followers == 0 {
            return Ok(());
        }
        let created = number(items);
        let load = Load { deliveries: created * followers, followers };
        check_list(created, load)?;
        let owed = self.owed(actor, load);
        if owed > PATIENCE {
            return Err(self.exceeded(1, owed, ADVICE_DELIVERY));
        }
        Ok(())
    }

    /// Counts the items of a write and waits until its deliveries may begin; `None` if it has none.
    ///
    /// # Errors
    /// [`Error::RequestsExceeded`] if the client creates or changes items too fast;
    /// [`Error::LimitExceeded`] if the write creates more items than can be delivered at once.
    pub async fn admit(&self, actor: &Actor, write: &Write) -> Result<Option<Permit>, Error> {
        let (mut items, mut created) = (0, 0);
        let mut load = Load { deliveries: 0, followers: 0 };
        for op in &write.ops {
            let Some((collection, weight, count)) = weigh(op) else { continue };
            items += count;
            let followers = self.followers.of(collection);
            load.deliveries += weight * followers;
            load.followers = load.followers.max(followers);
            if matches!(op, Mutation::Create { .. }) && followers > 0 {
                created += number(count);
            }
        }
        check_list(created, load)?;
        self.check_rate(actor, items, true)?;
        if load.deliveries == 0 {
            return Ok(None);
        }
        let entering = async {
            let ([owner, address], [owners, addresses]) =
                (Owner::with_address(actor), &self.windows);
            Permit([owners.enter(owner, load).await, addresses.enter(address, load).await])
        };
        let entered = tokio::time::timeout(PATIENCE, entering).await;
        entered.map(Some).map_err(|_| {
            let owed = self.owed(actor, load).max(PATIENCE);
            self.exceeded(1, owed, ADVICE_DELIVERY)
        })
    }

    fn owed(&self, actor: &Actor, load: Load) -> Duration {
        let windows = self.windows.iter().zip(Owner::with_address(actor));
        windows.map(|(windows, owner)| windows.owed(owner, load)).max().unwrap_or_default()
    }

    /// Refuses items above the rate of the account or address. Counts the others if `is_spent`.
    fn check_rate(&self, actor: &Actor, items: usize, is_spent: bool) -> Result<(), Error> {
        let Some(rates) = self.rates.as_ref().filter(|_| items > 0) else { return Ok(()) };
        let (now, count) = (self.clock.instant(), u32::try_from(items).unwrap_or(u32::MAX));
        let ([owner, address], [owners, addresses]) = (Owner::with_address(actor), rates);
        let buckets = [owners.of(&owner, now), addresses.of(&address, now)];
        let mut buckets = buckets.each_ref().map(|bucket| bucket.lock());
        for (bucket, rate) in buckets.iter().zip(rates) {
            let wait = bucket.wait(count, now);
            if !wait.is_zero() {
                return Err(self.exceeded(rate.limit().points.get(), wait, ADVICE_ITEMS));
            }
        }
        if is_spent {
            for bucket in &mut buckets {
                bucket.spend(count, now);
            }
        }
        Ok(())
    }

    fn exceeded(&self, limit: u32, retry_after: Duration, reason: &'static str) -> Error {
        Error::RequestsExceeded(Exceeded::new(limit, retry_after, &self.clock, reason))
    }
}

/// Refuses a list of new items that is too large to deliver at once: it would delay the messages of
/// all other clients, and fill the send queues of all subscribers.
fn check_list(created: u64, load: Load) -> Result<(), Error> {
    let Load { deliveries, followers } = load;
    if created <= LIST_MIN || deliveries <= ALONE {
        return Ok(());
    }
    let fitting = (ALONE * created / deliveries).max(LIST_MIN);
    Err(Error::LimitExceeded(format!(
        "{created} new items are too many to deliver to {followers} subscriptions at once: create \
         at most {fitting} at a time"
    )))
}

/// Returns the collection that an operation changes, its weight in deliveries to each follower, and
/// its number of items.
fn weigh(op: &Mutation) -> Option<(&'static Collection, u64, usize)> {
    let (collection, weight, items) = match op {
        Mutation::Create { collection, rows } => {
            let texts = rows.iter().map(|row| row.text_bytes() / TEXT_BYTES).sum::<usize>();
            (collection, rows.len() + texts, rows.len())
        }
        Mutation::Update { collection, keys, set, .. } => {
            let texts: usize = set.iter().map(|(_, value)| value.text_bytes()).sum();
            let texts = texts.saturating_mul(keys.len()) / TEXT_BYTES;
            (collection, 1 + keys.len() / CHANGED_EACH + texts, keys.len())
        }
        Mutation::Delete { collection, keys, .. } => {
            (collection, 1 + keys.len() / DELETED_EACH, keys.len())
        }
        // Internal changes: sessions that end with an account, and changes without an event.
        Mutation::DeleteWhere { .. }
        | Mutation::Finish { .. }
        | Mutation::Erase { .. }
        | Mutation::ProjectActivity => {
            return None;
        }
    };
    Some((collection, number(weight), items))
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
