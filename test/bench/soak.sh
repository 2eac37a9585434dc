#!/usr/bin/env bash
# An hour (MINUTES=60) of mild mixed load on a server with its agent: does anything grow? Samples go to standard error, once a
# minute; the figures at the end are name<TAB>value lines.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
knarr=${KNARR:-build/release/knarr}
data=$(mktemp -d /tmp/knarr-soak-XXXXXX)
free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }
port=$(free_port)
"$knarr" server --data-dir "$data" --listen "127.0.0.1:$port" --node-name soak --node-port "$(free_port)" --cluster-cidr 10.88.0.0/16 2>"$data.log" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; "$knarr" uninstall --data-dir "$data" >/dev/null; rm -f "$data.log" "$data.tar"' EXIT
until [[ -s $data/agent.lock && -s $data/kubeconfig ]]; do
  kill -0 $server || { cat "$data.log" >&2; exit 1; }
  sleep 0.1
done
examples/make-image.sh knarr.local/busybox:1 "$data.tar" >/dev/null
"$knarr" image import --data-dir "$data" "$data.tar" >/dev/null
test/bench/soak.py --port "$port" --ca "$data/pki/ca.crt" --cert "$data/pki/admin.crt" --key "$data/pki/admin.key" --database "$data/db" \
  --server $server --agent "$(<"$data/agent.lock")" --image knarr.local/busybox:1 --minutes "${MINUTES:-60}"
