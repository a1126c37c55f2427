//! What the system says about this process.

use std::{fmt, fs, io};

/// One look at the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    /// Resident memory.
    pub(crate) memory_kib: u64,
    pub(crate) threads: usize,
    /// Open file descriptors.
    pub(crate) files: usize,
}

impl Process {
    pub(crate) fn now() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory_kib = memory
            .and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok())
            .ok_or_else(|| io::Error::other("/proc/self/status names no resident memory"))?;
        Ok(Self {
            memory_kib,
            threads: fs::read_dir("/proc/self/task")?.count(),
            files: fs::read_dir("/proc/self/fd")?.count(),
        })
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory_kib, threads, files } = self;
        write!(f, "{memory_kib:>8} KiB, {threads} threads, {files} files")
    }
}
