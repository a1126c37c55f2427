//! The readiness of a socket: whatever becomes ready is found, by the one who looks or by the one
//! who waits. A wake-up that is lost is a deadlock, which loom reports.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use jenny::loom_internals::{
    io::{Direction, Doubts, Interest, Readiness, Ready, WakeList},
    park::ThreadParker,
};
use loom::{
    sync::{
        Arc, Condvar, Mutex,
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

/// A socket and the whole of its driver: what comes is an event, which ends the driver's wait.
struct Driven {
    socket: Socket,
    doubts: Doubts<()>,
    system: Mutex<System>,
    changed: Condvar,
}

#[derive(Default)]
struct System {
    readable: bool,
    writable: bool,
    over: bool,
}

impl Driven {
    fn new() -> Arc<Self> {
        let socket = Socket { received: AtomicUsize::new(0), readiness: Readiness::new() };
        let (system, changed) = Default::default();
        let doubts = Doubts::new(2);
        // Two reads in vain, and a doubt is worth a try.
        (0..2).for_each(|_| doubts.was_vain(0, &socket.readiness));
        Arc::new(Self { socket, doubts, system, changed })
    }

    fn change(&self, change: impl FnOnce(&mut System)) {
        change(&mut self.system.lock().unwrap());
        self.changed.notify_one();
    }

    /// Bytes arrive at once: one event, whatever their number.
    fn receive(&self, bytes: usize) {
        self.socket.received.fetch_add(bytes, AcqRel);
        self.change(|system| system.readable = true);
    }

    /// Turns the driver, as `IoDriver` does, until nobody needs it any more.
    fn drive(&self) {
        let (mut unsettled, mut wakers) = (Vec::new(), WakeList::default());
        loop {
            let waits = self.doubts.take(&mut unsettled, true);
            let mut system = self.system.lock().unwrap();
            while waits && !system.readable && !system.writable && !system.over {
                system = self.changed.wait(system).unwrap();
            }
            let System { readable, writable, over } = std::mem::take(&mut *system);
            drop(system);
            if waits {
                self.doubts.has_waited();
            }
            if over {
                return;
            }
            // Some systems report each direction by itself.
            for (reported, ready) in [(readable, Ready::READABLE), (writable, Ready::WRITABLE)] {
                if reported {
                    self.socket.readiness.set(ready, &mut wakers);
                }
            }
            let is_quiet = !readable && !writable;
            unsettled
                .retain_mut(|doubt| !doubt.settle(&self.socket.readiness, is_quiet, &mut wakers));
            wakers.wake_all();
        }
    }

    /// Reads a byte at a time, so that each read fills its buffer.
    fn read_all(&self, wanted: usize) {
        let readiness = &self.socket.readiness;
        let mut done = 0;
        block_on(|cx| {
            while done < wanted {
                let Poll::Ready(event) = readiness.poll(cx, Direction::Read) else {
                    return Poll::Pending;
                };
                if self.socket.read(1).is_some() {
                    done += 1;
                    self.doubts.leave(done, (), readiness, event);
                } else {
                    readiness.clear(event);
                }
            }
            Poll::Ready(())
        });
    }
}

fn bytes_against_doubts(arrivals: &'static [usize], writable: bool) {
    let driven = Driven::new();
    let driver = {
        let driven = Arc::clone(&driven);
        thread::spawn(move || driven.drive())
    };
    let peer = {
        let driven = Arc::clone(&driven);
        thread::spawn(move || {
            arrivals.iter().for_each(|&bytes| driven.receive(bytes));
            if writable {
                driven.change(|system| system.writable = true);
            }
        })
    };
    driven.read_all(arrivals.iter().sum());
    peer.join().unwrap();
    driven.change(|system| system.over = true);
    driver.join().unwrap();
}

#[test]
fn no_byte_is_left_in_doubt() {
    check("readiness, a doubt and one more byte", Bounds::preemptions(3), || {
        bytes_against_doubts(&[2], false);
    });
    check("readiness, a doubt and the next message", Bounds::preemptions(3), || {
        bytes_against_doubts(&[1, 1], false);
    });
    check("readiness, a doubt and the other direction", Bounds::preemptions(3), || {
        bytes_against_doubts(&[2], true);
    });
}
