//! A resource together with its registration.

use std::{
    fmt, io,
    ops::Deref,
    panic::{RefUnwindSafe, UnwindSafe},
};

use mio::event::Source;

use super::{Handle, Interest, Registration};

/// A source of events that is registered for as long as it is in here.
pub(crate) struct Evented<S: Source> {
    /// Taken only by `into_inner` and drop.
    source: Option<S>,
    registration: Registration,
}

// No code of others runs while the registration is being changed, so no panic leaves it half changed.
impl<S: Source> UnwindSafe for Evented<S> {}
impl<S: Source> RefUnwindSafe for Evented<S> {}

impl<S: Source> Evented<S> {
    /// Registers for reading and writing.
    ///
    /// # Errors
    /// The runtime is shutting down, or the system does not take the source.
    pub(crate) fn new(handle: Handle, mut source: S) -> io::Result<Self> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registration = Registration::new(handle, &mut source, interest)?;
        Ok(Self { source: Some(source), registration })
    }

    pub(crate) fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Ends the registration and gives the source back.
    ///
    /// # Errors
    /// The system does not know the source; it is closed then.
    pub(crate) fn into_inner(mut self) -> io::Result<S> {
        let mut source = self.source.take().expect(PRESENT);
        self.registration.deregister(&mut source)?;
        Ok(source)
    }
}

const PRESENT: &str = "the source is taken only by those who consume its owner";

impl<S: Source> Deref for Evented<S> {
    type Target = S;

    fn deref(&self) -> &S {
        self.source.as_ref().expect(PRESENT)
    }
}

impl<S: Source> Drop for Evented<S> {
    fn drop(&mut self) {
        if let Some(mut source) = self.source.take() {
            // Nobody is left to hear about a failure, and the source is closed next.
            let _ = self.registration.deregister(&mut source);
        }
    }
}

impl<S: Source + fmt::Debug> fmt::Debug for Evented<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}
