#!/usr/bin/env bash
# The documentation builds without a warning: no broken link, nothing public undocumented. Its pages
# name no file that is not there.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -D warnings"
cargo doc --quiet --locked --workspace --no-deps
# Contributors read the private items too; their links have to hold as well.
cargo doc --quiet --locked -p jenny-core -p jenny --no-deps --document-private-items

need python3 python3
python3 ci/names.py
