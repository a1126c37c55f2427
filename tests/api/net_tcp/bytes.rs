//! What goes over a connection.

use std::{
    future::poll_fn,
    io::{ErrorKind, IoSlice, IoSliceMut},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
};

use jenny::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, Interest, ReadBuf},
    net::TcpStream,
    runtime::Builder,
    task::{spawn, yield_now},
};

use super::{connection, listener, on_all};

async fn echo(mut stream: TcpStream) {
    let mut buf = [0; 256];
    loop {
        match stream.read(&mut buf).await.unwrap() {
            0 => return,
            n => stream.write_all(&buf[..n]).await.unwrap(),
        }
    }
}

#[test]
fn many_connections_echo() {
    const CONNECTIONS: u8 = 64;
    const ROUNDS: u8 = 20;
    on_all(|| async {
        let (listener, address) = listener().await;
        let server = spawn(async move {
            for _ in 0..CONNECTIONS {
                let (stream, _) = listener.accept().await.unwrap();
                spawn(echo(stream));
            }
        });
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|client| {
                spawn(async move {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    for round in 0..ROUNDS {
                        let sent = [client ^ round; 100];
                        stream.write_all(&sent).await.unwrap();
                        let mut received = [0; 100];
                        stream.read_exact(&mut received).await.unwrap();
                        assert_eq!(sent, received);
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        server.await.unwrap();
    });
}

/// More than the socket buffers hold, so that both sides wait for each other many times.
#[test]
fn a_slow_reader_holds_the_writer_back() {
    const SIZE: usize = 16 << 20;
    on_all(|| async {
        let (mut client, mut server) = connection().await;
        let writer = spawn(async move {
            let data: Vec<u8> = (0..SIZE).map(|i| (i % 251) as u8).collect();
            client.write_all(&data).await.unwrap();
            client.shutdown().await.unwrap();
            client
        });
        let mut buf = vec![0; 60_000];
        let mut total = 0;
        loop {
            let n = server.read(&mut buf).await.unwrap();
            if n == 0 {
                break;
            }
            let intact = buf[..n].iter().zip(total..).all(|(&byte, i)| byte == (i % 251) as u8);
            assert!(intact, "damaged after {total} bytes");
            total += n;
            yield_now().await;
        }
        assert_eq!(total, SIZE);
        writer.await.unwrap();
    });
}

/// The last bytes and the end may be reported together; a read of only the bytes must not lose the
/// end.
#[test]
fn the_end_follows_a_partial_read() {
    on_all(|| async {
        for _ in 0..50 {
            let (mut client, mut server) = connection().await;
            client.write_all(b"abc").await.unwrap();
            drop(client);
            let mut buf = [0; 64];
            assert_eq!(server.read(&mut buf).await.unwrap(), 3);
            assert_eq!(server.read(&mut buf).await.unwrap(), 0);
            assert_eq!(server.read(&mut buf).await.unwrap(), 0, "the end stays");
        }
    });
}

/// After a dialogue of messages that fill their buffers one says more than it was asked for.
#[test]
fn nothing_stays_behind_a_read_that_filled_its_buffer() {
    const MESSAGE: usize = 16;
    on_all(|| async {
        let (mut client, mut server) = connection().await;
        let server = spawn(async move {
            let mut message = [0; MESSAGE];
            while server.read_exact(&mut message).await.is_ok() {
                let answers = usize::from(message[0]);
                server.write_all(&message.repeat(answers)).await.unwrap();
            }
        });
        let mut message = [0; MESSAGE];
        for round in 0..600 {
            let answers = if round % 100 == 99 { 1 + round as u8 / 100 } else { 1 };
            client.write_all(&[answers; MESSAGE]).await.unwrap();
            for _ in 0..answers {
                client.read_exact(&mut message).await.unwrap();
                assert_eq!(message, [answers; MESSAGE]);
            }
        }
        drop(client);
        server.await.unwrap();
    });
}

#[test]
fn halves_borrow() {
    on_all(|| async {
        let (mut client, server) = connection().await;
        let server = spawn(echo(server));
        let (mut read, mut write) = client.split();
        assert_eq!(read.peer_addr().unwrap(), write.peer_addr().unwrap());
        write.write_all(b"ping").await.unwrap();
        write.shutdown().await.unwrap();
        let mut answer = Vec::new();
        read.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"ping");
        server.await.unwrap();
    });
}

#[test]
fn halves_that_own() {
    on_all(|| async {
        let (client, server) = connection().await;
        let server = spawn(echo(server));
        let (mut read, mut write) = client.into_split();
        let writer = spawn(async move {
            for _ in 0..1_000 {
                write.write_all(&[7; 100]).await.unwrap();
            }
            write
        });
        let mut received = vec![0; 100_000];
        read.read_exact(&mut received).await.unwrap();
        assert!(received.iter().all(|&byte| byte == 7));

        let write = writer.await.unwrap();
        let (other, _its_peer) = connection().await;
        let (other, _) = other.into_split();
        let error = write.reunite(other).unwrap_err();
        assert_eq!(error.to_string(), "the halves are not of the same stream");
        let stream = read.reunite(error.1).unwrap();

        // The writing half tells the peer, and the echo ends the other direction.
        let (mut read, write) = stream.into_split();
        drop(write);
        assert_eq!(read.read(&mut received).await.unwrap(), 0);
        server.await.unwrap();
    });
}

#[test]
fn a_forgotten_half_says_nothing() {
    on_all(|| async {
        let (client, mut server) = connection().await;
        let (mut read, write) = client.into_split();
        write.forget();
        let mut buf = [0; 8];
        assert_eq!(server.try_read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        server.write_all(b"still").await.unwrap();
        assert_eq!(read.read(&mut buf).await.unwrap(), 5);
        drop(read);
        assert_eq!(server.read(&mut buf).await.unwrap(), 0, "now the stream is closed");
    });
}

#[test]
fn try_operations_never_wait() {
    on_all(|| async {
        let (client, server) = connection().await;
        let mut buf = [0; 8];
        assert_eq!(server.try_read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);

        client.writable().await.unwrap();
        let bufs = [IoSlice::new(b"abc"), IoSlice::new(b"defg")];
        assert_eq!(client.try_write_vectored(&bufs).unwrap(), 7);
        let ready = server.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap();
        assert!(ready.is_readable() || ready.is_writable());

        let (mut first, mut second) = ([0; 2], [0; 8]);
        server.readable().await.unwrap();
        let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(server.try_read_vectored(&mut bufs).unwrap(), 7);
        assert_eq!((&first, &second[..5]), (b"ab", &b"cdefg"[..]));

        // Until the buffers are full.
        let chunk = [0; 65_536];
        let error = loop {
            client.writable().await.unwrap();
            match client.try_write(&chunk) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);

        drop(client);
        let mut buf = chunk;
        loop {
            server.readable().await.unwrap();
            match server.try_read(&mut buf) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    });
}

/// Whoever goes on until he is told `WouldBlock` is told so, also after a transfer that did not
/// fill the buffer.
#[test]
fn a_short_try_is_followed_by_would_block() {
    on_all(|| async {
        let (client, server) = connection().await;
        client.writable().await.unwrap();
        assert_eq!(client.try_write(b"abc").unwrap(), 3);
        let mut buf = [0; 8];
        for expected in [Ok(3), Err(ErrorKind::WouldBlock)] {
            server.readable().await.unwrap();
            assert_eq!(server.try_read(&mut buf).map_err(|error| error.kind()), expected);
        }
    });
}

/// The system takes a thousand buffers or so at a time, which does not mean that there is no room.
#[test]
fn a_stream_takes_more_buffers_than_the_system() {
    on_all(|| async {
        let (mut client, mut server) = connection().await;
        let bytes: Vec<u8> = (0..5000).map(|n| n as u8).collect();
        let mut bufs: Vec<_> = bytes.chunks(1).map(IoSlice::new).collect();
        let mut left = &mut bufs[..];
        while !left.is_empty() {
            let written = client.write_vectored(left).await.unwrap();
            IoSlice::advance_slices(&mut left, written);
        }
        drop(client);
        let mut read = Vec::new();
        server.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, bytes);
    });
}

/// A read that is given up takes nothing with it.
#[test]
fn a_cancelled_read_loses_no_data() {
    on_all(|| async {
        let (mut client, mut server) = connection().await;
        let mut buf = [0; 8];
        for round in 0..100u8 {
            {
                let mut read = pin!(server.read(&mut buf));
                let first = poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await;
                assert!(first.is_pending());
            }
            {
                let mut readable = pin!(server.readable());
                let first = poll_fn(|cx| Poll::Ready(readable.as_mut().poll(cx))).await;
                assert!(first.is_pending());
            }
            client.write_all(&[round]).await.unwrap();
            assert_eq!(server.read(&mut buf).await.unwrap(), 1);
            assert_eq!(buf[0], round);
        }
    });
}

#[test]
fn two_tasks_wait_for_the_same_readiness() {
    on_all(|| async {
        let (mut client, server) = connection().await;
        let server = Arc::new(server);
        let waiting = Arc::new(AtomicUsize::new(0));
        let waiters = [(); 2].map(|()| {
            let (server, waiting) = (Arc::clone(&server), Arc::clone(&waiting));
            spawn(async move {
                waiting.fetch_add(1, SeqCst);
                server.readable().await.unwrap();
            })
        });
        while waiting.load(SeqCst) < 2 {
            yield_now().await;
        }
        client.write_all(b"!").await.unwrap();
        for waiter in waiters {
            waiter.await.unwrap();
        }
    });
}

#[test]
fn peeking_consumes_nothing() {
    on_all(|| async {
        let (mut client, mut server) = connection().await;
        client.write_all(b"hello").await.unwrap();
        let mut buf = [0; 16];
        for _ in 0..3 {
            assert_eq!(server.peek(&mut buf).await.unwrap(), 5);
            let mut room = ReadBuf::new(&mut buf);
            assert_eq!(poll_fn(|cx| server.poll_peek(cx, &mut room)).await.unwrap(), 5);
            assert_eq!(room.filled(), b"hello");
        }
        assert_eq!(server.read(&mut buf).await.unwrap(), 5);
    });
}

/// Its socket always has something to read, and still it lets others run.
#[test]
fn an_ever_ready_socket_shares_its_worker() {
    const READS: usize = 10_000;
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut client, mut server) = connection().await;
        client.write_all(&[0; READS]).await.unwrap();
        let reader = spawn(async move {
            for _ in 0..READS {
                server.read_exact(&mut [0; 1]).await.unwrap();
            }
        });
        let other = spawn(async move {
            let mut turns = 0;
            while !reader.is_finished() {
                turns += 1;
                yield_now().await;
            }
            turns
        });
        let turns = other.await.unwrap();
        assert!(turns >= READS / 256, "only {turns} turns beside {READS} reads");
    });
}

#[test]
fn a_buffer_grows_by_what_is_there() {
    on_all(|| async {
        let (mut client, server) = connection().await;
        let mut buf = b"> ".to_vec();
        let nothing = server.try_read_buf(&mut buf).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        client.write_all(b"hello").await.unwrap();
        server.readable().await.unwrap();
        assert_eq!(server.try_read_buf(&mut buf).unwrap(), 5);
        assert_eq!(buf, b"> hello");
        client.write_all(b"!").await.unwrap();
        drop(client);
        let (reader, _writer) = server.into_split();
        reader.readable().await.unwrap();
        assert_eq!(reader.try_read_buf(&mut buf).unwrap(), 1);
        assert_eq!(buf, b"> hello!");
    });
}

/// Reading into memory that nobody has initialised.
#[test]
fn reads_fill_what_was_uninitialised() {
    on_all(|| async {
        let (mut client, mut server) = connection().await;
        client.write_all(b"fresh").await.unwrap();
        let mut memory = [std::mem::MaybeUninit::uninit(); 32];
        let mut buf = ReadBuf::uninit(&mut memory);
        poll_fn(|cx| Pin::new(&mut server).poll_read(cx, &mut buf)).await.unwrap();
        assert_eq!(buf.filled(), b"fresh");
        assert_eq!(buf.initialized().len(), 5);
    });
}
