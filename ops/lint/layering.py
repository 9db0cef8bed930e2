"""Each target names what it includes: every `#include "room/file.h"` of a target's sources must be a header of
the target itself or of a direct dependency, and such a dependency must be visible to it (Bazel checks that).

Clang's own layering_check can't do it here: with this Bazel its module maps name transitive targets and the
build then refuses them as undeclared inclusions. This reads the same facts from `bazel query`.
"""

import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BAZEL = os.environ.get("HOLDFAST_BAZEL", "bazel")
INCLUDE = re.compile(r'^#include "([a-z_]+/[^"]+)"', re.M)


def labels(rule, name):
    for attribute in rule.findall("list"):
        if attribute.get("name") == name:
            return [item.get("value") for item in attribute.findall("label")]
    return []


def path_of(label):
    return label.removeprefix("//").replace(":", "/").removeprefix("/")


def read_targets():
    """{label: (sources, headers, dependencies)} of all C++ rules; generated headers count by their path."""
    query = subprocess.run([BAZEL, "query", "--noshow_progress", "--output=xml", 'kind("cc_.* rule", //...)'],
                           cwd=ROOT, check=False, capture_output=True, text=True)
    if query.returncode != 0:
        sys.exit(f"layering: bazel query failed:\n{query.stderr}")
    targets = {}
    for rule in ElementTree.fromstring(query.stdout).iter("rule"):
        targets[rule.get("name")] = ([path_of(l) for l in labels(rule, "srcs")],
                                     [path_of(l) for l in labels(rule, "hdrs")], labels(rule, "deps"))
    return targets


def findings(targets):
    for label, (sources, headers, deps) in sorted(targets.items()):
        own = set(sources) | set(headers)
        offered = {header for dep in deps for header in targets.get(dep, ((), (), ()))[1]}
        for path in sorted(own):
            file = ROOT / path
            if not file.is_file():
                continue  # Generated.
            for include in INCLUDE.findall(file.read_text()):
                if include not in own and include not in offered:
                    owners = [other for other, target in targets.items() if include in target[1]]
                    advice = f"add {owners[0]} to its deps" if owners else "no target has it as a header"
                    yield f"{path}: {label} includes {include}: {advice}"


def main():
    targets = read_targets()
    found = list(findings(targets))
    for line in found:
        print(line)
    print(f"layering: {len(targets)} C++ targets, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
