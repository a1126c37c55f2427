//! What other crates ask of a runtime.
//!
//! hyper takes sockets and an executor from whoever runs it. [`TcpStream`](crate::net::TcpStream)
//! implements its `rt::Read` and `rt::Write`; [`JennyExecutor`] is its executor.

/// Spawns the tasks of hyper, such as those of an HTTP/2 connection, on the runtime that is current
/// where hyper spawns them.
///
/// The tasks are detached: they end by themselves, or with the runtime.
///
/// # Panics
/// hyper panics if it runs outside a runtime, as [`task::spawn`](crate::task::spawn) does.
///
/// # Examples
/// ```
/// use hyper::rt::Executor;
/// use jenny::rt::JennyExecutor;
///
/// # #[jenny::main(flavor = "current_thread")]
/// # async fn main() {
/// let (done, is_done) = jenny::sync::oneshot::channel();
/// // As hyper does, with `hyper::server::conn::http2::Builder::new(JennyExecutor)`.
/// JennyExecutor.execute(async { done.send(42).unwrap() });
/// assert_eq!(is_done.await, Ok(42));
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct JennyExecutor;

impl<F> hyper::rt::Executor<F> for JennyExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    #[track_caller]
    fn execute(&self, future: F) {
        drop(crate::task::spawn(future));
    }
}
