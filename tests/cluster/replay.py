"""A client offers a message again that was accepted, because it never saw the 250: nobody gets it twice.

The client's view decides: it sends the final dot and reads nothing more, so that whatever the node answers is lost
to it. Then the node dies, or the connection, or the node never hears that the message was committed. And while the
cluster asks about each message, a node whose disk is slow, or that is paused, keeps no other from accepting.

  tests/cluster/replay.py [--only NAME]
"""

import argparse
import asyncio
import itertools
import re
import signal
import sys
import threading
import time

import three_nodes  # It also finds ops/lib for the next ones.

import cases
import harness
import proxy
import sink as sink_module
import smtp_client
from overload import FaultyCluster, SlowSyncs

SENDER = "sender@load.test"
QUEUED_AS = re.compile(r"queued as ([0-9A-Z]{16})")
BODY_BYTES = 3000
COMMIT_TIMEOUT = 5.0  # Of the node file, which doesn't name it.
# What the client and a crowded machine may need besides.
ANSWER_MAX = COMMIT_TIMEOUT + 3.0
SLOW_SYNC_SECONDS = 0.5
# It puts off about every third client.
TRIES_AT_SLOW_NODE = 15


class Offer:
    """A connection that has sent a whole message and doesn't read the answer."""

    def __init__(self, node, identity, recipient, body_bytes=BODY_BYTES):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._connection = self._call(self._open(node.smtp_port, identity, recipient, body_bytes))

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    @staticmethod
    async def _open(port, identity, recipient, body_bytes):
        connection = await smtp_client.Connection.open(port)
        await connection.command(f"MAIL FROM:<{SENDER}>".encode(), b"2")
        await connection.command(f"RCPT TO:<{recipient}>".encode(), b"2")
        await connection.command(b"DATA", b"3")
        content = smtp_client.make_message(identity, SENDER, recipient, body_bytes)
        await connection.write(smtp_client.stuff(content) + b".\r\n")
        return connection

    def answer(self):
        return self._call(self._connection.read_reply())[-1]

    def answer_to_come(self):
        """A future of the answer's lines: for a look at whether the client was put off."""
        return asyncio.run_coroutine_threadsafe(self._connection.read_reply(), self._loop)

    def close(self):
        self._call(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


async def send_async(port, identity, recipient, times, body_bytes):
    connection = await smtp_client.Connection.open(port)
    content = smtp_client.make_message(identity, SENDER, recipient, body_bytes)
    replies = [await connection.send(SENDER, [recipient], content) for _ in range(times)]
    await connection.command(b"QUIT", b"2")
    await connection.close()
    return replies


def send(node, identity, recipient, times=1, body_bytes=BODY_BYTES):
    """The queue ids that a client is told which reads its answers and says QUIT."""
    replies = asyncio.run(send_async(node.smtp_port, identity, recipient, times, body_bytes))
    found = [QUEUED_AS.search(reply) for reply in replies]
    cases.expect(all(found), f"answers to the final dot: {replies}")
    return [match.group(1) for match in found]


def timed(node, identity):
    """Seconds to the answer to the final dot, and the answer."""
    begin = time.monotonic()
    try:
        reply = asyncio.run(send_async(node.smtp_port, identity, "user@one.test", 1, BODY_BYTES))[0]
    except smtp_client.Refused as refused:
        reply = str(refused)
    return time.monotonic() - begin, reply


def metric(node, name):
    code, text = node.http("/metrics")
    cases.expect_equal(code, 200, "/metrics")
    return int(float(re.search(rf"^{name} (\S+)$", text, re.M).group(1)))


def questions(world):
    return sum(metric(node, "holdfast_replay_questions_total") for node in world.cluster.running())


def suppressed(world):
    return sum(metric(node, "holdfast_replays_suppressed_total") for node in world.cluster.running())


def copies(world, identity):
    return len([copy for copy in world.sink.account_parts()[0] if copy.id == identity])


def expect_copies(world, identity, count):
    """Once everything is delivered, for who knows what else would come."""
    cases.wait_until(world.cluster.queue_empty, 60,
                     lambda: f"queue empty: {[node.queue() for node in world.cluster.running()]}")
    cases.expect_equal(copies(world, identity), count, f"copies of {identity}")


def queued(world, number):
    queue = world.node(number).queue()
    return queue["messages"] if queue else 0


def nobody_asks_while_all_is_well(world):
    loads = three_nodes.Loads("well", world.cluster.nodes, messages_max=30)
    loads.wait_for(30)
    loads.stop()
    world.settle(loads.acknowledged(), "well")
    ids = send(world.node(1), "wellalike", "user@one.test", times=3) + send(world.node(2), "wellalike", "user@one.test")
    cases.expect_equal(len(set(ids)), 4, "queue ids of messages that are alike")
    cases.expect_equal(questions(world), 0, "questions about replays")
    expect_copies(world, "wellalike", 4)
    return "4 messages that are alike, 4 copies, no question asked"


PROBES = itertools.count()


def asks(node):
    """Whether the node asks about messages now: tried with one."""
    before = metric(node, "holdfast_replay_questions_total")
    send(node, f"probe{next(PROBES)}", "user@one.test")
    return metric(node, "holdfast_replay_questions_total") > before


def the_connection_breaks(world):
    """The message is committed; its client is gone before the 250, and offers it to the next node at once."""
    offer = Offer(world.node(1), "broken", "user@one.test")
    cases.wait_until(lambda: copies(world, "broken") == 1, 30, "the first copy", poll=0.01)
    offer.close()
    cases.wait_until(lambda: asks(world.node(2)), 5, "node 2 asks", poll=0.02)
    before = suppressed(world)
    ids = send(world.node(2), "broken", "user@one.test")
    cases.expect_equal(suppressed(world) - before, 1, "replays suppressed")
    # It was confirmed by that client: from now on one that is alike is another message.
    again = send(world.node(3), "broken", "user@one.test", times=2)
    cases.expect_equal(len({*ids, *again}), 3, f"queue ids of a replay and two new messages: {ids} {again}")
    expect_copies(world, "broken", 3)
    return "1 replay suppressed, then 2 more that are alike and confirmed: 3 copies"


def the_node_dies(world, recipient, delivered):
    """kill -9 of the accepting node before its client has seen the 250; offered again once others miss the node."""
    identity = "died" + recipient.split("@")[0]
    offer = Offer(world.node(1), identity, recipient)
    if delivered:
        cases.wait_until(lambda: copies(world, identity) == 1, 30, "the first copy", poll=0.01)
        cases.wait_until(lambda: queued(world, 2) == 0 and queued(world, 3) == 0, 30, "its outcome on the others")
    else:
        cases.wait_until(lambda: queued(world, 2) == 1, 30, "the message on a follower", poll=0.01)
    world.node(1).kill()
    try:
        # A moment in which the others have not yet noticed is not covered (docs/decisions/016).
        cases.wait_until(lambda: asks(world.node(2)), 5, "node 2 asks", poll=0.02)
        before = suppressed(world)
        ids = send(world.node(2), identity, recipient)
        cases.expect_equal(suppressed(world) - before, 1, "replays suppressed")
        offer.close()
        # Not even a third time, for whoever asks is told the same until it is confirmed, and then it is new.
        expect_copies(world, identity, 1)
        alike = send(world.node(3), identity, recipient, times=2)
        cases.expect_equal(len({*ids, *alike}), 3, "queue ids of a replay and two new messages")
        expect_copies(world, identity, 3)
    finally:
        world.heal()
    return "answered with the first id by another node: 1 copy; 2 more that are confirmed: 3 copies"


def the_outcome_is_unknown(world, network):
    """What a node sends reaches the others, but no answer reaches it: 451. The others commit it all the same."""
    network.cut_towards(1)
    offer = Offer(world.node(1), "unknown", "user@one.test")
    answer = offer.answer()
    cases.expect(answer.startswith("451 "), f"answer without an acknowledgement: {answer}")
    offer.close()
    cases.wait_until(lambda: copies(world, "unknown") == 1, 30, "the first copy, by another node")
    network.heal()
    try:
        before = suppressed(world)
        cases.wait_until(lambda: asks(world.node(2)), 10, "node 2 asks")
        send(world.node(2), "unknown", "user@one.test")
        cases.expect_equal(suppressed(world) - before, 1, "replays suppressed")
        expect_copies(world, "unknown", 1)
    finally:
        world.heal()
    return f"{answer}: 1 copy"


def make_all_ask(world):
    """By a client that is gone before its 250."""
    identity = f"gone{next(PROBES)}"
    offer = Offer(world.node(1), identity, "user@one.test")
    cases.wait_until(lambda: copies(world, identity) == 1, 30, "its copy", poll=0.01)
    offer.close()
    for node in world.cluster.nodes:
        cases.wait_until(lambda node=node: asks(node), 10, "every node asks", poll=0.02)


def delivered_once(world, node):
    """The identity of a message that was delivered, and whose client went without QUIT.

    A node that is slow may put a client off, which is no failure; what it accepts must be delivered."""
    answers = []
    for number in range(TRIES_AT_SLOW_NODE):
        identity = f"slowly{number}"
        if takes(world, node, identity, answers):
            return identity
    raise cases.CaseFailed(f"the slow node puts all clients off: {answers}")


def takes(world, node, identity, answers):
    """Whether a copy came, and not an answer that puts the client off."""
    try:
        offer = Offer(node, identity, "user@one.test")
    except smtp_client.Refused as refusal:
        answers.append(str(refusal))
        return False
    answer = offer.answer_to_come()

    def put_off():
        return answer.done() and answer.result()[-1].startswith("4")

    try:
        cases.wait_until(lambda: copies(world, identity) == 1 or put_off(), 60, f"a copy of {identity}", poll=0.01)
        if copies(world, identity) == 1:
            return True
        answers.append(answer.result()[-1])
        return False
    finally:
        answer.cancel()
        offer.close()


def a_disk_is_slow(world):
    """A leader that applies late: others know what it has committed, and answer their clients without its rows."""
    make_all_ask(world)
    slow, other = world.node(2), world.node(1)
    loads = three_nodes.Loads("slowdisk", world.cluster.nodes)
    try:
        loads.wait_for(5)
        with SlowSyncs(world.cluster.faults[2], SLOW_SYNC_SECONDS):
            loads.wait_for(2)  # It has something to be late with.
            unanswered = metric(other, "holdfast_replays_unanswered_total")
            answers = [timed(other, f"beside{number}") for number in range(15)]
            cases.expect_equal(metric(other, "holdfast_replays_unanswered_total") - unanswered, 0,
                               f"questions without an answer, of {answers}")
            refused = [reply for _, reply in answers if not reply.startswith("250 ")]
            cases.expect(not refused, f"refused beside a slow disk: {refused}")
            slowest = max(seconds for seconds, _ in answers)
            cases.expect(slowest < ANSWER_MAX, f"an answer took {slowest:.1f} s")
            # What the slow node itself accepted is found all the same.
            identity = delivered_once(world, slow)
            before = suppressed(world)
            send(other, identity, "user@one.test")
            cases.expect_equal(suppressed(world) - before, 1, "replays suppressed")
    finally:
        loads.stop()
    world.settle(loads.acknowledged(), "slowdisk")
    expect_copies(world, identity, 1)
    return f"15 answers, the slowest after {slowest:.2f} s; a replay of what the slow node accepted was found"


def a_node_is_paused(world):
    """For longer than an election takes. Others answer in time, and once it is missed they accept again."""
    make_all_ask(world)
    paused, others = world.node(2), (world.node(1), world.node(3))
    answers = []

    def accepted(node):
        answers.append(timed(node, f"paused{len(answers)}"))
        return answers[-1][1].startswith("250 ")

    paused.process.send_signal(signal.SIGSTOP)
    begin = time.monotonic()
    try:
        for node in others:
            cases.wait_until(lambda node=node: accepted(node), 30, lambda: f"accepted beside a paused node: {answers}")
        took = time.monotonic() - begin
        for number in range(20):
            cases.expect(accepted(others[number % 2]), f"refused beside a paused node: {answers[-1]}")
    finally:
        paused.process.send_signal(signal.SIGCONT)
    strange = [reply for _, reply in answers if not reply.startswith(("250 ", "451 "))]
    cases.expect(not strange, f"neither accepted nor put off: {strange}")
    slowest = max(seconds for seconds, _ in answers)
    cases.expect(slowest < ANSWER_MAX, f"an answer took {slowest:.1f} s")
    world.heal()
    return f"both others accepted after {took:.1f} s, then 20 more; the slowest answer took {slowest:.2f} s"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only")
    options = parser.parse_args()
    counter = cases.Cases(options.only)
    sink_options = sink_module.SinkOptions(keep_content=False, defer_tries=1)
    with sink_module.Sink(sink_options) as sink, proxy.Network() as network:
        node_options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"}, in_doubt_wait="2s",
                                           retry_waits=("4s",))
        with FaultyCluster(3, node_options, via=network.via) as cluster:
            cluster.start()
            cluster.wait_spread()
            world = three_nodes.World(cluster, sink)
            counter.run("nobody asks while all is well", nobody_asks_while_all_is_well, world)
            # Before a node was lost: a node that must ask, and hears no answer, would rightly store nothing.
            counter.run("the outcome is unknown", the_outcome_is_unknown, world, network)
            # Before a node is restarted, which is then without the library.
            counter.run("a disk is slow while the cluster asks", a_disk_is_slow, world)
            counter.run("a node is paused while the cluster asks", a_node_is_paused, world)
            counter.run("the node dies, delivered", the_node_dies, world, "user@one.test", True)
            counter.run("the node dies, queued", the_node_dies, world, "defer@one.test", False)
            counter.run("the connection breaks", the_connection_breaks, world)
            if counter.failed:
                for node in cluster.nodes:
                    print(f"--- {node.log}:\n{node.log_tail(15)}", flush=True)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
