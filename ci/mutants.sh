#!/usr/bin/env bash
# Breaks a copy of the code in each way that tests/loom/mutants.toml lists and says which loom model notices; arguments pick mutants by number or by a part of the file's path.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Two hours on two cores, so it is not among the checks of ci/test.sh.
export RUSTFLAGS="${RUSTFLAGS:-} --cfg jenny_loom" CARGO_TARGET_DIR=$TARGET/mutants/target
exec python3 ci/mutants.py "$TARGET/mutants/house" "$@"
