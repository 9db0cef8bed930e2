"""Python's smtplib as the client: several messages on one connection, options, quoted local parts."""

import smtplib

import common
import samples
from cases import expect, expect_equal


def all_samples_on_one_connection(node, sink):
    with smtplib.SMTP("127.0.0.1", node.smtp_port, local_hostname="client.test") as client:
        for name, identity, content in samples.all_samples():
            options = ["BODY=8BITMIME"] if samples.is_eight_bit(content) else []
            client.sendmail("sender@back.test", [f"smtplib-{name}@one.test"], content, options)
    for name, identity, content in samples.all_samples():
        common.expect_same(common.arrived_for(sink, f"smtplib-{name}@one.test")[0], content)


def local_parts_are_kept(node, sink):
    """Case and quoting are the receiving domain's business."""
    recipients = ['"a b"@one.test', "MiXed.Case@one.test", "plus+tag@one.test", '"at@sign"@one.test', "x_y=z@one.test"]
    with smtplib.SMTP("127.0.0.1", node.smtp_port, local_hostname="client.test") as client:
        client.sendmail("sender@back.test", recipients, b"Subject: x\r\n\r\ntext\r\n")
    for recipient in recipients:
        common.arrived_for(sink, recipient)


def refusal_in_the_middle(node, sink):
    """A recipient that cannot be is refused, the others get their mail, and the next one starts clean."""
    with smtplib.SMTP("127.0.0.1", node.smtp_port, local_hostname="client.test") as client:
        refused = client.sendmail("sender@back.test", ["good@one.test", "bad@@one.test"], b"Subject: x\r\n\r\n1\r\n")
        expect_equal(list(refused), ["bad@@one.test"], "refused recipients")
        expect(refused["bad@@one.test"][0] in (501, 553), f"reply {refused}")
        client.sendmail("sender@back.test", ["clean@one.test"], b"Subject: y\r\n\r\n2\r\n")
    common.arrived_for(sink, "good@one.test")
    common.arrived_for(sink, "clean@one.test")


def notify_never(node, sink):
    identity = "smtplib-never"
    content = f"X-Holdfast-Id: {identity}\r\n\r\ntext\r\n".encode()
    with smtplib.SMTP("127.0.0.1", node.smtp_port, local_hostname="client.test") as client:
        client.sendmail("sender@back.test", ["reject.never@one.test"], content, [], ["NOTIFY=NEVER"])
        client.sendmail("sender@back.test", ["reject.notify@one.test"], content.replace(b"never", b"asked"), [],
                        ["NOTIFY=FAILURE", "ORCPT=rfc822;first@one.test"])
    notice = common.bounce_of(sink, "smtplib-asked")
    expect_equal(notice.status, "5.1.1", "status in the notice")
    record = [record for record in sink.find("smtplib-asked") if not record.sender][0]
    expect(b"Original-Recipient: rfc822;first@one.test" in record.content.replace(b"; ", b";").replace(
        b"Recipient:rfc822", b"Recipient: rfc822"), "the notice names the original recipient")
    common.cases.wait_until(node.queue_empty, common.SECONDS, "queue empty")
    expect(not common.notices_of(sink, identity), "a notice in spite of NOTIFY=NEVER")


def bounce_is_made_well(node, sink):
    identity = "smtplib-bounce"
    content = (f"From: <sender@back.test>\r\nSubject: original\r\nX-Holdfast-Id: {identity}\r\n\r\n"
               "secret body\r\n").encode()
    with smtplib.SMTP("127.0.0.1", node.smtp_port, local_hostname="client.test") as client:
        client.sendmail("sender@back.test", ["reject.made@one.test"], content, ["RET=HDRS", "ENVID=some+2Bid"])
    notice = common.bounce_of(sink, identity)
    expect_equal((notice.recipient, notice.action, notice.status), ("reject.made@one.test", "failed", "5.1.1"),
                 "notice")
    record = [record for record in sink.find(identity) if not record.sender][0]
    expect_equal(record.recipients, ("sender@back.test",), "recipients of the notice")
    for text in (b"Auto-Submitted: auto-replied", b"Reporting-MTA:", b"Original-Envelope-Id: some+id",
                 b"Subject: original", b"no such user here"):
        expect(text.lower() in record.content.lower(), f"the notice lacks {text!r}:\n{record.content.decode()}")
    expect(b"secret body" not in record.content, "RET=HDRS, and the notice returns the body")


def run(counter, node, sink):
    counter.run("in: smtplib, every sample on one connection", all_samples_on_one_connection, node, sink)
    counter.run("in: smtplib, local parts are kept", local_parts_are_kept, node, sink)
    counter.run("in: smtplib, one recipient refused", refusal_in_the_middle, node, sink)
    counter.run("in: smtplib, NOTIFY=NEVER and NOTIFY=FAILURE", notify_never, node, sink)
    counter.run("in: smtplib, the bounce of a refused recipient", bounce_is_made_well, node, sink)
