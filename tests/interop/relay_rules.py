"""A backup MX as strangers see it: no trusted client, two relay domains, one with a list of recipients."""

import common  # noqa: F401 (finds ops/lib)
import harness
import sink as sink_module
import talk
from cases import expect


def reply_to(node, recipient):
    with talk.Talk(node.smtp_port) as session:
        session.say("EHLO stranger.test")
        session.say("MAIL FROM:<a@stranger.test>")
        return session.say(f"RCPT TO:<{recipient}>")


def expect_reply(node, recipient, start):
    reply = reply_to(node, recipient)
    expect(reply.startswith(start), f"RCPT TO:<{recipient}>: expected {start}, got {reply!r}")


REPLIES = (
    ("anyone@open.test", "250"),
    ("alice@listed.test", "250"),
    ("ALICE@Listed.Test", "250"),
    ("bob@listed.test", "550 5.1.1"),
    ("postmaster@listed.test", "250"),
    ("postmaster", "250"),
    ("someone@elsewhere.test", "550 5.7.1"),
    ("someone@sub.open.test", "550 5.7.1"),
    ("someone%elsewhere.test@open.test", "550 5.7.1"),
    ("elsewhere.test!someone@open.test", "550 5.7.1"),
    ('"someone@elsewhere.test"@open.test', "550 5.7.1"),
    ("@open.test:someone@elsewhere.test", "550 5.7.1"),
)


def bare_line_feed(node, sink):
    """Content with a bare LF from a stranger is refused at the dot, and what follows is not a new message."""
    with talk.Talk(node.smtp_port) as session:
        expect(session.begin("a@stranger.test", "anyone@open.test").startswith("354"), "no 354")
        session.write(b"Subject: x\r\n\r\none\n.\nMAIL FROM:<smuggled@stranger.test>\r\n.\r\n")
        reply = session.reply()
        expect(reply.startswith("550"), f"bare LF: {reply!r}")
        expect(session.say("NOOP").startswith("250"), "the session is out of step")
    expect(not [r for r in sink.records() if r.sender == "smuggled@stranger.test"], "a smuggled message")


def run(counter):
    policy = ('trusted_networks: "192.0.2.0/24"\npostmaster_address: "admin@open.test"\n'
              'relay_domains { domain: "open.test" }\n'
              'relay_domains { domain: "listed.test" recipients: "alice" }\n')
    with sink_module.Sink() as sink:
        options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"}, policy_extra=policy)
        with harness.Node(options) as node:
            node.start()
            for recipient, start in REPLIES:
                counter.run(f"stranger: {recipient} gets {start}", expect_reply, node, recipient, start)
            counter.run("stranger: bare LF is refused, nothing smuggled", bare_line_feed, node, sink)
