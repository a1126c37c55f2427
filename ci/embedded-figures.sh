#!/usr/bin/env bash
# Instructions, flash and memory of the executor for one core, next to embassy-executor: exact, and the same on every machine.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export CARGO_TARGET_DIR=$TARGET/firmware
command -v qemu-system-arm >/dev/null || apt --allow-downgrades qemu-system-arm qemu-utils-
need readelf binutils

# count TARGET PROGRAM ARGUMENT...: prints what the program does, `NAME NUMBER` lines.
count() {
    (chip "$1"; cd examples/firmware-figures
        cargo build --quiet --release --bin "$2" --target "$1" "${@:3}" "${sources[@]}"
        timeout --kill-after=5 60 cargo run --quiet --release --bin "$2" --target "$1" "${@:3}" "${sources[@]}" </dev/null 2>/dev/null)
}

# figures TARGET PROGRAM: what the program counts, and the size of its minimal companion.
figures() {
    local target=$1 program=$2 flash=0 memory=0 section size
    (chip "$target"; cd examples/firmware-figures
        cargo build --quiet --release --bins --target "$target" "${sources[@]}")
    count "$target" "$program"
    [ "$program" = embassy ] || count "$target" "${program}_heap" --features heap
    while read -r section size; do
        case $section in
            .vector_table | .text | .rodata) flash=$((flash + 16#$size)) ;;
            .data) flash=$((flash + 16#$size)) memory=$((memory + 16#$size)) ;;
            .bss | .uninit) memory=$((memory + 16#$size)) ;;
        esac
    done < <(readelf -SW "$CARGO_TARGET_DIR/$target/release/${program}_minimal" |
        sed -n 's/^ *\[ *[0-9]*\] \(\.[a-z_]*\) *[A-Z]* *[0-9a-f]* [0-9a-f]* \([0-9a-f]*\) .*/\1 \2/p')
    printf 'flash %d\nmemory %d\n' "$flash" "$memory"
}

rows=(
    "yield|a task wakes itself and is polled, instructions"
    "interrupt|from WFI through an interrupt, a wake and a poll to WFI, instructions"
    "spawn_static|spawn in a static place, run, hear of its end by a Signal, instructions"
    "spawn_join_static|the same with a JoinHandle, instructions"
    "spawn_join_heap|the same with a JoinHandle, on the heap, instructions"
    "bytes_per_task|memory of a task beside its future, bytes"
    "flash|flash of a minimal firmware, bytes"
    "memory|static memory of a minimal firmware, bytes"
)

declare -A figure
for target in thumbv7m-none-eabi thumbv6m-none-eabi; do
    for program in jenny embassy; do
        while read -r name number; do
            figure[$target.$program.$name]=$number
        done < <(figures "$target" "$program")
    done
done

echo "| | Cortex-M3 jenny | embassy | Cortex-M0 jenny | embassy |"
echo "|---|---|---|---|---|"
missing=0
for row in "${rows[@]}"; do
    name=${row%%|*}
    printf '| %s |' "${row#*|}"
    for column in thumbv7m-none-eabi.{jenny,embassy} thumbv6m-none-eabi.{jenny,embassy}; do
        number=${figure[$column.$name]-}
        # embassy has no handles, and no tasks on the heap.
        [ -n "$number" ] || [[ $column.$name == *.embassy.spawn_join_* ]] || missing=1
        printf ' %s |' "${number:-–}"
    done
    echo
done
[ "$missing" = 0 ] || die "a program did not say all"
