//! The platform for several cores, on threads that play them: what is shared and what stays, counted.

// A model checker's atomics work only inside its own models (`tests/loom`).
#![cfg(not(jenny_loom))]

mod machine;

use std::{
    cell::{Cell, RefCell},
    future::{pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Poll, Waker},
};

use jenny_core::{
    lock::{self, RawLock},
    scheduler::{local, stealing::Config},
    smp::{self, Machine, Section, SpinLock},
    task::JoinHandle,
};
use machine::{CORES, Threads, raise, this_core};

/// A counter that one task waits on, and that anybody rings.
#[derive(Default)]
struct Bell {
    rings: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

impl Bell {
    fn ring(&self) {
        self.rings.fetch_add(1, SeqCst);
        let waker = self.waker.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn rung(&self, times: usize) {
        poll_fn(|context| {
            *self.waker.lock().unwrap() = Some(context.waker().clone());
            // Looked at after the waker is in place.
            if self.rings.load(SeqCst) < times { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}

async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn tasks_that_roam_ring_for_tasks_that_stay() {
    let machine = machine::Machine::get();
    const TASKS: usize = if cfg!(miri) { 40 } else { 4_000 };

    let bells: Arc<[Bell; CORES]> = Arc::default();
    let stayed = Arc::new(AtomicUsize::new(0));
    let cancelled = Arc::new(AtomicUsize::new(0));
    let roamed = Arc::new(AtomicUsize::new(0));
    machine.run(
        |handle| {
            let (bells, roamed, own) = (bells.clone(), roamed.clone(), handle.clone());
            let stayed = stayed.clone();
            handle.spawn(async move {
                let tasks: Vec<_> = (0..TASKS)
                    .map(|number| {
                        let (bells, roamed) = (bells.clone(), roamed.clone());
                        own.spawn(async move {
                            for _ in 0..3 {
                                yield_now().await;
                            }
                            roamed.fetch_add(1, SeqCst);
                            bells[number % CORES].ring();
                            number
                        })
                    })
                    .collect();
                let mut sum = 0;
                for task in tasks {
                    sum += task.await.unwrap();
                }
                assert_eq!(sum, TASKS * (TASKS - 1) / 2);
                while stayed.load(SeqCst) < CORES {
                    yield_now().await;
                }
                own.close();
            });
        },
        |spawner| {
            let (bells, stayed, cancelled) = (bells.clone(), stayed.clone(), cancelled.clone());
            let home = this_core();
            let seen = Rc::new(Cell::new(0));
            let again = spawner.clone();
            spawner.spawn_local(async move {
                while seen.get() < TASKS / CORES {
                    bells[home].rung(seen.get() + 1).await;
                    seen.set(seen.get() + 1);
                    assert_eq!(this_core(), home, "a pinned task has moved");
                }
                // A task that stays spawns another one, which meets the shutdown.
                let (counted, seen) = (OnDrop(cancelled), seen.clone());
                again.spawn_local(async move {
                    let _counted = (counted, seen);
                    pending::<()>().await;
                });
                stayed.fetch_add(1, SeqCst);
            });
        },
    );
    assert_eq!(roamed.load(SeqCst), TASKS);
    assert_eq!(stayed.load(SeqCst), CORES);
    assert_eq!(cancelled.load(SeqCst), CORES, "each core cancels what it keeps");
}

#[test]
fn interrupts_wake_sleeping_cores() {
    let machine = machine::Machine::get();
    const ROUNDS: usize = if cfg!(miri) { 10 } else { 1_000 };

    let bells: Arc<[Bell; CORES]> = Arc::default();
    let done = Arc::new(AtomicUsize::new(0));
    machine.run(
        |handle| {
            for core in 0..CORES {
                let (bells, done, handle) = (bells.clone(), done.clone(), handle.clone());
                handle.clone().spawn(async move {
                    for round in 1..=ROUNDS {
                        let rung = bells.clone();
                        raise(core, move || rung[core].ring());
                        bells[core].rung(round).await;
                    }
                    if done.fetch_add(1, SeqCst) + 1 == CORES {
                        handle.close();
                    }
                });
            }
        },
        |_| {},
    );
    assert_eq!(done.load(SeqCst), CORES);
    assert!(bells.iter().all(|bell| bell.rings.load(SeqCst) == ROUNDS));
}

#[test]
fn what_is_sendable_can_be_sent_to_a_core() {
    let machine = machine::Machine::get();
    let polled_on = Arc::new(Mutex::new(Vec::new()));
    type Pinned = local::Handle<Machine<Threads>>;
    let handles = Arc::new(Mutex::new(Vec::<(usize, Pinned)>::new()));
    machine.run(
        |handle| {
            let (polled_on, handles, own) = (polled_on.clone(), handles.clone(), handle.clone());
            handle.spawn(async move {
                while handles.lock().unwrap().len() < CORES {
                    yield_now().await;
                }
                let handles = handles.lock().unwrap().clone();
                for (core, handle) in handles {
                    let on = handle.spawn(async { this_core() }).await.unwrap();
                    polled_on.lock().unwrap().push((core, on));
                }
                own.close();
            });
        },
        |spawner| handles.lock().unwrap().push((this_core(), spawner.handle().clone())),
    );
    let polled_on = polled_on.lock().unwrap();
    assert_eq!(polled_on.len(), CORES);
    assert!(polled_on.iter().all(|(core, on)| core == on), "{polled_on:?}");
}

#[test]
fn a_second_run_on_a_core_panics() {
    let machine = machine::Machine::get();
    let said = Arc::new(Mutex::new(String::new()));
    machine.run(
        |handle| {
            let (said, handle) = (said.clone(), handle.clone());
            handle.clone().spawn(async move {
                let nested = catch_unwind(|| smp::run::<Threads>(|_| {}));
                *said.lock().unwrap() = nested.unwrap_err().downcast::<&str>().unwrap().to_string();
                handle.close();
            });
        },
        |_| {},
    );
    assert!(said.lock().unwrap().contains("await the future inside of a task"));
}

#[test]
fn a_second_start_panics() {
    let machine = machine::Machine::get();
    machine.run(
        |handle| {
            let (core, handle) = (this_core(), handle.clone());
            assert_eq!(core, 0);
            let second = AssertUnwindSafe(|| smp::start::<Threads>(Config::default()));
            let payload = catch_unwind(second).unwrap_err();
            assert!(payload.downcast::<&str>().unwrap().contains("clone the handle"));
            handle.close();
        },
        |_| {},
    );
}

struct Late {
    spawner: smp::Spawner<Threads>,
    _counted: OnDrop,
}

impl Drop for Late {
    fn drop(&mut self) {
        let task = self.spawner.spawn_local(async { unreachable!("the scheduler is closed") });
        LATE.with_borrow_mut(|late| late.push(task));
    }
}

thread_local! {
    static LATE: RefCell<Vec<JoinHandle<()>>> = const { RefCell::new(Vec::new()) };
}

#[test]
fn a_spawn_during_the_shutdown_is_cancelled() {
    let machine = machine::Machine::get();
    let cancelled = Arc::new(AtomicUsize::new(0));
    machine.run(
        |handle| handle.close(),
        |spawner| {
            let late = Late { spawner: spawner.clone(), _counted: OnDrop(cancelled.clone()) };
            spawner.spawn_local(async move {
                // Dropped by the shutdown: spawns once more when nobody will run it.
                let _late = late;
                pending::<()>().await;
            });
        },
    );
    assert_eq!(cancelled.load(SeqCst), CORES);
    // Of this thread, which was core 0.
    let late = LATE.take();
    assert_eq!(late.len(), 1);
    for mut task in late {
        assert!(task.try_join().unwrap().unwrap_err().is_cancelled());
    }
}

#[test]
fn a_lock_excludes_cores_and_their_interrupts() {
    let machine = machine::Machine::get();
    static SECTION: Section<Threads> = Section::new();
    // Few: with more threads than processors, whose turn it is may not be running.
    const ROUNDS: usize = 50;

    let total = Arc::new(lock::Mutex::<usize, SpinLock<Threads>>::new(0));
    let inside = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicUsize::new(0));
    machine.run(
        |handle| {
            for core in 0..CORES {
                let (total, inside, done) = (total.clone(), inside.clone(), done.clone());
                let handle = handle.clone();
                handle.clone().spawn(async move {
                    for round in 0..ROUNDS {
                        let counted = total.clone();
                        raise(core, move || counted.with(|total| *total += 1));
                        total.with(|total| *total += 1);
                        let outer = SECTION.acquire();
                        let inner = SECTION.acquire();
                        assert!(!inside.swap(true, SeqCst), "two cores are in the section");
                        // SAFETY: the section that was entered last.
                        unsafe { SECTION.release(inner) };
                        assert!(inside.swap(false, SeqCst), "the inner end has left the section");
                        // SAFETY: the only one that is open.
                        unsafe { SECTION.release(outer) };
                        if round % 16 == 0 {
                            yield_now().await;
                        }
                    }
                    if done.fetch_add(1, SeqCst) + 1 == CORES {
                        handle.close();
                    }
                });
            }
        },
        |_| {},
    );
    // What was raised last is taken when a mask is lifted.
    for core in 0..CORES {
        machine::become_core(core);
        SpinLock::<Threads>::new().with(|| {});
    }
    assert_eq!(total.with(|total| *total), 2 * CORES * ROUNDS);
}
