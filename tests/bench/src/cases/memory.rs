//! Resident memory, each figure from a process of its own: this program, called with
//! [`ARGUMENT`].

use std::env;
use std::fs;
use std::hint::black_box;
use std::io::{self, Read};
use std::net::TcpStream;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll};
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::measure::{Sample, Sampler, Samplers};
use crate::peer::{Flavor, Jenny, Name, Peer, Smol, Tokio};

/// Not for people: `--resident WHAT PEER` prints bytes.
pub(crate) const ARGUMENT: &str = "resident";

const FLAVOR: Flavor = Flavor::MultiThread { workers: 2 };

pub(super) fn samplers(what: &'static str) -> io::Result<Samplers> {
    Ok(Name::PEERS.map(|peer| Some(sampler(what, peer))))
}

/// Asks a process for each sample.
pub(super) fn sampler(what: &'static str, peer: Name) -> Sampler {
    Box::new(move || {
        let program = env::current_exe()?;
        let flag = format!("--{ARGUMENT}");
        let output = Command::new(program).args([&flag, what, &peer.to_string()]).output()?;
        let bytes = String::from_utf8_lossy(&output.stdout).trim().parse();
        bytes.map(Sample::of).map_err(|_| {
            io::Error::other(format!(
                "the process for {what} of {peer} failed: {}",
                String::from_utf8_lossy(&output.stderr)
            ))
        })
    })
}

/// What the process was asked for, in bytes.
///
/// # Errors
/// If the names are not those of a figure and of a peer, or the system refuses.
pub(crate) fn resident(what: &str, peer: &str) -> io::Result<f64> {
    // In the order of `Name::ALL`.
    let measure: &[fn() -> io::Result<f64>] = match what {
        "task_16" => &[task::<Jenny, 2>, task::<Tokio, 2>, task::<Smol, 2>],
        "task_64" => &[task::<Jenny, 8>, task::<Tokio, 8>, task::<Smol, 8>],
        "task_256" => &[task::<Jenny, 32>, task::<Tokio, 32>, task::<Smol, 32>],
        "runtime" => &[runtime::<Jenny>, runtime::<Tokio>, runtime::<Smol>, two_threads],
        "connection" => &[connection::<Jenny>, connection::<Tokio>, connection::<Smol>],
        _ => return Err(io::Error::other(format!("there is no figure `{what}`"))),
    };
    let name = Name::parse(peer).ok_or_else(|| io::Error::other(format!("no peer is `{peer}`")))?;
    let measure = measure.get(name as usize);
    measure.ok_or_else(|| io::Error::other(format!("{what} has no {peer}")))?()
}

static POLLED: AtomicU64 = AtomicU64::new(0);

/// A future of so many words that is never ready.
struct Idle<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Future for Idle<WORDS> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        black_box(&self.0);
        POLLED.fetch_add(1, Relaxed);
        Poll::Pending
    }
}

fn task<P: Peer, const WORDS: usize>() -> io::Result<f64> {
    // Enough for what a runtime allocates once, and for single pages, not to show.
    const TASKS: u64 = 400_000;
    let runtime = P::build(FLAVOR)?;
    let spawn = |tasks: u64| {
        let polled = POLLED.load(Relaxed) + tasks;
        for _ in 0..tasks {
            drop(runtime.spawn_remote(Idle([0; WORDS])));
        }
        while POLLED.load(Relaxed) < polled {
            thread::yield_now();
        }
    };
    // What a runtime makes once.
    spawn(1000);
    growth(TASKS, || (spawn(TASKS), Ok(())).1)
}

fn runtime<P: Peer>() -> io::Result<f64> {
    const RUNTIMES: u64 = 32;
    let start = || {
        let runtime = P::build(FLAVOR)?;
        runtime.block_on(async { P::spawn(async {}).await.expect("joined") });
        io::Result::Ok(runtime)
    };
    let mut runtimes = vec![start()?];
    growth(RUNTIMES, || {
        for _ in 0..RUNTIMES {
            runtimes.push(start()?);
        }
        Ok(())
    })
}

/// The floor of a runtime of two workers: threads that sleep.
fn two_threads() -> io::Result<f64> {
    const PAIRS: usize = 32;
    let start = || {
        let asleep = Arc::new(Barrier::new(3));
        for _ in 0..2 {
            let asleep = Arc::clone(&asleep);
            thread::Builder::new().spawn(move || {
                asleep.wait();
                thread::park();
            })?;
        }
        asleep.wait();
        io::Result::Ok(())
    };
    start()?;
    growth(PAIRS as u64, || (0..PAIRS).try_for_each(|_| start()))
}

/// The server's end with a task that reads; the client's is the kernel's alone.
fn connection<P: Peer>() -> io::Result<f64> {
    const CONNECTIONS: u64 = 4000;
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    // Two descriptors each, and some for the runtime.
    let connections = maximum.map_or(CONNECTIONS, |files| CONNECTIONS.min((files - 100) / 2));

    let runtime = P::build(FLAVOR)?;
    let (listener, address) = runtime.block_on(P::listen())?;
    drop(runtime.spawn_remote(async move {
        loop {
            let mut stream = P::accept(&listener).await.expect("accepted");
            drop(P::spawn(async move {
                stream.write_all(&[0]).await.expect("greeted");
                // Until the process ends.
                drop(stream.read(&mut [0]).await);
            }));
        }
    }));
    let connect = || {
        let mut stream = TcpStream::connect(address)?;
        stream.read_exact(&mut [0])?;
        io::Result::Ok(stream)
    };
    // The vector is the client's and not to be counted.
    let mut clients = Vec::with_capacity(connections as usize + 100);
    clients.resize_with(100, || connect().ok());
    growth(connections, || {
        for _ in 0..connections {
            clients.push(Some(connect()?));
        }
        Ok(())
    })
}

/// By how much the process has grown, per item: whole bytes, as a page more or less is none.
fn growth(items: u64, make: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
    let before = resident_bytes()?;
    make()?;
    Ok(((resident_bytes()? - before) / items as f64).round())
}

/// The exact sum over all mappings; `statm` lags behind by what each processor keeps to itself.
/// Without pages of files: code that runs for the first time brings its neighbours along, up to 64 KiB,
/// and is no memory of an item.
fn resident_bytes() -> io::Result<f64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    let kib =
        rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")?.trim().strip_suffix(" kB"));
    let kib: Option<f64> = kib.and_then(|kib| kib.parse().ok());
    kib.map(|kib| kib * 1024.0).ok_or_else(|| io::Error::other("smaps_rollup without Anonymous"))
}
