//! A reorder buffer for the bus, which may deliver events late, twice or not at all.
//!
//! It only decides the next step; `event_pump` reads the log and delivers.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::Event;
use crate::store::Page;

/// Events to be delivered, each once and in the order of `seq`.
#[derive(Debug)]
pub(super) struct ReorderBuffer {
    /// The last delivered offset.
    last: i64,
    /// The offset up to which events are to be delivered, whether or not they are buffered.
    expected: i64,
    /// The buffered events, by offset; `None` for an offset with nothing to deliver.
    known: VecDeque<(i64, Option<Arc<Event>>)>,
}

/// The next step.
#[derive(Debug)]
pub(super) enum Step {
    /// Deliver this event.
    Deliver(Arc<Event>),
    /// Pass over an offset with nothing to deliver.
    Pass(i64),
    /// Read the log after the first offset, up to the second.
    Read(i64, i64),
    /// Wait for the bus.
    Wait,
}

impl ReorderBuffer {
    /// Creates a buffer that begins after an offset.
    pub(super) const fn new(last: i64) -> Self {
        Self { last, expected: last, known: VecDeque::new() }
    }

    /// Adds events from the bus.
    pub(super) fn hear(&mut self, events: &[Arc<Event>]) {
        self.known.extend(events.iter().map(|event| (event.seq, Some(Arc::clone(event)))));
    }

    /// Records that events up to an offset were committed.
    pub(super) fn expect(&mut self, to: i64) {
        self.expected = self.expected.max(to);
    }

    /// Adds a page of the log, which begins after the last delivered offset.
    pub(super) fn read(&mut self, page: Page) {
        let mut events = page.events.into_iter().rev().peekable();
        for offset in (self.last + 1..=page.last).rev() {
            self.known.push_front((offset, events.next_if(|event| event.seq == offset)));
        }
    }

    /// Gives up everything up to an offset.
    pub(super) fn give_up(&mut self, to: i64) {
        self.last = self.last.max(to);
    }

    /// Returns the next step.
    pub(super) fn next(&mut self) -> Step {
        while let Some((offset, _)) = self.known.front() {
            let offset = *offset;
            if offset > self.last + 1 {
                return Step::Read(self.last, offset - 1);
            }
            let event = self.known.pop_front().and_then(|(_, event)| event);
            if offset > self.last {
                self.last = offset;
                return event.map_or(Step::Pass(offset), Step::Deliver);
            }
        }
        if self.expected > self.last {
            return Step::Read(self.last, self.expected);
        }
        Step::Wait
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Timestamp;
    use crate::model::EventAction;
    use crate::model::schema::MESSAGES;

    fn event(seq: i64) -> Arc<Event> {
        let at = Timestamp::from_millis(0);
        let action = EventAction::Create;
        let (collection, changes, actor, text_keys) = (&MESSAGES, vec![], None, Arc::default());
        Arc::new(Event { seq, collection, action, changes, actor, at, text_keys })
    }

    /// Returns a page of the log, which has no event at multiples of 7.
    fn page(after: i64, to: i64, limit: i64) -> Page {
        let last = to.min(after + limit);
        let known = |seq: &i64| seq % 7 != 0;
        Page { events: (after + 1..=last).filter(known).map(event).collect(), last }
    }

    /// Performs all steps and records the delivered events.
    fn work(order: &mut ReorderBuffer, delivered: &mut Vec<i64>, limit: i64) {
        loop {
            match order.next() {
                Step::Deliver(event) => delivered.push(event.seq),
                Step::Pass(offset) => assert_eq!(offset % 7, 0),
                Step::Read(after, to) => order.read(page(after, to, limit)),
                Step::Wait => return,
            }
        }
    }

    proptest! {
        #[test]
        fn every_event_is_delivered_once_and_in_order(
            batches in prop::collection::vec((1..300_i64, 1..9_i64), 0..60),
            limit in 1..20_i64,
            end in 300..320_i64,
        ) {
            let (mut order, mut delivered) = (ReorderBuffer::new(0), Vec::new());
            // Batches are dropped, duplicated, late, and overlap.
            for (begin, length) in batches {
                let events: Vec<_> =
                    (begin..begin + length).filter(|seq| seq % 7 != 0).map(event).collect();
                order.hear(&events);
                work(&mut order, &mut delivered, limit);
            }
            order.expect(end);
            work(&mut order, &mut delivered, limit);

            let all: Vec<i64> = (1..=end.max(order.last)).filter(|seq| seq % 7 != 0).collect();
            prop_assert_eq!(delivered, all);
        }
    }

    #[test]
    fn truncated_events_are_skipped() {
        let mut order = ReorderBuffer::new(5);
        order.hear(&[event(9)]);
        assert!(matches!(order.next(), Step::Read(5, 8)));

        order.give_up(8);

        assert!(matches!(order.next(), Step::Deliver(event) if event.seq == 9));
        assert!(matches!(order.next(), Step::Wait));
    }
}
