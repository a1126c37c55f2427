//! What one wants to hear about.

use std::{fmt, num::NonZeroU8, ops};

use super::ready::Ready;

const READABLE: u8 = 1 << 0;
const WRITABLE: u8 = 1 << 1;
const PRIORITY: u8 = 1 << 2;
const ERROR: u8 = 1 << 3;

/// The kinds of readiness that an operation waits for; at least one.
///
/// ```
/// use jenny::io::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.is_readable() && both.is_writable());
/// assert_eq!(both.remove(Interest::READABLE), Some(Interest::WRITABLE));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Interest(NonZeroU8);

impl Interest {
    /// Data to read, or that the peer will send no more.
    pub const READABLE: Self = Self::of(READABLE);

    /// Room to write, or that nobody will read any more.
    pub const WRITABLE: Self = Self::of(WRITABLE);

    /// Priority data: out-of-band data of TCP, for example.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub const PRIORITY: Self = Self::of(PRIORITY);

    /// An error condition.
    pub const ERROR: Self = Self::of(ERROR);

    const fn of(bits: u8) -> Self {
        match NonZeroU8::new(bits) {
            Some(bits) => Self(bits),
            None => panic!("an interest in nothing"),
        }
    }

    const fn contains(self, bits: u8) -> bool {
        self.0.get() & bits != 0
    }

    /// Whether reading is of interest.
    pub const fn is_readable(self) -> bool {
        self.contains(READABLE)
    }

    /// Whether writing is of interest.
    pub const fn is_writable(self) -> bool {
        self.contains(WRITABLE)
    }

    /// Whether priority data is of interest.
    pub const fn is_priority(self) -> bool {
        self.contains(PRIORITY)
    }

    /// Whether errors are of interest.
    pub const fn is_error(self) -> bool {
        self.contains(ERROR)
    }

    /// Both interests together.
    #[must_use]
    pub const fn add(self, other: Self) -> Self {
        Self::of(self.0.get() | other.0.get())
    }

    /// This interest without `other`; `None` if nothing remains.
    #[must_use]
    pub fn remove(self, other: Self) -> Option<Self> {
        NonZeroU8::new(self.0.get() & !other.0.get()).map(Self)
    }

    /// The readiness that satisfies this interest. A closed direction does, because the operation
    /// will not block but end or fail.
    pub(crate) fn mask(self) -> Ready {
        let mut mask = Ready::EMPTY;
        if self.is_readable() {
            mask |= Ready::READABLE | Ready::READ_CLOSED;
        }
        if self.is_writable() {
            mask |= Ready::WRITABLE | Ready::WRITE_CLOSED;
        }
        if self.is_priority() {
            mask |= Ready::PRIORITY | Ready::READ_CLOSED;
        }
        if self.is_error() {
            mask |= Ready::ERROR;
        }
        mask
    }

    /// What the system is asked for.
    #[cfg(not(jenny_loom))]
    pub(crate) fn to_mio(self) -> mio::Interest {
        let mut wanted: Option<mio::Interest> = None;
        let mut want = |interest: mio::Interest| {
            wanted = Some(wanted.map_or(interest, |others| others | interest));
        };
        // Errors are always reported, but the system wants to be asked for something.
        if self.is_readable() || self.is_error() {
            want(mio::Interest::READABLE);
        }
        if self.is_writable() {
            want(mio::Interest::WRITABLE);
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if self.is_priority() {
            want(mio::Interest::PRIORITY);
        }
        wanted.unwrap_or(mio::Interest::READABLE)
    }
}

impl ops::BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.add(other)
    }
}

impl ops::BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (READABLE, "READABLE"),
            (WRITABLE, "WRITABLE"),
            (PRIORITY, "PRIORITY"),
            (ERROR, "ERROR"),
        ];
        let mut separator = "";
        for (bits, name) in names {
            if self.contains(bits) {
                write!(f, "{separator}{name}")?;
                separator = " | ";
            }
        }
        Ok(())
    }
}
