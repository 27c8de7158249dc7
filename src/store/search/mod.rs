//! Search in the texts of messages: a trigram index beside the table.
//!
//! The index lags behind the table by the latest writes, and stores neither the case nor the
//! positions of trigrams. So it only provides candidates, together with all messages changed since;
//! the statement then tests each candidate (`compile`). The result equals that of a scan at any
//! time. `indexer` updates the index, `term` and `narrow` query it, and `purge` removes the
//! traces of deleted texts from it.

mod indexer;
mod narrow;
mod purge;
mod term;

pub(super) use indexer::Indexer;
pub(super) use narrow::applies;
pub(super) use narrow::narrow;
pub(super) use narrow::{Asked, Candidates};
pub(super) use purge::Purges;

/// Maximum lag of the index, in events; beyond it, searches scan all messages.
const BEHIND_MAX: i64 = 20_000;
