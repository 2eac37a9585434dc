#!/usr/bin/env bash
# All benchmarks, one after the other: api (against upstream), pods, idle.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
./api.sh
echo
./pods.sh
echo
./idle.sh
