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

need readelf binutils

failed=0
table=

# firmware SECONDS COMMAND TARGET FOLDER ARGUMENT...: cargo in a folder, for a chip.
firmware() {
    local seconds=$1 command=$2 target=$3 folder=$4
    shift 4
    (chip "$target"; cd "$folder"
        timeout --kill-after=5 "$seconds" cargo "$command" --quiet --release --target "$target" "${sources[@]}" "$@")
}

# unprinted EXPECTED LOG: the expected lines, regular expressions, that the log has not.
unprinted() {
    local line
    while IFS= read -r line; do
        grep -Eqx -- "$line" "$2" || echo "$line"
    done <"$1"
}
printf '1 ms\nnot two\n' >"$LOGS/itself"
[ "$(unprinted <(printf '[0-9] ms\ntwo\n') "$LOGS/itself")" = two ] || die "does not see what is missing"

# wide_atomics: the names, among those that it reads, of 64-bit atomics that the chip has not: each would be
# a lock, or masked interrupts for long.
wide_atomics() { grep -E '__(atomic|sync)_[a-z_]*_8|portable_atomic.*(fallback|Atomic[IU]64)' || true; }
for name in __atomic_fetch_add_8 _ZN15portable_atomic3imp8fallback9AtomicU644load17h0E; do
    [ "$(wide_atomics <<<"$name")" = "$name" ] || die "does not see $name"
done

# is_wanted [CODE:]PROGRAM...: whether the arguments pick one of them.
is_wanted() {
    local program
    for program in "$@"; do
        [ ${#wanted[@]} = 0 ] || [[ " ${wanted[*]} " == *" ${program#*:} "* ]] || continue
        return 0
    done
    return 1
}

# How the programs are run, if not as their folder has it: what they then print is in `expected/PROGRAM.$way`.
way=

# run TARGET BOARD FOLDER [CODE:]PROGRAM...: wants of each this exit code, 0 without one, and all that
# `expected/PROGRAM` says. Types `typed`, if there is one.
run() {
    local target=$1 board=$2 folder=$3 program
    shift 3
    is_wanted "$@" || return 0
    say "$folder for $target"
    firmware 600 build "$target" "$folder" --bins
    for program in "$@"; do
        local expected_code=0 code=0 verdict=passed typed=/dev/null log missing wide name
        [[ $program != *:* ]] || { expected_code=${program%:*} program=${program#*:}; }
        is_wanted "$program" || continue
        name=$program${way:+.$way}
        say "$name on $board"
        if [[ $target != riscv64* ]]; then
            wide=$(readelf -sW "$CARGO_TARGET_DIR/$target/release/$program" | wide_atomics)
            [ -z "$wide" ] || { verdict="64-bit atomics: $wide"; }
        fi
        log=$LOGS/$target.$name
        [ ! -e "$folder/typed" ] || typed=$folder/typed
        firmware 60 run "$target" "$folder" --bin "$program" \
            <"$typed" >"$log" 2>"$log.err" || code=$?
        cat "$log"
        missing=$(unprinted "$folder/expected/$name" "$log")
        [ -z "$missing" ] || verdict="not printed: ${missing//$'\n'/ | }"
        [ "$code" = "$expected_code" ] || { verdict="exit code $code"; cat "$log.err"; }
        [ "$verdict" = passed ] || failed=1
        table+=$(printf '%-30s %-14s %-20s %s' "$target" "$board" "$name" "$verdict")$'\n'
    done
}

everywhere=(blinky producer storm priorities misuse 1:nested 1:nested_other 1:full_heap 1:fault)
run thumbv7m-none-eabi "Cortex-M3" examples/firmware-one-core "${everywhere[@]}"
run thumbv6m-none-eabi "Cortex-M0" examples/firmware-one-core "${everywhere[@]}"
run riscv32imc-unknown-none-elf "RV32IMC" examples/firmware-one-core "${everywhere[@]}"
run thumbv7m-none-eabi "Cortex-M3" examples/firmware-embassy own_driver hal_driver
run thumbv6m-none-eabi "Cortex-M0" examples/firmware-embassy own_driver hal_driver
run riscv32imc-unknown-none-elf "RV32IMC" examples/firmware-embassy own_driver hal_driver
run thumbv7m-none-eabi "Cortex-M3" examples/firmware-shell firmware-shell
run riscv64imac-unknown-none-elf "RV64, 4 harts" examples/firmware-four-harts stealing storm own_driver hal_driver
# One hart after the other, each interrupt at an exact instruction, the same in each run. An instruction takes
# 2^4 ns, so that most alarms come before their hart sleeps. QEMU lets a hart run for up to 100 ms of that time,
# also one that waits for another's lock: at 1 ns a run now and then takes minutes.
way=stepped CARGO_TARGET_RISCV64IMAC_UNKNOWN_NONE_ELF_RUNNER="qemu-system-riscv64 -M virt -smp 4 -icount shift=4,sleep=off -nographic -bios none -kernel" \
    run riscv64imac-unknown-none-elf "RV64, 4 harts" examples/firmware-four-harts storm

# The files of the guide are those that it shows, so that it works for whoever follows it: outside of
# this workspace.
guide=$(mktemp -d)
trap 'rm -rf "$guide"' EXIT
mkdir -p "$guide"/blink/{src,.cargo,expected}
ln -sfn "$PWD" "$guide/jenny"
awk -v folder="$guide/blink" '
    /^`[^`]/ { split($0, part, "`"); file = part[2] }
    /^```/ { inside = !inside; next }
    inside { print > (folder "/" file) }
' examples/README.md
cp examples/firmware-one-core/Cargo.lock "$guide/blink"
printf 'blink 1\nblink 2\nblink 3\n3 blinks\n' >"$guide/blink/expected/blink"
run thumbv7m-none-eabi "Cortex-M3" "$guide/blink" blink

[ -n "$table" ] || die "no program is called ${wanted[*]}"
say "summary"
printf '%-30s %-14s %-20s %s\n' target board program result
printf '%s' "$table"
exit "$failed"
