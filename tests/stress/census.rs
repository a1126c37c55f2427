//! How many threads the process has while the scenarios run.

use std::{
    fs,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Counts threads all the time.
pub(crate) struct Census {
    stop: Sender<()>,
    taker: JoinHandle<usize>,
}

/// How many threads this process has, where that can be told.
pub(crate) fn threads() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let count = status.lines().find_map(|line| line.strip_prefix("Threads:"))?;
    count.trim().parse().ok()
}

impl Census {
    pub(crate) fn start() -> Self {
        let (stop, stopped) = mpsc::channel();
        let taker = thread::spawn(move || {
            let mut peak = 0;
            while stopped.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout) {
                peak = peak.max(threads().unwrap_or(0));
            }
            peak
        });
        Self { stop, taker }
    }

    /// Stops counting: the most threads that were seen at once, zero where that cannot be told.
    pub(crate) fn peak(self) -> usize {
        drop(self.stop);
        self.taker.join().unwrap()
    }
}
