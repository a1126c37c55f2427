//! What a board with several cores owes.

use super::Core;

/// The chip below: a type without a value, since a waker has to find its core from anywhere.
///
/// # Safety
/// - [`cores`](Self::cores) always returns the same static, and [`this`](Self::this) the index in it of
///   the core that calls: never the same on two cores.
/// - Between [`mask`](Self::mask) and [`unmask`](Self::unmask) no interrupt handler runs on the core.
/// - Every interrupt handler that wakes, spawns, or drops wakers or handles does so inside of
///   [`in_interrupt`](super::in_interrupt).
pub unsafe trait Board: Sized + Send + Sync + 'static {
    /// What each core has: `static CORES: [Core<Self>; 4] = [const { Core::new() }; 4]`.
    fn cores() -> &'static [Core<Self>];

    /// The index of the core that calls, in thread mode or in an interrupt.
    fn this() -> usize;

    /// Sets an interrupt pending on another core; all that its handler does is to acknowledge it.
    ///
    /// From any core and interrupt. What the caller has written before is in memory when the interrupt
    /// comes, and the core that has acknowledged one reads what comes next after that: where the way to a
    /// device does not order either by itself (RISC-V, Arm), each takes a fence.
    fn interrupt(core: usize);

    /// Masks the interrupts of this core. True if they were not masked before.
    fn mask() -> bool;

    /// Unmasks them. Those that are pending are taken, here or soon after.
    fn unmask();

    /// Sleeps until an interrupt is pending on this core, one from another core included.
    ///
    /// Called with interrupts masked, which must not keep a pending one from ending the sleep: neither
    /// Arm's WFI nor RISC-V's lets it. May return for no reason. May not unmask.
    fn wait();
}

/// Runs the closure with the interrupts of this core masked.
pub(super) fn masked<B: Board, R>(run: impl FnOnce() -> R) -> R {
    struct Unmask<B: Board>(bool, core::marker::PhantomData<B>);

    impl<B: Board> Drop for Unmask<B> {
        fn drop(&mut self) {
            if self.0 {
                B::unmask();
            }
        }
    }

    let _unmask = Unmask::<B>(B::mask(), core::marker::PhantomData);
    run()
}
