"""Next hops that lack 8BITMIME or SMTPUTF8: what can go goes, the rest is returned with the right code.

Notices go to another server that has both: what is tested is the message, not the notice's own way.
"""

import common
import harness
import sink as sink_module
from cases import expect, expect_equal

UTF8_RECIPIENT = "m\u00fcller@one.test"


def bounced_with(node, good, identity, status):
    notice = common.bounce_of(good, identity)
    expect_equal(notice.status, status, "status in the notice")
    common.cases.wait_until(node.queue_empty, common.SECONDS, lambda: f"queue empty: {node.queue()}")


def eight_bit_to_seven(node, poor, good, declared):
    identity = f"eight-{'declared' if declared else 'found'}"
    content = f"X-Holdfast-Id: {identity}\r\n\r\n".encode() + b"caf\xe9\r\n"
    common.send(node.smtp_port, [f"{identity}@one.test"], content, parameters=" BODY=8BITMIME" if declared else "")
    bounced_with(node, good, identity, "5.6.3")
    expect(not [r for r in poor.records() if f"{identity}@one.test" in r.recipients], "raw 8-bit was sent on")


def notice_by_the_same_way(node, poor, _good):
    """The sender is behind the hop that refused: the notice is ASCII, or nobody would ever be told."""
    content = "Subject: Gr\u00fc\u00dfe\r\nX-Holdfast-Id: same-way\r\n\r\n\u00fc\r\n".encode()
    common.send(node.smtp_port, ["same-way@one.test"], content, sender="back@one.test", parameters=" BODY=8BITMIME")
    expect_equal(common.bounce_of(poor, "same-way").status, "5.6.3", "status in the notice")
    record = [record for record in poor.records() if "back@one.test" in record.recipients][0]
    expect(record.content.isascii(), f"the notice is not ASCII: {record.content!r}")
    expect(b"Gr=C3=BC=C3=9Fe" in record.content, f"the header is returned, encoded: {record.content!r}")


def seven_bit_declared_eight(node, poor, _good):
    """BODY=8BITMIME on content that has no 8-bit octet is no obstacle."""
    content = b"X-Holdfast-Id: seven\r\n\r\nplain\r\n"
    common.send(node.smtp_port, ["seven@one.test"], content, parameters=" BODY=8BITMIME")
    record = common.arrived_for(poor, "seven@one.test")[0]
    common.expect_same(record, content)
    expect(not any("BODY" in option for option in record.options), f"BODY= to a server without it: {record.options}")


def utf8_address(node, poor, good):
    content = b"X-Holdfast-Id: utf8-address\r\n\r\nx\r\n"
    common.send(node.smtp_port, [UTF8_RECIPIENT], content, parameters=" BODY=8BITMIME SMTPUTF8")
    bounced_with(node, good, "utf8-address", "5.6.7")
    expect(not [r for r in poor.records() if r.content.find(b"utf8-address") >= 0], "sent on all the same")


def utf8_header(node, poor, good):
    content = "Subject: Gr\u00fc\u00dfe\r\nX-Holdfast-Id: utf8-header\r\n\r\nx\r\n".encode()
    common.send(node.smtp_port, ["utf8header@one.test"], content, parameters=" BODY=8BITMIME SMTPUTF8")
    notice = common.bounce_of(good, "utf8-header")
    expect(notice.status in ("5.6.7", "5.6.3"), f"status {notice.status}")
    expect(not [r for r in poor.records() if "utf8header@one.test" in r.recipients], "sent on all the same")


def utf8_asked_but_not_needed(node, poor, _good):
    content = b"X-Holdfast-Id: utf8-idle\r\n\r\nx\r\n"
    common.send(node.smtp_port, ["idle@one.test"], content, parameters=" SMTPUTF8")
    record = common.arrived_for(poor, "idle@one.test")[0]
    expect(not any("SMTPUTF8" in option for option in record.options), f"options {record.options}")


def utf8_passes(node, _poor, good):
    content = "Subject: Gr\u00fc\u00dfe\r\nX-Holdfast-Id: utf8-pass\r\n\r\nx\r\n".encode()
    recipient = "m\u00fcller@back.test"
    common.send(node.smtp_port, [recipient], content, parameters=" BODY=8BITMIME SMTPUTF8")
    record = common.arrived_for(good, recipient)[0]
    common.expect_same(record, content)
    expect("SMTPUTF8" in record.options, f"SMTPUTF8 was not passed on: {record.options}")
    expect("with UTF8SMTP" in common.trace_of(record), f"RFC 6531 3.7.3: {common.trace_of(record)!r}")


def raw_utf8_without_asking(node, _poor, _good):
    try:
        common.send(node.smtp_port, [UTF8_RECIPIENT], b"\r\nx\r\n")
    except common.cases.CaseFailed as error:
        expect("553 5.6.7" in str(error), f"expected 553 5.6.7: {error}")
        return
    raise common.cases.CaseFailed("a UTF-8 address was accepted without SMTPUTF8")


def larger_than_the_next_hop_takes(node, poor, good):
    """RFC 1870: the next hop's SIZE is smaller, so nothing is sent and the sender is told."""
    content = b"X-Holdfast-Id: too-large\r\n\r\n" + (b"x" * 70 + b"\r\n") * 5000
    common.send(node.smtp_port, ["large@one.test"], content)
    bounced_with(node, good, "too-large", "5.3.4")


def run(counter):
    options = sink_module.SinkOptions(hide=("8BITMIME", "SMTPUTF8"), content_bytes_max=200_000)
    with sink_module.Sink(options) as poor, sink_module.Sink() as good:
        routes = {"*": f"[127.0.0.1]:{poor.port}", "back.test": f"[127.0.0.1]:{good.port}"}
        with harness.Node(harness.NodeOptions(routes=routes)) as node:
            node.start()
            sinks = (node, poor, good)
            counter.run("no 8BITMIME: declared 8-bit is returned 5.6.3", eight_bit_to_seven, *sinks, True)
            counter.run("no 8BITMIME: undeclared 8-bit is returned 5.6.3", eight_bit_to_seven, *sinks, False)
            counter.run("no 8BITMIME: the notice takes the same way", notice_by_the_same_way, *sinks)
            counter.run("no 8BITMIME: 7-bit goes without BODY=", seven_bit_declared_eight, *sinks)
            counter.run("no SMTPUTF8: a UTF-8 recipient is returned 5.6.7", utf8_address, *sinks)
            counter.run("no SMTPUTF8: a UTF-8 header is returned", utf8_header, *sinks)
            counter.run("no SMTPUTF8: all ASCII goes without it", utf8_asked_but_not_needed, *sinks)
            counter.run("SMTPUTF8: passed on where offered", utf8_passes, *sinks)
            counter.run("SMTPUTF8: raw UTF-8 without it gets 553 5.6.7", raw_utf8_without_asking, *sinks)
            counter.run("SIZE: larger than the next hop takes: 5.3.4", larger_than_the_next_hop_takes, *sinks)
