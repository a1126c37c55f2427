#!/usr/bin/env python3
"""A file imports only from lower floors, and rooms on one floor do not know each other.

A room is a file or a directory right below `src`; its floor is in the tables below. Inside a room
the files form no import cycle, and where the table gives an order, each imports only from files
before it. Unit tests (`#[cfg(test)]`) may look anywhere.

    floors.py              check, and print the tables with what was counted
    floors.py --self-test  prove that each rule can fail
"""

import re
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 700

TOP = 99  # lib.rs and what is mounted beside it for tests: may see everything

FLOORS = {
    "core": {
        "platform": 0, "sync": 0, "payload": 0,
        "lock": 1, "list": 1, "link": 1, "rand": 1, "frame": 1, "recycler": 1,
        "queue": 2, "task": 2, "stock": 2,
        "owned": 3, "time": 3,
        "scheduler": 4,
        "single": 5, "smp": 5,
        "embassy": 6,
        "lib": TOP, "loom_internals": TOP,
    },
    "std-backend": {
        "primitives": 0, "platform": 0,
        "park": 1, "coop": 1, "stats": 1, "trace": 1, "join_list": 1,
        "io": 2, "blocking": 2, "local_set": 2, "timekeeper": 2,
        "context": 3,
        "net": 4, "signal": 4, "time": 4, "runtime": 4,
        "task": 5,
        "rt": 6,
        "lib": TOP, "loom_internals": TOP,
    },
}

# Files of a room in import order; `mod.rs` comes last, it binds the room together.
ORDER = {
    ("core", "task"): ["state", "spawned", "origin", "unnamed", "id", "marks", "spares", "membership", "no_membership", "join_waker", "header", "raw", "observer", "refs", "vacancy", "snapshot", "place", "no_place", "schedule", "waker", "trace", "join", "memory", "cell", "harness", "heap"],
    ("core", "embassy"): ["queue", "driver", "items", "timers"],
    ("core", "time"): ["entry", "wheel", "published", "wakers", "timers", "timer"],
}

# A name that a lower floor may use, and why.
EXCEPTIONS = {
    ("core", "platform", "frame"): "the slot's word points to a Frame; platform only names the type",
    ("core", "platform", "lock"): "a backend owes a RawLock; platform only names the trait",
    ("core", "platform", "stock"): "a thread's Pocket; platform only names the type",
    ("core", "platform", "payload"): "what a caught panic leaves; platform only names the type",
    ("std-backend", "platform", "primitives"): "the ids of tasks are counted as everything else is",
}

# Files that argue about plain values and leave every raw pointer to others.
SAFE = {"core": ["task/state.rs", "scheduler/idle.rs", "scheduler/budget.rs"]}

TOKENS = re.compile(
    r"""//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/          # comments
      | b?r(?P<hash>\#*)".*?"(?P=hash)           # raw strings
      | b?"(?:\\.|[^"\\])*"                      # strings
      | b?'(?:\\.[^']*|[^'\\])'                  # characters
      | '\w+                                     # lifetimes
      | (?P<token>\w+|::|\#!?\[|[^\s])""",
    re.X | re.S,
)


def tokens_of(text):
    return [m["token"] for m in TOKENS.finditer(text) if m["token"]]


def without_tests(tokens):
    """Drops each item below a `#[cfg(test)]`."""
    out, i = [], 0
    mark = ["#[", "cfg", "(", "test", ")", "]"]
    while i < len(tokens):
        if tokens[i : i + len(mark)] != mark:
            out.append(tokens[i])
            i += 1
            continue
        i += len(mark)
        depth = 0
        while i < len(tokens):
            token = tokens[i]
            i += 1
            depth += (token in "{([" or token == "#[") - (token in "})]")
            if depth == 0 and token in (";", "}"):
                break
    return out


def paths_of(tokens, module):
    """Yields every path of the file that starts with `crate` or `super`, as absolute segments."""
    scopes = []  # one entry per open brace: the inline module's name, or None

    def walk(i, prefix):
        """Reads a path or a group of paths at `i`; returns the place behind and the paths."""
        if tokens[i] == "{":
            found, i = [], i + 1
            while tokens[i] != "}":
                if tokens[i] == ",":
                    i += 1
                    continue
                i, more = walk(i, prefix)
                found += more
            return i + 1, found
        path = prefix + [tokens[i]]
        i += 1
        if i + 1 < len(tokens) and tokens[i] == "::" and (tokens[i + 1] == "{" or is_name(tokens[i + 1])):
            return walk(i + 1, path)
        if i < len(tokens) and tokens[i] == "as":
            i += 2
        return i, [path]

    i = 0
    while i < len(tokens):
        token = tokens[i]
        here = module + [scope for scope in scopes if scope]
        starts = token in ("crate", "super") and tokens[i + 1 : i + 2] == ["::"]
        if starts and (i == 0 or tokens[i - 1] not in ("::", "$")):
            base, i = ([] if token == "crate" else here[:-1]), i + 2
            while tokens[i] == "super":
                base, i = base[:-1], i + 2
            i, found = walk(i, base)
            yield from found
            continue
        if token == "{":
            scopes.append(tokens[i - 1] if i > 1 and tokens[i - 2] == "mod" else None)
        elif token == "}" and scopes:
            scopes.pop()
        i += 1


def is_name(token):
    return token == "*" or token[0].isalpha() or token[0] == "_"


class Package:
    def __init__(self, name, source):
        self.name, self.floors, self.errors = name, FLOORS[name], []
        self.imports, self.rooms = defaultdict(set), defaultdict(list)
        self.files = {}  # module path -> its file
        for file in sorted(source.rglob("*.rs")):
            parts = list(file.relative_to(source).with_suffix("").parts)
            self.files[tuple(parts[:-1] if parts[-1] == "mod" else parts)] = file
        for module, file in self.files.items():
            self.read(module, file, file.relative_to(source))
        self.inside_rooms()

    def fail(self, file, message):
        self.errors.append(f"{self.name}/src/{file}: {message}")

    def read(self, module, file, shown):
        text, room = file.read_text(), module[0]
        lines = text.count("\n")
        self.rooms[room].append(lines)
        if lines > MAX_LINES:
            self.fail(shown, f"{lines} lines, more than {MAX_LINES}: could it be two rooms?")
        if room not in self.floors:
            return self.fail(shown, f"the room '{room}' is not in the table of ci/floors.py")
        tokens = tokens_of(text)
        if str(shown) in SAFE.get(self.name, []) and "unsafe" in tokens:
            self.fail(shown, "holds `unsafe`; it argues about plain values")
        if self.floors[room] == TOP:
            return
        for path in paths_of(without_tests(tokens), list(module)):
            self.check(module, shown, path)

    def check(self, module, shown, path):
        room, target = module[0], path[0] if path else "crate"
        if target == room:
            file = next((tuple(path[:n]) for n in range(len(path), 1, -1) if tuple(path[:n]) in self.files), (room,))
            if file != module:
                self.imports[module].add(file)
            return
        name = "::".join(path)
        if target not in self.floors:
            return self.fail(shown, f"crate::{name} hides its floor: import it from the room that defines it")
        if (self.name, room, target) in EXCEPTIONS:
            return
        mine, theirs = self.floors[room], self.floors[target]
        if theirs > mine:
            self.fail(shown, f"floor {mine} imports crate::{name} from floor {theirs}, above it")
        elif theirs == mine:
            self.fail(shown, f"crate::{name} is a sibling on floor {mine}")

    def inside_rooms(self):
        for (package, room), order in ORDER.items():
            if package != self.name:
                continue
            for module in [m for m in self.files if m[0] == room and len(m) == 2]:
                if module[1] not in order:
                    self.fail("/".join(module) + ".rs", "is not in the order of its room in ci/floors.py")
                    continue
                for target in sorted(self.imports[module]):
                    if len(target) == 2 and target[1] in order and order.index(target[1]) > order.index(module[1]):
                        self.fail("/".join(module) + ".rs", f"imports '{target[1]}', which comes later in its room")
        # A directory's own file gathers what is in it, so only the files below it count here.
        directories = {m[:n] for m in self.files for n in range(1, len(m))}
        graph = {m: {t for t in ts if t not in directories} for m, ts in self.imports.items() if m not in directories}
        done, path = set(), []

        def visit(node):
            if node in path:
                cycle = [*path[path.index(node) :], node]
                self.errors.append(f"{self.name}: import cycle " + " -> ".join("::".join(m) for m in cycle))
            elif node not in done:
                path.append(node)
                for target in sorted(graph.get(node, ())):
                    visit(target)
                path.pop()
                done.add(node)

        for node in sorted(graph):
            visit(node)

    def show(self):
        print(f"\n{self.name}")
        for floor in sorted(set(self.floors.values()), reverse=True):
            rooms = [r for r, f in self.floors.items() if f == floor and r in self.rooms]
            shown = "  ".join(f"{r} ({len(self.rooms[r])} files, {sum(self.rooms[r])} lines)" for r in rooms)
            print(f"  {'top' if floor == TOP else floor:>3}  {shown or '-'}")


def self_test():
    """Each rule meets a house that breaks it, and one house that breaks none."""
    clean = {
        "task/mod.rs": "//! crate::scheduler\nmod state;\nuse state::State;",
        "task/state.rs": "use crate::{platform::Platform, sync::{self, Ordering as O}};",
        "task/waker.rs": 'use super::{header::Header, super::list::List};\nconst S: &str = "crate::owned::X";',
        "task/header.rs": "#[cfg(test)]\nmod tests { use crate::scheduler::Local; use super::*; }\nfn f<'a>(c: char) { let _ = '\"'; }",
        "platform.rs": "pub use crate::frame::Frame;",
        "scheduler/idle.rs": "mod inner { use super::super::budget::Budget; } use crate::task::state::State;",
    }
    broken = [
        ("above it", {"task/state.rs": "use crate::{sync::fence, scheduler::{self, Local}};"}),
        ("above it", {"list.rs": "fn f() { let _ = crate::owned::OwnedTasks::new(); }"}),
        ("above it", {"queue/ring.rs": "use super::super::owned::X;"}),
        ("above it", {"sync.rs": "mod real { use super::super::lock::Mutex; }"}),
        ("sibling", {"queue/ring.rs": "use crate::task::Runnable;"}),
        ("hides its floor", {"lock.rs": "use crate::Worker;"}),
        ("later in its room", {"task/state.rs": "use super::harness::poll;", "task/harness.rs": ""}),
        ("not in the order", {"task/novel.rs": ""}),
        ("not in the table", {"novel.rs": ""}),
        ("import cycle", {"scheduler/idle.rs": "use super::local::A;", "scheduler/local.rs": "use crate::scheduler::idle::B;"}),
        ("holds `unsafe`", {"scheduler/idle.rs": "fn f() { unsafe { g() } }"}),
        ("more than", {"scheduler/local.rs": "\n" * (MAX_LINES + 1)}),
    ]

    def errors(files):
        with tempfile.TemporaryDirectory() as directory:
            for name, text in files.items():
                file = Path(directory, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            return Package("core", Path(directory)).errors

    assert not errors(clean), errors(clean)
    for expected, files in broken:
        found = errors(files)
        assert found and all(expected in error for error in found), (expected, files, found)
    print(f"self-test: {len(broken)} broken houses found, the clean one passes")


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    packages = [Package(name, ROOT / name / "src") for name in FLOORS]
    for package in packages:
        package.show()
    errors = [error for package in packages for error in package.errors]
    print("\n" + "\n".join(errors or ["every import goes down"]))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
