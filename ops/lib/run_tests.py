"""`ops/dev test`: every kind of test, counted from the cases that really ran.

The last line is `N passed, N failed`. Bazel's own summary counts targets, so the cases are read from
the tests' XML (GoogleTest) or from the line `N passed, N failed` that a script test prints.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BAZEL = os.environ.get("HOLDFAST_BAZEL", "bazel")
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
# How many seeds the simulation tried: no test cases, but worth a line.
SEEDS_LINE = re.compile(r"^(?:known seeds|seeds from \d+): .*$", re.M)
COUNT_LINE = re.compile(r"^(\d+) passed, (\d+) failed", re.M)


def count_xml(path):
    """(passed, failed) of a GoogleTest XML file; None when it is not one."""
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError):
        return None
    if root.tag != "testsuites" or root.get("disabled") is None:
        return None
    passed = failed = 0
    for case in root.iter("testcase"):
        if case.get("status") == "notrun" or case.find("skipped") is not None:
            continue
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        else:
            passed += 1
    return passed, failed


def count_target(outputs, ok):
    """Counts of one test target from its output files; a crash without a count is one failure."""
    for name in ("test.xml", "test.log"):
        path = outputs.get(name)
        if path is None:
            continue
        if name == "test.xml":
            counted = count_xml(path)
        else:
            lines = COUNT_LINE.findall(pathlib.Path(path).read_text(errors="replace"))
            counted = (int(lines[-1][0]), int(lines[-1][1])) if lines else None
        if counted is not None:
            passed, failed = counted
            return passed, failed if ok else max(failed, 1)
    return (0, 0) if ok else (0, 1)


def read_events(path):
    """Test results of a Bazel run: [(label, ok, {file name: path})]."""
    results = {}
    for line in pathlib.Path(path).read_text().splitlines():
        event = json.loads(line)
        if "testResult" not in event.get("id", {}) or "testResult" not in event:
            continue
        key = event["id"]["testResult"]
        result = event["testResult"]
        outputs = {o["name"]: o["uri"].removeprefix("file://") for o in result.get("testActionOutput", [])
                   if o.get("uri", "").startswith("file://")}
        label = (key["label"], key.get("shard", 0), key.get("run", 0))
        results[label] = (result.get("status") == "PASSED", outputs)
    return [(label[0], ok, outputs) for label, (ok, outputs) in sorted(results.items())]


def bazel_command(config):
    if config == "opt":
        return [BAZEL]
    base = CACHE / f"holdfast-{config}-{zlib.crc32(str(ROOT).encode())}"
    return [BAZEL, f"--output_base={base}"]


def print_seeds(label, outputs):
    if "test.log" in outputs:
        for line in SEEDS_LINE.findall(pathlib.Path(outputs["test.log"]).read_text(errors="replace")):
            print(f"{label}: {line}", flush=True)


def run_bazel(config, targets, *flags):
    """Runs tests; returns (passed, failed). A build that fails counts as one failure."""
    command = bazel_command(config)
    with tempfile.NamedTemporaryFile(suffix=".json") as events:
        arguments = ["test", f"--config={config}", "--keep_going", f"--build_event_json_file={events.name}",
                     "--noshow_progress" if not sys.stderr.isatty() else "--show_progress"]
        if os.environ.get("CI"):
            # The commit, for whoever replays a seed, would make the cache useless elsewhere.
            arguments += ["--nocache_test_results", "--test_env=HOLDFAST_COMMIT"]
        code = subprocess.run([*command, *arguments, *flags, "--", *targets], cwd=ROOT, check=False).returncode
        results = read_events(events.name)
    passed = failed = 0
    for label, ok, outputs in results:
        p, f = count_target(outputs, ok)
        passed, failed = passed + p, failed + f
        if not ok:
            print(f"FAILED {label} ({config})", flush=True)
        print_seeds(label, outputs)
    if code not in (0, 4) and failed == 0:
        failed = 1
        print(f"FAILED: bazel test --config={config} ended with {code}", flush=True)
    if config != "opt":
        # A Bazel server keeps about 500 MB; the sanitizer builds are not the ones a developer repeats.
        subprocess.run([*command, "shutdown"], cwd=ROOT, check=False)
    return passed, failed


def run_lint():
    passed = 0
    checks = ("ops/lint/tidy.py", "ops/lint/layering.py")
    for check in checks:
        passed += subprocess.run(["/usr/bin/python3", check], cwd=ROOT, check=False).returncode == 0
    return passed, len(checks) - passed


def run_counted(*command):
    """Counts of a command whose output has the line `N passed, N failed`."""
    run = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    print(run.stdout[-4000:], run.stderr[-2000:], flush=True)
    lines = COUNT_LINE.findall(run.stdout)
    if not lines:
        return 0, 1
    passed, failed = int(lines[-1][0]), int(lines[-1][1])
    return passed, failed if run.returncode == 0 else max(failed, 1)


def run_oracle(folder):
    build = subprocess.run([BAZEL, "build", "--config=opt", "//tests/raft:oracle"], cwd=ROOT, check=False)
    if build.returncode != 0:
        return 0, 1
    return run_counted("build/bin/tests/raft/oracle", "--scripts", folder)


def fuzz_targets():
    query = subprocess.run([BAZEL, "query", "--noshow_progress", 'attr(tags, "fuzz", kind(sh_test, //tests/fuzz/...))'],
                           cwd=ROOT, check=False, capture_output=True, text=True)
    return query.stdout.split()


def steps(options):
    yield "lint", run_lint
    yield "tests, optimised (g++)", lambda: run_bazel("opt", ["//..."])
    yield "tests under ASan and UBSan (clang)", lambda: run_bazel(
        "asan", ["//..."], "--test_tag_filters=-noasan,-local", "--build_tests_only")
    yield "contexts under TSan", lambda: run_bazel("tsan", ["//..."], "--test_tag_filters=tsan", "--build_tests_only")
    if options.oracle:
        yield "etcd-io/raft's scripts", lambda: run_oracle(options.oracle)
    yield "fuzzing", lambda: run_bazel("fuzz", fuzz_targets(), f"--test_env=FUZZ_SECONDS={options.fuzz_seconds}")


def main():
    parser = argparse.ArgumentParser(prog="ops/dev test", description=__doc__)
    parser.add_argument("--oracle", metavar="DIR", help="folder of etcd-io/raft's data-driven scripts")
    parser.add_argument("--fuzz-seconds", type=int, default=30, help="for each fuzz target")
    options = parser.parse_args()
    total_passed = total_failed = 0
    table = []
    for name, run in steps(options):
        print(f"== {name}", flush=True)
        start = time.monotonic()
        passed, failed = run()
        seconds = time.monotonic() - start
        table.append((name, passed, failed, seconds))
        print(f"== {name}: {passed} passed, {failed} failed in {seconds:.0f} s", flush=True)
        total_passed, total_failed = total_passed + passed, total_failed + failed
    print("\nstep                                      passed  failed  seconds")
    for name, passed, failed, seconds in table:
        print(f"{name:40}  {passed:6}  {failed:6}  {seconds:7.0f}")
    print(f"{total_passed} passed, {total_failed} failed", flush=True)
    return 1 if total_failed or total_passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
