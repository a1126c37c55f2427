#!/usr/bin/env bash
# Runs every check, the quick ones first, and closes with a summary. Arguments pick checks by name. What a check prints goes to target/ci/CHECK.log and, on a terminal, to the screen.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

checks=(fmt floors deps clippy doc unit count instructions loom nostd embedded serve stress soak sanitize)
[ $# = 0 ] || checks=("$@")

logs=$TARGET/ci
mkdir -p "$logs"

# run CHECK: succeeds if the check does.
run() {
    if [ -t 1 ]; then
        "ci/$1.sh" 2>&1 | tee "$logs/$1.log"
    else
        "ci/$1.sh" >"$logs/$1.log" 2>&1
    fi
}

# excerpt LOG: what names a failure, with what stands next to it, and the end. Without the frames of
# backtraces: a model that is broken on purpose has hundreds.
excerpt() {
    grep -vE '^ +([0-9]+: |at )' "$1" >"$1.short"
    grep -nE -B2 -A4 'panicked at|^error|(FAIL|TIMEOUT|SIG[A-Z]+|LEAK) +\[|FAILED|: data race|ERROR: ' "$1.short" | head -n 60 || true
    say "the last lines of $1"
    tail -n 40 "$1.short"
}

failed=()
summary=
for check in "${checks[@]}"; do
    start=$SECONDS
    if run "$check"; then verdict=passed; else verdict=FAILED failed+=("$check"); fi
    line=$(printf '%-12s %s %4d s' "$check" "$verdict" $((SECONDS - start)))
    summary+=$line$'\n'
    echo "$line"
done

for check in "${failed[@]}"; do
    say "why ci/$check.sh failed"
    excerpt "$logs/$check.log"
done
say "summary"
printf '%s%-12s        %4d s\n' "$summary" total "$SECONDS"
[ ${#failed[@]} = 0 ]
