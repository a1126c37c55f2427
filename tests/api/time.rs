//! Sleeps, intervals and time-outs by the real clock.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread,
};

use jenny::{
    runtime::Builder,
    sync::oneshot,
    task::{coop::consume_budget, spawn, spawn_blocking, yield_now},
    time::{Duration, Instant, interval, interval_at, sleep, sleep_until, timeout, timeout_at},
};

use crate::support::on_every_runtime;

const MS: Duration = Duration::from_millis(1);
/// Never over in a test.
const LONG: Duration = Duration::from_secs(3600);

/// Polls once, with a waker that does nothing.
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

on_every_runtime! {
    fn sleeps_are_never_early(flavour: Flavour) {
        flavour.build().block_on(async {
            let tasks: Vec<_> = (0..200_u32)
                .map(|n| {
                    spawn(async move {
                        let duration = Duration::from_micros(u64::from(n) * 97);
                        let start = std::time::Instant::now();
                        sleep(duration).await;
                        assert!(start.elapsed() >= duration);
                        let deadline = Instant::now() + duration;
                        sleep_until(deadline).await;
                        assert!(Instant::now() >= deadline);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    }

    fn the_root_future_sleeps_without_any_task(flavour: Flavour) {
        let runtime = flavour.build();
        for _ in 0..3 {
            let start = Instant::now();
            runtime.block_on(async { sleep(5 * MS).await });
            assert!(start.elapsed() >= 5 * MS);
        }
    }

    fn they_wake_in_the_order_of_their_deadlines(flavour: Flavour) {
        // A worker that comes late finds several due, and would run the last one first.
        flavour.build_with(|builder| builder.disable_lifo_slot()).block_on(async {
            let order = Arc::new(Mutex::new(Vec::new()));
            let now = Instant::now();
            let tasks: Vec<_> = [40_u32, 10, 30, 20]
                .into_iter()
                .map(|ms| {
                    let order = Arc::clone(&order);
                    spawn(async move {
                        sleep_until(now + ms * MS).await;
                        order.lock().unwrap().push((ms, Instant::now()));
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            let order = order.lock().unwrap();
            assert!(order.iter().all(|(ms, woken)| *woken >= now + *ms * MS));
            // Several workers may be late by different times.
            if flavour.workers() == 1 {
                assert_eq!(order.iter().map(|(ms, _)| *ms).collect::<Vec<_>>(), [10, 20, 30, 40]);
            }
        });
    }

    fn what_is_over_is_ready_at_once(flavour: Flavour) {
        flavour.build().block_on(async {
            let past = Instant::now() - MS;
            for mut future in [sleep(Duration::ZERO), sleep_until(past), sleep_until(Instant::now())]
                .map(Box::pin)
            {
                assert!(!future.is_elapsed());
                assert!(poll(future.as_mut()).is_ready());
                assert!(future.is_elapsed());
                // It stays so.
                assert!(poll(future.as_mut()).is_ready());
            }
            let mut pending = pin!(sleep(LONG));
            assert!(poll(pending.as_mut()).is_pending() && !pending.is_elapsed());
        });
    }

    fn a_reset_moves_a_waiting_sleep(flavour: Flavour) {
        flavour.build().block_on(async {
            // Earlier: whoever waits is woken by the new deadline.
            let start = Instant::now();
            let mut future = pin!(sleep(LONG));
            assert!(future.deadline() - start >= LONG);
            poll_fn(|context| {
                assert!(future.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
            future.as_mut().reset(start + 5 * MS);
            assert_eq!(future.deadline(), start + 5 * MS);
            future.as_mut().await;
            assert!(start.elapsed() >= 5 * MS);

            // After it has fired, it begins again; and is moved to the past.
            assert!(future.is_elapsed());
            future.as_mut().reset(Instant::now() + LONG);
            assert!(!future.is_elapsed() && poll(future.as_mut()).is_pending());
            future.as_mut().reset(start);
            assert!(poll(future.as_mut()).is_ready() && future.is_elapsed());

            // Later.
            let mut future = pin!(sleep(2 * MS));
            assert!(poll(future.as_mut()).is_pending());
            let later = Instant::now() + 20 * MS;
            future.as_mut().reset(later);
            future.as_mut().await;
            assert!(Instant::now() >= later);
        });
    }

    /// The task that waits is not polled again between the reset and the new deadline.
    fn a_reset_to_an_earlier_deadline_wakes_the_waiting_task(flavour: Flavour) {
        let runtime = flavour.build();
        runtime.block_on(async {
            let shared = Arc::new(Mutex::new(Box::pin(sleep(LONG))));
            let waits = Arc::clone(&shared);
            let (is_polled, polled) = oneshot::channel();
            let mut is_polled = Some(is_polled);
            let task = spawn(poll_fn(move |context| {
                let polled = waits.lock().unwrap().as_mut().poll(context);
                is_polled.take().map(|is_polled| is_polled.send(()));
                polled
            }));
            polled.await.unwrap();
            shared.lock().unwrap().as_mut().reset(Instant::now() + MS);
            task.await.unwrap();
        });
    }

    fn a_sleep_that_is_dropped_wakes_nobody(flavour: Flavour) {
        struct Count(mpsc::Sender<()>);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.send(()).unwrap();
            }
        }
        let (sender, woken) = mpsc::channel();
        let waker = Waker::from(Arc::new(Count(sender)));
        flavour.build().block_on(async {
            let mut kept = pin!(sleep(10 * MS));
            let mut dropped = Box::pin(sleep(5 * MS));
            let mut context = Context::from_waker(&waker);
            assert!(dropped.as_mut().poll(&mut context).is_pending());
            assert!(kept.as_mut().poll(&mut context).is_pending());
            drop(dropped);
            sleep(15 * MS).await;
            assert!(kept.is_elapsed());
        });
        assert_eq!(woken.try_iter().count(), 1);
    }

    /// The last waker is the one that counts.
    fn a_sleep_moves_from_task_to_task(flavour: Flavour) {
        flavour.build().block_on(async {
            let mut future = Box::pin(sleep(200 * MS));
            assert!(poll(future.as_mut()).is_pending());
            let first = spawn(async move {
                assert!(timeout(MS, future.as_mut()).await.is_err());
                (future.deadline(), future)
            });
            let (deadline, future) = first.await.unwrap();
            spawn(future).await.unwrap();
            assert!(Instant::now() >= deadline);
        });
    }

    fn a_sleep_is_polled_by_another_runtime(flavour: Flavour) {
        let runtime = flavour.build();
        let other = Builder::new_current_thread().build().unwrap();
        let future = {
            let _guard = runtime.enter();
            let mut future = Box::pin(sleep(10 * MS));
            assert!(poll(future.as_mut()).is_pending());
            future
        };
        let deadline = future.deadline();
        if flavour.has_one_thread() {
            // Its thread has to be there to fire.
            let (stop, stopped) = oneshot::channel::<()>();
            let waiting = thread::spawn(move || {
                other.block_on(future);
                stop.send(()).unwrap();
            });
            runtime.block_on(stopped).unwrap();
            waiting.join().unwrap();
        } else {
            other.block_on(future);
        }
        assert!(Instant::now() >= deadline);
    }

    fn a_sleep_begins_in_another_runtime(flavour: Flavour) {
        let runtime = flavour.build();
        // It has no timers, so they can only be those of the first.
        let other = Builder::new_current_thread().build().unwrap();
        let future = {
            let _guard = runtime.enter();
            Box::pin(sleep(10 * MS))
        };
        let deadline = future.deadline();
        if flavour.has_one_thread() {
            let (stop, stopped) = oneshot::channel::<()>();
            let waiting = thread::spawn(move || {
                other.block_on(future);
                stop.send(()).unwrap();
            });
            runtime.block_on(stopped).unwrap();
            waiting.join().unwrap();
        } else {
            other.block_on(future);
        }
        assert!(Instant::now() >= deadline);
    }

    fn a_sleep_that_nobody_waited_for_outlives_its_runtime(flavour: Flavour) {
        let runtime = flavour.build();
        let (mut over, mut pending) = {
            let _guard = runtime.enter();
            (Box::pin(sleep(Duration::ZERO)), Box::pin(sleep(LONG)))
        };
        drop(runtime);
        assert_eq!(poll(over.as_mut()), Poll::Ready(()));
        assert!(over.is_elapsed() && !pending.is_elapsed());
        // Nobody fires it, also if it was over before.
        over.as_mut().reset(Instant::now() + LONG);
        assert!(!over.is_elapsed());
        for sleep in [&mut over, &mut pending] {
            let panic = catch_unwind(AssertUnwindSafe(|| poll(sleep.as_mut()))).unwrap_err();
            let message = panic.downcast::<String>().unwrap();
            assert!(message.contains("shut"), "{message}");
        }
        pending.as_mut().reset(Instant::now());
        assert_eq!(poll(pending.as_mut()), Poll::Ready(()));
    }

    fn threads_without_a_worker_sleep(flavour: Flavour) {
        let runtime = flavour.build();
        let (stop, stopped) = oneshot::channel::<()>();
        let threads: Vec<_> = (1..=8_u32)
            .map(|n| {
                let handle = runtime.handle().clone();
                thread::spawn(move || {
                    for _ in 0..3 {
                        let start = Instant::now();
                        handle.block_on(async { sleep(n * 2 * MS).await });
                        assert!(start.elapsed() >= n * 2 * MS);
                    }
                })
            })
            .collect();
        let joiner = thread::spawn(move || {
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            stop.send(()).unwrap();
        });
        runtime.block_on(stopped).unwrap();
        joiner.join().unwrap();
    }

    fn time_outs(flavour: Flavour) {
        flavour.build().block_on(async {
            assert_eq!(timeout(Duration::ZERO, async { 1 }).await, Ok(1));
            assert_eq!(timeout_at(Instant::now() - MS, async { 1 }).await, Ok(1));
            assert_eq!(timeout(LONG, async { sleep(MS).await; 2 }).await, Ok(2));
            assert_eq!(timeout(Duration::MAX, async { sleep(MS).await; 3 }).await, Ok(3));

            let start = Instant::now();
            let elapsed = timeout(5 * MS, std::future::pending::<()>()).await.unwrap_err();
            assert!(start.elapsed() >= 5 * MS);
            assert_eq!(elapsed.to_string(), "deadline has elapsed");
            let error = std::io::Error::from(elapsed);
            assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
            assert!(timeout_at(start, sleep(LONG)).await.is_err());

            // The future comes back whole.
            let (sender, receiver) = oneshot::channel();
            let mut waits = timeout(LONG, receiver);
            assert!(poll(Pin::new(waits.get_mut())).is_pending());
            assert!(!waits.get_ref().is_terminated());
            sender.send(7).unwrap();
            assert_eq!(waits.into_inner().await, Ok(7));
        });
    }

    /// A future that takes all units of every poll, and is never done, does not hide the deadline.
    fn a_time_out_ends_what_eats_the_budget(flavour: Flavour) {
        flavour.build().block_on(async {
            let hungry = || async {
                loop {
                    consume_budget().await;
                }
            };
            assert!(timeout(5 * MS, hungry()).await.is_err());
            assert!(spawn(timeout(5 * MS, hungry())).await.unwrap().is_err());
        });
    }

    fn ready_sleeps_take_units(flavour: Flavour) {
        flavour.build().block_on(async {
            let past = Instant::now();
            let mut polls = 0;
            let mut future = Box::pin(async move {
                for _ in 0..1280 {
                    sleep_until(past).await;
                }
            });
            let task = spawn(poll_fn(move |context| {
                polls += 1;
                future.as_mut().poll(context).map(|()| polls)
            }));
            assert_eq!(task.await.unwrap(), 10);
        });
    }

    fn an_interval_keeps_its_pace(flavour: Flavour) {
        flavour.build().block_on(async {
            let start = Instant::now();
            let mut interval = interval(2 * MS);
            assert_eq!(interval.period(), 2 * MS);
            let first = interval.tick().await;
            assert!(first >= start);
            for n in 1..=10 {
                let due = interval.tick().await;
                assert_eq!(due, first + n * 2 * MS);
                assert!(Instant::now() >= due);
            }
            let mut late = interval_at(Instant::now() + 10 * MS, MS);
            let before = Instant::now();
            late.tick().await;
            assert!(before.elapsed() >= 9 * MS);
        });
    }

    /// All at once, on all workers, half of them never to fire.
    fn a_hundred_thousand_timers(flavour: Flavour) {
        flavour.build().block_on(async {
            let tasks: Vec<_> = (0..10_u64)
                .map(|task| {
                    spawn(async move {
                        let mut sleeps: Vec<_> = (0..10_000_u64)
                            .map(|n| {
                                let ms = if n % 2 == 0 { (n * 7 + task) % 50 } else { 60_000 + n };
                                Box::pin(sleep(ms as u32 * MS))
                            })
                            .collect();
                        for sleep in &mut sleeps {
                            let mut pending = pin!(timeout(Duration::ZERO, sleep.as_mut()));
                            poll_fn(|context| pending.as_mut().poll(context)).await.ok();
                        }
                        yield_now().await;
                        for mut sleep in sleeps {
                            if sleep.deadline() < Instant::now() + Duration::from_secs(30) {
                                sleep.as_mut().await;
                                assert!(Instant::now() >= sleep.deadline());
                            } else {
                                assert!(!sleep.is_elapsed());
                            }
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    }

    fn deadlines_centuries_away(flavour: Flavour) {
        const YEAR: Duration = Duration::from_secs(86_400 * 365);
        flavour.build().block_on(async {
            let mut far = [30, 300, 3_000, 30_000].map(|years| Box::pin(sleep(years * YEAR)));
            let mut never = Box::pin(sleep(Duration::MAX));
            for future in &mut far {
                assert!(poll(future.as_mut()).is_pending());
            }
            assert!(poll(never.as_mut()).is_pending());
            assert!(never.deadline() > Instant::now() + 29 * YEAR);
            sleep(2 * MS).await;
            assert!(far.iter().all(|future| !future.is_elapsed()));
            far[3].as_mut().reset(Instant::now() + MS);
            far[3].as_mut().await;
            let mut rare = interval(Duration::MAX);
            rare.tick().await;
            assert!(timeout(MS, rare.tick()).await.is_err());
        });
    }

    /// What a loop around `select!` does: a new sleep in each round, dropped when the other comes.
    fn a_sleep_in_each_round_of_a_loop(flavour: Flavour) {
        flavour.build().block_on(async {
            let (sender, mut receiver) = jenny::sync::mpsc::channel(1);
            let sending = spawn(async move {
                for n in 0..2_000 {
                    sender.send(n).await.unwrap();
                    if n % 16 == 0 {
                        yield_now().await;
                    }
                }
                sender
            });
            for expected in 0..2_000 {
                jenny::select! {
                    n = receiver.recv() => assert_eq!(n, Some(expected)),
                    () = sleep(LONG) => panic!("an hour is over"),
                }
            }
            let _sender = sending.await.unwrap();
            jenny::select! {
                _ = receiver.recv() => panic!("there is no message"),
                () = sleep(MS) => {}
            }
        });
    }

    /// While tasks wake each other without end, a timer still fires.
    fn timers_fire_under_a_flood(flavour: Flavour) {
        flavour.build().block_on(async {
            let stop = Arc::new(());
            let tasks: Vec<_> = (0..64)
                .map(|_| {
                    let going_on = Arc::downgrade(&stop);
                    spawn(async move {
                        while going_on.strong_count() > 0 {
                            yield_now().await;
                        }
                    })
                })
                .collect();
            spawn(sleep(5 * MS)).await.unwrap();
            sleep(5 * MS).await;
            drop(stop);
            for task in tasks {
                task.await.unwrap();
            }
        });
    }

    fn a_runtime_ends_with_sleepers(flavour: Flavour) {
        let runtime = flavour.build();
        let tasks: Vec<_> = (0..100).map(|_| runtime.spawn(async { sleep(LONG).await })).collect();
        runtime.block_on(async { sleep(2 * MS).await });
        drop(runtime);
        let other = Builder::new_current_thread().build().unwrap();
        for task in tasks {
            assert!(other.block_on(task).unwrap_err().is_cancelled());
        }
    }

    fn sleeping_on_a_thread_of_the_pool(flavour: Flavour) {
        flavour.build().block_on(async {
            let made = spawn_blocking(|| Box::pin(sleep(2 * MS))).await.unwrap();
            made.await;
        });
    }
}

#[test]
fn a_sleep_is_send_and_sync_and_pinned() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<jenny::time::Sleep>();
    is_send_and_sync::<jenny::time::Interval>();
    is_send_and_sync::<jenny::time::Timeout<()>>();
    trait Ambiguous<A> {
        fn here() {}
    }
    struct Pinned;
    impl<T: ?Sized> Ambiguous<()> for T {}
    impl<T: ?Sized + Unpin> Ambiguous<Pinned> for T {}
    // Compiles only while there is one impl to choose: that for types that are not `Unpin`.
    <jenny::time::Sleep as Ambiguous<_>>::here();
}

#[test]
fn instants() {
    let now = Instant::now();
    let std = std::time::Instant::from(now);
    assert_eq!(Instant::from(std), now);
    assert_eq!(Instant::from_std(now.into_std()), now);
    let mut later = now + MS;
    later += MS;
    assert_eq!(later - now, 2 * MS);
    assert_eq!(now - later, Duration::ZERO);
    assert_eq!(later.duration_since(now), 2 * MS);
    assert_eq!(now.saturating_duration_since(later), Duration::ZERO);
    assert_eq!(now.checked_duration_since(later), None);
    assert_eq!(later.checked_duration_since(now), Some(2 * MS));
    later -= 2 * MS;
    assert_eq!((later, later - MS), (now, now - MS));
    assert_eq!(now.checked_add(Duration::MAX), None);
    assert_eq!(now.checked_sub(Duration::MAX), None);
    assert_eq!(now.checked_add(MS), Some(now + MS));
    assert_eq!(later.checked_sub(MS).map(|earlier| later - earlier), Some(MS));
    assert_eq!(format!("{now:?}"), format!("{std:?}"));
    assert!(now.elapsed() < LONG);
}

/// Nothing here makes them; a program that matches Tokio's may.
#[test]
fn errors_tell_themselves_apart() {
    use jenny::time::error::Error;
    let kinds = [Error::shutdown(), Error::at_capacity(), Error::invalid()]
        .map(|error| [error.is_shutdown(), error.is_at_capacity(), error.is_invalid()]);
    assert_eq!(kinds, [[true, false, false], [false, true, false], [false, false, true]]);
}
