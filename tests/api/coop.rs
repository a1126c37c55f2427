//! The budget: what is always ready lets others run.

use std::{
    future::{poll_fn, ready},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
};

use jenny::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::{
        coop::{consume_budget, cooperative, has_budget_remaining, poll_proceed, unconstrained},
        spawn, spawn_blocking, yield_now,
    },
};

use crate::support::on_every_runtime;

/// Units of one poll.
const BUDGET: usize = 128;

/// How many polls a future needs, as a task.
async fn polls_of<F: Future<Output = ()> + Send + 'static>(future: F) -> usize {
    let mut future = Box::pin(future);
    let mut polls = 0;
    let task = spawn(poll_fn(move |context| {
        polls += 1;
        future.as_mut().poll(context).map(|()| polls)
    }));
    task.await.unwrap()
}

on_every_runtime! {
    fn ready_join_handles_take_units(flavour: Flavour) {
        flavour.build().block_on(async {
            let joins: Vec<_> = (0..BUDGET * 10).map(|_| spawn(async {})).collect();
            while !joins.iter().all(|join| join.is_finished()) {
                yield_now().await;
            }
            let polls = polls_of(async {
                for join in joins {
                    join.await.unwrap();
                }
            });
            assert_eq!(polls.await, 10);
        });
    }

    fn ready_blocking_jobs_take_units(flavour: Flavour) {
        flavour.build_with(|builder| builder.max_blocking_threads(1)).block_on(async {
            let joins: Vec<_> = (0..BUDGET * 3).map(|_| spawn_blocking(|| ())).collect();
            while !joins.iter().all(|join| join.is_finished()) {
                yield_now().await;
            }
            let polls = polls_of(async {
                for join in joins {
                    join.await.unwrap();
                }
            });
            assert_eq!(polls.await, 3);
        });
    }

    fn ready_sockets_take_units(flavour: Flavour) {
        flavour.build().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut server, _) = listener.accept().await.unwrap();
            client.write_all(&[7; BUDGET * 4]).await.unwrap();
            // Until all of it has come.
            while server.peek(&mut [0; BUDGET * 4]).await.unwrap() < BUDGET * 4 {}
            let polls = polls_of(async move {
                for _ in 0..BUDGET * 4 {
                    assert_eq!(server.read_u8().await.unwrap(), 7);
                }
            });
            assert_eq!(polls.await, 4);
            let polls = polls_of(async move {
                for _ in 0..BUDGET * 4 {
                    client.writable().await.unwrap();
                }
            });
            assert_eq!(polls.await, 4);
        });
    }

    fn ready_listeners_take_units(flavour: Flavour) {
        flavour.build().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let connect = || std::net::TcpStream::connect(address).unwrap();
            let first = connect();
            listener.accept().await.unwrap();
            let clients: Vec<_> = (0..BUDGET * 2).map(|_| connect()).collect();
            let polls = polls_of(async move {
                for _ in 0..BUDGET * 2 {
                    listener.accept().await.unwrap();
                }
            });
            assert_eq!(polls.await, 2);
            drop((first, clients));
        });
    }

    fn consuming_takes_units(flavour: Flavour) {
        flavour.build().block_on(async {
            let consume = |units| polls_of(async move {
                for _ in 0..units {
                    consume_budget().await;
                }
            });
            assert_eq!(consume(BUDGET).await, 1);
            assert_eq!(consume(BUDGET + 1).await, 2);
            assert_eq!(consume(BUDGET * 5).await, 5);
        });
    }

    fn the_root_future_has_a_budget_too(flavour: Flavour) {
        let runtime = flavour.build();
        let mut polls = 0;
        let mut future = pin!(async {
            for _ in 0..BUDGET * 3 {
                consume_budget().await;
            }
        });
        runtime.block_on(poll_fn(|context| {
            polls += 1;
            future.as_mut().poll(context)
        }));
        assert_eq!(polls, 3);
    }

    fn what_the_budget_does_not_know_is_made_to(flavour: Flavour) {
        flavour.build().block_on(async {
            let bare = polls_of(async {
                for _ in 0..BUDGET * 4 {
                    ready(()).await;
                }
            });
            assert_eq!(bare.await, 1);
            let wrapped = polls_of(async {
                for _ in 0..BUDGET * 4 {
                    cooperative(ready(())).await;
                }
            });
            assert_eq!(wrapped.await, 4);
            // A channel that is never empty.
            let (sender, mut receiver) = mpsc::channel(BUDGET * 4);
            for i in 0..BUDGET * 4 {
                sender.try_send(i).unwrap();
            }
            let channel = polls_of(async move {
                for i in 0..BUDGET * 4 {
                    assert_eq!(cooperative(receiver.recv()).await, Some(i));
                }
            });
            assert!(channel.await >= 4);
            // Without that it takes no units, and what is around it has no turn.
            let (sender, mut receiver) = mpsc::channel(BUDGET * 4);
            (0..BUDGET * 4).for_each(|i| sender.try_send(i).unwrap());
            let channel = polls_of(async move {
                for i in 0..BUDGET * 4 {
                    assert_eq!(receiver.recv().await, Some(i));
                }
                assert!(has_budget_remaining());
            });
            assert_eq!(channel.await, 1);
            let empty = polls_of(async {
                for _ in 0..BUDGET * 4 {
                    assert_eq!(jenny::io::empty().read(&mut [0; 8]).await.unwrap(), 0);
                }
            });
            assert_eq!(empty.await, 1);
        });
    }

    fn a_pending_result_gives_the_unit_back(flavour: Flavour) {
        flavour.build().block_on(async {
            let task = spawn(poll_fn(|context| {
                for _ in 0..BUDGET * 2 {
                    let mut pending = pin!(cooperative(std::future::pending::<()>()));
                    assert!(pending.as_mut().poll(context).is_pending());
                    assert!(has_budget_remaining());
                }
                Poll::Ready(())
            }));
            task.await.unwrap();
        });
    }

    fn an_exhausted_task_is_woken(flavour: Flavour) {
        flavour.build().block_on(async {
            let mut first = true;
            let task = spawn(poll_fn(move |context| {
                if !std::mem::take(&mut first) {
                    assert!(has_budget_remaining(), "a new poll has a new budget");
                    return Poll::Ready(());
                }
                for _ in 0..BUDGET {
                    assert!(has_budget_remaining());
                    let Poll::Ready(unit) = poll_proceed(context) else { panic!("exhausted") };
                    unit.made_progress();
                }
                assert!(!has_budget_remaining());
                assert!(poll_proceed(context).is_pending());
                Poll::Pending
            }));
            task.await.unwrap();
        });
    }

    fn the_unconstrained_have_no_limit(flavour: Flavour) {
        flavour.build().block_on(async {
            let polls = polls_of(unconstrained(async {
                for _ in 0..BUDGET * 10 {
                    consume_budget().await;
                    assert!(has_budget_remaining());
                }
            }));
            assert_eq!(polls.await, 1);
            // Only what is inside.
            let polls = polls_of(async {
                unconstrained(async {
                    for _ in 0..BUDGET * 2 {
                        consume_budget().await;
                    }
                })
                .await;
                for _ in 0..BUDGET * 2 {
                    consume_budget().await;
                }
            });
            assert_eq!(polls.await, 2);
        });
    }

    /// Every other poll is a neighbour's, where one thread runs both.
    fn a_neighbour_runs_in_between(flavour: Flavour) {
        flavour.build().block_on(async move {
            let turns = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&turns);
            let neighbour = spawn(async move {
                let hungry = spawn(async {
                    for _ in 0..BUDGET * 100 {
                        consume_budget().await;
                    }
                });
                while !hungry.is_finished() {
                    seen.fetch_add(1, SeqCst);
                    yield_now().await;
                }
            });
            neighbour.await.unwrap();
            if flavour.workers() == 1 {
                assert!(turns.load(SeqCst) >= 98, "{} turns", turns.load(SeqCst));
            }
        });
    }
}

#[test]
fn outside_of_a_runtime_there_is_no_limit() {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..BUDGET * 10 {
        assert!(has_budget_remaining());
        let Poll::Ready(unit) = poll_proceed(&mut context) else { panic!("a limit") };
        unit.made_progress();
    }
}
