"""`ops/dev bench queue [--queued N]`: what a long queue costs: memory while it grows, and the restart.

The next hop is a port on which nobody listens and retries wait an hour, so that everything stays queued.
Printed: resident memory at marks of the queue's length, then after kill -9 the time until mail is accepted
again, and memory there. What matters is that memory stays level and that the restart does not grow with the queue.
"""

import pathlib
import subprocess
import time

import cases
import harness

MARKS = (0.1, 0.25, 0.5, 1.0)


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def fill(node, count, options):
    subprocess.run(["/usr/sbin/smtp-source", "-s", str(options.sessions), "-m", str(count), "-l", str(options.bytes),
                    "-d", "-f", "sender@back.test", "-t", "user@far.test", f"127.0.0.1:{node.smtp_port}"],
                   check=True, timeout=3600)


def run(options):
    settings = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{harness.free_port()}"}, retry_waits=("1h",), expiry="5d")
    print(f"queue of {options.queued} messages of {options.bytes} bytes, 1 replica, fsync before each 250", flush=True)
    print("messages     seconds  per second  resident MiB", flush=True)
    with harness.Node(settings) as node:
        node.start()
        begin = time.monotonic()
        queued = 0
        for mark in MARKS:
            goal = int(options.queued * mark)
            fill(node, goal - queued, options)
            queued = goal
            seconds = time.monotonic() - begin
            print(f"{queued:9}  {seconds:9.1f}  {queued / seconds:10.0f}  {resident_mib(node.process.pid):12.0f}", flush=True)
        before = node.queue()["messages"]
        node.kill()
        ready = node.start()
        after = node.queue()["messages"]
        print(f"kill -9 with {before} messages queued: accepting mail again after {ready:.2f} s, {after} messages, "
              f"{resident_mib(node.process.pid):.0f} MiB resident", flush=True)
        if after != before or before < options.queued:
            raise cases.CaseFailed(f"{options.queued} accepted, {before} queued before the kill, {after} after it")
    return 0
