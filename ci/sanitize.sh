#!/usr/bin/env bash
# The stress test under ThreadSanitizer, and under AddressSanitizer with LeakSanitizer: no report at all, and none suppressed.
#
# ThreadSanitizer sees std instrumented, so std is rebuilt. It knows nothing of fences; that costs us
# nothing, because jenny's fences only order a store before a load (who sleeps, who wakes), and all
# data changes hands by acquire and release on the atomics themselves. What fences do is loom's part.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

target=x86_64-unknown-linux-gnu
cargo +nightly --version >/dev/null 2>&1 ||
    rustup toolchain install nightly --profile minimal || die "please install the nightly toolchain"

# Where rustup cannot bring the sources of std, Debian's compiler builds Debian's, and the runtime
# libraries, which Debian leaves out, are nightly's.
nightly=$(rustc +nightly --print sysroot)/lib/rustlib
library=$nightly/src/rust/library
[ -d "$library" ] || timeout 120 rustup component add --toolchain nightly rust-src >/dev/null 2>&1 ||
    echo "rustup cannot add nightly's 'rust-src'"
[ -d "$library" ] || debian_compiler

# instrument SANITIZER: the compiler's flags for it.
instrument() {
    local runtime=$nightly/$target/lib/librustc-nightly_rt.${1:0:1}san.a
    printf %s "-Zsanitizer=$1 --cfg jenny_sanitize"
    [ "${RUSTC:-}" != /usr/bin/rustc ] ||
        printf %s " -Zexternal-clangrt -Zpre-link-arg=-Wl,--whole-archive,$runtime,--no-whole-archive"
}

# Without it reports are as valid, but name addresses instead of functions and lines.
(need llvm-symbolizer llvm) || echo "going on without llvm-symbolizer"
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1"
export ASAN_OPTIONS="detect_leaks=1 detect_stack_use_after_return=1"

# sanitized SANITIZER CARGO-ARGUMENT...: runs cargo with everything instrumented, std included, and
# with jenny giving all memory back at once, so that a use after that is seen.
sanitized() {
    local sanitizer=$1 command=$2
    shift 2
    CARGO_TARGET_DIR=$TARGET/sanitize-$sanitizer RUSTFLAGS=$(instrument "$sanitizer") \
        cargo +nightly "$command" --release -Zbuild-std --target "$target" "$@"
}

# Three small crimes, each of which the sanitizer has to see before it is believed. In the profile of
# the workspace, so that std is built once.
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
mkdir "$probe/src"
cat >"$probe/Cargo.toml" <<'TOML'
[package]
name = "probe"
edition = "2024"
[workspace]
TOML
grep -A1 -Fx '[profile.release]' Cargo.toml >>"$probe/Cargo.toml"
cat >"$probe/src/main.rs" <<'RUST'
use std::{cell::UnsafeCell, hint::black_box, sync::Barrier, thread};
struct Racy(UnsafeCell<u64>);
unsafe impl Sync for Racy {}
static RACY: Racy = Racy(UnsafeCell::new(0));
fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("race") => {
            let start = Barrier::new(2);
            let write = || {
                start.wait();
                (0..100_000).for_each(|i| unsafe { black_box(RACY.0.get()).write(i) });
            };
            thread::scope(|scope| [scope.spawn(&write), scope.spawn(&write)].map(drop));
        }
        Some("use-after-free") => {
            let gone = black_box(Box::into_raw(Box::new(7)));
            drop(unsafe { Box::from_raw(gone) });
            println!("{}", unsafe { black_box(gone).read() });
        }
        // On a thread of its own, whose stack is gone when the leak checker looks for pointers.
        Some("leak") => thread::spawn(|| _ = black_box(Box::into_raw(Box::new(7)))).join().unwrap(),
        _ => println!("innocent"),
    }
}
RUST

# convicts SANITIZER REPORT CRIME: the crime ends in this report.
convicts() {
    ! sanitized "$1" run --quiet --manifest-path "$probe/Cargo.toml" -- "$3" >"$probe/log" 2>&1 &&
        grep -q "$2" "$probe/log" || { cat "$probe/log"; die "the $1 sanitizer overlooks a $3"; }
    echo "$3: reported"
}

# stress SANITIZER: the stress test, smaller, because instrumented code is some ten times slower.
stress() {
    JENNY_STRESS_SCALE=${JENNY_STRESS_SCALE:-0.1} \
        sanitized "$1" test --locked -p jenny-tests --test stress -- --nocapture
}

say "ThreadSanitizer"
convicts thread "ThreadSanitizer: data race" race
stress thread

say "AddressSanitizer and LeakSanitizer"
convicts address "AddressSanitizer: heap-use-after-free" use-after-free
convicts address "LeakSanitizer: detected memory leaks" leak
stress address
