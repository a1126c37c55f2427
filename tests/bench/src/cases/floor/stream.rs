//! A stream between two threads, which sleep in their sockets.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use super::super::tcp::{CHUNK, unpaced};

/// An operation is a kibibyte.
pub(super) fn throughput(operations: u64) {
    assert_eq!(send_and_receive(operations * 1024).expect("sockets"), operations * 1024);
}

fn send_and_receive(bytes: u64) -> io::Result<u64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut sender = TcpStream::connect(listener.local_addr()?)?;
    unpaced(&sender);
    let mut receiver = listener.accept()?.0;
    thread::scope(|threads| {
        let sent = threads.spawn(move || -> io::Result<()> {
            let chunk = vec![7; CHUNK];
            (0..bytes / CHUNK as u64).try_for_each(|_| sender.write_all(&chunk))
        });
        let (mut buffer, mut received) = (vec![0; CHUNK], 0);
        loop {
            match receiver.read(&mut buffer)? {
                0 => break,
                bytes => received += bytes as u64,
            }
        }
        sent.join().expect("no panic")?;
        Ok(received)
    })
}
