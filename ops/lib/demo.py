"""`ops/dev demo`: three nodes, real mail by swaks, kill -9 of one in the middle, and an account at the end.

The senders use all three nodes in turn; who talks to the dead one goes to the next, as clients do. The dead
node's share of the queue is delivered by the other two before it is started again.

Each message has a recipient of its own. Some recipients are refused by the receiving server (their senders
must get a bounce) and some are deferred at first (they must be delivered later). The senders' domain leads
to the same receiving server, so bounces arrive there and are counted.

Exit 0 only if every recipient that was acknowledged with 250 ended delivered, or bounced where it had to.
"""

import argparse
import queue
import subprocess
import sys
import threading
import time

import account
import cases
import cluster as cluster_module
import harness
import sink as sink_module

REJECT_EVERY = 12
DEFER_EVERY = 10
DOMAINS = ("harbour.test", "lighthouse.test", "anchor.test", "capstan.test")
SENDER_DOMAIN = "office.test"
SWAKS_SECONDS = 30


def make_jobs(count):
    """(number, sender, recipient) of each message: every 12th to be refused, every 10th deferred."""
    for number in range(count):
        local = "reject" if number % REJECT_EVERY == 5 else "defer" if number % DEFER_EVERY == 3 else "user"
        yield number, f"sender{number}@{SENDER_DOMAIN}", f"{local}{number}@{DOMAINS[number % len(DOMAINS)]}"


class Senders:
    """swaks, several at a time. A failed one is repeated under a new id: it was never acknowledged."""

    def __init__(self, nodes, jobs, parallel):
        self.nodes = nodes
        self.acknowledged = []
        self.repeats = 0
        self.gave_up = []
        self._jobs = queue.SimpleQueue()
        for job in jobs:
            self._jobs.put((*job, 0))
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(parallel)]
        for thread in self._threads:
            thread.start()

    def running(self):
        return any(thread.is_alive() for thread in self._threads)

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(SWAKS_SECONDS)

    def accepted(self):
        with self._lock:
            return len(self.acknowledged)

    def _work(self):
        while not self._stop.is_set():
            try:
                number, sender, recipient, tries = self._jobs.get_nowait()
            except queue.Empty:
                return
            identity = f"demo-{number}-{tries}"
            node = self.nodes[(number + tries) % len(self.nodes)]
            if self._swaks(node, sender, recipient, identity):
                with self._lock:
                    self.acknowledged.append(account.Acknowledged(identity, sender, recipient))
                continue
            with self._lock:
                self.repeats += 1
            if tries >= 50:
                with self._lock:
                    self.gave_up.append(recipient)
                continue
            self._stop.wait(0.3)  # As a client would: not at once.
            self._jobs.put((number, sender, recipient, tries + 1))

    def _swaks(self, node, sender, recipient, identity):
        command = ["swaks", "--server", f"127.0.0.1:{node.smtp_port}", "--helo", "client.test",
                   "--from", sender, "--to", recipient, "--header", f"Subject: demo {identity}",
                   "--header", f"{account.ID_FIELD}: {identity}", "--body", f"Demo message {identity}.",
                   "--timeout", "20s", "--silent", "3"]
        try:
            return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, timeout=SWAKS_SECONDS, check=False).returncode == 0
        except subprocess.TimeoutExpired:
            return False


class Show:
    """The running display: a small table each second."""

    def __init__(self, cluster, sink, senders):
        self._start = time.monotonic()
        self._cluster, self._sink, self._senders = cluster, sink, senders
        self._next = 0.0
        self._before = {}

    def say(self, text):
        print(f"{time.monotonic() - self._start:5.0f} s  {text}", flush=True)

    def _node(self, number, node, seconds):
        """One cell: groups led, and messages accepted and delivered in the last interval."""
        status = node.status() if node in self._cluster.running() else None
        if status is None:
            self._before.pop(number, None)
            return "dead".center(30)
        leads = sum(1 for group in status.get("groups", [])
                    if group.get("role") == "leader" and int(group.get("group", 0)) != 0)
        traffic = status.get("traffic", {})
        now = [int(traffic.get(name, 0)) for name in ("messages_accepted", "recipients_delivered")]
        rates = [(new - old) / seconds for new, old in zip(now, self._before.get(number, now))]
        self._before[number] = now
        return f"leads {leads:2}  in {rates[0]:4.0f}/s  out {rates[1]:4.0f}/s"

    def table(self):
        if time.monotonic() < self._next:
            return
        seconds = 1.0 + time.monotonic() - self._next if self._next else 1.0
        self._next = time.monotonic() + 1.0
        cells = [f"node {number}: {self._node(number, node, seconds)}"
                 for number, node in enumerate(self._cluster.nodes, 1)]
        copies, notices = self._sink.account_parts()
        delivered = len({(copy.id, copy.recipient) for copy in copies})
        self.say(" | ".join(cells) + f" | accepted {self._senders.accepted():4}  delivered {delivered:4}"
                 f"  bounced {len(notices):3}")


def kill_one(cluster, show):
    victim = cluster.nodes[1]
    counts = victim.queue() or {}
    pid = victim.process.pid
    victim.kill()
    show.say(f"kill -9 of node 2 (pid {pid}) with {counts.get('messages', '?')} messages in the cluster's queue")
    return victim


def show_status(node):
    print("$ holdfast cluster status", flush=True)
    print(node.cli("cluster", "status").stdout.rstrip(), flush=True)


def settled(cluster, senders, sink):
    copies, notices = sink.account_parts()
    return not senders.running() and cluster.queue_empty() and \
        account.settled(senders.acknowledged, copies, notices)


def run(options, cluster, sink):
    senders = Senders(cluster.nodes, make_jobs(options.messages), options.parallel)
    show = Show(cluster, sink, senders)
    ports = ", ".join(f"127.0.0.1:{node.smtp_port}" for node in cluster.nodes)
    show.say(f"three nodes take mail on {ports}; the receiving server is 127.0.0.1:{sink.port}")
    show.say(f"swaks sends {options.messages} messages, {options.parallel} at a time")
    deadline = time.monotonic() + options.deadline
    victim = None
    try:
        while time.monotonic() < deadline:
            show.table()
            if victim is None and senders.accepted() >= options.messages // 2:
                show_status(cluster.nodes[0])
                victim = kill_one(cluster, show)
            for node in cluster.nodes:
                if node is not victim and node.process.poll() is not None:
                    raise cases.CaseFailed(f"holdfastd ended with {node.process.returncode}:\n{node.log_tail()}")
            if settled(cluster, senders, sink):
                break
            time.sleep(0.1)
        else:
            show.say(f"the queue is not empty after {options.deadline} s")
    finally:
        senders.stop()
    show.table()
    if victim is not None:
        show_status(cluster.nodes[0])
        seconds = victim.start()
        show.say(f"node 2 started again (pid {victim.process.pid}), accepting mail after {seconds:.1f} s")
    return senders, victim is not None


def judge(senders, killed, sink, messages):
    """Prints what is wrong, then the account as the last line; returns the exit code."""
    copies, notices = sink.account_parts()
    result = account.account(senders.acknowledged, copies, notices)
    failed = {(notice.id, notice.recipient.lower()) for notice in notices if notice.action == "failed"}
    missing = [entry for entry in senders.acknowledged
               if entry.recipient.startswith("reject") and (entry.id, entry.recipient) not in failed]
    faults = result.faults()
    if missing:
        faults.append(f"bounce missing: {len(missing)}, for example {missing[0].recipient}")
    if senders.gave_up or result.accepted != messages:
        faults.append(f"not all messages were accepted: {result.accepted} of {messages}")
    if not killed:
        faults.append("no node was ever killed")
    print(f"repeated by swaks because of the kill: {senders.repeats}; delivered though swaks saw no 250: "
          f"{result.unacknowledged}")
    for fault in faults:
        print(f"FAULT {fault}")
    print(result.line(), flush=True)
    return 1 if faults else 0


def main():
    parser = argparse.ArgumentParser(prog="ops/dev demo", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=240)
    parser.add_argument("--parallel", type=int, default=6, help="swaks at the same time")
    parser.add_argument("--deadline", type=float, default=180, metavar="SECONDS")
    options = parser.parse_args()
    try:
        with sink_module.Sink() as sink:
            node_options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"})
            with cluster_module.Cluster(3, node_options) as cluster:
                cluster.start()
                cluster.wait_spread()
                senders, killed = run(options, cluster, sink)
                stopped = [node.terminate() for node in cluster.nodes]
                if any(stopped):
                    print(f"FAULT SIGTERM ended with {stopped}")
                return judge(senders, killed, sink, options.messages) or int(any(stopped))
    except (cases.CaseFailed, FileNotFoundError, subprocess.TimeoutExpired) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
