//! "Hello, world!" by hyper, under wrk where that is installed, otherwise under threads of ours.

use std::any::Any;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::process::Command;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::{Request, Response, server::conn::http1, service::service_fn};

use crate::measure::{Effort, Sample, Sampler, nanos, timed};
use crate::peer::Peer;

/// One server for all samples.
pub(super) fn hello<P: Peer>(runtime: P, effort: Effort) -> io::Result<Sampler> {
    let (listener, address) = runtime.block_on(P::listen())?;
    drop(runtime.spawn_remote(async move {
        loop {
            let stream = P::accept(&listener).await.expect("accepted");
            // An error: the load has hung up in the middle of a request, as wrk does at its end.
            drop(P::spawn(
                http1::Builder::new().serve_connection(P::http(stream), service_fn(answer)),
            ));
        }
    }));
    Ok(under_load(address, runtime, effort))
}

/// Keeps the server.
pub(super) fn under_load(address: SocketAddr, server: impl Any, effort: Effort) -> Sampler {
    let requests = effort.operations(REQUESTS);
    Box::new(move || {
        let _server = &server;
        if *WRK && !effort.quick { under_wrk(address) } else { under_threads(address, requests) }
    })
}

static WRK: LazyLock<bool> = LazyLock::new(|| Command::new("wrk").arg("-v").output().is_ok());

pub(super) async fn answer(_: Request<Incoming>) -> Result<Response<Hello>, Infallible> {
    Ok(Response::new(Hello(Some(Bytes::from_static(HELLO)))))
}

const HELLO: &[u8] = b"Hello, world!";

/// A body of one frame.
pub(super) struct Hello(Option<Bytes>);

impl Body for Hello {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, Bytes::len) as u64)
    }
}

/// The processor time is the server's alone.
fn under_wrk(server: SocketAddr) -> io::Result<Sample> {
    let mut output = None;
    let (_, cpu) = timed(|| {
        let arguments = ["-t1", "-c32", "-d1s"];
        output =
            Some(Command::new("wrk").args(arguments).arg(format!("http://{server}/")).output());
    });
    let report = String::from_utf8_lossy(&output.expect("it ran")?.stdout).into_owned();
    let figure = |line: &str| -> Option<f64> {
        report.lines().find_map(|text| text.trim().strip_prefix(line)?.trim().parse().ok())
    };
    let total =
        || report.lines().find_map(|text| text.trim().split_once(" requests in ")?.0.parse().ok());
    // A time-out is other work on the machine.
    let broken = report.contains("Non-2xx")
        || report.contains("Socket errors") && !report.contains("connect 0, read 0, write 0,");
    match (figure("Requests/sec:"), total()) {
        (Some(per_second), Some(requests)) if !broken => {
            let requests: f64 = requests;
            let cpu_nanos = Some(nanos(cpu) / requests);
            Ok(Sample { value: 1e9 / per_second, cpu_nanos, latencies: Vec::new() })
        }
        _ => Err(io::Error::other(format!("wrk did not measure: {report}"))),
    }
}

const REQUESTS: u64 = 8000;
const CLIENTS: u64 = 8;

/// The processor time is that of both sides.
fn under_threads(server: SocketAddr, requests: u64) -> io::Result<Sample> {
    let mut answers = Ok(());
    let (elapsed, cpu) = timed(|| {
        answers = thread::scope(|threads| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| threads.spawn(move || client(server, requests / CLIENTS)))
                .collect();
            clients.into_iter().try_for_each(|client| client.join().expect("no panic"))
        });
    });
    answers?;
    let per_request = |time: Duration| nanos(time) / requests as f64;
    Ok(Sample {
        value: per_request(elapsed),
        cpu_nanos: Some(per_request(cpu)),
        latencies: Vec::new(),
    })
}

fn client(server: SocketAddr, requests: u64) -> io::Result<()> {
    let mut request = String::new();
    write!(request, "GET / HTTP/1.1\r\nhost: {server}\r\n\r\n").expect("a string");
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    let (mut buffer, mut filled) = ([0; 1024], 0);
    for _ in 0..requests {
        stream.write_all(request.as_bytes())?;
        while !buffer[..filled].ends_with(HELLO) {
            match stream.read(&mut buffer[filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                bytes => filled += bytes,
            }
        }
        filled = 0;
    }
    Ok(())
}
