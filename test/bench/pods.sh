#!/usr/bin/env bash
# Starts a knarr of its own and measures pod start with test/bench/pods.py: COUNT=30 test/bench/pods.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
data=$(mktemp -d /tmp/knarr-pods-XXXXXX)
kubectl=$(test/upstream/build.sh kubectl)
port=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])')
build/release/knarr server --data-dir "$data" --listen "127.0.0.1:$port" --node-name bench --node-port "$((port + 1))" 2>"$data.log" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; build/release/knarr uninstall --data-dir "$data" >/dev/null; rm -f "$data.log"' EXIT
until [[ -s $data/kubeconfig ]] && "$kubectl" --kubeconfig "$data/kubeconfig" wait --for=condition=Ready node/bench --timeout=20s >/dev/null 2>&1; do sleep 0.1; done
examples/make-image.sh knarr.local/busybox:1 "$data/busybox.tar" >/dev/null
build/release/knarr image import --data-dir "$data" "$data/busybox.tar" >/dev/null
test/bench/pods.py --kubectl "$kubectl" --kubeconfig "$data/kubeconfig" --image knarr.local/busybox:1 --count "${COUNT:-30}"
