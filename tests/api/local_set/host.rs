//! Who is woken, and how much one poll does, seen from the host.

use super::*;

#[test]
fn is_woken_only_if_the_set_sleeps() {
    let mut set = Box::pin(LocalSet::new());
    let (host, waker) = Host::new();
    let open = Arc::new(Notify::new());
    let gate = Arc::clone(&open);
    set.spawn_local(async move { gate.notified().await });
    assert_eq!(host.wakes(), 0);
    assert!(poll(set.as_mut(), &waker).is_pending());
    assert_eq!(host.wakes(), 0, "nothing to do");
    thread::spawn(move || open.notify_one()).join().unwrap();
    assert_eq!(host.wakes(), 1);
    set.spawn_local(async {});
    assert_eq!(host.wakes(), 0, "it has been woken already");
    assert!(poll(set.as_mut(), &waker).is_ready());
    assert_eq!(host.wakes(), 0);
}

#[test]
fn is_woken_by_a_spawn() {
    let set = LocalSet::new();
    let (host, waker) = Host::new();
    let mut forever = Box::pin(set.run_until(pending::<()>()));
    assert!(poll(forever.as_mut(), &waker).is_pending());
    set.spawn_local(async {});
    assert_eq!(host.wakes(), 1);
    assert!(poll(forever.as_mut(), &waker).is_pending());
    let entered = set.enter();
    spawn_local(async {});
    assert_eq!(host.wakes(), 1);
    drop((forever, entered));
}

#[test]
fn gets_its_turn_after_a_bounded_number_of_tasks() {
    const TASKS: usize = 1_000;
    let mut set = Box::pin(LocalSet::new());
    let (host, waker) = Host::new();
    let ran = Rc::new(Cell::new(0));
    for _ in 0..TASKS {
        let ran = Rc::clone(&ran);
        set.spawn_local(async move { ran.set(ran.get() + 1) });
    }
    let mut polls = 0;
    loop {
        let before = ran.get();
        let polled = poll(set.as_mut(), &waker);
        polls += 1;
        assert!((1..=61).contains(&(ran.get() - before)));
        if polled.is_ready() {
            break;
        }
        assert_eq!(host.wakes(), 1, "to go on");
    }
    assert_eq!((ran.get(), polls), (TASKS, TASKS.div_ceil(61)));
}

/// A guard that a future keeps across an `await` is none of the next task's business.
#[test]
fn a_guard_inside_a_poll_ends_with_it() {
    let (set, other) = (LocalSet::new(), Rc::new(LocalSet::new()));
    let (_, waker) = Host::new();
    let kept = Rc::clone(&other);
    set.spawn_local(async move {
        let _guard = kept.enter();
        pending::<()>().await;
    });
    let ran = Rc::new(Cell::new(false));
    let told = Rc::clone(&ran);
    let mut both = Box::pin(set.run_until(async move {
        yield_now().await;
        spawn_local(async move { told.set(true) }).await.unwrap();
    }));
    while poll(both.as_mut(), &waker).is_pending() {}
    assert!(ran.get());
}

/// The one that was to go on is dropped before it does: the other is woken in its place.
#[test]
fn is_woken_when_another_goes_away() {
    let (set, open) = (LocalSet::new(), Arc::new(Notify::new()));
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let gate = Arc::clone(&open);
            set.spawn_local(async move { gate.notified().await })
        })
        .collect();
    let (stays, stay) = Host::new();
    let (leaves, leave) = Host::new();
    let mut first = Box::pin(set.run_until(pending::<()>()));
    while !poll(first.as_mut(), &stay).is_ready() && stays.wakes() > 0 {}
    let mut second = Box::pin(set.run_until(async {
        open.notify_waiters();
        pending::<()>().await;
    }));
    assert!(poll(second.as_mut(), &leave).is_pending());
    assert_eq!((leaves.wakes(), stays.wakes()), (1, 0), "it has only begun");
    drop(second);
    assert_eq!(stays.wakes(), 1);
    while !poll(first.as_mut(), &stay).is_ready() && stays.wakes() > 0 {}
    assert!(tasks.iter().all(|task| task.is_finished()));
}

/// Of several hosts, one has a waker that panics.
#[test]
fn hears_of_a_wake_also_if_another_host_panics() {
    struct Angry;
    impl Wake for Angry {
        fn wake(self: Arc<Self>) {
            panic!("a waker panics");
        }
    }
    let set = LocalSet::new();
    let (host, waker) = Host::new();
    let mut angry = Box::pin(set.run_until(pending::<()>()));
    assert!(poll(angry.as_mut(), &Waker::from(Arc::new(Angry))).is_pending());
    let mut other = Box::pin(set.run_until(pending::<()>()));
    assert!(poll(other.as_mut(), &waker).is_pending());
    let spawned = catch_unwind(AssertUnwindSafe(|| drop(set.spawn_local(async {}))));
    assert!(spawned.is_ok(), "the panic is that of the host");
    assert_eq!(host.wakes(), 1);
    drop((angry, other));
}
