#!/usr/bin/env bash
# jenny-core builds for chips without an operating system, two of them without compare-and-swap, and nothing below it uses std.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export CARGO_TARGET_DIR=$TARGET/nostd
mkdir -p "$CARGO_TARGET_DIR"

# On chips without compare-and-swap the final binary chooses how atomics are made; here, as a binary
# for a single core would.
single_core="--cfg portable_atomic_unsafe_assume_single_core"

# core_for TARGET: builds jenny-core for it; further arguments go to cargo.
core_for() {
    local target=$1
    shift
    chip "$target"
    cargo build --locked --release -p jenny-core --target "$target" "${sources[@]}" "$@"
}

# Each in a subshell: the compiler of one target is not that of the next.
for target in thumbv7m-none-eabi thumbv6m-none-eabi riscv32imc-unknown-none-elf; do
    say "$target"
    case $target in
        thumbv7m-*) flags= ;;
        *) flags=$single_core ;;
    esac
    cargo tree --locked -p jenny-core --edges normal --target "$target"
    (RUSTFLAGS=$flags core_for "$target")
    (RUSTFLAGS=$flags core_for "$target" --features embassy-time-driver)
    # Static tasks alone. That such a program links no allocator is seen in examples/README.md's.
    (RUSTFLAGS=$flags core_for "$target" --no-default-features --features critical-section)
    (RUSTFLAGS=$flags core_for "$target" --no-default-features --features embassy-time-driver)
    # With the program's critical section no choice has to be made; without either it cannot be.
    if [ -n "$flags" ]; then
        (core_for "$target" --features critical-section)
        log=$CARGO_TARGET_DIR/$target.choice.log
        ! (core_for "$target") >"$log" 2>&1 || die "$target needs no choice of atomics: is it the right target?"
        grep -q "requires atomic CAS" "$log" || { cat "$log"; die "failed for another reason"; }
        echo "without a choice of atomics: does not build, as it must"
    fi
    # What uses std must not build, or the build above proves nothing.
    log=$CARGO_TARGET_DIR/$target.std.log
    ! (RUSTFLAGS=$flags core_for "$target" --features std) >"$log" 2>&1 ||
        die "a crate that asks for std builds for $target"
    grep -Eq "can't find crate for \`std\`" "$log" || { cat "$log"; die "failed for another reason"; }
    echo "with feature 'std': does not build, as it must"
done
