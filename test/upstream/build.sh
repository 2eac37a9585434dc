#!/usr/bin/env bash
# Builds one of upstream's programs from its Go module and prints where it is:
# build.sh kubectl|kube-apiserver|kube-controller-manager|kube-scheduler|kubelet|kine|protojson
# What was built stays under build/upstream/ for the next call.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "$here/../.." && pwd)/build/upstream
version=1.36.3
name=${1:?usage: build.sh NAME}
program=$out/$name-$version
[[ $name == kine ]] && program=$out/kine

if [[ ! -x $program || ($name == protojson && $here/protojson/main.go -nt $program) ]]; then
  if ! command -v go >/dev/null; then
    echo "building $name needs Go 1.26 or newer on the PATH (https://go.dev/dl)" >&2
    exit 1
  fi
  mkdir -p "$out"
  case $name in
    kine)
      # A module of its own: kine and Kubernetes pin different etcd versions.
      (cd "$here/kine" && CGO_ENABLED=1 go build -tags sqlite -ldflags "-s -w" -o "$program" github.com/k3s-io/kine) >&2
      ;;
    kubectl | kube-apiserver | kube-controller-manager | kube-scheduler | kubelet)
      v=k8s.io/component-base/version
      (cd "$here" && go build -ldflags "-s -w -X $v.gitVersion=v$version -X $v.gitMajor=1 -X $v.gitMinor=36" \
        -o "$program" "k8s.io/kubernetes/cmd/$name") >&2
      ;;
    protojson)
      (cd "$here" && go build -o "$program" ./protojson) >&2
      ;;
    *)
      echo "build.sh: unknown program $name" >&2
      exit 2
      ;;
  esac
fi
echo "$program"
