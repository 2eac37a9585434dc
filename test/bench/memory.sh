#!/usr/bin/env bash
# The server's memory over the number of its objects (ConfigMaps of 1 kB), knarr and upstream's kube-apiserver over kine in the same run.
#   OBJECTS=1000,10000,100000 test/bench/memory.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/servers.sh"
build_clients memory
measure() { client memory --objects "${OBJECTS:-1000,10000,100000}"; }
paired "kube-apiserver + kine" measure
