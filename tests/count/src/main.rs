//! Prints what the hot paths cost. `--filter TEXT` picks rows, `--sites` names the lines of source;
//! `--scaling` prints the throughput on many cores that follows, `--scaling FILE` draws it as well.

#[cfg(jenny_count)]
mod scaling;
#[cfg(jenny_count)]
mod table;

fn main() {
    #[cfg(jenny_count)]
    table::main();
    #[cfg(not(jenny_count))]
    {
        eprintln!("this build counts nothing: use ci/count.sh, or RUSTFLAGS=\"--cfg jenny_count\"");
        std::process::exit(2);
    }
}
