//! Options that the flavor does not offer.

#[jenny::main(flavor = "current_thread", worker_threads = 4)]
async fn workers_on_current_thread() {}

#[jenny::main(worker_threads = 4, flavor = "local")]
async fn workers_on_local() {}

#[jenny::test(worker_threads = 4)]
async fn workers_on_the_default_of_test() {}

#[jenny::main(start_paused = true)]
async fn paused_on_the_default_of_main() {}

#[jenny::test(flavor = "multi_thread", start_paused = true)]
async fn paused_on_multi_thread() {}

#[jenny::main(unhandled_panic = "shutdown_runtime")]
async fn policy_on_the_default_of_main() {}

fn main() {}
