//! The memory that clients make the process hold: requests and messages while they are received, the JSON
//! that is read from them, lists while they are read, and responses until their clients have taken them.
//!
//! All of it counts together, for each account and for all visitors of one address, and for the process
//! (`ANSWERS_SIZE_MAX`). Small pieces are free, so that most requests touch no counter that others
//! touch: how many of them there can be is bounded by the number of connections.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::Error;
use crate::domain::shares::Owner;
use crate::domain::shares::Part;
use crate::domain::shares::Shares;
use crate::domain::shares::Spent;

/// How many bytes a reservation has for free.
pub const FREE: usize = 8 << 10;
/// In steps of how many bytes the others are counted.
const STEP: usize = 16 << 10;
/// The part of the whole that one account may hold.
pub const ACCOUNT_SHARE: usize = 4;
/// The part of the whole that all visitors of one address may hold together.
pub const VISITORS_SHARE: usize = 20;
/// When a client may try again that found no memory left.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Returns an unused budget of this number of bytes.
#[must_use]
pub fn budget(bytes_max: usize) -> Arc<Shares> {
    Shares::with_visitors(bytes_max / ACCOUNT_SHARE, bytes_max / VISITORS_SHARE, bytes_max)
}

/// The memory that is reserved for one request, message or connection; given back when it is dropped.
#[derive(Debug)]
pub struct Reservation(Part);

impl Reservation {
    /// Returns a reservation of nothing.
    #[must_use]
    pub fn new(shares: &Arc<Shares>, owner: Owner) -> Self {
        Self(shares.nothing(owner))
    }

    /// Returns how many bytes its owner may have reserved at most.
    #[must_use]
    pub fn max(&self) -> usize {
        self.0.shares().max_of(self.0.owner())
    }

    /// Returns how many bytes more its owner may reserve.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0.shares().left_of(self.0.owner())
    }

    /// Returns how many of so many bytes its owner may hold in one piece: an account all of them, since
    /// [`Reservation::resize_to_fit`] has a place for them, visitors no more than they have left.
    #[must_use]
    pub fn cap(&self, bytes: usize) -> usize {
        match self.0.owner() {
            Owner::Account(_) => bytes,
            _ if bytes <= FREE => bytes,
            Owner::Visitors(_) | Owner::Proxied => bytes.min(self.left()),
        }
    }

    /// Returns how many bytes are reserved, apart from the free ones.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.0.of_one()
    }

    /// Returns the refusal of more than the owner has left.
    #[must_use]
    pub fn exceeded(&self) -> Error {
        refused(Spent::One, self.max())
    }

    /// Returns whether more than the free bytes are reserved.
    #[must_use]
    pub const fn is_counted(&self) -> bool {
        self.0.of_one() > 0
    }

    /// Reserves as many bytes as that in all, more or less than before.
    ///
    /// # Errors
    /// [`Error::ShareExceeded`] if that is more than its owner has left, [`Error::TooBusy`] if it is more
    /// than the process has. The reservation stays as it is.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Error> {
        let counted = counted(bytes);
        if self.0.of_one() == counted {
            return Ok(());
        }
        self.0.resize(counted, counted).map_err(|spent| refused(spent, self.max()))
    }

    /// Reserves as [`Reservation::resize`], but never less than before.
    ///
    /// # Errors
    /// As [`Reservation::resize`].
    pub fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        if counted(bytes) > self.bytes() { self.resize(bytes) } else { Ok(()) }
    }

    /// Returns all that is reserved, and leaves nothing.
    #[must_use]
    pub fn split(&mut self) -> Self {
        let nothing = self.0.shares().nothing(self.0.owner());
        Self(std::mem::replace(&mut self.0, nothing))
    }

    /// Lets another owner have what is reserved from now on, unless something is.
    pub fn belong_to(&mut self, owner: Owner) {
        if self.0.owner() != owner && !self.is_counted() {
            self.0 = self.0.shares().nothing(owner);
        }
    }

    /// Reserves as [`Reservation::resize`], but of an account no more than all of its share: one thing that
    /// is larger has a place if the account holds nothing else.
    ///
    /// # Errors
    /// As [`Reservation::resize`].
    pub fn resize_to_fit(&mut self, bytes: usize) -> Result<(), Error> {
        match self.0.owner() {
            Owner::Account(_) => self.resize(bytes.min(self.max() / STEP * STEP)),
            Owner::Visitors(_) | Owner::Proxied => self.resize(bytes),
        }
    }

    /// Reserves as [`Reservation::resize`], even if that is more than there is: for memory that is held
    /// already and cannot be given up.
    pub fn resize_anyway(&mut self, bytes: usize) {
        let counted = counted(bytes);
        if self.0.of_one() != counted {
            self.0.resize_anyway(counted, counted);
        }
    }
}

/// Returns how many bytes count of so many.
const fn counted(bytes: usize) -> usize {
    if bytes <= FREE { 0 } else { bytes.div_ceil(STEP).saturating_mul(STEP) }
}

const fn refused(spent: Spent, share: usize) -> Error {
    match spent {
        Spent::One => Error::ShareExceeded { share, retry_after: RETRY_AFTER },
        Spent::All => Error::TooBusy { retry_after: RETRY_AFTER },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VISITORS: Owner = Owner::Visitors(None);

    #[test]
    fn small_pieces_are_free_and_larger_ones_count_until_they_are_dropped() {
        let shares = budget(VISITORS_SHARE * 4 * STEP);
        let mut small = Reservation::new(&shares, VISITORS);
        let mut large = Reservation::new(&shares, VISITORS);

        small.resize(FREE).unwrap();
        assert!(!small.is_counted());
        large.resize(FREE + 1).unwrap();
        assert_eq!(large.left(), 3 * STEP);
        large.resize(4 * STEP).unwrap();
        assert_eq!(large.left(), 0);
        assert!(matches!(
            small.resize(FREE + 1),
            Err(Error::ShareExceeded { share, .. }) if share == 4 * STEP
        ));
        large.resize(FREE).unwrap();
        assert!(!large.is_counted());
        small.resize(FREE + 1).unwrap();
        drop(small);

        assert_eq!(large.left(), 4 * STEP);
    }

    #[test]
    fn what_is_split_off_is_given_back_by_itself_and_belongs_to_whom_it_did() {
        let shares = budget(VISITORS_SHARE * 4 * STEP);
        let other = Owner::Account(uuid::Uuid::nil());
        let mut held = Reservation::new(&shares, VISITORS);
        held.grow(2 * STEP).unwrap();
        held.grow(1).unwrap();
        held.belong_to(other);

        let split = held.split();
        assert_eq!((split.bytes(), held.bytes()), (2 * STEP, 0));
        held.belong_to(other);
        held.grow(STEP).unwrap();
        assert_eq!(
            (split.left(), held.left()),
            (2 * STEP, (VISITORS_SHARE * 4 / ACCOUNT_SHARE - 1) * STEP)
        );
        drop((split, held));

        assert_eq!(Reservation::new(&shares, VISITORS).left(), 4 * STEP);
    }

    #[test]
    fn all_owners_together_have_a_bound() {
        let shares = budget(16 * STEP);
        let account = |number| Owner::Account(uuid::Uuid::from_u128(number));
        let mut held = Vec::new();
        for number in 0..4 {
            let mut reservation = Reservation::new(&shares, account(number));
            reservation.resize(4 * STEP).unwrap();
            held.push(reservation);
        }

        let refused = Reservation::new(&shares, account(9)).resize(STEP);

        assert!(matches!(refused, Err(Error::TooBusy { .. })));
    }

    #[test]
    fn one_large_thing_has_a_place_in_the_share_of_an_account() {
        let shares = budget(16 * STEP);
        let owner = Owner::Account(uuid::Uuid::nil());
        let mut large = Reservation::new(&shares, owner);
        let mut second = Reservation::new(&shares, owner);

        large.resize_to_fit(100 * STEP).unwrap();
        assert!(second.resize_to_fit(STEP).is_err());
        second.resize_anyway(STEP);
        drop(large);

        assert_eq!(second.left(), 3 * STEP);
        assert!(Reservation::new(&shares, VISITORS).resize_to_fit(2 * STEP).is_err());
    }
}
