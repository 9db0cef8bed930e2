#!/usr/bin/env bash
# The seeds of SEEDS (lines "FLOOR SEED why"), then fresh ones for a share of CI's time:
# BINARY SEEDS [ARGUMENTS]. SIM_MINUTES says how long. A seed is not a test case: the run counts as one.
set -uo pipefail
binary=$1
seeds=$2
shift 2
while read -r floor seed _; do
  if ! "$binary" --floor "$floor" --seed "$seed" "$@"; then
    echo "0 passed, 1 failed"
    exit 1
  fi
done < <(sed 's/#.*//' "$seeds" | awk 'NF')
from=$(date +%s)
# Fresh seeds of the core only: see README.md, "Known", for what the host floor still finds.
if "$binary" --floor core --minutes "${SIM_MINUTES:-2}" --from "$from" "$@" | tee "$TEST_TMPDIR/out"; then
  echo "seeds from $from: $(tail -1 "$TEST_TMPDIR/out")"
  echo "1 passed, 0 failed"
else
  echo "0 passed, 1 failed"
  exit 1
fi
