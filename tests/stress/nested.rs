//! Runtimes and local sets inside of the tasks of other runtimes: whose worker, whose wheel and whose
//! memory is whose.

use std::{pin::pin, sync::Arc, time::Duration};

use jenny::{
    runtime::{Handle, Runtime, RuntimeFlavor},
    task::{LocalSet, block_in_place, spawn_local, yield_now},
    time::{Instant, sleep, timeout},
};
use jenny_tests::Rng;

use crate::{
    local::Bound,
    scenarios::{Flavour, Pending, end, settle},
    strangers::{Parcel, Strangers},
    tasks::{Expect, Script, judge},
};

/// Blocks in tasks and jobs of a runtime that lives on.
pub(crate) fn nested(strangers: &Arc<Strangers>, mut rng: Rng, outer: &Runtime, rounds: usize) {
    let blocks = outer.handle().runtime_flavor() != RuntimeFlavor::CurrentThread;
    for _ in 0..rounds {
        let (strangers, mut rng) = (Arc::clone(strangers), rng.fork());
        let in_place = blocks && rng.one_in(2);
        let act = move || inside(&strangers, &mut rng);
        let over = if in_place {
            outer.spawn(async { block_in_place(act) })
        } else {
            outer.spawn_blocking(act)
        };
        outer.block_on(over).unwrap();
    }
}

/// On a thread that may block, inside of a runtime.
fn inside(strangers: &Arc<Strangers>, rng: &mut Rng) {
    let (outer, inner, set) = (Handle::current(), Flavour::any(rng).build(), LocalSet::new());
    let mut pending = Pending::new();
    for _ in 0..rng.below(24) {
        let mut script = Script::new(strangers, rng);
        // Of the outer one, which does not end.
        let mut expect = script.expect(false);
        let join = match rng.below(4) {
            0 => outer.spawn(script),
            place => {
                expect.cancelled = true;
                match place {
                    1 => inner.spawn(script),
                    2 => {
                        let _guard = inner.enter();
                        jenny::spawn(script)
                    }
                    _ => {
                        script.wanders();
                        set.spawn_local(Bound::new(script))
                    }
                }
            }
        };
        if rng.one_in(8) {
            expect.cancelled = true;
            match rng.below(3) {
                0 => join.abort(),
                1 => strangers.send(Parcel::Abort(join.abort_handle())),
                _ => {
                    strangers.send(Parcel::Join(join));
                    continue;
                }
            }
        }
        pending.push((join, expect));
    }

    let mut inner = Some(inner);
    for _ in 0..rng.below(5) {
        let guest = inner.as_ref().map(|inner| inner.handle().clone());
        let here = inner.as_ref().filter(|_| rng.one_in(2));
        let host = set.run_until(host_of(strangers, rng, guest, &mut pending));
        match here {
            Some(inner) => inner.block_on(host),
            None => outer.block_on(host),
        }
        if rng.one_in(4)
            && let Some(inner) = inner.take()
        {
            end_inside(inner, &outer, rng);
        }
    }
    // The runtime goes before the set or after it, and both before or after their tasks.
    match rng.below(3) {
        0 => drop((set, inner)),
        1 => drop((inner, set)),
        _ => outer.block_on(async { drop((set, inner.map(Runtime::shutdown_background))) }),
    }
    outer.block_on(settle(pending, rng));
}

/// Does something in the middle of a set, on one runtime, with what is another one's.
async fn host_of(
    strangers: &Arc<Strangers>,
    rng: &mut Rng,
    guest: Option<Handle>,
    pending: &mut Pending,
) {
    // Its wheel is one of the other runtime's until it is reset and waited for again.
    let duration = Duration::from_micros(rng.below(1_500) as u64);
    let timer = {
        let _guard = guest.as_ref().map(Handle::enter);
        sleep(duration)
    };
    let mut timer = pin!(timer);
    for _ in 0..rng.below(4) {
        let mut script = Script::new(strangers, rng);
        script.wanders();
        let expect = Expect { cancelled: true, ..script.expect(true) };
        pending.push((spawn_local(Bound::new(script)), expect));
        yield_now().await;
    }
    match rng.below(200) {
        0..50 => {
            // A current-thread runtime fires nothing unless somebody is in `block_on`.
            let fires = guest.is_none_or(|guest| {
                guest.id() == Handle::current().id()
                    || guest.runtime_flavor() != RuntimeFlavor::CurrentThread
            });
            if fires {
                timer.as_mut().await;
                timer.as_mut().reset(Instant::now() + duration);
            }
            let _ = timeout(duration, timer).await;
        }
        50..100 if !pending.is_empty() => {
            let (join, _) = pending.swap_remove(rng.below(pending.len()));
            join.abort();
            // Its runtime may be one that nobody runs.
            if let Ok(result) = timeout(duration, join).await {
                judge(result, Expect { cancelled: true, panicked: true });
            }
        }
        100..103 => drop(Handle::current().dump_without_traces().await),
        103 => drop(Handle::current().dump().await),
        104 => {
            if let Some(guest) = guest {
                drop(guest.dump_without_traces().await);
            }
        }
        _ => {}
    }
}

/// Ends a runtime on a thread that runs another one, or that is only inside of it.
fn end_inside(inner: Runtime, outer: &Handle, rng: &mut Rng) {
    if rng.one_in(2) {
        outer.block_on(async { inner.shutdown_background() });
    } else {
        end(inner, rng);
    }
}
