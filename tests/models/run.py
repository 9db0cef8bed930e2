"""`ops/dev model`: searches the models of this folder with spin, exhaustively.

The rule as it is must hold in every search of CLEAN (one case), and each mutation must be caught (one case
each). The last line is `N passed, N failed`. README.md says what the bounds mean.
"""

import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile
import time

FOLDER = pathlib.Path(__file__).absolute().parent
sys.path.insert(0, str(FOLDER.parent.parent / "ops/lib"))

import cases  # noqa: E402

MODEL = FOLDER / "elision.pml"
SECONDS_MAX = 300  # For one search.
DEPTH_MAX = 10_000

CLEAN = (
    ("LOSSES=1", "SNAPSHOTS=1", "MAILS=1"),
    ("LOSSES=1", "DAMAGES=1", "MAILS=1"),
    ("LOSSES=1", "SLOW=1", "MAILS=1"),
    ("CRASHES=1", "SLOW=1", "MAILS=1"),
    ("SNAPSHOTS=1", "MAILS=2"),
)
MUST_HOLD = (("NOOP_SUFFICES", ("DAMAGES=1", "MAILS=1")),)
MUST_BE_CAUGHT = (
    ("MARK_IGNORED", ("DAMAGES=1", "MAILS=1")),
    ("EARLY_A", ("SLOW=1", "MAILS=1")),
    ("DAMAGED_IS_MISSING", ("DAMAGES=1", "MAILS=1")),
    ("MARK_NOT_RAISED", ("MAILS=1",)),
    ("MARK_FORGOTTEN", ("CRASHES=1", "MAILS=1")),
    ("SNAPSHOT_UNMARKED", ("SNAPSHOTS=1", "MAILS=1")),
    ("AMNESIAC_VOTES", ("LOSSES=1", "MAILS=1")),
    ("READ_BELOW_MARK", ("DAMAGES=1", "MAILS=1")),
    ("READ_AT_ONCE", ("MAILS=1",)),
)


def run(command, folder):
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=SECONDS_MAX)
    return done.returncode, done.stdout + done.stderr


def search(defines):
    """(number of states, violated assertion or None, seconds); CaseFailed when the search is not complete."""
    flags = [f"-D{define}" for define in defines]
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for command in (["spin", "-a", *flags, str(MODEL)],
                        ["gcc", "-O1", "-w", "-DSAFETY", "-DSFH", "-o", "pan", "pan.c"]):
            code, said = run(command, folder)
            cases.expect(code == 0, f"{' '.join(command)} ended with {code}:\n{said}")
        _, said = run(["./pan", f"-m{DEPTH_MAX}", "-w24"], folder)
    states = re.search(r"(\d+) states, stored", said)
    cases.expect(states is not None and "max search depth too small" not in said, said)
    violated = re.search(r"^pan:\d+: (.*)", said, re.M)
    cases.expect(violated is not None or "Search not completed" not in said, said)
    return int(states[1]), violated[1] if violated else None, time.monotonic() - start


def expect_clean(results):
    for defines, future in results:
        states, violated, seconds = future.result()
        cases.expect(violated is None, f"{' '.join(defines)}: {violated}, after {states} states; see the trail:\n"
                     f"spin -a {' '.join('-D' + d for d in defines)} {MODEL}; gcc -DSAFETY -o pan pan.c; ./pan; "
                     f"spin -t -p {' '.join('-D' + d for d in defines)} {MODEL}")
        print(f"      {' '.join(defines)}: {states} states, {seconds:.1f} s", flush=True)


def expect_caught(defines, future):
    states, violated, _ = future.result()
    cases.expect(violated is not None, f"{' '.join(defines)}: not caught in {states} states")
    return f"{violated[:60]}, {states} states"


def main():
    counter = cases.Cases()
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        clean = [(defines, pool.submit(search, defines)) for defines in CLEAN]
        holds = [(name, (name, *rest)) for name, rest in MUST_HOLD]
        holds = [(name, [(defines, pool.submit(search, defines))]) for name, defines in holds]
        caught = [(name, (name, *rest)) for name, rest in MUST_BE_CAUGHT]
        caught = [(name, defines, pool.submit(search, defines)) for name, defines in caught]
        counter.run("elision: no live body is missed", expect_clean, clean)
        for name, results in holds:
            counter.run(f"elision: {name} holds too", expect_clean, results)
        for name, defines, future in caught:
            counter.run(f"elision: {name} is caught", expect_caught, defines, future)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
