//! Whether the hot paths keep what the design promises. `ci/count.sh` builds it with
//! `--cfg jenny_count`.

#[cfg(jenny_count)]
mod promises;

fn main() {
    #[cfg(jenny_count)]
    promises::main();
    // Who asks for the list of tests is to find none, and no other line either.
    #[cfg(not(jenny_count))]
    if !std::env::args().any(|argument| argument == "--list") {
        println!("nothing is counted without --cfg jenny_count: run ci/count.sh");
    }
}
