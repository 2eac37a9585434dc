#!/usr/bin/env bash
# Makes one client and prints where it is: build.sh helm|k9s|sonobuoy|operator|watches|python|node
# Go programs come from their modules (a go.mod for each, since they pin different versions of the same libraries), the
# Python and JavaScript clients from PyPI and npm. What was made stays under build/clients.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "$here/../.." && pwd)/build/clients
name=${1:?usage: build.sh NAME}
mkdir -p "$out"

need() { command -v "$1" >/dev/null || { echo "building $name needs $2" >&2; exit 3; }; }

go_program() { # package
  if [[ ! -x $out/$name || -n $(find "$here/$name" -newer "$out/$name" -type f) ]]; then
    need go "Go 1.26 or newer on the PATH (https://go.dev/dl)"
    (cd "$here/$name" && CGO_ENABLED=0 nice -n 15 go build -ldflags "-s -w" -o "$out/$name" "$1") >&2
  fi
  echo "$out/$name"
}

case $name in
  helm) go_program helm.sh/helm/v3/cmd/helm ;;
  k9s) go_program github.com/derailed/k9s ;;
  sonobuoy) go_program github.com/vmware-tanzu/sonobuoy ;;
  operator | watches) go_program . ;;
  python)
    if ! cmp -s "$here/python/requirements.txt" "$out/python/requirements.txt"; then
      python3 -c 'import venv, ensurepip' 2>/dev/null || { echo "building python needs Debian's python3-venv" >&2; exit 3; }
      rm -rf "$out/python"
      nice -n 15 python3 -m venv "$out/python" >&2
      nice -n 15 "$out/python/bin/pip" install --quiet --disable-pip-version-check -r "$here/python/requirements.txt" >&2
      cp "$here/python/requirements.txt" "$out/python/requirements.txt"
    fi
    echo "$out/python/bin/python"
    ;;
  node)
    need node "Node.js 18 or newer"
    need npm "npm"
    if ! cmp -s "$here/node/package.json" "$out/node/package.json" || [[ ! -d $out/node/node_modules ]]; then
      mkdir -p "$out/node"
      cp "$here/node/package.json" "$out/node/package.json.new"
      (cd "$out/node" && mv package.json.new package.json && nice -n 15 npm install --no-audit --no-fund --silent) >&2 ||
        { rm -f "$out/node/package.json"; exit 1; }
    fi
    echo "$out/node"
    ;;
  *)
    echo "build.sh: unknown client $name" >&2
    exit 2
    ;;
esac
