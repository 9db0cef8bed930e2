"""Bytes of stored bodies are flipped on disk: they are fetched from other nodes, or the message is held; never sent.

  tests/cluster/damaged.py [--only NAME]
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent.parent.parent / "ops" / "lib"))
sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent))

import cases  # noqa: E402
import cluster as cluster_module  # noqa: E402
import harness  # noqa: E402
import sink as sink_module  # noqa: E402
import smtp_client  # noqa: E402
import talk  # noqa: E402

MESSAGES = 8
# Bodies of this size leave the log for files of their own at the next start.
CONTENT_BYTES = 20_000
MARK = b"MARKED-FOR-DAMAGE"


def send(node, number):
    """One message with a mark in its body; (identity, digest of its content)."""
    identity = f"damaged{number}"
    sender, recipient = "sender@back.test", f"user{number}@one.test"
    with talk.Talk(node.smtp_port) as session:
        reply = session.begin(sender, recipient)
        cases.expect(reply.startswith("354"), f"no 354 but: {reply}")
        content = smtp_client.make_message(identity, sender, recipient, CONTENT_BYTES) + MARK + b"\r\n"
        session.write(smtp_client.stuff(content))
        reply = session.say(".")
        cases.expect(reply.startswith("250"), f"message not accepted: {reply}")
        session.say("QUIT")
    return identity, smtp_client.digest(content)


def flip_marks(node):
    """Flips a bit in every mark in the stopped node's blob files; how many."""
    count = 0
    for path in (node.data / "store").glob("*.blob"):
        data = bytearray(path.read_bytes())
        place = data.find(MARK)
        while place >= 0:
            data[place] ^= 1
            count += 1
            place = data.find(MARK, place + 1)
        path.write_bytes(data)
    return count


def restart(node):
    cases.expect_equal(node.terminate(), 0, "exit code of the stop")
    node.spawn()
    cases.wait_until(node.ready, 30, lambda: f"ready again:\n{node.log_tail()}")


def damage(node):
    """A start brings the log's bodies into files; then they are damaged."""
    restart(node)
    cases.expect_equal(node.terminate(), 0, "exit code of the stop")
    flipped = flip_marks(node)
    cases.expect(flipped >= 1, "no body was found in the node's files")
    node.spawn()
    cases.wait_until(node.ready, 30, lambda: f"ready again:\n{node.log_tail()}")
    return flipped


def copies(sink):
    return {copy.id: copy.digest for copy in sink.account_parts()[0] if copy.id.startswith("damaged")}


def one_node_of_three_is_damaged():
    with sink_module.Sink(sink_module.SinkOptions()) as sink:
        options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"}, in_doubt_wait="2s")
        names = [cluster_module.host_name(number) for number in (1, 2, 3)]
        for name in names:
            sink.hold(name)
        with cluster_module.Cluster(3, options) as cluster:
            cluster.start()
            cluster.wait_spread()
            sent = dict(send(cluster.nodes[number % 3], number) for number in range(MESSAGES))
            node = cluster.nodes[1]
            flipped = damage(node)
            cases.expect_equal(flipped, MESSAGES, "bodies damaged")
            # The damaged node is to make all attempts.
            for group in cluster.status()["groups"]:
                if int(group.get("leader_node_id", 0)) != 2:
                    cluster.transfer(group.get("group", 0), 2)
            for name in names:
                sink.let_go(name)
            cases.wait_until(cluster.queue_empty, 60, lambda: f"queue empty:\n{node.log_tail()}")
            cases.expect_equal(copies(sink), sent, "what arrived")
            log = "".join(one.log_text() for one in cluster.nodes)
            mended = log.count("event=body_mended")
            cases.expect(mended >= 1, "no body was mended")
            cases.expect("event=body_lost" not in log, "a body was called lost")
            return f"{flipped} damaged, {mended} mended"


def a_lone_damaged_node_holds_the_message():
    with sink_module.Sink(sink_module.SinkOptions()) as sink:
        options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"}, node_extra='hostname: "lone.test"')
        sink.hold("lone.test")
        with harness.Node(options) as node:
            node.start()
            send(node, 0)
            damage(node)
            sink.let_go("lone.test")
            cases.wait_until(lambda: "event=body_lost" in node.log_text(), 30, lambda: f"body_lost:\n{node.log_tail()}")
            cases.wait_until(lambda: node.queue()["held_messages"] == 1, 30, lambda: f"the message is held:\n{node.log_tail()}")
            cases.expect_equal(copies(sink), {}, "what arrived")
            cases.expect("event=bounced" not in node.log_text(), "it was bounced")
            return "held"


CASES = {
    "one node of three is damaged": one_node_of_three_is_damaged,
    "a lone damaged node holds the message": a_lone_damaged_node_holds_the_message,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only")
    counter = cases.Cases(parser.parse_args().only)
    for name, case in CASES.items():
        counter.run(name, case)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
