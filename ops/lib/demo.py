"""`ops/dev demo`: a node, real mail by swaks, kill -9 in the middle, and an account at the end.

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
import harness

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

    def __init__(self, node, jobs, parallel):
        self.node = node
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
            if self._swaks(sender, recipient, identity):
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

    def _swaks(self, sender, recipient, identity):
        command = ["swaks", "--server", f"127.0.0.1:{self.node.smtp_port}", "--helo", "client.test",
                   "--from", sender, "--to", recipient, "--header", f"Subject: demo {identity}",
                   "--header", f"{account.ID_FIELD}: {identity}", "--body", f"Demo message {identity}.",
                   "--timeout", "20s", "--silent", "3"]
        try:
            return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, timeout=SWAKS_SECONDS, check=False).returncode == 0
        except subprocess.TimeoutExpired:
            return False


class Show:
    """The running display: one line a second."""

    def __init__(self, node, sink, senders):
        self._start = time.monotonic()
        self._node, self._sink, self._senders = node, sink, senders
        self._next = 0.0

    def say(self, text):
        print(f"{time.monotonic() - self._start:5.0f} s  {text}", flush=True)

    def line(self):
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + 1.0
        counts = self._node.queue()
        copies, notices = self._sink.account_parts()
        queued = "-" if counts is None else counts["messages"]
        delivered = len({(copy.id, copy.recipient) for copy in copies})
        self.say(f"accepted {self._senders.accepted():4}   queued {queued:>4}   delivered {delivered:4}   "
                 f"bounced {len(notices):4}   deferred so far {self._sink.counts()['deferred']:3}")


def kill_and_restart(node, show):
    counts = node.queue() or {}
    pid = node.process.pid
    node.kill()
    show.say(f"kill -9 of holdfastd (pid {pid}) with {counts.get('messages', '?')} messages queued")
    seconds = node.start()
    show.say(f"started again (pid {node.process.pid}), accepting mail after {seconds:.1f} s")


def show_summary(node):
    print("$ holdfast queue summary", flush=True)
    print(node.cli("queue", "summary").stdout.rstrip(), flush=True)


def run(options, node, sink):
    senders = Senders(node, make_jobs(options.messages), options.parallel)
    show = Show(node, sink, senders)
    show.say(f"holdfastd (pid {node.process.pid}) takes mail on 127.0.0.1:{node.smtp_port}, "
             f"the receiving server is 127.0.0.1:{sink.port}")
    show.say(f"swaks sends {options.messages} messages, {options.parallel} at a time")
    deadline = time.monotonic() + options.deadline
    killed = False
    try:
        while time.monotonic() < deadline:
            show.line()
            if not killed and senders.accepted() >= options.messages // 2:
                show_summary(node)
                kill_and_restart(node, show)
                killed = True
            if node.process.poll() is not None:
                raise cases.CaseFailed(f"holdfastd ended with {node.process.returncode}:\n{node.log_tail()}")
            if not senders.running() and node.queue_empty():
                break
            time.sleep(0.1)
        else:
            show.say(f"the queue is not empty after {options.deadline} s")
    finally:
        senders.stop()
    show.line()
    return senders, killed


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
        faults.append("the node was never killed")
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
        with harness.node_with_sink() as (node, sink):
            senders, killed = run(options, node, sink)
            code = judge(senders, killed, sink, options.messages)
            if code == 0 and node.terminate() != 0:
                print(f"FAULT SIGTERM ended with {node.process.returncode}")
                code = 1
            return code
    except (cases.CaseFailed, FileNotFoundError, subprocess.TimeoutExpired) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
