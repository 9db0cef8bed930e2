"""A message that ends the node whenever it is attempted: it is held in the end, and everybody else's mail goes out.

No message is known to do that, so the sink does it for one: it kills holdfastd when it hears the recipient."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent.parent.parent / "ops" / "lib"))

import cases  # noqa: E402
import harness  # noqa: E402
import lifecycle  # noqa: E402
import sink as sink_module  # noqa: E402
import talk  # noqa: E402
from cases import expect, expect_equal, wait_until  # noqa: E402

CRASHES = 3  # The default of attempts.quarantine_after_crashes.
OTHERS = 20


class Killer:
    """Kills the node that it is given, as often as somebody calls."""

    def __init__(self):
        self.node = None
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.node:
            self.node.process.kill()


def send_poison(node):
    """It is attempted as soon as it is on disk, and the node killed: maybe before its client has read the answer."""
    with talk.Talk(node.smtp_port) as session:
        reply = lifecycle.offer(session, "crash@one.test", "poison")
        expect(not reply or reply.startswith("250"), f"message not accepted: {reply}")


def start_and_see_it_end(node, times):
    for _ in range(times):
        node.spawn()
        node.wait(60)


def poisoned_node(killer, sink):
    """A node that sends everything to `sink`, started; the killer knows it."""
    node = harness.Node(harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"}, retry_waits=("1s",)))
    node.start()
    killer.node = node
    return node


def held_after_crashes_in_a_row():
    killer = Killer()
    with sink_module.Sink(sink_module.SinkOptions(on_crash=killer)) as sink, poisoned_node(killer, sink) as node:
        lifecycle.send(node, "user@one.test", "before")
        send_poison(node)
        node.wait(60)
        start_and_see_it_end(node, CRASHES - 1)
        expect_equal(killer.calls, CRASHES, "crashes")
        node.start()
        wait_until(lambda: (node.queue() or {}).get("held_messages") == 1, 30, lambda: f"held: {node.queue()}")
        for number in range(OTHERS):
            lifecycle.send(node, f"user{number}@one.test", f"other{number}")
        for name in ["before", *(f"other{number}" for number in range(OTHERS))]:
            wait_until(lambda name=name: lifecycle.copies_of(sink, name), 30, f"{name} is delivered")
        expect_equal(killer.calls, CRASHES, "attempts of a message in quarantine")
        entry = node.cli_json("queue", "list").get("messages", [])
        expect_equal([message["state"] for message in entry], ["HELD"], "what is left in the queue")
        shown = node.cli("queue", "show", entry[0]["queue_id"]).stdout
        expect(f"crashed {CRASHES} times in a row" in shown, f"the reason is shown:\n{shown}")
        expect("event=quarantined" in node.log_text(), f"the log says so:\n{node.log_tail(5)}")
        return entry[0]["queue_id"]


def release_is_a_fresh_start():
    killer = Killer()
    with sink_module.Sink(sink_module.SinkOptions(on_crash=killer)) as sink, poisoned_node(killer, sink) as node:
        send_poison(node)
        node.wait(60)
        start_and_see_it_end(node, CRASHES - 1)
        node.start()
        wait_until(lambda: (node.queue() or {}).get("held_messages") == 1, 30, lambda: f"held: {node.queue()}")
        # A restart keeps it in quarantine.
        expect_equal(node.terminate(), 0, "exit code")
        node.start()
        expect_equal(node.queue()["held_messages"], 1, "held messages after a restart")
        killer.node = None
        identity = node.cli_json("queue", "list")["messages"][0]["queue_id"]
        node.cli("queue", "release", identity)
        wait_until(node.queue_empty, 30, lambda: f"queue empty: {node.queue()}")
        expect_equal(len(lifecycle.copies_of(sink, "poison")), 1, "copies after the release")
        expect_equal(killer.calls, CRASHES + 1, "attempts")


def innocent_bystanders_go_on():
    """Many messages are under way at each crash, and only the one that causes them is held."""
    killer = Killer()
    with sink_module.Sink(sink_module.SinkOptions(on_crash=killer)) as sink, poisoned_node(killer, sink) as node:
        node.cli("policy", "apply", "--comment", "away", policy_to(node, harness.free_port()))
        send_poison(node)
        names = [f"other{number}" for number in range(OTHERS)]
        for number, name in enumerate(names):
            lifecycle.send(node, f"user{number}@one.test", name)
        wait_until(lambda: all_deferred(node, OTHERS + 1), 30, lambda: node.cli("queue", "list").stdout)
        # The crash may be quicker than the answer to the command.
        node.cli("policy", "apply", "--comment", "back", policy_to(node, sink.port), check=False)
        node.wait(60)
        start_and_see_it_end(node, CRASHES - 1)
        node.start()
        wait_until(lambda: (node.queue() or {}).get("messages") == 1, 60, lambda: f"one left: {node.queue()}")
        for name in names:
            expect(lifecycle.copies_of(sink, name), f"{name} was not delivered")
        expect_equal(node.queue()["held_messages"], 1, "held messages")
        expect_equal(killer.calls, CRASHES, "crashes")


def all_deferred(node, count):
    entries = node.cli_json("queue", "list").get("messages", [])
    return len([entry for entry in entries if entry.get("last_status")]) == count


def policy_to(node, port):
    path = node.directory / f"to-{port}.textproto"
    options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{port}"}, retry_waits=node.options.retry_waits)
    path.write_text(harness.policy_text(options))
    return str(path)


CASES = (
    ("a message that crashes the node is held, others go out", held_after_crashes_in_a_row),
    ("a release gives it a fresh start", release_is_a_fresh_start),
    ("what was under way beside it is delivered", innocent_bystanders_go_on),
)


def main():
    counter = cases.Cases(only=sys.argv[1] if len(sys.argv) > 1 else None)
    for name, function in CASES:
        counter.run(name, function)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
