#!/usr/bin/env bash
# What an idle node costs: CPU and disk writes of server and agent over SECONDS_IDLE seconds (300), and their memory.
# A first minute passes before, in which informers sync and files settle. Prints name<TAB>value lines.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
knarr=${KNARR:-build/release/knarr}
span=${SECONDS_IDLE:-300}
settle=${SECONDS_SETTLE:-60}
data=$(mktemp -d /tmp/knarr-idle-XXXXXX)
port=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])')
"$knarr" server --data-dir "$data" --listen "127.0.0.1:$port" --node-name idle --node-port "$((port + 1))" 2>"$data.log" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; "$knarr" uninstall --data-dir "$data" >/dev/null; rm -f "$data.log"' EXIT
until [[ -s $data/agent.lock && -s $data/kubeconfig ]]; do sleep 0.1; done
sleep "$settle"
agent=$(<"$data/agent.lock")
ticks() { awk '{print $14 + $15}' <(sed 's/.*) /x x /' "/proc/$1/stat") ; }
written() { awk '/^write_bytes/ {print $2}' "/proc/$1/io"; }
rss() { awk '/^VmRSS/ {print $2}' "/proc/$1/status"; }
private() { awk '/^Private_(Clean|Dirty)/ {s += $2} END {print s}' "/proc/$1/smaps_rollup"; }
s0=$(ticks $server) a0=$(ticks "$agent") ws0=$(written $server) wa0=$(written "$agent")
sleep "$span"
hz=$(getconf CLK_TCK)
s1=$(ticks $server) a1=$(ticks "$agent") ws1=$(written $server) wa1=$(written "$agent")
awk -v s=$((s1 - s0)) -v a=$((a1 - a0)) -v hz="$hz" -v t="$span" 'BEGIN {
  printf "idle_server_cpu_percent\t%.3f\nidle_agent_cpu_percent\t%.3f\n", 100 * s / hz / t, 100 * a / hz / t }'
printf 'idle_server_written_bytes\t%d\nidle_agent_written_bytes\t%d\n' $((ws1 - ws0)) $((wa1 - wa0))
printf 'server_rss_kib\t%d\nagent_rss_kib\t%d\nserver_private_kib\t%d\nagent_private_kib\t%d\n' \
  "$(rss $server)" "$(rss "$agent")" "$(private $server)" "$(private "$agent")"
