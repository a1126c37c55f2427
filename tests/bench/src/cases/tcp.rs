//! TCP over loopback; both ends are tasks of the runtime.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::in_task;
use crate::peer::Peer;

pub(super) const MESSAGE: usize = 64;

pub(super) fn echo<P: Peer, const CONNECTIONS: u64>(runtime: &P, operations: u64) {
    let (echoed, answered) = in_task(runtime, async move {
        let (listener, address) = P::listen().await.expect("a free port");
        let server = P::spawn(serve_all::<P, CONNECTIONS>(listener));
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|client| P::spawn(call::<P>(address, client as u8, operations / CONNECTIONS)))
            .collect();
        let mut answered = 0;
        for client in clients {
            answered += client.await.expect("joined");
        }
        (server.await.expect("joined"), answered)
    });
    assert_eq!((echoed, answered), (operations, operations));
}

/// The same with a thread for each client, which waits in the system for each answer.
///
/// There are more threads than cores, and nearly all of the time is the system's. It goes fast while
/// the system lets a client run as soon as it is woken, on the core of the worker that wakes it, and half
/// as fast while it does not, or has both workers on one core. Each state lasts for many round trips,
/// with any runtime, so the samples scatter more than those of other cases, and not independently.
pub(super) fn echo_to_threads<P: Peer, const CONNECTIONS: u64>(runtime: &P, operations: u64) {
    let (address, server) = in_task(runtime, async {
        let (listener, address) = P::listen().await.expect("a free port");
        (address, P::spawn(serve_all::<P, CONNECTIONS>(listener)))
    });
    let call = |client| move || call_in_thread(address, client as u8, operations / CONNECTIONS);
    let answered: u64 = thread::scope(|threads| {
        let clients: Vec<_> = (0..CONNECTIONS).map(|client| threads.spawn(call(client))).collect();
        clients.into_iter().map(|client| client.join().expect("no panic").expect("answered")).sum()
    });
    let echoed = runtime.block_on(server).expect("joined");
    assert_eq!((echoed, answered), (operations, operations));
}

/// Returns the number of messages that came back as they were sent.
fn call_in_thread(server: SocketAddr, client: u8, messages: u64) -> io::Result<u64> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    let mut answered = 0;
    for number in 0..messages {
        let sent = [client ^ number as u8; MESSAGE];
        stream.write_all(&sent)?;
        let mut received = [0; MESSAGE];
        stream.read_exact(&mut received)?;
        answered += u64::from(received == sent);
    }
    Ok(answered)
}

async fn serve_all<P: Peer, const CONNECTIONS: u64>(listener: P::Listener) -> u64 {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = P::accept(&listener).await.expect("accepted");
        connections.push(P::spawn(serve::<P>(stream)));
    }
    let mut echoed = 0;
    for connection in connections {
        echoed += connection.await.expect("joined");
    }
    echoed
}

/// Echoes until the client hangs up. Returns the number of messages.
async fn serve<P: Peer>(mut stream: P::Stream) -> u64 {
    let mut message = [0; MESSAGE];
    let mut echoed = 0;
    while stream.read_exact(&mut message).await.is_ok() {
        stream.write_all(&message).await.expect("echoed");
        echoed += 1;
    }
    echoed
}

/// Returns the number of messages that came back as they were sent.
async fn call<P: Peer>(server: SocketAddr, client: u8, messages: u64) -> u64 {
    let mut stream = P::connect(server).await.expect("connected");
    let mut answered = 0;
    for number in 0..messages {
        let sent = [client ^ number as u8; MESSAGE];
        stream.write_all(&sent).await.expect("sent");
        let mut received = [0; MESSAGE];
        stream.read_exact(&mut received).await.expect("received");
        answered += u64::from(received == sent);
    }
    answered
}

pub(super) const CHUNK: usize = 64 * 1024;

/// A stream in one direction; an operation is a kibibyte.
pub(super) fn throughput<P: Peer>(runtime: &P, operations: u64) {
    let received = in_task(runtime, async move {
        let (listener, address) = P::listen().await.expect("a free port");
        let sender = P::spawn(async move {
            let mut stream = P::connect(address).await.expect("connected");
            unpaced(&stream);
            let chunk = vec![7; CHUNK];
            for _ in 0..operations * 1024 / CHUNK as u64 {
                stream.write_all(&chunk).await.expect("sent");
            }
        });
        let mut stream = P::accept(&listener).await.expect("accepted");
        let (mut buffer, mut received) = (vec![0; CHUNK], 0);
        loop {
            match stream.read(&mut buffer).await.expect("received") {
                0 => break,
                bytes => received += bytes as u64,
            }
        }
        sender.await.expect("joined");
        received
    });
    assert_eq!(received, operations * 1024);
}

/// Has the system send what it is given. BBR, where that is the default, measures the first chunks and
/// paces the others by timers: a factor of four by chance, also between two plain threads.
pub(super) fn unpaced(stream: &impl AsFd) {
    SockRef::from(stream).set_tcp_congestion(b"reno").expect("it is always there");
}

/// Connections that are made, greeted by a task of their own, and reset; as many clients as fit a
/// listener's queue.
pub(super) fn accept_storm<P: Peer>(runtime: &P, operations: u64) {
    const CLIENTS: u64 = 50;
    const GREETING: u8 = 42;
    let greeted = in_task(runtime, async move {
        let (listener, address) = P::listen().await.expect("a free port");
        let server = P::spawn(async move {
            for _ in 0..operations {
                let mut stream = P::accept(&listener).await.expect("accepted");
                drop(P::spawn(async move {
                    stream.write_all(&[GREETING]).await.expect("greeted");
                    // Until the client has gone, by a reset.
                    drop(stream.read(&mut [0]).await);
                }));
            }
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                P::spawn(async move {
                    let mut greeted = 0;
                    for _ in 0..operations / CLIENTS {
                        let mut stream = P::connect(address).await.expect("connected");
                        greeted += u64::from(stream.read_u8().await.expect("read") == GREETING);
                        // No port is left waiting: there would soon be none for the next round.
                        let socket = SockRef::from(&stream);
                        socket.set_linger(Some(Duration::ZERO)).expect("a socket option");
                    }
                    greeted
                })
            })
            .collect();
        let mut greeted = 0;
        for client in clients {
            greeted += client.await.expect("joined");
        }
        server.await.expect("joined");
        greeted
    });
    assert_eq!(greeted, operations);
}
