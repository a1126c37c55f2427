//! What a runtime does when it has a choice.

use std::hash::{DefaultHasher, Hasher};

/// What a panic of a task does beside ending the task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnhandledPanic {
    /// Nothing: whoever awaits the task's `JoinHandle` hears of it.
    #[default]
    Ignore,
    /// The runtime ends: all tasks are cancelled, and `block_on` panics, now and from then on.
    ShutdownRuntime,
}

/// What the random choices of a runtime start from.
///
/// # Examples
/// ```
/// use jenny::runtime::{Builder, RngSeed};
///
/// let seed = RngSeed::from_bytes(b"the same every time");
/// let runtime = Builder::new_current_thread().rng_seed(seed).build()?;
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RngSeed(pub(super) u64);

impl RngSeed {
    /// Makes a seed of these bytes: the same seed of the same bytes, as long as the program is not
    /// built by another version of Rust.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        Self(hasher.finish())
    }
}
