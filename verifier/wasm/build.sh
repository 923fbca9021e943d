#!/usr/bin/env bash
# Builds the verifier for WebAssembly and runs its Node test: with rustup's toolchain where it has the target, else with Debian's. Ends with 0 and
# says so where there is neither.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=wasm32-unknown-unknown
out="$(realpath -m "${CARGO_TARGET_DIR:-target}")"
module="$out/wasm/$target/release/zkonnx_verifier_c.wasm"

node --check verifier/wasm/test.mjs
build() {
    CARGO_TARGET_DIR="$out/wasm" CARGO_PROFILE_RELEASE_STRIP=symbols "$@" \
        build --release --locked -p zkonnx-verifier-c --no-default-features --target "$target" --lib
}
if [ -d "$(rustc --print target-libdir --target "$target")" ]; then
    build cargo
elif tests/debian_sysroot.sh "$target" "$out/debian-sysroot"; then
    # Debian's compiler comes without a linker for the target; rustup's comes with one for every target.
    host="$(rustc -vV | sed -n 's/^host: //p')"
    linker="$(rustc --print sysroot)/lib/rustlib/$host/bin/rust-lld"
    RUSTC=/usr/bin/rustc CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$linker" \
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="--sysroot=$out/debian-sysroot" build /usr/bin/cargo
else
    echo "not built: no standard library for $target (rustup target add $target, or tests/debian_sysroot.sh)"
    [ -z "${ZKONNX_REQUIRE_WASM:-}" ] || exit 1
    exit 0
fi
files="$out/wasm-test"
cargo run --release -p zkonnx-verifier-c --example write_files -- "$files"
node verifier/wasm/test.mjs "$module" "$files"
echo "$module: $(stat -c %s "$module") bytes, $(gzip -9 -c "$module" | wc -c) with gzip"
