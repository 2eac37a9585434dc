#!/usr/bin/env bash
# The benchmarks one after the other, as Markdown on standard output: run.sh [NAME...], by default all but the soak of an hour
# (api pods runtime scheduler watch memory idle; about half an hour). What a script says besides goes to standard error.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
declare -A titles=(
  [api]="API: 5,000 ConfigMaps of 1.4 kB, 8 clients over TLS" [pods]="Pods, one after the other: created → Running"
  [runtime]="Containers without Kubernetes" [scheduler]="Scheduling 1,000 pods" [watch]="One event to many watchers over TLS"
  [memory]="Server memory over objects of 1 kB" [idle]="Idle, five minutes" [soak]="Soak"
)
names=("$@")
(($#)) || names=(api pods runtime scheduler watch memory idle)
failed=0
values=$(mktemp)
trap 'rm -f "$values"' EXIT
for name in "${names[@]}"; do
  [[ -n ${titles[$name]:-} ]] || { echo "run.sh: no benchmark $name; there are: ${!titles[*]}" >&2; exit 2; }
  printf '### %s\n`test/bench/%s.sh`\n\n' "${titles[$name]}" "$name"
  case $name in
    idle | soak) { ./$name.sh >"$values" && ./table.py "$values"; } || failed=1 ;;
    *) "./$name.sh" || failed=1 ;;
  esac
  echo
done
exit $failed
