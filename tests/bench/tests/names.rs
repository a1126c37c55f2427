//! What a program uses of Tokio's `runtime`, `task` and `time` is here under the same names, with the
//! same signatures and traits. It is the compiler that checks.
//!
//! What the Tokio of `Cargo.lock` has in its stable build is compiled against both, so this file
//! cannot ask for what Tokio has not; the rest, which takes `tokio_unstable` or `test-util` there,
//! against jenny alone.
#![allow(deprecated, reason = "old names are names")]
#![allow(clippy::type_complexity, reason = "a signature is as long as it is")]

use std::{
    error::Error,
    fmt::{Debug, Display},
    future::{Future, pending, ready},
    hash::Hash,
    io,
    ops::{Add, AddAssign, Sub, SubAssign},
    pin::Pin,
    task::{Context, Poll},
    thread::ThreadId,
};

/// Has functions of these signatures, in which lifetimes may be left out.
macro_rules! signatures {
    ($($path:path: $signature:ty;)+) => { $( let _: $signature = $path; )+ };
}

/// Has types that implement these traits.
macro_rules! traits {
    ($($type:ty: $($bound:path),+;)+) => { $( { fn has<T: $($bound +)+>() {} has::<$type>(); } )+ };
}

/// Any future that need not be `Send`.
type Boxed = Pin<Box<dyn Future<Output = u8>>>;

/// What is in Tokio's stable build.
macro_rules! stable {
    ($test:ident, $rt:ident) => {
        #[test]
        fn $test() {
            use $rt::{runtime::{Builder, *}, task::*, time::*};
            type Payload = Box<dyn std::any::Any + Send>;

            signatures! {
                Builder::new_current_thread: fn() -> Builder;
                Builder::new_multi_thread: fn() -> Builder;
                Builder::enable_all: fn(&mut Builder) -> &mut Builder;
                Builder::enable_io: fn(&mut Builder) -> &mut Builder;
                Builder::enable_time: fn(&mut Builder) -> &mut Builder;
                Builder::worker_threads: fn(&mut Builder, usize) -> &mut Builder;
                Builder::max_blocking_threads: fn(&mut Builder, usize) -> &mut Builder;
                Builder::thread_stack_size: fn(&mut Builder, usize) -> &mut Builder;
                Builder::thread_keep_alive: fn(&mut Builder, Duration) -> &mut Builder;
                Builder::global_queue_interval: fn(&mut Builder, u32) -> &mut Builder;
                Builder::event_interval: fn(&mut Builder, u32) -> &mut Builder;
                Builder::max_io_events_per_tick: fn(&mut Builder, usize) -> &mut Builder;
                Builder::thread_name_fn::<fn() -> String>:
                    fn(&mut Builder, fn() -> String) -> &mut Builder;
                Builder::on_thread_start::<fn()>: fn(&mut Builder, fn()) -> &mut Builder;
                Builder::on_thread_stop::<fn()>: fn(&mut Builder, fn()) -> &mut Builder;
                Builder::on_thread_park::<fn()>: fn(&mut Builder, fn()) -> &mut Builder;
                Builder::on_thread_unpark::<fn()>: fn(&mut Builder, fn()) -> &mut Builder;
                Builder::build: fn(&mut Builder) -> io::Result<Runtime>;

                Builder::build_local:
                    fn(&mut Builder, LocalOptions) -> io::Result<LocalRuntime>;

                Runtime::new: fn() -> io::Result<Runtime>;
                Runtime::handle: fn(&Runtime) -> &Handle;
                Runtime::spawn::<Ready>: fn(&Runtime, Ready) -> JoinHandle<u8>;
                Runtime::spawn_blocking::<fn() -> u8, u8>:
                    fn(&Runtime, fn() -> u8) -> JoinHandle<u8>;
                Runtime::block_on::<Boxed>: fn(&Runtime, Boxed) -> u8;
                Runtime::enter: fn(&Runtime) -> EnterGuard<'_>;
                Runtime::metrics: fn(&Runtime) -> RuntimeMetrics;
                Runtime::shutdown_timeout: fn(Runtime, Duration);
                Runtime::shutdown_background: fn(Runtime);

                LocalRuntime::new: fn() -> io::Result<LocalRuntime>;
                LocalRuntime::handle: fn(&LocalRuntime) -> &Handle;
                LocalRuntime::spawn_local::<Boxed>: fn(&LocalRuntime, Boxed) -> JoinHandle<u8>;
                LocalRuntime::spawn_blocking::<fn() -> u8, u8>:
                    fn(&LocalRuntime, fn() -> u8) -> JoinHandle<u8>;
                LocalRuntime::block_on::<Boxed>: fn(&LocalRuntime, Boxed) -> u8;
                LocalRuntime::enter: fn(&LocalRuntime) -> EnterGuard<'_>;
                LocalRuntime::metrics: fn(&LocalRuntime) -> RuntimeMetrics;
                LocalRuntime::shutdown_timeout: fn(LocalRuntime, Duration);
                LocalRuntime::shutdown_background: fn(LocalRuntime);

                Handle::current: fn() -> Handle;
                Handle::try_current: fn() -> Result<Handle, TryCurrentError>;
                Handle::enter: fn(&Handle) -> EnterGuard<'_>;
                Handle::spawn::<Ready>: fn(&Handle, Ready) -> JoinHandle<u8>;
                Handle::spawn_blocking::<fn() -> u8, u8>:
                    fn(&Handle, fn() -> u8) -> JoinHandle<u8>;
                Handle::block_on::<Boxed>: fn(&Handle, Boxed) -> u8;
                Handle::runtime_flavor: fn(&Handle) -> RuntimeFlavor;
                Handle::id: fn(&Handle) -> $rt::runtime::Id;
                Handle::metrics: fn(&Handle) -> RuntimeMetrics;
                TryCurrentError::is_missing_context: fn(&TryCurrentError) -> bool;
                TryCurrentError::is_thread_local_destroyed: fn(&TryCurrentError) -> bool;
                is_rt_shutdown_err: fn(&io::Error) -> bool;
                worker_index: fn() -> Option<usize>;

                RuntimeMetrics::num_workers: fn(&RuntimeMetrics) -> usize;
                RuntimeMetrics::num_alive_tasks: fn(&RuntimeMetrics) -> usize;
                RuntimeMetrics::global_queue_depth: fn(&RuntimeMetrics) -> usize;
                RuntimeMetrics::worker_total_busy_duration: fn(&RuntimeMetrics, usize) -> Duration;
                RuntimeMetrics::worker_park_count: fn(&RuntimeMetrics, usize) -> u64;
                RuntimeMetrics::worker_park_unpark_count: fn(&RuntimeMetrics, usize) -> u64;

                spawn::<Ready>: fn(Ready) -> JoinHandle<u8>;
                spawn_blocking::<fn() -> u8, u8>: fn(fn() -> u8) -> JoinHandle<u8>;
                spawn_local::<Boxed>: fn(Boxed) -> JoinHandle<u8>;
                block_in_place::<fn() -> u8, u8>: fn(fn() -> u8) -> u8;
                $rt::task::id: fn() -> $rt::task::Id;
                try_id: fn() -> Option<$rt::task::Id>;
                unconstrained::<Ready>: fn(Ready) -> Unconstrained<Ready>;
                coop::unconstrained::<Ready>: fn(Ready) -> coop::Unconstrained<Ready>;
                coop::has_budget_remaining: fn() -> bool;
                coop::poll_proceed: fn(&mut Context<'_>) -> Poll<coop::RestoreOnPending>;
                coop::RestoreOnPending::made_progress: fn(&coop::RestoreOnPending);
                coop::cooperative::<Ready>: fn(Ready) -> coop::Coop<Ready>;

                JoinHandle::<u8>::abort: fn(&JoinHandle<u8>);
                JoinHandle::<u8>::is_finished: fn(&JoinHandle<u8>) -> bool;
                JoinHandle::<u8>::abort_handle: fn(&JoinHandle<u8>) -> AbortHandle;
                JoinHandle::<u8>::id: fn(&JoinHandle<u8>) -> $rt::task::Id;
                AbortHandle::abort: fn(&AbortHandle);
                AbortHandle::is_finished: fn(&AbortHandle) -> bool;
                AbortHandle::id: fn(&AbortHandle) -> $rt::task::Id;
                JoinError::is_cancelled: fn(&JoinError) -> bool;
                JoinError::is_panic: fn(&JoinError) -> bool;
                JoinError::into_panic: fn(JoinError) -> Payload;
                JoinError::try_into_panic: fn(JoinError) -> Result<Payload, JoinError>;
                JoinError::id: fn(&JoinError) -> $rt::task::Id;

                JoinSet::<u8>::new: fn() -> JoinSet<u8>;
                JoinSet::<u8>::len: fn(&JoinSet<u8>) -> usize;
                JoinSet::<u8>::is_empty: fn(&JoinSet<u8>) -> bool;
                JoinSet::<u8>::spawn::<Ready>: fn(&mut JoinSet<u8>, Ready) -> AbortHandle;
                JoinSet::<u8>::spawn_on::<Ready>:
                    fn(&mut JoinSet<u8>, Ready, &Handle) -> AbortHandle;
                JoinSet::<u8>::spawn_local::<Boxed>: fn(&mut JoinSet<u8>, Boxed) -> AbortHandle;
                JoinSet::<u8>::spawn_local_on::<Boxed>:
                    fn(&mut JoinSet<u8>, Boxed, &LocalSet) -> AbortHandle;
                JoinSet::<u8>::spawn_blocking::<fn() -> u8>:
                    fn(&mut JoinSet<u8>, fn() -> u8) -> AbortHandle;
                JoinSet::<u8>::spawn_blocking_on::<fn() -> u8>:
                    fn(&mut JoinSet<u8>, fn() -> u8, &Handle) -> AbortHandle;
                JoinSet::<u8>::try_join_next:
                    fn(&mut JoinSet<u8>) -> Option<Result<u8, JoinError>>;
                JoinSet::<u8>::try_join_next_with_id:
                    fn(&mut JoinSet<u8>) -> Option<Result<($rt::task::Id, u8), JoinError>>;
                JoinSet::<u8>::poll_join_next:
                    fn(&mut JoinSet<u8>, &mut Context<'_>) -> Poll<Option<Result<u8, JoinError>>>;
                JoinSet::<u8>::poll_join_next_with_id: fn(
                    &mut JoinSet<u8>,
                    &mut Context<'_>,
                )
                    -> Poll<Option<Result<($rt::task::Id, u8), JoinError>>>;
                JoinSet::<u8>::abort_all: fn(&mut JoinSet<u8>);
                JoinSet::<u8>::detach_all: fn(&mut JoinSet<u8>);

                LocalSet::new: fn() -> LocalSet;
                LocalSet::id: fn(&LocalSet) -> $rt::runtime::Id;
                LocalSet::enter: fn(&LocalSet) -> LocalEnterGuard;
                LocalSet::spawn_local::<Boxed>: fn(&LocalSet, Boxed) -> JoinHandle<u8>;
                LocalSet::block_on::<Boxed>: fn(&LocalSet, &Runtime, Boxed) -> u8;

                LocalKey::<u8>::scope::<Ready>:
                    fn(&'static LocalKey<u8>, u8, Ready) -> futures::TaskLocalFuture<u8, Ready>;
                LocalKey::<u8>::sync_scope::<fn() -> u8, u8>:
                    fn(&'static LocalKey<u8>, u8, fn() -> u8) -> u8;
                LocalKey::<u8>::with::<fn(&u8) -> u8, u8>:
                    fn(&'static LocalKey<u8>, fn(&u8) -> u8) -> u8;
                LocalKey::<u8>::get: fn(&'static LocalKey<u8>) -> u8;
                futures::TaskLocalFuture::<u8, Ready>::take_value:
                    fn(Pin<&mut futures::TaskLocalFuture<u8, Ready>>) -> Option<u8>;

                sleep: fn(Duration) -> Sleep;
                sleep_until: fn(Instant) -> Sleep;
                Sleep::deadline: fn(&Sleep) -> Instant;
                Sleep::is_elapsed: fn(&Sleep) -> bool;
                Sleep::reset: fn(Pin<&mut Sleep>, Instant);
                interval: fn(Duration) -> Interval;
                interval_at: fn(Instant, Duration) -> Interval;
                Interval::poll_tick: fn(&mut Interval, &mut Context<'_>) -> Poll<Instant>;
                Interval::reset: fn(&mut Interval);
                Interval::reset_immediately: fn(&mut Interval);
                Interval::reset_after: fn(&mut Interval, Duration);
                Interval::reset_at: fn(&mut Interval, Instant);
                Interval::missed_tick_behavior: fn(&Interval) -> MissedTickBehavior;
                Interval::set_missed_tick_behavior: fn(&mut Interval, MissedTickBehavior);
                Interval::period: fn(&Interval) -> Duration;
                timeout::<Ready>: fn(Duration, Ready) -> Timeout<Ready>;
                timeout_at::<Ready>: fn(Instant, Ready) -> Timeout<Ready>;
                Timeout::<Ready>::get_ref: fn(&Timeout<Ready>) -> &Ready;
                Timeout::<Ready>::get_mut: fn(&mut Timeout<Ready>) -> &mut Ready;
                Timeout::<Ready>::into_inner: fn(Timeout<Ready>) -> Ready;
                error::Error::shutdown: fn() -> error::Error;
                error::Error::is_shutdown: fn(&error::Error) -> bool;
                error::Error::at_capacity: fn() -> error::Error;
                error::Error::is_at_capacity: fn(&error::Error) -> bool;
                error::Error::invalid: fn() -> error::Error;
                error::Error::is_invalid: fn(&error::Error) -> bool;
                Instant::now: fn() -> Instant;
                Instant::from_std: fn(std::time::Instant) -> Instant;
                Instant::into_std: fn(Instant) -> std::time::Instant;
                Instant::duration_since: fn(&Instant, Instant) -> Duration;
                Instant::checked_duration_since: fn(&Instant, Instant) -> Option<Duration>;
                Instant::saturating_duration_since: fn(&Instant, Instant) -> Duration;
                Instant::elapsed: fn(&Instant) -> Duration;
                Instant::checked_add: fn(&Instant, Duration) -> Option<Instant>;
                Instant::checked_sub: fn(&Instant, Duration) -> Option<Instant>;
            }

            traits! {
                Builder: Debug;
                Runtime: Debug, Send, Sync;
                LocalRuntime: Debug;
                LocalOptions: Debug, Default;
                Handle: Debug, Clone, Send, Sync;
                EnterGuard<'static>: Debug;
                RuntimeFlavor: Debug, PartialEq, Eq;
                RuntimeMetrics: Debug, Clone;
                TryCurrentError: Debug, Display, Error;
                $rt::runtime::Id: Debug, Display, Clone, Copy, Hash, PartialEq, Eq;
                $rt::task::Id: Debug, Display, Clone, Copy, Hash, PartialEq, Eq, PartialOrd, Ord;
                JoinHandle<u8>: Debug, Future<Output = Result<u8, JoinError>>;
                AbortHandle: Debug, Clone;
                JoinError: Debug, Display, Error, Into<io::Error>;
                JoinSet<u8>: Debug, Default, FromIterator<Ready>, Extend<Ready>;
                LocalSet: Debug, Default, Future<Output = ()>;
                LocalEnterGuard: Debug;
                LocalKey<u8>: Debug;
                futures::TaskLocalFuture<u8, Ready>: Debug, Future<Output = u8>;
                Unconstrained<Ready>: Future<Output = u8>;
                coop::Coop<Ready>: Debug, Future<Output = u8>;
                coop::RestoreOnPending: Debug;
                Sleep: Debug, Future<Output = ()>, Send, Sync;
                Timeout<Ready>: Debug, Future<Output = Result<u8, error::Elapsed>>;
                Interval: Debug;
                MissedTickBehavior: Debug, Clone, Copy, PartialEq, Eq, Default;
                error::Error: Debug, Display, Error, Clone, Copy;
                error::Elapsed: Debug, Display, Error, PartialEq, Eq, Into<io::Error>;
                Instant: Debug, Clone, Copy, Hash, PartialEq, Eq, PartialOrd, Ord,
                    From<std::time::Instant>, Into<std::time::Instant>, Add<Duration, Output = Instant>,
                    AddAssign<Duration>, Sub<Duration, Output = Instant>,
                    Sub<Instant, Output = Duration>, SubAssign<Duration>;
            }

            // What has no name for its type or its argument, or whose error cannot be named.
            let _ = |builder: &mut Builder| {
                let _: &mut Builder = builder.thread_name("name").thread_name(String::new());
            };
            let _ = |set: &'static mut JoinSet<u8>| async { set.join_next().await };
            let _ = |set: &'static mut JoinSet<u8>| async { set.join_next_with_id().await };
            let _ = |set: &'static mut JoinSet<u8>| async { set.shutdown().await };
            let _ = |set: JoinSet<u8>| async { let _: Vec<u8> = set.join_all().await; };
            let _ = |set: &'static LocalSet| async { set.run_until(ready(1)).await + 1 };
            let _ = |interval: &'static mut Interval| async { let _: Instant = interval.tick().await; };
            let _ = || async { yield_now().await };
            let _ = || async { (consume_budget().await, coop::consume_budget().await) };
            let _ = |key: &'static LocalKey<u8>| {
                let missing = key.try_with(|value| *value).unwrap_err();
                let same = key.try_get() == Err(missing);
                let text: &dyn Error = &missing;
                (same, text.to_string(), format!("{missing:?}"))
            };
            let _ = [RuntimeFlavor::CurrentThread, RuntimeFlavor::MultiThread];
            let _ = [MissedTickBehavior::Burst, MissedTickBehavior::Delay, MissedTickBehavior::Skip];
            let _: $rt::time::Duration = Duration::ZERO;
            $rt::task_local! {
                static PRIVATE: u8;
                pub static PUBLIC: String;
            }
            let _: (&LocalKey<u8>, &LocalKey<String>) = (&PRIVATE, &PUBLIC);
        }
    };
}

type Ready = std::future::Ready<u8>;

stable!(tokio_has_what_this_file_takes_for_its_stable_names, tokio);
stable!(stable_names_are_here, jenny);

#[test]
fn names_that_are_unstable_in_tokio_are_here() {
    use jenny::{
        runtime::{Builder, *},
        task::*,
        time::*,
    };
    type ByMeta = fn(&TaskMeta<'_>);

    signatures! {
        Builder::on_task_spawn::<ByMeta>: fn(&mut Builder, ByMeta) -> &mut Builder;
        Builder::on_task_terminate::<ByMeta>: fn(&mut Builder, ByMeta) -> &mut Builder;
        Builder::on_before_task_poll::<ByMeta>: fn(&mut Builder, ByMeta) -> &mut Builder;
        Builder::on_after_task_poll::<ByMeta>: fn(&mut Builder, ByMeta) -> &mut Builder;
        Builder::unhandled_panic: fn(&mut Builder, UnhandledPanic) -> &mut Builder;
        Builder::disable_lifo_slot: fn(&mut Builder) -> &mut Builder;
        Builder::rng_seed: fn(&mut Builder, RngSeed) -> &mut Builder;
        Builder::start_paused: fn(&mut Builder, bool) -> &mut Builder;
        Builder::enable_metrics_poll_time_histogram: fn(&mut Builder) -> &mut Builder;
        Builder::enable_metrics_poll_count_histogram: fn(&mut Builder) -> &mut Builder;
        Builder::metrics_poll_time_histogram_configuration:
            fn(&mut Builder, HistogramConfiguration) -> &mut Builder;
        Builder::metrics_poll_count_histogram_scale:
            fn(&mut Builder, HistogramScale) -> &mut Builder;
        Builder::metrics_poll_count_histogram_resolution:
            fn(&mut Builder, Duration) -> &mut Builder;
        Builder::metrics_poll_count_histogram_buckets: fn(&mut Builder, usize) -> &mut Builder;
        RngSeed::from_bytes: fn(&[u8]) -> RngSeed;
        Handle::name: fn(&Handle) -> Option<&str>;
        TaskMeta::id: fn(&TaskMeta<'static>) -> jenny::task::Id;
        TaskMeta::spawned_at: fn(&TaskMeta<'static>) -> &'static std::panic::Location<'static>;

        RuntimeMetrics::num_blocking_threads: fn(&RuntimeMetrics) -> usize;
        RuntimeMetrics::num_idle_blocking_threads: fn(&RuntimeMetrics) -> usize;
        RuntimeMetrics::blocking_queue_depth: fn(&RuntimeMetrics) -> usize;
        RuntimeMetrics::active_tasks_count: fn(&RuntimeMetrics) -> usize;
        RuntimeMetrics::injection_queue_depth: fn(&RuntimeMetrics) -> usize;
        RuntimeMetrics::spawned_tasks_count: fn(&RuntimeMetrics) -> u64;
        RuntimeMetrics::remote_schedule_count: fn(&RuntimeMetrics) -> u64;
        RuntimeMetrics::budget_forced_yield_count: fn(&RuntimeMetrics) -> u64;
        RuntimeMetrics::worker_thread_id: fn(&RuntimeMetrics, usize) -> Option<ThreadId>;
        RuntimeMetrics::worker_local_queue_depth: fn(&RuntimeMetrics, usize) -> usize;
        RuntimeMetrics::worker_noop_count: fn(&RuntimeMetrics, usize) -> u64;
        RuntimeMetrics::worker_steal_count: fn(&RuntimeMetrics, usize) -> u64;
        RuntimeMetrics::worker_steal_operations: fn(&RuntimeMetrics, usize) -> u64;
        RuntimeMetrics::worker_poll_count: fn(&RuntimeMetrics, usize) -> u64;
        RuntimeMetrics::worker_local_schedule_count: fn(&RuntimeMetrics, usize) -> u64;
        RuntimeMetrics::worker_overflow_count: fn(&RuntimeMetrics, usize) -> u64;
        RuntimeMetrics::worker_mean_poll_time: fn(&RuntimeMetrics, usize) -> Duration;
        RuntimeMetrics::poll_time_histogram_enabled: fn(&RuntimeMetrics) -> bool;
        RuntimeMetrics::poll_time_histogram_num_buckets: fn(&RuntimeMetrics) -> usize;
        RuntimeMetrics::poll_time_histogram_bucket_range:
            fn(&RuntimeMetrics, usize) -> std::ops::Range<Duration>;
        RuntimeMetrics::poll_time_histogram_bucket_count:
            fn(&RuntimeMetrics, usize, usize) -> u64;
        RuntimeMetrics::poll_count_histogram_enabled: fn(&RuntimeMetrics) -> bool;
        RuntimeMetrics::poll_count_histogram_num_buckets: fn(&RuntimeMetrics) -> usize;
        RuntimeMetrics::poll_count_histogram_bucket_range:
            fn(&RuntimeMetrics, usize) -> std::ops::Range<Duration>;
        RuntimeMetrics::poll_count_histogram_bucket_count:
            fn(&RuntimeMetrics, usize, usize) -> u64;
        RuntimeMetrics::io_driver_fd_registered_count: fn(&RuntimeMetrics) -> u64;
        RuntimeMetrics::io_driver_fd_deregistered_count: fn(&RuntimeMetrics) -> u64;
        RuntimeMetrics::io_driver_ready_count: fn(&RuntimeMetrics) -> u64;
        HistogramConfiguration::linear: fn(Duration, usize) -> HistogramConfiguration;
        LogHistogram::builder: fn() -> LogHistogramBuilder;
        LogHistogram::max_value: fn(&LogHistogram) -> u64;
        LogHistogramBuilder::max_error: fn(LogHistogramBuilder, f64) -> LogHistogramBuilder;
        LogHistogramBuilder::precision_exact: fn(LogHistogramBuilder, u32) -> LogHistogramBuilder;
        LogHistogramBuilder::min_value: fn(LogHistogramBuilder, Duration) -> LogHistogramBuilder;
        LogHistogramBuilder::max_value: fn(LogHistogramBuilder, Duration) -> LogHistogramBuilder;
        LogHistogramBuilder::max_buckets:
            fn(&mut LogHistogramBuilder, usize) -> Result<LogHistogram, InvalidHistogramConfiguration>;
        LogHistogramBuilder::build: fn(&LogHistogramBuilder) -> LogHistogram;

        dump::Dump::tasks: fn(&Dump) -> &dump::Tasks;
        dump::Task::id: fn(&dump::Task) -> jenny::task::Id;
        dump::Task::trace: fn(&dump::Task) -> &dump::Trace;

        jenny::task::Builder::new: fn() -> jenny::task::Builder<'static>;
        jenny::task::Builder::name:
            fn(&jenny::task::Builder<'static>, &'static str) -> jenny::task::Builder<'static>;
        jenny::task::Builder::spawn::<Ready>:
            fn(jenny::task::Builder<'static>, Ready) -> io::Result<JoinHandle<u8>>;
        jenny::task::Builder::spawn_on::<Ready>:
            fn(jenny::task::Builder<'static>, Ready, &Handle) -> io::Result<JoinHandle<u8>>;
        jenny::task::Builder::spawn_local::<Boxed>:
            fn(jenny::task::Builder<'static>, Boxed) -> io::Result<JoinHandle<u8>>;
        jenny::task::Builder::spawn_local_on::<Boxed>:
            fn(jenny::task::Builder<'static>, Boxed, &LocalSet) -> io::Result<JoinHandle<u8>>;
        jenny::task::Builder::spawn_blocking::<fn() -> u8, u8>:
            fn(jenny::task::Builder<'static>, fn() -> u8) -> io::Result<JoinHandle<u8>>;
        jenny::task::Builder::spawn_blocking_on::<fn() -> u8, u8>:
            fn(jenny::task::Builder<'static>, fn() -> u8, &Handle) -> io::Result<JoinHandle<u8>>;
        JoinSet::<u8>::build_task: fn(&mut JoinSet<u8>) -> join_set::Builder<'_, u8>;
        LocalSet::unhandled_panic: fn(&mut LocalSet, UnhandledPanic) -> &mut LocalSet;

        pause: fn();
        resume: fn();
    }

    traits! {
        UnhandledPanic: Debug, Clone;
        RngSeed: Debug, Clone;
        Dump: Debug;
        dump::Tasks: Debug;
        dump::Task: Debug;
        dump::Trace: Debug, Display;
        HistogramConfiguration: Debug, Clone;
        HistogramScale: Debug, Clone, Copy, PartialEq, Eq;
        LogHistogram: Debug, Clone, Copy, PartialEq, Eq, Default;
        LogHistogramBuilder: Debug, Clone, Copy, Default;
        InvalidHistogramConfiguration: Debug, Display, Error;
        jenny::task::Builder<'static>: Debug, Default;
        join_set::Builder<'static, u8>: Debug;
    }

    let _ = |builder: &mut Builder| {
        let _: &mut Builder = builder.name("name").name(String::new());
    };
    let _ = |scale: LogHistogram| -> HistogramConfiguration { HistogramConfiguration::log(scale) };
    let _ = |handle: Handle| async move { handle.dump().await.tasks().iter().count() };
    let _ = || async { advance(Duration::ZERO).await };
    let _ = [UnhandledPanic::Ignore, UnhandledPanic::ShutdownRuntime];
    let _ = [HistogramScale::Linear, HistogramScale::Log];
    fn built(set: &mut JoinSet<u8>, handle: &Handle, local: &LocalSet) -> io::Result<()> {
        let closure = || 1;
        set.build_task().name("one").spawn(ready(1))?;
        set.build_task().spawn_on(ready(1), handle)?;
        set.build_task().spawn_local(pending())?;
        set.build_task().spawn_local_on(pending(), local)?;
        set.build_task().spawn_blocking(closure)?;
        set.build_task().spawn_blocking_on(closure, handle).map(drop)
    }
    let _ = built;
}
