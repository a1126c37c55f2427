//! Every shape of function that `#[jenny::main]` goes on.
#![deny(warnings, clippy::all)]

use std::{error::Error, fmt::Debug, future::ready, rc::Rc};

struct Counter(Vec<u32>);

impl Counter {
    #[jenny::main]
    async fn coerced(&self) -> &[u32] {
        ready(()).await;
        &self.0
    }

    #[jenny::main(flavor = "current_thread", name = "counter")]
    async fn push(&mut self, mut value: u32) -> usize {
        value += ready(1).await;
        self.0.push(value);
        self.0.len()
    }

    #[jenny::main(flavor = "current_thread")]
    async fn into_inner(self) -> Vec<u32> {
        self.0
    }
}

#[jenny::main(worker_threads = 1)]
async fn generic<T: Clone + Debug>(value: &T, others: Vec<T>) -> impl Debug + use<T> {
    drop(others);
    value.clone()
}

#[jenny::main]
async fn early(now: bool) -> Result<u32, Box<dyn Error>> {
    if now {
        return Ok(1);
    }
    Ok("2".parse()?)
}

#[jenny::main]
#[allow(dead_code)]
async fn never() -> ! {
    loop {
        ready(()).await;
    }
}

#[jenny::main(flavor = "current_thread", start_paused = true)]
async fn paused() -> jenny::time::Duration {
    let start = jenny::time::Instant::now();
    jenny::time::sleep(jenny::time::Duration::from_secs(3600)).await;
    start.elapsed()
}

#[jenny::main(flavor = "current_thread", unhandled_panic = "ignore")]
async fn ignores() -> bool {
    jenny::spawn(async { panic!("nobody looks") }).await.is_err()
}

#[jenny::main(flavor = "current_thread", unhandled_panic = "shutdown_runtime")]
async fn falls() {
    drop(jenny::spawn(async { panic!("nobody looks") }));
    std::future::pending().await
}

#[jenny::main(flavor = "local", unhandled_panic = "ignore")]
async fn stays() -> Rc<u32> {
    let unsendable = Rc::new(4);
    let kept = Rc::clone(&unsendable);
    jenny::task::spawn_local(async move { drop(kept) }).await.unwrap();
    unsendable
}

mod elsewhere {
    pub use jenny as runtime;
}

#[jenny::main(crate = "crate::elsewhere::runtime")]
async fn main() {
    jenny::spawn(async {
        std::thread::spawn(|| {
            let mut counter = Counter(Vec::new());
            assert_eq!(counter.push(1), 1);
            assert_eq!(counter.coerced(), [2]);
            assert_eq!(counter.into_inner(), [2]);
            assert_eq!(format!("{:?}", generic(&1, vec![2])), "1");
            assert!(ignores() && std::panic::catch_unwind(falls).is_err());
            assert_eq!(Rc::into_inner(stays()), Some(4));
            assert_eq!(paused().as_secs(), 3600);
            assert_eq!(early(true).unwrap() + early(false).unwrap(), 3);
        })
        .join()
        .unwrap();
    })
    .await
    .unwrap();
}
