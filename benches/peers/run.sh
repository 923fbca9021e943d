#!/usr/bin/env bash
# Everything, on a fresh machine: the peers from PyPI, this project's release binary, then run.py with the given arguments.
# Python 3.10 to 3.12, GNU time (JSTprove calls /usr/bin/time) and 12 GB of disk, 6 of them for PyTorch, are needed.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
target="${CARGO_TARGET_DIR:-$root/target}"
venv="${PEERS_VENV:-$target/peers-venv}"
output="${PEERS_OUTPUT:-$target/peers}"

if [ ! -x /usr/bin/time ]; then
    echo "JSTprove needs /usr/bin/time: apt-get install time" >&2
    exit 2
fi
cargo build --release --workspace --bin zkonnx --manifest-path "$root/Cargo.toml"
if [ ! -x "$venv/bin/python" ]; then python3 -m venv "$venv"; fi
"$venv/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check -r "$here/requirements.txt"
exec "$venv/bin/python" "$here/run.py" --zkonnx "$target/release/zkonnx" -o "$output" "$@"
