# Sourced by the paired benchmarks: starts knarr's server or upstream's in a directory of this run, sets url, ca, cert, key and
# pids (an array), and stops them again. Everything is gone when the script ends.
#   paired PEER measure-function...    runs each function on servers of its own, and prints the table of what they wrote
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
knarr=${KNARR:-build/release/knarr}
work=$(mktemp -d /tmp/knarr-bench-XXXXXX)
pids=()

free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }

stop_servers() {  # one after the other, in the order of pids: upstream's API server hangs when its kine goes first
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
trap 'stop_servers; rm -rf "$work"' EXIT

start_knarr() { # directory; further options to the server
  local dir=$1 port
  shift
  port=$(free_port)
  local begun
  begun=$(date +%s%N)
  "$knarr" server --disable-agent --data-dir "$dir" --listen "127.0.0.1:$port" "$@" 2>"$work/knarr.log" &
  pids=($!)
  until [[ -s $dir/kubeconfig ]] && curl -sf --noproxy '*' --cacert "$dir/pki/ca.crt" "https://127.0.0.1:$port/readyz" >/dev/null; do
    kill -0 "${pids[0]}" || { cat "$work/knarr.log" >&2; exit 1; }
    sleep 0.005
  done
  ready_ms=$((($(date +%s%N) - begun) / 1000000))
  url=https://127.0.0.1:$port ca=$dir/pki/ca.crt cert=$dir/pki/admin.crt key=$dir/pki/admin.key
}

start_upstream() { # directory
  local dir=$1 port
  port=$(free_port)
  test/upstream/apiserver.sh "$dir" "$port" </dev/null >/dev/null
  pids=("$(<"$dir/apiserver.pid")" "$(<"$dir/kine.pid")")
  ready_ms=$(<"$dir/ready-ms")
  url=https://127.0.0.1:$port ca=$dir/ca.crt cert=$dir/admin.crt key=$dir/admin.key
}

# client NAME arguments...: a benchmark client on the servers that run.
client() {
  local name=$1
  shift
  "build/release/bench_$name" --url "$url" --ca "$ca" --cert "$cert" --key "$key" --pids "$(IFS=,; echo "${pids[*]}")" "$@"
}

build_clients() { # names; BUILD=no: they are there
  [[ ${BUILD:-yes} == no ]] && return
  cmake --preset release >/dev/null
  cmake --build --preset release --target knarr "${@/#/bench_}" >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log" >&2; exit 1; }
}

paired() { # name of the peer, functions
  local peer=$1 round function
  shift
  for ((round = 0; round < ${ROUNDS:-1}; round++)); do
    for function; do
      start_knarr "$work/knarr-$function-$round"
      "$function" knarr >>"$work/knarr.tsv"
      stop_servers
      start_upstream "$work/upstream-$function-$round"
      "$function" upstream >>"$work/upstream.tsv"
      stop_servers
    done
  done
  test/bench/table.py "$work/knarr.tsv" "$work/upstream.tsv" "$peer"
}
