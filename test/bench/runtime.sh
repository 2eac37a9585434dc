#!/usr/bin/env bash
# A pod's sandbox and container from nothing to running, and the memory of its shim, beside Debian's runc, crun and podman with
# the same program from the same root: PODS=20 test/bench/runtime.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
third_party/pins/install.sh debian-peer.txt >/dev/null
if [[ ${BUILD:-yes} != no ]]; then
  cmake --preset release >/dev/null
  cmake --build --preset release --target bench_runtime knarr >/dev/null
fi
lines=$(build/release/bench_runtime --knarr "$(realpath "${KNARR:-build/release/knarr}")" --pods "${PODS:-20}")
echo "| from nothing to a running program | p50 | p99 |"
echo "|---|---|---|"
sed -nE 's/^(.*[^ ]) +p50 +([0-9.]+ ms) +p99 +([0-9.]+ ms).*/| \1 | \2 | \3 |/p' <<<"$lines"
grep -E '^knarr shim|does not run' <<<"$lines" | sed 's/^/\n/'
