"""A private Exim as the next hop, which puts what it takes into a mailbox.

Exim's own additions: one Received field, as any hop's, on top. Its options that take fields away from arriving
mail (Return-path and so on) are off, see ops/lib/exim.py, and it adds no Date or Message-ID to mail that is not
its own submission.
"""

import tempfile

import account
import common
import exim
import harness
import samples
from cases import expect, expect_equal


def arrived(next_hop, identity):
    """Waits for the messages with this id; returns the only one's content."""
    def found():
        return [content for content in next_hop.messages().values() if account.find_id(content) == identity]
    contents = common.cases.wait_until(found, common.SECONDS, lambda: f"{identity} in Exim's mailbox; "
                                       f"its logs:\n{next_hop.log_text()}")
    expect_equal(len(contents), 1, f"messages with id {identity}")
    return contents[0]


def send_sample(node, next_hop, name, identity, content):
    parameters = " BODY=8BITMIME" if samples.is_eight_bit(content) else ""
    common.send(node.smtp_port, [f"exim-{name}@one.test"], content, parameters=parameters)
    got = arrived(next_hop, identity)
    below = samples.below_our_trace(got, hops=2)
    expect(below is not None, f"fewer than 2 Received fields on top: {got[:300]!r}")
    if name == "no-header":
        # Exim ends its own header with an empty line before content that has none.
        expect_equal(below, b"\r\n" + content, "content")
        return
    expect(below == content, f"changed {common.difference(below, content)}")


def one_is_refused(node, next_hop, sink):
    """Exim's 550 has no enhanced code. The other recipient of the same message gets it all the same."""
    identity = "exim-refused"
    content = f"X-Holdfast-Id: {identity}\r\nSubject: x\r\n\r\nx\r\n".encode()
    common.send(node.smtp_port, ["exim-fine@one.test", "nobody@one.test"], content)
    notice = common.bounce_of(sink, identity)
    expect_equal((notice.recipient, notice.action), ("nobody@one.test", "failed"), "notice")
    expect(notice.status.startswith("5."), f"status {notice.status}")
    text = [record for record in sink.find(identity) if not record.sender][0].content
    expect(b"550" in text and b"Unrouteable address" in text, f"Exim's words are not in the notice: {text!r}")
    expect(samples.below_our_trace(arrived(next_hop, identity), hops=2) == content, "changed")


def by_tls(node, next_hop):
    """Opportunistic TLS with GnuTLS on the other side."""
    identity = "exim-tls"
    content = f"X-Holdfast-Id: {identity}\r\n\r\nx\r\n".encode()
    common.send(node.smtp_port, ["exim-tls@one.test"], content)
    trace = arrived(next_hop, identity).split(b"\r\nReceived:")[0]
    expect(b"with esmtps" in trace, f"not by TLS: {trace!r}")


def many(node, next_hop):
    """300 messages: everything arrives once and as it was sent."""
    import asyncio
    import hashlib
    import smtp_client
    load = smtp_client.Load(node.smtp_port, "ex", 1, smtp_client.LoadOptions(
        connections=6, messages_max=300, large_every=100, small_bytes_max=5000, local_parts=("user",),
        domains=("one.test",)))
    asyncio.run(load.run())
    expect_equal(len(load.acknowledged), 300, f"accepted (refused: {load.refused[:2]})")
    recipients = {entry.id: entry.recipient for entry in load.acknowledged}
    seen = {}  # By the file's name, so that each file is read once.

    def settled():
        for name, content in next_hop.messages(but=seen).items():
            identity = account.find_id(content)
            digest = hashlib.sha256(account.without_trace(content)).hexdigest()
            seen[name] = account.Copy(identity, recipients.get(identity, ""), 0.0, digest)
        return node.queue_empty() and account.settled(load.acknowledged, seen.values(), [])
    common.cases.wait_until(settled, 90, lambda: f"all arrived; queue {node.queue()}, {len(seen)} in the mailbox")
    copies = [copy for copy in seen.values() if copy.id.startswith("ex-")]
    expect_equal(len(copies), 300, "copies")
    result = account.account(load.acknowledged, copies, [])
    expect(not result.faults(), "; ".join(result.faults()))


def run(counter):
    reason = exim.available()
    if reason:
        counter.fail("out: Exim", reason)
        return
    with common.sink_module.Sink() as sink, tempfile.TemporaryDirectory() as directory, \
            exim.Exim(*common.self_signed(directory)) as next_hop:
        routes = {"*": f"[127.0.0.1]:{next_hop.port}", "back.test": f"[127.0.0.1]:{sink.port}"}
        with harness.Node(harness.NodeOptions(routes=routes)) as node:
            node.start()
            for name, identity, content in samples.all_samples():
                counter.run(f"out: Exim, {name}", send_sample, node, next_hop, name, identity, content)
            counter.run("out: Exim, one recipient of two refused", one_is_refused, node, next_hop, sink)
            counter.run("out: Exim, TLS", by_tls, node, next_hop)
            counter.run("out: Exim, 300 messages", many, node, next_hop)
