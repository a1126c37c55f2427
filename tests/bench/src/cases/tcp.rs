//! Echo over loopback; both ends are tasks of the runtime.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::in_task;
use crate::peer::Peer;

const MESSAGE: usize = 64;

pub(super) fn echo_1<P: Peer>(runtime: &P, operations: u64) {
    echo::<P, 1>(runtime, operations);
}

pub(super) fn echo_64<P: Peer>(runtime: &P, operations: u64) {
    echo::<P, 64>(runtime, operations);
}

fn echo<P: Peer, const CONNECTIONS: u64>(runtime: &P, operations: u64) {
    let (echoed, answered) = in_task(runtime, async move {
        let (listener, address) = P::listen().await.expect("a free port");
        let server = P::spawn(async move {
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
        });
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
