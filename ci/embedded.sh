#!/usr/bin/env bash
# The firmware of examples/firmware-* does what it says, on boards of QEMU. Arguments pick programs by name.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export CARGO_TARGET_DIR=$TARGET/firmware
LOGS=$CARGO_TARGET_DIR/logs
mkdir -p "$LOGS"
wanted=("$@")

for emulator in qemu-system-arm qemu-system-riscv32 qemu-system-riscv64; do
    # A newer qemu-utils than the emulators' would block them.
    command -v "$emulator" >/dev/null || apt --allow-downgrades qemu-system-arm qemu-system-misc qemu-utils-
done

failed=0
table=

# build TARGET FOLDER: every program in it.
build() {
    say "$2 for $1"
    (chip "$1"; cd "examples/$2"; cargo build --locked --release --bins --target "$1" "${sources[@]}")
}

# run TARGET BOARD FOLDER PROGRAM [CODE]: wants this exit code (0), and every line of
# `expected/PROGRAM`, a regular expression each, among the printed ones.
run() {
    local target=$1 board=$2 folder=$3 program=$4 expected_code=${5:-0}
    local log=$LOGS/$target.$program code=0 verdict=passed missing
    [ ${#wanted[@]} = 0 ] || [[ " ${wanted[*]} " == *" $program "* ]] || return 0
    say "$program on $board"
    # Nothing is to be typed in: the script's own input stays its own.
    (chip "$target"; cd "examples/$folder"
        timeout 60 cargo run --quiet --locked --release --bin "$program" --target "$target" "${sources[@]}") \
        </dev/null >"$log" 2>"$log.err" || code=$?
    cat "$log"
    [ "$code" = "$expected_code" ] || { verdict="exit code $code"; cat "$log.err"; }
    missing=$(while IFS= read -r line; do
        grep -Eqx -- "$line" <(tr -d '\r' <"$log") || echo "$line"
    done <"examples/$folder/expected/$program")
    [ -z "$missing" ] || { verdict="not printed: ${missing//$'\n'/ | }"; }
    [ "$verdict" = passed ] || failed=1
    table+=$(printf '%-30s %-14s %-20s %s' "$target" "$board" "$program" "$verdict")$'\n'
}

build riscv64imac-unknown-none-elf firmware-four-harts
run riscv64imac-unknown-none-elf "virt, 4 harts" firmware-four-harts firmware-four-harts

say "summary"
printf '%-30s %-14s %-20s %s\n' target board program result
printf '%s' "$table"
exit "$failed"
