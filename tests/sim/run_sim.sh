#!/usr/bin/env bash
# BINARY SEEDS FLOORS [known]: the seeds of SEEDS (lines "FLOOR SEED why", or the word "fresh": none) that
# belong to FLOORS ("core,host"), then, unless it is told "known", fresh ones for a share of CI's time.
# SIM_CORE_MINUTES, SIM_HOST_MINUTES and SIM_NODE_MINUTES say how long. A seed is no test case: the run counts
# as one.
set -uo pipefail
binary=$1
seeds=$2
floors=$3
only_known=${4:-}
ran=0
failed=0
if [ "$seeds" != fresh ]; then
  while read -r floor seed _; do
    [[ ",$floors," == *",$floor,"* ]] || continue
    ran=$((ran + 1))
    "$binary" --floor "$floor" --seed "$seed" || failed=1
  done < <(sed 's/#.*//' "$seeds" | awk 'NF')
  if [ "$ran" = 0 ]; then failed=1; fi
  echo "known seeds: $ran of $floors, all passed: $([ $failed = 0 ] && echo yes || echo no)"
fi
from=$(date +%s)
fresh() {  # FLOOR MINUTES
  [[ ",$floors," == *",$1,"* ]] || return 0
  "$binary" --floor "$1" --minutes "$2" --from "$from" | tee "$TEST_TMPDIR/$1" || failed=1
  echo "seeds from $from: $(grep 'seeds passed' "$TEST_TMPDIR/$1")"
  grep -q '^[1-9][0-9]* passed' "$TEST_TMPDIR/$1" && ran=$((ran + 1))
}
if [ "$only_known" != known ]; then
  fresh core "${SIM_CORE_MINUTES:-1}"
  fresh host "${SIM_HOST_MINUTES:-1}"
  fresh node "${SIM_NODE_MINUTES:-1}"
fi
if [ "$failed" = 0 ] && [ "$ran" -gt 0 ]; then
  echo "1 passed, 0 failed"
else
  echo "0 passed, 1 failed"
  exit 1
fi
