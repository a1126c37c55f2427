#!/usr/bin/env bash
# Millions of spawns, wakes, aborts and shutdowns on real threads: all counted, none leaked.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cargo test --locked --release -p jenny-tests --test stress -- --nocapture
