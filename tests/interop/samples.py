"""Messages that relays have been known to change, each with an id so that the sink's copy can be found.

`content` is what is sent; CRLF line ends, a last line that is ended. What arrives must be the same octets
below the Received fields that each hop puts on top.
"""

import account

HEAD = "From: <sender@back.test>\r\nTo: <user@one.test>\r\nSubject: sample\r\n"


def sample(name, head, body):
    """(name, id, content). `head` None: there is no header at all, and the id is a line of the body."""
    identity = f"sample-{name}"
    line = f"{account.ID_FIELD}: {identity}\r\n".encode()
    if head is None:
        return name, identity, b"no header here\r\n" + line + body
    return name, identity, head.encode() + line + b"\r\n" + body


def all_samples():
    yield sample("plain", HEAD, b"one line\r\n")
    yield sample("dots", HEAD, b".\r\n..\r\n...\r\n.text\r\n. \r\nend.\r\n.\r\n")
    yield sample("empty-body", HEAD, b"")
    yield sample("blank-lines", HEAD, b"\r\n\r\n\r\n")
    yield sample("trailing-blanks", HEAD, b"blanks   \r\ntab\t\r\n   \r\n")
    yield sample("long-line", HEAD, b"x" * 998 + b"\r\n" + b"y" * 5000 + b"\r\n." + b"z" * 2000 + b"\r\n")
    yield sample("eight-bit", HEAD, b"gr\xc3\xbc\xc3\x9fe \xe4\xf6\xfc \xff\xfe\r\n")
    yield sample("bcc-kept", HEAD + "Bcc: <hidden@one.test>\r\n", b"text\r\n")
    yield sample("folded", HEAD + "X-Folded: one\r\n\ttwo\r\n   three\r\nx-CaSe:  kept \r\n", b"text\r\n")
    yield sample("no-header", None, b"only a body\r\n")
    yield sample("large", HEAD, (b"0123456789abcdef" * 4 + b"\r\n") * 40_000)
    yield sample("old-trace", "Received: from a by b; Thu, 01 Jan 2026 00:00:00 +0000\r\n"
                 "Return-Path: <kept@back.test>\r\n" + HEAD, b"text\r\n")


def is_eight_bit(content):
    return any(octet > 127 for octet in content)


def below_our_trace(content, hops=1):
    """The content without the first `hops` Received fields; None when there are not so many."""
    for _ in range(hops):
        if content[:9].lower() != b"received:":
            return None
        end = content.find(b"\r\n")
        while content[end + 2:end + 3] in (b" ", b"\t"):
            end = content.find(b"\r\n", end + 2)
        content = content[end + 2:]
    return content
