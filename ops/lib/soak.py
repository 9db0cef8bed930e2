"""`ops/dev soak [MINUTES]`: the long forms, one after the other.

30 rounds of kill -9 under load, fail-overs for MINUTES (default 10), the raft simulation for MINUTES on fresh
seeds, and fuzzing for a share of MINUTES. The last line is `N passed, N failed`. What it finds is repeated by the command
that the failing step prints (--seed, or the input that the fuzzer kept).
"""

import argparse
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).absolute().parent.parent.parent
COUNT_LINE = re.compile(r"^(\d+) passed, (\d+) failed", re.M)


def run_step(name, command):
    """Runs one step, showing what it says; returns (passed, failed)."""
    print(f"== {name}: {' '.join(command)}", flush=True)
    start = time.monotonic()
    lines = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    counts = COUNT_LINE.findall("".join(lines[-20:]))
    passed, failed = (int(counts[-1][0]), int(counts[-1][1])) if counts else (0, 0)
    if process.returncode != 0:
        failed = max(failed, 1)
    elif not counts:
        passed = 1
    print(f"== {name}: {passed} passed, {failed} failed in {time.monotonic() - start:.0f} s", flush=True)
    return passed, failed


def main():
    parser = argparse.ArgumentParser(prog="ops/dev soak", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", type=int, nargs="?", default=10)
    parser.add_argument("--rounds", type=int, default=30, help="of kill -9")
    options = parser.parse_args()
    steps = (
        ("kill -9 under load", ["ops/dev", "crash", str(options.rounds)]),
        ("fail-over", ["ops/dev", "soak", "failover", "--minutes", str(options.minutes)]),
        ("simulation", ["ops/dev", "sim", "--floor", "core", "--minutes", str(options.minutes), "--from", str(int(time.time()))]),
        ("fuzzing", ["ops/dev", "fuzz", str(max(10, options.minutes * 6))]),
    )
    total_passed = total_failed = 0
    for name, command in steps:
        passed, failed = run_step(name, command)
        total_passed, total_failed = total_passed + passed, total_failed + failed
    print(f"{total_passed} passed, {total_failed} failed", flush=True)
    return 1 if total_failed else 0


if __name__ == "__main__":
    sys.exit(main())
