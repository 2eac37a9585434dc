#!/bin/bash
# run.sh [seconds] [target...]: builds the fuzz targets (preset `fuzz`, clang) and runs each for a while (default 10 s) from the
# seeds in corpus/; what it finds out on the way is thrown away. A failure stops the run; its input is left in build/fuzz/findings.
# run.sh --smoke BUILD-DIRECTORY [seconds]: the same targets of a sanitizer build, with mutations of the seeds in a fixed order.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [[ ${1:-} == --smoke ]]; then
  build=${2:?run.sh --smoke needs a build directory}
  for program in "$build"/*_fuzz; do
    name=$(basename "$program" _fuzz)
    tried=$(timeout 300 "$program" "test/fuzz/corpus/$name" "${3:-2}") || { echo "$name failed" >&2; exit 1; }
    echo "$name: $tried"
  done
  exit 0
fi
seconds=${1:-10}
shift || true
third_party/pins/install.sh debian-fuzz.txt
cmake --preset fuzz
if [ $# -gt 0 ]; then
  targets=("${@/%_fuzz/}")
  targets=("${targets[@]/%/_fuzz}")
else
  targets=()
  for file in test/fuzz/*_fuzz.cpp; do
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
    -artifact_prefix=build/fuzz/findings/ "$corpus/$target" "test/fuzz/corpus/${target%_fuzz}" 2>"$corpus/log" || { cat "$corpus/log"; exit 1; }
  grep -E "number_of_executed_units" "$corpus/log" || true
done
echo "fuzz: nothing found"
