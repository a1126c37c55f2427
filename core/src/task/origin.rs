//! Where a task was spawned and what it is called, in one word.
//!
//! Few tasks have a name, and those without one do not pay for it: their word is the address of the
//! location. That of a named task is the address of a box with both, told apart by its lowest bit,
//! which the alignment of either leaves free.

use alloc::boxed::Box;
use core::{fmt, panic::Location, ptr::NonNull};

use super::spawned::Spawned;

/// [`Spawned`] as a cell keeps it.
pub(super) struct Origin(NonNull<()>);

/// The origin of a task that has a name.
struct Named {
    at: &'static Location<'static>,
    name: Box<str>,
}

/// Set in the address of a [`Named`].
const NAMED: usize = 1;
const _: () = assert!(align_of::<Named>() > NAMED && align_of::<Location<'_>>() > NAMED);

impl Origin {
    #[inline]
    pub(super) fn new(spawned: Spawned<'_>) -> Self {
        match spawned.name() {
            None => Self(NonNull::from(spawned.at()).cast()),
            Some(name) => Self::with_name(spawned.at(), name),
        }
    }

    #[cold]
    fn with_name(at: &'static Location<'static>, name: &str) -> Self {
        let named = Box::new(Named { at, name: name.into() });
        Self(NonNull::from(Box::leak(named)).map_addr(|address| address | NAMED).cast())
    }

    /// The box of a named task.
    #[inline]
    fn named(&self) -> Option<NonNull<Named>> {
        let address = self.0.addr().get();
        (address & NAMED != 0).then(|| {
            // SAFETY: the bit was added to the address of a box, which is not null without it.
            unsafe { NonNull::new_unchecked(self.0.as_ptr().map_addr(|address| address & !NAMED)) }
                .cast()
        })
    }

    pub(super) fn spawned_at(&self) -> &'static Location<'static> {
        match self.named() {
            // SAFETY: the box lives as long as this value, and nobody writes to it.
            Some(named) => unsafe { named.as_ref() }.at,
            // SAFETY: without the bit the word is the address of a location, a `'static` one.
            None => unsafe { self.0.cast::<Location<'static>>().as_ref() },
        }
    }

    pub(super) fn name(&self) -> Option<&str> {
        // SAFETY: as above.
        self.named().map(|named| &*unsafe { named.as_ref() }.name)
    }

    pub(super) fn show(&self, shown: &mut fmt::DebugStruct<'_, '_>) {
        if let Some(name) = self.name() {
            shown.field("name", &name);
        }
        shown.field("spawned_at", &format_args!("{}", self.spawned_at()));
    }
}

impl Drop for Origin {
    #[inline]
    fn drop(&mut self) {
        #[cold]
        fn drop_name(named: NonNull<Named>) {
            // SAFETY: the box was leaked into the value that ends.
            drop(unsafe { Box::from_raw(named.as_ptr()) });
        }

        if let Some(named) = self.named() {
            drop_name(named);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_beside_the_location() {
        let spawned = Spawned::here();
        let line = line!() - 1;
        let unnamed = Origin::new(spawned);
        assert_eq!((unnamed.name(), unnamed.spawned_at().line()), (None, line));
        for name in ["", "weaver"] {
            let named = Origin::new(spawned.named(Some(&alloc::string::String::from(name))));
            assert_eq!((named.name(), named.spawned_at().line()), (Some(name), line));
        }
    }
}
