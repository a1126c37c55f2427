#!/usr/bin/env bash
# No warning from clippy: the whole workspace, then each feature alone, then none.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

component clippy cargo clippy
need python3 python3
lint() { cargo clippy --quiet --locked "$@" -- -D warnings; }

say "workspace, all targets"
lint --workspace --all-targets

# The firmware, for its chips where the toolchain has their targets: clippy is not Debian's.
export CARGO_TARGET_DIR=$TARGET/firmware
for folder in examples/firmware-*/; do
    [ -e "$folder.cargo/config.toml" ] || continue
    target=$(sed -n 's/^target = "\(.*\)"/\1/p' "$folder.cargo/config.toml")
    if has_target "$target"; then
        say "$folder for $target"
        (cd "$folder" && cargo clippy --quiet --release -- -D warnings
            # Those that are left out without a feature.
            sed -n '/^\[\[bin\]\]/{n;s/^name = "\(.*\)"/\1/p}' Cargo.toml |
                xargs -rI{} cargo clippy --quiet --release --all-features --bin {} -- -D warnings)
    else
        say "$folder: left out, the toolchain has no target $target"
    fi
done
export CARGO_TARGET_DIR=$TARGET

# features PACKAGE: the names of its features, `default` excepted.
features() {
    cargo metadata --locked --no-deps --format-version 1 | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] == sys.argv[1]:
        print(*sorted(set(package["features"]) - {"default"}), sep="\n")' "$1"
}

for package in jenny-core jenny; do
    say "$package without features"
    lint -p "$package" --no-default-features
    for feature in $(features "$package"); do
        say "$package with '$feature' alone"
        lint -p "$package" --no-default-features --features "$feature"
    done
    say "$package with all features"
    lint -p "$package" --all-features
done
