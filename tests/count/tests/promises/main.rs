//! Whether the hot paths keep what the design promises. `ci/count.sh` builds it with
//! `--cfg jenny_count`.

#[cfg(jenny_count)]
mod promises;

fn main() {
    #[cfg(jenny_count)]
    promises::main();
    #[cfg(not(jenny_count))]
    println!("nothing is counted without --cfg jenny_count: run ci/count.sh");
}
