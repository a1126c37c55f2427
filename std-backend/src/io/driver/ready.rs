//! What the system has reported.

use std::{fmt, ops};

/// A set of readiness states of an I/O resource.
///
/// ```
/// use jenny::io::Ready;
///
/// assert!(Ready::READ_CLOSED.is_readable(), "a read would not block, but return 0");
/// assert!((Ready::READABLE | Ready::WRITABLE).is_writable());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ready(u8);

impl Ready {
    /// Nothing.
    pub const EMPTY: Self = Self(0);

    /// There is something to read.
    pub const READABLE: Self = Self(1 << 0);

    /// There is room to write.
    pub const WRITABLE: Self = Self(1 << 1);

    /// The peer sends no more.
    pub const READ_CLOSED: Self = Self(1 << 2);

    /// The peer reads no more.
    pub const WRITE_CLOSED: Self = Self(1 << 3);

    /// There is priority data.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub const PRIORITY: Self = Self(1 << 4);

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) const PRIORITY: Self = Self(1 << 4);

    /// There is an error to fetch.
    pub const ERROR: Self = Self(1 << 5);

    /// Everything.
    pub const ALL: Self = Self((1 << Self::BITS) - 1);

    /// How many bits a set takes up.
    pub(crate) const BITS: u32 = 6;

    /// Whether there is nothing.
    pub fn is_empty(self) -> bool {
        self == Self::EMPTY
    }

    /// Whether a read will not block: there is data, or the peer sends no more.
    pub fn is_readable(self) -> bool {
        self.intersects(Self::READABLE | Self::READ_CLOSED)
    }

    /// Whether a write will not block: there is room, or the peer reads no more.
    pub fn is_writable(self) -> bool {
        self.intersects(Self::WRITABLE | Self::WRITE_CLOSED)
    }

    /// Whether the peer sends no more.
    pub fn is_read_closed(self) -> bool {
        self.intersects(Self::READ_CLOSED)
    }

    /// Whether the peer reads no more.
    pub fn is_write_closed(self) -> bool {
        self.intersects(Self::WRITE_CLOSED)
    }

    /// Whether there is priority data.
    pub fn is_priority(self) -> bool {
        self.intersects(Self::PRIORITY)
    }

    /// Whether there is an error to fetch.
    pub fn is_error(self) -> bool {
        self.intersects(Self::ERROR)
    }

    pub(crate) const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn bits(self) -> usize {
        usize::from(self.0)
    }

    /// The set in the lowest bits of `word`.
    pub(crate) fn from_low_bits(word: usize) -> Self {
        Self((word & Self::ALL.bits()) as u8)
    }

    #[cfg(not(jenny_loom))]
    pub(crate) fn from_event(event: &mio::event::Event) -> Self {
        let reported = [
            (event.is_readable(), Self::READABLE),
            (event.is_writable(), Self::WRITABLE),
            (event.is_read_closed(), Self::READ_CLOSED),
            (event.is_write_closed(), Self::WRITE_CLOSED),
            (event.is_priority(), Self::PRIORITY),
            (event.is_error(), Self::ERROR),
        ];
        let states = reported.iter().filter(|(is, _)| *is).map(|(_, state)| *state);
        states.fold(Self::EMPTY, ops::BitOr::bitor)
    }
}

impl ops::BitOr for Ready {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl ops::BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl ops::BitAnd for Ready {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl ops::Sub for Ready {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("is_readable", &self.intersects(Self::READABLE))
            .field("is_writable", &self.intersects(Self::WRITABLE))
            .field("is_read_closed", &self.is_read_closed())
            .field("is_write_closed", &self.is_write_closed())
            .field("is_priority", &self.is_priority())
            .field("is_error", &self.is_error())
            .finish()
    }
}
