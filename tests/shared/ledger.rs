//! What is alive: every future, output, panic payload and closure is counted in and out.

use std::{
    fmt,
    sync::atomic::{
        AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
};

/// What a token stands for.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A future.
    Future,
    /// What a future gives.
    Output,
    /// What a panic carries.
    Payload,
    /// A job of the blocking pool.
    Closure,
}

const KINDS: [Kind; 4] = [Kind::Future, Kind::Output, Kind::Payload, Kind::Closure];

struct Account {
    born: AtomicU64,
    dead: AtomicU64,
}

static ACCOUNTS: [Account; KINDS.len()] =
    [const { Account { born: AtomicU64::new(0), dead: AtomicU64::new(0) } }; KINDS.len()];

/// Counts everything that happens, so that the watchdog sees whether anything does.
static STEPS: AtomicU64 = AtomicU64::new(0);

const ALIVE: u64 = 0x0a11_0a11_0a11_0a11;
const DEAD: u64 = 0xdead_dead_dead_dead;

/// Something that has to be dropped exactly once.
///
/// On the heap, so that the address sanitizer sees a second drop or a late use; and marked, so that
/// a plain run sees it, too.
#[derive(Debug)]
pub struct Token {
    kind: Kind,
    mark: Box<u64>,
}

impl Token {
    /// Counts one in.
    pub fn new(kind: Kind) -> Self {
        ACCOUNTS[kind as usize].born.fetch_add(1, Relaxed);
        Self { kind, mark: Box::new(ALIVE) }
    }

    /// Fails if this has been dropped.
    pub fn check(&self) {
        if *self.mark != ALIVE {
            die(&format!("a {:?} was used after its drop", self.kind));
        }
        step();
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.check();
        *self.mark = DEAD;
        ACCOUNTS[self.kind as usize].dead.fetch_add(1, SeqCst);
    }
}

/// Tells the watchdog that something moves.
pub fn step() {
    STEPS.fetch_add(1, Relaxed);
}

/// How much has happened so far.
pub fn steps() -> u64 {
    STEPS.load(Relaxed)
}

/// How many futures there have been.
pub fn futures() -> u64 {
    ACCOUNTS[Kind::Future as usize].born.load(Relaxed)
}

/// Whether everything that was born is dead.
pub fn is_settled() -> bool {
    // What is dead is read first: it can only be too low.
    ACCOUNTS.iter().all(|account| {
        let dead = account.dead.load(SeqCst);
        dead == account.born.load(SeqCst)
    })
}

/// Ends the process: what is broken may be memory, and an unwinding thread would be contained.
pub fn die(why: &str) -> ! {
    eprintln!("{why}\n{Summary}");
    std::process::abort();
}

/// Prints the accounts.
#[derive(Debug)]
pub struct Summary;

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, account) in KINDS.iter().zip(&ACCOUNTS) {
            let (born, dead) = (account.born.load(Relaxed), account.dead.load(Relaxed));
            writeln!(f, "{:>8}s: {born:>9} in, {dead:>9} out", format!("{kind:?}"))?;
        }
        write!(f, "{:>9}: {:>9}", "steps", steps())
    }
}
