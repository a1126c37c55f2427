#!/usr/bin/env bash
# Builds with --cfg jenny_count and checks what the design promises: no shared cache line written for a worker's own tasks, and so many read-modify-writes at most. `--table` prints the table with the system calls, `--table --sites` with the lines of source.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export RUSTFLAGS="${RUSTFLAGS:-} --cfg jenny_count" CARGO_TARGET_DIR=$TARGET/count

if [ "${1:-}" = --table ]; then
    need strace strace
    cargo run --quiet --locked --release -p jenny-count -- "${@:2}"
else
    cargo test --quiet --locked -p jenny-count
fi
