//! The memory that clients occupy: requests and messages while they are received, the JSON parsed
//! from them, lists while they are read, and responses until the clients have received them.
//!
//! All of it counts towards the budget of an account or of all visitors of one address, and towards
//! the budget of the process (`ANSWERS_SIZE_MAX`). Small reservations are free, so most requests
//! touch no shared counter. The number of connections bounds the number of small reservations.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::Error;
use crate::domain::quota::{Owner, Permit, Quota, QuotaExceeded};

/// The number of bytes up to which a reservation is free.
pub const FREE: usize = 8 << 10;
/// The granularity of larger reservations, in bytes.
const STEP: usize = 16 << 10;
/// The divisor that gives the budget of one account.
pub const ACCOUNT_SHARE: usize = 4;
/// The divisor that gives the budget of all visitors of one address.
pub const VISITORS_SHARE: usize = 20;
/// The retry delay after a refused reservation.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Creates an unused budget of `bytes_max` bytes.
#[must_use]
pub fn budget(bytes_max: usize) -> Arc<Quota> {
    Quota::with_visitors(bytes_max / ACCOUNT_SHARE, bytes_max / VISITORS_SHARE, bytes_max)
}

/// The memory reserved for one request, message or connection. It is released on drop.
#[derive(Debug)]
pub struct Reservation(Permit);

impl Reservation {
    /// Creates an empty reservation.
    #[must_use]
    pub fn new(shares: &Arc<Quota>, owner: Owner) -> Self {
        Self(shares.nothing(owner))
    }

    /// Returns the owner's budget in bytes.
    #[must_use]
    pub fn max(&self) -> usize {
        self.0.quota().max_of(self.0.owner())
    }

    /// Returns the owner's remaining budget in bytes.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0.quota().left_of(self.0.owner())
    }

    /// Returns how many of `bytes` bytes the owner may hold in one piece. An account may hold all
    /// of them, since [`Reservation::resize_to_fit`] admits a piece larger than its budget.
    /// Visitors may hold no more than their remaining budget.
    #[must_use]
    pub fn cap(&self, bytes: usize) -> usize {
        match self.0.owner() {
            Owner::Account(_) => bytes,
            _ if bytes <= FREE => bytes,
            Owner::Visitors(_) | Owner::Proxied => bytes.min(self.left()),
        }
    }

    /// Returns the number of reserved bytes, without the free ones.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.0.amount()
    }

    /// Returns the error for a reservation beyond the owner's remaining budget.
    #[must_use]
    pub fn exceeded(&self) -> Error {
        refused(QuotaExceeded::Owner, self.max())
    }

    /// Returns whether more than the free bytes are reserved.
    #[must_use]
    pub const fn is_counted(&self) -> bool {
        self.0.amount() > 0
    }

    /// Resizes the reservation to `bytes` bytes in total.
    ///
    /// # Errors
    /// [`Error::ShareExceeded`] if the owner's remaining budget is too small, [`Error::TooBusy`] if
    /// that of the process is. The reservation then keeps its size.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Error> {
        let counted = counted(bytes);
        if self.0.amount() == counted {
            return Ok(());
        }
        self.0.resize(counted).map_err(|exceeded| refused(exceeded, self.max()))
    }

    /// Resizes as [`Reservation::resize`], but never shrinks.
    ///
    /// # Errors
    /// As [`Reservation::resize`].
    pub fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        if counted(bytes) > self.bytes() { self.resize(bytes) } else { Ok(()) }
    }

    /// Moves the whole reservation into the returned one and leaves this one empty.
    #[must_use]
    pub fn split(&mut self) -> Self {
        let nothing = self.0.quota().nothing(self.0.owner());
        Self(std::mem::replace(&mut self.0, nothing))
    }

    /// Changes the owner, unless bytes are reserved.
    pub fn belong_to(&mut self, owner: Owner) {
        if self.0.owner() != owner && !self.is_counted() {
            self.0 = self.0.quota().nothing(owner);
        }
    }

    /// Resizes as [`Reservation::resize`], but caps the reservation of an account at its whole
    /// budget: a larger piece fits if the account holds nothing else.
    ///
    /// # Errors
    /// As [`Reservation::resize`].
    pub fn resize_to_fit(&mut self, bytes: usize) -> Result<(), Error> {
        match self.0.owner() {
            Owner::Account(_) => self.resize(bytes.min(self.max() / STEP * STEP)),
            Owner::Visitors(_) | Owner::Proxied => self.resize(bytes),
        }
    }

    /// Resizes as [`Reservation::resize`], even beyond the budget: for memory that is occupied
    /// already and cannot be released.
    pub fn resize_anyway(&mut self, bytes: usize) {
        let counted = counted(bytes);
        if self.0.amount() != counted {
            self.0.resize_anyway(counted);
        }
    }
}

/// Returns the number of bytes that count towards the budget: none up to `FREE`, otherwise a
/// multiple of `STEP`.
const fn counted(bytes: usize) -> usize {
    if bytes <= FREE { 0 } else { bytes.div_ceil(STEP).saturating_mul(STEP) }
}

const fn refused(exceeded: QuotaExceeded, share: usize) -> Error {
    match exceeded {
        QuotaExceeded::Owner => Error::ShareExceeded { share, retry_after: RETRY_AFTER },
        QuotaExceeded::Total => Error::TooBusy { retry_after: RETRY_AFTER },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VISITORS: Owner = Owner::Visitors(None);

    #[test]
    fn small_reservations_are_free_and_large_ones_are_counted() {
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
    fn a_split_reservation_keeps_its_owner_and_is_released_on_drop() {
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
    fn the_total_over_all_owners_is_bounded() {
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
    fn an_oversized_piece_fits_if_the_account_holds_nothing_else() {
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
