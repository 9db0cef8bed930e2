"""A private Postfix as the next hop, which hands on to the recording sink."""

import common
import harness
import postfix
import samples
from cases import expect, expect_equal


def send_sample(node, sink, name, identity, content):
    recipient = f"postfix-{name}@one.test"
    parameters = " BODY=8BITMIME" if samples.is_eight_bit(content) else ""
    common.send(node.smtp_port, [recipient], content, parameters=parameters)
    record = common.arrived_for(sink, recipient)[0]
    if name == "no-header":
        # Postfix ends its own header with an empty line before content that has none.
        got = samples.below_our_trace(record.content)
        expect(got.endswith(content), f"changed: {got[-200:]!r}")
        return
    common.expect_same(record, content, hops=2)


def dsn_parameters_pass(node, sink):
    """Postfix offers DSN, so a NOTIFY=SUCCESS is its business: the notice is its own, with our ENVID."""
    identity = "postfix-success"
    content = f"X-Holdfast-Id: {identity}\r\n\r\nx\r\n".encode()

    import smtplib
    with smtplib.SMTP("127.0.0.1", node.smtp_port, local_hostname="client.test") as client:
        client.sendmail("sender@back.test", ["success@one.test"], content, ["ENVID=envelope-7", "RET=HDRS"],
                        ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Original.Case@one.test"])
    notice = common.bounce_of(sink, identity)
    expect_equal(notice.action, "relayed", "action")
    record = [record for record in sink.find(identity) if not record.sender][0]
    expect(b"postfix.test" in record.content, "the notice is Postfix's")
    expect(b"Original-Envelope-Id: envelope-7" in record.content, "ENVID was passed on")
    expect(b"Original.Case@one.test" in record.content, "ORCPT was passed on in its case")


def many(node, sink):
    """300 messages through both: everything arrives once."""
    import asyncio
    import smtp_client
    import account
    load = smtp_client.Load(node.smtp_port, "pf", 1, smtp_client.LoadOptions(
        connections=6, messages_max=300, large_every=100, small_bytes_max=5000, local_parts=("user",)))
    asyncio.run(load.run())
    expect_equal(len(load.acknowledged), 300, f"accepted (refused: {load.refused[:2]})")

    def settled():
        return account.settled(load.acknowledged, *sink.account_parts())
    common.cases.wait_until(settled, 90, lambda: f"all arrived; queue {node.queue()}")
    result = account.account(load.acknowledged, *sink.account_parts())
    expect(not result.faults(), "; ".join(result.faults()))
    copies = [copy for copy in sink.account_parts()[0] if copy.id.startswith("pf-")]
    expect_equal(len(copies), 300, "copies")


def run(counter):
    reason = postfix.available()
    if reason:
        counter.fail("out: Postfix", reason)
        return
    with common.sink_module.Sink() as sink, postfix.Postfix(sink.port) as next_hop:
        routes = {"*": f"[127.0.0.1]:{next_hop.port}", "back.test": f"[127.0.0.1]:{sink.port}"}
        with harness.Node(harness.NodeOptions(routes=routes)) as node:
            node.start()
            for name, identity, content in samples.all_samples():
                counter.run(f"out: Postfix, {name}", send_sample, node, sink, name, identity, content)
            counter.run("out: Postfix, NOTIFY, ENVID and ORCPT pass", dsn_parameters_pass, node, sink)
            counter.run("out: Postfix, 300 messages", many, node, sink)
