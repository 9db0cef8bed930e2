"""A leader that is not dead but does not know that it no longer leads: paused, and cut off from its peers.

Each time it has attempts before and past their final dot. Whatever it still sends once others lead its groups
must belong to what these list as in doubt; what was past the dot must be on that list; nothing is lost.

  tests/cluster/isolation.py [--only NAME]
"""

import argparse
import asyncio
import dataclasses
import json
import signal
import sys
import threading
import time

from three_nodes import Loads, World, mail_reply  # It also finds ops/lib for the next ones.

import account
import cases
import cluster as cluster_module
import doubts as doubts_module
import harness
import proxy
import sink as sink_module

LATE_SECONDS = 3.0
HELD_MIN = 2
OPEN_DOTS_MIN = 2
TAKE_OVER_SECONDS = 30.0
# Most answers to a final dot are late, so that there is always an attempt past its dot.
LOCAL_PARTS = ("late", "user", "late", "late", "defer", "late", "user", "reject")
# Attempts that last three seconds are few a second, however fast mail is accepted: at most some 40 a second come in,
# which keep some 70 attempts under way at four destinations. What is more would only make a queue to wait for.
PAUSE_SECONDS = 0.3
CONNECTIONS_PER_DESTINATION_MAX = 60


def settled_dots(world, host):
    """Attempts past the dot for long enough that nobody can call it a race, and not answered for a while yet."""
    now = time.monotonic()
    return sum(1 for copy in world.sink.account_parts()[0]
               if copy.host == host and copy.recipient.startswith("late") and 0.3 < now - copy.at < LATE_SECONDS - 1)


def get_under_way(world, number):
    """Until the node has attempts that the sink holds before the final dot, and others past it."""
    host = cluster_module.host_name(number)
    cases.wait_until(lambda: world.sink.open_dots(host) >= OPEN_DOTS_MIN, 60, f"attempts of {host} past the dot")
    world.sink.hold(host)
    cases.wait_until(lambda: world.sink.held(host) >= HELD_MIN and settled_dots(world, host) >= OPEN_DOTS_MIN, 60,
                     lambda: f"attempts of {host} before the dot ({world.sink.held(host)}) and past it "
                             f"({settled_dots(world, host)})", poll=0.01)


def groups_led(node):
    """Queue groups that the node itself says it leads: asked of it alone, for others may not answer.

    Not those that it has just been elected in: it lists what is in doubt when it has applied its own first entry."""
    status = node.status() or {}
    return {int(group.get("group", 0)) for group in status.get("groups", []) if group.get("leading")} - {0}


@dataclasses.dataclass
class TakeOver:
    """The others lead what the node led."""

    host: str
    groups: set  # What it led then.
    since: float  # When it no longer took part.
    at: float  # When the others were seen to lead.
    listed: set  # Queue ids in its groups that the others list as in doubt, before anything was settled.


def wait_for_take_over(world, number, since, groups):
    """`groups`: what the node led."""
    others = [node for place, node in enumerate(world.cluster.nodes, 1) if place != number]

    def led():
        return set().union(*(groups_led(node) for node in others))

    cases.wait_until(lambda: groups <= led(), TAKE_OVER_SECONDS,
                     lambda: f"others lead what node {number} led: {groups - led()} nobody")
    at = time.monotonic()
    listed = set().union(*(in_doubt(node, groups) for node in others))
    return TakeOver(cluster_module.host_name(number), groups, since, at, listed)


def in_doubt(node, groups):
    pages = node.cli("queue", "list", "--state", "in-doubt", "--limit", "0", "--output", "json").stdout.splitlines()
    return {entry["queue_id"] for page in pages for entry in json.loads(page).get("messages", [])
            if int(entry.get("group", 0)) in groups}


def hand_overs(world, number):
    """[(group, seconds since 1970)] at which a leader gave a group to the node."""
    found = []
    for node in world.cluster.nodes:
        for line in node.log_text().splitlines():
            if " event=hand_over " in line:
                entry = doubts_module.fields(line)
                if entry["to"] == str(number):
                    found.append((int(entry["group"]), doubts_module.seconds_of(entry["ts"])))
    return found


def check_dots(world, number, took, prefix):
    """What the sink saw of the node, against what the others knew to be in doubt. Returns a line.

    Only of groups that others took over: one that was just on its way home to the node when it was stopped is led by it
    when it wakes up, and what it sends there is new."""
    doubts, epoch = world.doubts(), time.time() - time.monotonic()
    known = {doubts.identities.get(queue_id, queue_id) for queue_id in took.listed} | set(doubts.settled)
    groups = {identity: doubts.groups.get(queue_id) for queue_id, identity in doubts.identities.items()}
    back = {}  # group -> when it came back to the node.
    for group, at in hand_overs(world, number):
        if at > took.since + epoch:
            back[group] = min(at, back.get(group, at))
    ours = [copy for copy in world.sink.account_parts()[0] if copy.host == took.host and copy.id.startswith(prefix)]
    late = [copy for copy in ours if copy.at > took.at and groups.get(copy.id) in took.groups | {None} and
            copy.at + epoch < back.get(groups.get(copy.id), float("inf"))]
    strange = [(copy.id, round(copy.at - took.at, 2)) for copy in late if copy.id not in known]
    cases.expect(not strange, f"final dots after others led, of what they did not know to be in doubt: {strange[:5]}")
    # The sink had not answered these: their outcome can't have been recorded.
    open_dots = [copy for copy in ours if took.since - LATE_SECONDS < copy.at < took.since - 0.1
                 and copy.recipient.startswith("late")]
    unknown = [copy.id for copy in open_dots if copy.id not in known]
    cases.expect(not unknown, f"past the dot, not answered, and not known to be in doubt: {unknown[:5]}")
    cases.expect(open_dots, "no attempt was past its dot: the case tried nothing")
    return (f"others led after {took.at - took.since:.1f} s, past the dot {len(open_dots)}, listed in doubt "
            f"{len(took.listed)}, final dots afterwards {len(late)}")


def hand_over(node, group, number):
    """As balance does when a home is back, at the worst moment: the request waits for whom it asks to wake up, and what
    that does with it then is for the raft tests."""
    node.cli("cluster", "transfer", "--group", str(group), "--to", str(number), check=False)


def the_leader_is_paused(world):
    """SIGSTOP of a leader for longer than an election takes; it wakes up with attempts at every stage."""
    number, prefix = 1, "pause"
    node, host = world.node(number), cluster_module.host_name(number)
    loads = Loads(prefix, world.cluster.nodes, local_parts=LOCAL_PARTS, pause_seconds=PAUSE_SECONDS)
    try:
        get_under_way(world, number)
        groups, theirs = groups_led(node), groups_led(world.node(2))
        cases.expect(theirs, "node 2 leads nothing")
        since = time.monotonic()
        node.process.send_signal(signal.SIGSTOP)
        coming = threading.Thread(target=hand_over, args=(world.node(2), min(theirs), number))
        coming.start()
        try:
            # The answers wait in the sockets of the paused node: it may go on the moment it wakes up.
            world.sink.let_go(host)
            took = wait_for_take_over(world, number, since, groups)
            cases.wait_until(lambda: delivered_by_others(world, took), 30, "a delivery while the node is paused")
        finally:
            node.process.send_signal(signal.SIGCONT)
            coming.join()
        loads.wait_for(5)
    finally:
        world.sink.let_go(host)
        loads.stop()
    cases.wait_until(node.ready, 30, "ready after the pause")
    result = world.settle(loads.acknowledged(), prefix)
    line = check_dots(world, number, took, prefix)
    world.heal()
    return f"{line}; {result.line()}"


def delivered_by_others(world, took):
    return any(copy.host != took.host and copy.at > took.at for copy in world.sink.account_parts()[0])


def wait_until_refused(node):
    """Until MAIL is refused for want of a majority; returns when."""
    replies = []

    def refused():
        replies.append(asyncio.run(mail_reply(node.smtp_port)))
        return replies[-1].startswith("451 4.3.2 ")

    cases.wait_until(refused, 30, lambda: f"MAIL refused: {replies[-1]}", poll=0.1)
    return time.monotonic()


def old_rows_are_not_acted_on(node):
    """What the cluster has delivered long since still stands in the rows of the node that is cut off."""
    cases.expect(node.queue()["messages"] > 0, "it has old rows: the case tries something")
    listed = node.cli("queue", "list")
    cases.expect("note: group 1 as this node had it last: " in listed.stderr, f"the list says so: {listed.stderr}")
    held = node.cli("queue", "hold", "--all", "--reason", "it must not", check=False)
    cases.expect_equal(held.returncode, 1, "exit code of a verb that can't know its messages")
    cases.expect("held 0 messages" in held.stdout, f"nothing is held: {held.stdout}")
    named = [group for group in range(1, 13) if f"group {group} was left alone" in held.stderr]
    cases.expect_equal(len(named), 12, f"groups that are named: {held.stderr}")
    entry = json.loads(node.cli("queue", "list", "--limit", "1", "--output", "json").stdout)["messages"][0]
    shown = node.cli("queue", "show", entry["queue_id"])
    cases.expect("as this node had it last" in shown.stderr, f"an old row is shown as one: {shown.stderr}")
    unknown = node.cli("queue", "show", "01AAAAAAAAAAAA10", check=False)
    cases.expect_equal(unknown.returncode != 0, True, "an unknown id is an error")
    cases.expect("may not be the newest" in unknown.stderr, f"and no claim that it ended: {unknown.stderr}")


def a_node_is_cut_off(world, network):
    """No peer reaches it, clients and the receiving server do: it refuses mail, and the others deliver."""
    number, prefix = 3, "cut"
    node, host = world.node(number), cluster_module.host_name(number)
    others = world.cluster.nodes[:2]
    loads = Loads(prefix, world.cluster.nodes, local_parts=LOCAL_PARTS, pause_seconds=PAUSE_SECONDS)
    try:
        get_under_way(world, number)
        groups = groups_led(node)
        since = time.monotonic()
        network.cut(number)
        world.sink.let_go(host)
        refused_after = wait_until_refused(node) - since
        took = wait_for_take_over(world, number, since, groups)
        loads.stop()
        more = Loads(prefix + "more", others, messages_max=20)
        more.wait_for(20)
        more.stop()
        acknowledged = loads.acknowledged() + more.acknowledged()
        cases.wait_until(lambda: all(other.queue_empty() for other in others), 90,
                         lambda: f"the others delivered all: {[other.queue() for other in others]}")
        cases.expect(account.settled(acknowledged, *world.sink.account_parts()), "not all was delivered during the cut")
        cases.expect_equal(node.http("/readyz")[0], 503, "/readyz of the node that is cut off")
        old_rows_are_not_acted_on(node)
        reply = asyncio.run(mail_reply(node.smtp_port))
        cases.expect(reply.startswith("451 4.3.2 "), f"reply to MAIL before the cut ends: {reply}")
    finally:
        world.sink.let_go(host)
        network.heal()
        loads.stop()
    refused = [text for load in loads.loads for text in load.refused]
    cases.expect(not any(text.startswith("5") for text in refused), f"refused for good: {refused[:3]}")
    world.heal()
    cases.expect_equal(asyncio.run(mail_reply(node.smtp_port)), "accepted", "MAIL after the cut")
    result = world.settle(acknowledged, prefix)
    line = check_dots(world, number, took, prefix)
    return f"{reply}, after {refused_after:.1f} s; {line}; {result.line()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only")
    options = parser.parse_args()
    counter = cases.Cases(options.only)
    sink_options = sink_module.SinkOptions(keep_content=False, defer_tries=1, late_seconds=LATE_SECONDS)
    with sink_module.Sink(sink_options) as sink, proxy.Network() as network:
        node_options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"}, in_doubt_wait="2s",
                                           connections_per_destination_max=CONNECTIONS_PER_DESTINATION_MAX)
        with cluster_module.Cluster(3, node_options, via=network.via) as cluster:
            cluster.start()
            cluster.wait_spread()
            world = World(cluster, sink)
            counter.run("the leader is paused", the_leader_is_paused, world)
            counter.run("a node is cut off", a_node_is_cut_off, world, network)
            if counter.failed:
                for node in cluster.nodes:
                    print(f"--- {node.log}:\n{node.log_tail(15)}", flush=True)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
