"""aiosmtpd as the next hop: every sample byte for byte from our own client, which sends exact octets."""

import common
import samples
from cases import expect, expect_equal


def send_sample(node, sink, name, identity, content):
    recipient = f"exact-{name}@one.test"
    parameters = " BODY=8BITMIME" if samples.is_eight_bit(content) else ""
    common.send(node.smtp_port, [recipient], content, parameters=parameters)
    record = common.arrived_for(sink, recipient)[0]
    common.expect_same(record, content)
    expect_equal("BODY=8BITMIME" in record.options, bool(parameters), "BODY=8BITMIME passed on")


def trace_field(node, sink):
    """RFC 5321 4.4: who gave it to us, how, under which id, and for whom if there is only one."""
    reply = common.send(node.smtp_port, ["trace@one.test"], b"Subject: t\r\n\r\nx\r\n")
    trace = common.trace_of(common.arrived_for(sink, "trace@one.test")[0])
    for text in ("from load.test", "[127.0.0.1]", "with ESMTP", "for <trace@one.test>"):
        expect(text in trace, f"no {text!r} in {trace!r}")
    identity = next((word for word in trace.replace(";", " ").split() if len(word) == 16 and word in reply), None)
    expect(identity, f"the queue id of {trace!r} is not in the reply {reply!r}")
    common.send(node.smtp_port, ["trace1@one.test", "trace2@one.test"], b"Subject: t\r\n\r\nx\r\n")
    trace = common.trace_of(common.arrived_for(sink, "trace1@one.test")[0])
    expect("trace1@" not in trace and "trace2@" not in trace, f"recipients in the trace of a message to two: {trace!r}")


def one_message_to_many(node, sink):
    """120 recipients in three domains: each exactly once, in transactions of at most 50."""
    recipients = [f"many{number}@domain{number % 3}.test" for number in range(120)]
    common.send(node.smtp_port, recipients, b"X-Holdfast-Id: many\r\n\r\nx\r\n")

    def all_there():
        return sum(len(record.recipients) for record in sink.find("many")) >= 120
    common.cases.wait_until(all_there, common.SECONDS, "120 recipients at the sink")
    got = sorted(recipient for record in sink.find("many") for recipient in record.recipients)
    expect_equal(got, sorted(recipients), "recipients")
    expect(all(len(record.recipients) <= 50 for record in sink.find("many")), "more than 50 in a transaction")
    expect(all(len({r.split("@")[1] for r in record.recipients}) == 1 for record in sink.find("many")),
           "two domains in one transaction")


def mixed_fates(node, sink):
    """One message, three recipients at one destination: delivered, refused, deferred and then delivered."""
    identity = "fates"
    content = f"X-Holdfast-Id: {identity}\r\nSubject: fates\r\n\r\nx\r\n".encode()
    common.send(node.smtp_port, ["fine.f@one.test", "reject.f@one.test", "defer.f@one.test"], content)
    common.cases.wait_until(node.queue_empty, common.SECONDS, lambda: f"queue empty: {node.queue()}")
    copies = sorted(copy.recipient for copy in sink.account_parts()[0] if copy.id == identity)
    expect_equal(copies, ["defer.f@one.test", "fine.f@one.test"], "recipients that got a copy")
    expect_equal([notice.recipient for notice in common.notices_of(sink, identity)], ["reject.f@one.test"], "notices")


def run(counter, node, sink):
    for name, identity, content in samples.all_samples():
        counter.run(f"out: aiosmtpd, {name}", send_sample, node, sink, name, identity, content)
    counter.run("out: the Received field", trace_field, node, sink)
    counter.run("out: one message to 120 recipients", one_message_to_many, node, sink)
    counter.run("out: one message, three fates", mixed_fates, node, sink)
