//! The memory budget of responses that clients have not read yet.
//!
//! A response stays in memory until its client has read it, at the pace of the client. It counts
//! against the budget of its account, or of all visitors from one address, so that a client that
//! requests long lists and does not read them cannot exhaust the memory of others
//! (`domain::memory`). The connection enforces the read timeout.

use bytes::Bytes;
use poem::Response;

use crate::domain::memory::Reservation;
use crate::transport::error::Refusal;

/// Reserves memory for a response until the client has read it.
///
/// # Errors
/// When the budget is exceeded, but never for the response to a change, which has been committed.
pub async fn hold(
    mut response: Response,
    mut memory: Reservation,
    is_change: bool,
) -> Result<Response, Refusal> {
    let bytes = response.take_body().into_bytes().await.map_err(|_| Refusal::Internal)?;
    if is_change {
        memory.resize_anyway(bytes.len());
    } else {
        memory.resize_to_fit(bytes.len())?;
    }
    if memory.is_counted() {
        response.set_body(Bytes::from_owner(Held { bytes, _memory: memory }));
    } else {
        response.set_body(bytes);
    }
    Ok(response)
}

/// Bytes with a memory reservation, released on drop.
pub struct Held {
    bytes: Bytes,
    _memory: Reservation,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use crate::domain::Error;
    use crate::domain::memory::budget;
    use crate::domain::quota::{Owner, Quota};

    use super::*;

    const SHARE: usize = 64 << 10;

    async fn held(
        shares: &Arc<Quota>,
        number: u128,
        bytes: usize,
        is_change: bool,
    ) -> Result<Response, Refusal> {
        let memory = Reservation::new(shares, Owner::Account(Uuid::from_u128(number)));
        hold(Response::builder().body(vec![b'x'; bytes]), memory, is_change).await
    }

    #[tokio::test]
    async fn unread_responses_exhaust_the_quota_of_their_owner_only() {
        let shares = budget(4 * SHARE);

        // Many small responses count like one large response.
        let mut unread = Vec::new();
        for _ in 0..4 {
            unread.push(held(&shares, 1, SHARE / 4, false).await.ok().unwrap());
        }
        let refused = held(&shares, 1, SHARE / 4, false).await.err().unwrap();
        assert!(matches!(refused, Refusal::Domain(Error::ShareExceeded { .. })));
        let others = held(&shares, 2, SHARE, false).await.ok().unwrap();
        assert_eq!(others.into_body().into_bytes().await.unwrap().len(), SHARE);
        for one in unread {
            assert_eq!(one.into_body().into_bytes().await.unwrap().len(), SHARE / 4);
        }

        assert!(held(&shares, 1, SHARE, false).await.is_ok());
    }

    #[tokio::test]
    async fn responses_to_writes_count_but_are_never_rejected() {
        let shares = budget(4 * SHARE);

        let change = held(&shares, 1, 3 * SHARE, true).await.ok().unwrap();

        assert!(held(&shares, 1, SHARE / 2, false).await.is_err());
        drop(change);
        assert!(held(&shares, 1, SHARE / 2, false).await.is_ok());
    }
}
