#!/usr/bin/env bash
# Fuzzes every decoder of the verifier, and `verify` with changed proofs, for some seconds each: tests/fuzz.sh [SECONDS] [TARGET…]
# The targets in verifier/fuzz are laid out for cargo-fuzz, but built here: its flags leave pasta_curves' inline assembly a register
# short (coverage of stack depth needs a frame pointer). No nightly compiler, no sanitizer; a C++ compiler for libFuzzer.
set -euo pipefail
cd "$(dirname "$0")/../verifier/fuzz"
seconds="${1:-60}"
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    targets=(zkv register proof_file statement receipt receipt_json context_json params verify)
fi
coverage=(-Cpasses=sancov-module)
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    coverage+=("-Cllvm-args=-sanitizer-coverage-$option")
done
host="$(rustc -vV | sed -n 's/^host: //p')"
# With --target the flags are not those of build scripts.
RUSTFLAGS="${coverage[*]} --cfg fuzzing -Cdebug-assertions -Ccodegen-units=1" cargo build --release --target "$host" --bins
for target in "${targets[@]}"; do
    echo "== $target"
    mkdir -p "corpus/$target" "artifacts/$target"
    # One allocation above 64 MiB is a failure, and so is an input that takes ten seconds.
    "${CARGO_TARGET_DIR:-target}/$host/release/$target" "corpus/$target" -artifact_prefix="artifacts/$target/" \
        -max_total_time="$seconds" -malloc_limit_mb=64 -timeout=10 -max_len=65536 -print_final_stats=1
done
