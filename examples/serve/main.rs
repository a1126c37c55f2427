//! A real HTTP/1.1 server: an axum `Router`, hyper, and a jenny runtime below them.
//!
//! ```text
//! cargo run --release --example serve -- --addr 127.0.0.1:8080
//! ```

mod metrics;
mod routes;
mod serve;

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::process::{ExitCode, exit};

use jenny::net::TcpListener;
use jenny::runtime::Builder;
use jenny::signal::unix::{Signal, SignalKind, signal};

const HELP: &str = "\
An HTTP/1.1 server on the jenny runtime.

Usage: serve [OPTIONS]

Options:
  --addr HOST:PORT   address to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
  --workers N        worker threads [default: one per core]
  --help             print this

Routes:
  GET  /               a greeting
  POST /echo           the body, streamed back
  GET  /blocking?ms=N  sleeps N ms on the blocking pool
  GET  /metrics        the runtime's counters, for Prometheus

Ctrl-C or SIGTERM shuts down gracefully; a second one quits at once.";

#[derive(Debug)]
struct Options {
    addr: String,
    workers: Option<usize>,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(2, format_args!("{error} (see --help)")),
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, error),
    }
}

fn fail(code: u8, error: impl Display) -> ExitCode {
    eprintln!("serve: {error}");
    ExitCode::from(code)
}

/// `None`: the user asked for help.
fn options() -> Result<Option<Options>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut options = Options { addr: "127.0.0.1:8080".into(), workers: None };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("addr") => options.addr = arguments.value()?.string()?,
            Long("workers") => match arguments.value()?.parse()? {
                0 => return Err("--workers is at least 1".into()),
                workers => options.workers = Some(workers),
            },
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut builder = Builder::new_multi_thread();
    if let Some(workers) = options.workers {
        builder.worker_threads(workers);
    }
    let runtime = builder.enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(&*options.addr)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", options.addr))?;
        // Before the line below: who reads it may send a signal at once.
        let signals = Signals::new()?;
        println!("listening on http://{}", listener.local_addr()?);

        let served = serve::serve(listener, routes::router())
            .with_graceful_shutdown(signals.first_then_quit())
            .await?;
        println!("served {} requests on {} connections", served.requests, served.connections);
        Ok(())
    })
}

/// Ctrl-C and SIGTERM, caught from here on.
#[derive(Debug)]
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        jenny::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Resolves on the first signal; the second one ends the process.
    async fn first_then_quit(mut self) {
        self.next().await;
        eprintln!("shutting down; once more to quit at once");
        jenny::task::spawn(async move {
            self.next().await;
            exit(130);
        });
    }
}
