//! A FIFO that gives many items away in a few steps.
//!
//! An item knows the next one and nothing else, so whoever wants the oldest hundred of a chain has to
//! walk along it, and misses the cache at each if another core has made them. Under a lock that is time
//! that others wait for. So the FIFO is kept in chunks, which come off whole. There are only so many
//! places for chunks: when they are used up, each two neighbours become one. Old chunks are long then
//! and young ones short, and an item has been in no more than a few of them.

use core::mem;

use heapless::Deque;

use super::{Batch, Chain};
use crate::sync::shrunk;

/// How many items a chunk takes from its start.
const CHUNK: usize = shrunk(64, 2);

const PLACES: usize = shrunk(16, 2);

/// Items in order. It drops what is left in it.
pub(super) struct Chunks<T: Chain> {
    // Invariant: no chunk of these is empty, and `len` is the sum of all lengths.
    chunks: Deque<Batch<T>, PLACES>,
    /// Behind the others, and not long yet.
    youngest: Batch<T>,
    len: usize,
}

impl<T: Chain> Chunks<T> {
    pub(super) const fn new() -> Self {
        Self { chunks: Deque::new(), youngest: Batch::new(), len: 0 }
    }

    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Puts an item behind the youngest.
    #[inline]
    pub(super) fn push_back(&mut self, item: T) {
        if self.youngest.len() >= CHUNK {
            self.begin_chunk();
        }
        self.youngest.push_back(item);
        self.len += 1;
    }

    /// Puts items behind the youngest and leaves the batch empty.
    pub(super) fn append(&mut self, items: &mut Batch<T>) {
        if self.youngest.len() + items.len() > CHUNK {
            self.begin_chunk();
        }
        self.len += items.len();
        self.youngest.append(items);
    }

    #[cold]
    fn begin_chunk(&mut self) {
        let chunk = mem::take(&mut self.youngest);
        if chunk.is_empty() {
            return;
        }
        if self.chunks.is_full() {
            self.coarsen();
        }
        let stored = self.chunks.push_back(chunk);
        debug_assert!(stored.is_ok());
    }

    /// Makes one of each two neighbours.
    fn coarsen(&mut self) {
        for _ in 0..self.chunks.len().div_ceil(2) {
            let mut chunk = self.chunks.pop_front().unwrap_or_default();
            if let Some(mut younger) = self.chunks.pop_front() {
                chunk.append(&mut younger);
            }
            _ = self.chunks.push_back(chunk);
        }
    }

    /// Takes the oldest items, at most `max` of them. It walks along as many as it takes of a chunk.
    pub(super) fn take(&mut self, max: usize) -> Batch<T> {
        let mut taken = Batch::new();
        while taken.len() < max
            && let Some(oldest) = self.chunks.front_mut()
        {
            let mut next = oldest.split_front(max - taken.len());
            if oldest.is_empty() {
                self.chunks.pop_front();
            }
            taken.append(&mut next);
        }
        taken.append(&mut self.youngest.split_front(max - taken.len()));
        self.len -= taken.len();
        taken
    }

    /// Takes the oldest item.
    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<T> {
        let item = match self.chunks.front_mut() {
            None => self.youngest.pop_front()?,
            Some(oldest) => {
                let item = oldest.pop_front()?;
                if oldest.is_empty() {
                    self.chunks.pop_front();
                }
                item
            }
        };
        self.len -= 1;
        Some(item)
    }

    /// As [`take`](Self::take), but rather more than walking: up to half of all, in one chunk.
    pub(super) fn take_share(&mut self, max: usize) -> Batch<T> {
        match self.chunks.front().map(Batch::len) {
            Some(oldest) if oldest > max && 2 * oldest <= self.len => self.take(oldest),
            _ => self.take(max),
        }
    }

    /// Takes everything.
    pub(super) fn take_all(&mut self) -> Batch<T> {
        self.take(usize::MAX)
    }
}
