"""`ops/dev bench [raft|queue|relay]`: measurements, each with what it was measured on.

  raft          committed entries a second of our Raft host beside Debian's etcd on the same disk, in alternating
                runs, for 1, 4, 16 KiB and 1 MiB; one replica
  queue         what a long queue costs: memory while it grows, and the restart (--queued N)
  relay         holdfastd against a private Postfix on this machine, in alternating runs: accept rate
                (smtp-source until its last message is acknowledged) and end-to-end rate (until the queue
                is empty and smtp-sink has everything). Both sync every message to disk before the 250.

A figure for Holdfast alone says nothing; quote the ratio, the machine, the size and the replica count.
"""

import argparse
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time

import bench_queue
import bench_raft
import cases
import harness
import postfix

ROOT = harness.ROOT
BAZEL = os.environ.get("HOLDFAST_BAZEL", "bazel")


class SmtpSink:
    """Postfix's smtp-sink: takes everything and drops it."""

    def __init__(self):
        self.port = harness.free_port()
        # As another user when we are root: smtp-sink refuses to stay root.
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        self._process = subprocess.Popen(["/usr/sbin/smtp-sink", *user, f"127.0.0.1:{self.port}", "1000"],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cases.wait_until(self._listens, 10, "smtp-sink listens")

    def _listens(self):
        import socket
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2):
                return True
        except OSError:
            return False

    def close(self):
        self._process.terminate()
        self._process.wait()


class HoldfastUnderTest:
    name = "holdfastd"

    def __init__(self, sink_port):
        self._node = harness.Node(harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink_port}"}))
        self._node.start()
        self.port = self._node.smtp_port

    def drained(self):
        return self._node.queue_empty()

    def close(self):
        self._node.terminate()
        self._node.__exit__(None)


class PostfixUnderTest:
    name = "postfix"

    def __init__(self, sink_port):
        self._postfix = postfix.Postfix(sink_port).__enter__()
        self.port = self._postfix.port

    def drained(self):
        return self._postfix.queue_empty()

    def close(self):
        self._postfix.__exit__()


def one_run(candidate, options):
    """(accepted per second, delivered per second) of one fresh relay."""
    sink = SmtpSink()
    relay = candidate(sink.port)
    try:
        begin = time.monotonic()
        subprocess.run(["/usr/sbin/smtp-source", "-s", str(options.sessions), "-m", str(options.messages),
                        "-l", str(options.bytes), "-d", "-f", "sender@back.test", "-t", "user@one.test",
                        f"127.0.0.1:{relay.port}"], check=True, timeout=600)
        accepted = time.monotonic()
        cases.wait_until(relay.drained, 600, f"{relay.name}: queue empty", poll=0.02)
        done = time.monotonic()
        return options.messages / (accepted - begin), options.messages / (done - begin)
    finally:
        relay.close()
        sink.close()


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
    if reason or not shutil.which("smtp-source", path="/usr/sbin"):
        print(f"bench: {reason or 'smtp-source is not installed: run ops/dev setup test'}")
        return 1
    print(f"machine: {machine()}")
    print(f"load: smtp-source, {options.sessions} sessions, {options.messages} messages of {options.bytes} bytes to "
          "one destination; next hop smtp-sink; both relays fsync before the 250; 1 replica", flush=True)
    results = {"holdfastd": [], "postfix": []}
    for number in range(options.runs):
        for candidate in (HoldfastUnderTest, PostfixUnderTest):
            rates = one_run(candidate, options)
            results[candidate.name].append(rates)
            print(f"run {number + 1}  {candidate.name:10}  accept {rates[0]:7.0f}/s   end to end {rates[1]:7.0f}/s",
                  flush=True)
    medians = {name: [statistics.median(column) for column in zip(*rates)] for name, rates in results.items()}
    print("\nmedian of", options.runs, "      accept/s  end to end/s")
    for name, (accept, whole) in medians.items():
        print(f"{name:16}  {accept:9.0f}  {whole:12.0f}")
    ratios = [ours / theirs for ours, theirs in zip(medians["holdfastd"], medians["postfix"])]
    print(f"{'ratio':16}  {ratios[0]:9.2f}  {ratios[1]:12.2f}")
    return 0


def main():
    parser = argparse.ArgumentParser(prog="ops/dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default="all", choices=("all", "raft", "queue", "relay"))
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--bytes", type=int, default=4096)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--queued", type=int, default=100_000, help="messages in the queue benchmark")
    parser.add_argument("--seconds", type=int, default=5, help="each run of the raft benchmark")
    options = parser.parse_args()
    code = 0
    if not os.environ.get("HOLDFAST_BIN"):
        subprocess.run([BAZEL, "build", "--config=opt", "//node:holdfastd", "//ops/cli:holdfast",
                        "//tests/bench:raft_host_bench", "//tests/bench:etcd_bench"], cwd=ROOT, check=True)
    try:
        if options.name in ("all", "raft"):
            code = bench_raft.run(options, machine()) or code
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
