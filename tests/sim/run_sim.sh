#!/usr/bin/env bash
# The seeds of SEEDS (lines "FLOOR SEED why") that belong to FLOORS ("core,host"), then fresh ones for a
# share of CI's time: BINARY SEEDS FLOORS [ARGUMENTS]. SIM_CORE_MINUTES, SIM_HOST_MINUTES and
# SIM_NODE_MINUTES say how long. A seed is no test case: the run counts as one.
set -uo pipefail
binary=$1
seeds=$2
floors=$3
shift 3
known=0
while read -r floor seed _; do
  [[ ",$floors," == *",$floor,"* ]] || continue
  known=$((known + 1))
  if ! "$binary" --floor "$floor" --seed "$seed" "$@"; then
    echo "0 passed, 1 failed"
    exit 1
  fi
done < <(sed 's/#.*//' "$seeds" | awk 'NF')
echo "$floors: $known known seeds passed"
from=$(date +%s)
failed=0
fresh() {  # FLOOR MINUTES
  [[ ",$floors," == *",$1,"* ]] || return 0
  "$binary" --floor "$1" --minutes "$2" --from "$from" "${@:3}" | tee "$TEST_TMPDIR/$1" || failed=1
  echo "$1, seeds from $from: $(tail -1 "$TEST_TMPDIR/$1")"
}
fresh core "${SIM_CORE_MINUTES:-1}" "$@"
fresh host "${SIM_HOST_MINUTES:-1}" "$@"
fresh node "${SIM_NODE_MINUTES:-1}" "$@"
if [ "$failed" = 0 ] && [ "$known" -gt 0 ]; then
  echo "1 passed, 0 failed"
else
  echo "0 passed, 1 failed"
  exit 1
fi
