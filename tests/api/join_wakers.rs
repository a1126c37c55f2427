//! Join wakers that do more than wake.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use jenny::{
    runtime::{Builder, Handle},
    task::{JoinHandle, yield_now},
};

use crate::support::wait_until;

/// Gives its waker away at each poll. Ready at the first, when it may go on, or without a gate at the
/// second.
struct Gated {
    gate: Option<mpsc::Receiver<()>>,
    wakers: mpsc::Sender<Waker>,
    is_polled: bool,
}

impl Gated {
    fn new(gate: Option<mpsc::Receiver<()>>) -> (Self, mpsc::Receiver<Waker>) {
        let (wakers, polls) = mpsc::channel();
        (Self { gate, wakers, is_polled: false }, polls)
    }
}

impl Future for Gated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.wakers.send(context.waker().clone()).unwrap();
        if let Some(gate) = &self.gate {
            gate.recv().unwrap();
        } else if !self.is_polled {
            self.is_polled = true;
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

/// Lets go of the task that has just ended, and spawns another of the same type.
struct Heir {
    join: Mutex<Option<JoinHandle<()>>>,
    runtime: Handle,
    is_polled_again: mpsc::Sender<bool>,
}

impl Wake for Heir {
    fn wake(self: Arc<Self>) {
        let (gated, polls) = Gated::new(None);
        drop(self.join.lock().unwrap().take());
        let join = self.runtime.spawn(gated);
        // The other worker polls it.
        let waker = polls.recv().unwrap();
        wait_until(|| format!("{join:?}").contains("scheduled: false"));
        // A yield of its own poll would be noted in the cell. This is none, whatever cell it has.
        let polled = pin!(yield_now()).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        let is_polled = polls.recv_timeout(Duration::from_secs(10)).is_ok();
        self.is_polled_again.send(is_polled).unwrap();
    }
}

#[test]
fn a_task_in_the_place_of_one_that_has_just_ended_is_not_taken_for_that() {
    // The allocator may give the place to somebody else; seldom each time.
    for _ in 0..20 {
        assert!(an_heir_is_polled_again(), "the wake of another task was lost");
    }
}

fn an_heir_is_polled_again() -> bool {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (is_polled_again, result) = mpsc::channel();
    let handle = runtime.handle().clone();
    // Spawned by a worker, whose memory is used again.
    drop(runtime.spawn(async move {
        let (open, gate) = mpsc::channel();
        let (gated, polls) = Gated::new(Some(gate));
        let mut join = jenny::spawn(gated);
        thread::spawn(move || {
            drop(polls.recv().unwrap());
            let heir = Arc::new(Heir { join: Mutex::default(), runtime: handle, is_polled_again });
            let waker = Arc::clone(&heir).into();
            assert!(Pin::new(&mut join).poll(&mut Context::from_waker(&waker)).is_pending());
            *heir.join.lock().unwrap() = Some(join);
            open.send(()).unwrap();
        });
    }));
    result.recv().unwrap()
}
