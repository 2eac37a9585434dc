#!/usr/bin/env bash
# How long a pod takes from its creation to Running, on knarr and on upstream (kube-apiserver over kine, controller-manager, scheduler,
# kubelet, Debian's containerd and runc) in the same run: COUNT=30 test/bench/pods.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
knarr=${KNARR:-build/release/knarr}
count=${COUNT:-30}
third_party/pins/install.sh debian-peer.txt
kubectl=$(test/upstream/build.sh kubectl)
work=$(mktemp -d /tmp/knarr-pods-XXXXXX)
image=$work/busybox.tar
examples/make-image.sh knarr.local/busybox:1 "$image" >/dev/null
free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }

measure_knarr() {
  local data=$work/knarr port
  port=$(free_port)
  "$knarr" server --data-dir "$data" --listen "127.0.0.1:$port" --node-name bench --node-port "$(free_port)" 2>"$work/knarr.log" &
  local server=$!
  trap "kill $server 2>/dev/null; wait $server 2>/dev/null; $knarr uninstall --data-dir $data >/dev/null; rm -rf $work" EXIT
  until [[ -s $data/kubeconfig ]] && "$kubectl" --kubeconfig "$data/kubeconfig" wait --for=condition=Ready node/bench --timeout=20s >/dev/null 2>&1; do
    kill -0 $server
    sleep 0.1
  done
  "$knarr" image import --data-dir "$data" "$image" >/dev/null
  test/bench/pods.py --kubectl "$kubectl" --kubeconfig "$data/kubeconfig" --image knarr.local/busybox:1 --count "$count" >"$work/knarr.tsv"
  kill $server
  wait $server || true
  "$knarr" uninstall --data-dir "$data" >/dev/null
}

measure_upstream() {
  local dir=$work/upstream port
  port=$(free_port)
  test/upstream/apiserver.sh "$dir" "$port" </dev/null
  trap "test/upstream/node.sh --stop $dir; kill -KILL \$(cat $dir/apiserver.pid $dir/kine.pid); sleep 1; rm -rf $work" EXIT
  test/upstream/node.sh "$dir" "$port" "$image" </dev/null
  test/bench/pods.py --kubectl "$kubectl" --kubeconfig "$dir/kubeconfig" --image knarr.local/busybox:1 --count "$count" \
    --shim containerd-shim-runc-v2 >"$work/upstream.tsv"
  test/upstream/node.sh --stop "$dir"
  kill -KILL $(cat "$dir/apiserver.pid" "$dir/kine.pid")
  trap 'sleep 1; rm -rf "$work"' EXIT
}

measure_knarr
measure_upstream
test/bench/table.py "$work/knarr.tsv" "$work/upstream.tsv" "upstream"
