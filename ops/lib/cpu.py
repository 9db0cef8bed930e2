"""CPU time of processes by part: a part is a thread's name, without its number (`hf-io3` is `hf-io`).

with Meter(lambda: [pid, ...]) as meter:
    ...
meter.seconds                      # {part: seconds}

The processes are asked for at both ends, so that those which began in between count too; threads and
processes that ended in between don't.
"""

import collections
import os
import pathlib
import re

_TICK = os.sysconf("SC_CLK_TCK")


def _stat(path):
    """(name, CPU seconds) of a /proc/.../stat file; None when it is gone."""
    try:
        text = path.read_text()
    except OSError:
        return None
    name = text[text.index("(") + 1:text.rindex(")")]
    fields = text[text.rindex(")") + 2:].split()
    return name, (int(fields[11]) + int(fields[12])) / _TICK


def part_of(thread):
    """A thread's part; RocksDB names its pools `rocksdb:low0`, gRPC its threads by what made them."""
    return re.sub(r"[-:/]?\d*$", "", thread) or thread


def by_part(pids):
    """{part: CPU seconds} of the processes' threads that live now."""
    used = collections.Counter()
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
            measured = _stat(task / "stat")
            if measured:
                used[part_of(measured[0])] += measured[1]
    return used


def children(parent):
    """Processes whose parent is that one, now."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(entry.name))
    return found


class Meter:
    def __init__(self, pids):
        self._pids = pids
        self.seconds = {}

    def __enter__(self):
        self._before = by_part(self._pids())
        return self

    def __exit__(self, *_):
        after = by_part(self._pids())
        self.seconds = {part: after[part] - self._before[part] for part in after}
