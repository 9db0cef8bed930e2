"""Starting, stopping and refusing to start: small cases around one real holdfastd."""

import os
import pathlib
import signal
import socket
import stat
import sys

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent.parent.parent / "ops" / "lib"))

import cases  # noqa: E402
import harness  # noqa: E402
import sink as sink_module  # noqa: E402
import smtp_client  # noqa: E402
import talk  # noqa: E402
from cases import expect, expect_equal, wait_until  # noqa: E402


def offer(session, recipient, identity, sender="sender@back.test"):
    """The reply to the final dot; empty when the node has gone away."""
    reply = session.begin(sender, recipient)
    expect(reply.startswith("354"), f"no 354 but: {reply}")
    session.write(smtp_client.stuff(smtp_client.make_message(identity, sender, recipient, 100)))
    return session.say(".")


def send(node, recipient, identity, sender="sender@back.test"):
    """One message by the plain way; the reply to the final dot."""
    with talk.Talk(node.smtp_port) as session:
        reply = offer(session, recipient, identity, sender)
        expect(reply.startswith("250"), f"message not accepted: {reply}")
        session.say("QUIT")
        return reply


def copies_of(sink, identity):
    return [copy for copy in sink.account_parts()[0] if copy.id == identity]


def stop_finishes_the_running_transaction():
    with harness.node_with_sink() as (node, sink):
        session = talk.Talk(node.smtp_port)
        expect(session.begin("a@back.test", "user@one.test").startswith("354"), "no 354")
        content = smtp_client.make_message("half", "a@back.test", "user@one.test", 4000)
        stuffed = smtp_client.stuff(content)
        session.write(stuffed[:2000])
        node.process.send_signal(signal.SIGTERM)
        wait_until(lambda: node.http("/readyz")[0] != 200, 10, "not ready after SIGTERM")
        session.write(stuffed[2000:])
        reply = session.say(".")
        expect(reply.startswith("250"), f"the running transaction was cut: {reply!r}")
        after = session.say("MAIL FROM:<b@back.test>")
        expect(after == "" or after.startswith("421"), f"a new transaction during the stop: {after!r}")
        session.close()
        expect_equal(node.wait(harness.STOP_SECONDS), 0, "exit code")
        node.start()
        wait_until(lambda: copies_of(sink, "half"), 20, "the message is delivered after the restart")
        expect_equal(copies_of(sink, "half")[0].digest, smtp_client.digest(content), "content")


def stop_waits_for_an_attempt_past_the_dot():
    with harness.node_with_sink(sink_module.SinkOptions(late_seconds=2.0)) as (node, sink):
        send(node, "late@one.test", "late")
        wait_until(sink.open_dots, 20, "an attempt past its dot")
        expect_equal(node.terminate(), 0, "exit code")
        node.start()
        wait_until(node.queue_empty, 20, lambda: f"queue empty: {node.queue()}")
        expect_equal(len(copies_of(sink, "late")), 1, "copies")


def stop_does_not_wait_for_a_silent_host():
    with socket.create_server(("127.0.0.1", 0)) as silent:  # Connects, and never greets.
        routes = {"*": f"[127.0.0.1]:{silent.getsockname()[1]}"}
        with harness.Node(harness.NodeOptions(routes=routes)) as node:
            node.start()
            send(node, "user@one.test", "unheard")
            wait_until(lambda: "holdfast_attempts_running 1" in node.http("/metrics")[1], 20, "an attempt")
            expect_equal(node.terminate(), 0, "exit code")
            expect("drain_deadline" not in node.log_text(), f"it waited:\n{node.log_tail(5)}")


def stop_keeps_what_is_deferred():
    with harness.node_with_sink(sink_module.SinkOptions(defer_tries=2), retry_waits=("2s",)) as (node, sink):
        send(node, "defer@one.test", "kept")
        wait_until(lambda: sink.counts()["deferred"] > 0, 20, "a first attempt is deferred")
        expect_equal(node.terminate(), 0, "exit code")
        node.start()
        wait_until(lambda: copies_of(sink, "kept"), 30, "delivered after the restart")
        wait_until(node.queue_empty, 20, lambda: f"queue empty: {node.queue()}")
        expect_equal(len(copies_of(sink, "kept")), 1, "copies")


def second_process_on_the_same_data_is_refused():
    with harness.node_with_sink() as (node, sink):
        first = node.process
        # Ports of its own, so that it is the data directory and nothing else that refuses.
        text = harness.node_text(node.directory, harness.free_port(), harness.free_port(), node.options)
        other = node.directory / "other.textproto"
        other.write_text(text)
        kept, node.config = node.config, other
        node.spawn()
        code = node.wait(20)
        node.config, node.process = kept, first
        expect(code in (1, 2), f"exit code of the second process: {code}")
        expect(str(node.data) in node.log_text(), f"the message names the directory:\n{node.log_tail(5)}")
        send(node, "user@one.test", "still")
        wait_until(lambda: copies_of(sink, "still"), 20, "the first process still works")
        return f"exit {code}"


def refused_start(change_config, must_say, code=2):
    """A start with a broken node file ends with `code` and says what is wrong."""
    with harness.Node(harness.NodeOptions(routes={"*": "[127.0.0.1]:9"})) as node:
        change_config(node)
        node.spawn()
        expect_equal(node.wait(20), code, f"exit code; it said:\n{node.log_tail(5)}")
        for text in must_say:
            expect(text in node.log_text(), f"expected {text!r} in:\n{node.log_tail(5)}")
        expect(not node.data.exists(), "it made the data directory before it refused")


def append_node(text):
    return lambda node: node.config.write_text(node.config.read_text() + text)


def replace_policy(text):
    return lambda node: (node.directory / "policy.textproto").write_text(text)


def check_only():
    with harness.Node(harness.NodeOptions(routes={"*": "[127.0.0.1]:9"})) as node:
        node.spawn("--check")
        expect_equal(node.wait(20), 0, f"exit code of a good file:\n{node.log_tail(5)}")
        expect(not node.data.exists(), "--check made the data directory")
        append_node("listeners { }\n")(node)
        node.spawn("--check")
        expect_equal(node.wait(20), 2, "exit code of a bad file")


def other_node_id_is_refused():
    with harness.node_with_sink() as (node, _sink):
        expect_equal(node.terminate(), 0, "exit code")
        node.config.write_text(node.config.read_text() + "node_id: 7\n")
        node.spawn()
        code = node.wait(20)
        expect(code in (1, 2), f"exit code {code}:\n{node.log_tail(5)}")


def modes_are_private():
    with harness.node_with_sink() as (node, _sink):
        expect_equal(oct(stat.S_IMODE(os.stat(node.data).st_mode)), "0o700", "mode of the data directory")
        expect_equal(oct(stat.S_IMODE(os.stat(node.socket).st_mode)), "0o600", "mode of the admin socket")


def low_disk_refuses_before_the_body():
    with harness.Node(harness.NodeOptions(routes={"*": "[127.0.0.1]:9"},
                                          disk_reserve_bytes=1 << 50)) as node:
        node.spawn()
        wait_until(lambda: node.http("/healthz")[0] == 200, 20, "healthy")
        code, reason = node.http("/readyz")
        expect_equal(code, 503, "/readyz")
        expect("insufficient storage" in reason, f"/readyz says why: {reason!r}")
        with talk.Talk(node.smtp_port) as session:
            session.say("EHLO client.test")
            reply = session.say("MAIL FROM:<a@back.test>")
            expect(reply.startswith("452 4.3.1"), f"expected 452 4.3.1 at MAIL, got {reply!r}")
        expect_equal(node.terminate(), 0, "exit code")


def hangup_signal_reloads():
    with harness.node_with_sink() as (node, sink):
        node.config.write_text(node.config.read_text() + "log { level: DEBUG }\nattempts { connections_max: 7 }\n")
        node.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "event=reloaded" in node.log_text(), 10, "the reload is logged")
        line = [line for line in node.log_text().splitlines() if "event=reloaded" in line][0]
        expect("attempts" in line, f"the line names what needs a restart: {line}")
        send(node, "user@one.test", "hup")
        wait_until(lambda: copies_of(sink, "hup"), 20, "delivered after SIGHUP")


def bodies_survive_a_kill_while_nothing_can_be_delivered():
    """All are accepted while the next hop is away; then kill -9 twice; then the next hop comes."""
    port = harness.free_port()
    with harness.Node(harness.NodeOptions(routes={"*": f"[127.0.0.1]:{port}"}, retry_waits=("1s",))) as node:
        node.start()
        for number in range(20):
            send(node, f"user{number}@one.test", f"away-{number}")
        for _ in range(2):
            node.kill()
            node.start()
        expect_equal((node.queue() or {}).get("messages"), 20, "messages queued after two kills")
        with sink_module.Sink(port=port) as sink:
            wait_until(node.queue_empty, 60, lambda: f"queue empty: {node.queue()}")
            for number in range(20):
                expect_equal(len(copies_of(sink, f"away-{number}")), 1, f"copies of message {number}")


def kill_in_the_first_start(what, seen):
    """A first start that ends before its policy is replicated must not leave the default one in effect."""
    with harness.Node(harness.NodeOptions(routes={"seeded.test": "[127.0.0.1]:9"})) as node:
        node.spawn()
        wait_until(lambda: seen(node), 20, what, poll=0.001)
        node.kill()
        was_ready = "event=ready" in node.log_text()
        node.start()
        expect("seeded.test" in node.cli("policy", "show").stdout, f"the seed is in effect:\n{node.log_tail(5)}")
        expect_equal(node.cli_json("status")["policy_version"], "1", "versions")
        return "it was ready already" if was_ready else "before it was ready"


_occupied = []  # Sockets that stay open until the script ends.


def use_port_of_another(node):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    _occupied.append(listener)
    port = listener.getsockname()[1]
    node.config.write_text(harness.node_text(node.directory, port, node.http_port, node.options))


CASES = (
    ("SIGTERM lets a running transaction finish", stop_finishes_the_running_transaction),
    ("SIGTERM waits for an attempt past its dot", stop_waits_for_an_attempt_past_the_dot),
    ("SIGTERM does not wait for a host that is silent", stop_does_not_wait_for_a_silent_host),
    ("a clean restart keeps what is deferred", stop_keeps_what_is_deferred),
    ("a second process on the same data is refused", second_process_on_the_same_data_is_refused),
    ("an unknown field in the node file", refused_start, append_node('hostnam: "x.test"\n'),
     (":10:1:", "hostnam", "did you mean")),
    ("a wrong value in the node file", refused_start, append_node('user: "no such user"\n'), ("node.textproto:",)),
    ("a wrong policy file", refused_start, replace_policy('trusted_networks: "0.0.0.0/0"\n'),
     ("policy.textproto:1:",)),
    ("an address in use", refused_start, use_port_of_another, ("in use",)),
    ("--check finds mistakes and binds nothing", check_only),
    ("another node id on old data is refused", other_node_id_is_refused),
    ("data directory and admin socket are private", modes_are_private),
    ("kill -9 once the store begins to be made", kill_in_the_first_start, "a store",
     lambda node: (node.data / "store").exists()),
    ("kill -9 once the store is made", kill_in_the_first_start, "a cluster",
     lambda node: "event=cluster_created" in node.log_text()),
    ("too little disk space: 452 at MAIL", low_disk_refuses_before_the_body),
    ("SIGHUP reloads and names what needs a restart", hangup_signal_reloads),
    ("two kills while the next hop is away", bodies_survive_a_kill_while_nothing_can_be_delivered),
)

def main():
    counter = cases.Cases(only=sys.argv[1] if len(sys.argv) > 1 else None)
    for name, function, *arguments in CASES:
        counter.run(name, function, *arguments)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
