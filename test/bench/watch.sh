#!/usr/bin/env bash
# One event to thousands of watchers over TLS, by HTTP/1.1 with a connection each and by HTTP/2 as client-go watches, knarr and
# upstream's kube-apiserver over kine in the same run.
#   WATCHERS=1000,5000,10000 EVENTS=10 test/bench/watch.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/servers.sh"
build_clients watch
ulimit -n "$(ulimit -Hn)"
crowd() { client watch --protocol "$1" --watchers "${WATCHERS:-1000,5000,10000}" --events "${EVENTS:-10}"; }
http1() { crowd http1; }
http2() { crowd http2; }
paired "kube-apiserver + kine" http1 http2
