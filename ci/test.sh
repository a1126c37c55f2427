#!/usr/bin/env bash
# Runs every check, the quick ones first, and closes with a summary. Arguments pick checks by name.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

checks=(fmt floors deps clippy doc unit count instructions loom nostd embedded serve stress soak sanitize)
[ $# = 0 ] || checks=("$@")

failed=0
summary=
for check in "${checks[@]}"; do
    say "ci/$check.sh"
    start=$SECONDS
    if "ci/$check.sh"; then verdict=passed; else verdict=FAILED failed=1; fi
    summary+=$(printf '%-10s %s %4d s' "$check" "$verdict" $((SECONDS - start)))$'\n'
done

say "summary"
printf '%s%-10s        %4d s\n' "$summary" total "$SECONDS"
exit "$failed"
