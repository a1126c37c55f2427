//! Adds `harts.x` to the linker's scripts.

fn main() {
    println!("cargo::rustc-link-arg=-T{}/harts.x", env!("CARGO_MANIFEST_DIR"));
    println!("cargo::rerun-if-changed=harts.x");
}
