"""A DNS server for tests, over UDP on loopback: answers what it is told to, lies included.

    with Responder({"nx.test": Answer(rcode=NXDOMAIN)}) as responder: responder.port, responder.asked()

A name that it was not told about does not exist.
"""

import dataclasses
import ipaddress
import socket
import struct
import threading

NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
A, CNAME, SOA, MX = 1, 5, 6, 15
TTL_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Answer:
    """Records are (type, data) with data as text: "127.0.0.1" for A, "10 host.test" for MX, a name for CNAME.
    A question for another type of the same name has an empty answer, but a CNAME answers all types."""

    records: tuple = ()
    rcode: int = NOERROR


def encode_name(name):
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def decode_name(packet, at):
    """(name in lower case, offset behind it) of a name without compression, as questions have it."""
    labels = []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("ascii", "replace").lower())
        at += 1 + packet[at]
    return ".".join(labels), at + 1


def encode_data(kind, text):
    if kind == A:
        return ipaddress.IPv4Address(text).packed
    if kind == MX:
        preference, host = text.split(" ")
        return struct.pack("!H", int(preference)) + encode_name(host)
    return encode_name(text)


def encode_record(name, kind, data):
    return encode_name(name) + struct.pack("!HHIH", kind, 1, TTL_SECONDS, len(data)) + data


def reply_to(packet, answers):
    """(name, the reply to one question)."""
    identity, flags = struct.unpack("!HH", packet[:4])
    name, end = decode_name(packet, 12)
    kind = struct.unpack("!H", packet[end:end + 2])[0]
    answer = answers.get(name, Answer(rcode=NXDOMAIN))
    found = [encode_record(name, have, encode_data(have, text)) for have, text in answer.records
             if have in (kind, CNAME)]
    authority = []
    if not found and answer.rcode in (NOERROR, NXDOMAIN):
        start = encode_name("ns.test") + encode_name("root.test") + struct.pack("!IIIII", 1, 60, 60, 60, 60)
        authority = [encode_record("test", SOA, start)]
    # A reply, recursion available; the rest as asked.
    head = struct.pack("!HHHHHH", identity, (flags & 0x0100) | 0x8080 | answer.rcode, 1, len(found), len(authority), 0)
    return name, head + packet[12:end + 4] + b"".join(found + authority)


class Responder:
    """See the module's text. Its thread ends with the `with` block."""

    def __init__(self, answers):
        self._answers = answers
        self._asked = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        # An empty packet from ourselves is the end.
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    @property
    def port(self):
        return self._socket.getsockname()[1]

    def asked(self):
        """The names asked for so far, in order."""
        return list(self._asked)

    def _run(self):
        while True:
            packet, peer = self._socket.recvfrom(4096)
            if not packet:
                return
            name, reply = reply_to(packet, self._answers)
            self._asked.append(name)
            self._socket.sendto(reply, peer)
