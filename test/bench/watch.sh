#!/usr/bin/env bash
# One event to thousands of watchers over TLS, knarr and upstream's kube-apiserver over kine in the same run.
#   WATCHERS=1000,5000,10000 EVENTS=10 test/bench/watch.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/servers.sh"
build_clients watch
ulimit -n "$(ulimit -Hn)"
measure() { client watch --watchers "${WATCHERS:-1000,5000,10000}" --events "${EVENTS:-10}"; }
paired "kube-apiserver + kine" measure
