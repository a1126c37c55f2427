//! hyper's connections as futures that are polled when epoll reports their socket.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, ErrorKind::WouldBlock, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};

use hyper::rt::ReadBufCursor;
use hyper::{server::conn::http1, service::service_fn};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};

use super::super::http::{answer, under_load};
use crate::measure::{Effort, Sampler};

const THREADS: usize = 2;

pub(super) fn hello(effort: Effort) -> io::Result<Sampler> {
    let server = Server::start()?;
    Ok(under_load(server.address, server, effort))
}

/// Serves until it is dropped.
struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

struct Shared {
    listener: TcpListener,
    /// Readable when the server is to end.
    end: OwnedFd,
    threads: [Share; THREADS],
}

/// What a thread has.
struct Share {
    epoll: OwnedFd,
    /// Accepted for it by the first thread, by number.
    accepted: Mutex<HashMap<u64, TcpStream>>,
}

/// Numbers of what is no connection.
const LISTENER: u64 = u64::MAX;
const END: u64 = u64::MAX - 1;

impl Server {
    fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let (address, end) = (listener.local_addr()?, eventfd(0, EventfdFlags::CLOEXEC)?);
        let share = || -> io::Result<_> {
            let epoll = epoll::create(CreateFlags::CLOEXEC)?;
            epoll::add(&epoll, &end, EventData::new_u64(END), EventFlags::IN)?;
            Ok(Share { epoll, accepted: Mutex::default() })
        };
        let threads = [share()?, share()?];
        epoll::add(&threads[0].epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let shared = Arc::new(Shared { listener, end, threads });
        let start = |thread| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.serve(thread))
        };
        let threads = (0..THREADS).map(start).collect();
        Ok(Self { address, shared, threads })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        rustix::io::write(&self.shared.end, &1_u64.to_ne_bytes()).expect("an eventfd");
        for thread in self.threads.drain(..) {
            thread.join().expect("no panic").expect("sockets");
        }
    }
}

impl Shared {
    fn serve(&self, thread: usize) -> io::Result<()> {
        let Share { epoll, accepted } = &self.threads[thread];
        let mut connections = HashMap::new();
        let (mut events, mut next) = (Vec::with_capacity(64), 0);
        loop {
            epoll::wait(epoll, spare_capacity(&mut events), None)?;
            for Event { data, .. } in events.drain(..) {
                let number = match data.u64() {
                    END => return Ok(()),
                    LISTENER => {
                        self.accept(&mut next)?;
                        continue;
                    }
                    number => number,
                };
                if let Some(stream) = accepted.lock().expect("no panic").remove(&number) {
                    connections.insert(number, Connection::new(stream));
                }
                // It may have gone: a process that is just being started holds its socket a while
                // longer.
                if let Some(connection) = connections.get_mut(&number)
                    && connection.poll().is_ready()
                {
                    connections.remove(&number);
                }
            }
        }
    }

    /// Hands new connections to the threads in turns.
    fn accept(&self, next: &mut u64) -> io::Result<()> {
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let Share { epoll, accepted } = &self.threads[*next as usize % THREADS];
            // With the lock: its first event may come at once.
            let mut accepted = accepted.lock().expect("no panic");
            let stream = accepted.entry(*next).or_insert(stream);
            epoll::add(epoll, stream, EventData::new_u64(*next), interest)?;
            *next += 1;
        }
    }
}

struct Connection {
    future: Pin<Box<dyn Future<Output = hyper::Result<()>>>>,
    may_read: Rc<Cell<bool>>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let may_read = Rc::new(Cell::new(true));
        let buffer = vec![0; 8192].into();
        let stream = Stream { stream, buffer, may_read: Rc::clone(&may_read) };
        let future = http1::Builder::new().serve_connection(stream, service_fn(answer));
        Self { future: Box::pin(future), may_read }
    }

    /// After an event; nothing else wakes it.
    fn poll(&mut self) -> Poll<()> {
        self.may_read.set(true);
        // An error: the load has hung up in the middle of a request.
        self.future.as_mut().poll(&mut Context::from_waker(Waker::noop())).map(drop)
    }
}

struct Stream {
    stream: TcpStream,
    buffer: Box<[u8]>,
    /// False after a read that has emptied the socket, until its next event.
    may_read: Rc<Cell<bool>>,
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, buffer, may_read } = &mut *self;
        if !may_read.get() {
            return Poll::Pending;
        }
        let wanted = into.remaining().min(buffer.len());
        let read = match stream.read(&mut buffer[..wanted]) {
            Err(error) if error.kind() == WouldBlock => {
                may_read.set(false);
                return Poll::Pending;
            }
            result => result?,
        };
        into.put_slice(&buffer[..read]);
        // An end is to be found again.
        may_read.set(read == wanted || read == 0);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.stream.write(bytes) {
            Err(error) if error.kind() == WouldBlock => Poll::Pending,
            result => Poll::Ready(result),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.shutdown(Shutdown::Write))
    }
}
