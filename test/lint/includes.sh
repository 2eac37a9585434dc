#!/usr/bin/env bash
# The direction of includes: a module may include only itself and modules above it in src/CMakeLists.txt's list, and no file may
# include another module's private headers. Prints each wrong include; exit 1 when there is one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
read -r -a order <<<"$(sed -n 's/^foreach(module \(.*\))/\1/p' src/CMakeLists.txt)"
declare -A rank
for i in "${!order[@]}"; do rank[${order[$i]}]=$i; done
bad=0
while IFS=: read -r file line text; do
  module=$(cut -d/ -f2 <<<"$file")
  [[ $file == include/* ]] && module=$(cut -d/ -f3 <<<"$file")
  [[ -n ${rank[$module]:-} ]] || continue
  target=$(sed -E 's/.*#include "([^"]+)".*/\1/' <<<"$text")
  if [[ $target == knarr/* ]]; then
    other=$(cut -d/ -f2 <<<"$target")
  else
    other=$(cut -d/ -f1 <<<"$target")
    [[ -n ${rank[$other]:-} && $target == */* ]] || continue
    if [[ $other != "$module" ]]; then
      echo "$file:$line: includes a private header of $other: $target"
      bad=1
      continue
    fi
  fi
  if [[ -z ${rank[$other]:-} ]]; then
    echo "$file:$line: $target names no module"
    bad=1
  elif ((rank[$other] > rank[$module])); then
    echo "$file:$line: $module may not include $target: $other stands below it"
    bad=1
  fi
done < <(grep -rnE '^#include "' src include --include='*.h' --include='*.cpp' || true)
exit $bad
