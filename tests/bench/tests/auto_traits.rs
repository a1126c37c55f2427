//! Public types have the auto traits that Tokio's have, so that a program that moves or shares Tokio's
//! compiles with ours.

use std::{
    marker::PhantomData,
    panic::{RefUnwindSafe, UnwindSafe},
};

/// Whether a type implements a trait: the inherent constant, which is there only if it does, goes
/// before the one of the blanket trait.
macro_rules! implements {
    ($type:ty: $trait:ident) => {{
        #[allow(dead_code)]
        trait No {
            const ANSWER: bool = false;
        }
        impl<T: ?Sized> No for T {}
        struct Probe<T: ?Sized>(PhantomData<T>);
        #[allow(dead_code)]
        impl<T: ?Sized + $trait> Probe<T> {
            const ANSWER: bool = true;
        }
        <Probe<$type>>::ANSWER
    }};
}

macro_rules! auto_traits {
    ($type:ty) => {
        [
            ("Send", implements!($type: Send)),
            ("Sync", implements!($type: Sync)),
            ("Unpin", implements!($type: Unpin)),
            ("UnwindSafe", implements!($type: UnwindSafe)),
            ("RefUnwindSafe", implements!($type: RefUnwindSafe)),
        ]
    };
}

type AutoTraits = [(&'static str, bool); 5];

/// What Tokio's type has and ours has not.
fn lacks(ours: AutoTraits, theirs: AutoTraits) -> Vec<&'static str> {
    let both = ours.into_iter().zip(theirs);
    both.filter(|((_, ours), (_, theirs))| theirs & !ours).map(|((name, _), _)| name).collect()
}

/// The types that lack something, with what they lack.
macro_rules! compare {
    ($($($path:ident)::+ $(<$($argument:tt),+>)?;)+) => {
        [$((
            stringify!($($path)::+ $(<$($argument),+>)?),
            lacks(
                auto_traits!(jenny::$($path)::+ $(<$($argument),+>)?),
                auto_traits!(tokio::$($path)::+ $(<$($argument),+>)?),
            ),
        )),+]
    };
}

/// Neither `Send` nor `Sync`.
type Bound = std::rc::Rc<()>;
/// `Send`, and not `Sync`.
type Moves = std::cell::Cell<()>;
type Ready = std::future::Ready<()>;
type BoundReady = std::future::Ready<Bound>;

#[test]
fn whatever_tokio_has_is_there() {
    let compared = compare! {
        runtime::Builder;
        runtime::EnterGuard<'static>;
        runtime::Handle;
        runtime::Id;
        runtime::LocalOptions;
        runtime::LocalRuntime;
        runtime::Runtime;
        runtime::RuntimeFlavor;
        runtime::RuntimeMetrics;
        runtime::TryCurrentError;
        task::AbortHandle;
        task::Id;
        task::JoinError;
        task::JoinHandle<()>;
        task::JoinHandle<Moves>;
        task::JoinHandle<Bound>;
        task::JoinSet<()>;
        task::JoinSet<Moves>;
        task::JoinSet<Bound>;
        task::LocalEnterGuard;
        task::LocalKey<()>;
        task::LocalKey<Bound>;
        task::LocalSet;
        task::Unconstrained<()>;
        task::Unconstrained<Bound>;
        task::coop::Coop<Ready>;
        task::coop::Coop<BoundReady>;
        task::coop::RestoreOnPending;
        task::futures::TaskLocalFuture<(), Ready>;
        task::futures::TaskLocalFuture<Moves, Ready>;
        task::futures::TaskLocalFuture<Bound, Ready>;
        time::Instant;
        time::Interval;
        time::MissedTickBehavior;
        time::Sleep;
        time::Timeout<()>;
        time::Timeout<Moves>;
        time::Timeout<Bound>;
        time::error::Elapsed;
        time::error::Error;
        net::TcpListener;
        net::TcpSocket;
        net::TcpStream;
        net::tcp::OwnedReadHalf;
        net::tcp::OwnedWriteHalf;
        net::tcp::ReadHalf<'static>;
        net::tcp::WriteHalf<'static>;
        net::tcp::ReuniteError;
    };
    let lacking: Vec<_> = compared.into_iter().filter(|(_, lacks)| !lacks.is_empty()).collect();
    assert!(lacking.is_empty(), "{lacking:#?}");
}

#[test]
fn what_is_lacking_is_seen() {
    assert_eq!(lacks(auto_traits!(Moves), auto_traits!(())), ["Sync", "RefUnwindSafe"]);
    assert_eq!(lacks(auto_traits!(Bound), auto_traits!(Moves)), ["Send"]);
    assert!(lacks(auto_traits!(()), auto_traits!(Bound)).is_empty());
}
