"""`ops/dev fuzz [SECONDS]`: every fuzz target for SECONDS, from its committed corpus.

The targets are the tests tagged `fuzz` below //tests/fuzz, each one libFuzzer binary (see
ops/bazel/holdfast.bzl). They are built with clang, AddressSanitizer and UBSan. A finding fails its target
and leaves the input in the test's outputs; put it into the target's corpus once it is mended.
"""

import argparse
import sys

import run_tests


def main():
    parser = argparse.ArgumentParser(prog="ops/dev fuzz", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=int, nargs="?", default=30, help="for each target (default 30)")
    parser.add_argument("--target", default="", metavar="PART", help="only targets whose name has PART in it")
    options = parser.parse_args()
    targets = [label for label in run_tests.fuzz_targets() if options.target in label]
    if not targets:
        print("fuzz: no target" + (f" with {options.target!r} in its name" if options.target else ""))
        return 1
    print(f"fuzz: {len(targets)} targets, {options.seconds} s each", flush=True)
    passed, failed = run_tests.run_bazel(
        "fuzz", targets, f"--test_env=FUZZ_SECONDS={options.seconds}",
        f"--test_timeout={options.seconds + 300}", "--nocache_test_results")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
