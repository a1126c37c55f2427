//! What the tests of local runtimes and of local sets share.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    sync::mpsc::{self, Sender},
    task::{Context, Poll, Waker},
    thread,
};

/// Notes on which thread it is dropped. Not `Send`.
pub(crate) struct DroppedOn(Rc<Cell<Option<thread::ThreadId>>>);

impl DroppedOn {
    pub(crate) fn new() -> (Self, Rc<Cell<Option<thread::ThreadId>>>) {
        let place = Rc::default();
        (Self(Rc::clone(&place)), place)
    }
}

impl Drop for DroppedOn {
    fn drop(&mut self) {
        assert_eq!(self.0.replace(Some(thread::current().id())), None, "dropped twice");
    }
}

/// Never ends, and lets others have its waker.
pub(crate) struct LeavesWaker {
    leave: Sender<Waker>,
    _held: Rc<()>,
}

impl Future for LeavesWaker {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // Nobody listens any more if the waker has done its part.
        let _ = self.leave.send(context.waker().clone());
        Poll::Pending
    }
}

/// Drops what runs tasks while other threads use the wakers of its tasks, and uses them again.
pub(crate) fn drop_while_others_wake<H>(
    mut host: H,
    spawn: impl Fn(&H, LeavesWaker),
    run: impl FnOnce(&mut H),
) {
    let (leave, left) = mpsc::channel();
    let drops = Rc::new(());
    for _ in 0..8 {
        spawn(&host, LeavesWaker { leave: leave.clone(), _held: Rc::clone(&drops) });
    }
    run(&mut host);
    let wakers: Vec<Waker> = left.try_iter().collect();
    assert_eq!(wakers.len(), 8);
    let others: Vec<_> = (0..2)
        .map(|_| {
            let wakers = wakers.clone();
            thread::spawn(move || {
                for waker in wakers {
                    waker.wake_by_ref();
                    waker.wake();
                }
            })
        })
        .collect();
    drop(host);
    assert_eq!(Rc::strong_count(&drops), 1);
    others.into_iter().for_each(|other| other.join().unwrap());
    wakers.into_iter().for_each(Waker::wake);
}
