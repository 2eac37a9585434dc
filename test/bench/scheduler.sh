#!/usr/bin/env bash
# How fast pods find their nodes among 1,000 and 5,000, knarr and upstream's kube-scheduler with kube-apiserver over kine in the same run.
#   NODES="1000 5000" PODS=1000 test/bench/scheduler.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/servers.sh"
build_clients scheduler
scheduler=$(test/upstream/build.sh kube-scheduler)
for nodes in ${NODES:-1000 5000}; do
  measure() { # who
    if [[ $1 == upstream ]]; then
      "$scheduler" --kubeconfig="$(dirname "$ca")/kubeconfig" --leader-elect=false --bind-address=127.0.0.1 --secure-port="$(free_port)" \
        >"$work/scheduler.log" 2>&1 &
      pids=($! "${pids[@]}")
    fi
    client scheduler --nodes "$nodes" --pods "${PODS:-1000}"
  }
  ROUNDS=1 paired "kube-apiserver + kine + kube-scheduler" measure >"$work/table"
  rm "$work"/*.tsv
  rm -rf "$work"/knarr-measure-0 "$work"/upstream-measure-0
  if [[ -z ${headed:-} ]]; then cat "$work/table"; else tail -n +3 "$work/table"; fi
  headed=yes
done
