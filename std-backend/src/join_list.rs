//! Many handles, of which the one whose task finishes first comes out first.
//!
//! The list takes as long as there are finished tasks, not as there are tasks: each handle is left
//! with a waker of its own, a [`Finish`], which writes the handle's key down when the task ends.
//!
//! # Why nothing is lost and nothing comes twice
//! - A key is written down once, and only of a finished task: a handle wakes the one waker that it
//!   was left with once, at the end of its task. `insert` writes the key itself if the task has
//!   finished already, and then the handle took no waker.
//! - A handle leaves the list by its key, so the slot is reused only after the key was read. What
//!   empties the list otherwise, `detach_all`, leaves the old keys and their wakers to a [`Ready`]
//!   that nobody reads any more: a task may be between its end and its wake.
//! - Writing a key and taking the reader's waker is one critical section, looking for a key and
//!   leaving that waker is another. So either the reader sees the key, or the writer the waker.
//!
//! Wakers are cloned, dropped and woken outside the lock: all three run code of strangers.

#![allow(unreachable_pub, reason = "re-exported for the loom models only")]

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::Arc as StdArc,
    task::{Context, Poll, Wake, Waker},
};

use jenny_core::task::JoinHandle;
use slab::Slab;

use crate::primitives::{Arc, Mutex};

/// Handles, in no order, and those among them that are finished, in the order in which they did.
pub struct JoinList<T> {
    tasks: Slab<JoinHandle<T>>,
    ready: Arc<Ready>,
}

/// What tasks that finish tell the list.
#[derive(Default)]
struct Ready(Mutex<State>);

#[derive(Default)]
struct State {
    finished: VecDeque<usize>,
    /// Whoever waits for the next key.
    waker: Option<Waker>,
}

/// The waker of one handle. (`std::sync::Arc`, because loom's makes no wakers.)
struct Finish {
    key: usize,
    ready: Arc<Ready>,
}

impl Wake for Finish {
    fn wake(self: StdArc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &StdArc<Self>) {
        self.ready.push(self.key);
    }
}

impl Ready {
    fn push(&self, key: usize) {
        let waker = {
            let mut state = self.0.lock();
            state.finished.push_back(key);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn pop(&self) -> Option<usize> {
        self.0.lock().finished.pop_front()
    }

    fn poll_pop(&self, waker: &Waker) -> Poll<usize> {
        {
            let mut state = self.0.lock();
            if let Some(key) = state.finished.pop_front() {
                return Poll::Ready(key);
            }
            if state.waker.as_ref().is_some_and(|left| left.will_wake(waker)) {
                return Poll::Pending;
            }
        }
        let mut waker = Some(waker.clone());
        let mut state = self.0.lock();
        if let Some(key) = state.finished.pop_front() {
            return Poll::Ready(key);
        }
        mem::swap(&mut state.waker, &mut waker);
        // The lock goes first, then the waker that was in there.
        drop(state);
        Poll::Pending
    }
}

impl<T> JoinList<T> {
    /// An empty list.
    pub fn new() -> Self {
        Self { tasks: Slab::new(), ready: Arc::new(Ready::default()) }
    }

    /// The number of handles.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there is no handle.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Adds a handle.
    pub fn insert(&mut self, mut task: JoinHandle<T>) {
        let slot = self.tasks.vacant_entry();
        let finish = StdArc::new(Finish { key: slot.key(), ready: Arc::clone(&self.ready) });
        let waker = Waker::from(finish);
        let finished = task.poll_finished(&mut Context::from_waker(&waker)).is_ready();
        slot.insert(task);
        // Last: it wakes the reader, whose waker may panic.
        if finished {
            waker.wake();
        }
    }

    /// Takes the handle of a finished task out, if there is one.
    pub fn try_next(&mut self) -> Option<JoinHandle<T>> {
        self.ready.pop().map(|key| self.tasks.remove(key))
    }

    /// Takes the handle of a finished task out; `None` if the list is empty. Wakes whoever polled
    /// last.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<JoinHandle<T>>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        self.ready.poll_pop(context.waker()).map(|key| Some(self.tasks.remove(key)))
    }

    /// Asks for every task to be cancelled. Their handles stay.
    pub fn abort_all(&mut self) {
        for (_, task) in &self.tasks {
            task.abort();
        }
    }

    /// Drops all handles; the tasks go on.
    pub fn detach_all(&mut self) {
        drop(mem::take(self).into_tasks());
    }

    /// The handles, without the promise to abort their tasks.
    fn into_tasks(mut self) -> Slab<JoinHandle<T>> {
        mem::take(&mut self.tasks)
    }
}

impl<T> Default for JoinList<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for JoinList<T> {
    fn drop(&mut self) {
        self.abort_all();
    }
}

impl<T> fmt::Debug for JoinList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinList").field("len", &self.len()).finish_non_exhaustive()
    }
}
