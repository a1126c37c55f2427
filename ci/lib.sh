# shellcheck shell=bash
# What the checks share: sourced by each, never run. Leaves the caller in the root of the project.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Where artefacts go. A check that compiles with other flags takes a directory of its own below it,
# so that it does not throw away what the others have built.
TARGET=${CARGO_TARGET_DIR:-$PWD/target}

# say MESSAGE...: announces a step.
say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

# die MESSAGE...: ends the check.
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# apt PACKAGE...: installs Debian packages, or says what is missing.
apt() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
        die "please install: $* (root on Debian would have had it installed by this script)"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -q --no-install-recommends "$@" ||
        { apt-get update -q && apt-get install -y -q --no-install-recommends "$@"; } ||
        die "apt-get could not install: $*"
}

# need COMMAND PACKAGE: makes sure that a command is there.
need() { command -v "$1" >/dev/null || apt "$2"; }

# component NAME COMMAND...: makes sure that a component of the Rust toolchain is there.
component() {
    "${@:2}" --version >/dev/null 2>&1 || rustup component add "$1" ||
        die "please install the Rust component '$1'"
}

# has_target TARGET: whether the toolchain builds for a target, which rustup may have to add. Where rustup
# could not, it is left alone for an hour: with a network that only loses packets each try takes minutes.
has_target() {
    local failed=$TARGET/rustup-failed
    if compgen -G "$(rustc --print sysroot)/lib/rustlib/$1/lib/libcore-*.rlib" >/dev/null; then return; fi
    [ -z "$(find "$failed" -mmin -60 2>/dev/null)" ] || return 1
    if timeout 120 rustup target add "$1" >/dev/null 2>&1; then return; fi
    echo "rustup cannot add $1: not asked again for an hour, or until $failed is removed" >&2
    mkdir -p "$TARGET"
    touch "$failed"
    return 1
}

# chip TARGET: makes cargo build for a chip without an operating system: with the target of the
# toolchain, else of rustup, else with core and alloc built from Debian's sources. `sources` has what
# cargo needs for that. In a subshell: the compiler of one target is not that of the next.
chip() {
    sources=()
    if has_target "$1"; then return; fi
    # The linker of the toolchain: Debian's compiler brings none for chips.
    PATH+=:$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin
    export PATH
    debian_compiler
    sources=(-Zbuild-std=core,alloc)
}

# debian_compiler: makes cargo use Debian's compiler, whose package of sources -Zbuild-std can build.
debian_compiler() {
    [ -x /usr/bin/rustc ] && [ -d /usr/lib/rustlib/src ] || apt rustc-web rust-web-src
    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
}
