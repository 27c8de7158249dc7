//! How much of answers may wait until their clients have read them.
//!
//! An answer is in memory as a whole until its client has taken it, at the pace of the client. Each
//! account, and all visitors from one address, have a share of what there is for that, so that whoever
//! asks for long lists and does not read them keeps nobody else from theirs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use poem::Response;

use crate::domain::Error;
use crate::domain::shares::Owner;
use crate::domain::shares::Part;
use crate::domain::shares::Shares;
use crate::domain::shares::Spent;
use crate::transport::error::Refusal;

/// Shorter answers are not counted: the connections are, and the system keeps as much for each.
const COUNTED_MIN: usize = 64 << 10;

/// The part of all that one account or address may have.
const SHARE: usize = 4;

/// The answers of one process that wait to be read.
pub struct Answers {
    shares: Arc<Shares>,
    of_one_max: usize,
}

impl Answers {
    /// Returns the answers, of which there are none, and which may have so many bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let of_one_max = bytes_max / SHARE;
        Self { shares: Shares::new(of_one_max, bytes_max), of_one_max }
    }

    /// Counts an answer until it was read. One that is longer than a share takes a whole share.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] if its reader has not read others, [`Error::TooBusy`] if too many
    /// have not.
    pub async fn count(&self, owner: Owner, mut answer: Response) -> Result<Response, Refusal> {
        let bytes = answer.take_body().into_bytes().await.map_err(|_| Refusal::Internal)?;
        if bytes.len() < COUNTED_MIN {
            answer.set_body(bytes);
            return Ok(answer);
        }
        let counted = bytes.len().min(self.of_one_max);
        let part = self.shares.take(owner, counted, counted).map_err(|spent| match spent {
            Spent::One => Error::LimitExceeded(format!(
                "the answers that you have not read yet would have more than {} bytes: read them \
                 first, or ask for fewer items or fields at a time",
                self.of_one_max
            )),
            Spent::All => Error::TooBusy { retry_after: Duration::from_secs(1) },
        })?;
        answer.set_body(Bytes::from_owner(Counted { bytes, _part: part }));
        Ok(answer)
    }
}

/// An answer, counted until it is dropped.
struct Counted {
    bytes: Bytes,
    _part: Part,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const SHARE_BYTES: usize = 100 << 10;

    fn account(number: u128) -> Owner {
        Owner::Account(Uuid::from_u128(number))
    }

    async fn count(answers: &Answers, owner: Owner, bytes: usize) -> Result<Response, Refusal> {
        answers.count(owner, Response::builder().body(vec![b'x'; bytes])).await
    }

    #[tokio::test]
    async fn who_does_not_read_gets_no_more_and_keeps_nobody_else_from_theirs() {
        let answers = Answers::new(4 * SHARE_BYTES);

        let unread = count(&answers, account(1), SHARE_BYTES).await.ok().unwrap();
        let refused = count(&answers, account(1), COUNTED_MIN).await.err().unwrap();
        assert!(matches!(refused, Refusal::Domain(Error::LimitExceeded(_))));
        // Short ones are not counted.
        assert!(count(&answers, account(1), COUNTED_MIN - 1).await.is_ok());
        let others = count(&answers, account(2), SHARE_BYTES).await.ok().unwrap();
        assert_eq!(others.into_body().into_bytes().await.unwrap().len(), SHARE_BYTES);
        assert_eq!(unread.into_body().into_bytes().await.unwrap().len(), SHARE_BYTES);

        assert!(count(&answers, account(1), SHARE_BYTES).await.is_ok());
    }

    #[tokio::test]
    async fn all_together_have_a_bound_and_an_answer_as_long_as_it_is_a_place() {
        let answers = Answers::new(4 * SHARE_BYTES);

        let mut unread = Vec::new();
        for number in 0..4 {
            unread.push(count(&answers, account(number), 10 * SHARE_BYTES).await.ok().unwrap());
        }
        let refused = count(&answers, account(9), COUNTED_MIN).await.err().unwrap();

        assert!(matches!(refused, Refusal::Domain(Error::TooBusy { .. })));
    }
}
