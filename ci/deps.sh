#!/usr/bin/env bash
# jenny takes only the runtime-free parts of tokio: none of its features that bring a scheduler, a driver or a clock.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

forbidden='rt|rt-multi-thread|net|time|fs|process|signal|full|mio|libc|socket2|parking_lot'

# enabled ARGUMENT...: tokio's features in a build of these packages, one a line.
enabled() {
    cargo tree --quiet --edges normal --prefix none --no-dedupe --format '{p}|{f}' "$@" |
        sed -n 's/^tokio v[^|]*|//p' | tr ',' '\n' | sort -u
}

# The check has to be able to fail: the same question about a crate that does ask for a runtime.
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
mkdir "$probe/src"
touch "$probe/src/lib.rs"
cp Cargo.lock "$probe"
cat >"$probe/Cargo.toml" <<'TOML'
[package]
name = "probe"
edition = "2024"
[dependencies]
tokio = { version = "1", default-features = false, features = ["rt"] }
[workspace]
TOML
(cd "$probe" && enabled) | grep -qx rt ||
    die "the check no longer sees tokio's features"

for features in --no-default-features "" --all-features; do
    # shellcheck disable=SC2086
    found=$(enabled --locked -p jenny $features)
    echo "jenny ${features:-(default features)}: tokio's $(echo "$found" | paste -sd' ')"
    ! echo "$found" | grep -Ex "$forbidden" || die "jenny enables tokio's features above"
done
