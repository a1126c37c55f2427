//! How connections begin and end, and what else one does with a socket.

use std::{
    future::poll_fn,
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use jenny::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream, lookup_host},
    runtime::{Builder, Runtime, is_rt_shutdown_err},
    task::{spawn, yield_now},
};

use super::{connection, listener, on_all};

/// Runtimes that other threads may use, too.
fn runtimes() -> [Runtime; 2] {
    [
        Builder::new_current_thread().enable_all().build().unwrap(),
        Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
    ]
}

/// What the system reports of a new connection reaches the driver later than the first operation.
#[test]
fn an_accepted_stream_is_tried_before_anything_is_reported() {
    on_all(|| async {
        let (listener, address) = listener().await;
        let mut client = std::net::TcpStream::connect(address).unwrap();
        client.write_all(b"first").unwrap();
        let (server, _) = listener.accept().await.unwrap();
        // No await in between, so no turn of this thread's driver.
        let mut buf = [0; 5];
        assert_eq!(server.try_read(&mut buf).unwrap(), 5);
        assert_eq!(server.try_write(b"reply").unwrap(), 5);
        client.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"reply");

        // Of a silent one the first read finds that out, and the next waits.
        let mut silent = std::net::TcpStream::connect(address).unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        assert_eq!(server.try_read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        silent.write_all(b"later").unwrap();
        server.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"later");
    });
}

#[test]
fn a_refused_connection_is_an_error() {
    on_all(|| async {
        let (listener, address) = listener().await;
        drop(listener);
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);

        let nowhere: &[SocketAddr] = &[];
        let error = TcpStream::connect(nowhere).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn the_next_address_is_tried() {
    on_all(|| async {
        let (closed, nobody) = listener().await;
        drop(closed);
        let (_listener, somebody) = listener().await;
        let stream = TcpStream::connect(&[nobody, somebody][..]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), somebody);
    });
}

#[test]
fn a_host_name_is_looked_up() {
    on_all(|| async {
        let found: Vec<_> = lookup_host("localhost:80").await.unwrap().collect();
        assert!(!found.is_empty());
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
        let (_listener, address) = listener().await;
        TcpStream::connect(("localhost", address.port())).await.unwrap();
    });
}

#[test]
fn several_tasks_accept_from_one_listener() {
    on_all(|| async {
        let (listener, address) = listener().await;
        let listener = Arc::new(listener);
        let acceptors = [(); 8].map(|()| {
            let listener = Arc::clone(&listener);
            spawn(async move { listener.accept().await.unwrap().1 })
        });
        let mut clients = Vec::new();
        for _ in 0..acceptors.len() {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        let mut accepted = Vec::new();
        for acceptor in acceptors {
            accepted.push(acceptor.await.unwrap());
        }
        accepted.sort();
        let mut connected: Vec<_> =
            clients.iter().map(|client| client.local_addr().unwrap()).collect();
        connected.sort();
        assert_eq!(accepted, connected);
    });
}

#[test]
fn a_listener_goes_while_it_accepts() {
    on_all(|| async {
        let (listener, address) = listener().await;
        let waiting = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&waiting);
        let acceptor = spawn(async move {
            let mut accept = pin!(listener.accept());
            poll_fn(|cx| {
                let polled = accept.as_mut().poll(cx);
                seen.store(true, SeqCst);
                polled
            })
            .await
            .map(drop)
        });
        while !waiting.load(SeqCst) {
            yield_now().await;
        }
        acceptor.abort();
        assert!(acceptor.await.unwrap_err().is_cancelled());
        // The socket is closed, and its address free at once.
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        TcpListener::bind(address).await.unwrap();
    });
}

#[test]
fn sockets_with_options() {
    on_all(|| async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        assert!(socket.reuseaddr().unwrap());
        socket.set_recv_buffer_size(1 << 16).unwrap();
        assert!(socket.recv_buffer_size().unwrap() >= 1 << 16);
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(16).unwrap();
        let address = listener.local_addr().unwrap();

        let socket = TcpSocket::new_v4().unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_tos_v4(0x10).unwrap();
        assert_eq!(socket.tos_v4().unwrap(), 0x10);
        socket.set_zero_linger().unwrap();
        assert_eq!(socket.linger().unwrap(), Some(std::time::Duration::ZERO));
        #[expect(deprecated, reason = "it still has to work")]
        socket.set_linger(None).unwrap();
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.device().unwrap(), None);
            match socket.bind_device(Some(b"lo")) {
                Ok(()) => assert_eq!(socket.device().unwrap().unwrap(), b"lo"),
                // Old systems ask for a privilege.
                Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
            }
        }
        let stream = socket.connect(address).await.unwrap();
        assert!(stream.nodelay().unwrap());
        #[cfg(target_os = "linux")]
        for quickack in [false, true] {
            stream.set_quickack(quickack).unwrap();
            assert_eq!(stream.quickack().unwrap(), quickack);
        }
        stream.set_ttl(42).unwrap();
        assert_eq!(stream.ttl().unwrap(), 42);
        stream.set_zero_linger().unwrap();
        assert_eq!(stream.linger().unwrap(), Some(std::time::Duration::ZERO));

        let (mut accepted, _) = listener.accept().await.unwrap();
        drop(stream);
        let error = accepted.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_traffic_class_of_a_socket() {
    // Machines without IPv6 have no such socket.
    if let Ok(socket) = TcpSocket::new_v6() {
        socket.set_tclass_v6(0x20).unwrap();
        assert_eq!(socket.tclass_v6().unwrap(), 0x20);
    }
}

#[test]
fn to_std_and_back() {
    on_all(|| async {
        let (client, server) = connection().await;
        let mut client = client.into_std().unwrap();
        client.set_nonblocking(false).unwrap();
        client.write_all(b"std").unwrap();
        let mut server = TcpStream::from_std(server.into_std().unwrap()).unwrap();
        let mut buf = [0; 3];
        server.read_exact(&mut buf).await.unwrap();
        server.write_all(&buf).await.unwrap();
        client.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"std");
    });
}

/// The options of a socket survive its way through a bare descriptor.
#[test]
#[cfg(unix)]
fn to_a_descriptor_and_back() {
    use std::os::fd::{FromRawFd, IntoRawFd};

    on_all(|| async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_nodelay(true).unwrap();
        let descriptor = socket.into_raw_fd();
        // SAFETY: nobody else has the descriptor.
        let socket = unsafe { TcpSocket::from_raw_fd(descriptor) };
        let (_listener, address) = listener().await;
        let stream = socket.connect(address).await.unwrap();
        let whole: &TcpStream = stream.as_ref();
        assert!(whole.nodelay().unwrap());
        assert_eq!(whole.peer_addr().unwrap(), address);
    });
}

#[test]
fn the_end_of_a_runtime_ends_its_sockets() {
    let [current_thread, multi_thread] = runtimes();
    let [other, _] = runtimes();
    for runtime in [current_thread, multi_thread] {
        let (_client, mut server) = runtime.block_on(connection());
        drop(runtime);
        let error = other.block_on(server.read(&mut [0; 1])).unwrap_err();
        assert!(is_rt_shutdown_err(&error), "{error}");
        let error = other.block_on(server.readable()).unwrap_err();
        assert!(is_rt_shutdown_err(&error), "{error}");
        assert!(!is_rt_shutdown_err(&std::io::Error::other(error.to_string())));
    }
}

/// A try waits for nothing, so it needs no driver.
#[test]
fn what_arrived_before_the_end_of_a_runtime_can_be_read_after_it() {
    for runtime in runtimes() {
        let (mut client, server) = runtime.block_on(connection());
        runtime.block_on(async {
            client.write_all(b"late").await.unwrap();
            server.readable().await.unwrap();
        });
        drop(runtime);
        let mut received = [0; 4];
        assert_eq!(server.try_read(&mut received).unwrap(), 4);
        assert_eq!(&received, b"late");
        let error = server.try_read(&mut received).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
}

/// A socket waits for its own runtime's driver, whoever polls it.
#[test]
fn a_socket_may_be_used_in_another_runtime() {
    let [driving, polling] = runtimes()
        .map(|_| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());
    let (mut client, mut server) = driving.block_on(connection());
    polling.block_on(async {
        let reader = spawn(async move {
            let mut buf = [0; 4];
            server.read_exact(&mut buf).await.unwrap();
            buf
        });
        client.write_all(b"over").await.unwrap();
        assert_eq!(&reader.await.unwrap(), b"over");
    });
}

#[test]
#[should_panic(expected = "runtime")]
fn no_socket_outside_a_runtime() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let _ = TcpListener::from_std(listener);
}
