//! The readiness of a socket: whatever becomes ready is found, by the one who looks or by the one
//! who waits. A wake-up that is lost is a deadlock, which loom reports.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use jenny::loom_internals::{
    io::{Direction, Interest, Readiness, Ready, WakeList},
    park::ThreadParker,
};
use loom::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::AcqRel},
    },
    thread,
};

use crate::harness::{Bounds, check};

/// A socket: what the system has received for it, and what the driver knows of it.
struct Socket {
    received: AtomicUsize,
    readiness: Readiness,
}

impl Socket {
    fn new() -> Arc<Self> {
        Arc::new(Self { received: AtomicUsize::new(0), readiness: Readiness::new() })
    }

    /// A byte arrives; the system reports the change and the driver dispatches it.
    fn receive(&self) {
        self.received.fetch_add(1, AcqRel);
        self.report(|wakers| self.readiness.set(Ready::READABLE, wakers));
    }

    fn report(&self, report: impl FnOnce(&mut WakeList)) {
        let mut wakers = WakeList::default();
        report(&mut wakers);
        wakers.wake_all();
    }

    /// The system call: takes up to `room` bytes; none stands for `WouldBlock`.
    fn read(&self, room: usize) -> Option<usize> {
        let take = |received: usize| (received > 0).then(|| received - received.min(room));
        self.received.fetch_update(AcqRel, AcqRel, take).ok().map(|received| received.min(room))
    }
}

fn block_on<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let parker = std::sync::Arc::new(ThreadParker::for_this_thread());
    let waker = Waker::from(std::sync::Arc::clone(&parker));
    let mut cx = Context::from_waker(&waker);
    loop {
        match poll(&mut cx) {
            Poll::Ready(value) => return value,
            Poll::Pending => parker.park(),
        }
    }
}

/// Reads like the socket types do, `room` bytes at a time, until so many have come.
fn read_all(socket: &Socket, wanted: usize, room: usize) {
    let mut done = 0;
    block_on(|cx| {
        while done < wanted {
            let Poll::Ready(event) = socket.readiness.poll(cx, Direction::Read) else {
                return Poll::Pending;
            };
            match socket.read(room) {
                Some(n) => {
                    done += n;
                    // Less than there was room for: nothing is left.
                    if n < room {
                        socket.readiness.clear(event);
                    }
                }
                None => socket.readiness.clear(event),
            }
        }
        Poll::Ready(())
    });
}

fn bytes_against_reads(room: usize) {
    let socket = Socket::new();
    let driver = {
        let socket = Arc::clone(&socket);
        thread::spawn(move || {
            socket.receive();
            socket.receive();
        })
    };
    read_all(&socket, 2, room);
    driver.join().unwrap();
}

#[test]
fn no_byte_is_missed() {
    check("readiness, reads until WouldBlock", Bounds::preemptions(4), || bytes_against_reads(1));
    check("readiness, partial reads", Bounds::preemptions(4), || bytes_against_reads(8));
}

/// Several wait for the same socket; each takes a byte. One more gives up.
#[test]
fn every_waiter_is_served() {
    check("readiness, two waiters and one that gives up", Bounds::preemptions(3), || {
        let socket = Socket::new();
        let waiters = [(); 2].map(|()| {
            let socket = Arc::clone(&socket);
            thread::spawn(move || {
                loop {
                    let mut ready = pin!(socket.readiness.wait_until_ready(Interest::READABLE));
                    let event = block_on(|cx| ready.as_mut().poll(cx));
                    if socket.read(1).is_some() {
                        return;
                    }
                    socket.readiness.clear(event);
                }
            })
        });
        {
            let mut given_up = pin!(socket.readiness.wait_until_ready(Interest::READABLE));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(given_up.as_mut().poll(&mut cx).is_pending());
        }
        socket.receive();
        socket.receive();
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

/// Both directions at once: neither's report or wait disturbs the other.
#[test]
fn a_reader_beside_a_writer() {
    check("readiness, reader beside writer", Bounds::preemptions(3), || {
        let socket = Socket::new();
        let writer = {
            let socket = Arc::clone(&socket);
            thread::spawn(move || {
                let event = block_on(|cx| socket.readiness.poll(cx, Direction::Write));
                assert!(event.ready.is_writable());
                socket.readiness.clear(event);
            })
        };
        let driver = {
            let socket = Arc::clone(&socket);
            thread::spawn(move || {
                socket.report(|wakers| socket.readiness.set(Ready::WRITABLE, wakers));
                socket.receive();
            })
        };
        read_all(&socket, 1, 1);
        writer.join().unwrap();
        driver.join().unwrap();
    });
}

#[test]
fn a_shutdown_ends_every_wait() {
    check("readiness, shutdown against waits", Bounds::preemptions(3), || {
        let socket = Socket::new();
        let waiter = {
            let socket = Arc::clone(&socket);
            thread::spawn(move || {
                let mut ready = pin!(socket.readiness.wait_until_ready(Interest::READABLE));
                assert!(block_on(|cx| ready.as_mut().poll(cx)).shutdown);
            })
        };
        let driver = {
            let socket = Arc::clone(&socket);
            thread::spawn(move || socket.report(|wakers| socket.readiness.shut_down(wakers)))
        };
        assert!(block_on(|cx| socket.readiness.poll(cx, Direction::Write)).shutdown);
        waiter.join().unwrap();
        driver.join().unwrap();
    });
}
