#!/usr/bin/env bash
# clang's thread-safety analysis (-Wthread-safety) of every source file that takes a lock of knarr/base/sync.h or includes a
# header of its module that declares one. Prints the findings; exit 1 when there is one.
#
#   test/lint/thread-safety.sh [FILE.cpp...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
generated=build/release/generated/schema/include
[[ -d $generated ]] || { echo "thread-safety: build the release preset first: it makes $generated" >&2; exit 1; }
if (($#)); then
  files=("$@")
else
  # Members that are guarded are named in private headers; who includes one of those may touch them.
  headers=$(grep -rlE 'KNARR_(GUARDED_BY|REQUIRES|EXCLUDES)|\bMutex ' src include --include='*.h' | sed -E 's#^(src|include)/##' | paste -sd'|')
  mapfile -t files < <(grep -rlE "\b(Mutex|Lock|ReadLock|WriteLock) |#include \"($headers)\"" src --include='*.cpp' | grep -v '^src/schema/gen/')
fi
check() {
  clang++ -std=c++20 -fsyntax-only -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Iinclude -Isrc -I"$1" \
    -Wno-everything -Wthread-safety -Werror "$2"
}
export -f check
printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -I{} bash -c 'check "$0" "$1"' "$generated" {}
echo "thread-safety: ${#files[@]} files, nothing found"
