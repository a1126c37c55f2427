#!/usr/bin/env bash
# Every Rust file is formatted as rustfmt.toml says, those of the firmware workspaces included.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

component rustfmt cargo fmt
cargo fmt --all --check
for manifest in examples/firmware-*/Cargo.toml; do
    [ ! -e "$manifest" ] || cargo fmt --manifest-path "$manifest" --all --check
done
