//! The bytes of an echo by nonblocking sockets and an epoll for each thread, which drives both ends.
//! Each message is written, waited for and read, twice: no read finds nothing.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::super::tcp::MESSAGE;

/// On so many threads, each with its share of the connections.
pub(super) fn echo<const CONNECTIONS: u64, const THREADS: u64>(operations: u64) {
    let (connections, messages) = (CONNECTIONS / THREADS, operations / CONNECTIONS);
    let share = || drive(connections, messages).expect("sockets");
    let answered: u64 = thread::scope(|threads| {
        let others: Vec<_> = (1..THREADS).map(|_| threads.spawn(share)).collect();
        share() + others.into_iter().map(|other| other.join().expect("no panic")).sum::<u64>()
    });
    assert_eq!(answered, operations);
}

/// Returns the number of messages that came back as they were sent.
fn drive(connections: u64, messages: u64) -> io::Result<u64> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // The ends of a connection are neighbours: the client's is even.
    let mut ends = Vec::new();
    for _ in 0..connections {
        ends.push(TcpStream::connect(listener.local_addr()?)?);
        ends.push(listener.accept()?.0);
    }
    for (end, stream) in (0..).zip(&ends) {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&epoll, stream, EventData::new_u64(end), EventFlags::IN | EventFlags::ET)?;
    }
    let message = |end: usize, number: u64| [end as u8 ^ number as u8; MESSAGE];
    let mut sent = vec![1; ends.len()];
    for end in (0..ends.len()).step_by(2) {
        ends[end].write_all(&message(end, 0))?;
    }
    let (mut events, mut answered) = (Vec::with_capacity(ends.len()), 0);
    while answered < connections * messages {
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for Event { data, .. } in events.drain(..) {
            let end = data.u64() as usize;
            let mut received = [0; MESSAGE];
            ends[end].read_exact(&mut received)?;
            if end % 2 == 1 {
                ends[end].write_all(&received)?;
                continue;
            }
            answered += u64::from(received == message(end, sent[end] - 1));
            if sent[end] < messages {
                ends[end].write_all(&message(end, sent[end]))?;
                sent[end] += 1;
            }
        }
    }
    Ok(answered)
}
