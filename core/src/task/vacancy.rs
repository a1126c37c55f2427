//! Places that stay, in statics: one task after another lives in them, without an allocator.

use super::state::State;
use crate::sync::const_unless_checked;

/// What is at the start of such a place for ever: the state of its task, which also says whether
/// there is one. So wakers need no references (rule 6).
#[repr(transparent)]
pub(crate) struct Vacancy(State);

impl Vacancy {
    const_unless_checked! {
        /// A place without a task. All its bytes are 0.
        pub(crate) fn new() -> Self {
            Self(State::unused())
        }
    }

    /// Whether the place can be reserved.
    pub(crate) fn is_open(&self) -> bool {
        self.0.is_vacant()
    }

    /// Takes the place, if nobody has it. From anywhere.
    #[must_use]
    pub(crate) fn reserve(&self) -> bool {
        self.0.reserve()
    }

    /// Gives back a place that is reserved, or whose cell has ended.
    pub(crate) fn reopen(&self) {
        self.0.vacate();
    }
}
