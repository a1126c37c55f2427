#!/usr/bin/env bash
# Random runtimes for so many minutes (a third of one without an argument): nothing is left of them, and memory, threads and files stay flat; JENNY_SOAK_SEED repeats the choices of a run.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seconds=20
[ $# = 0 ] || seconds=$(awk -v minutes="$1" 'BEGIN { if (!(minutes + 0 > 0)) exit 1; print int(60 * minutes + 0.5) }') ||
    die "usage: $(basename "$0") [MINUTES]"

cargo run --quiet --locked --release -p jenny-soak -- \
    --seconds "$seconds" ${JENNY_SOAK_SEED:+--seed "$JENNY_SOAK_SEED"}
