"""What an operator does with a running node, through the command line: look, hold, release, reroute, end."""

import datetime
import json
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent.parent.parent / "ops" / "lib"))

import cases  # noqa: E402
import harness  # noqa: E402
import lifecycle  # noqa: E402
import sink as sink_module  # noqa: E402
from cases import expect, expect_equal, wait_until  # noqa: E402


def dead_end():
    """A next hop that refuses connections."""
    return f"[127.0.0.1]:{harness.free_port()}"


def policy_file(node, routes, name="new.textproto"):
    path = node.directory / name
    path.write_text(harness.policy_text(harness.NodeOptions(routes=routes, retry_waits=node.options.retry_waits)))
    return str(path)


def queued(node, count=1):
    """Waits until `count` messages were attempted and deferred; returns the list's entries."""
    def deferred():
        entries = node.cli_json("queue", "list").get("messages", [])
        return entries if len([e for e in entries if e.get("last_status")]) == count else None
    return wait_until(deferred, 20, lambda: f"{count} deferred messages: {node.cli('queue', 'list').stdout}")


def waiting_node():
    """A node whose mail can't go anywhere for an hour, unless somebody acts."""
    return harness.Node(harness.NodeOptions(routes={"*": dead_end()}, retry_waits=("1h",), expiry="2h"))


def list_and_show():
    with waiting_node() as node:
        node.start()
        lifecycle.send(node, "user@one.test", "shown")
        entry = queued(node)[0]
        identity = entry["queue_id"]
        expect_equal(len(identity), 16, "characters of a queue id")
        expect_equal((entry["sender"], entry["destination"], entry["state"]),
                     ("sender@back.test", "one.test", "DEFERRED"), "list entry")
        shown = node.cli_json("queue", "show", identity)
        recipient = shown["recipients"][0]
        expect_equal((recipient["address"], recipient["outcome"], recipient["attempts"]), ("user@one.test", "open", 1),
                     "recipient")
        expect("refused" in recipient["last_status"].lower(), f"why it waits: {recipient['last_status']!r}")
        text = node.cli("queue", "show", identity).stdout
        expect(identity in text and "user@one.test" in text, f"for people:\n{text}")
        expect("one.test" in node.cli("queue", "summary").stdout, "the summary names the destination")
        status = node.cli_json("status")
        expect_equal(int(status["queue"]["messages"]), 1, "messages in status")


def hold_release_reroute():
    with waiting_node() as node, sink_module.Sink() as sink:
        node.start()
        lifecycle.send(node, "held@one.test", "held")
        lifecycle.send(node, "free@two.test", "free")
        queued(node, 2)
        entries = node.cli_json("queue", "list")["messages"]
        held = [entry for entry in entries if entry["destination"] == "one.test"][0]
        node.cli("queue", "hold", held["queue_id"], "--reason", "let me look")
        shown = node.cli_json("queue", "show", held["queue_id"])
        expect_equal(shown["message"]["held_reason"], "let me look", "reason")
        node.cli("policy", "apply", policy_file(node, {"*": f"[127.0.0.1]:{sink.port}"}), "--comment", "to the sink")
        node.cli("queue", "retry", "--all")
        wait_until(lambda: lifecycle.copies_of(sink, "free"), 20, "the free message is delivered by the new route")
        expect_equal(lifecycle.copies_of(sink, "held"), [], "copies of the held message")
        node.cli("queue", "release", held["queue_id"])
        wait_until(lambda: lifecycle.copies_of(sink, "held"), 20, "the released message is delivered")
        wait_until(node.queue_empty, 20, lambda: f"queue empty: {node.queue()}")


def reroute():
    """The messages of a dead domain go by another one's route; addresses stay."""
    with sink_module.Sink() as sink:
        options = harness.NodeOptions(routes={"*": dead_end(), "alive.test": f"[127.0.0.1]:{sink.port}"},
                                      retry_waits=("1h",), expiry="2h")
        with harness.Node(options) as node:
            node.start()
            lifecycle.send(node, "user@dead.test", "rerouted")
            lifecycle.send(node, "user@other.test", "left alone")
            queued(node, 2)
            verb = ("queue", "reroute", "--destination", "dead.test", "--to", "alive.test")
            tried = node.cli_json(*verb, "--dry-run")
            expect_equal(int(tried["messages_touched"]), 1, "messages that would be rerouted")
            done = node.cli_json(*verb, "--reason", "the domain moved")
            expect_equal(int(done["messages_touched"]), 1, "messages rerouted")
            wait_until(lambda: lifecycle.copies_of(sink, "rerouted"), 20, "delivered by the other route")
            expect_equal(lifecycle.copies_of(sink, "rerouted")[0].recipient, "user@dead.test", "recipient")
            # The sink has it before the node has recorded that.
            wait_until(lambda: node.queue()["messages"] == 1, 20, lambda: f"one message left: {node.queue()}")


def resting_node(port):
    """A node whose next hop, at `port`, was away so often that it is left alone for a minute."""
    node = harness.Node(harness.NodeOptions(routes={"*": f"[127.0.0.1]:{port}"}, retry_waits=("1s",), expiry="2h"))
    node.start()
    lifecycle.send(node, "user@one.test", "resting")
    identity = queued(node)[0]["queue_id"]
    wait_until(lambda: node.cli_json("queue", "show", identity)["recipients"][0]["attempts"] >= 3, 20,
               "attempts enough to make the destination rest")
    return node


def retry_reaches_a_resting_host():
    port = harness.free_port()
    with resting_node(port) as node, sink_module.Sink(port=port) as sink:
        node.cli("queue", "retry", "--all")
        wait_until(lambda: lifecycle.copies_of(sink, "resting"), 20, "delivered once the operator asks")


def retry_during_an_attempt():
    """The attempt began before the operator mended whatever it was: when it fails, the next one is due."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{silent.getsockname()[1]}"}, retry_waits=("1h",),
                                      expiry="2h")
        with harness.Node(options) as node:
            node.start()
            lifecycle.send(node, "user@one.test", "asked-again")
            connection, _ = silent.accept()
            node.cli("queue", "retry", "--all")
            connection.close()
            again, _ = silent.accept()  # Within its timeout; the usual wait is an hour.
            again.close()
            identity = queued(node)[0]["queue_id"]
            wait_until(lambda: node.cli_json("queue", "show", identity)["recipients"][0]["attempts"] == 2, 20,
                       "the second attempt is recorded")
            due = datetime.datetime.fromisoformat(queued(node)[0]["next_attempt"])
            wait = (due - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
            expect(wait > 1800, f"then it waits as usual, not for {wait:.0f} s")


def new_policy_ends_rests():
    with resting_node(harness.free_port()) as node, sink_module.Sink() as sink:
        node.cli("policy", "apply", policy_file(node, {"*": f"[127.0.0.1]:{sink.port}"}))
        wait_until(lambda: lifecycle.copies_of(sink, "resting"), 20, "delivered by the new route")


def stuck_destination():
    """docs/runbooks/stuck-destination.md, from the look to the last way out; mail elsewhere goes on meanwhile."""
    with sink_module.Sink() as sink:
        options = harness.NodeOptions(routes={"stuck.test": dead_end(), "*": f"[127.0.0.1]:{sink.port}"},
                                      retry_waits=("1h",), expiry="2h")
        with harness.Node(options) as node:
            node.start()
            for number in range(4):
                lifecycle.send(node, f"user{number}@stuck.test", f"stuck-{number}")
            entries = queued(node, 4)
            lifecycle.send(node, "user@other.test", "free")
            wait_until(lambda: lifecycle.copies_of(sink, "free"), 20, "mail elsewhere goes on")
            listed = node.cli("queue", "list", "--destination", "stuck.test", "--state", "deferred").stdout
            expect(all(entry["queue_id"] in listed for entry in entries), f"all four are listed:\n{listed}")
            shown = node.cli("queue", "show", entries[0]["queue_id"]).stdout
            expect("refused" in shown.lower(), f"why:\n{shown}")

            node.cli("queue", "hold", "--destination", "stuck.test", "--reason", "asked their postmaster")
            expect_equal(node.queue()["held_messages"], 4, "held")
            one = entries[0]["queue_id"]
            node.cli("queue", "release", one)
            node.cli("queue", "bounce", one, "--reason", "that mailbox is gone")
            wait_until(lambda: node.queue()["messages"] == 3, 20, "one is bounced, and its notice delivered")

            # The policy's way is mended while mail waits; what is released takes the new one.
            node.cli("policy", "apply", policy_file(node, {"*": f"[127.0.0.1]:{sink.port}"}), "--comment", "moved")
            expect_equal(node.queue()["held_messages"], 3, "a policy lets nothing go that is held")
            node.cli("queue", "release", "--destination", "stuck.test")
            wait_until(node.queue_empty, 20, "all that was released is delivered")
            copies = [len(lifecycle.copies_of(sink, f"stuck-{number}")) for number in range(4)]
            expect_equal(sorted(copies), [0, 1, 1, 1], "each is delivered once, but for the one that was bounced")


def hold_survives_a_kill():
    with waiting_node() as node:
        node.start()
        lifecycle.send(node, "held@one.test", "held")
        identity = queued(node)[0]["queue_id"]
        node.cli("queue", "hold", identity, "--reason", "until monday")
        node.kill()
        node.start()
        message = node.cli_json("queue", "show", identity)["message"]
        expect_equal((message["state"], message["held_reason"]), ("HELD", "until monday"), "after the restart")


def remove_and_bounce():
    """remove tells nobody, bounce tells the sender; both want a reason, both can be tried first."""
    with sink_module.Sink() as sink:
        options = harness.NodeOptions(routes={"*": dead_end(), "back.test": f"[127.0.0.1]:{sink.port}"},
                                      retry_waits=("1h",), expiry="2h")
        with harness.Node(options) as node:
            node.start()
            lifecycle.send(node, "gone@one.test", "removed")
            lifecycle.send(node, "told@two.test", "bounced")
            queued(node, 2)
            without = node.cli("queue", "remove", "--destination", "one.test", check=False)
            expect(without.returncode in (1, 2), f"remove without a reason: exit {without.returncode}")
            tried = node.cli_json("queue", "remove", "--destination", "one.test", "--reason", "x", "--dry-run")
            expect_equal(int(tried["messages_touched"]), 1, "messages that would be removed")
            expect_equal(node.queue()["messages"], 2, "messages after a dry run")
            node.cli("queue", "remove", "--destination", "one.test", "--reason", "spam")
            done = node.cli_json("queue", "bounce", "--destination", "two.test", "--reason", "domain is gone")
            expect_equal(int(done["messages_touched"]), 1, "messages bounced")
            notice = wait_until(lambda: sink.account_parts()[1], 20, "a notice at the sink")[0]
            expect_equal((notice.id, notice.recipient, notice.action), ("bounced", "told@two.test", "failed"), "notice")
            wait_until(node.queue_empty, 20, lambda: f"queue empty: {node.queue()}")
            expect_equal(len(sink.account_parts()[1]), 1, "notices")
            removed = [line for line in node.log_text().splitlines() if " event=removed " in line]
            expect_equal(len(removed), 1, "removed messages in the log")
            expect(" reply=spam " in removed[0] and " actor=" in removed[0], f"why, and by whom, in {removed[0]}")


def policy_versions():
    with waiting_node() as node:
        node.start()
        wrong = node.directory / "wrong.textproto"
        wrong.write_text('routes { destination: "*"\n  next_hop: "[127.0.0.1" }\nunknown_thing: 1\n')
        check = node.cli("policy", "check", str(wrong), check=False)
        expect_equal(check.returncode, 1, "exit code of a bad policy")
        expect(":2:" in check.stdout + check.stderr or ":3:" in check.stdout + check.stderr,
               f"the place of the mistake: {check.stdout}{check.stderr}")
        apply = node.cli("policy", "apply", str(wrong), check=False)
        expect_equal(apply.returncode, 1, "exit code of applying a bad policy")
        before = node.cli_json("policy", "history")["versions"]
        new = policy_file(node, {"*": dead_end(), "new.test": dead_end()})
        expect("new.test" in node.cli("policy", "diff", new, check=False).stdout, "the diff shows the new route")
        node.cli("policy", "apply", new, "--comment", "a new route")
        after = node.cli_json("policy", "history")["versions"]
        expect_equal(len(after), len(before) + 1, "versions")
        expect_equal(after[0]["comment"], "a new route", "comment of the newest version")
        expect("new.test" in node.cli("policy", "show").stdout, "the policy shown is the new one")
        node.kill()
        node.start()
        expect("new.test" in node.cli("policy", "show").stdout, "the policy survives a kill")


def in_doubt_is_listed():
    """kill -9 between the remote's taking of a message and its answer: exactly that recipient is in doubt, and
    after the wait it is attempted again."""
    with sink_module.Sink(sink_module.SinkOptions(late_seconds=60)) as sink:
        options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"}, in_doubt_wait="6s")
        with harness.Node(options) as node:
            node.start()
            lifecycle.send(node, "late@one.test", "doubt")
            wait_until(sink.open_dots, 20, "an attempt past its dot")
            node.kill()
            node.start()
            listed = wait_until(lambda: [e for e in node.cli_json("queue", "list").get("messages", [])
                                         if e["state"] == "IN_DOUBT"], 5, "a message in doubt")
            shown = node.cli_json("queue", "show", listed[0]["queue_id"])["recipients"]
            expect_equal([(r["address"], r["outcome"]) for r in shown], [("late@one.test", "in doubt")], "recipients")
            wait_until(lambda: len(lifecycle.copies_of(sink, "doubt")) == 2, 20, "attempted again after the wait")


def in_doubt_can_be_held():
    with sink_module.Sink(sink_module.SinkOptions(late_seconds=60)) as sink:
        options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"},
                                      in_doubt_then="IN_DOUBT_HOLD")
        with harness.Node(options) as node:
            node.start()
            lifecycle.send(node, "late@one.test", "doubt")
            wait_until(sink.open_dots, 20, "an attempt past its dot")
            node.kill()
            node.start()
            wait_until(lambda: [e for e in node.cli_json("queue", "list").get("messages", [])
                                if e["state"] == "HELD"], 15, "the message is held")
            expect_equal(len(lifecycle.copies_of(sink, "doubt")), 1, "copies")


def exit_codes():
    with waiting_node() as node:
        node.start()
        expect_equal(node.cli("queue", "show", "0000000000000000", check=False).returncode, 1, "no such message")
        expect_equal(node.cli("queue", "no-such-verb", check=False).returncode, 2, "usage")
        expect_equal(node.cli("queue", "remove", "--reason", "x", check=False).returncode, 2, "remove without a choice")
        node.terminate()
        expect_equal(node.cli("status", check=False).returncode, 3, "nobody there")


def http_door():
    with waiting_node() as node:
        node.start()
        lifecycle.send(node, "user@one.test", "http")
        code, metrics = node.http("/metrics")
        expect_equal(code, 200, "/metrics")
        expect("\nholdfast_messages_accepted_total 1\n" in metrics, f"the counter:\n{metrics[:600]}")
        for gauge in ("messages 1", "recipients 1", "held_messages 0", "in_doubt 0"):
            expect(f"\nholdfast_queue_{gauge}\n" in metrics, f"holdfast_queue_{gauge}:\n{metrics}")
        expect_equal(node.http("/healthz")[0], 200, "/healthz")
        expect("<html" in node.http("/")[1].lower(), "a page")
        by_cli, by_http = node.cli_json("status"), json.loads(node.http("/status.json")[1])
        expect_equal(sorted(by_cli), sorted(by_http), "fields of status by both ways")
        expect_equal(node.http("/no-such-page")[0], 404, "an unknown page")


CASES = (
    ("queue list, show, summary and status", list_and_show),
    ("hold, new policy, retry, release", hold_release_reroute),
    ("reroute to another domain's way", reroute),
    ("a retry reaches a host that was away", retry_reaches_a_resting_host),
    ("a retry during an attempt is another attempt", retry_during_an_attempt),
    ("a new policy ends the rest of a destination", new_policy_ends_rests),
    ("a hold survives kill -9", hold_survives_a_kill),
    ("remove and bounce, with dry run", remove_and_bounce),
    ("policy check, diff, apply, history, show", policy_versions),
    ("in doubt after kill -9: listed, then attempted again", in_doubt_is_listed),
    ("in doubt after kill -9: held if policy says so", in_doubt_can_be_held),
    ("exit codes of holdfast", exit_codes),
    ("a stuck destination, as the runbook says", stuck_destination),
    ("metrics, health, status and page over HTTP", http_door),
)


def main():
    counter = cases.Cases(only=sys.argv[1] if len(sys.argv) > 1 else None)
    for name, function in CASES:
        counter.run(name, function)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
