#!/usr/bin/env bash
# Builds the verifier for WebAssembly and runs its Node test. Ends with 0 and says so where the target is not installed.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=wasm32-unknown-unknown
out="${CARGO_TARGET_DIR:-$PWD/target}"

node --check verifier/wasm/test.mjs
if ! [ -d "$(rustc --print target-libdir --target "$target")" ]; then
    echo "not built: the standard library for $target is not installed (rustup target add $target)"
    [ -z "${ZKONNX_REQUIRE_WASM:-}" ] || exit 1
    exit 0
fi
cargo build --release -p zkonnx-verifier-c --no-default-features --target "$target" --lib
files="$out/wasm-test"
cargo run --release -p zkonnx-verifier-c --example write_files -- "$files"
node verifier/wasm/test.mjs "$out/$target/release/zkonnx_verifier_c.wasm" "$files"
