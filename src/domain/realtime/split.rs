//! The news of one event that is too long for one frame: parts of it, which are told one after the
//! other, as fast as a client reads.
//!
//! `View` makes them, `replay` tells them. What was made once is shared by all who are about to be told
//! the same.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Weak;

use crate::domain::items::Counts;
use crate::domain::items::JsonText;
use crate::domain::realtime::News;
use crate::domain::realtime::view::View;
use crate::model::Event;
use crate::model::Key;

/// How long frames may be, in bytes of what they tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lengths {
    /// The news of an event in one frame, and one item of it.
    pub(super) whole: usize,
    /// A part of what is longer, unless it is one item.
    pub(super) part: usize,
}

/// What of an event is for somebody.
#[derive(Debug)]
pub(super) enum Portion {
    /// All of it, which one frame can tell.
    Whole(JsonText),
    /// Parts of it, and whether there are no more.
    Parts(Vec<Part>, bool),
}

/// Some items of an event, or their keys: what one frame tells.
#[derive(Debug)]
pub(super) struct Part {
    data: JsonText,
    keys: Vec<Key>,
}

/// Some parts of an event, for whoever was told the same of it before.
pub(super) struct Split {
    seq: i64,
    action: &'static str,
    view: Weak<View>,
    /// The items that they leave out.
    told: HashSet<Key>,
    parts: Vec<Part>,
    /// Whether there are no more.
    is_all: bool,
    counts: Option<Counts>,
}

/// What somebody was told of the event that they are in the midst of.
#[derive(Default)]
pub(super) struct Amid {
    seq: i64,
    keys: HashSet<Key>,
    /// What comes next, and how many parts of it were told.
    next: Option<(Arc<Split>, usize)>,
    /// The cursor that was sent last, if there was one for its place.
    pub(super) cursor: Option<(i64, Option<Arc<str>>)>,
}

/// Divides items, each with its key, into parts. There may be more than these, which hold about as
/// much as the longest frame.
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
    /// Returns the one part there is as a whole.
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
    /// Returns parts of an event as a view tells them, which leave out what was told before.
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

    /// Returns whether it tells what a view has to tell somebody next.
    pub(super) fn follows(&self, amid: &Amid, view: &Arc<View>) -> bool {
        self.seq == amid.seq && self.view.as_ptr() == Arc::as_ptr(view) && self.told == amid.keys
    }
}

impl Amid {
    /// Returns what somebody is in the midst of who is about to be told some parts.
    pub(super) fn begin(split: Arc<Split>) -> Self {
        let keys = split.told.clone();
        Self { seq: split.seq, keys, next: Some((split, 0)), cursor: None }
    }

    /// Returns whether this is about an event.
    pub(super) const fn is_at(&self, seq: i64) -> bool {
        self.seq == seq
    }

    /// Returns the items that were told.
    pub(super) const fn keys(&self) -> &HashSet<Key> {
        &self.keys
    }

    /// Returns the event, if it comes next for whoever was told everything up to a place.
    pub(super) fn event_behind(&self, told: i64) -> Option<i64> {
        (self.seq > 0 && self.seq == told + 1).then_some(self.seq)
    }

    /// Goes on with parts that leave out what was told, and perhaps more.
    pub(super) fn go_on(&mut self, split: Arc<Split>) {
        self.next = Some((split, 0));
    }

    /// Returns whether it is known what a view tells next.
    pub(super) fn has_next(&self, view: &Arc<View>) -> bool {
        self.next(view).is_some()
    }

    /// Returns the news of the next part, and whether it is the last one of the event; `None` if that has
    /// yet to be made, or was for another view.
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

    /// Notes that the next part was told.
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
