"""`ops/dev bench raft`: committed entries a second of our host beside Debian's etcd, in alternating runs.

Both sync every entry before they answer (with --nodes 3: on a majority of three processes of this machine, which
share its disk), with the same size and the same number in flight. Our host is called inside its process; etcd is
called over gRPC from another one, as it can only be. Our entries' bodies are deleted 200 entries later, etcd's keys
overwritten 200 puts later (it keeps the old revisions). Then: what groups cost that do nothing.
"""

import json
import shutil
import statistics
import subprocess
import tempfile

import etcd
import harness

SIZES = ((1024, "1 KiB"), (4096, "4 KiB"), (16384, "16 KiB"), (1 << 20, "1 MiB"))
WINDOW = 64
# etcd takes a long time for a thousand of 1 MiB, and our bound of undecided bytes is 128 MiB a group.
WINDOW_LARGE = 16
IDLE_GROUPS = 100
IDLE_SECONDS = 20


def run_program(name, *arguments):
    output = subprocess.run([harness.find_binary(f"tests/bench/{name}"), *map(str, arguments)], check=True,
                            capture_output=True, text=True, timeout=600).stdout
    return json.loads(output.splitlines()[-1])


def run_etcd(folder, size, window, seconds, nodes):
    with etcd.Etcd(folder, nodes) as server:
        before = server.cpu_seconds()
        measured = run_program("etcd_bench", f"127.0.0.1:{server.leader_port()}", size, window, seconds)
        entries = measured["entries_per_second"] * seconds
        measured["cpu_us"] = {"server": (server.cpu_seconds() - before) * 1e6 / entries}
        return measured


def one_run(kind, size, window, seconds, nodes):
    folder = tempfile.mkdtemp(prefix="holdfast-bench-", dir="/tmp")
    try:
        if kind == "etcd":
            return run_etcd(folder, size, window, seconds, nodes)
        return run_program("raft_host_bench", folder, seconds, kind, size, window, nodes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def median_of(runs):
    keys = ("entries_per_second", "p50_ms", "p99_ms")
    result = {key: statistics.median(run[key] for run in runs) for key in keys}
    result["cpu_us"] = {part: statistics.median(run["cpu_us"].get(part, 0) for run in runs)
                        for part in runs[0]["cpu_us"]}
    return result


def run(options, machine):
    if not etcd.program():
        print("bench: etcd is missing: run ops/dev setup test")
        return 1
    print(f"machine: {machine}")
    replicas = "1 replica" if options.nodes == 1 else f"{options.nodes} replicas, processes on this one machine and disk"
    print(f"fsync before each answer; {replicas}; {options.seconds} s a run, medians of {options.runs} alternating runs",
          flush=True)
    kinds = {"holdfast, 1 group": 1, "holdfast, 12 groups": 12, "etcd": "etcd"}
    print(f"{'size':>7}  {'in flight':>9}  {'engine':20}  {'entries/s':>9}  {'p50 ms':>7}  {'p99 ms':>7}  {'ratio':>5}  "
          "CPU us an entry", flush=True)
    for size, text in SIZES:
        window = WINDOW if size < (1 << 20) else WINDOW_LARGE
        runs = {name: [] for name in kinds}
        for _ in range(options.runs):
            for name, kind in kinds.items():
                runs[name].append(one_run(kind, size, window, options.seconds, options.nodes))
        medians = {name: median_of(of) for name, of in runs.items()}
        for name, median in medians.items():
            ratio = median["entries_per_second"] / medians["etcd"]["entries_per_second"]
            parts = "  ".join(f"{part} {us:.0f}" for part, us in sorted(median["cpu_us"].items()))
            print(f"{text:>7}  {window:>9}  {name:20}  {median['entries_per_second']:9.0f}  {median['p50_ms']:7.2f}  "
                  f"{median['p99_ms']:7.2f}  {ratio:5.2f}  {parts}", flush=True)
    idle(options.nodes)
    return 0


def idle(nodes):
    folder = tempfile.mkdtemp(prefix="holdfast-bench-", dir="/tmp")
    try:
        measured = run_program("raft_host_bench", folder, IDLE_SECONDS, "idle", IDLE_GROUPS, nodes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    shares = ", ".join(f"{share:.2f} %" for share in measured["cpu_percent"])
    print(f"{IDLE_GROUPS} groups that do nothing, {IDLE_SECONDS} s: {shares} of one core"
          + (", nodes 1 to 3" if nodes == 3 else ""), flush=True)
