//! Several cores without an operating system: the stealing scheduler with a worker on each core, and
//! beside each worker the tasks that stay on its core.
//!
//! ```text
//!            core 0              core 1              core 2
//!   pinned ─▶ loop ◀─┐  pinned ─▶ loop ◀─┐  pinned ─▶ loop       run
//!   tasks     park   │  tasks     park   │  tasks     park       WFI, interrupts masked
//!                    └── shared tasks ───┴── are stolen          start
//!             unpark: a flag, and an interrupt from core to core
//! ```
//!
//! [`Board`] is what the chip owes: which core is this, an interrupt to another one, masking, WFI. The
//! rest is here: the word of each core, the flag behind each unpark, the loop, task ids, and the
//! [locks](SpinLock) that exclude other cores and this core's own interrupts.
//!
//! One core makes the memory ready and calls [`start`], which gives the [`Handle`] to spawn with. Each
//! core, that one included, calls [`run`]; it may do so before the start, and then sleeps until that.
//! A shutdown by [`Handle::close`](crate::scheduler::stealing::Handle::close) ends `run` on every core.
//!
//! Tasks are [spawned](crate::scheduler::stealing::Handle::spawn) on the heap, whose allocator has to
//! exclude all cores: with [`Section`] as the program's critical section, most do. Panics of tasks are
//! the program's panic handler's.
//!
//! # In an interrupt
//!
//! A handler wakes, spawns and drops wakers inside of [`in_interrupt`]. The last waker of a task may be
//! dropped there, which calls the allocator: so that has to be callable from interrupts.
//!
//! # No lost wake
//!
//! See [`park`]. `tests/loom/smp.rs` has it as models, and the storm of `examples/firmware-four-harts`
//! counts them on four cores.
//!
//! # Example
//!
//! Two threads stand for two cores; an interrupt is the unpark of a thread.
//!
//! ```
//! use std::{
//!     cell::{Cell, RefCell},
//!     rc::Rc,
//!     sync::OnceLock,
//!     thread::{self, Thread},
//! };
//!
//! use jenny_core::{
//!     scheduler::stealing::Config,
//!     smp::{self, Board, Core},
//! };
//!
//! static CORES: [Core<Threads>; 2] = [const { Core::new() }; 2];
//! static THREADS: [OnceLock<Thread>; 2] = [const { OnceLock::new() }; 2];
//! thread_local! {
//!     static THIS: Cell<usize> = const { Cell::new(0) };
//!     static MASKED: Cell<bool> = const { Cell::new(false) };
//! }
//!
//! struct Threads;
//!
//! // SAFETY: each thread has a number of its own. There are no interrupt handlers.
//! unsafe impl Board for Threads {
//!     fn cores() -> &'static [Core<Self>] {
//!         &CORES
//!     }
//!
//!     fn this() -> usize {
//!         THIS.get()
//!     }
//!
//!     fn interrupt(core: usize) {
//!         if let Some(thread) = THREADS[core].get() {
//!             thread.unpark();
//!         }
//!     }
//!
//!     fn mask() -> bool {
//!         !MASKED.replace(true)
//!     }
//!
//!     fn unmask() {
//!         MASKED.set(false);
//!     }
//!
//!     fn wait() {
//!         // Returns at once after an unpark that came before.
//!         thread::park();
//!     }
//! }
//!
//! fn on(core: usize) {
//!     THIS.set(core);
//!     THREADS[core].set(thread::current()).unwrap();
//!     smp::run::<Threads>(|spawner| {
//!         let rings = Rc::new(Cell::new(0));
//!         spawner.spawn_local(async move { rings.set(rings.get() + 1) });
//!     });
//! }
//!
//! let second = thread::spawn(|| on(1));
//! let handle = smp::start::<Threads>(Config::default());
//! let tasks: Vec<_> = (0..10).map(|n| handle.spawn(async move { n })).collect();
//! let closing = handle.clone();
//! let sum = handle.spawn(async move {
//!     let mut sum = 0;
//!     for task in tasks {
//!         sum += task.await.unwrap();
//!     }
//!     closing.close();
//!     sum
//! });
//! on(0);
//! second.join().unwrap();
//! assert!(sum.is_finished());
//! ```

mod board;
mod cores;
mod lock;

pub use self::{
    board::Board,
    cores::{Core, Handle, Machine, Spawner, Unparker, in_interrupt, park, run, start},
    lock::{Section, SpinLock},
};
