"""An overloaded node among three: its groups leave within seconds, mail flows, and they come home when it is calm.

A node is starved by being stopped and continued in turn, its disk is made slow and its clock is set wrong by a
preloaded library (ops/chaos/fault_shim), and disks are "full" by a reserve larger than the file system.

  tests/cluster/overload.py [--only NAME]
"""

import argparse
import asyncio
import json
import mmap
import os
import signal
import struct
import sys
import threading
import time

from three_nodes import Loads, World, mail_reply  # It also finds ops/lib for the next ones.

import cases
import cluster as cluster_module
import harness
import sink as sink_module
import smtp_client

LEAVE_SECONDS = 60.0  # The promise is ten; this is for a machine that does other things too.
HOME_SECONDS = 120.0
MAIL_DURING = 15
SLOW_SYNC_SECONDS = 0.5
HOPELESS_SYNC_SECONDS = 1.5
CLOCK_JUMP_SECONDS = 75.0
STOPPED_SECONDS, RUNNING_SECONDS = 0.7, 0.3  # Shorter than an election takes to begin.
# What measures the machine rather than the fault does not count here. Groups go home sooner than by default.
OVERLOAD = "overload { cpu_wait_percent_max: 0 calm_for: \"8s\" move_interval: \"8s\" }\n"


class Faults:
    """What the library preloaded into one node is told: two int64, clock jump in ns and sync delay in us."""

    def __init__(self, node):
        self.path = node.directory / "faults"
        self.path.write_bytes(bytes(16))
        with open(self.path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 16)

    def jump(self, seconds):
        struct.pack_into("q", self._map, 0, int(seconds * 1e9))

    def slow_syncs(self, seconds):
        struct.pack_into("q", self._map, 8, int(seconds * 1e6))


class FaultyCluster(cluster_module.Cluster):
    """Each node with the library."""

    def start(self):
        self.faults = {}
        for number, node in enumerate(self.nodes, 1):
            self.faults[number] = Faults(node)
            extra = {"LD_PRELOAD": harness.find_binary("ops/chaos/fault_shim.so"),
                     "HOLDFAST_FAULTS": str(self.faults[number].path)}
            before = {name: os.environ.get(name) for name in extra}
            os.environ.update(extra)
            try:
                node.spawn()
            finally:
                for name, value in before.items():
                    os.environ.pop(name) if value is None else os.environ.update({name: value})
        for node in self.nodes:
            cases.wait_until(node.ready, cluster_module.FORM_SECONDS, lambda node=node: f"ready:\n{node.log_tail()}")


class Starved:
    """Stops and continues a process in turn, so that it runs too late for whatever it does."""

    def __init__(self, process):
        self._process = process
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        try:
            while not self._over.is_set():
                self._process.send_signal(signal.SIGSTOP)
                self._over.wait(STOPPED_SECONDS)
                self._process.send_signal(signal.SIGCONT)
                self._over.wait(RUNNING_SECONDS)
        finally:
            self._process.send_signal(signal.SIGCONT)


def cluster_node(asked, number):
    """admin.ClusterNode of one node, as another sees it; {} while that does not answer."""
    run = asked.cli("--output", "json", "cluster", "status", check=False)
    if run.returncode != 0:
        return {}
    nodes = json.loads(run.stdout)["nodes"]
    return next((node for node in nodes if int(node["node_id"]) == number), {})


def groups_led(asked, number):
    return int(cluster_node(asked, number).get("groups_led", 0))


def hand_overs(node, reason):
    """Groups that the node handed over for that reason, in the order of its log."""
    return [line for line in node.log_text().splitlines() if " event=hand_over " in line and reason in line]


def wait_for_leaving(world, number, part):
    """Until the node leads nothing and says why. Returns the seconds that took and what it said."""
    asked = world.node(number % 3 + 1)
    begin, seen = time.monotonic(), {}

    def left():
        seen.update(cluster_node(asked, number))
        return seen and int(seen.get("groups_led", 0)) == 0 and seen.get("overloaded") and \
            seen.get("load_part") == part

    cases.wait_until(left, LEAVE_SECONDS, lambda: f"node {number} overloaded by {part}, leading nothing: {seen}")
    took = time.monotonic() - begin
    cases.expect(hand_overs(world.node(number), "overloaded: "), f"node {number} handed nothing over for its load")
    text = asked.cli("cluster", "status").stdout
    cases.expect(f"node {number} is overloaded, groups leave it: " in text, f"the reason in:\n{text}")
    cases.expect(f"node {number} handed group " in text, f"the hand-over in:\n{text}")
    return took, seen.get("load_reason")


def wait_for_home(world, number):
    cases.wait_until(lambda: groups_led(world.node(number % 3 + 1), number) == 4, HOME_SECONDS,
                     lambda: f"groups come home to node {number}: {world.cluster.led(world.node(number % 3 + 1))}",
                     poll=0.2)
    world.cluster.wait_spread()


def overloads(world, number, part, fault, prefix):
    """`fault`: a context in which the node has its trouble. Mail flows by the other nodes all the time."""
    settle_groups(world)
    others = [node for place, node in enumerate(world.cluster.nodes, 1) if place != number]
    loads = Loads(prefix, others)
    try:
        loads.wait_for(5)
        with fault:
            took, reason = wait_for_leaving(world, number, part)
            loads.wait_for(MAIL_DURING)
        calm = time.monotonic()
        wait_for_home(world, number)
        home = time.monotonic() - calm
    finally:
        loads.stop()
    for load in loads.loads:
        cases.expect(not load.broken, f"connections that broke at nodes without trouble: {load.broken}")
    result = world.settle(loads.acknowledged(), prefix)
    return f"left after {took:.1f} s ({reason}), home {home:.1f} s after it ended; {result.line()}"


def settle_groups(world):
    """Groups that came lately are not moved: until each has been where it is for move_interval."""
    terms = {}
    since = time.monotonic()

    def settled():
        nonlocal terms, since
        now = {group.get("group", 0): group.get("leader_node_id") for group in world.cluster.status()["groups"]}
        if now != terms:
            terms, since = now, time.monotonic()
        return time.monotonic() - since > 10

    cases.wait_until(settled, 90, lambda: f"leaders that stay: {terms}", poll=0.3)


class SlowSyncs:
    def __init__(self, faults, seconds):
        self._faults, self._seconds = faults, seconds

    def __enter__(self):
        self._faults.slow_syncs(self._seconds)

    def __exit__(self, *_):
        self._faults.slow_syncs(0)


def a_node_is_starved(world):
    return overloads(world, 1, "event loop", Starved(world.node(1).process), "starved")


def a_disk_is_slow(world):
    return overloads(world, 2, "fsync", SlowSyncs(world.cluster.faults[2], SLOW_SYNC_SECONDS), "slow")


def a_hopeless_node_sends_clients_elsewhere(world):
    """Far beyond what it can bear: 421 at the greeting, and after it is calm mail is welcome again."""
    node, faults = world.node(3), world.cluster.faults[3]
    replies = [""]

    def reply():
        try:
            replies.append(asyncio.run(mail_reply(node.smtp_port)))
        except smtp_client.Refused as refused:  # The greeting.
            replies.append(str(refused))
        except (EOFError, OSError) as error:
            replies.append(str(error))
        return replies[-1]

    loads = Loads("hopeless", world.cluster.nodes[:2])  # Followers sync too.
    try:
        with SlowSyncs(faults, HOPELESS_SYNC_SECONDS):
            cases.wait_until(lambda: reply().startswith("421 4.3.2 "), LEAVE_SECONDS,
                             lambda: f"421 from the overloaded node: {replies[-1]}")
            refused = replies[-1]
            cases.expect(not any(text.startswith("5") for text in replies), f"refused for good: {replies}")
            cases.expect_equal(asyncio.run(mail_reply(world.node(1).smtp_port)), "accepted", "MAIL at another node")
            cases.expect_equal(node.http("/readyz")[0], 503, "/readyz of the overloaded node")
            loads.wait_for(MAIL_DURING)
        cases.wait_until(lambda: reply() == "accepted", LEAVE_SECONDS, lambda: f"welcome again: {replies[-1]}")
        wait_for_home(world, 3)
    finally:
        loads.stop()
    result = world.settle(loads.acknowledged(), "hopeless")
    return f"{refused}; {result.line()}"


def a_clock_is_off(world):
    """Its node leads and accepts nothing, and says so; the others go on; once it is right all is as before."""
    number = 3
    node, asked, faults = world.node(number), world.node(1), world.cluster.faults[number]
    settle_groups(world)
    loads = Loads("clock", world.cluster.nodes[:2])
    seen = {}

    def off():
        seen.update(cluster_node(asked, number))
        return seen.get("clock_off") and int(seen.get("groups_led", 0)) == 0 and not seen.get("leads_control")

    try:
        loads.wait_for(5)
        begin = time.monotonic()
        faults.jump(CLOCK_JUMP_SECONDS)
        try:
            cases.wait_until(off, LEAVE_SECONDS, lambda: f"node {number} doubts its clock and leads nothing: {seen}")
            took = time.monotonic() - begin
            reply = asyncio.run(mail_reply(node.smtp_port))
            cases.expect(reply.startswith("451 4.3.2 this node's clock is "), f"reply to MAIL: {reply}")
            cases.expect(" event=clock_off " in node.log_text(), "event=clock_off in the log")
            cases.expect("holdfast_clock_off 1" in node.http("/metrics")[1], "the metric")
            text = asked.cli("cluster", "status").stdout
            cases.expect(f"node {number} refuses mail: this node's clock is " in text, f"the reason in:\n{text}")
            loads.wait_for(MAIL_DURING)
        finally:
            faults.jump(0)
        cases.wait_until(lambda: asyncio.run(mail_reply(node.smtp_port)) == "accepted", 30, "MAIL once it is right")
        wait_for_home(world, number)
    finally:
        loads.stop()
    result = world.settle(loads.acknowledged(), "clock")
    return f"after {took:.1f} s: {reply}; {result.line()}"


def too_few_have_room(world):
    """Two of three disks without room: the third node takes no mail either, and says whose disks they are."""
    texts = {number: world.node(number).config.read_text() for number in (2, 3)}
    reserve = f"disk_reserve_bytes: {world.cluster.options.disk_reserve_bytes} "
    for number, text in texts.items():
        cases.expect(reserve in text, "the reserve in the node file")
        world.node(number).config.write_text(text.replace(reserve, f"disk_reserve_bytes: {1 << 50} "))
        cases.expect_equal(world.node(number).terminate(), 0, "exit code of the stop")
        world.node(number).spawn()
    replies = [""]

    def reply():
        replies.append(asyncio.run(mail_reply(world.node(1).smtp_port)))
        return replies[-1]

    cases.wait_until(lambda: reply().startswith("452 4.3.1 insufficient storage: 1 of 3 "), 60,
                     lambda: f"452 at the node with room: {replies[-1]}")
    refused = replies[-1]
    for number, text in texts.items():
        world.node(number).config.write_text(text)
        cases.expect_equal(world.node(number).terminate(), 0, "exit code of the second stop")
        world.node(number).spawn()
    cases.wait_until(lambda: reply() == "accepted", 60, lambda: f"mail is welcome again: {replies[-1]}")
    world.heal()
    return refused


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only")
    options = parser.parse_args()
    counter = cases.Cases(options.only)
    with sink_module.Sink(sink_module.SinkOptions(keep_content=False, defer_tries=1)) as sink:
        node_options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"}, overload=OVERLOAD)
        with FaultyCluster(3, node_options) as cluster:
            cluster.start()
            cluster.wait_spread()
            world = World(cluster, sink)
            counter.run("a node is starved", a_node_is_starved, world)
            counter.run("a disk is slow", a_disk_is_slow, world)
            counter.run("a hopeless node sends clients elsewhere", a_hopeless_node_sends_clients_elsewhere, world)
            counter.run("a clock is off", a_clock_is_off, world)
            counter.run("too few have room", too_few_have_room, world)
            if counter.failed:
                for node in cluster.nodes:
                    print(f"--- {node.log}:\n{node.log_tail(25)}", flush=True)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
