#!/usr/bin/env bash
# Runs one libFuzzer target on a copy of its committed corpus: FUZZER CORPUS_DIR. FUZZ_SECONDS says how long.
set -uo pipefail
fuzzer=$1
corpus=$2
seconds=${FUZZ_SECONDS:-30}
work=${TEST_TMPDIR:-$(mktemp -d)}/found
mkdir -p "$work"
seeds=()
[ -d "$corpus" ] && seeds=("$corpus")
log=$work.log
if "$fuzzer" "$work" "${seeds[@]}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
  -artifact_prefix="${TEST_UNDECLARED_OUTPUTS_DIR:-$work}/" >"$log" 2>&1; then
  grep -E 'number_of_executed_units|INITED|DONE' "$log" | tail -3
  echo "1 passed, 0 failed"
else
  tail -60 "$log"
  echo "0 passed, 1 failed"
  exit 1
fi
