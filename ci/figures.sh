#!/usr/bin/env bash
# Not a check: measures jenny next to its peers, and puts the table and the picture into the README.
# The machine should have nothing else to do. Arguments go to jenny-bench: --filter, --rounds.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need python3 python3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Every function on a cache line of its own, so that none is lucky: see tests/bench/src/lib.rs.
export RUSTFLAGS=-Cllvm-args=-align-all-functions=6
cargo run --locked --release -p jenny-bench --target-dir "$TARGET/figures" -- \
    --report "$scratch" --json "$scratch/figures.json" --markdown "$scratch/figures.md" "$@"
mkdir -p assets
cp "$scratch/ratios.svg" assets/

python3 - "$scratch" "$*" <<'PYTHON'
import json, sys
from datetime import date
from pathlib import Path

scratch, readme = Path(sys.argv[1]), Path("README.md")
report = json.loads((scratch / "figures.json").read_text())
begin, end = "<!-- figures: written by ci/figures.sh -->\n", "<!-- end of the figures -->"
text = readme.read_text()
if text.count(begin) != 1 or text.count(end) != 1:
    sys.exit("README.md has no place for the figures")
head, rest = text.split(begin)
_, tail = rest.split(end)
figures = f"""
![Ratio of jenny to Tokio and to smol in each case](assets/ratios.svg)

`{' '.join(['ci/figures.sh', *sys.argv[2].split()])}`, {date.today()}: {', '.join(report['peers'])} on {report['cores']} cores of {report['processor']}. \
Ratios of time unless the case is about memory; below 1, jenny is ahead. A verdict with a question \
mark has the goal inside the interval; "below floor" is a goal that was missed and that is out of \
reach, because the case takes longer than that without any runtime.

<details><summary>All cases</summary>

{(scratch / 'figures.md').read_text()}
</details>

"""
readme.write_text(head + begin + figures + end + tail)
PYTHON
