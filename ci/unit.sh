#!/usr/bin/env bash
# Unit, integration, compile-fail and documentation tests of the whole workspace.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The stress test is in its element in ci/stress.sh; here it only has to come through.
export JENNY_STRESS_SCALE=${JENNY_STRESS_SCALE:-0.1}

if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --workspace --all-targets --no-tests=pass
else
    cargo test --quiet --locked --workspace --lib --bins --tests --examples
fi
say "documentation tests"
cargo test --quiet --locked --workspace --doc
