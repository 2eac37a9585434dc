#!/usr/bin/env bash
# Real clients against a fresh knarr: run.sh [--quick] [NAME...]
# NAMEs: kubectl operations helm python node operator watches sites k9s sonobuoy (all when none is given). --quick: kubectl and python.
# Each is built or installed from its package registry and kept under build/clients. A test's log is in build/test-logs.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
if [[ ${1:-} == -h || ${1:-} == --help ]]; then sed -n '2,4s/^# \{0,1\}//p' run.sh; exit 0; fi
if [[ ${1:-} == --quick ]]; then set -- kubectl python; fi
(($#)) || set -- kubectl operations helm python node operator watches sites k9s sonobuoy
exec python3 clients.py "$@"
