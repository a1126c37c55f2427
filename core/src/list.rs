//! An intrusive, doubly linked list: constant time for everything, no allocation.
//!
//! The list deals in raw pointers throughout. It never makes a reference to a node, since others
//! have references to it at the same time, and it reaches the [`Pointers`] inside by a raw pointer
//! that the node's type provides. What it reads or writes there is guarded by access to the list.

use core::{
    cell::Cell,
    fmt,
    marker::{PhantomData, PhantomPinned},
    ptr::NonNull,
};

use crate::sync::UnsafeCell;

/// The place in a node for its neighbours.
pub struct Pointers<T> {
    neighbours: UnsafeCell<Neighbours<T>>,
    // The list has the address of the node, so the node is not to be moved, and a `&mut` to it must
    // not claim to be the only way to it.
    _pin: PhantomPinned,
}

struct Neighbours<T> {
    previous: Option<NonNull<T>>,
    next: Option<NonNull<T>>,
}

// SAFETY: only a list touches the neighbours, and it does so with exclusive access to the list that
// the node is in.
unsafe impl<T> Sync for Pointers<T> {}
// SAFETY: as above; the pointers own nothing.
unsafe impl<T> Send for Pointers<T> {}

impl<T> Pointers<T> {
    /// Makes the pointers of a node that is in no list.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self {
            neighbours: UnsafeCell::new(Neighbours { previous: None, next: None }),
            _pin: PhantomPinned,
        }
    }
}

impl<T> fmt::Debug for Pointers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pointers").finish_non_exhaustive()
    }
}

/// Says how a list holds its nodes. Implemented by a marker type for each kind of list that a node
/// can be in.
///
/// # Safety
/// - `into_raw` returns the address of a node that lives, and stays where it is, at least until the
///   handle is made again by `from_raw`.
/// - `pointers` returns the address of the same field of the node each time, with permission to
///   write it, and makes no reference to the node that would exclude the others that exist.
/// - Nothing but a list touches that field.
pub unsafe trait Linked {
    /// What is put in and taken out.
    type Handle;

    /// The node that it stands for.
    type Target;

    /// Gives up the handle for the address of its node.
    fn into_raw(handle: Self::Handle) -> NonNull<Self::Target>;

    /// Makes the handle again.
    ///
    /// # Safety
    /// The address came from `into_raw`, and is turned back once.
    unsafe fn from_raw(node: NonNull<Self::Target>) -> Self::Handle;

    /// The address of the node's pointers.
    ///
    /// # Safety
    /// The node is alive.
    unsafe fn pointers(node: NonNull<Self::Target>) -> NonNull<Pointers<Self::Target>>;
}

/// A doubly linked list of nodes that bring their own pointers.
///
/// It drops the handles that are left in it.
pub struct List<L: Linked> {
    // Invariant: both or neither are given. From the first, `next` leads to the last, and
    // `previous` back; all nodes on the way are alive, in this list alone, and owned by it.
    first: Option<NonNull<L::Target>>,
    last: Option<NonNull<L::Target>>,
    handles: PhantomData<L::Handle>,
}

// SAFETY: the list owns its handles and reaches its nodes through them, so it moves as they do.
unsafe impl<L: Linked<Handle: Send>> Send for List<L> {}

impl<L: Linked> List<L> {
    /// Makes an empty list.
    pub const fn new() -> Self {
        Self { first: None, last: None, handles: PhantomData }
    }

    /// Whether no node is in it.
    pub const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The node at the front.
    pub const fn first(&self) -> Option<NonNull<L::Target>> {
        self.first
    }

    /// The node at the back.
    pub const fn last(&self) -> Option<NonNull<L::Target>> {
        self.last
    }

    /// Puts a node at the front. A node may be in one list of each kind.
    pub fn push_front(&mut self, handle: L::Handle) {
        let node = L::into_raw(handle);
        debug_assert_ne!(self.first, Some(node), "a node is put into a list twice");
        // SAFETY: the node is alive because we have its handle, the first because it is in here.
        unsafe {
            access::<L, _>(node, |its| *its = Neighbours { previous: None, next: self.first });
            if let Some(first) = self.first {
                access::<L, _>(first, |its| its.previous = Some(node));
            }
        }
        self.first = Some(node);
        self.last = self.last.or(self.first);
    }

    /// Takes the node at the front.
    pub fn pop_front(&mut self) -> Option<L::Handle> {
        // SAFETY: the first node is in this list.
        unsafe { self.remove(self.first?) }
    }

    /// Takes the node at the back.
    pub fn pop_back(&mut self) -> Option<L::Handle> {
        // SAFETY: the last node is in this list.
        unsafe { self.remove(self.last?) }
    }

    /// Takes a node out, wherever in the list it is. `None` if it is in no list.
    ///
    /// # Safety
    /// The node is alive, and in this list or in no list of this kind.
    pub unsafe fn remove(&mut self, node: NonNull<L::Target>) -> Option<L::Handle> {
        // SAFETY: the node is alive, as the caller says, and its neighbours because they are in
        // this list, if it is. It is exactly if it has a neighbour before it or is the first. The
        // list then owns the handle, and gives it up.
        unsafe {
            let Neighbours { previous, next } = access::<L, _>(node, |its| Neighbours {
                previous: its.previous.take(),
                next: its.next.take(),
            });
            match previous {
                Some(previous) => access::<L, _>(previous, |its| its.next = next),
                None if self.first == Some(node) => self.first = next,
                None => return None,
            }
            match next {
                Some(next) => access::<L, _>(next, |its| its.previous = previous),
                None => self.last = previous,
            }
            Some(L::from_raw(node))
        }
    }

    /// Calls the closure with every node, from front to back. It cannot reach the list meanwhile;
    /// all nodes stay alive and in place.
    pub fn for_each(&self, mut visit: impl FnMut(NonNull<L::Target>)) {
        let mut next = self.first;
        while let Some(node) = next {
            // SAFETY: the node is in this list, so it is alive.
            next = unsafe { access::<L, _>(node, |its| its.next) };
            visit(node);
        }
    }
}

/// # Safety
/// The node is alive, and the caller has access to the list that it is in, if it is in one.
unsafe fn access<L: Linked, R>(
    node: NonNull<L::Target>,
    f: impl FnOnce(&mut Neighbours<L::Target>) -> R,
) -> R {
    // SAFETY: the node is alive. The pointers may be shared, what is in their cell is ours because
    // we have the list; the closures above do not come back here.
    unsafe { L::pointers(node).as_ref().neighbours.with_mut(|its| f(&mut *its)) }
}

impl<L: Linked> Drop for List<L> {
    fn drop(&mut self) {
        while let Some(handle) = self.pop_front() {
            drop(handle);
        }
    }
}

impl<L: Linked> Default for List<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: Linked> fmt::Debug for List<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("is_empty", &self.is_empty()).finish_non_exhaustive()
    }
}

/// A doubly linked list with one end: nodes are put in at the front, and taken out wherever they are.
///
/// It is half as large as a [`List`], and forgets the handles that are left in it.
pub struct FrontList<L: Linked> {
    // Invariant: from here `next` leads through all nodes, and `previous` of each but the first back.
    // They are alive, in this list alone, and owned by it.
    first: Cell<Option<NonNull<L::Target>>>,
    handles: PhantomData<L::Handle>,
}

// SAFETY: as for `List`.
unsafe impl<L: Linked<Handle: Send>> Send for FrontList<L> {}

impl<L: Linked> FrontList<L> {
    /// Makes an empty list.
    pub const fn new() -> Self {
        Self { first: Cell::new(None), handles: PhantomData }
    }

    /// Whether no node is in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first.get().is_none()
    }

    /// Puts a node at the front. A node may be in one list of each kind.
    #[inline]
    pub fn push_front(&self, handle: L::Handle) {
        let node = L::into_raw(handle);
        let next = self.first.replace(Some(node));
        debug_assert_ne!(next, Some(node), "a node is put into a list twice");
        // SAFETY: the node is alive because we have its handle, the next because it is in here.
        unsafe {
            access::<L, _>(node, |its| *its = Neighbours { previous: None, next });
            if let Some(next) = next {
                access::<L, _>(next, |its| its.previous = Some(node));
            }
        }
    }

    /// Takes a node out.
    ///
    /// # Safety
    /// The node is in this list.
    #[inline]
    pub unsafe fn remove(&self, node: NonNull<L::Target>) -> L::Handle {
        // SAFETY: the node and its neighbours are alive because they are in this list, which owns the
        // handle and gives it up.
        unsafe {
            let Neighbours { previous, next } = access::<L, _>(node, |its| Neighbours { ..*its });
            match previous {
                Some(previous) => access::<L, _>(previous, |its| its.next = next),
                None => self.first.set(next),
            }
            if let Some(next) = next {
                access::<L, _>(next, |its| its.previous = previous);
            }
            L::from_raw(node)
        }
    }

    /// Calls the closure with every node, from the front.
    ///
    /// # Safety
    /// The closure takes out no node but the one that it is given.
    pub unsafe fn for_each(&self, mut visit: impl FnMut(NonNull<L::Target>)) {
        let mut next = self.first.get();
        while let Some(node) = next {
            // SAFETY: the node is in this list: it was when the one before it was visited.
            next = unsafe { access::<L, _>(node, |its| its.next) };
            visit(node);
        }
    }
}

impl<L: Linked> Default for FrontList<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: Linked> fmt::Debug for FrontList<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontList").field("is_empty", &self.is_empty()).finish_non_exhaustive()
    }
}
