//! Options that do not exist, have the wrong type, or come twice.

#[jenny::main(flavour = "current_thread")]
async fn unknown_option() {}

#[jenny::main(flavor = "many_threads")]
async fn unknown_flavor() {}

#[jenny::main(flavor)]
async fn no_value() {}

#[jenny::main(flavor = current_thread)]
async fn no_literal() {}

#[jenny::main(worker_threads = "two")]
async fn no_number() {}

#[jenny::main(worker_threads = 0)]
async fn no_threads() {}

#[jenny::main(worker_threads = 1, worker_threads = 2)]
async fn twice() {}

#[jenny::main(flavor = "local", start_paused = 1)]
async fn no_bool() {}

#[jenny::main(flavor = "local", unhandled_panic = "shrug")]
async fn unknown_policy() {}

#[jenny::main(crate = "not a path")]
async fn no_path() {}

#[jenny::main(crate = jenny)]
async fn path_without_quotes() {}

#[jenny::main(flavor = "local" name = "x")]
async fn no_comma() {}

fn main() {}
