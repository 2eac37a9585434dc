#!/bin/bash
# run.sh [seconds] [target...]: builds the fuzz targets (preset `fuzz`) and runs each for a while (default 10 s) from an empty
# corpus that is thrown away. A finding stops the run; its input is left in build/fuzz/findings.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-10}
shift || true
third_party/pins/install.sh debian-fuzz.txt
cmake --preset fuzz
if [ $# -gt 0 ]; then
  targets=("${@/%_fuzz/}")
  targets=("${targets[@]/%/_fuzz}")
else
  targets=()
  for file in test/fuzz/*_fuzz.cpp test/fuzz/http_*.cpp; do
    [ -f "$file" ] || continue
    name=$(basename "$file" .cpp)
    targets+=("${name%_fuzz}_fuzz")
  done
fi
cmake --build build/fuzz --target "${targets[@]}"
corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
mkdir -p build/fuzz/findings
for target in "${targets[@]}"; do
  echo "fuzz: $target for $seconds s"
  mkdir -p "$corpus/$target"
  "build/fuzz/$target" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1 \
    -artifact_prefix=build/fuzz/findings/ "$corpus/$target" 2>"$corpus/log" || { cat "$corpus/log"; exit 1; }
  grep -E "number_of_executed_units" "$corpus/log" || true
done
echo "fuzz: nothing found"
