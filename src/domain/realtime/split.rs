//! Chunked delivery of an event that is too long for one frame. The chunks are sent one after the
//! other, as fast as the client reads.
//!
//! `View` makes the chunks, `replay` sends them. Subscriptions with the same progress share them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Weak;

use crate::domain::items::Counts;
use crate::domain::items::JsonText;
use crate::domain::realtime::News;
use crate::domain::realtime::view::View;
use crate::model::Event;
use crate::model::Key;

/// Limits for the payload of a frame, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lengths {
    /// For the items of an event in one frame, and for a single item.
    pub(super) whole: usize,
    /// For a chunk of a longer event, unless it is a single item.
    pub(super) part: usize,
}

/// The items of an event that match a view.
#[derive(Debug)]
pub(super) enum Portion {
    /// All of them, in one frame.
    Whole(JsonText),
    /// Chunks of them, and whether the last chunk is included.
    Parts(Vec<Part>, bool),
}

/// A chunk: the items of an event, or their keys, that one frame carries.
#[derive(Debug)]
pub(super) struct Part {
    data: JsonText,
    keys: Vec<Key>,
}

/// Chunks of an event, for the subscriptions that have received the same items of it.
pub(super) struct Split {
    seq: i64,
    action: &'static str,
    view: Weak<View>,
    /// The items already delivered, which the chunks leave out.
    told: HashSet<Key>,
    parts: Vec<Part>,
    /// Whether the last chunk is included.
    is_all: bool,
    counts: Option<Counts>,
}

/// The progress of a chunked delivery.
#[derive(Default)]
pub(super) struct Amid {
    seq: i64,
    keys: HashSet<Key>,
    /// The current chunks, and how many of them were sent.
    next: Option<(Arc<Split>, usize)>,
    /// The last cursor sent, by its offset; `None` for an offset that has no cursor.
    pub(super) cursor: Option<(i64, Option<Arc<str>>)>,
}

/// Divides items, each with its key, into chunks. Stops once these hold about as much as the
/// longest frame, so more may follow.
pub(super) fn divide(items: impl Iterator<Item = (Key, JsonText)>, lengths: Lengths) -> Portion {
    let (mut parts, mut keys, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    let (mut bytes, mut part_bytes) = (0, 0);
    for (key, text) in items {
        let length = text.get().len() + ",".len();
        if !keys.is_empty() && part_bytes + length > lengths.part {
            parts.push(Part::new(&mut texts, &mut keys));
            bytes += part_bytes;
            if bytes >= lengths.whole {
                return Portion::Parts(parts, false);
            }
            part_bytes = 0;
        }
        part_bytes += length;
        keys.push(key);
        texts.push(text);
    }
    parts.push(Part::new(&mut texts, &mut keys));
    Portion::Parts(parts, true)
}

impl Portion {
    /// Turns a single chunk that is also the last into a whole.
    pub(super) fn whole_if_one(self) -> Self {
        match self {
            Self::Parts(mut parts, true) if parts.len() == 1 => {
                parts.pop().map_or(Self::Parts(parts, true), |part| Self::Whole(part.data))
            }
            other => other,
        }
    }
}

impl Part {
    fn new(texts: &mut Vec<JsonText>, keys: &mut Vec<Key>) -> Self {
        let data = JsonText::list(texts);
        texts.clear();
        Self { data, keys: std::mem::take(keys) }
    }
}

impl Split {
    /// Creates the chunks of an event for a view. They leave out the items in `told`.
    pub(super) fn new(
        view: &Arc<View>,
        event: &Event,
        told: HashSet<Key>,
        (parts, is_all): (Vec<Part>, bool),
        counts: Option<Counts>,
    ) -> Arc<Self> {
        let (view, action) = (Arc::downgrade(view), event.action.name());
        Arc::new(Self { seq: event.seq, action, view, told, parts, is_all, counts })
    }

    /// Returns whether these chunks continue a delivery for a view.
    pub(super) fn follows(&self, amid: &Amid, view: &Arc<View>) -> bool {
        self.seq == amid.seq && self.view.as_ptr() == Arc::as_ptr(view) && self.told == amid.keys
    }
}

impl Amid {
    /// Begins a delivery with the given chunks.
    pub(super) fn begin(split: Arc<Split>) -> Self {
        let keys = split.told.clone();
        Self { seq: split.seq, keys, next: Some((split, 0)), cursor: None }
    }

    /// Returns whether the event at `seq` is being delivered.
    pub(super) const fn is_at(&self, seq: i64) -> bool {
        self.seq == seq
    }

    /// Returns the items already delivered.
    pub(super) const fn keys(&self) -> &HashSet<Key> {
        &self.keys
    }

    /// Returns the offset of the event, if it directly follows `told`.
    pub(super) fn event_behind(&self, told: i64) -> Option<i64> {
        (self.seq > 0 && self.seq == told + 1).then_some(self.seq)
    }

    /// Continues with new chunks, which leave out the delivered items and perhaps others.
    pub(super) fn go_on(&mut self, split: Arc<Split>) {
        self.next = Some((split, 0));
    }

    /// Returns whether the next chunk for a view is available.
    pub(super) fn has_next(&self, view: &Arc<View>) -> bool {
        self.next(view).is_some()
    }

    /// Returns the notification for the next chunk, and whether it is the last one of the event;
    /// `None` if it has yet to be made, or was made for another view.
    pub(super) fn next(&self, view: &Arc<View>) -> Option<(News<'_>, bool)> {
        let (split, place) = self.next.as_ref()?;
        let part = split.parts.get(*place)?;
        if split.view.as_ptr() != Arc::as_ptr(view) {
            return None;
        }
        let is_last = split.is_all && place + 1 == split.parts.len();
        let news = News {
            event: split.action,
            data: Some(&part.data),
            counts: split.counts,
            cursor: None,
            truncated: false,
            recovered: None,
            replayed: false,
        };
        Some((news, is_last))
    }

    /// Records that the next chunk was sent.
    pub(super) fn advance(&mut self) {
        if let Some((split, place)) = &mut self.next {
            self.keys.extend(split.parts.get(*place).into_iter().flat_map(|part| &part.keys));
            *place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn divided(lengths: &[usize], whole: usize, part: usize) -> (Vec<Vec<i64>>, bool) {
        let items = (1..).zip(lengths).map(|(key, length)| {
            let text = JsonText::from(&json!("x".repeat(length - 2)));
            (Key::Integer(key), text)
        });
        let Portion::Parts(parts, is_all) = divide(items, Lengths { whole, part }) else {
            panic!("what is divided comes in parts");
        };
        let keys = parts.iter().map(|part| {
            let list: Vec<String> = serde_json::from_str(part.data.get()).unwrap();
            assert_eq!(list.len(), part.keys.len());
            let number = |key: &Key| if let Key::Integer(key) = key { *key } else { 0 };
            part.keys.iter().map(number).collect()
        });
        (keys.collect(), is_all)
    }

    #[test]
    fn parts_keep_to_their_length_and_to_the_order() {
        assert_eq!(divided(&[9, 9, 9], 100, 20), (vec![vec![1, 2], vec![3]], true));
        assert_eq!(divided(&[9, 9, 9], 100, 19), (vec![vec![1], vec![2], vec![3]], true));
        assert_eq!(divided(&[9, 50, 9], 100, 20), (vec![vec![1], vec![2], vec![3]], true));
    }

    #[test]
    fn what_is_made_at_once_is_bounded() {
        assert_eq!(divided(&[9; 9], 40, 20), (vec![vec![1, 2], vec![3, 4]], false));
        assert_eq!(divided(&[9; 4], 40, 20), (vec![vec![1, 2], vec![3, 4]], true));
    }
}
