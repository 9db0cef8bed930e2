"""The house rules that a machine can check: format, layers, purity, sizes, words.

Prints `file:line: what is wrong` and ends with a count; exit 1 when anything was found.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HEADER_LINES_MAX = 300
SOURCE_LINES_MAX = 700
TEST_LINES_MAX = 700
FUNCTION_LINES_MAX = 60
COLUMNS_MAX = 100
PURE_BANNED = re.compile(
    r"#include <(boost/asio.*|rocksdb/.*|grpcpp/.*|thread|mutex|condition_variable|future|chrono|random|"
    r"absl/time/clock\.h|sys/socket\.h|fstream|filesystem|unistd\.h)>|"
    r'#include "base/(mutex|context|random_device)\.h"')
BANNED_WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", *patterns], cwd=ROOT,
                         capture_output=True, text=True, check=True).stdout
    return [line for line in out.splitlines() if (ROOT / line).is_file()]


def read_layers():
    rooms, pure, only = {}, [], []
    for line in (ROOT / "ops/lint/layers.txt").read_text().splitlines():
        line = line.split("#")[0].strip()
        if not line:
            continue
        key, rest = line.split(":", 1)
        if key == "pure":
            pure.append(rest.strip())
        elif key == "only":
            header, places = rest.rsplit(":", 1)
            only.append((header.strip(), places.split()))
        else:
            rooms[key] = set(rest.split())
    return rooms, pure, only


def is_test(path):
    return path.endswith("_test.cc") or path.startswith("tests/")


def check_includes(path, lines, layers, report):
    rooms, pure, only = layers
    room = max((name for name in rooms if path.startswith(f"{name}/")), key=len, default="")
    impure = not any(path.startswith(p) for p in pure) or is_test(path)
    for number, line in enumerate(lines, 1):
        if not impure and PURE_BANNED.search(line):
            report(path, number, f"a pure file may not have {line.strip()}: pass time, luck and bytes as arguments")
        ours = re.match(r'#include "(([a-z_]+)/[^"]+)"', line)
        if ours and not is_test(path):
            header, target = ours.groups()
            allowed = any(header.startswith(name if "/" in name else f"{name}/") for name in rooms.get(room, ()))
            if target in rooms and target != path.split("/")[0] and not allowed:
                report(path, number, f"{room} may not include {header} (ops/lint/layers.txt)")
        theirs = re.match(r"#include <([^>]+)>", line)
        if theirs and not is_test(path):
            for header, places in only:
                if theirs.group(1).startswith(header) and not any(path.startswith(p) for p in places):
                    report(path, number, f"<{header}...> belongs in {' '.join(places)} only")


def check_sizes(path, lines, report):
    limit = HEADER_LINES_MAX if path.endswith(".h") else TEST_LINES_MAX if is_test(path) else SOURCE_LINES_MAX
    if len(lines) > limit:
        report(path, len(lines), f"{len(lines)} lines, the limit is {limit}: split by phase or role")
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX and "http" not in line and 'R"' not in line:
            report(path, number, f"{len(line)} columns, the limit is {COLUMNS_MAX}")
        if BANNED_WORDS.search(line):
            report(path, number, "unfinished work belongs in an issue, not in a comment")
    check_functions(path, lines, report)


def check_functions(path, lines, report):
    """A function of ours starts at column 0 (clang-format) and ends with `}` at column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if start is None:
            if line.endswith("{") and re.match(r"[A-Za-z_:<~].*\)( const| noexcept| override)*( :.*)? \{$", line) \
                    and not re.match(r"(namespace|class|struct|enum|union|extern)\b", line):
                start = number
        elif line == "}":
            if number - start > FUNCTION_LINES_MAX:
                report(path, start, f"function of {number - start} lines, the limit is {FUNCTION_LINES_MAX}")
            start = None
        elif line.startswith("}"):
            start = None


def check_format(paths, report):
    for begin in range(0, len(paths), 50):
        run = subprocess.run(["clang-format", "--dry-run", *paths[begin:begin + 50]], cwd=ROOT, capture_output=True,
                             text=True, check=False)
        seen = set()
        for match in re.finditer(r"^([^\s:]+):(\d+):\d+: .*clang-format-violations", run.stderr, re.M):
            if match.group(1) not in seen:
                seen.add(match.group(1))
                report(match.group(1), int(match.group(2)), "not formatted: ops/dev fmt")


def check_named_tests(report):
    """Each name in the last column of tests/raft/README.md is a test, a story, or a bug that can be put back."""
    table = "tests/raft/README.md"
    known = {pathlib.PurePath(story).stem for story in tracked("tests/raft/data/*.txt")}
    for path in tracked("*_test.cc", "tests/*.cc", "raft/core/raft_options.h"):
        text = (ROOT / path).read_text()
        known.update(re.findall(r"^TEST(?:_F|_P)?\(\w+,\s*(\w+)\)", text, re.M))
        known.update(re.findall(r"^  (k\w+),?(?:\s|$)", text, re.M))
    for number, line in enumerate((ROOT / table).read_text().splitlines(), 1):
        if line.startswith("| ") and line.count("|") == 4:
            for name in re.findall(r"`(\w+)`", line.split("|")[3]):
                if name not in known:
                    report(table, number, f"no test is called {name}")


def main():
    findings = []
    report = lambda path, number, text: findings.append(f"{path}:{number}: {text}")
    layers = read_layers()
    paths = tracked("*.h", "*.cc")
    for path in paths:
        lines = (ROOT / path).read_text().splitlines()
        check_includes(path, lines, layers, report)
        check_sizes(path, lines, report)
        if path.endswith(".h") and "#pragma once" not in lines:
            report(path, 1, "no #pragma once")
    check_format(paths, report)
    check_named_tests(report)
    for path in tracked("*.py", "*.sh", "ops/dev", "*.bzl", "*.proto"):
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
            if BANNED_WORDS.search(line) and path != "ops/lint/tidy.py":
                report(path, number, "unfinished work belongs in an issue, not in a comment")
    for finding in findings:
        print(finding)
    print(f"lint: {len(paths)} C++ files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
