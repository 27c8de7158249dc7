//! The newest messages as one list, shared by all subscribers with the same access.
//!
//! The list is read once and then updated by the events themselves. It is read again only when an
//! event does not determine the result (a full list loses a line, an author changes its name).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::json;

use crate::domain::Error;
use crate::domain::items::Items;
use crate::domain::items::plan::Plan;
use crate::domain::permissions::Permissions;
use crate::domain::subscriptions::topics::line::Line;
use crate::domain::subscriptions::topics::{Encode, Topic};
use crate::model::schema::messages;
use crate::model::schema::users;
use crate::model::schema::{MESSAGES, USERS};
use crate::model::{Action, Actor, Change, Event, Field, Key};
use crate::query::Relations;

static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// Returns the plan to read the newest messages for an actor; `None` without access to messages.
///
/// # Errors
/// The errors of parsing and planning a query.
pub(in crate::domain::subscriptions) fn plan(
    items: &Items,
    permissions: &Permissions,
    actor: &Actor,
    length: usize,
) -> Result<Option<Plan>, Error> {
    let Ok(scope) = permissions.scope(actor, &MESSAGES, Action::Read) else { return Ok(None) };
    let shows = |field: &'static Field| scope.has(field);
    // Without keys, changes cannot be delivered.
    if !shows(&messages::id) || !shows(&messages::content) {
        return Ok(None);
    }
    let mut fields = vec!["content"];
    if shows(&messages::guest) {
        fields.push("guest");
    }
    let names = permissions.scope(actor, &USERS, Action::Read);
    if shows(&messages::user_created) && names.is_ok_and(|names| names.has(&users::first_name)) {
        fields.push("user_created.first_name");
    }
    let sort = if shows(&messages::date_created) { "-date_created" } else { "-id" };
    let mut query = items.parse(actor, &MESSAGES, &json!({"fields": fields, "sort": [sort]}))?;
    query.select.limit = u64::try_from(length).ok();
    Plan::new(permissions, actor, &query).map(Some)
}

/// The newest messages within one scope.
pub(super) struct Feed {
    pub(super) plan: Plan,
    number: u64,
    /// The maximum bytes of lines that are shown. No more are kept.
    bytes_max: usize,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    /// The oldest first.
    lines: VecDeque<Line>,
    /// Whether there are no older messages.
    whole: bool,
    /// Whether older lines were left out because of the byte limit.
    cut: bool,
    /// The offset of the last event that is in the list.
    seq: i64,
    /// Incremented by each change.
    version: u64,
    /// The frame of this version, once it was requested.
    frame: Option<Bytes>,
    /// Whether an update by an event failed.
    stale: bool,
}

impl Feed {
    /// Reads the list.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn read(plan: Plan, items: &Items, bytes_max: usize) -> Result<Self, Error> {
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let feed = Self { plan, number, bytes_max, list: Mutex::default() };
        feed.read_anew(items).await?;
        Ok(feed)
    }

    /// Returns the identity of this state, unique among all states of all lists.
    pub(super) fn version(&self) -> (u64, u64) {
        (self.number, self.list.lock().version)
    }

    /// Returns the length of the frame in bytes; 0 if it was not requested yet.
    pub(super) fn frame_bytes(&self) -> usize {
        self.list.lock().frame.as_ref().map_or(0, Bytes::len)
    }

    /// Returns whether the list is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.list.lock().lines.is_empty()
    }

    /// Returns the frame of the list, and the version of its state.
    pub(super) fn frame(&self, encode: Encode) -> ((u64, u64), Bytes) {
        let mut list = self.list.lock();
        let version = (self.number, list.version);
        if let Some(frame) = &list.frame {
            return (version, frame.clone());
        }
        let frame = encode(Topic::Chat, &payload(&list.lines));
        list.frame = Some(frame.clone());
        (version, frame)
    }

    /// Updates the list with events, in order. After a failure the list is read again, now or with
    /// the next events.
    pub(super) async fn follow(&self, items: &Items, events: &[Arc<Event>], missed: bool) {
        let mut anew = missed || self.list.lock().stale;
        for event in events {
            // A new read covers all of these events.
            if anew || event.seq <= self.list.lock().seq {
                continue;
            }
            anew = match self.apply(items, event).await {
                Ok(complete) => !complete,
                Err(_) => true,
            };
        }
        if anew && let Err(error) = self.read_anew(items).await {
            tracing::warn!(error = %error, "cannot read a list of messages, it will be read again");
            self.list.lock().stale = true;
        }
    }

    async fn read_anew(&self, items: &Items) -> Result<(), Error> {
        let Plan { select, projection } = &self.plan;
        let (rows, _, at) =
            items.store.read_at(projection.scope(), select.clone(), usize::MAX).await?;
        let whole = select
            .limit
            .is_none_or(|limit| rows.len() < usize::try_from(limit).unwrap_or(usize::MAX));
        let records = items.records(projection, rows, Relations::default()).await?;
        let mut lines: Vec<Line> =
            records.iter().filter_map(|record| Line::new(projection, record)).collect();
        lines.sort_by_key(|line| line.sort_key);
        let mut anew = List { lines: lines.into(), whole, ..List::default() };
        anew.cut(self.bytes_max);
        let mut list = self.list.lock();
        if list.lines != anew.lines {
            list.change();
        }
        (list.lines, list.whole, list.cut) = (anew.lines, anew.whole, anew.cut);
        (list.seq, list.stale) = (at.seq, false);
        Ok(())
    }

    /// Updates the list with one event. Returns whether the event was sufficient.
    async fn apply(&self, items: &Items, event: &Event) -> Result<bool, Error> {
        if *event.collection == USERS {
            return Ok(!self.depends_on(event));
        }
        if *event.collection != MESSAGES {
            return Ok(true);
        }
        let Plan { select, projection } = &self.plan;
        let rows = event.changes.iter().filter_map(|change| change.after.clone());
        let records = items.records(projection, rows, select.filter.relations()).await?;
        let fitting = records
            .iter()
            .filter(|record| projection.shows_key(record) && select.filter.matches(record));
        let lines: Vec<Line> = fitting.filter_map(|record| Line::new(projection, record)).collect();
        let length = select.limit.and_then(|limit| usize::try_from(limit).ok());
        let mut list = self.list.lock();
        list.seq = event.seq;
        let complete = list.replace(&event.changes, lines, length.unwrap_or(usize::MAX));
        list.cut(self.bytes_max);
        Ok(complete)
    }

    /// Returns whether a change of accounts can change the list.
    fn depends_on(&self, event: &Event) -> bool {
        let looks_behind = !self.plan.select.filter.relations().0.is_empty()
            || self
                .plan
                .projection
                .scope()
                .rules()
                .iter()
                .any(|rule| !rule.filter.relations().0.is_empty());
        let list = self.list.lock();
        event.changes.iter().any(|change| {
            let shown = list.lines.iter().any(|line| line.author == Some(change.key));
            (shown || looks_behind) && is_visible(change)
        })
    }
}

/// Returns whether more than the last use of an account has changed.
fn is_visible(change: &Change) -> bool {
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return true };
    let hidden: [&Field; 2] = [&users::last_access, &users::last_page];
    let mut fields = USERS.columns().filter(|field| !hidden.contains(field));
    fields.any(|field| before[field] != after[field])
}

impl List {
    fn change(&mut self) {
        self.version += 1;
        self.frame = None;
    }

    /// Replaces the lines of changed messages. Returns whether the list is complete: if it has
    /// become shorter, in number or in bytes, older messages may have to move up.
    fn replace(&mut self, changes: &[Change], lines: Vec<Line>, length: usize) -> bool {
        let (before, bytes_before) = (self.lines.len(), self.bytes());
        let mut gone: Vec<Line> = Vec::new();
        for change in changes {
            if let Some(at) = self.find(change.key) {
                gone.extend(self.lines.remove(at));
            }
        }
        let mut differs = gone.iter().any(|old| !lines.contains(old));
        for line in lines {
            let at = self.lines.partition_point(|other| other.sort_key < line.sort_key);
            if at == 0 && !self.whole {
                // Older than all lines: other messages may be in between.
                continue;
            }
            differs = differs || !gone.contains(&line);
            self.lines.insert(at, line);
        }
        let has_capacity = self.lines.len() < before || (self.cut && self.bytes() < bytes_before);
        let complete = self.whole || !has_capacity;
        while self.lines.len() > length {
            self.lines.pop_front();
            self.whole = false;
        }
        if differs {
            self.change();
        }
        complete
    }

    /// Drops the oldest lines beyond `bytes_max`, measured as a JSON list. The newest line stays,
    /// however long it is.
    fn cut(&mut self, bytes_max: usize) {
        let mut bytes = 2;
        let fits = |line: &&Line| {
            let first = bytes == 2;
            bytes += line.json.len() + 1;
            first || bytes <= bytes_max
        };
        let count = self.lines.iter().rev().take_while(fits).count();
        if count < self.lines.len() {
            self.lines.drain(..self.lines.len() - count);
            self.lines.shrink_to_fit();
            (self.whole, self.cut) = (false, true);
        }
    }

    fn bytes(&self) -> usize {
        self.lines.iter().map(|line| line.json.len()).sum()
    }

    fn find(&self, key: Key) -> Option<usize> {
        // Changed messages are mostly new.
        self.lines.iter().rposition(|line| line.key() == key)
    }
}

/// Returns lines as a JSON list.
fn payload(lines: &VecDeque<Line>) -> String {
    let mut payload = String::from("[");
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            payload.push(',');
        }
        payload.push_str(&line.json);
    }
    payload.push(']');
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: i64, length: usize) -> Line {
        let json = "x".repeat(length);
        Line { sort_key: (None, Key::Integer(number)), author: None, json }
    }

    fn change(number: i64) -> Change {
        Change { key: Key::Integer(number), before: None, after: None }
    }

    fn keys(list: &List) -> Vec<Key> {
        list.lines.iter().map(Line::key).collect()
    }

    #[test]
    fn the_list_is_truncated_to_its_byte_limit() {
        let lines = (1..=5).map(|number| line(number, 10)).collect();
        let mut list = List { lines, whole: true, ..List::default() };

        list.cut(2 + 5 * 11);
        assert!(list.whole && list.lines.len() == 5);
        assert!(list.replace(&[change(6)], vec![line(6, 21)], 100));
        list.cut(2 + 5 * 11);
        assert_eq!(keys(&list), [3, 4, 5, 6].map(Key::Integer));
        assert!(!list.whole);

        // As long as before: no room for older lines. Shorter: there may be.
        assert!(list.replace(&[change(6)], vec![line(6, 21)], 100));
        assert!(!list.replace(&[change(6)], vec![line(6, 20)], 100));
        assert!(list.replace(&[change(7)], vec![line(7, 1000)], 100));
        list.cut(2 + 5 * 11);
        assert_eq!(keys(&list), [7].map(Key::Integer));
        assert!(!list.replace(&[change(7)], Vec::new(), 100));
    }
}
