#!/usr/bin/env bash
# From an empty machine to a running application: installs what is missing, builds knarr, starts a cluster, makes an image from
# Debian's static busybox, applies examples/web.yaml with kubectl and shows the application's answer.
#
#   examples/quickstart.sh          leaves the cluster running and says how to go on
#   examples/quickstart.sh --once   takes everything down again
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
once=false
[[ ${1:-} == --once ]] && once=true
if ((EUID != 0)); then
  echo "quickstart: the node part of knarr makes namespaces and mounts; run this as root (sudo $0 $*)" >&2
  exit 1
fi

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1. Packages and build"
third_party/pins/install.sh debian-build.txt debian-test.txt
cmake --preset release >/dev/null
cmake --build --preset release --target knarr | tail -n 1
knarr=$root/build/release/knarr

# An unmodified kubectl: the machine's, when it is of a version that goes with 1.36, else upstream's module.
kubectl=$(command -v kubectl || true)
if [[ -z $kubectl ]] || ! "$kubectl" version --client 2>/dev/null | grep -qE 'v1\.3[5-7]\.'; then
  echo "building kubectl from its Go module (once)"
  kubectl=$(test/upstream/build.sh kubectl)
fi

say "2. A cluster"
data=$(mktemp -d /tmp/knarr-quickstart-XXXXXX)
port=6443
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
log=$data.log
"$knarr" server --data-dir "$data" --listen "127.0.0.1:$port" --node-name "quickstart" >"$log" 2>&1 &
server=$!
finish() {
  local code=$?
  if ((code != 0)); then
    echo "quickstart failed; the last lines of $log:" >&2
    tail -n 15 "$log" >&2
  fi
  if $once || ((code != 0)); then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    "$knarr" uninstall --data-dir "$data" || true
    $once && ((code == 0)) && rm -f "$log"
  fi
  exit "$code"
}
trap finish EXIT
export KUBECONFIG=$data/kubeconfig
for _ in $(seq 100); do  # until the node has registered
  [[ -s $KUBECONFIG ]] && "$kubectl" get node quickstart >/dev/null 2>&1 && break
  kill -0 "$server" 2>/dev/null || exit 1
  sleep 0.1
done
"$kubectl" wait --for=condition=Ready node/quickstart --timeout=30s

say "3. An image, without any registry"
examples/make-image.sh knarr.local/busybox:1 "$data/busybox.tar"
"$knarr" image import --data-dir "$data" "$data/busybox.tar"
rm -f "$data/busybox.tar"

say "4. The application"
"$kubectl" apply -f examples/web.yaml
"$kubectl" wait -n demo --for=condition=Ready pod --all --timeout=60s
"$kubectl" get pods -n demo -o wide

say "5. Its answer, over the pod network"
address=$("$kubectl" get pod web -n demo -o 'jsonpath={.status.podIP}')
echo "GET http://$address:8080/"
curl -sS --noproxy '*' --max-time 10 "http://$address:8080/"

if $once; then
  say "6. Taking it down"
  "$kubectl" delete namespace demo --wait --timeout=60s
else
  trap - EXIT
  disown "$server"
  say "The cluster keeps running (pid $server, log $log). Go on with:"
  cat <<TEXT
  export KUBECONFIG=$KUBECONFIG
  $kubectl get pods -A
  $kubectl logs -n demo -f clock
  kill $server; $knarr uninstall --data-dir $data     # ends it and removes everything
TEXT
fi
