"""Postfix's smtp-source as the client: many messages over parallel connections, counted at the sink."""

import shutil

import common
from cases import CaseFailed, wait_until


def many(node, sink, domain, sessions, messages, bytes_each, *more):
    program = shutil.which("smtp-source", path="/usr/sbin:/usr/bin")
    if program is None:
        raise CaseFailed("smtp-source is not installed: run ops/dev setup test")
    common.run_client([program, "-s", str(sessions), "-m", str(messages), "-l", str(bytes_each), *more,
                       "-f", "sender@back.test", "-t", f"source@{domain}", f"127.0.0.1:{node.smtp_port}"])

    def count():
        return sum(1 for record in sink.records() if f"source@{domain}" in record.recipients) == messages
    wait_until(count, 60, lambda: f"{messages} messages at the sink")


def run(counter, node, sink):
    counter.run("in: smtp-source, 100 messages, 8 sessions", many, node, sink, "source1.test", 8, 100, 3000, "-d")
    counter.run("in: smtp-source, a new connection each", many, node, sink, "source2.test", 4, 40, 500)
