#!/usr/bin/env bash
# Explores the interleavings of every loom model, on the shipped code; arguments pick models; JENNY_LOOM_PREEMPTIONS=3 (or `none`) goes deeper.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# What the models have to notice, all of it only when asked for.
need python3 python3
python3 ci/mutants.py

# Deeper runs take as long as they take. Otherwise a model that is not through after a minute stops
# there, and its line in the table says so.
limit=1800 # seconds
if [ -n "${JENNY_LOOM_PREEMPTIONS:-}" ]; then limit=0; else export JENNY_LOOM_SECONDS=${JENNY_LOOM_SECONDS:-60}; fi

export RUSTFLAGS="${RUSTFLAGS:-} --cfg jenny_loom" CARGO_TARGET_DIR=$TARGET/loom
cargo test --locked --release -p jenny-tests --test loom --no-run

log=$CARGO_TARGET_DIR/loom.log
timeout "$limit" cargo test --quiet --locked --release -p jenny-tests --test loom -- --nocapture "$@" 2>&1 |
    tee "$log" || die "a model failed, or the $limit seconds were over"

# The harness prints one line per model: `loom NAME: N executions (EXTENT) in S s`, or, for a model
# that is broken on purpose, `loom NAME: failed as it should, execution N`.
say "models"
sed -n 's/^.*loom \(.*\): \([0-9]*\) executions (\(.*\)) in \(.*\) s$/\2|\1|\3|\4/p
        s/^.*loom \(.*\): failed as it should, execution \([0-9]*\)$/\2|\1|failed, as it should|/p' "$log" |
    sort -t'|' -k2 | awk -F'|' -v some=$# '
        BEGIN { printf "%10s  %8s  %s\n", "executions", "seconds", "model" }
        {
            printf "%10d  %8s  %s: %s\n", $1, $4, $2, $3
            models++; executions += $1
            if ($3 ~ /should/) broken++
            else if ($1 < 2) { print "  one execution is no model: does it run under loom?"; failed = 1 }
        }
        END {
            printf "%10d            %d models, %d of them broken on purpose\n", executions, models, broken
            if (!models) { print "no model ran"; failed = 1 }
            if (!broken && !some) { print "no broken model shows that a model can fail"; failed = 1 }
            exit failed
        }'
