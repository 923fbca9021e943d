#!/usr/bin/env bash
# Fuzzes every decoder of the verifier, and `verify` with changed proofs, for some seconds each: tests/fuzz.sh [SECONDS] [TARGET…]
# Needs cargo-fuzz (`cargo install cargo-fuzz`) and a C++ compiler; no nightly compiler, as no sanitizer is used.
set -euo pipefail
cd "$(dirname "$0")/../verifier"
seconds="${1:-60}"
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    targets=(zkv proof_file statement receipt receipt_json context_json verify)
fi
export RUSTC_BOOTSTRAP=1
for target in "${targets[@]}"; do
    echo "== $target"
    mkdir -p "fuzz/corpus/$target"
    # One allocation above 64 MiB is a failure, and so is an input that takes ten seconds.
    cargo fuzz run -s none "$target" -- -max_total_time="$seconds" -malloc_limit_mb=64 -timeout=10 -max_len=65536 -print_final_stats=1
done
