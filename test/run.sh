#!/usr/bin/env bash
# Installs what the tests need, builds, and runs them. The closing line counts them: "N passed, N failed".
#
#   test/run.sh                   what CI runs: unit tests (release, asan, tsan), black-box tests, lint
#   test/run.sh --preset NAME     unit and black-box tests of one preset: release, debug, asan or tsan
#   test/run.sh --all             also the slow ones: the black-box suite under asan and tsan, benchmarks, fuzzing, virtual machines
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
all=false
presets=()
while (($#)); do
  case $1 in
    --all) all=true ;;
    --preset) presets+=("${2:?--preset needs a name}"); shift ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "run.sh: unknown option $1; see --help" >&2; exit 2 ;;
  esac
  shift
done

third_party/pins/install.sh debian-build.txt debian-test.txt || exit 1
passed=0
failed=0
skipped=0
flaky=()  # what failed and then passed when it was run once more: shown at the end, to be looked at
logs=$root/build/test-logs
export TSAN_OPTIONS=suppressions=$root/test/tsan.supp
mkdir -p "$logs"

# twice LOG COMMAND...: succeeds when the command does, or does when it is run once more: machines are noisy, and what waits for
# something can wait too short. The first failure is kept in LOG.first and told.
twice() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 && return
  mv "$log" "$log.first"
  "$@" >"$log" 2>&1 || return
  flaky+=("$log.first")
}

# check NAME COMMAND...: one test that is a program; its output is shown when it fails.
check() {
  local name=$1 begun=$SECONDS
  shift
  if twice "$logs/$name.log" "$@"; then
    passed=$((passed + 1))
    printf 'ok    %-44s %4ds\n' "$name" $((SECONDS - begun))
  else
    failed=$((failed + 1))
    printf 'FAIL  %-44s %4ds\n' "$name" $((SECONDS - begun))
    tail -n 60 "$logs/$name.log"
  fi
}

build() { # preset targets...
  local preset=$1
  shift
  cmake --preset "$preset" >"$logs/configure-$preset.log" 2>&1 || { cat "$logs/configure-$preset.log"; return 1; }
  cmake --build --preset "$preset" --target "$@" >"$logs/build-$preset.log" 2>&1 || { grep -E 'error|FAILED' -A5 "$logs/build-$preset.log" | head -n 60; return 1; }
}

units() { # preset: every Catch2 program, case by case
  local preset=$1
  for program in build/"$preset"/unit_*; do
    [[ -x $program && -f $program ]] || continue
    local name begun=$SECONDS
    name=$(basename "$program")
    local log=$logs/$preset-$name.log
    twice "$log" timeout 600 "$program"
    local code=$? line
    line=$(grep -aE '^(All tests passed|test cases:)' "$log" | tail -n 1)
    local good bad
    if [[ $line == All\ tests* ]]; then
      good=$(sed -E 's/.* in ([0-9]+) test cases?.*/\1/' <<<"$line")
      bad=0
    else
      good=$(sed -nE 's/.*\| +([0-9]+) passed.*/\1/p' <<<"$line")
      bad=$(sed -nE 's/.*\| +([0-9]+) failed.*/\1/p' <<<"$line")
    fi
    good=${good:-0}
    bad=${bad:-0}
    ((code != 0 && bad == 0)) && bad=1
    passed=$((passed + good))
    failed=$((failed + bad))
    if ((bad)); then
      printf 'FAIL  %-44s %4ds  %s\n' "$preset $name" $((SECONDS - begun)) "$line"
      tail -n 80 "$log"
    else
      printf 'ok    %-44s %4ds  %s cases\n' "$preset $name" $((SECONDS - begun)) "$good"
    fi
  done
}

black_box() { # preset
  local log=$logs/$1-e2e.log begun=$SECONDS
  export KNARR=$root/build/$1/knarr
  python3 -m unittest discover -s test/e2e -p '*_test.py' -v >"$log" 2>&1
  local code=$? good bad skips again
  # Those that failed, by class where the class could not be set up: once more.
  again=$(sed -nE 's/^(FAIL|ERROR): (setUpClass|tearDownClass|test_[A-Za-z0-9_]+) \(([A-Za-z0-9_.]+)\).*/\3/p' "$log" | sort -u)
  if ((code != 0)) && [[ -n $again ]] && (($(wc -l <<<"$again") <= 3)); then
    mv "$log" "$log.first"
    # shellcheck disable=SC2086  # a list of names
    if (cd test/e2e && python3 -m unittest -v $again) >"$log.again" 2>&1; then
      flaky+=("$log.first")
      code=0
      sed -E 's/\.\.\. (FAIL|ERROR)$/... ok/; /^(FAIL|ERROR): /d' "$log.first" >"$log"
    else
      cp "$log.first" "$log"
    fi
  fi
  unset KNARR
  good=$(grep -cE '\.\.\. ok$' "$log")
  skips=$(grep -cE '\.\.\. skipped' "$log")
  bad=$(grep -cE '\.\.\. (FAIL|ERROR)$|^(FAIL|ERROR): (setUpClass|setUpModule|[a-z_]+ \(unittest.loader)' "$log")
  ((code != 0 && bad == 0)) && bad=1
  passed=$((passed + good))
  failed=$((failed + bad))
  skipped=$((skipped + skips))
  printf '%-5s %-44s %4ds  %d passed, %d failed, %d skipped\n' "$([[ $bad == 0 ]] && echo ok || echo FAIL)" "$1 e2e" $((SECONDS - begun)) "$good" "$bad" "$skips"
  if ((bad)); then grep -vE '\.\.\. ok$' "$log" | tail -n 120; fi
}

run_preset() { # preset with_black_box
  echo "== $1"
  if build "$1" all; then
    units "$1"
    if $2; then black_box "$1"; fi
  else
    failed=$((failed + 1))
    echo "FAIL  build $1"
  fi
}

check lint-includes test/lint/includes.sh
if ((${#presets[@]})); then
  for preset in "${presets[@]}"; do run_preset "$preset" true; done
else
  run_preset release true
  [[ -x build/release/store_kill_loop ]] && check store-kill-loop build/release/store_kill_loop 200
  ((EUID == 0)) && check quickstart examples/quickstart.sh --once
  if ((EUID == 0)) && command -v go >/dev/null; then
    check conformance-quick test/conformance/run.sh --quick
    check conformance-quick-protobuf test/conformance/run.sh --quick --protobuf
    check kubectl-quick test/upstream/kubectl.py --quick
  else
    skipped=$((skipped + 2))
    echo "skip  conformance-quick, kubectl-quick: need root and Go"
  fi
  if ((EUID == 0)); then
    check clients-quick test/clients/run.sh --quick
    check nodes-quick test/nodes/run.sh --quick
  else
    skipped=$((skipped + 2))
    echo "skip  clients-quick, nodes-quick: need root"
  fi
  run_preset asan $all
  check fuzz-smoke test/fuzz/run.sh --smoke build/asan 2
  run_preset tsan $all
fi
if $all; then
  check fuzz test/fuzz/run.sh 30
  ((EUID == 0)) && check clients test/clients/run.sh
  ((EUID == 0)) && check nodes test/nodes/run.sh
  ((EUID == 0)) && check vm test/vm/run.sh
  check bench test/bench/run.sh
  check conformance test/conformance/run.sh
  command -v go >/dev/null && check kubectl test/upstream/kubectl.py
fi

echo
for log in "${flaky[@]}"; do
  echo "passed only when it was run once more; the first failure, $log:"
  grep -aE 'FAIL|ERROR|FAILED|WARNING: |Error' -A6 "$log" | head -n 25
done
if ((skipped)); then echo "$passed passed, $failed failed, $skipped skipped"; else echo "$passed passed, $failed failed"; fi
((failed == 0))
