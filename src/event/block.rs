//! Blocks of events from a shard to whoever reads them, and empty ones back.
//!
//! Promises: all blocks are allocated at start; the shard never waits. No block free: the event is dropped, and `push`
//! says so.

use super::fact::Event;
use crate::limits::EVENTS_PER_BLOCK;
use crossbeam::queue::ArrayQueue;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Some events in the order in which they happened.
#[derive(Debug)]
struct Block {
    filled: usize,
    events: Box<[Event]>,
}

#[derive(Debug)]
struct Queues {
    full: ArrayQueue<Block>,
    empty: ArrayQueue<Block>,
    /// Every event decided by a snapshot before this one has been handed on.
    handed_on_before: AtomicU32,
}

/// The shard's end.
#[derive(Debug)]
pub struct EventSender {
    queues: Arc<Queues>,
    current: Option<Block>,
    /// Empty blocks, the one that came back last on top: it is what the processor's caches still hold. Going round all of
    /// them would write to cold memory for ever.
    spare: Vec<Block>,
    snapshot: u32,
}

/// The reader's end.
#[derive(Debug)]
pub struct EventReceiver {
    queues: Arc<Queues>,
}

/// A queue of `blocks` blocks of 64 events; about 55 KiB a block.
#[must_use]
pub fn event_queue(blocks: usize) -> (EventSender, EventReceiver) {
    let blocks = blocks.max(1);
    let queues = Arc::new(Queues {
        full: ArrayQueue::new(blocks),
        empty: ArrayQueue::new(blocks),
        handed_on_before: AtomicU32::new(0),
    });
    let spare = (0..blocks).map(|_| Block {
        filled: 0,
        events: vec![Event::EMPTY; EVENTS_PER_BLOCK].into_boxed_slice(),
    });
    let sender = EventSender {
        queues: Arc::clone(&queues),
        current: None,
        // All blocks: it never grows.
        spare: spare.collect(),
        snapshot: 0,
    };
    (sender, EventReceiver { queues })
}

impl EventSender {
    /// Writes one event in place; false when it was dropped because no block is free.
    pub fn push(&mut self, write: impl FnOnce(&mut Event)) -> bool {
        if self.current.is_none() {
            self.current = self.empty_block();
        }
        let Some(block) = &mut self.current else {
            return false;
        };
        if let Some(event) = block.events.get_mut(block.filled) {
            write(event);
            block.filled += 1;
        }
        if block.filled == EVENTS_PER_BLOCK {
            self.flush();
        }
        true
    }

    fn empty_block(&mut self) -> Option<Block> {
        // No more than there were: the reader may go on giving back.
        for _ in 0..self.queues.empty.len() {
            self.spare.extend(self.queues.empty.pop());
        }
        self.spare.pop()
    }

    /// From now on events are decided by the snapshot of this number. Those of the one before are handed on first, so
    /// that the reader may let go of it.
    pub fn decided_by(&mut self, snapshot: u32) {
        if self.snapshot == snapshot {
            return;
        }
        self.flush();
        self.snapshot = snapshot;
        // Release: whoever reads this number finds in the queue what `flush` put there.
        self.queues
            .handed_on_before
            .store(snapshot, Ordering::Release);
    }

    /// Hands on a block that is not full, unless the reader has not fetched the one before: few calls must not use up
    /// the blocks. Whether nothing is left here; the shard asks before it goes idle.
    #[must_use]
    pub fn flush_if_awaited(&mut self) -> bool {
        if self.queues.full.is_empty() {
            self.flush();
        }
        self.current.as_ref().is_none_or(|block| block.filled == 0)
    }

    /// Hands on a block that is not full.
    pub fn flush(&mut self) {
        let Some(block) = self.current.take_if(|block| block.filled > 0) else {
            return;
        };
        // There is room: `full` holds as many blocks as exist.
        let _room = self.queues.full.push(block);
    }
}

impl Drop for EventSender {
    fn drop(&mut self) {
        self.flush();
        self.queues
            .handed_on_before
            .store(u32::MAX, Ordering::Release);
    }
}

impl EventReceiver {
    /// Every event that was decided by a snapshot before this number is in the queue or has been drained; `u32::MAX`
    /// when the sender is gone.
    #[must_use]
    pub fn handed_on_before(&self) -> u32 {
        self.queues.handed_on_before.load(Ordering::Acquire)
    }

    /// Hands every event that has arrived to `each`; how many. What arrives meanwhile waits for the next time.
    pub fn drain(&self, mut each: impl FnMut(&Event)) -> usize {
        let mut count = 0;
        for _ in 0..self.queues.full.len() {
            let Some(mut block) = self.queues.full.pop() else {
                break;
            };
            block.events.iter().take(block.filled).for_each(&mut each);
            count += block.filled;
            block.filled = 0;
            // There is room: `empty` holds as many blocks as exist.
            let _room = self.queues.empty.push(block);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(number: usize) -> impl FnOnce(&mut Event) {
        move |event| event.unix_us = u64::try_from(number).unwrap()
    }

    #[test]
    fn events_arrive_once_and_in_order() {
        let (mut sender, receiver) = event_queue(3);
        for number in 0..EVENTS_PER_BLOCK + 5 {
            assert!(sender.push(numbered(number)));
        }
        let mut seen = Vec::new();
        assert_eq!(
            receiver.drain(|event| seen.push(event.unix_us)),
            EVENTS_PER_BLOCK
        );
        sender.flush();
        sender.flush();
        assert_eq!(receiver.drain(|event| seen.push(event.unix_us)), 5);
        let expected: Vec<u64> = (0..).take(EVENTS_PER_BLOCK + 5).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn few_events_share_a_block_while_the_reader_is_away() {
        let (mut sender, receiver) = event_queue(2);
        for number in 0..EVENTS_PER_BLOCK {
            assert!(sender.push(numbered(number)));
            assert_eq!(sender.flush_if_awaited(), number == 0);
        }
        assert_eq!(receiver.drain(|_event| {}), 1);
        assert!(sender.flush_if_awaited());
        assert_eq!(receiver.drain(|_event| {}), EVENTS_PER_BLOCK - 1);
    }

    #[test]
    fn whoever_reads_of_a_new_snapshot_has_every_event_of_the_old_one() {
        let (mut sender, receiver) = event_queue(3);
        assert!(sender.push(numbered(1)));
        sender.decided_by(0);
        assert_eq!(receiver.drain(|_event| {}), 0);
        sender.decided_by(1);
        assert!(sender.push(numbered(2)));
        assert_eq!(receiver.handed_on_before(), 1);
        assert_eq!(receiver.drain(|event| assert_eq!(event.unix_us, 1)), 1);
        drop(sender);
        assert_eq!(receiver.handed_on_before(), u32::MAX);
        assert_eq!(receiver.drain(|event| assert_eq!(event.unix_us, 2)), 1);
    }

    #[test]
    fn the_block_that_came_back_last_is_filled_next() {
        let (mut sender, receiver) = event_queue(5);
        let mut places = std::collections::BTreeSet::new();
        for number in 0..20 {
            for _ in 0..EVENTS_PER_BLOCK {
                assert!(sender.push(numbered(number)));
            }
            receiver.drain(|event| {
                places.insert(std::ptr::from_ref(event).addr());
            });
        }
        assert_eq!(places.len(), EVENTS_PER_BLOCK);
    }

    #[test]
    fn without_a_free_block_events_are_dropped_until_one_comes_back() {
        let (mut sender, receiver) = event_queue(2);
        for number in 0..2 * EVENTS_PER_BLOCK {
            assert!(sender.push(numbered(number)));
        }
        assert!(!sender.push(numbered(0)));
        assert!(!sender.push(numbered(0)));
        assert_eq!(receiver.drain(|_event| {}), 2 * EVENTS_PER_BLOCK);
        assert!(sender.push(numbered(7)));
        sender.flush();
        let mut seen = Vec::new();
        receiver.drain(|event| seen.push(event.unix_us));
        assert_eq!(seen, [7]);
    }
}
