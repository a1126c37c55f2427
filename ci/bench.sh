#!/usr/bin/env bash
# Every benchmark runs on every peer, its outputs are whole, and no case is far behind Tokio: a smoke test.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need python3 python3
cargo build --locked --release -p jenny-bench --bin jenny-bench
bench=$TARGET/release/jenny-bench
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

say "wrong flags"
for wrong in "--pace 3" "--rounds 0" "--filter nothing-like-it" "--json"; do
    code=0
    # shellcheck disable=SC2086
    "$bench" $wrong >"$scratch/out" 2>"$scratch/err" || code=$?
    [ "$code" = 2 ] && [ "$(wc -l <"$scratch/err")" = 1 ] || die "$wrong: exit code $code"
    cat "$scratch/err"
done

# A quick run has a tenth of the operations and five rounds, and other work on the machine doubles
# what one of them takes. So a case fails only if jenny is behind in all rounds alike: if the lower
# end of the interval is over twice Tokio's time, and the processor time, where it is measured, too,
# and if a second run of that case says the same. A case with a goal in bytes or milliseconds has four
# times that. The real goals are for a machine with nothing else to do.
slow() {
    python3 - "$@" <<'PYTHON'
import json, sys

report = json.load(open(sys.argv[1]))
names = set(sys.argv[2:])
seen = {row["case"] for row in report["rows"]}
if names - seen:
    sys.exit(f"these cases did not run: {sorted(names - seen)}")
for row in report["rows"]:
    figures = {figures["peer"]: figures for figures in row["figures"]}
    if not {"jenny", "tokio"} <= figures.keys() or not all(f["median"] > 0 for f in figures.values()):
        sys.exit(f"{row['case']} was not measured: {row}")
    tokio, limit = figures["tokio"], 2.0
    cpu = tokio["cpu_ratio"]
    behind = tokio["ratio"]["low"] > limit and (cpu is None or cpu["median"] > limit)
    if "at_most" in row["goal"]:
        behind = figures["jenny"]["median"] > 4 * row["goal"]["at_most"]
    if behind:
        print(row["case"])
PYTHON
}

say "every case"
"$bench" --quick --json "$scratch/first.json" --report "$scratch"
mapfile -t names < <("$bench" --list | cut -d' ' -f1)
suspects=$(slow "$scratch/first.json" "${names[@]}")
[[ -s $scratch/index.html && -s $scratch/ratios.svg ]] || die "no page was written"
for case in $suspects; do
    say "$case again"
    "$bench" --quick --filter "$case" --json "$scratch/again.json"
    ! slow "$scratch/again.json" | grep -qx "$case" || die "$case takes over twice Tokio's time"
done
