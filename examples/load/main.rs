//! A load client for `serve`, on plain threads, that accounts for every request it sends.
//!
//! It runs until the server refuses connections or the time is up, and sorts each request:
//!
//! - *answered*: the whole answer came, with the status and the body that were expected;
//! - *refused*: no connection, so the server never had it;
//! - *unanswered*: the connection was closed before the first byte of an answer;
//! - *broken*: the answer was cut off, wrong, or did not come in time.
//!
//! A server that loses no accepted request leaves nothing broken, has handled exactly as many
//! requests as were answered, and has left unanswered only what came on connections that it never
//! accepted: as many as were *connected* here more than there.
//!
//! ```text
//! cargo run --release --example load -- --connections 32 --seconds 5 127.0.0.1:8080
//! ```

use std::fmt::{self, Display};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::ops::AddAssign;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

const HELP: &str = "\
A load client for the example `serve`. Exits 1 if an answer was broken.

Usage: load [OPTIONS] HOST:PORT

Options:
  --connections N   concurrent connections; every other one is new for each request [default: 32]
  --seconds N       how long at most; a server that refuses connections ends it too [default: 60]
  --help            print this";

/// Longer than any answer takes, so that a hang shows up as a broken answer.
const PATIENCE: Duration = Duration::from_secs(10);

const ECHOED: usize = 4096;

#[derive(Debug)]
struct Options {
    addr: String,
    connections: usize,
    seconds: u64,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("load: {error} (see --help)");
            return ExitCode::from(2);
        }
    };
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let mut total = Tally::default();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..options.connections)
            .map(|client| {
                let addr = &options.addr;
                scope.spawn(move || Client { addr, keep_alive: client % 2 == 0 }.run(end))
            })
            .collect();
        for client in clients {
            total += client.join().expect("a client thread panicked");
        }
    });
    println!("{total}");
    if total.broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `None`: the user asked for help.
fn options() -> Result<Option<Options>, lexopt::Error> {
    use lexopt::prelude::*;
    let (mut addr, mut connections, mut seconds) = (None, 32, 60);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("connections") => connections = arguments.value()?.parse()?,
            Long("seconds") => seconds = arguments.value()?.parse()?,
            Long("help") | Short('h') => return Ok(None),
            Value(value) if addr.is_none() => addr = Some(value.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let addr = addr.ok_or("HOST:PORT is missing")?;
    Ok(Some(Options { addr, connections, seconds }))
}

#[derive(Debug, Default)]
struct Tally {
    answered: u64,
    refused: u64,
    unanswered: u64,
    broken: u64,
    connected: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.broken += other.broken;
        self.connected += other.connected;
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answered, refused, unanswered, broken, connected } = self;
        write!(
            f,
            "answered {answered} refused {refused} unanswered {unanswered} broken {broken} \
             connected {connected}"
        )
    }
}

/// What became of one request that was sent, if it was not answered.
#[derive(Debug)]
enum Failure {
    Unanswered,
    Broken(String),
}

impl Failure {
    fn broken(error: impl Display) -> Self {
        Self::Broken(error.to_string())
    }
}

#[derive(Debug)]
struct Client<'a> {
    addr: &'a str,
    keep_alive: bool,
}

impl Client<'_> {
    fn run(&self, end: Instant) -> Tally {
        let mut tally = Tally::default();
        let mut kept = None;
        for request in Request::cycle() {
            if Instant::now() >= end {
                break;
            }
            let stream = match kept.take() {
                Some(kept) => kept,
                None => {
                    let Ok(new) = self.connect() else {
                        tally.refused += 1;
                        break;
                    };
                    tally.connected += 1;
                    new
                }
            };
            match request.send(stream, self.keep_alive) {
                Ok(stream) => {
                    tally.answered += 1;
                    kept = stream;
                }
                Err(Failure::Unanswered) => tally.unanswered += 1,
                Err(Failure::Broken(why)) => {
                    eprintln!("load: {} {}: {why}", request.method, request.path);
                    tally.broken += 1;
                }
            }
        }
        tally
    }

    fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(self.addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(BufReader::new(stream))
    }
}

#[derive(Clone, Debug)]
struct Request {
    method: &'static str,
    path: &'static str,
    body: Vec<u8>,
    answer: Vec<u8>,
}

impl Request {
    /// Every route that has a known answer, in turns, without end.
    fn cycle() -> impl Iterator<Item = Self> {
        let body: Vec<u8> = (0..ECHOED).map(|index| b'a' + (index % 26) as u8).collect();
        let get = |path, answer: &[u8]| Self {
            method: "GET",
            path,
            body: Vec::new(),
            answer: answer.to_vec(),
        };
        let requests = [
            get("/", b"Hello from jenny!\n"),
            Self { method: "POST", path: "/echo", body: body.clone(), answer: body },
            get("/blocking?ms=5", b"slept 5 ms\n"),
        ];
        requests.into_iter().cycle()
    }

    /// Gives the connection back if the server keeps it open.
    fn send(
        &self,
        mut stream: BufReader<TcpStream>,
        keep_alive: bool,
    ) -> Result<Option<BufReader<TcpStream>>, Failure> {
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let mut bytes = format!(
            "{} {} HTTP/1.1\r\nhost: load\r\nconnection: {connection}\r\ncontent-length: {}\r\n\r\n",
            self.method,
            self.path,
            self.body.len(),
        )
        .into_bytes();
        bytes.extend_from_slice(&self.body);
        stream.get_mut().write_all(&bytes).map_err(|_| Failure::Unanswered)?;

        match stream.fill_buf() {
            Ok([]) => return Err(Failure::Unanswered),
            Ok(_) => {}
            // The patience ran out: the server has the request and does not answer.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(Failure::broken(error));
            }
            Err(_) => return Err(Failure::Unanswered),
        }
        let closes = self.check(&mut stream)?;
        Ok((keep_alive && !closes).then_some(stream))
    }

    /// Reads the answer to its end. True: the server closes the connection after it.
    fn check(&self, stream: &mut BufReader<TcpStream>) -> Result<bool, Failure> {
        let mut line = String::new();
        stream.read_line(&mut line).map_err(Failure::broken)?;
        if !line.starts_with("HTTP/1.1 200 ") {
            return Err(Failure::broken(format_args!("status line {line:?}")));
        }
        let (mut length, mut closes) = (None, false);
        loop {
            line.clear();
            stream.read_line(&mut line).map_err(Failure::broken)?;
            if !line.ends_with("\r\n") {
                return Err(Failure::broken("the head was cut off"));
            }
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok(),
                "connection" => closes = value.trim().eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        let mut body = vec![0; length.ok_or_else(|| Failure::broken("no content-length"))?];
        stream.read_exact(&mut body).map_err(Failure::broken)?;
        if body != self.answer {
            return Err(Failure::broken(format_args!("another body of {} bytes", body.len())));
        }
        Ok(closes)
    }
}
