#!/usr/bin/env bash
# Imports go only to lower floors; no file is too long; what argues about plain values holds no `unsafe`.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need python3 python3
python3 ci/floors.py
