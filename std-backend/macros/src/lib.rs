//! Attribute macros of the [jenny](https://docs.rs/jenny) runtime: `#[jenny::main]` and
//! `#[jenny::test]`.
//!
//! Use them through `jenny`, which re-exports both.

mod expand;
mod options;

use proc_macro::TokenStream;

use crate::options::Role;

/// Turns an `async fn` into one that builds a runtime and blocks on its body.
///
/// Meant for `main`, works on any function. For more than the options below, use
/// `jenny::runtime::Builder`, which this expands to.
///
/// The body does not run as a task but on the calling thread, inside the runtime: it may spawn, and
/// what it has spawned is cancelled when it returns. The future of the body is not moved, however
/// large it is.
///
/// # Options
/// | option | meaning | flavors |
/// |---|---|---|
/// | `flavor = "multi_thread"` | the runtime: `multi_thread`, `current_thread`, or `local` for a `LocalRuntime`; the default is `multi_thread` | |
/// | `worker_threads = 4` | the number of workers; the default is one per CPU | `multi_thread` |
/// | `start_paused = true` | whether the clock is [paused](https://docs.rs/jenny/latest/jenny/time/fn.pause.html) from the beginning | `current_thread`, `local` |
/// | `unhandled_panic = "shutdown_runtime"` | whether the panic of a task ends the runtime; the default is `"ignore"` | `current_thread`, `local` |
/// | `name = "front"` | the name of the runtime | |
/// | `crate = "path::to::jenny"` | where to find jenny when it is renamed or re-exported | |
///
/// # Examples
/// ```
/// #[jenny::main]
/// async fn main() {
///     println!("{}", jenny::spawn(async { "hello" }).await.unwrap());
/// }
/// ```
///
/// With options, and with a result:
/// ```
/// #[jenny::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let answer: u32 = "42".parse()?;
///     assert_eq!(answer, 42);
///     Ok(())
/// }
/// ```
///
/// # Panics
/// The function panics if the runtime cannot be built, and if it is called inside a runtime.
#[proc_macro_attribute]
pub fn main(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::attribute(Role::Main, options.into(), function.into()).into()
}

/// Turns an `async fn` into a unit test that runs on a runtime of its own.
///
/// Adds `#[test]` itself. The options are those of `#[jenny::main]`; the default flavor is
/// `current_thread`.
///
/// # Examples
/// ```
/// #[jenny::test]
/// async fn a_task_answers() {
///     assert_eq!(jenny::spawn(async { 42 }).await.unwrap(), 42);
/// }
///
/// #[jenny::test(flavor = "multi_thread", worker_threads = 2)]
/// async fn two_workers() -> Result<(), jenny::task::JoinError> {
///     jenny::spawn(async {}).await
/// }
/// # fn main() {}
/// ```
#[proc_macro_attribute]
pub fn test(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::attribute(Role::Test, options.into(), function.into()).into()
}
