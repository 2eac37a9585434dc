#!/usr/bin/env bash
# The API server against upstream's over kine/SQLite: the same client does the same work on both, one after the other in the same
# run, ROUNDS times in turn; prints the median of each figure, the peer's, and the ratio. ROUNDS=1 OBJECTS=5000 test/bench/api.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/servers.sh"
build_clients api
measure() {
  printf 'ready_ms\t%s\n' "$ready_ms"
  client api --objects "${OBJECTS:-5000}"
}
paired "kube-apiserver + kine" measure
