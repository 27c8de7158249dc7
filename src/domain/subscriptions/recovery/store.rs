//! Positions of clients that keep no cursors themselves: those of the unmodified SDK.
//!
//! A page that subscribes with `recover` gives itself a name. Its acknowledged position is stored
//! under that name, so that the subscription resumes from there when the SDK repeats it: for each
//! account that was signed in on the page, and for the page without an account. Positions are
//! kept in memory, bounded, and written to the database at intervals. A client without a stored
//! position starts from the current self.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::domain::quota::Owner;
use crate::domain::subscriptions::recovery::RecoveryKey;
use crate::store::Position;

/// The fraction of positions, 1/16, that is evicted at once when there are too many, oldest first.
const SURPLUS: usize = 16;
/// The time after which a repeated acknowledgement of a position is recorded.
const AGE_STEP: Duration = Duration::from_mins(10);

/// The stored positions.
pub struct Positions {
    /// The maximum number of positions; visitors have at most half of them.
    all_max: usize,
    /// The maximum number for one account, or for the visitors of one address.
    of_one_max: usize,
    known: HashMap<RecoveryKey, Known>,
    /// The accounts with a position under the long name of a page, by that name without an account.
    accounts: HashMap<RecoveryKey, Vec<Uuid>>,
    /// The number of positions of each owner.
    counts: HashMap<Owner, usize>,
    /// The number of positions without an account.
    visitors: usize,
    /// The keys with changes that are not written yet.
    changed: HashSet<RecoveryKey>,
    dropped: HashSet<RecoveryKey>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    seq: i64,
    confirmed: Timestamp,
    /// The owner that confirmed it; `None` for a visitor's position that was loaded at startup.
    by: Option<Owner>,
}

impl Positions {
    /// Creates a store for `all_max` positions, and `of_one_max` for one account or address.
    pub fn new(all_max: usize, of_one_max: usize) -> Self {
        Self {
            all_max,
            of_one_max,
            known: HashMap::new(),
            accounts: HashMap::new(),
            counts: HashMap::new(),
            visitors: 0,
            changed: HashSet::new(),
            dropped: HashSet::new(),
        }
    }

    /// Loads stored positions; the last confirmed must come first.
    pub fn load(&mut self, positions: Vec<Position>) {
        for position in positions {
            let (seq, confirmed) = (position.seq, position.confirmed);
            let key = RecoveryKey::from(position);
            if self.known.len() < self.all_max / 2 {
                let by = key.owner();
                self.insert(key, Known { seq, confirmed, by });
            } else {
                self.dropped.insert(key);
            }
        }
        self.changed.clear();
    }

    /// Returns the position of exactly this account or page.
    pub fn find_own(&self, key: &RecoveryKey) -> Option<i64> {
        self.known.get(key).map(|known| known.seq)
    }

    /// Returns the position of a subscription: that of its account or, if there is none and for a
    /// page without a sign-in, the furthest position of its page under any account.
    pub fn find(&self, key: &RecoveryKey) -> Option<i64> {
        let seq = |key: &RecoveryKey| self.known.get(key).map(|known| known.seq);
        match seq(key) {
            own if key.owner.is_some() && own.is_some() => own,
            _ if !key.is_long() => None,
            _ => {
                let page = key.page();
                let others = self.accounts.get(&page).into_iter().flatten();
                let others = others.map(|user| RecoveryKey { owner: Some(*user), ..page.clone() });
                others.filter_map(|other| seq(&other)).chain(seq(&page)).max()
            }
        }
    }

    /// Stores the position from which a subscription begins.
    pub fn begin(&mut self, key: RecoveryKey, seq: i64, by: Owner, now: Timestamp) {
        self.insert(key, Known { seq, confirmed: now, by: Some(by) });
    }

    /// Records that a subscription has reached at least `seq`.
    pub fn advance(&mut self, key: RecoveryKey, seq: i64, by: Owner, now: Timestamp) {
        let known = self.known.get(&key);
        // No progress is recorded at intervals, as a sign of activity.
        if known.is_none_or(|known| known.seq < seq || known.confirmed.until(now) >= AGE_STEP) {
            let seq = known.map_or(seq, |known| known.seq.max(seq));
            self.insert(key, Known { seq, confirmed: now, by: Some(by) });
        }
    }

    /// Advances the accounts of a page that have everything up to `from` to `seq`: the page was
    /// shown the full range without a sign-in.
    pub fn advance_accounts(&mut self, page: &RecoveryKey, from: i64, seq: i64, now: Timestamp) {
        for user in self.accounts.get(page).cloned().unwrap_or_default() {
            let key = RecoveryKey { owner: Some(user), ..page.clone() };
            let known = self.known.get(&key).copied();
            if let Some(known) = known.filter(|known| (from..seq).contains(&known.seq)) {
                self.insert(key, Known { seq, confirmed: now, ..known });
            }
        }
    }

    /// Removes the position of exactly this account, or of the page without an account.
    pub fn drop_page(&mut self, key: &RecoveryKey) {
        self.remove(key);
    }

    /// Removes the positions that were last confirmed before an instant.
    pub fn forget(&mut self, before: Timestamp) {
        let old: Vec<RecoveryKey> = self
            .known
            .iter()
            .filter(|(_, known)| known.confirmed < before)
            .map(|(key, _)| key.clone())
            .collect();
        for key in old {
            self.remove(&key);
        }
    }

    /// Returns the positions to write and those to delete, since the last call.
    pub fn changes(&mut self) -> (Vec<Position>, Vec<Position>) {
        let changed = std::mem::take(&mut self.changed);
        let dropped = std::mem::take(&mut self.dropped);
        let position = |key: RecoveryKey, seq: i64, confirmed: Timestamp| Position {
            owner: key.owner,
            recover: key.recover.to_string(),
            uid: key.uid.to_string(),
            seq,
            confirmed,
        };
        let kept = changed
            .into_iter()
            .filter_map(|key| {
                let known = *self.known.get(&key)?;
                Some(position(key, known.seq, known.confirmed))
            })
            .collect();
        let gone = dropped
            .into_iter()
            .filter(|key| !self.known.contains_key(key))
            .map(|key| position(key, 0, Timestamp::from_millis(0)))
            .collect();
        (kept, gone)
    }

    /// Takes back changes that could not be written.
    pub fn retry(&mut self, kept: Vec<Position>, gone: Vec<Position>) {
        self.changed.extend(kept.into_iter().map(RecoveryKey::from));
        self.dropped.extend(gone.into_iter().map(RecoveryKey::from));
    }

    fn insert(&mut self, key: RecoveryKey, known: Known) {
        let by = known.by;
        self.changed.insert(key.clone());
        let account = key.owner.filter(|_| key.is_long()).map(|user| (key.page(), user));
        if let Some(before) = self.known.insert(key, known) {
            self.discount(before.by);
        } else if let Some((page, user)) = account {
            self.accounts.entry(page).or_default().push(user);
        }
        if !is_account(by) {
            self.visitors += 1;
        }
        // An owner that exceeds its limit evicts its own positions.
        if let Some(owner) = by {
            let count = self.counts.entry(owner).or_default();
            *count += 1;
            if *count > self.of_one_max {
                self.drop_oldest(self.of_one_max / SURPLUS + 1, |known| known.by == by);
            }
        }
        if self.visitors > self.all_max / 2 {
            let surplus = self.all_max / 2 / SURPLUS + 1;
            self.drop_oldest(surplus, |known| !is_account(known.by));
        }
        if self.known.len() > self.all_max {
            self.drop_oldest(self.all_max / SURPLUS + 1, |_| true);
        }
    }

    fn drop_oldest(&mut self, count: usize, of: impl Fn(&Known) -> bool) {
        let mut oldest: Vec<(Timestamp, RecoveryKey)> = self
            .known
            .iter()
            .filter(|(_, known)| of(known))
            .map(|(key, known)| (known.confirmed, key.clone()))
            .collect();
        oldest.sort_unstable_by_key(|(confirmed, _)| *confirmed);
        for (_, key) in oldest.into_iter().take(count) {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &RecoveryKey) {
        if let Some(known) = self.known.remove(key) {
            self.discount(known.by);
            self.changed.remove(key);
            self.dropped.insert(key.clone());
            let page = key.page();
            if let Some(accounts) = self.accounts.get_mut(&page) {
                accounts.retain(|user| Some(*user) != key.owner);
                if accounts.is_empty() {
                    self.accounts.remove(&page);
                }
            }
        }
    }

    fn discount(&mut self, by: Option<Owner>) {
        if !is_account(by) {
            self.visitors -= 1;
        }
        if let Some(owner) = by
            && let Some(count) = self.counts.get_mut(&owner)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&owner);
            }
        }
    }
}

const fn is_account(owner: Option<Owner>) -> bool {
    matches!(owner, Some(Owner::Account(_)))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use std::sync::Arc;

    use super::*;

    const ALICE: Uuid = Uuid::from_u128(1);
    const BOB: Uuid = Uuid::from_u128(2);
    const BY_ALICE: Owner = Owner::Account(ALICE);
    const BY_BOB: Owner = Owner::Account(BOB);
    const ALL_MAX: usize = 200;
    const OF_ONE_MAX: usize = 20;

    fn positions() -> Positions {
        Positions::new(ALL_MAX, OF_ONE_MAX)
    }

    fn visitor(address: u32) -> Owner {
        Owner::Visitors(Some(IpAddr::V4(Ipv4Addr::from_bits(address))))
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn key(user: Option<Uuid>, recover: &str) -> Option<RecoveryKey> {
        RecoveryKey::of(user, &Arc::from(recover), Some("chat"))
    }

    fn page(number: usize) -> RecoveryKey {
        key(Some(ALICE), &format!("the page with the number {number}")).unwrap()
    }

    #[test]
    fn long_recovery_names_are_shared_and_short_ones_per_account() {
        let long = "0123456789abcdef";
        let (alices, bobs) = (key(Some(ALICE), long).unwrap(), key(Some(BOB), long).unwrap());
        let page = key(None, long).unwrap();
        let mut positions = positions();
        positions.advance(alices.clone(), 7, BY_ALICE, at(0));
        assert_eq!([&alices, &bobs, &page].map(|name| positions.find(name)), [Some(7); 3]);

        positions.advance(bobs.clone(), 5, BY_BOB, at(1));
        positions.advance(page.clone(), 9, visitor(1), at(2));

        let found = [&alices, &bobs, &page].map(|name| positions.find(name));
        assert_eq!(found, [Some(7), Some(5), Some(9)]);
        assert_eq!(key(None, "short"), None);
        positions.advance(key(Some(ALICE), "short").unwrap(), 3, BY_ALICE, at(0));
        assert_eq!(positions.find(&key(Some(BOB), "short").unwrap()), None);
    }

    #[test]
    fn an_anonymous_range_advances_accounts_at_its_start() {
        let mut positions = positions();
        let long = "0123456789abcdef";
        let (alices, bobs) = (key(Some(ALICE), long).unwrap(), key(Some(BOB), long).unwrap());
        positions.advance(alices.clone(), 7, BY_ALICE, at(0));
        positions.advance(bobs.clone(), 5, BY_BOB, at(1));

        positions.advance_accounts(&key(None, long).unwrap(), 7, 9, at(2));

        assert_eq!((positions.find(&alices), positions.find(&bobs)), (Some(9), Some(5)));
        positions.forget(at(2));
        assert_eq!(positions.accounts.values().flatten().count(), 1);
        positions.forget(at(3));
        assert!(positions.accounts.is_empty());
    }

    #[test]
    fn a_position_moves_back_only_on_a_new_subscription() {
        let mut positions = positions();
        positions.advance(page(1), 7, BY_ALICE, at(0));
        positions.advance(page(1), 5, BY_ALICE, at(1));
        assert_eq!(positions.find(&page(1)), Some(7));

        positions.begin(page(1), 3, BY_ALICE, at(2));

        assert_eq!(positions.find(&page(1)), Some(3));
        assert_eq!(positions.find(&page(2)), None);
    }

    #[test]
    fn positions_of_an_account_are_bounded() {
        let mut positions = positions();
        positions.advance(key(Some(BOB), "bob").unwrap(), 1, BY_BOB, at(0));
        for number in 0..OF_ONE_MAX + 10 {
            positions.advance(page(number), 1, BY_ALICE, at(1 + i64::try_from(number).unwrap()));
        }

        assert_eq!(positions.counts[&BY_ALICE], OF_ONE_MAX);
        assert_eq!(positions.find(&page(9)), None);
        assert_eq!(positions.find(&page(OF_ONE_MAX + 9)), Some(1));
        assert_eq!(positions.find(&key(Some(BOB), "bob").unwrap()), Some(1));
    }

    #[test]
    fn visitors_do_not_evict_accounts() {
        let mut positions = positions();
        positions.advance(page(0), 1, BY_ALICE, at(0));
        for number in 1..=2 * ALL_MAX {
            let address = u32::try_from(number).unwrap();
            positions.advance(page(number), 1, visitor(address), at(1));
        }

        assert_eq!(positions.find(&page(0)), Some(1));
        assert!(positions.known.len() <= ALL_MAX / 2 + 1);
    }

    #[test]
    fn visitors_of_one_address_do_not_evict_others() {
        let mut positions = positions();
        positions.advance(page(0), 1, visitor(1), at(0));
        for number in 1..=2 * ALL_MAX {
            positions.begin(page(number), 1, visitor(2), at(1));
        }

        assert_eq!(positions.find(&page(0)), Some(1));
        assert!(positions.known.len() <= OF_ONE_MAX + 1);
    }

    #[test]
    fn positions_are_persisted_restored_and_deleted() {
        let mut positions = positions();
        positions.advance(page(1), 7, BY_ALICE, at(5));
        positions.advance(page(2), 8, BY_ALICE, at(6));
        let (kept, gone) = positions.changes();
        assert_eq!((kept.len(), gone.len()), (2, 0));
        assert_eq!(positions.changes(), (vec![], vec![]));
        positions.retry(kept.clone(), gone);
        assert_eq!(positions.changes().0.len(), 2);

        let mut next = Positions::new(ALL_MAX, OF_ONE_MAX);
        next.load(kept);
        assert_eq!(next.find(&page(1)), Some(7));
        assert_eq!(next.changes(), (vec![], vec![]));
        next.forget(at(6));

        assert_eq!((next.find(&page(1)), next.find(&page(2))), (None, Some(8)));
        let (kept, gone) = next.changes();
        assert_eq!((kept.len(), gone.len()), (0, 1));
    }
}
