//! Decides whether the index helps a selection, and queries it.
//!
//! A rare term is best looked up. For a frequent term and a short page, it is faster to scan the
//! messages in the requested order. The work of this decision is bounded; the result is the same
//! either way.

use sea_query::{Expr, Value as SqlValue};
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use crate::model::Collection;
use crate::query::{Filter, Select};
use crate::store::StoreError;
use crate::store::search::BEHIND_MAX;
use crate::store::search::term::SearchTerm;

/// Number of candidates that are always looked up where a scan may take long, since a filter or
/// another order makes it unknown when the page is full.
const FEW: i64 = 20_000;

/// Cost of looking up one candidate, in scanned messages.
const LOOKUP_COST: i64 = 8;

/// The requested part of a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Asked {
    /// Its page.
    Page,
    /// All matches, to be counted or aggregated.
    Whole,
}

/// The messages that can match a selection, in the snapshot that was queried.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) struct Candidates {
    term: SearchTerm,
    /// A key that matches as well.
    key: Option<i64>,
    /// The offset of the last indexed event.
    seq: i64,
}

impl Candidates {
    /// Returns the condition that `key`, the key column, is the key of a candidate.
    pub(in crate::store) fn condition(&self, key: Expr) -> Expr {
        let found = match &self.term {
            SearchTerm::Trigrams(_) => {
                "select rowid from chinwag_search_texts where chinwag_search_texts match ?"
            }
            SearchTerm::Range(_, Some(_)) => {
                "select doc from chinwag_search_terms where term >= ? and term < ?"
            }
            SearchTerm::Range(_, None) => "select doc from chinwag_search_terms where term >= ?",
        };
        let changed = "select changed.value from event_log join json_each(event_log.keys) as changed \
                       where event_log.seq > ? and event_log.collection = 'messages'";
        let mut values: Vec<SqlValue> = match &self.term {
            SearchTerm::Trigrams(query) => vec![query.clone().into()],
            SearchTerm::Range(from, to) => [Some(from), to.as_ref()]
                .into_iter()
                .flatten()
                .map(|text| text.clone().into())
                .collect(),
        };
        values.push(self.seq.into());
        let mut list = format!("{found} union all {changed}");
        if let Some(key) = self.key {
            list.push_str(" union all select ?");
            values.push(key.into());
        }
        let values = values.into_iter().map(Expr::val);
        Expr::cust_with_exprs(format!("? in ({list})"), [key].into_iter().chain(values))
    }
}

/// The progress of the index, and the size of the table.
struct Standing {
    seq: i64,
    /// The last key assigned: about the number of messages.
    messages: i64,
}

/// Returns whether [`narrow`] can query the index for a selection.
pub(in crate::store) fn applies(collection: &'static Collection, select: &Select) -> bool {
    SearchTerm::of(collection, select).is_some()
}

/// Queries the index for the candidates of a selection. `None` if a scan is necessary or cheaper.
/// Must run in the transaction that reads the messages.
///
/// # Errors
/// When the database fails.
pub(in crate::store) async fn narrow(
    connection: &mut SqliteConnection,
    collection: &'static Collection,
    select: &Select,
    asked: Asked,
) -> Result<Option<Candidates>, StoreError> {
    let Some((term, key)) = SearchTerm::of(collection, select) else { return Ok(None) };
    let Some(Standing { seq, messages }) = standing(connection).await? else { return Ok(None) };
    let candidates = Candidates { term, key, seq };
    let wanted = if asked == Asked::Page { wanted(select) } else { None };
    let direction = direction(select);
    let few = match wanted {
        None => messages / LOOKUP_COST,
        Some(wanted) if direction.is_some() => root(wanted, messages),
        Some(wanted) => Ord::max(root(wanted, messages), FEW),
    };
    if !has_more(connection, &candidates.term, few).await? {
        return Ok(Some(candidates));
    }
    // A frequent term: if its matches are far from the head of the list, scanning the messages
    // before them costs more than looking up all matches.
    if let (Some(wanted), Some(descending), SearchTerm::Trigrams(query)) =
        (wanted, direction, &candidates.term)
    {
        let far = distance(connection, query, wanted, descending).await?.unwrap_or(messages);
        let many = has_more(connection, &candidates.term, far / LOOKUP_COST).await?;
        return Ok((!many).then_some(candidates));
    }
    Ok(None)
}

/// Returns the number of rows to be found for the page; `None` for all.
fn wanted(select: &Select) -> Option<i64> {
    let limit = i64::try_from(select.limit?).ok()?;
    limit.checked_add(i64::try_from(select.offset).ok()?)
}

/// Returns the number of candidates at which, if evenly spread, a scan and a lookup cost the same:
/// the square root of the product.
fn root(wanted: i64, messages: i64) -> i64 {
    let product = wanted.unsigned_abs().saturating_mul(messages.unsigned_abs());
    i64::try_from(product.isqrt()).unwrap_or(i64::MAX)
}

/// Returns whether the order is descending, if it is that of keys or of dates, which are nearly the
/// same. `None` for other orders, and where a filter excludes rows.
fn direction(select: &Select) -> Option<bool> {
    let along = |name: &str| name == "id" || name == "date_created";
    let nothing_else = match &select.search {
        Some(_) => select.filter.is_everything(),
        None => matches!(select.filter, Filter::Field(..)),
    };
    match select.sort.first() {
        _ if !nothing_else => None,
        None => Some(false),
        Some(by) => (by.path.is_empty() && by.part.is_none() && along(by.field.name))
            .then_some(by.descending),
    }
}

async fn standing(connection: &mut SqliteConnection) -> Result<Option<Standing>, StoreError> {
    let row = sqlx::query(
        "select seq, below is null and seq >= 0, \
         (select value from chinwag_counters where name = 'seq'), \
         (select value from chinwag_counters where name = 'messages') from chinwag_search",
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let seq = row.try_get(0)?;
    let behind = row.try_get::<i64, _>(2)? - seq;
    if !row.try_get::<bool, _>(1)? || behind > BEHIND_MAX {
        return Ok(None);
    }
    // The log may have been truncated past the index.
    let logged: i64 = sqlx::query("select count(*) from event_log where seq > ?")
        .bind(seq)
        .fetch_one(connection)
        .await?
        .try_get(0)?;
    Ok((logged == behind).then_some(Standing { seq, messages: row.try_get(3)? }))
}

/// Returns whether the index has more candidates than this number.
async fn has_more(
    connection: &mut SqliteConnection,
    term: &SearchTerm,
    than: i64,
) -> Result<bool, StoreError> {
    let query = match term {
        SearchTerm::Trigrams(query) => sqlx::query(
            "select 1 from chinwag_search_texts where chinwag_search_texts match ? \
             limit 1 offset ?",
        )
        .bind(query.as_str()),
        SearchTerm::Range(from, Some(to)) => sqlx::query(
            "select 1 from chinwag_search_terms where term >= ? and term < ? limit 1 offset ?",
        )
        .bind(from.as_str())
        .bind(to.as_str()),
        SearchTerm::Range(from, None) => {
            sqlx::query("select 1 from chinwag_search_terms where term >= ? limit 1 offset ?")
                .bind(from.as_str())
        }
    };
    Ok(query.bind(than).fetch_optional(connection).await?.is_some())
}

/// Returns the distance in keys from the head of the list to the last row of the page; `None` if
/// the list is shorter.
async fn distance(
    connection: &mut SqliteConnection,
    query: &str,
    wanted: i64,
    descending: bool,
) -> Result<Option<i64>, StoreError> {
    let (order, edge) = if descending { ("desc", "max") } else { ("asc", "min") };
    let sql = format!(
        "select abs(rowid - (select {edge}(id) from messages)) from chinwag_search_texts \
         where chinwag_search_texts match ? order by rowid {order} limit 1 offset ?"
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(query)
        .bind(wanted.saturating_sub(1))
        .fetch_optional(connection)
        .await?;
    row.map(|row| row.try_get(0)).transpose().map_err(StoreError::from)
}
