//! The deliveries of one account, or of one address, that are in flight.
//!
//! A write is admitted at once while few deliveries are in flight, so a client that waits for the
//! delivery of one message before it sends the next is never held back. A client that does not
//! wait, or sends lists, floods. While another account or address writes too, the writes of a flood
//! are admitted one at a time, and take a limited share of the delivery time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use crate::domain::admission::progress::Progress;
use crate::domain::bounded_map::BoundedMap;
use crate::domain::quota::Owner;

/// Maximum number of deliveries in flight while no other account or address writes.
pub(super) const ALONE: u64 = 1 << 16;
/// Maximum number of deliveries in flight while another writes, or the deliveries of
/// `CONTENDED_ITEMS` items if that is more.
const CONTENDED: u64 = 1 << 10;
const CONTENDED_ITEMS: u64 = 4;
/// Time for which an account or address counts as writing after a write.
const RECENT: Duration = Duration::from_secs(1);
/// The inverse of the share of the delivery time that a flood may take.
const PART: u32 = 10;
/// Polling interval of the delivery progress.
const PAUSE: Duration = Duration::from_millis(1);

/// The windows of all accounts, or of all addresses.
pub(super) struct Windows {
    progress: Arc<Progress>,
    /// Size of a window, as a multiple of the window of one account.
    factor: u32,
    known: BoundedMap<Owner, Window>,
    /// The last two owners that wrote, with the times.
    last: Mutex<[Option<(Owner, Instant)>; 2]>,
}

#[derive(Default)]
struct Window {
    /// Held by the first waiting write.
    turn: AsyncMutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Deliveries of uncommitted writes.
    begun: u64,
    /// Last events of committed writes, with their deliveries.
    committed: VecDeque<(i64, u64)>,
    under_way: u64,
    /// Earliest times of the next single write and of the next list of a flood.
    singles_paid: Option<Instant>,
    lists_paid: Option<Instant>,
}

/// The deliveries of a write. They are in flight until they are written, or until this is dropped
/// before the commit.
pub(super) struct Slot {
    window: Arc<Window>,
    deliveries: u64,
}

/// The deliveries that a write causes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) deliveries: u64,
    /// The number of subscriptions that each item is delivered to.
    pub(super) followers: u64,
}

impl Windows {
    pub(super) fn new(progress: Arc<Progress>, factor: u32) -> Self {
        Self { progress, factor, known: BoundedMap::default(), last: Mutex::default() }
    }

    /// Waits until the deliveries of a write may begin.
    pub(super) async fn enter(&self, owner: Owner, load: Load) -> Slot {
        let (window, now) = (self.known.get_or_insert(&owner, Window::default), Instant::now());
        self.note(owner, now);
        let is_free =
            window.turn.try_lock().is_ok_and(|_turn| self.try_free(&window, owner, load, now));
        if !is_free {
            let _turn = window.turn.lock().await;
            while let Err(until) = self.try_in_turn(&window, owner, load, Instant::now()) {
                tokio::time::sleep_until(until).await;
            }
        }
        Slot { window, deliveries: load.deliveries }
    }

    /// Returns the minimum time that a write has to wait for earlier ones.
    pub(super) fn owed(&self, owner: Owner, load: Load) -> Duration {
        let now = Instant::now();
        let Some(window) = self.known.get(&owner).filter(|_| self.is_contended(owner, now)) else {
            return Duration::ZERO;
        };
        let is_list = load.deliveries > self.most(load, true);
        let paid = *window.state.lock().paid(is_list);
        paid.map_or(Duration::ZERO, |paid| paid.saturating_duration_since(now))
    }

    /// Records a write of an owner.
    fn note(&self, owner: Owner, now: Instant) {
        let mut last = self.last.lock();
        if last[0].as_ref().is_none_or(|(known, _)| *known != owner) {
            last.swap(0, 1);
        }
        last[0] = Some((owner, now));
    }

    /// Returns whether another owner wrote recently.
    fn is_contended(&self, owner: Owner, now: Instant) -> bool {
        let last = self.last.lock();
        let another = |(other, at): &(Owner, Instant)| *other != owner && *at + RECENT > now;
        last.iter().flatten().any(another)
    }

    fn most(&self, load: Load, is_contended: bool) -> u64 {
        let most =
            if is_contended { CONTENDED.max(CONTENDED_ITEMS * load.followers) } else { ALONE };
        most * u64::from(self.factor)
    }

    /// Admits a write at once if few deliveries are in flight.
    fn try_free(&self, window: &Window, owner: Owner, load: Load, now: Instant) -> bool {
        let is_contended = self.is_contended(owner, now);
        let most = self.most(load, is_contended);
        let mut state = window.state.lock();
        state.settle(self.progress.written());
        let floods = is_contended && state.singles_paid.is_some_and(|paid| paid > now);
        let is_free = !floods && state.under_way + load.deliveries <= most;
        if is_free {
            state.begin(load.deliveries);
        }
        is_free
    }

    /// Admits the first waiting write.
    ///
    /// # Errors
    /// The time of the next attempt.
    fn try_in_turn(
        &self,
        window: &Window,
        owner: Owner,
        load: Load,
        now: Instant,
    ) -> Result<(), Instant> {
        let is_contended = self.is_contended(owner, now);
        let most = self.most(load, is_contended);
        let mut state = window.state.lock();
        state.settle(self.progress.written());
        let is_list = load.deliveries > most;
        if is_contended && let Some(paid) = state.paid(is_list).filter(|paid| *paid > now) {
            return Err(paid.min(now + RECENT));
        }
        // A write above the limit is admitted while nothing else is in flight.
        if state.under_way > 0 && state.under_way + load.deliveries > most {
            return Err(now + PAUSE);
        }
        state.begin(load.deliveries);
        if is_contended {
            let deliveries = u32::try_from(load.deliveries).unwrap_or(u32::MAX);
            let time = self.progress.of_delivery().saturating_mul(deliveries) * PART / self.factor;
            *state.paid(is_list) = Some(now + time);
        }
        Ok(())
    }
}

impl State {
    fn paid(&mut self, is_list: bool) -> &mut Option<Instant> {
        if is_list { &mut self.lists_paid } else { &mut self.singles_paid }
    }

    fn begin(&mut self, deliveries: u64) {
        self.begun += deliveries;
        self.under_way += deliveries;
    }

    /// Removes the writes with all their deliveries written.
    fn settle(&mut self, written: i64) {
        while let Some((_, deliveries)) = self.committed.pop_front_if(|(seq, _)| *seq <= written) {
            self.under_way -= deliveries;
        }
    }
}

impl Slot {
    /// Records the commit of the write, with its last event.
    pub(super) fn commit(mut self, seq: i64) {
        let deliveries = std::mem::take(&mut self.deliveries);
        let mut state = self.window.state.lock();
        state.begun -= deliveries;
        state.committed.push_back((seq, deliveries));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.window.state.lock();
        state.begun -= self.deliveries;
        state.under_way -= self.deliveries;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use uuid::Uuid;

    use super::*;

    const FOLLOWERS: u64 = 500;
    const BUSY: Owner = Owner::Account(Uuid::from_u128(1));
    const OTHER: Owner = Owner::Account(Uuid::from_u128(2));

    fn windows() -> (Arc<Progress>, Windows) {
        let progress = Arc::new(Progress::new(0));
        let windows = Windows::new(Arc::clone(&progress), 1);
        (progress, windows)
    }

    const fn items(count: u64) -> Load {
        Load { deliveries: count * FOLLOWERS, followers: FOLLOWERS }
    }

    fn enter(windows: &Windows, owner: Owner, count: u64) -> Option<Slot> {
        windows.enter(owner, items(count)).now_or_never()
    }

    #[tokio::test]
    async fn a_lone_writer_has_a_bounded_number_of_deliveries_in_flight() {
        let (progress, windows) = windows();
        let most = ALONE / FOLLOWERS;

        enter(&windows, BUSY, most).unwrap().commit(7);
        assert!(enter(&windows, BUSY, 1).is_none());
        progress.deliver(6);
        assert!(enter(&windows, BUSY, 1).is_none());
        progress.deliver(7);

        // An uncommitted write leaves nothing in flight.
        drop(enter(&windows, BUSY, most).unwrap());
        assert!(enter(&windows, BUSY, 10 * most).is_some());
    }

    #[tokio::test]
    async fn a_client_that_awaits_its_deliveries_is_never_delayed() {
        let (progress, windows) = windows();
        enter(&windows, BUSY, 10).unwrap().commit(1);

        for seq in 2..1000 {
            let own = enter(&windows, OTHER, 1).unwrap();
            own.commit(seq);
            progress.deliver(seq);
        }
    }

    #[tokio::test]
    async fn a_flood_gets_a_bounded_share_beside_another_writer() {
        const FLOOD: u32 = 40;
        for writes in [false, true] {
            let (progress, windows) = windows();
            let begun = Instant::now();
            let seq = AtomicI64::new(0);
            let next = || seq.fetch_add(1, Ordering::Relaxed) + 1;
            let one = async || windows.enter(BUSY, items(1)).await.commit(next());
            let flood = join_all((0..FLOOD).map(|_| one()));
            let others = async {
                loop {
                    if writes {
                        enter(&windows, OTHER, 1).expect("the window is open").commit(next());
                    }
                    progress.deliver(seq.load(Ordering::Relaxed));
                    tokio::time::sleep(PAUSE).await;
                }
            };
            tokio::select! {
                biased;
                () = others => {}
                _ = flood => {}
            }
            let each = progress.of_delivery() * u32::try_from(FOLLOWERS).unwrap() * PART;
            let is_slow = begun.elapsed() >= each * (FLOOD - 10);
            assert_eq!(is_slow, writes, "{:?}", begun.elapsed());
        }
    }

    #[tokio::test]
    async fn a_bulk_write_delays_later_bulk_writes_but_no_single_ones() {
        let (progress, windows) = windows();
        enter(&windows, OTHER, 1).unwrap().commit(1);
        windows.enter(BUSY, items(100)).await.commit(2);
        progress.deliver(2);

        let owed = progress.of_delivery() * u32::try_from(100 * FOLLOWERS).unwrap() * PART;
        let still_owed = windows.owed(BUSY, items(100));
        assert!(still_owed <= owed && still_owed > owed / 2, "{still_owed:?} of {owed:?}");
        assert_eq!(windows.owed(BUSY, items(1)), Duration::ZERO);
        assert!(enter(&windows, BUSY, 100).is_none());
        drop(enter(&windows, BUSY, 1).unwrap());

        // No other client writes any longer, so no wait is due.
        tokio::time::sleep(RECENT).await;
        assert_eq!(windows.owed(BUSY, items(100)), Duration::ZERO);
        assert!(enter(&windows, BUSY, 100).is_some());
    }
}
