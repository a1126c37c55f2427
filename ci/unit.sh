#!/usr/bin/env bash
# Unit, integration, compile-fail and documentation tests of the whole workspace.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The stress test is in its element in ci/stress.sh; here it only has to come through.
export JENNY_STRESS_SCALE=${JENNY_STRESS_SCALE:-0.1}

if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --workspace --all-targets --no-tests=pass --no-fail-fast
else
    cargo test --quiet --locked --workspace --lib --bins --tests --examples
fi
# Needs a critical section, which these tests bring along and nothing else in the workspace provides.
say "jenny-core with 'embassy-time-driver'"
cargo test --quiet --locked -p jenny-core --features embassy-time-driver \
    --lib --test single --test embassy --test embassy_integrated
say "documentation tests"
cargo test --quiet --locked --workspace --doc
cargo test --quiet --locked -p jenny-core --features embassy-time-driver --doc -- src/embassy src/single

# The executor for one core: in the workspace tests as far as other packages turn it on, here for sure.
# Optimised, its way into sleep is so short that an interrupt can come at each instruction of it.
say "one core, an interrupt at every instruction"
cargo test --quiet --locked --release -p jenny-core --features critical-section --test single
