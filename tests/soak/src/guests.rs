//! What programs do on a runtime, in small. Whatever is not as it should be ends the process: a panic
//! would be contained by the runtime.

use std::{
    future::pending,
    net::SocketAddr,
    panic::resume_unwind,
    pin::{Pin, pin},
    thread,
    time::{Duration, Instant},
};

use jenny::{
    io::{AsyncReadExt, AsyncWriteExt, ErrorKind, Result},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    select, spawn,
    sync::{mpsc, oneshot},
    task::{
        JoinError, JoinHandle, JoinSet, block_in_place, spawn_blocking, spawn_local, yield_now,
    },
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use jenny_tests::{
    Rng,
    ledger::{Kind, Token, die},
};

/// Later than any run of the soak.
const FAR_AWAY: Duration = Duration::from_secs(100 * 3_600);

/// What the guests' runtime offers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// `spawn_local` works.
    pub(crate) is_local: bool,
    /// `block_in_place` works in its tasks.
    pub(crate) has_workers: bool,
}

impl Place {
    pub(crate) const ONE_THREAD: Self = Self { is_local: false, has_workers: false };
    pub(crate) const WORKERS: Self = Self { is_local: false, has_workers: true };

    /// Spawns a task, half of them as local ones where that is possible.
    pub(crate) fn spawn<F>(self, rng: &mut Rng, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let token = Token::new(Kind::Future);
        let counted = async move {
            let output = future.await;
            token.check();
            output
        };
        if self.is_local && rng.one_in(2) { spawn_local(counted) } else { spawn(counted) }
    }
}

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A guest of a random kind.
pub(crate) fn visit(rng: Rng, place: Place) -> Boxed {
    descend(rng, place, 0)
}

fn descend(mut rng: Rng, place: Place, generation: usize) -> Boxed {
    // Where tasks run that are spawned from a spawned task need not be local.
    let inner = Place { is_local: false, ..place };
    match rng.below(9) {
        0 | 1 => Box::pin(family(rng, inner, generation)),
        2 => Box::pin(aborts(rng, inner)),
        3 => Box::pin(timers(rng, inner)),
        4 => Box::pin(blocking(rng)),
        5 => Box::pin(echo(rng, inner)),
        6 => Box::pin(messages(rng, inner)),
        7 => Box::pin(in_place(rng, inner)),
        _ => Box::pin(panics(rng, inner)),
    }
}

fn millis(rng: &mut Rng, below: usize) -> Duration {
    Duration::from_micros(rng.below(1_000 * below) as u64)
}

/// An output or error that its guest expects; the shutdown may cancel everything at any time.
pub(crate) fn expect<T>(result: std::result::Result<T, JoinError>) -> Option<T> {
    match result {
        Ok(output) => Some(output),
        Err(error) if error.is_cancelled() => None,
        Err(error) => die(&format!("a task panicked that does not: {error}")),
    }
}

/// Tasks that spawn tasks and wait for some of them.
async fn family(mut rng: Rng, place: Place, generation: usize) {
    let mut children = JoinSet::new();
    for _ in 0..rng.below(5) {
        let mut own = rng.fork();
        if generation < 2 && own.one_in(3) {
            children.spawn(descend(own, place, generation + 1));
        } else {
            children.spawn(async move {
                for _ in 0..own.below(20) {
                    yield_now().await;
                }
            });
        }
    }
    match rng.below(4) {
        0 => children.detach_all(),
        1 => children.shutdown().await,
        2 => drop(children),
        _ => {
            while let Some(result) = children.join_next().await {
                expect(result);
            }
        }
    }
}

/// Tasks that never end by themselves.
async fn aborts(mut rng: Rng, place: Place) {
    for _ in 0..rng.below(6) {
        let mut own = rng.fork();
        let task = place.spawn(&mut rng, async move {
            match own.below(3) {
                0 => pending().await,
                1 => loop {
                    yield_now().await;
                },
                _ => loop {
                    sleep(millis(&mut own, 3)).await;
                },
            }
        });
        if rng.one_in(4) {
            // The shutdown's business.
            continue;
        }
        if rng.one_in(2) {
            sleep(millis(&mut rng, 2)).await;
        }
        task.abort();
        if rng.one_in(2) {
            expect::<()>(task.await);
        }
    }
}

async fn timers(mut rng: Rng, place: Place) {
    for _ in 0..rng.below(10) {
        let mut own = rng.fork();
        drop(place.spawn(&mut rng, async move {
            let (start, length) = (Instant::now(), millis(&mut own, 15));
            let waited = match own.below(5) {
                0 => shutdown().await,
                1 => {
                    let mut ticks = interval(Duration::from_millis(1));
                    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
                    for _ in 0..own.below(10) {
                        ticks.tick().await;
                    }
                    Duration::ZERO
                }
                2 => {
                    if timeout(length, pending::<()>()).await.is_ok() {
                        die("what never ends has ended");
                    }
                    length
                }
                3 => {
                    let mut timer = pin!(sleep(FAR_AWAY));
                    select! {
                        () = &mut timer => die("a timer is early by days"),
                        () = sleep(length) => {}
                    }
                    timer.as_mut().reset(jenny::time::Instant::now() + length);
                    timer.await;
                    2 * length
                }
                _ => {
                    sleep(length).await;
                    length
                }
            };
            if start.elapsed() < waited {
                die("a timer is early");
            }
        }));
    }
}

/// Waits for the shutdown.
async fn shutdown() -> Duration {
    sleep(FAR_AWAY).await;
    die("a timer is early by days")
}

async fn blocking(mut rng: Rng) {
    for _ in 0..rng.below(8) {
        let (mut own, token) = (rng.fork(), Token::new(Kind::Closure));
        let job = spawn_blocking(move || {
            token.check();
            match own.below(4) {
                0 => Handle::current().block_on(async { sleep(millis(&mut own, 2)).await }),
                1 => drop(spawn(async {})),
                2 => thread::sleep(millis(&mut own, 3)),
                _ => {}
            }
            Token::new(Kind::Output)
        });
        match rng.below(3) {
            0 => drop(expect(job.await)),
            1 => job.abort(),
            _ => drop(job),
        }
    }
}

/// A server and its clients, one of which hangs up in the middle.
async fn echo(mut rng: Rng, place: Place) {
    let Ok(listener) = TcpListener::bind("127.0.0.1:0").await else { return };
    let address = listener.local_addr().expect("it is bound");
    let server = place.spawn(&mut rng, async move {
        let mut streams = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            streams.spawn(answer(stream));
        }
    });
    let mut clients = Vec::new();
    for _ in 0..1 + rng.below(3) {
        let own = rng.fork();
        clients.push(place.spawn(&mut rng, ask(address, own)));
    }
    if rng.one_in(2) {
        clients.pop().expect("there is one").abort();
    }
    for client in clients {
        if let Some(Err(error)) = expect(client.await) {
            // In a shutdown the server may go first.
            use ErrorKind::*;
            let kinds =
                [AddrNotAvailable, BrokenPipe, ConnectionRefused, ConnectionReset, UnexpectedEof];
            if !kinds.contains(&error.kind()) {
                die(&format!("a client failed: {error}"));
            }
        }
    }
    server.abort();
}

async fn answer(mut stream: TcpStream) {
    let mut buffer = [0; 512];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

async fn ask(address: SocketAddr, mut rng: Rng) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    for round in 0..rng.below(20) {
        let sent = vec![round as u8; 1 + rng.below(700)];
        stream.write_all(&sent).await?;
        let mut received = vec![0; sent.len()];
        stream.read_exact(&mut received).await?;
        if sent != received {
            die("an echo came back changed");
        }
    }
    Ok(())
}

/// Two tasks and a thread of no runtime that send to each other.
async fn messages(mut rng: Rng, place: Place) {
    let (sender, mut receiver) = mpsc::channel(1 + rng.below(4));
    let count = rng.below(200);
    let producer = place.spawn(&mut rng, async move {
        for number in 0..count {
            if sender.send(number).await.is_err() {
                return;
            }
        }
    });
    let (done, is_done) = oneshot::channel();
    drop(place.spawn(&mut rng, async move {
        let mut received = 0;
        while let Some(number) = receiver.recv().await {
            if number != received {
                die("messages came out of order");
            }
            received += 1;
        }
        // Nobody listens any more if the runtime is shut down.
        _ = done.send(received);
    }));
    let (wake, woken) = oneshot::channel();
    let stranger = thread::spawn(move || _ = wake.send(()));
    _ = woken.await;
    stranger.join().expect("it only sends");
    let complete = expect(producer.await).is_some();
    if let Ok(received) = is_done.await
        && complete
        && received != count
    {
        die("a message was lost");
    }
}

/// Work that blocks where it stands, and there waits for more.
async fn in_place(mut rng: Rng, place: Place) {
    if !place.has_workers {
        return;
    }
    for _ in 0..1 + rng.below(3) {
        let mut own = rng.fork();
        let task = place.spawn(&mut rng, async move {
            let local = spawn(async { Token::new(Kind::Output) });
            let token = Token::new(Kind::Closure);
            block_in_place(move || {
                token.check();
                match own.below(4) {
                    0 => thread::sleep(millis(&mut own, 5)),
                    1 => drop(Handle::current().block_on(local)),
                    2 => block_in_place(|| thread::sleep(millis(&mut own, 2))),
                    _ => Handle::current().block_on(sleep(millis(&mut own, 3))),
                }
            });
            yield_now().await;
        });
        if rng.one_in(2) {
            expect(task.await);
        }
    }
}

/// Tasks that panic, and outputs and payloads that nobody takes.
async fn panics(mut rng: Rng, place: Place) {
    for _ in 0..rng.below(5) {
        let mut own = rng.fork();
        let task = place.spawn(&mut rng, async move {
            if own.one_in(2) {
                sleep(millis(&mut own, 2)).await;
            }
            if own.one_in(2) {
                resume_unwind(Box::new(Token::new(Kind::Payload)));
            }
            Token::new(Kind::Output)
        });
        if rng.one_in(2) {
            drop(task);
        } else if let Err(error) = task.await
            && let Ok(payload) = error.try_into_panic()
            && !payload.is::<Token>()
        {
            die("a panic has another payload than its own");
        }
    }
}
