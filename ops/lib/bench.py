"""`ops/dev bench [raft|store|queue|relay]`: measurements, each with what it was measured on.

  raft          committed entries a second of our Raft host beside Debian's etcd on the same disk, in alternating
                runs, for 1, 4, 16 KiB and 1 MiB; one replica, or with --nodes 3 three of each; and the cost of
                groups that do nothing
  store         bytes written to disk for each byte of body: log, flushes, compactions
  queue         what a long queue costs: memory while it grows, and the restart (--queued N)
  relay         holdfastd against a private Postfix on this machine, in alternating runs: accept rate (until
                holdfast-bench has its last 250) and end-to-end rate (until the queue is empty, and the account
                of what arrived is clean). All sync every message to disk before the 250. --nodes 3: a cluster of
                three nodes too.

A figure for Holdfast alone says nothing; quote the ratio, the machine, the size and the replica count.
"""

import argparse
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time

import bench_queue
import bench_raft
import bench_store
import cases
import cluster
import cpu
import harness
import holdfast_bench
import postfix

ROOT = harness.ROOT
BAZEL = os.environ.get("HOLDFAST_BAZEL", "bazel")


class HoldfastUnderTest:
    title = "one node"

    def __init__(self, sink_port):
        self._node = harness.Node(harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink_port}"}))
        self._node.start()
        self.ports = [self._node.smtp_port]

    def pids(self):
        return [self._node.process.pid]

    def drained(self):
        return self._node.queue_empty()

    def close(self):
        self._node.terminate()
        self._node.__exit__(None)


class ClusterUnderTest:
    """Mail is offered to all nodes alike; each message is on two of three disks (here: one disk) before its 250."""

    title = "three nodes"

    def __init__(self, sink_port):
        self._cluster = cluster.Cluster(3, harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink_port}"}))
        try:
            self._cluster.start()
            self._cluster.wait_spread()
        except cases.CaseFailed:
            self._cluster.__exit__(None, None, None)
            raise
        self.ports = [node.smtp_port for node in self._cluster.nodes]

    def pids(self):
        return [node.process.pid for node in self._cluster.nodes]

    def drained(self):
        return self._cluster.queue_empty()

    def close(self):
        for node in self._cluster.nodes:
            node.process.terminate()
        self._cluster.__exit__(None, None, None)


class PostfixUnderTest:
    title = "Postfix"

    def __init__(self, sink_port):
        self._postfix = postfix.Postfix(sink_port).__enter__()
        self.ports = [self._postfix.port]

    def pids(self):
        return [self._postfix.master_pid(), *cpu.children(self._postfix.master_pid())]

    def drained(self):
        return self._postfix.queue_empty()

    def close(self):
        self._postfix.__exit__()


def one_run(candidate, options):
    """(accepted per second, delivered per second, {part: CPU us a message}) of one fresh relay; all must arrive."""
    with holdfast_bench.Sink() as sink:
        relay_under_test = candidate(sink.port)
        try:
            record = sink.directory / "load.txt"
            with cpu.Meter(relay_under_test.pids) as meter:
                begin = time.monotonic()
                report = holdfast_bench.load(relay_under_test.ports, record, "--messages", str(options.messages),
                                             "--size", str(options.bytes), "--connections", str(options.sessions))
                cases.wait_until(relay_under_test.drained, 600, f"{candidate.title}: queue empty", poll=0.02)
                done = time.monotonic()
            # A figure for mail that is not there says nothing.
            result = holdfast_bench.account([record], [sink.record], clean=True)
            cases.expect_equal((report["messages_accepted"], result["delivered"]),
                               (options.messages, options.messages), f"{candidate.title}: accepted, delivered")
            spent = {part: seconds * 1e6 / options.messages for part, seconds in meter.seconds.items()}
            return report["messages_per_second"], options.messages / (done - begin), spent
        finally:
            relay_under_test.close()


def sync_rate():
    """fsyncs per second of a small append in the directory both queues live in."""
    path = pathlib.Path("/tmp") / f"holdfast-sync-{os.getpid()}"
    with open(path, "wb") as file:
        begin = time.monotonic()
        count = 0
        while time.monotonic() - begin < 1.0:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            count += 1
    path.unlink()
    return count


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return (f"{os.cpu_count()} cores {model.group(1) if model else platform.machine()}, "
            f"{int(memory.group(1)) >> 20 if memory else 0} GiB, {sync_rate()} fsyncs/s of 4 KiB in /tmp")


def relay(options):
    reason = postfix.available()
    if reason:
        print(f"bench: {reason}")
        return 1
    candidates = [HoldfastUnderTest, *([ClusterUnderTest] if options.nodes == 3 else []), PostfixUnderTest]
    replicas = "1 replica" if options.nodes == 1 else "1 replica, and 3 on this one machine and disk"
    print(f"machine: {machine()}")
    print(f"load: holdfast-bench for all alike, {options.sessions} connections, {options.messages} messages of "
          f"{options.bytes} bytes to one destination; next hop holdfast-bench sink; all relays fsync before the 250; "
          f"{replicas}", flush=True)
    results = {candidate.title: [] for candidate in candidates}
    for number in range(options.runs):
        for candidate in candidates:
            rates = one_run(candidate, options)
            results[candidate.title].append(rates)
            print(f"run {number + 1}  {candidate.title:12}  accept {rates[0]:7.0f}/s   end to end {rates[1]:7.0f}/s",
                  flush=True)
    print_medians(results, options.runs)
    return 0


def print_medians(results, runs):
    """Medians of each candidate, and their ratios to Postfix."""
    medians = {title: [statistics.median(column) for column in list(zip(*rates))[:2]] for title, rates in results.items()}
    print(f"\n{f'median of {runs}':20}  {'accept/s':>10}  {'end to end/s':>12}  {'ratios to Postfix':>18}")
    for title, rates in medians.items():
        ratios = [ours / theirs for ours, theirs in zip(rates, medians[PostfixUnderTest.title])]
        print(f"{title:20}  {rates[0]:10.0f}  {rates[1]:12.0f}  {ratios[0]:9.2f}  {ratios[1]:7.2f}")
    print(f"\n{'CPU us a message':20}  all and by part (threads; Postfix: processes)")
    for title, runs_of in results.items():
        parts = {part for run in runs_of for part in run[2]}
        spent = {part: statistics.median(run[2].get(part, 0.0) for run in runs_of) for part in parts}
        shown = sorted(((us, part) for part, us in spent.items() if us >= 1), reverse=True)
        print(f"{title:20}  {sum(spent.values()):6.0f}  {'  '.join(f'{part} {us:.0f}' for us, part in shown)}")


def main():
    parser = argparse.ArgumentParser(prog="ops/dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default="all", choices=("all", "raft", "store", "queue", "relay"))
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--bytes", type=int, default=4096)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=1, choices=(1, 3),
                        help="3: a cluster too in the relay benchmark; three processes of each in that of raft")
    parser.add_argument("--queued", type=int, default=100_000, help="messages in the queue benchmark")
    parser.add_argument("--seconds", type=int, default=5, help="each run of the raft benchmark")
    options = parser.parse_args()
    code = 0
    if not os.environ.get("HOLDFAST_BIN"):
        subprocess.run([BAZEL, "build", "--config=opt", "//node:holdfastd", "//ops/cli:holdfast",
                        "//ops/bench:holdfast-bench", "//tests/bench:raft_host_bench", "//tests/bench:etcd_bench",
                        "//tests/storage:bytes_written_test"], cwd=ROOT, check=True)
    try:
        if options.name in ("all", "raft"):
            code = bench_raft.run(options, machine()) or code
        if options.name in ("all", "store"):
            code = bench_store.run(options, machine()) or code
        if options.name in ("all", "queue"):
            code = bench_queue.run(options) or code
        if options.name in ("all", "relay"):
            code = relay(options) or code
    except (cases.CaseFailed, FileNotFoundError, subprocess.SubprocessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
