//! Chooses the board, and puts its `memory.x` where the linker looks for it.

use std::{env, fs, path::PathBuf};

fn main() {
    let board = match env::var("TARGET").expect("cargo sets TARGET").as_str() {
        "thumbv6m-none-eabi" => "microbit",
        target if target.starts_with("thumb") => "lm3s6965evb",
        _ => "virt",
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::copy(format!("memory/{board}.x"), out.join("memory.x")).expect("memory.x can be written");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-check-cfg=cfg(board, values(\"lm3s6965evb\", \"microbit\", \"virt\"))");
    println!("cargo::rustc-cfg=board=\"{board}\"");
    println!("cargo::rerun-if-changed=memory");
}
