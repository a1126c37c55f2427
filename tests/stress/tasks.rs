//! Tasks that do at random whatever a task can do.

use std::{
    panic::resume_unwind,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use jenny::{
    runtime::{Handle, RuntimeFlavor},
    task::{JoinError, JoinHandle, block_in_place, yield_now},
    time::{Instant, Sleep, sleep},
};
use jenny_tests::{
    Rng,
    ledger::{self, Kind, Token},
};

use crate::strangers::{Parcel, Strangers};

/// How deep tasks spawn tasks.
const GENERATIONS: u8 = 2;

/// How a script ends, unless it is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Output,
    /// The output panics when the runtime drops it.
    ExplosiveOutput,
    PanicInPoll,
    PanicInDrop,
}

/// A future that takes a few steps, each at random.
pub(crate) struct Script {
    token: Token,
    strangers: Arc<Strangers>,
    rng: Rng,
    steps: usize,
    /// What the next step waits for.
    child: Option<JoinHandle<Output>>,
    timer: Option<Pin<Box<Sleep>>>,
    generation: u8,
    /// It runs where no other thread could take its worker over.
    bound: bool,
    /// It may be polled when the runtime of its timers is gone.
    wanders: bool,
    end: End,
}

/// What a script or a closure gives.
#[derive(Debug)]
pub(crate) struct Output {
    token: Token,
    explosive: bool,
}

/// What somebody who waits for a script has to expect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expect {
    /// Somebody aborts it, or its runtime ends.
    pub(crate) cancelled: bool,
    pub(crate) panicked: bool,
}

/// A panic that prints nothing, with a payload that is counted.
fn explode() -> ! {
    resume_unwind(Box::new(Token::new(Kind::Payload)))
}

impl Script {
    pub(crate) fn new(strangers: &Arc<Strangers>, rng: &mut Rng) -> Self {
        Self::of(0, Arc::clone(strangers), rng.fork())
    }

    fn of(generation: u8, strangers: Arc<Strangers>, mut rng: Rng) -> Self {
        let steps = if rng.one_in(2) { 0 } else { rng.below(5) };
        let end = match rng.below(40) {
            0 => End::PanicInPoll,
            1 => End::PanicInDrop,
            2 => End::ExplosiveOutput,
            _ => End::Output,
        };
        let token = Token::new(Kind::Future);
        let (child, timer, bound, wanders) = (None, None, false, false);
        Self { token, strangers, rng, steps, child, timer, generation, bound, wanders, end }
    }

    /// A script for a `LocalSet`.
    pub(crate) fn bound(strangers: &Arc<Strangers>, rng: &mut Rng) -> Self {
        let mut script = Self::new(strangers, rng);
        script.bound = true;
        script
    }

    /// Lets the script be in a `LocalSet` that is polled by one runtime after another.
    pub(crate) fn wanders(&mut self) {
        (self.bound, self.wanders) = (true, true);
    }

    /// What comes of this script if somebody aborts it, or nobody.
    pub(crate) fn expect(&self, cancelled: bool) -> Expect {
        let panicked = matches!(self.end, End::PanicInPoll | End::PanicInDrop);
        Expect { cancelled, panicked }
    }

    fn fork(&mut self) -> Self {
        Self::of(self.generation + 1, Arc::clone(&self.strangers), self.rng.fork())
    }

    /// Begins something that will wake this task.
    fn step(&mut self, context: &mut Context<'_>) {
        let waker = context.waker();
        match self.rng.below(14) {
            0..3 => waker.wake_by_ref(),
            3 => {
                // By value: gives up the reference in the same step.
                let own = waker.clone();
                own.wake();
            }
            4..8 => {
                if self.rng.one_in(4) {
                    self.strangers.send(Parcel::Play(waker.clone()));
                }
                self.strangers.send(Parcel::Wake(waker.clone()));
            }
            8 => self.child = Some(jenny::task::spawn_blocking(closure(self.rng.fork()))),
            9 if !self.wanders => {
                let duration = Duration::from_micros(self.rng.below(3_000) as u64);
                self.timer = Some(Box::pin(sleep(duration)));
            }
            10 => {
                self.block();
                waker.wake_by_ref();
            }
            _ if self.generation < GENERATIONS => self.spawn(),
            _ => waker.wake_by_ref(),
        }
        if self.child.is_some() || self.timer.is_some() {
            // The next poll looks after it.
            waker.wake_by_ref();
        }
    }

    fn spawn(&mut self) {
        for _ in 0..self.rng.below(3) {
            let sibling = self.fork();
            let handle = jenny::spawn(sibling);
            self.leave(handle);
        }
        let child = self.fork();
        self.child = Some(jenny::spawn(child));
    }

    /// Blocks in the middle of a poll, where that is allowed.
    fn block(&mut self) {
        let handle = Handle::current();
        if self.bound || handle.runtime_flavor() == RuntimeFlavor::CurrentThread {
            return;
        }
        block_in_place(|| match self.rng.below(6) {
            0 => thread::sleep(Duration::from_micros(100)),
            1 => handle.block_on(sleep(Duration::from_micros(100))),
            2 => handle.block_on(yield_now()),
            3 if self.generation < GENERATIONS => drop(jenny::spawn(self.fork())),
            4 if self.end == End::PanicInPoll => explode(),
            _ => thread::yield_now(),
        });
    }

    /// Waits for the timer, unless it is dropped before its time.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(timer) = &mut self.timer else { return Poll::Ready(()) };
        if timer.as_mut().poll(context).is_pending() {
            match self.rng.below(8) {
                0 => {}
                1 => {
                    timer.as_mut().reset(Instant::now());
                    return Poll::Pending;
                }
                _ => return Poll::Pending,
            }
        }
        self.timer = None;
        Poll::Ready(())
    }

    /// Lets go of a task, in one way or another.
    fn leave(&mut self, handle: JoinHandle<Output>) {
        match self.rng.below(4) {
            0 => handle.abort(),
            1 => self.strangers.send(Parcel::Abort(handle.abort_handle())),
            2 => self.strangers.send(Parcel::Join(handle)),
            _ => drop(handle),
        }
    }
}

impl Future for Script {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Output> {
        let this = &mut *self;
        this.token.check();
        if let Some(mut child) = this.child.take() {
            match Pin::new(&mut child).poll(context) {
                // The child may be cancelled with the runtime, or panic.
                Poll::Ready(Ok(output)) => output.defuse(),
                Poll::Ready(Err(_)) => {}
                Poll::Pending => match this.rng.below(8) {
                    0 => {
                        this.leave(child);
                        context.waker().wake_by_ref();
                    }
                    1 => {
                        child.abort();
                        this.child = Some(child);
                    }
                    _ => this.child = Some(child),
                },
            }
            if this.child.is_some() {
                return Poll::Pending;
            }
        }
        if this.poll_timer(context).is_pending() {
            return Poll::Pending;
        }
        if this.steps > 0 {
            this.steps -= 1;
            this.step(context);
            return Poll::Pending;
        }
        match this.end {
            End::PanicInPoll => explode(),
            end => Poll::Ready(Output::new(end == End::ExplosiveOutput)),
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.token.check();
        // Also while its runtime ends.
        if self.generation < GENERATIONS && self.rng.one_in(32) && Handle::try_current().is_ok() {
            let heir = self.fork();
            drop(jenny::spawn(heir));
        }
        if self.end == End::PanicInDrop && !thread::panicking() {
            explode();
        }
    }
}

impl Output {
    fn new(explosive: bool) -> Self {
        Self { token: Token::new(Kind::Output), explosive }
    }

    /// Takes the fuse out: from here on the test drops it.
    pub(crate) fn defuse(mut self) {
        self.token.check();
        self.explosive = false;
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.token.check();
        if self.explosive && !thread::panicking() {
            explode();
        }
    }
}

/// A closure for the blocking pool.
pub(crate) fn closure(mut rng: Rng) -> impl FnOnce() -> Output + Send + 'static {
    let token = Token::new(Kind::Closure);
    move || {
        token.check();
        if rng.one_in(64) {
            thread::sleep(Duration::from_millis(1));
        }
        if rng.one_in(32) {
            explode();
        }
        Output::new(rng.one_in(16))
    }
}

/// Fails if a task ended in a way that nothing explains.
pub(crate) fn judge(result: Result<Output, JoinError>, expect: Expect) {
    match result {
        Ok(output) => output.defuse(),
        Err(error) if error.is_cancelled() => {
            if !expect.cancelled {
                ledger::die(&format!("{error}, and nobody asked for it"));
            }
        }
        Err(error) => {
            if !expect.panicked {
                ledger::die(&format!("a task panicked that does not: {error}"));
            }
            if !error.into_panic().is::<Token>() {
                ledger::die("a panic with another payload than the task's own");
            }
        }
    }
}
