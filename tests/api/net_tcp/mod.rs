//! TCP over the loopback interface, on all runtimes.

use std::net::SocketAddr;

use jenny::net::{TcpListener, TcpStream};

use crate::support::Flavour;

mod bytes;
mod sockets;

fn on_all<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for flavour in [Flavour::CurrentThread, Flavour::Local, Flavour::FourWorkers] {
        flavour.build().block_on(test());
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Both ends of a connection.
async fn connection() -> (TcpStream, TcpStream) {
    let (listener, address) = listener().await;
    let client = TcpStream::connect(address).await.unwrap();
    let (server, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    (client, server)
}
