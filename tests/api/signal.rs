//! Signals that the process sends to itself.
#![cfg(unix)]

use std::{
    future::poll_fn,
    process::{Command, id},
    sync::Barrier,
    task::Poll,
    thread,
};

use jenny::{
    signal::{
        ctrl_c,
        unix::{SignalKind, signal},
    },
    task::{
        coop::{has_budget_remaining, poll_proceed},
        spawn,
    },
};

use crate::support::{Flavour, TestRuntime};

const FLAVOURS: [Flavour; 3] = [Flavour::CurrentThread, Flavour::Local, Flavour::FourWorkers];

fn send(name: &str) {
    let status = Command::new("kill").args(["-s", name, &id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn on_all<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for flavour in FLAVOURS {
        flavour.build().block_on(test());
    }
}

#[test]
fn ctrl_c_wakes_all_who_wait_for_it() {
    on_all(|| async {
        // The handler is in place before the signal comes, or the test would end here.
        let mut listener = signal(SignalKind::interrupt()).unwrap();
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                let mut listener = signal(SignalKind::interrupt()).unwrap();
                spawn(async move { listener.recv().await })
            })
            .collect();
        let ctrl_c = spawn(ctrl_c());
        send("INT");
        assert_eq!(listener.recv().await, Some(()));
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap(), Some(()));
        }
        // It may not have been polled before the first.
        while !ctrl_c.is_finished() {
            send("INT");
            listener.recv().await;
        }
        ctrl_c.await.unwrap().unwrap();
    });
}

#[test]
fn every_runtime_gets_the_signal() {
    const ROUNDS: usize = 20;
    let barrier = &Barrier::new(4);
    let listen = |runtime: TestRuntime| {
        runtime.block_on(async {
            let mut listener = signal(SignalKind::user_defined1()).unwrap();
            for _ in 0..ROUNDS {
                barrier.wait();
                assert_eq!(listener.recv().await, Some(()));
                barrier.wait();
            }
        });
    };
    thread::scope(|scope| {
        for flavour in FLAVOURS {
            scope.spawn(move || listen(flavour.build()));
        }
        for _ in 0..ROUNDS {
            barrier.wait();
            send("USR1");
            barrier.wait();
        }
    });
}

#[test]
fn a_listener_sees_what_comes_while_it_does_not_look() {
    on_all(|| async {
        let mut listener = signal(SignalKind::user_defined2()).unwrap();
        send("USR2");
        assert_eq!(listener.recv().await, Some(()));
        send("USR2");
        let mut late = signal(SignalKind::hangup()).unwrap();
        send("HUP");
        assert_eq!(late.recv().await, Some(()));
        assert_eq!(listener.recv().await, Some(()));
    });
}

/// Units of one poll.
const BUDGET: usize = 128;

#[test]
fn a_ready_signal_takes_a_unit_and_one_that_has_not_come_takes_none() {
    on_all(|| async {
        let mut listeners = [(); 2].map(|()| signal(SignalKind::window_change()).unwrap());
        let mut none = signal(SignalKind::window_change()).unwrap();
        send("WINCH");
        // So it has been reported to the others, too.
        none.recv().await.unwrap();
        let mut polls = 0;
        let task = spawn(poll_fn(move |context| {
            polls += 1;
            if polls > 1 {
                return listeners[1].poll_recv(context).map(|signal| (signal, polls));
            }
            for _ in 0..BUDGET - 1 {
                let Poll::Ready(unit) = poll_proceed(context) else { panic!("exhausted") };
                unit.made_progress();
            }
            assert!(none.poll_recv(context).is_pending());
            assert!(has_budget_remaining(), "nothing was taken");
            assert_eq!(listeners[0].poll_recv(context), Poll::Ready(Some(())));
            assert!(!has_budget_remaining());
            // The task is woken for it, and not by another signal.
            assert!(listeners[1].poll_recv(context).is_pending());
            Poll::Pending
        }));
        assert_eq!(task.await.unwrap(), (Some(()), 2));
    });
}

#[test]
fn a_listener_ends_with_its_runtime() {
    for flavour in FLAVOURS {
        let runtime = flavour.build();
        let mut listener = runtime.block_on(async { signal(SignalKind::alarm()).unwrap() });
        drop(runtime);
        assert_eq!(flavour.build().block_on(listener.recv()), None);
    }
}

#[test]
fn what_cannot_be_handled_is_refused() {
    on_all(|| async {
        for number in [9, 19, 11, 0, -1] {
            assert!(signal(SignalKind::from_raw(number)).is_err(), "{number}");
        }
    });
}
