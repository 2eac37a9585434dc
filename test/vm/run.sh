#!/usr/bin/env bash
# knarr on a real kernel: virtual machines (QEMU without hardware help) with Debian's cloud kernel, as root. Prints what passed, failed
# and was skipped, and why.
#   test/vm/run.sh [TEST...]       init limits kernel systemd nodes power_cut; all of them without a name
#   KNARR=FILE                     the binary (default: the newest of build/static and build/release)
#   LAB_ROUNDS=N                   how often the power is cut (20)     LAB_PATIENCE=N   waits are N times longer, on a busy host
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
[[ ${1:-} == -h || ${1:-} == --help ]] && { sed -n '2,6s/^# \{0,1\}//p' run.sh; exit 0; }
tests=("$@")
((${#tests[@]})) || tests=(init limits kernel systemd nodes power_cut)
logs=../../build/test-logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0
reasons=()

for name in "${tests[@]}"; do
  name=${name%_test.py}
  [[ -e ${name}_test.py ]] || { echo "run.sh: there is no test $name; see --help" >&2; exit 2; }
  log=$logs/vm-$name.log
  begun=$SECONDS
  python3 "${name}_test.py" >"$log" 2>&1
  code=$?
  # "Ran 6 tests in 98.0s" and "OK (skipped=1)" or "FAILED (failures=1, errors=1, skipped=1)"; nothing of it: it did not get that far.
  ran=$(sed -nE 's/^Ran ([0-9]+) tests?.*/\1/p' "$log" | tail -n 1)
  count() { grep -E '^(OK|FAILED)' "$log" | tail -n 1 | sed -nE "s/.*$1=([0-9]+).*/\1/p" | grep . || echo 0; }
  bad=$(($(count failures) + $(count errors)))
  out=$(count skipped)
  ((code != 0 && bad == 0)) && bad=1
  good=$((${ran:-0} - bad - out))
  ((good < 0)) && good=0
  passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + out))
  printf '%-5s %-12s %4ds  %d passed, %d failed, %d skipped\n' "$([[ $bad == 0 ]] && echo ok || echo FAIL)" "$name" $((SECONDS - begun)) "$good" "$bad" "$out"
  grep -E 'after power-on|^ +power off took|^ +unit_|power cuts,' "$log" | sed -E 's/.* (   [a-z])/\1/; s/^ */      /'
  while read -r line; do reasons+=("$name: $line"); done < <(sed -nE "s/.*skipped ['\"](.*)['\"]\$/\1/p" "$log" | sort -u)
  ((bad)) && sed -n '/^=====/,$p' "$log" | head -n 150
done

echo
for reason in "${reasons[@]}"; do echo "skipped: $reason"; done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
