#!/usr/bin/env bash
# The API server against upstream's over kine/SQLite: the same client does the same work on both, one after the other in the same
# run, ROUNDS times in turn; prints the median of each figure, the peer's, and the ratio. ROUNDS=1 OBJECTS=5000 test/bench/api.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
knarr=${KNARR:-build/release/knarr}
rounds=${ROUNDS:-1}
objects=${OBJECTS:-5000}
work=$(mktemp -d /tmp/knarr-bench-XXXXXX)
pids=()
stop() {  # one after the other, in the order of pids: upstream's API server hangs when its kine goes first
  local pid tries
  for pid in "${pids[@]}"; do
    kill "$pid" 2>/dev/null || true
    for ((tries = 0; tries < 200; tries++)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.05
    done
    kill -KILL "$pid" 2>/dev/null || true
  done
  pids=()
}
trap 'stop; rm -rf "$work"' EXIT

free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }

measure() { # name url ca cert key pids ready-ms
  {
    printf 'ready_ms\t%s\n' "$7"
    build/release/bench_api --url "$2" --ca "$3" --cert "$4" --key "$5" --pids "$6" --objects "$objects"
  } >>"$work/$1.tsv"
}

for ((round = 0; round < rounds; round++)); do
  dir=$work/knarr-$round
  port=$(free_port)
  begun=$(date +%s%N)
  "$knarr" server --disable-agent --data-dir "$dir" --listen "127.0.0.1:$port" 2>"$work/knarr.log" &
  pids=($!)
  until [[ -s $dir/kubeconfig ]] && curl -sf --noproxy '*' --cacert "$dir/pki/ca.crt" "https://127.0.0.1:$port/readyz" >/dev/null; do
    kill -0 "${pids[0]}" || { cat "$work/knarr.log" >&2; exit 1; }
    sleep 0.005
  done
  ready=$((($(date +%s%N) - begun) / 1000000))
  measure knarr "https://127.0.0.1:$port" "$dir/pki/ca.crt" "$dir/pki/admin.crt" "$dir/pki/admin.key" "${pids[0]}" "$ready"
  stop

  dir=$work/upstream-$round
  port=$(free_port)
  test/upstream/apiserver.sh "$dir" "$port" </dev/null >/dev/null
  pids=("$(cat "$dir/apiserver.pid")" "$(cat "$dir/kine.pid")")
  measure upstream "https://127.0.0.1:$port" "$dir/ca.crt" "$dir/admin.crt" "$dir/admin.key" "${pids[0]},${pids[1]}" "$(cat "$dir/ready-ms")"
  stop
done

test/bench/table.py "$work/knarr.tsv" "$work/upstream.tsv" "kube-apiserver + kine"
