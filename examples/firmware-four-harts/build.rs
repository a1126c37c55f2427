//! Adds `harts.x` to the linker's scripts.

use std::{env, fs, path::PathBuf};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::copy("harts.x", out.join("harts.x")).expect("harts.x can be written");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tharts.x");
    println!("cargo::rerun-if-changed=harts.x");
}
