//! What is measured, and what jenny is to reach.

use std::io;

use super::{
    Case, Group, Unit, blocking, channel, floor, fork_join, http, idle, local, memory,
    place::Place, spawn, tcp, timer, yields::yields,
};
use crate::measure::{Effort, Samplers, cpu, wall};
use crate::peer::{Flavor, Jenny, JennyLocal, LocalPeer, Peer, Smol, SmolLocal, Tokio, TokioLocal};

const ONE: Flavor = Flavor::MultiThread { workers: 1 };
/// The machines of our CI have as many cores.
const TWO: Flavor = Flavor::MultiThread { workers: 2 };
const FOUR: Flavor = Flavor::MultiThread { workers: 4 };
const EIGHT: Flavor = Flavor::MultiThread { workers: 8 };
const CURRENT: Flavor = Flavor::CurrentThread;

/// What makes a sampler of a runtime, a number of operations and perhaps a body, for every peer.
macro_rules! all {
    ($make:path, $flavor:expr, $operations:expr $(, $body:expr)?) => {
        |effort| {
            let operations = effort.operations($operations);
            Ok([
                Some($make(Jenny::build($flavor)?, operations $(, $body)?)),
                Some($make(Tokio::build($flavor)?, operations $(, $body)?)),
                Some($make(Smol::build($flavor)?, operations $(, $body)?)),
            ])
        }
    };
}

macro_rules! on_one_thread {
    ($operations:expr, $body:expr) => {
        |effort| {
            let operations = effort.operations($operations);
            Ok([
                Some(wall(JennyLocal::build()?, operations, $body)),
                Some(wall(TokioLocal::build()?, operations, $body)),
                Some(wall(SmolLocal::build()?, operations, $body)),
            ])
        }
    };
}

fn block_on_join(
    effort: Effort,
    place: Place,
    jenny: fn() -> io::Result<Jenny>,
) -> io::Result<Samplers> {
    let operations = effort.operations(1000);
    // Starts threads that all runtimes of a kind have in common, and that belong to no place.
    Smol::build(ONE)?.block_on(async {});
    let samplers = place.start(|| {
        io::Result::Ok([
            Some(wall(jenny()?, operations, spawn::block_on_join)),
            Some(wall(Tokio::build(ONE)?, operations, spawn::block_on_join)),
            Some(wall(Smol::build(ONE)?, operations, spawn::block_on_join)),
        ])
    })??;
    Ok(samplers.map(|sampler| sampler.map(Place::call)))
}

pub(crate) const GROUPS: &[Group] = &[
    Group { title: "New tasks", cases: SPAWN },
    Group { title: "Yielding and waking", cases: WAKE },
    Group { title: "On one thread", cases: ONE_THREAD },
    Group { title: "Blocking work", cases: BLOCKING },
    Group { title: "Timers", cases: TIMERS },
    Group { title: "Sockets", cases: SOCKETS },
    Group { title: "At rest", cases: REST },
    Group { title: "Resident memory", cases: MEMORY },
];

const SPAWN: &[Case] = &[
    Case::new(
        "spawn_many_local",
        "a task spawned by a worker, run, detached",
        all!(wall, TWO, 10_000, spawn::many_local),
    )
    .goal(0.15)
    .workers("spawn_many_local", 2)
    .floor(floor::BOXES),
    Case::new(
        "spawn_many_local_w1",
        "spawn_many_local, 1 worker",
        all!(wall, ONE, 10_000, spawn::many_local),
    )
    .workers("spawn_many_local", 1),
    Case::new(
        "spawn_many_local_w4",
        "spawn_many_local, 4 workers",
        all!(wall, FOUR, 10_000, spawn::many_local),
    )
    .goal(0.15)
    .workers("spawn_many_local", 4)
    .floor(floor::BOXES),
    Case::new(
        "spawn_many_local_w8",
        "spawn_many_local, 8 workers",
        all!(wall, EIGHT, 10_000, spawn::many_local),
    )
    .workers("spawn_many_local", 8),
    Case::new(
        "spawn_many_remote_idle",
        "a task spawned from outside into an idle runtime",
        all!(wall, TWO, 10_000, spawn::many_remote::<_, 1>),
    )
    .goal(0.33)
    .threads("spawn_many_remote", 1),
    Case::new(
        "remote_spawn_t2",
        "a task spawned by one of 2 threads outside",
        all!(wall, TWO, 10_000, spawn::many_remote::<_, 2>),
    )
    .goal(0.33)
    .threads("spawn_many_remote", 2),
    Case::new(
        "remote_spawn_t4",
        "a task spawned by one of 4 threads outside",
        all!(wall, TWO, 10_000, spawn::many_remote::<_, 4>),
    )
    .threads("spawn_many_remote", 4),
    Case::new(
        "remote_busy1",
        "a task spawned from outside while the workers run tasks that yield",
        all!(wall, TWO, 10_000, spawn::remote_busy_yielding),
    )
    .goal(0.20),
    Case::new(
        "remote_busy2",
        "a task spawned from outside while the workers run tasks that spawn",
        all!(wall, TWO, 10_000, spawn::remote_busy_spawning),
    )
    .goal(0.20),
    Case::new(
        "spawn_join",
        "a task spawned and joined inside the runtime, one at a time",
        all!(wall, TWO, 10_000, spawn::join),
    )
    .goal(0.33)
    .floor(floor::BOX),
    Case::new(
        "block_on_join_w1",
        "block_on of spawn one task and join it, 1 worker, which has the other core",
        |effort| block_on_join(effort, Place::Apart, || Jenny::build(ONE)),
    )
    .goal(0.10)
    .floor(floor::PARTNER),
    Case::new(
        "block_on_join_together",
        "block_on_join_w1, with the worker on the core of its caller",
        |effort| block_on_join(effort, Place::Together, || Jenny::build(ONE)),
    )
    .floor(floor::PARTNER_ON_THE_SAME_CORE),
    Case::new(
        "block_on_join_lent",
        "block_on_join_w1, on jenny's side with block_on_runs_tasks",
        |effort| block_on_join(effort, Place::Apart, Jenny::build_lending),
    )
    .goal(0.10),
    Case::new(
        "block_on_join",
        "block_on of spawn one task and join it",
        all!(wall, TWO, 1000, spawn::block_on_join),
    ),
    Case::new(
        "chained_spawn",
        "a task that spawns the next",
        all!(wall, TWO, 20_000, spawn::chained),
    )
    .goal(0.33),
    Case::new(
        "spawn_recursively",
        "a task that spawns the next and awaits it, 100 deep",
        all!(wall, TWO, 10_000, fork_join::recursive),
    ),
    Case::new(
        "skynet",
        "a leaf of a tree of a million leaves with a fan-out of 10",
        all!(wall, TWO, 1_000_000, fork_join::skynet),
    )
    .goal(0.40),
    Case::new(
        "fib",
        "a call of fib(15), each call a task",
        all!(wall, TWO, 10 * fork_join::FIB_TASKS, fork_join::fib),
    ),
];

const WAKE: &[Case] = &[
    Case::new("yield_1", "a yield of the only task", all!(wall, TWO, 50_000, yields::<_, 1>))
        .goal(0.10),
    Case::new(
        "yield_many",
        "a yield of one of 200 tasks",
        all!(wall, TWO, 40_000, yields::<_, 200>),
    )
    .goal(0.50)
    .workers("yield_many", 2)
    .floor(floor::AROUND),
    Case::new("yield_many_w1", "yield_many, 1 worker", all!(wall, ONE, 40_000, yields::<_, 200>))
        .workers("yield_many", 1),
    Case::new("yield_many_w4", "yield_many, 4 workers", all!(wall, FOUR, 40_000, yields::<_, 200>))
        .workers("yield_many", 4),
    Case::new(
        "yield_many_w8",
        "yield_many, 8 workers",
        all!(wall, EIGHT, 40_000, yields::<_, 200>),
    )
    .workers("yield_many", 8),
    Case::new(
        "ping_pong",
        "two tasks that answer each other over oneshot channels",
        all!(wall, TWO, 10_000, channel::ping_pong),
    )
    .goal(0.50)
    .workers("ping_pong", 2),
    Case::new("ping_pong_w1", "ping_pong, 1 worker", all!(wall, ONE, 10_000, channel::ping_pong))
        .workers("ping_pong", 1),
    Case::new("ping_pong_w4", "ping_pong, 4 workers", all!(wall, FOUR, 10_000, channel::ping_pong))
        .workers("ping_pong", 4),
    Case::new(
        "ping_pong_w8",
        "ping_pong, 8 workers",
        all!(wall, EIGHT, 10_000, channel::ping_pong),
    )
    .workers("ping_pong", 8),
    Case::new(
        "channel_ring",
        "a hop of one of 10 tokens in a ring of 100 tasks over async-channel",
        all!(wall, TWO, 40_000, channel::ring),
    )
    .goal(0.66)
    .floor(floor::RING),
];

const ONE_THREAD: &[Case] = &[
    Case::new(
        "ct_spawn_many",
        "spawn_many_local, on current_thread",
        all!(wall, CURRENT, 10_000, spawn::many_local),
    )
    .goal(0.25)
    .floor(floor::BOXES),
    Case::new(
        "ct_spawn_join",
        "spawn_join, on current_thread",
        all!(wall, CURRENT, 10_000, spawn::join),
    )
    .goal(0.25)
    .floor(floor::BOX),
    Case::new(
        "ct_yield_1",
        "yield_1, on current_thread",
        all!(wall, CURRENT, 50_000, yields::<_, 1>),
    )
    .goal(0.25),
    Case::new(
        "ct_yield_many",
        "yield_many, on current_thread",
        all!(wall, CURRENT, 40_000, yields::<_, 200>),
    )
    .goal(0.25)
    .floor(floor::AROUND),
    Case::new(
        "ct_spawn_remote",
        "spawn_many_remote_idle, while current_thread waits in block_on",
        all!(wall, CURRENT, 10_000, spawn::many_remote_in_block_on),
    ),
    Case::new(
        "ct_block_on_join",
        "block_on_join, on current_thread",
        all!(wall, CURRENT, 10_000, spawn::block_on_join),
    ),
    Case::new(
        "ct_ping_pong",
        "ping_pong, on current_thread",
        all!(wall, CURRENT, 10_000, channel::ping_pong),
    ),
    Case::new(
        "ct_channel_ring",
        "channel_ring, on current_thread",
        all!(wall, CURRENT, 40_000, channel::ring),
    )
    .floor(floor::RING),
    Case::new(
        "local_spawn_many",
        "a task that is not Send; Tokio: a LocalSet, smol: a LocalExecutor",
        on_one_thread!(10_000, local::spawn_many),
    )
    .goal(0.25),
    Case::new(
        "local_spawn_join",
        "such a task spawned and joined, one at a time",
        on_one_thread!(10_000, local::spawn_join),
    )
    .goal(0.25)
    .floor(floor::BOX),
    Case::new(
        "local_yield_1",
        "a yield of the only one",
        on_one_thread!(50_000, local::yields::<_, 1>),
    )
    .goal(0.25),
    Case::new(
        "local_yield_many",
        "a yield of one of 200",
        on_one_thread!(40_000, local::yields::<_, 200>),
    )
    .goal(0.25)
    .floor(floor::AROUND),
];

const BLOCKING: &[Case] = &[
    Case::new(
        "blocking_round_trip",
        "spawn_blocking and its result, one at a time",
        all!(wall, TWO, 1000, blocking::round_trip),
    )
    .goal(0.75)
    .floor(floor::PARTNER),
    Case::new(
        "blocking_fan_out",
        "one of 16 closures in spawn_blocking at once",
        all!(wall, TWO, 1600, blocking::fan_out),
    )
    .goal(0.40)
    .floor(floor::BATCH),
];

const TIMERS: &[Case] = &[
    Case::new(
        "sleep_create",
        "a sleep made and dropped",
        all!(wall, TWO, 50_000, timer::create_drop),
    )
    .goal(0.70)
    .floor(floor::CLOCK),
    Case::new(
        "sleep_cancel",
        "a sleep polled once and dropped",
        all!(wall, TWO, 50_000, timer::insert_cancel),
    )
    .goal(0.25)
    .floor(floor::CLOCK),
    Case::new(
        "timeout_ready",
        "a time-out of a future that is ready",
        all!(wall, TWO, 50_000, timer::timeout_ready),
    )
    .floor(floor::CLOCK),
    Case::new(
        "sleep_fire",
        "a task that sleeps 1 ms, one of 20,000",
        all!(wall, TWO, 20_000, timer::fire),
    )
    .goal(0.60),
    Case::new(
        "sleep_1m_pending",
        "a sleep polled once and dropped, one of a million at the same time",
        all!(wall, TWO, 1_000_000, timer::many_pending),
    )
    .goal(0.33)
    .floor(floor::PENDING),
    Case::new("interval_storm", "a tick of one of 1000 intervals of 1 ms", |effort| {
        let ticks = effort.operations(50_000);
        Ok([
            Some(cpu(Jenny::build(TWO)?, ticks, timer::interval_storm)),
            Some(cpu(Tokio::build(TWO)?, ticks, timer::interval_storm)),
            // Its intervals skip what they missed.
            None,
        ])
    })
    .unit(Unit::CpuNanos),
    Case::new(
        "ct_sleep_cancel",
        "sleep_cancel, on current_thread",
        all!(wall, CURRENT, 50_000, timer::insert_cancel),
    )
    .floor(floor::CLOCK),
    Case::new(
        "ct_sleep_fire",
        "sleep_fire, on current_thread",
        all!(wall, CURRENT, 20_000, timer::fire),
    ),
];

const SOCKETS: &[Case] = &[
    Case::new(
        "tcp_echo_1",
        "a round trip of 64 bytes on one connection",
        all!(wall, TWO, 2000, tcp::echo::<_, 1>),
    )
    .goal(0.85)
    .floor(floor::ECHO_1),
    Case::new(
        "tcp_echo_64",
        "a round trip of 64 bytes on one of 64 connections",
        all!(wall, TWO, 6400, tcp::echo::<_, 64>),
    )
    .goal(0.85)
    .floor(floor::ECHO_64),
    Case::new(
        "tcp_echo_threads",
        "a round trip of 64 bytes to a client that is one of 64 threads",
        all!(wall, TWO, 32_000, tcp::echo_to_threads::<_, 64>),
    ),
    Case::new(
        "ct_tcp_echo_1",
        "tcp_echo_1, on current_thread",
        all!(wall, CURRENT, 2000, tcp::echo::<_, 1>),
    )
    .floor(floor::ECHO_1),
    Case::new(
        "tcp_throughput",
        "a kibibyte of a stream in chunks of 64 KiB",
        all!(wall, TWO, 64_000, tcp::throughput),
    )
    .floor(floor::STREAM),
    Case::new(
        "tcp_accept",
        "a connection accepted, greeted by its own task and closed, 50 at a time",
        all!(wall, TWO, 1000, tcp::accept_storm),
    ),
    Case::new(
        "http_hello",
        "a request to hyper under wrk, 32 connections; without wrk, under 8 threads",
        |effort| {
            Ok([
                Some(http::hello(Jenny::build(TWO)?, effort)?),
                Some(http::hello(Tokio::build(TWO)?, effort)?),
                Some(http::hello(Smol::build(TWO)?, effort)?),
            ])
        },
    )
    .goal(0.90)
    .rounds(11)
    .floor(floor::HTTP),
];

const REST: &[Case] = &[
    Case::new(
        "idle_ticker",
        "a tick of a millisecond beside 1000 sleeping tasks",
        all!(idle::ticker, TWO, 200),
    )
    .unit(Unit::CpuNanos)
    .goal(0.70)
    .rounds(21)
    .floor(floor::TICK),
    Case::new(
        "wake_up_p50",
        "from a wake outside to the poll in a parked runtime, the median",
        all!(idle::wake_up_p50, TWO, 200),
    )
    .floor(floor::WAKE_UP_P50),
    Case::new(
        "wake_up_p99",
        "from a wake outside to the poll in a parked runtime, all but 1 %",
        all!(idle::wake_up_p99, TWO, 200),
    )
    .goal(0.80)
    .floor(floor::WAKE_UP_P99),
    Case::new(
        "stuck_worker",
        "the longest wait of a timer or a socket beside a task stuck for 200 ms",
        |_| {
            Ok([
                Some(idle::stuck::<Jenny>(TWO)),
                Some(idle::stuck::<Tokio>(TWO)),
                Some(idle::stuck::<Smol>(TWO)),
            ])
        },
    )
    .unit(Unit::Millis)
    .at_most(15.0)
    .rounds(5)
    .cold(),
];

const MEMORY: &[Case] = &[
    Case::new("memory_task_16", "an idle task with a future of 16 bytes", |_| {
        memory::samplers("task_16")
    })
    .unit(Unit::Bytes)
    .at_most(112.0)
    .rounds(3)
    .cold(),
    Case::new("memory_task_64", "an idle task with a future of 64 bytes", |_| {
        memory::samplers("task_64")
    })
    .unit(Unit::Bytes)
    .rounds(3)
    .cold(),
    Case::new("memory_task_256", "an idle task with a future of 256 bytes", |_| {
        memory::samplers("task_256")
    })
    .unit(Unit::Bytes)
    .rounds(3)
    .cold(),
    Case::new("memory_runtime", "a runtime of two workers", |_| memory::samplers("runtime"))
        .unit(Unit::Bytes)
        .rounds(3)
        .cold()
        .floor(floor::THREADS),
    Case::new("memory_connection", "an accepted connection with a task that reads", |_| {
        memory::samplers("connection")
    })
    .unit(Unit::Bytes)
    .rounds(3)
    .cold(),
];
