//! Tasks that spawn, wake, abort, join, panic and finish at random, on workers that are stepped in
//! random order, until everybody sleeps or the scheduler is closed in the middle of it.
//!
//! A round is given by its seed. One that fails prints the line that replays it alone:
//!
//! ```text
//! JENNY_STEPPED_SEED=1234 cargo test -p jenny-core --test stepped random
//! ```

use std::{
    env,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    thread,
};

use jenny_core::task::{JoinError, JoinHandle};

use crate::{
    alloc::no_leaks,
    probe::{Guard, Hooks, Tally, hooked, planned_panic, poll_join},
    rig::{Dice, Handle, Kind, Rig},
    toy::Toy,
};

/// Miri takes a tenth of a second for a round.
const ROUNDS: u64 = if cfg!(miri) { 40 } else { 4_000 };
const KINDS: [Kind; 4] = [Kind::Stealing(2), Kind::Stealing(3), Kind::Stealing(1), Kind::Local];

/// How a future came to its end by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Output,
    Panic,
}

/// What the test knows of a task.
#[derive(Debug, Default)]
struct Record {
    /// It has been spawned, woken or aborted, and neither polled nor dropped since.
    due: bool,
    aborted: bool,
    end: Option<End>,
    drop_panics: bool,
    drops: usize,
    /// The task that it waits for.
    joins: Option<usize>,
}

type Output = Guard;

/// What all tasks of a round share. The lock is never held across a call into the scheduler.
struct World {
    handle: Handle,
    outputs: Tally,
    state: Mutex<State>,
}

struct State {
    dice: Dice,
    tasks: Vec<Record>,
    spawns_left: usize,
    wakers: Vec<(usize, Waker)>,
    handles: Vec<(usize, JoinHandle<Output>)>,
    closed: bool,
}

impl World {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn roll(&self, below: usize) -> usize {
        self.lock().dice.below(below)
    }

    /// Does something to the scheduler, from wherever the caller stands.
    fn act(self: &Arc<Self>) {
        match self.roll(10) {
            0..=2 => self.spawn(),
            3..=5 => self.wake(),
            6 => self.abort(),
            7 => self.poll_handle(),
            8 => drop(self.take_handle()),
            _ => drop(self.take_waker()),
        }
    }

    fn spawn(self: &Arc<Self>) {
        let probe = {
            let state = &mut *self.lock();
            if state.spawns_left == 0 {
                return;
            }
            state.spawns_left -= 1;
            let drop_panics = state.dice.one_in(16);
            state.tasks.push(Record { due: true, drop_panics, ..Record::default() });
            Probe { number: state.tasks.len() - 1, world: Arc::clone(self), joining: None }
        };
        let number = probe.number;
        let handle = self.handle.spawn(probe);
        let dropped = match self.roll(3) {
            0 => Some(handle),
            _ => {
                self.lock().handles.push((number, handle));
                None
            }
        };
        drop(dropped);
    }

    fn wake(&self) {
        let Some((task, waker)) = self.take_waker() else { return };
        let (by_value, kept) = {
            let state = &mut *self.lock();
            state.expect(task);
            (state.dice.one_in(2), state.dice.one_in(3))
        };
        let kept = kept.then(|| waker.clone());
        if by_value {
            waker.wake();
        } else {
            waker.wake_by_ref();
            drop(waker);
        }
        if let Some(waker) = kept {
            self.lock().wakers.push((task, waker));
        }
    }

    fn abort(&self) {
        let Some((task, handle)) = self.take_handle() else { return };
        {
            let state = &mut *self.lock();
            state.expect(task);
            let record = &mut state.tasks[task];
            record.aborted |= record.end.is_none();
        }
        if self.roll(2) == 0 {
            handle.abort();
            self.lock().handles.push((task, handle));
        } else {
            let abort = handle.abort_handle();
            drop(handle);
            abort.abort();
            abort.clone().abort();
        }
    }

    /// Waits for a task from outside of every task, with a waker that acts itself.
    fn poll_handle(self: &Arc<Self>) {
        let Some((task, mut handle)) = self.take_handle() else { return };
        match poll_join(&mut handle, &self.meddling_waker()) {
            Poll::Ready(result) => self.lock().check(task, &result),
            Poll::Pending => self.lock().handles.push((task, handle)),
        }
    }

    /// A waker whose clone, wake and drop come back to the scheduler, and to the very handle that has
    /// it, unless that is being polled.
    fn meddling_waker(self: &Arc<Self>) -> Waker {
        let hook = || -> Option<Box<dyn Fn() + Send + Sync>> {
            let world = Arc::clone(self);
            Some(Box::new(move || {
                if world.roll(2) == 0 {
                    world.act();
                }
            }))
        };
        hooked(Hooks { on_clone: hook(), on_wake: hook(), on_drop: hook() })
    }

    fn take_handle(&self) -> Option<(usize, JoinHandle<Output>)> {
        let state = &mut *self.lock();
        let count = state.handles.len();
        (count > 0).then(|| state.handles.swap_remove(state.dice.below(count)))
    }

    fn take_waker(&self) -> Option<(usize, Waker)> {
        let state = &mut *self.lock();
        let count = state.wakers.len();
        (count > 0).then(|| state.wakers.swap_remove(state.dice.below(count)))
    }
}

impl State {
    /// From here on the task has to be polled or dropped, unless it is over.
    fn expect(&mut self, task: usize) {
        let record = &mut self.tasks[task];
        record.due |= record.end.is_none() && record.drops == 0;
    }

    /// How a task ended, against what it did.
    #[track_caller]
    fn check(&self, task: usize, result: &Result<Output, JoinError>) {
        let record = &self.tasks[task];
        assert_eq!(record.drops, 1, "task {task} has ended with its future: {record:?}");
        match result {
            Ok(_) => assert!(record.end == Some(End::Output) && !record.drop_panics, "{record:?}"),
            Err(error) if error.is_panic() => {
                assert!(record.end == Some(End::Panic) || record.drop_panics, "{record:?}");
            }
            Err(_) => {
                assert_eq!((record.end, record.drop_panics), (None, false), "{record:?}");
                assert!(record.aborted || self.closed, "nobody has cancelled task {task}");
            }
        }
    }

    /// Everybody sleeps: nobody may be owed a poll.
    #[track_caller]
    fn check_rest(&self) {
        for (number, record) in self.tasks.iter().enumerate() {
            assert!(!record.due, "task {number} was spawned, woken or aborted in vain: {record:?}");
            if let Some(target) = record.joins.filter(|_| record.drops == 0) {
                let target = &self.tasks[target];
                assert_eq!(target.drops, 0, "task {number} waits for one that is over: {target:?}");
            }
        }
    }
}

struct Probe {
    number: usize,
    world: Arc<World>,
    joining: Option<(usize, JoinHandle<Output>)>,
}

impl Probe {
    /// Waits for another task, at random.
    fn join(&mut self, context: &mut Context<'_>) {
        if self.joining.is_none() && self.world.roll(4) == 0 {
            self.joining = self.world.take_handle();
        }
        let joined = self.joining.as_mut().and_then(|(task, handle)| {
            let task = *task;
            match Pin::new(handle).poll(context) {
                Poll::Ready(result) => Some((task, result)),
                Poll::Pending => None,
            }
        });
        if let Some((task, result)) = joined {
            self.world.lock().check(task, &result);
            self.joining = None;
        }
        let joins = self.joining.as_ref().map(|&(task, _)| task);
        self.world.lock().tasks[self.number].joins = joins;
    }
}

impl Future for Probe {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Output> {
        let world = Arc::clone(&self.world);
        let actions = {
            let state = &mut *world.lock();
            let record = &mut state.tasks[self.number];
            record.due = false;
            assert!(record.end.is_none() && record.drops == 0, "polled after its end: {record:?}");
            state.dice.below(4)
        };
        for _ in 0..actions {
            world.act();
        }
        self.join(context);
        match world.roll(12) {
            0..=2 => {
                world.lock().tasks[self.number].end = Some(End::Output);
                Poll::Ready(world.outputs.guard())
            }
            3 => {
                world.lock().tasks[self.number].end = Some(End::Panic);
                planned_panic()
            }
            4..=6 => {
                world.lock().expect(self.number);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            copies => {
                for _ in 7..copies {
                    let waker = context.waker().clone();
                    world.lock().wakers.push((self.number, waker));
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let panics = {
            let record = &mut self.world.lock().tasks[self.number];
            record.drops += 1;
            record.due = false;
            record.drop_panics
        };
        if self.world.roll(3) == 0 {
            self.world.act();
        }
        if panics && !thread::panicking() {
            planned_panic();
        }
    }
}

fn round(seed: u64) {
    let mut dice = Dice::new(seed);
    let kind = KINDS[dice.below(KINDS.len())];
    let toy = Toy::new(seed, dice.one_in(2));
    let mut rig = Rig::with(kind, toy, |config| {
        config.event_interval = 1 + dice.below(8) as u32;
        config.lifo_slot = !dice.one_in(4);
    });
    let world = Arc::new(World {
        handle: rig.handle.clone(),
        outputs: Tally::default(),
        state: Mutex::new(State {
            dice: Dice::new(seed.wrapping_add(1 << 32)),
            tasks: Vec::new(),
            spawns_left: 8 + dice.below(24),
            wakers: Vec::new(),
            handles: Vec::new(),
            closed: false,
        }),
    });
    for _ in 0..20 + dice.below(60) {
        match dice.below(8) {
            0..=3 => drop(rig.step(dice.below(rig.workers()))),
            // Spuriously, if it sleeps.
            4 => drop(rig.tick(dice.below(rig.workers()))),
            5 => rig.inside(dice.below(rig.workers()), || world.act()),
            6 => world.act(),
            _ if dice.one_in(4) => {
                rig.settle(&mut dice);
                world.lock().check_rest();
            }
            _ => {}
        }
    }
    if dice.one_in(2) {
        rig.settle(&mut dice);
        world.lock().check_rest();
    }
    world.lock().closed = true;
    rig.handle.close();
    for _ in 0..dice.below(20) {
        match dice.below(3) {
            0 => world.act(),
            _ => drop(rig.step(dice.below(rig.workers()))),
        }
    }
    rig.stop(&mut dice);
    // What is left after the shutdown is used and dropped by strangers.
    if dice.one_in(2) {
        drop(mem::replace(&mut rig, Rig::new(Kind::Local)));
    }
    for _ in 0..10 {
        world.act();
    }
    while let Some((task, mut handle)) = world.take_handle() {
        match poll_join(&mut handle, Waker::noop()) {
            Poll::Ready(result) => world.lock().check(task, &result),
            Poll::Pending => panic!("a handle has no result after the shutdown: {handle:?}"),
        }
    }
    world.lock().check_rest();
    let wakers = mem::take(&mut world.lock().wakers);
    drop(wakers);
    for (number, record) in world.lock().tasks.iter().enumerate() {
        assert_eq!(record.drops, 1, "drops of task {number}: {record:?}");
    }
    world.outputs.assert_even();
}

/// Says how to see a failure again.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("replay it with JENNY_STEPPED_SEED={}", self.0);
        }
    }
}

fn rounds(seeds: impl IntoIterator<Item = u64>) {
    for seed in seeds {
        let _replay = Replay(seed);
        no_leaks(|| round(seed));
    }
}

#[test]
fn every_future_is_dropped_once_and_no_wake_is_lost() {
    match env::var("JENNY_STEPPED_SEED") {
        Ok(seed) => rounds([seed.parse().expect("JENNY_STEPPED_SEED: a number")]),
        Err(_) => rounds(0..ROUNDS),
    }
}
