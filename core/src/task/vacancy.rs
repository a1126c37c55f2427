//! Places that stay, in statics: one task after another lives in them, without an allocator.
//!
//! A place is listed for ever when it is used for the first time. So no task needs to be put into a list and
//! taken out: a shutdown looks at all places, and finds those with a task of its scheduler.

use core::{
    iter,
    mem::{MaybeUninit, offset_of},
    ptr::{self, NonNull},
};

use super::header::{Header, Prefix, Record, SchedulerCell};
use super::raw::RawTask;
use super::refs::Member;
use super::state::{FirstUse, State};
use crate::{
    link::Link,
    sync::{AtomicPtr, Ordering, const_unless_checked, static_unless_checked},
};

/// What is at the start of such a place for ever: the state of its task, which also says whether
/// there is one, so that wakers need no references (rule 6), and the link to the next place.
#[repr(C)]
pub(crate) struct Vacancy {
    state: State,
    _queues: Gap<{ SCHEDULER - size_of::<State>() }>,
    /// Of the last task.
    scheduler: SchedulerCell,
    _task: Gap<{ LISTED - SCHEDULER - size_of::<SchedulerCell>() }>,
    /// Written once, by whoever is the first to have reserved the place.
    listed: Link,
}

/// Bytes of a task.
type Gap<const SIZE: usize> = [MaybeUninit<u8>; SIZE];

// Where they are, from the start of a cell.
const SCHEDULER: usize = offset_of!(Header, scheduler);
const LISTED: usize = offset_of!(Prefix, record) + offset_of!(Record, membership);
const _: () = assert!(offset_of!(Vacancy, scheduler) == SCHEDULER);
const _: () = assert!(offset_of!(Vacancy, listed) == LISTED);

impl Vacancy {
    const_unless_checked! {
        /// A place without a task. All its bytes are 0.
        pub(crate) fn new() -> Self {
            Self {
                state: State::unused(),
                _queues: [MaybeUninit::uninit(); SCHEDULER - size_of::<State>()],
                scheduler: SchedulerCell::new(ptr::null_mut()),
                _task: [MaybeUninit::uninit(); LISTED - SCHEDULER - size_of::<SchedulerCell>()],
                listed: Link::new(),
            }
        }
    }

    /// Whether the place can be reserved.
    pub(crate) fn is_open(&self) -> bool {
        self.state.is_vacant()
    }

    /// Takes the place, if nobody has it. From anywhere.
    ///
    /// # Safety
    /// It stays, and the pointer reaches all of it.
    #[must_use]
    #[inline]
    pub(crate) unsafe fn reserve(place: NonNull<Self>) -> bool {
        // SAFETY: of what is shared only what is atomic is used.
        unsafe { place.as_ref().state.reserve() || Self::reserve_unusual(place) }
    }

    /// Takes a place that was never used, and lists it; or one that stale wakers have woken since.
    ///
    /// # Safety
    /// As above.
    #[inline(never)]
    unsafe fn reserve_unusual(place: NonNull<Self>) -> bool {
        // SAFETY: as above.
        unsafe {
            match place.as_ref().state.reserve_unusual() {
                Some(FirstUse(is_first)) => {
                    if is_first {
                        list(place);
                    }
                    true
                }
                None => false,
            }
        }
    }

    /// Gives back a place that is reserved, or whose cell has ended.
    pub(crate) fn reopen(&self) {
        self.state.vacate();
    }
}

static_unless_checked! {
    /// The link of the newest place of all; null if there is none. It only ever grows.
    static PLACES: AtomicPtr<Link> = AtomicPtr::new(ptr::null_mut());
}

/// The link of the oldest place. No link has this address.
const END: *mut Link = ptr::without_provenance_mut(usize::MAX);

/// Lists a place.
///
/// # Safety
/// As for [`Vacancy::reserve`]; the caller is the first to have reserved it.
unsafe fn list(place: NonNull<Vacancy>) {
    // SAFETY: passed on from the caller.
    let link = unsafe { &raw mut (*place.as_ptr()).listed };
    // Ordering: Release, for the Acquire of `places`: the link is written, and those behind it are.
    let _ = PLACES.fetch_update(Ordering::Release, Ordering::Relaxed, |newest| {
        // SAFETY: as above; others only read it, and not yet.
        unsafe { &*link }.set_next(if newest.is_null() { END } else { newest });
        Some(link)
    });
}

/// All places that have been used, whatever they have now.
fn places() -> impl Iterator<Item = RawTask> {
    // Ordering: Acquire, for the Release of each that came.
    let newest = NonNull::new(PLACES.load(Ordering::Acquire));
    iter::successors(newest, |link| {
        // SAFETY: a listed place stays, and its link as it is.
        NonNull::new(unsafe { link.as_ref() }.next()).filter(|next| next.as_ptr() != END)
    })
    .map(|link| {
        // SAFETY: the link is that far in the place, and its pointer reaches all of that, of which
        // something is always there (rule 6).
        unsafe { RawTask::new(link.byte_sub(LISTED).cast::<Header>()) }
    })
}

/// The tasks of a scheduler that live in places that stay and have not ended, among them each that
/// has been scheduled before and was seen by the caller.
///
/// For whoever alone runs and cancels them, so that none ends meanwhile: what is found is his, even
/// if another scheduler's task was in the place a moment ago, as a place with a task of his is not
/// given to somebody else before he has run or cancelled that.
pub(crate) fn tasks_of(scheduler: NonNull<()>) -> impl Iterator<Item = Member> {
    places()
        // The state first: whose task it was when it lived is known from then on.
        .filter(move |task| !task.state().is_complete() && task.scheduler() == scheduler)
        .map(Member)
}
