//! Ends the process when nothing moves: a hang is a failure with a message.

use std::{
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::ledger;

const PATIENCE: Duration = Duration::from_secs(60);

/// Ends the process if nothing is counted for a minute.
#[derive(Debug)]
pub struct Watchdog {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watchdog {
    /// Begins to watch.
    pub fn start() -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut seen = (ledger::steps(), Instant::now());
            while stopped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                let steps = ledger::steps();
                if steps != seen.0 {
                    seen = (steps, Instant::now());
                } else if seen.1.elapsed() >= PATIENCE {
                    ledger::die(&format!("nothing has moved for {PATIENCE:?}"));
                }
            }
        });
        Self { stop, thread }
    }

    /// Stops watching.
    pub fn stop(self) {
        drop(self.stop);
        self.thread.join().unwrap();
    }
}
