#!/usr/bin/env bash
# Unit, integration, compile-fail and documentation tests of the whole workspace.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --workspace --all-targets --no-tests=pass
else
    cargo test --quiet --locked --workspace --lib --bins --tests --examples
fi
say "documentation tests"
cargo test --quiet --locked --workspace --doc
