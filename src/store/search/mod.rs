//! Finding messages by what they say: an index of trigrams beside the table.
//!
//! The index is behind the table by what was written last, and it does not know upper from lower
//! case nor where in a text a trigram is. So it only names candidates, together with everything that
//! has changed since; the statement then asks each message itself (`compile`). The answer is that of
//! a scan, at any time. `indexer` keeps the index, `needle` and `narrow` ask it, and `purge` removes what
//! deleted texts left in it.

mod indexer;
mod narrow;
mod needle;
mod purge;

pub(super) use indexer::Indexer;
pub(super) use narrow::Asked;
pub(super) use narrow::Candidates;
pub(super) use narrow::applies;
pub(super) use narrow::narrow;
pub(super) use purge::Purges;

/// How many events the index may be behind; while it is further, searches look at every message.
const BEHIND_MAX: i64 = 20_000;
