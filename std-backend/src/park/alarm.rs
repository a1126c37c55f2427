//! An alarm that somebody else sets, later again and again, without waking who sleeps until it rings.
//!
//! On Linux it is a timer of the kernel's: to put it off is one system call, and wakes nobody.
//! Elsewhere a thread with a time-out stands for it, and wakes up at each time that was put off.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// Rings some time after it was last set.
#[derive(Debug)]
pub(crate) struct Alarm {
    system: system::Alarm,
    made: Instant,
    /// In nanoseconds since it was made: until when it need not be put off again.
    fresh_until: AtomicU64,
}

impl Alarm {
    /// An alarm that is not set.
    ///
    /// # Errors
    /// The system is out of file descriptors.
    pub(crate) fn new() -> io::Result<Self> {
        let fresh_until = AtomicU64::new(0);
        Ok(Self { system: system::Alarm::new()?, made: Instant::now(), fresh_until })
    }

    /// Makes it ring after so long, and not when it was to ring before. From any thread. Zero: now.
    pub(crate) fn set(&self, after: Duration) {
        // Ordering: Relaxed, as all of its accesses. Who reads an old time sets the alarm once more.
        self.fresh_until.store(0, Relaxed);
        self.system.set(after);
    }

    /// Makes it ring after so long, or up to half of that sooner. So who puts it off again and again
    /// asks the system now and then only: that costs as much as many looks at the clock.
    pub(crate) fn put_off(&self, after: Duration) {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let now = nanos(self.made.elapsed());
        if now < self.fresh_until.load(Relaxed) {
            return;
        }
        self.fresh_until.store(now.saturating_add(nanos(after / 2)), Relaxed);
        self.system.set(after);
    }

    /// Sleeps until it rings, for one thread at a time; at once if it has rung since the last time
    /// that it was set or waited for. May return early.
    pub(crate) fn wait(&self) {
        self.system.wait();
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::{
        io, mem,
        os::fd::{AsRawFd, FromRawFd, OwnedFd},
        ptr,
        time::Duration,
    };

    #[derive(Debug)]
    pub(super) struct Alarm(OwnedFd);

    impl Alarm {
        pub(super) fn new() -> io::Result<Self> {
            // SAFETY: the call has no pointers.
            let timer = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) };
            if timer < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: the descriptor was just opened, and nobody else knows it.
            Ok(Self(unsafe { OwnedFd::from_raw_fd(timer) }))
        }

        pub(super) fn set(&self, after: Duration) {
            // SAFETY: all zeroes are a value of these numbers.
            let mut when: libc::itimerspec = unsafe { mem::zeroed() };
            // Alarms are set for milliseconds, which every type of these fields can hold. Zero would
            // not set it.
            when.it_value.tv_sec = after.as_secs() as _;
            when.it_value.tv_nsec = after.subsec_nanos().max(1) as _;
            let timer = self.0.as_raw_fd();
            // SAFETY: the timer is open, the new value is read, and nobody wants the old one.
            let result =
                unsafe { libc::timerfd_settime(timer, 0, &raw const when, ptr::null_mut()) };
            debug_assert_eq!(result, 0, "{}", io::Error::last_os_error());
        }

        pub(super) fn wait(&self) {
            let mut rung = 0_u64;
            // SAFETY: the timer is open, and the system writes at most so many bytes of a number for
            // which all bytes will do.
            let read =
                unsafe { libc::read(self.0.as_raw_fd(), (&raw mut rung).cast(), size_of::<u64>()) };
            // Interrupted, for example by a debugger: too early, which is allowed.
            debug_assert!(
                read > 0 || io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            );
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::{
        io,
        sync::{Condvar, Mutex, MutexGuard, PoisonError},
        time::{Duration, Instant},
    };

    #[derive(Debug, Default)]
    pub(super) struct Alarm {
        rings_at: Mutex<Option<Instant>>,
        was_set: Condvar,
    }

    impl Alarm {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self::default())
        }

        fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
            self.rings_at.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(super) fn set(&self, after: Duration) {
            let new = Instant::now() + after;
            let old = self.lock().replace(new);
            // Who sleeps until an earlier time sees the new one then.
            if old.is_none_or(|old| new < old) {
                self.was_set.notify_one();
            }
        }

        pub(super) fn wait(&self) {
            let mut rings_at = self.lock();
            loop {
                let Some(at) = *rings_at else {
                    rings_at = self.was_set.wait(rings_at).unwrap_or_else(PoisonError::into_inner);
                    continue;
                };
                let left = at.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    *rings_at = None;
                    return;
                }
                let waited = self.was_set.wait_timeout(rings_at, left);
                rings_at = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

#[cfg(all(test, not(jenny_loom), not(miri)))]
mod tests {
    use std::{thread, time::Instant};

    use super::*;

    #[test]
    fn it_rings_as_it_was_set_last() {
        const SOON: Duration = Duration::from_millis(5);
        const LATE: Duration = Duration::from_millis(60);
        let alarm = Alarm::new().unwrap();
        let start = Instant::now();
        alarm.set(SOON);
        alarm.set(LATE);
        alarm.wait();
        assert!(start.elapsed() >= LATE, "put off");
        alarm.set(Duration::from_secs(3600));
        alarm.set(Duration::ZERO);
        alarm.wait();
        assert!(start.elapsed() < Duration::from_secs(3600), "brought forward");
    }

    #[test]
    fn it_is_put_off_by_half_of_the_time_at_least() {
        const LATE: Duration = Duration::from_millis(40);
        let alarm = Alarm::new().unwrap();
        alarm.set(Duration::from_millis(1));
        alarm.put_off(LATE);
        let last = loop {
            let now = Instant::now();
            alarm.put_off(LATE);
            if alarm.made.elapsed() > LATE {
                break now;
            }
        };
        alarm.wait();
        let waited = last.elapsed();
        assert!(waited >= LATE / 2, "{waited:?} after it was put off");
        alarm.put_off(Duration::from_secs(3600));
        alarm.set(Duration::ZERO);
        alarm.wait();
        alarm.set(Duration::from_secs(3600));
        alarm.put_off(Duration::from_millis(1));
        alarm.wait();
        assert!(last.elapsed() < Duration::from_secs(3600), "what was set is put off at once");
    }

    #[test]
    fn it_is_set_while_somebody_sleeps() {
        let alarm = Alarm::new().unwrap();
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| alarm.wait());
            alarm.set(Duration::from_millis(1));
            sleeper.join().unwrap();
        });
    }
}
