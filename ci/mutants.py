"""Breaks the code on purpose, in a copy, and runs loom models until one fails: for `ci/mutants.sh`.

All mutants are compiled at once, each behind a switch, and an environment variable turns one on.
Without an argument it only looks whether the list names code that is there, for `ci/loom.sh`.
"""

import os, re, shutil, subprocess, sys, time, tomllib
from pathlib import Path

ROOT, LIST = Path.cwd(), Path("tests/loom/mutants.toml")
SECONDS = os.environ.setdefault("JENNY_LOOM_SECONDS", "20")
SWITCH = """
#[doc(hidden)]
pub fn __mutant(number: usize) -> bool {
    extern crate std;
    static ON: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *ON.get_or_init(|| std::env::var("JENNY_MUTANT").map_or(0, |on| on.parse().unwrap())) == number
}
"""


def read_list():
    """The mutants, numbered from 1: where it is, what becomes what, who should notice."""
    mutants = []
    for group in tomllib.loads(LIST.read_text())["group"]:
        for survives in (False, True):
            for after, old, *new in group.get("survivors" if survives else "mutants", []):
                for new in new[:1] or weaker(old):
                    mutants.append(
                        dict(number=len(mutants) + 1, file=group["file"], after=after, old=old,
                             new=new, models=group["models"], survives=survives))
    return mutants


def weaker(old):
    """What stands for an ordering or a fence unless the list says otherwise."""
    if old.startswith("fence("):
        return ["()"]
    halves = ["Acquire", "Release"] if old == "Ordering::AcqRel" else ["Relaxed"]
    return [f"Ordering::{half}" for half in halves]


def place(mutant, source):
    """The span of what the mutant replaces: the first `old` from the only `after` on."""
    where = f"{mutant['file']}: {mutant['after']!r}"
    if source.count(mutant["after"]) != 1:
        sys.exit(f"{where} is there {source.count(mutant['after'])} times")
    start = source.find(mutant["old"], source.find(mutant["after"]))
    if start < 0:
        sys.exit(f"{where}: no {mutant['old']!r} from there on")
    return start, start + len(mutant["old"])


def switched(source, mutants):
    """The source with a switch for each mutant. Several may replace the same, or a part of it."""
    spans = {}
    for mutant in mutants:
        spans.setdefault(place(mutant, source), []).append(mutant)

    def render(start, end, inside):
        """This part of the source, with the switches inside of it."""
        text = ""
        while inside:
            # The first, and of those that start there the longest.
            outer = min(inside, key=lambda span: (span[0], -span[1]))
            within = [span for span in inside if span != outer and span[0] < outer[1]]
            if any(span[1] > outer[1] for span in within):
                sys.exit(f"mutants that overlap: {source[slice(*outer)]!r}")
            inside = [span for span in inside if span[0] >= outer[1]]
            arms = "".join(f"if crate::__mutant({m['number']}) {{ {m['new']} }} else "
                           for m in spans[outer])
            text += f"{source[start:outer[0]]}({arms}{{ {render(*outer, within)} }})"
            start = outer[1]
        return text + source[start:end]

    return render(0, len(source), list(spans))


def write(path, text):
    """Leaves an unchanged file alone, so that cargo does, too."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def build(mutants, copy):
    """Makes the copy and compiles it. Returns the program with the models."""
    ignored = shutil.ignore_patterns("target", ".git")
    fresh = copy.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(ROOT, fresh, ignore=ignored, symlinks=True)
    for file in {mutant["file"] for mutant in mutants}:
        its = [mutant for mutant in mutants if mutant["file"] == file]
        write(fresh / file, switched((ROOT / file).read_text(), its))
    for crate in ("core", "std-backend"):
        root = fresh / crate / "src/lib.rs"
        write(root, "#![allow(warnings)]\n" + root.read_text() + SWITCH)
    for path in filter(Path.is_file, fresh.rglob("*")):
        old = copy / path.relative_to(fresh)
        if old.exists() and old.read_bytes() == path.read_bytes():
            shutil.copystat(old, path)
    shutil.rmtree(copy, ignore_errors=True)
    fresh.rename(copy)
    command = ["cargo", "test", "--locked", "--release", "-p", "jenny-tests", "--test", "loom", "--no-run"]
    output = subprocess.run(command, cwd=copy, stderr=subprocess.PIPE, text=True)
    found = re.search(r"\((\S*/deps/loom-\S*)\)", output.stderr)
    if output.returncode or not found:
        sys.exit(output.stderr)
    return copy, Path(copy, found[1])


def explore(program, model, number):
    """Runs one model with a mutant, or with 0 for none: whether it failed, and how long it took."""
    directory, program = program
    environment = dict(os.environ, JENNY_MUTANT=str(number), RUST_BACKTRACE="0")
    start = time.monotonic()
    # A mutant that hangs is one that a model has noticed; each model has a dozen parts at most.
    try:
        failed = subprocess.run(
            [program, "--exact", model, "-q"], cwd=directory / "tests", env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20 * int(SECONDS),
        ).returncode != 0
    except subprocess.TimeoutExpired:
        failed = True
    return failed, time.monotonic() - start


def main():
    mutants = read_list()
    if len(sys.argv) == 1:
        for mutant in mutants:
            place(mutant, Path(mutant["file"]).read_text())
        print(f"{len(mutants)} mutants, each of code that is there")
        return
    wanted = sys.argv[2:]
    program = build(mutants, Path(sys.argv[1]))
    listed = subprocess.run([program[1], "--list"], capture_output=True, text=True).stdout
    models = [line.removesuffix(": test") for line in listed.splitlines() if line.endswith(": test")]
    chosen = [m for m in mutants
              if not wanted or any(w == str(m["number"]) or w in m["file"] for w in wanted)]

    seconds, kills, sound = {}, {}, set()
    unexpected = killed = 0
    for mutant in chosen:
        own = [model for model in models if any(model.startswith(m) for m in mutant["models"])]
        if not own:
            sys.exit(f"{mutant['file']}: no model begins with any of {mutant['models']}")
        killer = None
        # First what has noticed most of this file's mutants, then what is quick.
        for model in sorted(own, key=lambda m: (-kills.get((mutant["file"], m), 0), seconds.get(m, 0))):
            failed, took = explore(program, model, mutant["number"])
            if failed:
                killer = model
                kills[mutant["file"], model] = kills.get((mutant["file"], model), 0) + 1
                break
            seconds[model] = took
        if killer and killer not in sound:
            if explore(program, killer, 0)[0]:
                sys.exit(f"{killer} fails without a mutant")
            sound.add(killer)
        killed += killer is not None
        surprise = (killer is None) != mutant["survives"]
        unexpected += surprise
        verdict = f"killed by {killer}" if killer else "survived"
        print(f"{mutant['number']:3} {'!!' if surprise else '  '} {mutant['file']}: {mutant['after']}: "
              f"{mutant['old']} -> {mutant['new']}: {verdict}", flush=True)
    print(f"{len(chosen)} mutants, {killed} killed, {len(chosen) - killed} survived; "
          f"{unexpected} not as {LIST} says; at most {SECONDS} s for each model")
    sys.exit(unexpected > 0)


main()
