#!/usr/bin/env bash
# Installs the Debian packages of the given lists that are missing: install.sh debian-build.txt [debian-test.txt ...]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
missing=()
for list in "$@"; do
  while read -r package; do
    [[ -z $package || $package == \#* ]] && continue
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done <"$here/$list"
done
((${#missing[@]})) || exit 0
if ! command -v apt-get >/dev/null; then
  echo "missing Debian packages, and no apt-get here to install them: ${missing[*]}" >&2
  exit 1
fi
sudo=()
((EUID == 0)) || sudo=(sudo)
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${sudo[@]}" apt-get update -q && "${sudo[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "apt-get could not install: ${missing[*]}" >&2
  exit 1
fi
