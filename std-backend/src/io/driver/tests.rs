//! Real sockets over a driver that is turned by parkers, as a runtime does it.

use std::{
    cell::Cell,
    future::poll_fn,
    io::{self, Read, Write},
    net::TcpListener,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicUsize},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use jenny_core::platform::Unpark;
use mio::net::TcpStream;

use super::*;
use crate::park::{Parker, SharedDriver, Unparker};

const LONG: Duration = Duration::from_secs(20);

/// Wakes a parker: what a worker's waker comes down to.
struct Unparks(Unparker<IoDriver>);

impl Wake for Unparks {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(parker: &mut Parker<IoDriver>, future: F) -> F::Output {
    let waker = Waker::from(std::sync::Arc::new(Unparks(parker.unparker())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        parker.park_timeout(LONG);
    }
}

fn driver() -> (Handle, Arc<SharedDriver<IoDriver>>) {
    let driver = IoDriver::new(1, None).unwrap();
    (driver.handle(), SharedDriver::new(driver))
}

/// Two ends of one connection, the first registered.
fn connection(handle: &Handle) -> (Evented<TcpStream>, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Evented::new(handle.clone(), TcpStream::from_std(ours)).unwrap(), peer)
}

async fn read_exact(stream: &Evented<TcpStream>, buf: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < buf.len() {
        let read = |cx: &mut Context<'_>| {
            stream
                .registration()
                .poll_io(cx, Direction::Read, |_| (&**stream).read(&mut buf[done..]))
        };
        match poll_fn(read).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => done += n,
        }
    }
    Ok(())
}

async fn write_all(stream: &Evented<TcpStream>, mut buf: &[u8]) -> io::Result<()> {
    while !buf.is_empty() {
        let write = |cx: &mut Context<'_>| {
            stream.registration().poll_io(cx, Direction::Write, |_| (&**stream).write(buf))
        };
        buf = &buf[poll_fn(write).await?..];
    }
    Ok(())
}

/// Two tasks of one thread answer each other, as often as there is a message.
#[test]
fn a_dialogue_is_read_with_few_vain_attempts() {
    const ROUNDS: u8 = 100;

    async fn hear(stream: &Evented<TcpStream>, vain: &Cell<u8>) -> u8 {
        let mut message = [0];
        let registration = stream.registration();
        poll_fn(|cx| {
            registration.poll_io(cx, Direction::Read, |event| {
                match (&**stream).read(&mut message) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        vain.set(vain.get() + 1);
                        registration.was_vain();
                        Err(error)
                    }
                    read => {
                        registration.doubt(event);
                        read
                    }
                }
            })
        })
        .await
        .unwrap();
        message[0]
    }

    let (handle, shared) = driver();
    let mut parker = Parker::new(shared);
    let (here, there) = connection(&handle);
    there.set_nonblocking(true).unwrap();
    let there = Evented::new(handle, TcpStream::from_std(there)).unwrap();
    let vain = Cell::new(0);
    let dialogue = async {
        let ask = async {
            for number in 0..ROUNDS {
                write_all(&here, &[number]).await.unwrap();
                assert_eq!(hear(&here, &vain).await, number);
            }
        };
        let answer = async {
            for number in 0..ROUNDS {
                assert_eq!(hear(&there, &vain).await, number);
                write_all(&there, &[number]).await.unwrap();
            }
        };
        let (mut ask, mut answer) = (pin!(ask), pin!(answer));
        let mut over = [false; 2];
        poll_fn(|cx| {
            over[0] = over[0] || ask.as_mut().poll(cx).is_ready();
            over[1] = over[1] || answer.as_mut().poll(cx).is_ready();
            if over == [true; 2] { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    };
    block_on(&mut parker, dialogue);
    let vain = vain.get();
    // A doubt is left out now and then, to see whether it pays to read on.
    assert!(vain < ROUNDS / 3, "{vain} for {ROUNDS} questions and answers");
}

/// A doubt whose resource is never reported ends with the next turn, and keeps nobody from
/// sleeping.
#[test]
fn a_doubt_is_settled_by_a_turn_without_events() {
    let (handle, shared) = driver();
    let mut parker = Parker::new(shared);
    let (stream, mut peer) = connection(&handle);
    peer.write_all(b"more").unwrap();
    let registration = stream.registration();
    (0..2).for_each(|_| registration.was_vain());
    let mut message = [0];
    let read = poll_fn(|cx| {
        registration.poll_io(cx, Direction::Read, |event| {
            let read = (&*stream).read(&mut message);
            registration.doubt(event);
            read
        })
    });
    assert_eq!(block_on(&mut parker, read).unwrap(), 1);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(registration.poll_event(&mut cx, Direction::Read).is_pending(), "forgotten");
    let tried = registration.try_io(Interest::READABLE, || (&*stream).read(&mut message));
    assert_eq!((tried.unwrap(), message), (1, *b"o"), "but not out of reach");
    // There is no event any more, so only the doubt ends this.
    let start = Instant::now();
    let mut rest = [0; 2];
    block_on(&mut parker, read_exact(&stream, &mut rest)).unwrap();
    assert_eq!(&rest, b"re");
    assert!(start.elapsed() < LONG / 2);
}

/// Before the first waker is called, whoever turns the driver has to know.
#[test]
fn a_wait_says_whether_the_dispatch_may_wake() {
    let mut driver = IoDriver::new(1, None).unwrap();
    let handle = driver.handle();
    let mut turn = |timeout| {
        let wakes = driver.wait(timeout);
        driver.dispatch();
        wakes
    };
    assert!(!turn(Some(Duration::ZERO)), "nothing is registered");
    let (stream, mut peer) = connection(&handle);
    assert!(turn(Some(LONG)), "it is writable");
    assert!(!turn(Some(Duration::ZERO)), "and has said so");
    handle.wake();
    assert!(!turn(Some(LONG)), "the driver's own waker");
    peer.write_all(b"x").unwrap();
    assert!(turn(Some(LONG)), "it is readable");

    let registration = stream.registration();
    (0..2).for_each(|_| registration.was_vain());
    let mut nobody = Context::from_waker(Waker::noop());
    let Poll::Ready(event) = registration.poll_event(&mut nobody, Direction::Read) else {
        panic!("it is not readable");
    };
    registration.doubt(event);
    assert!(turn(Some(LONG)), "a doubt");
    assert!(!turn(Some(Duration::ZERO)), "and it is settled");
}

#[test]
fn two_threads_echo_over_one_driver() {
    const ROUNDS: usize = 2_000;
    let (handle, shared) = driver();
    let workers: Vec<_> = (0..2u8)
        .map(|worker| {
            let (stream, mut peer) = connection(&handle);
            let mut parker = Parker::new(Arc::clone(&shared));
            let echo = thread::spawn(move || {
                block_on(&mut parker, async {
                    let mut buf = [0; 64];
                    for _ in 0..ROUNDS {
                        read_exact(&stream, &mut buf).await.unwrap();
                        write_all(&stream, &buf).await.unwrap();
                    }
                });
                // Whoever leaves the driver for good makes room for the other.
            });
            let client = thread::spawn(move || {
                peer.set_read_timeout(Some(LONG)).unwrap();
                for round in 0..ROUNDS {
                    let sent = [worker ^ round as u8; 64];
                    let mut received = [0; 64];
                    peer.write_all(&sent).unwrap();
                    peer.read_exact(&mut received).unwrap();
                    assert_eq!(sent, received);
                }
            });
            (echo, client)
        })
        .collect();
    // The holder may leave for good while the other sleeps beside the driver; nobody turns it then.
    let mut parker = Parker::new(shared);
    while workers.iter().any(|(echo, _)| !echo.is_finished()) {
        parker.park_timeout(Duration::from_millis(1));
    }
    for (echo, client) in workers {
        echo.join().unwrap();
        client.join().unwrap();
    }
    assert_eq!(handle.shared.registered.load(Ordering::Relaxed), 0);
}

#[test]
fn one_event_wakes_every_waiter() {
    let (handle, shared) = driver();
    let (stream, mut peer) = connection(&handle);
    let mut parker = Parker::new(shared);

    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let woken = std::sync::Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(std::sync::Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);

    let registration = stream.registration();
    let mut first = pin!(registration.readiness(Interest::READABLE));
    let mut second = pin!(registration.readiness(Interest::READABLE));
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert!(second.as_mut().poll(&mut cx).is_pending());
    {
        let mut dropped = pin!(registration.readiness(Interest::READABLE));
        assert!(dropped.as_mut().poll(&mut cx).is_pending());
    }
    assert!(registration.poll_ready(&mut cx, Direction::Read).is_pending());

    peer.write_all(b"x").unwrap();
    let start = Instant::now();
    while woken.0.load(Ordering::SeqCst) < 3 {
        assert!(start.elapsed() < LONG);
        parker.park_timeout(Duration::from_millis(10));
    }
    assert!(first.as_mut().poll(&mut cx).is_ready());
    assert!(second.as_mut().poll(&mut cx).is_ready());
    assert!(registration.poll_ready(&mut cx, Direction::Read).is_ready());
    assert_eq!(woken.0.load(Ordering::SeqCst), 3, "the dropped one has left the list");
}

#[test]
fn readiness_that_was_reported_meanwhile_is_not_cleared() {
    let readiness = Readiness::new();
    let mut wakers = WakeList::default();
    readiness.set(Ready::READABLE, &mut wakers);
    let before = readiness.event(Direction::Read.mask());
    readiness.set(Ready::READABLE, &mut wakers);
    readiness.clear(before);
    let after = readiness.event(Direction::Read.mask());
    assert_eq!(after.ready, Ready::READABLE);
    readiness.clear(after);
    assert!(readiness.event(Ready::ALL).ready.is_empty());

    readiness.set(Ready::READABLE | Ready::READ_CLOSED, &mut wakers);
    readiness.clear(readiness.event(Ready::ALL));
    assert_eq!(readiness.event(Ready::ALL).ready, Ready::READ_CLOSED, "the end is for ever");
}

#[test]
fn a_waker_that_panics_does_not_keep_the_others_asleep() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("a waker of somebody else");
        }
    }
    struct Flag(AtomicBool);
    impl Wake for Flag {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let flag = std::sync::Arc::new(Flag(AtomicBool::new(false)));
    let mut wakers = WakeList::default();
    wakers.push(Waker::from(std::sync::Arc::new(Panics)));
    wakers.push(Waker::from(std::sync::Arc::clone(&flag)));
    wakers.wake_all();
    assert!(flag.0.load(Ordering::SeqCst));
}

#[test]
fn shutdown_ends_every_wait_with_an_error() {
    let (handle, shared) = driver();
    let (stream, _peer) = connection(&handle);
    let ender = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            shared.shutdown();
        })
    };
    let mut buf = [0; 1];
    let (mut parker, waker) = crate::park::block_on_waker();
    let mut cx = Context::from_waker(&waker);
    let mut read = pin!(read_exact(&stream, &mut buf));
    let error = loop {
        match read.as_mut().poll(&mut cx) {
            Poll::Ready(result) => break result.unwrap_err(),
            Poll::Pending => parker.park(),
        }
    };
    assert!(error.to_string().contains("shutting down"), "{error}");
    ender.join().unwrap();

    let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let refused = Evented::new(handle, mio::net::UnixStream::from_std(ours));
    assert!(refused.unwrap_err().to_string().contains("shutting down"));
}

#[test]
fn slots_are_freed_even_while_the_driver_sleeps() {
    let (handle, shared) = driver();
    let (_keep, _peer) = connection(&handle);
    let sleeper = {
        let mut parker = Parker::new(Arc::clone(&shared));
        let unparker = parker.unparker();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                parker.park();
            }
        });
        (thread, unparker, stop)
    };
    for _ in 0..10 * MAX_DEPARTED {
        drop(connection(&handle));
    }
    let start = Instant::now();
    while handle.shared.departed.load(Ordering::Relaxed) >= MAX_DEPARTED {
        assert!(start.elapsed() < LONG, "nobody frees the slots");
        thread::yield_now();
    }
    sleeper.2.store(true, Ordering::SeqCst);
    sleeper.1.unpark();
    sleeper.0.join().unwrap();
}

/// How many events the turns of the driver take, where so many sockets have one at once.
fn turns(mut driver: IoDriver, sockets: usize) -> Vec<u64> {
    let handle = driver.handle();
    let connections: Vec<_> = (0..sockets).map(|_| connection(&handle)).collect();
    let mut turns = Vec::new();
    // Each is writable, and says so once.
    while turns.iter().sum::<u64>() < sockets as u64 {
        let before = handle.metrics().events;
        driver.wait(Some(LONG));
        driver.dispatch();
        turns.push(handle.metrics().events - before);
    }
    drop(connections);
    turns
}

#[test]
fn there_is_room_for_as_many_events_as_come_at_once() {
    let driver = IoDriver::new(1, Some(2 * FIRST_EVENTS)).unwrap();
    let first = FIRST_EVENTS as u64;
    assert_eq!(turns(driver, 3 * FIRST_EVENTS), [first, 2 * first]);
}

#[test]
fn several_workers_leave_something_to_each_other() {
    let driver = IoDriver::new(2, None).unwrap();
    assert_eq!(turns(driver, 2 * MOST_EVENTS_OF_MANY), [MOST_EVENTS_OF_MANY as u64; 2]);
}
