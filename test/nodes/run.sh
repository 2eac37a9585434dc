#!/usr/bin/env bash
# Several nodes on one machine, in network namespaces: run.sh [--quick] [TEST...]
# A TEST is a name as unittest wants it (Partition, Joining.test_a_worker_gets_another_address); without one all are run,
# with --quick the one of two nodes that CI runs.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
if [[ ${1:-} == -h || ${1:-} == --help ]]; then sed -n '2,4s/^# \{0,1\}//p' run.sh; exit 0; fi
if ((EUID != 0)); then echo "nodes: skipped, network namespaces need root"; exit 0; fi
for tool in ip tc nft; do
  command -v $tool >/dev/null || { echo "nodes: $tool is missing (Debian packages iproute2, nftables)" >&2; exit 1; }
done
if [[ ${1:-} == --quick ]]; then set -- Quick; fi
names=()
for name; do names+=("nodes_test.$name"); done
exec python3 -m unittest -v "${names[@]:-nodes_test}"
