//! On real threads. The races are loom models: `tests/loom/pool.rs`.

use std::{
    io,
    sync::{
        Barrier,
        atomic::AtomicUsize,
        mpsc::{self, Sender},
    },
    thread::{self, scope},
    time::Instant,
};

use super::{config::MayStart, *};
use crate::primitives::Ordering;

const LONG: Duration = Duration::from_secs(60);

/// A closure that learns whether it is run or cancelled.
struct Call(Box<dyn FnOnce(Ended) + Send>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    Run,
    Cancelled,
}

impl Job for Call {
    fn run(self) {
        (self.0)(Ended::Run);
    }

    fn cancel(self) {
        (self.0)(Ended::Cancelled);
    }
}

fn call(f: impl FnOnce(Ended) + Send + 'static) -> Call {
    Call(Box::new(f))
}

fn tell<T: Send + 'static>(to: &Sender<(T, Ended)>, what: T) -> Call {
    let to = to.clone();
    call(move |ended| to.send((what, ended)).unwrap())
}

fn config(max_threads: usize) -> Config {
    Config {
        max_threads,
        max_coming: 1,
        max_queue: usize::MAX,
        keep_alive: LONG,
        thread_name: Arc::new(|| "blocking".to_owned()),
        stack_size: None,
        on_start: None,
        on_stop: None,
        may_start: None,
        on_quiet: None,
        hold: Arc::new(|| Box::new(())),
        wrap: Arc::new(|body| body()),
    }
}

/// A pool whose only thread is inside a job until the sender is used or dropped.
fn busy_pool() -> (Pool<Call>, Sender<()>) {
    with_busy_thread(config(1))
}

fn with_busy_thread(config: Config) -> (Pool<Call>, Sender<()>) {
    let pool = Pool::new(config);
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let job = call(move |_| {
        started.send(()).unwrap();
        let _ = released.recv();
    });
    pool.spawn(job, Mandatory::No).unwrap();
    has_started.recv().unwrap();
    (pool, release)
}

/// Waits for what other threads are about to do.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONG, "not in a minute: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn each_job_of_many_spawners_runs_once() {
    const SPAWNERS: usize = 4;
    const JOBS: usize = 2_000;
    let pool = Pool::new(config(3));
    let counts: Arc<Vec<AtomicUsize>> =
        Arc::new((0..SPAWNERS * JOBS).map(|_| AtomicUsize::new(0)).collect());
    scope(|scope| {
        for spawner in 0..SPAWNERS {
            let (pool, counts) = (&pool, &counts);
            scope.spawn(move || {
                for job in 0..JOBS {
                    let counts = Arc::clone(counts);
                    let count = move |ended| {
                        assert_eq!(ended, Ended::Run);
                        counts[spawner * JOBS + job].fetch_add(1, Ordering::Relaxed);
                    };
                    pool.spawn(call(count), Mandatory::Yes).unwrap();
                }
            });
        }
    });
    assert!(pool.metrics().threads <= 3);
    pool.shutdown(None);
    assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    assert_eq!(pool.metrics(), Metrics::default());
}

/// Idle threads end all the time, urgent jobs take threads away, starts are refused, the end comes in
/// the middle; and yet each job ends in one way.
#[test]
fn everything_at_once() {
    const SPAWNERS: usize = 3;
    const JOBS: usize = 300;
    for round in 0..20_u64 {
        let starts = AtomicUsize::new(0);
        let may_start: MayStart =
            Arc::new(move || match starts.fetch_add(1, Ordering::Relaxed) % 3 {
                2 => Err(io::ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            });
        let pool = Pool::new(Config {
            keep_alive: Duration::from_micros(20 * (round % 4)),
            max_coming: 1 + (round % 2) as usize,
            max_queue: 2,
            may_start: Some(may_start),
            ..config(2)
        });
        let (ended, handed_back) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
        let job = |_| {
            let ended = Arc::clone(&ended);
            call(move |_| _ = ended.fetch_add(1, Ordering::Relaxed))
        };
        scope(|scope| {
            for _ in 0..SPAWNERS {
                scope.spawn(|| {
                    for number in 0..JOBS {
                        let accepted = match number % 5 {
                            0 => pool.run_now(job(())).is_ok(),
                            1 => pool.try_spawn((), |()| (job(()), ()), Mandatory::No).is_ok(),
                            2 => pool.spawn(job(()), Mandatory::Yes).is_ok(),
                            _ => pool.spawn(job(()), Mandatory::No).is_ok(),
                        };
                        handed_back.fetch_add(usize::from(!accepted), Ordering::Relaxed);
                        if number % 7 == 0 {
                            thread::yield_now();
                        }
                    }
                });
            }
            if round % 2 == 0 {
                eventually("some have run", || ended.load(Ordering::Relaxed) > 50);
                pool.shutdown(None);
            }
        });
        pool.shutdown(None);
        let counted = ended.load(Ordering::Relaxed) + handed_back.load(Ordering::Relaxed);
        assert_eq!(counted, SPAWNERS * JOBS);
        assert_eq!(pool.metrics(), Metrics::default());
    }
}

#[test]
fn jobs_that_wait_for_each_other_get_a_thread_each() {
    const JOBS: usize = 8;
    let pool = Pool::new(config(JOBS));
    let barrier = Arc::new(Barrier::new(JOBS + 1));
    for _ in 0..2 {
        for _ in 0..JOBS {
            let barrier = Arc::clone(&barrier);
            pool.spawn(
                call(move |_| {
                    barrier.wait();
                }),
                Mandatory::No,
            )
            .unwrap();
        }
        barrier.wait();
        eventually("all are idle", || pool.metrics().idle_threads == JOBS);
    }
    assert_eq!(pool.metrics().threads, JOBS);
    pool.shutdown(None);
}

#[test]
fn at_the_cap_jobs_queue_in_order() {
    let (pool, release) = busy_pool();
    let (done, results) = mpsc::channel();
    for number in 0..3 {
        pool.spawn(tell(&done, number), Mandatory::No).unwrap();
    }
    assert_eq!(
        pool.metrics(),
        Metrics { threads: 1, idle_threads: 0, queue_depth: 3, alive_jobs: 4 }
    );
    drop(release);
    let order: Vec<_> = results.iter().take(3).collect();
    assert_eq!(order, [(0, Ended::Run), (1, Ended::Run), (2, Ended::Run)]);
    pool.shutdown(None);
}

#[test]
fn a_panic_costs_no_thread() {
    struct PanicsWhenDropped;
    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("the payload's own panic, expected");
        }
    }
    let pool = Pool::new(config(1));
    let (done, results) = mpsc::channel();
    pool.spawn(call(|_| panic!("expected")), Mandatory::No).unwrap();
    pool.spawn(call(|_| std::panic::panic_any(PanicsWhenDropped)), Mandatory::No).unwrap();
    pool.spawn(tell(&done, thread::current().id()), Mandatory::No).unwrap();
    assert_eq!(results.recv().unwrap().1, Ended::Run);
    eventually("it is idle", || pool.metrics().idle_threads == 1);
    assert_eq!(pool.metrics().threads, 1);
    pool.shutdown(None);
}

#[test]
fn idle_threads_end_and_come_back() {
    let (events, seen) = mpsc::channel();
    let hook = |event: &'static str| -> Option<Hook> {
        let events = events.clone();
        Some(Arc::new(move || {
            events.send((event, thread::current().name().unwrap().to_owned())).unwrap();
            panic!("a hook may panic, expected");
        }))
    };
    let pool = Pool::new(Config {
        keep_alive: Duration::from_millis(20),
        on_start: hook("start"),
        on_stop: hook("stop"),
        ..config(2)
    });
    for _ in 0..3 {
        pool.spawn(call(|_| ()), Mandatory::No).unwrap();
        let blocking = || "blocking".to_owned();
        assert_eq!(seen.recv().unwrap(), ("start", blocking()));
        assert_eq!(seen.recv().unwrap(), ("stop", blocking()));
        assert_eq!(pool.metrics().threads, 0);
    }
    pool.shutdown(None);
    assert!(seen.try_recv().is_err());
}

#[test]
fn an_urgent_job_passes_the_queue_and_the_cap() {
    let (pool, release) = busy_pool();
    let (done, results) = mpsc::channel();
    pool.spawn(tell(&done, "queued"), Mandatory::No).unwrap();
    pool.run_now(tell(&done, "urgent")).unwrap();
    assert_eq!(results.recv().unwrap(), ("urgent", Ended::Run));
    eventually("the surplus thread has ended", || pool.metrics().threads == 1);
    assert!(results.try_recv().is_err());
    drop(release);
    assert_eq!(results.recv().unwrap(), ("queued", Ended::Run));
    pool.shutdown(None);
}

#[test]
fn an_urgent_job_leaves_its_place_to_others() {
    let pool = Pool::new(config(1));
    let (done, results) = mpsc::channel();
    pool.spawn(tell(&done, 0), Mandatory::No).unwrap();
    results.recv().unwrap();
    eventually("it is idle", || pool.metrics().idle_threads == 1);
    // The urgent job takes the idle thread, and the next job gets another at once.
    let (release, released) = mpsc::channel::<()>();
    let urgent = tell(&done, 2);
    let urgent = call(move |ended| {
        released.recv().unwrap_err();
        (urgent.0)(ended);
    });
    pool.run_now(urgent).unwrap();
    pool.spawn(tell(&done, 1), Mandatory::No).unwrap();
    assert_eq!(results.recv().unwrap(), (1, Ended::Run));
    assert_eq!(pool.metrics().threads, 2);
    assert_eq!(pool.metrics().queue_depth, 0);
    // A shutdown waits for it, and does not keep others from being run.
    pool.shutdown(Some(Duration::ZERO));
    pool.run_now(tell(&done, 3)).unwrap();
    assert_eq!(results.recv().unwrap(), (3, Ended::Run));
    drop(release);
    pool.shutdown(None);
    assert_eq!(results.try_recv().unwrap(), (2, Ended::Run));
    assert_eq!(pool.metrics().threads, 0);
}

#[test]
fn the_hook_hears_of_the_last_job() {
    let (tell_quiet, quiet) = mpsc::channel();
    let on_quiet: Option<Hook> = Some(Arc::new(move || tell_quiet.send(()).unwrap()));
    let (pool, release) = with_busy_thread(Config { on_quiet, ..config(1) });
    let (done, results) = mpsc::channel();
    pool.spawn(tell(&done, ()), Mandatory::No).unwrap();
    pool.run_now(call(drop)).unwrap();
    assert_eq!(pool.metrics().alive_jobs, 2);
    assert!(quiet.try_recv().is_err());
    drop(release);
    quiet.recv().unwrap();
    assert_eq!(results.try_recv().unwrap(), ((), Ended::Run));
    assert_eq!(pool.metrics().alive_jobs, 0);
    pool.shutdown(None);
    assert!(quiet.try_recv().is_err());
}

#[test]
fn shutdown_cancels_what_is_queued_and_runs_what_is_mandatory() {
    let (pool, release) = busy_pool();
    let (done, results) = mpsc::channel();
    pool.spawn(tell(&done, "optional"), Mandatory::No).unwrap();
    pool.spawn(tell(&done, "mandatory"), Mandatory::Yes).unwrap();
    pool.shutdown(Some(Duration::ZERO));
    assert_eq!(results.try_recv().unwrap(), ("optional", Ended::Cancelled));
    assert!(results.try_recv().is_err());
    drop(release);
    pool.shutdown(None);
    assert_eq!(results.try_recv().unwrap(), ("mandatory", Ended::Run));
}

#[test]
fn shutdown_gives_up_at_its_timeout() {
    let (pool, release) = busy_pool();
    let start = Instant::now();
    pool.shutdown(Some(Duration::from_millis(50)));
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert_eq!(pool.metrics().threads, 1);
    drop(release);
    pool.shutdown(Some(LONG));
    assert_eq!(pool.metrics().threads, 0);
}

#[test]
fn shutdown_joins_threads_that_are_ending() {
    struct SlowEnd(Sender<()>);
    impl Drop for SlowEnd {
        fn drop(&mut self) {
            thread::sleep(Duration::from_millis(50));
            self.0.send(()).unwrap();
        }
    }
    std::thread_local! {
        static SLOW_END: std::cell::RefCell<Option<SlowEnd>> = const { std::cell::RefCell::new(None) };
    }
    let pool = Pool::new(config(2));
    let (ended, seen) = mpsc::channel();
    let both = Arc::new(Barrier::new(2));
    for _ in 0..2 {
        let (ended, both) = (ended.clone(), Arc::clone(&both));
        let job = call(move |_| {
            SLOW_END.set(Some(SlowEnd(ended)));
            both.wait();
        });
        pool.spawn(job, Mandatory::Yes).unwrap();
    }
    pool.shutdown(None);
    assert_eq!(seen.try_iter().count(), 2);
}

/// Drops a value in a thread-local variable, when its thread ends.
fn at_thread_end(value: impl std::any::Any) {
    std::thread_local! {
        static HELD: std::cell::RefCell<Vec<Box<dyn std::any::Any>>> =
            const { std::cell::RefCell::new(Vec::new()) };
    }
    HELD.with_borrow_mut(|held| held.push(Box::new(value)));
}

/// Says that it is being dropped, and is so for as long as the sender lives.
struct Stuck(Sender<()>, mpsc::Receiver<()>);

impl Drop for Stuck {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
        self.1.recv().unwrap_err();
    }
}

#[test]
fn a_destructor_that_does_not_end_keeps_nobody_from_joining_the_others() {
    let pool = Pool::new(Config { keep_alive: Duration::ZERO, ..config(4) });
    let (begun, has_begun) = mpsc::channel();
    let (hold, held) = mpsc::channel();
    pool.spawn(call(|_| at_thread_end(Stuck(begun, held))), Mandatory::No).unwrap();
    has_begun.recv_timeout(LONG).unwrap();
    for _ in 0..50 {
        let (ends, has_ended) = mpsc::channel::<()>();
        pool.spawn(call(|_| at_thread_end(ends)), Mandatory::No).unwrap();
        has_ended.recv_timeout(LONG).unwrap_err();
        eventually("the thread is on no list", || pool.shared.state.lock().living() == 1);
    }
    // Each has joined the one before it; two that end at once may leave one more.
    eventually("the others were joined", || pool.shared.state.lock().unjoined() <= 2);
    // And who has no time left gives up on it.
    pool.shutdown(Some(Duration::from_millis(10)));
    drop(hold);
    pool.shutdown(None);
    assert_eq!(pool.shared.state.lock().living(), 0);
}

#[test]
fn a_shut_down_pool_hands_jobs_back() {
    let pool = Pool::new(config(1));
    pool.shutdown(None);
    let (done, results) = mpsc::channel();
    match pool.spawn(tell(&done, ()), Mandatory::Yes) {
        Err(SpawnError::ShuttingDown(job)) => job.run(),
        other => panic!("{other:?}"),
    }
    assert_eq!(results.try_recv().unwrap(), ((), Ended::Run));
}

#[test]
fn threads_of_the_pool_may_shut_it_down() {
    let pool = Arc::new(Pool::new(config(2)));
    let (done, results) = mpsc::channel();
    let both = Arc::new(Barrier::new(2));
    for _ in 0..2 {
        let (done, both, inner) = (done.clone(), Arc::clone(&both), Arc::clone(&pool));
        let job = call(move |_| {
            both.wait();
            inner.shutdown(None);
            done.send(()).unwrap();
        });
        pool.spawn(job, Mandatory::Yes).unwrap();
    }
    for _ in 0..2 {
        results.recv_timeout(LONG).unwrap();
    }
    pool.shutdown(None);
    assert_eq!(pool.metrics().threads, 0);
}

/// Its thread has taken itself off the list, and may be the one that the others join.
#[test]
fn a_destructor_of_a_thread_local_may_shut_the_pool_down() {
    struct ShutsDown(Arc<Pool<Call>>, Sender<()>);
    impl Drop for ShutsDown {
        fn drop(&mut self) {
            self.0.shutdown(None);
            self.1.send(()).unwrap();
        }
    }
    std::thread_local! {
        static LAST: std::cell::RefCell<Option<ShutsDown>> = const { std::cell::RefCell::new(None) };
    }
    for threads in [1, 2] {
        let pool =
            Arc::new(Pool::new(Config { keep_alive: Duration::from_millis(1), ..config(threads) }));
        let (done, is_done) = mpsc::channel();
        let all = Arc::new(Barrier::new(threads));
        for _ in 0..threads {
            let (last, all) = (ShutsDown(Arc::clone(&pool), done.clone()), Arc::clone(&all));
            let job = call(move |_| {
                LAST.set(Some(last));
                all.wait();
            });
            pool.spawn(job, Mandatory::No).unwrap();
        }
        for _ in 0..threads {
            is_done.recv_timeout(LONG).unwrap();
        }
    }
}

/// More address space than there is, so that the system refuses the thread.
#[cfg(target_pointer_width = "64")]
#[test]
fn without_any_thread_the_job_comes_back() {
    let pool = Pool::new(Config { stack_size: Some(1 << 46), ..config(1) });
    let (done, results) = mpsc::channel();
    match pool.spawn(tell(&done, ()), Mandatory::No) {
        Err(SpawnError::NoThreads { job, .. }) => job.cancel(),
        other => panic!("{other:?}"),
    }
    assert_eq!(results.try_recv().unwrap(), ((), Ended::Cancelled));
    assert_eq!(pool.metrics(), Metrics::default());
    pool.shutdown(None);
}

/// The test runs itself again in a process whose address space holds one stack but not two.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
fn with_one_thread_alive_jobs_wait_for_it() {
    const NAME: &str = "with_one_thread_alive_jobs_wait_for_it";
    const INSIDE: &str = "JENNY_TEST_LITTLE_ADDRESS_SPACE";
    if std::env::var_os(INSIDE).is_none() {
        let status = std::process::Command::new("sh")
            .args(["-c", "ulimit -v 6291456 && exec \"$0\" --exact \"$1\" --test-threads 1"])
            .arg(std::env::current_exe().unwrap())
            .arg(format!("{}::{NAME}", module_path!().split_once("::").unwrap().1))
            .env(INSIDE, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let (pool, release) = with_busy_thread(Config { stack_size: Some(4 << 30), ..config(4) });
    let (done, results) = mpsc::channel();
    pool.spawn(tell(&done, ()), Mandatory::No).unwrap();
    assert_eq!(pool.metrics().threads, 1, "the system gave a second thread");
    assert_eq!(pool.metrics().queue_depth, 1);
    drop(release);
    assert_eq!(results.recv_timeout(LONG).unwrap(), ((), Ended::Run));
    pool.shutdown(None);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn what_every_job_writes_is_on_one_cache_line() {
    let pool = Pool::<Call>::new(config(1));
    assert!(pool.shared.hot_bytes() <= 64, "{}", pool.shared.hot_bytes());
}
