#!/usr/bin/env bash
# Counts the instructions of the single-thread paths under callgrind; fails if one takes 3 % more than tests/count/instructions.toml says. `--write` updates the file.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need valgrind valgrind

# One unit of code generation: what is inlined where shall not depend on unrelated code.
export CARGO_TARGET_DIR=$TARGET/instructions CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1
cargo build --quiet --locked --release -p jenny-count --bin paths

python3 ci/instructions.py --self-test
python3 ci/instructions.py "$CARGO_TARGET_DIR/release/paths" "$@"
