"""`ops/dev soak failover [N]`: how long mail waits when the leader of its group is killed.

A trial: the node that leads most queue groups gets mail, its attempts are held at the sink before the final
dot (so the mail is due and nothing is in doubt), and it is killed with kill -9. A group's figure is the time
from the kill to the sink's reading the first final dot of that group's mail from another node. Each trial
gives one figure, that of the group of its first message, and beside it the slowest of the killed node's
groups. What a node settles as in doubt is left out, for it waits on purpose. After each trial everything must
have arrived, once.
"""

import argparse
import asyncio
import dataclasses
import json
import math
import os
import pathlib
import sys
import time

import account
import cases
import cluster as cluster_module
import doubts as doubts_module
import harness
import sink as sink_module
import smtp_client

MESSAGES = 12
ARRIVE_SECONDS = 60.0
DOMAINS = ("one.test", "two.test", "three.test", "four.test")


@dataclasses.dataclass(frozen=True)
class Trial:
    first: float  # Seconds, of the group of the first message.
    slowest: float  # Of the killed node's groups.
    groups: int  # How many of them had due mail.


def percentile(values, percent):
    """By nearest rank; of at least one value."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def figures(values):
    return {"p50": round(percentile(values, 50), 3), "p95": round(percentile(values, 95), 3),
            "max": round(max(values), 3)}


class LogTails:
    """What the nodes' logs got since the last question: they grow over hundreds of trials."""

    def __init__(self, nodes):
        self._nodes = nodes
        self._offsets = [0] * len(nodes)

    def read(self):
        texts = []
        for place, node in enumerate(self._nodes):
            with open(node.log, "rb") as log:
                log.seek(self._offsets[place])
                octets = log.read()
            self._offsets[place] += len(octets)
            texts.append(octets.decode(errors="replace"))
        return texts


async def submit(port, prefix):
    """MESSAGES messages over one connection; their account.Acknowledged in that order."""
    acknowledged = []
    connection = await smtp_client.Connection.open(port)
    try:
        for number in range(MESSAGES):
            identity, sender = f"{prefix}-{number}", f"sender{number}@back.test"
            recipient = f"user.{prefix}.{number}@{DOMAINS[number % len(DOMAINS)]}"
            content = smtp_client.make_message(identity, sender, recipient, 2000)
            await connection.send(sender, [recipient], content)
            acknowledged.append(account.Acknowledged(identity, sender, recipient, smtp_client.digest(content)))
    finally:
        await connection.close()
    return acknowledged


class Room:
    """A cluster and its sink for many trials."""

    def __init__(self, cluster, sink):
        self.cluster = cluster
        self.sink = sink
        self.tails = LogTails(cluster.nodes)

    def victim(self):
        """(number, groups) of the node that leads most queue groups."""
        groups = {}
        for group in self.cluster.status()["groups"]:
            if int(group.get("group", 0)) != 0:
                groups.setdefault(int(group.get("leader_node_id", 0)), set()).add(int(group["group"]))
        groups.pop(0, None)
        return max(groups.items(), key=lambda item: (len(item[1]), -item[0]))

    def copies(self, prefix):
        return [copy for copy in self.sink.account_parts()[0] if copy.id.startswith(prefix + "-")]

    def trial(self, number):
        cases.wait_until(self.cluster.all_led, 30, "a leader for every group")
        victim, led = self.victim()
        node, host, prefix = self.cluster.nodes[victim - 1], cluster_module.host_name(victim), f"trial{number}"
        self.tails.read()
        self.sink.hold(host)
        try:
            acknowledged = asyncio.run(submit(node.smtp_port, prefix))
            cases.wait_until(lambda: self.sink.held(host) > 0, 20, "an attempt that is held before its dot", poll=0.01)
            killed_at = time.monotonic()
            node.kill()
        finally:
            self.sink.let_go(host)
        cases.wait_until(lambda: len({copy.id for copy in self.copies(prefix)}) == MESSAGES, ARRIVE_SECONDS,
                         lambda: f"all mail from other nodes: {len(self.copies(prefix))} of {MESSAGES}")
        node.start()
        cases.wait_until(self.cluster.queue_empty, ARRIVE_SECONDS, "queue empty")
        return self.judge(acknowledged, prefix, (host, led, killed_at))

    def judge(self, acknowledged, prefix, killed):
        host, led, killed_at = killed
        doubts = doubts_module.Doubts(self.tails.read())
        copies = self.copies(prefix)
        result = account.account(acknowledged, copies, [])
        unexplained = doubts.unexplained(result.repeated, time.time() - time.monotonic())
        cases.expect(not result.faults() and not unexplained,
                     f"{'; '.join(result.faults())}, duplicates without a doubt: {unexplained} ({result.line()})")
        groups = {identity: doubts.groups[queue_id] for queue_id, identity in doubts.identities.items()
                  if queue_id in doubts.groups}
        first = {}  # group -> first copy from another node.
        for copy in copies:
            if copy.host != host and copy.at > killed_at and copy.id not in doubts.settled and groups[copy.id] in led:
                first[groups[copy.id]] = min(copy.at, first.get(groups[copy.id], copy.at))
        cases.expect(first, "none of the killed node's groups had mail that was due")
        chosen = next(groups[entry.id] for entry in acknowledged if groups[entry.id] in first)
        return Trial(first[chosen] - killed_at, max(first.values()) - killed_at, len(first))


def run_trials(room, options):
    """[Trial] of those that passed, and the counter of all."""
    counter = cases.Cases()
    trials = []
    deadline = time.monotonic() + options.minutes * 60 if options.minutes else math.inf

    def one(number):
        trials.append(room.trial(number))
        last = trials[-1]
        return f"first delivery after {last.first:.2f} s, slowest of {last.groups} groups {last.slowest:.2f} s"

    for number in range(options.trials):
        if time.monotonic() > deadline:
            break
        if counter.run(f"kill -9 of a leader, trial {number + 1}", one, number) is False:
            for node in room.cluster.nodes:
                print(f"--- {node.log}:\n{node.log_tail(15)}", flush=True)
            if not all(node.ready_or_restarted() for node in room.cluster.nodes):
                break
    return trials, counter


def report(trials, options, timers):
    if not trials:
        return
    result = {"trials": len(trials), "first_delivery_s": figures([trial.first for trial in trials]),
              "slowest_group_s": figures([trial.slowest for trial in trials]), "timers": timers,
              "cores": os.cpu_count(), "load_average": round(os.getloadavg()[0], 1)}
    for name, text in (("first_delivery_s", "kill to the first delivery by another node"),
                       ("slowest_group_s", "kill to that of the slowest group")):
        print(f"{text}: p50 {result[name]['p50']:.2f} s, p95 {result[name]['p95']:.2f} s, "
              f"max {result[name]['max']:.2f} s, {len(trials)} trials", flush=True)
    print("timers: " + ", ".join(f"{name} {value}" for name, value in timers.items()), flush=True)
    if options.output:
        result["all"] = [dataclasses.asdict(trial) for trial in trials]
        pathlib.Path(options.output).write_text(json.dumps(result, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(prog="ops/dev soak failover", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", type=int, nargs="?", default=200)
    parser.add_argument("--minutes", type=float, help="begin no further trial after this time")
    parser.add_argument("--output", metavar="FILE", help="all figures as JSON")
    parser.add_argument("--tick", default="50ms")
    parser.add_argument("--heartbeat", default="150ms")
    parser.add_argument("--election-min", default="1s")
    parser.add_argument("--election-max", default="2s")
    options = parser.parse_args()
    timers = {name: getattr(options, name) for name in ("tick", "heartbeat", "election_min", "election_max")}
    with sink_module.Sink(sink_module.SinkOptions(keep_content=False)) as sink:
        node_options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"}, timers=timers)
        with cluster_module.Cluster(3, node_options) as cluster:
            cluster.start()
            cluster.wait_spread()
            trials, counter = run_trials(Room(cluster, sink), options)
    report(trials, options, timers)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
