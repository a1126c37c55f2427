#!/usr/bin/env python3
"""Compares the instructions that each path takes with those that it took.

    instructions.py PROGRAM [--write]   run each path of PROGRAM under callgrind, compare or write
    instructions.py --self-test         prove that a rise is noticed

An operation's instructions are the difference between a run with few and one with many operations.
Callgrind executes one instruction after the other, so the counts are the same each time, whatever
else the machine does. They depend on the compiler and on libc's allocator: where one of these is
another, the comparison allows more, and says so.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TABLE = Path(__file__).resolve().parent.parent / "tests/count/instructions.toml"
FEW, MANY = 1000, 3000
MARGIN = 0.03
FOREIGN_MARGIN = 0.10

# libc chooses its memcpy by the processor: let it choose the same one everywhere.
TUNABLES = "glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL,-ERMS,-FSRM"


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def toolchain():
    """What the counts depend on, apart from the source."""
    rustc = output("rustc", "--version").split()[1]
    libc = output("ldd", "--version").splitlines()[0].split()[-1]
    return {"rustc": rustc, "glibc": libc, "target": os.uname().machine}


def collected(program, path, operations):
    with tempfile.NamedTemporaryFile() as out:
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", program, path, str(operations)],
            capture_output=True, text=True, env={**os.environ, "GLIBC_TUNABLES": TUNABLES},
        )
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode or not found:
        sys.exit(f"{path} does not run under callgrind:\n{run.stderr}")
    return int(found[1])


def measure(program):
    """Instructions for each operation of each path."""
    paths = output(program).splitlines()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = {p: [pool.submit(collected, program, p, n) for n in (FEW, MANY)] for p in paths}
        return {p: round((many.result() - few.result()) / (MANY - FEW), 1) for p, (few, many) in runs.items()}


def compare(old, new, margin):
    """Lines of a table, what is wrong, and whether the file should be written anew."""
    lines, wrong, stale = [f"{'before':>10} {'now':>10} {'change':>8}  instructions for each"], [], False
    for path in sorted(old.keys() | new.keys()):
        before, now = old.get(path), new.get(path)
        if before is None or now is None:
            wrong.append(f"{path}: {'not in the table' if before is None else 'is gone'}")
            continue
        change = now / before - 1
        lines.append(f"{before:10.1f} {now:10.1f} {change:+8.1%}  {path}")
        if change > margin:
            wrong.append(f"{path}: {change:+.1%}, more than {margin:.0%} is too much")
        stale |= change < -margin
    return lines, wrong, stale


def write(measured, counts):
    lines = [
        "# Instructions for each operation, on one thread, as callgrind counts them.",
        "# Written by `ci/instructions.sh --write`; `ci/instructions.sh` fails on a rise above 3 %.",
        "", *(f'{key} = "{value}"' for key, value in measured.items()),
        "", "[instructions]", *(f'"{path}" = {count}' for path, count in counts.items()),
    ]
    TABLE.write_text("\n".join(lines) + "\n")


def self_test():
    compare_one = lambda before, now: compare({"a": before}, {"a": now}, MARGIN)[1:]
    assert compare_one(100.0, 102.9) == ([], False)
    assert compare_one(100.0, 103.2)[0] and not compare_one(100.0, 103.2)[1]
    assert compare_one(100.0, 96.0) == ([], True)
    assert len(compare({"a": 1.0}, {"b": 1.0}, MARGIN)[1]) == 2, "paths that come and go"


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    tools, counts = toolchain(), measure(arguments[0])
    if "--write" in arguments:
        write(tools, counts)
    table = tomllib.loads(TABLE.read_text())
    foreign = [f"{key} {tools[key]} instead of {table[key]}" for key in tools if tools[key] != table[key]]
    margin = FOREIGN_MARGIN if foreign else MARGIN
    lines, wrong, stale = compare(table["instructions"], counts, margin)
    print("\n".join(lines))
    if foreign:
        print(f"{', '.join(foreign)}: up to {margin:.0%} more is allowed")
    if stale:
        print("some paths take less by more than the margin: keep it so with `ci/instructions.sh --write`")
    if wrong:
        sys.exit("\n".join([*wrong, "if that is worth it, say why and run `ci/instructions.sh --write`"]))


if __name__ == "__main__":
    main(sys.argv[1:])
