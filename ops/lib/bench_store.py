"""`ops/dev bench store`: bytes that the store writes for each byte of body that it takes.

Log (WAL), flushes and compactions, as RocksDB counts them, with production's sizes divided by 64: memtables, files and the
bytes that live at one time. The same program is a test with the two bounds (//tests/storage:bytes_written_test).
"""

import re
import statistics
import subprocess

import harness

CASES = (("mail delivered soon", "MailThatIsDeliveredSoonIsWrittenOnce", 1.25),
         ("a tenth deferred for long", "ATenthDeferredForLongCostsLittleMoreAndItsSpaceComesBack", 2.3))
PARTS = ("body MB", "log", "flush", "compaction", "all")
LINE = re.compile(r"body ([0-9.]+) MB: WAL ([0-9.]+), flush ([0-9.]+), compaction ([0-9.]+), all ([0-9.]+)")


def one_run(case):
    output = subprocess.run([harness.find_binary("tests/storage/bytes_written_test"), f"--gtest_filter=*{case}"],
                            capture_output=True, text=True, timeout=600, check=False).stdout
    lines = LINE.findall(output)
    if not lines:
        raise subprocess.SubprocessError(f"no figures from {case}:\n{output[-2000:]}")
    return [float(part) for part in lines[-1]]


def run(options, machine):
    print(f"machine: {machine}")
    print(f"bytes written for each byte of body, with a sync for each message; medians of {options.runs} runs", flush=True)
    print(f"{'':26}" + "".join(f"{part:>12}" for part in PARTS) + f"{'bound':>8}", flush=True)
    code = 0
    for title, case, bound in CASES:
        medians = [statistics.median(column) for column in zip(*(one_run(case) for _ in range(options.runs)))]
        code |= medians[-1] > bound
        print(f"{title:26}{medians[0]:12.1f}" + "".join(f"{part:12.3f}" for part in medians[1:]) + f"{bound:8.2f}",
              flush=True)
    return code
