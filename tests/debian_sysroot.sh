#!/usr/bin/env bash
# Rust's standard library for TARGET, where rustup's toolchain has none: built into FOLDER, a sysroot, from Debian's sources of it, for Debian's
# compiler of the same version. Nothing is fetched. It is kept until that compiler's version changes.
#
#     apt-get install --no-install-recommends rustc-web cargo-web rust-web-src      # Debian 12, with its security updates
#     tests/debian_sysroot.sh TARGET FOLDER
set -euo pipefail
target=$1 folder=$2
cargo=/usr/bin/cargo rustc=/usr/bin/rustc
if ! [ -x "$cargo" ] || ! [ -x "$rustc" ]; then echo "Debian's cargo and rustc are not installed" >&2; exit 1; fi
library="$("$rustc" --print sysroot)/lib/rustlib/src/rust/library"
if ! [ -d "$library/vendor" ]; then echo "the sources of Debian's standard library are not installed" >&2; exit 1; fi
built="$folder/lib/rustlib/$target"
version="$("$rustc" --version)"
if [ "$(cat "$built/version" 2>/dev/null)" = "$version" ]; then exit; fi

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/src" "$work/.cargo"
: > "$work/src/lib.rs"
cat > "$work/Cargo.toml" <<'END'
[package]
name = "empty"
version = "0.0.0"
edition = "2021"
[workspace]
END
cat > "$work/.cargo/config.toml" <<END
[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "$library/vendor"
END
# A standard library can only be built by a compiler that says it is unstable; what is built with it later need not.
(cd "$work" && env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_TARGET RUSTC="$rustc" RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$work/target" \
    "$cargo" build --release --offline -Zbuild-std=std,panic_abort,test --target "$target")
rm -rf "$built"
mkdir -p "$built/lib"
cp "$work/target/$target/release/deps/"*.rlib "$built/lib/"
rm "$built/lib/"libempty-*.rlib
echo "$version" > "$built/version"
