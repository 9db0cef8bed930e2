"""A receiving server that records: envelope and exact bytes, by aiosmtpd on a port of the kernel's choice.

What it does with a recipient follows from the local part, so that a test or a demo chooses by addressing:

  reject...   550 5.1.1 at RCPT
  defer...    451 4.7.1 at RCPT, the first `defer_tries` times for each recipient and id, then accepted
  crash...    calls `on_crash` and accepts
  late...     as others, but the answer to the final dot waits for `late_seconds`
  others      250

A test may also hold clients by the name that they gave at EHLO: their RCPT waits until they are let go.

The server runs in its own thread; everything here may be called from any thread.
"""

import asyncio
import collections
import dataclasses
import hashlib
import threading
import time

from aiosmtpd import smtp
from aiosmtpd.controller import Controller

import account

LINE_BYTES_MAX = 4 << 20
HELD_POLL_SECONDS = 0.02


class _Server(smtp.SMTP):
    # RFC 5321 allows 1000; we want to see what really comes.
    line_length_limit = LINE_BYTES_MAX
    sink = None
    _connection = None  # Counted once, also when TLS begins on it.

    def connection_made(self, transport):
        super().connection_made(transport)
        if self._connection is None:
            self._connection = object()
            self.sink.count_connection(self._connection, "")

    def connection_lost(self, error):
        super().connection_lost(error)
        if self._connection is not None:
            self.sink.count_connection(self._connection, None)

    def name_connection(self, host):
        self.sink.count_connection(self._connection, host)


@dataclasses.dataclass(frozen=True)
class Record:
    """One accepted transaction."""

    at: float  # time.monotonic() when the content was complete.
    sender: str  # "" for the null sender.
    recipients: tuple
    options: tuple  # Of MAIL, as they came.
    content: bytes  # Without dot stuffing; each line ends with CRLF.
    peer: tuple
    tls: bool = False


@dataclasses.dataclass(frozen=True)
class SinkOptions:
    defer_tries: int = 2
    late_seconds: float = 0.3
    content_bytes_max: int = 64 << 20
    hide: tuple = ()  # EHLO keywords that are not offered: "8BITMIME", "SMTPUTF8", "SIZE".
    keep_content: bool = True  # False: digests only, for long runs.
    on_crash: object = None  # Called without arguments at RCPT, for a test to end the sender.
    tls: object = None  # ssl.SSLContext: STARTTLS is offered.


class Sink:
    """with Sink() as sink: sink.port, sink.records(), sink.account_parts()"""

    def __init__(self, options=SinkOptions(), port=0):
        self.options = options
        self._lock = threading.Lock()
        self._records = []
        self._copies = []
        self._notices = []
        self._tries = {}
        self._counts = {"accepted": 0, "rejected": 0, "deferred": 0}
        self._open_dots = {}  # EHLO name -> transactions.
        self._held = {}  # EHLO name -> how many of its RCPT wait now.
        self._connections = {}  # Open ones: something of their own -> EHLO name, "" before that.
        self._connections_peak = 0
        self._controller = _Controller(self, port)

    def __enter__(self):
        self._controller.start()
        return self

    def __exit__(self, *_):
        self._controller.stop()

    def close(self):
        """Takes no more connections until open(); what it took is remembered."""
        self._closed_port = self.port
        self._controller.stop()

    def open(self):
        """Again, on the port that it had."""
        self._controller = _Controller(self, self._closed_port)
        self._controller.start()

    @property
    def port(self):
        return self._controller.server.sockets[0].getsockname()[1]

    def records(self):
        with self._lock:
            return list(self._records)

    def counts(self):
        """Recipients accepted, rejected and deferred so far."""
        with self._lock:
            return dict(self._counts)

    def open_dots(self, host=None):
        """Transactions whose final dot has come and whose answer has not gone; of one EHLO name or of all."""
        with self._lock:
            return sum(self._open_dots.values()) if host is None else self._open_dots.get(host, 0)

    def hold(self, host):
        """Lets each RCPT of this EHLO name wait from now on, until let_go()."""
        with self._lock:
            self._held[host] = 0

    def held(self, host):
        """How many RCPT of this EHLO name wait now."""
        with self._lock:
            return self._held.get(host, 0)

    def let_go(self, host):
        with self._lock:
            self._held.pop(host, None)

    def connections(self):
        """EHLO name -> connections open now; those that have not said it under ""."""
        with self._lock:
            return dict(collections.Counter(self._connections.values()))

    def take_connections_peak(self):
        """The most connections at the same time since it was last asked."""
        with self._lock:
            peak, self._connections_peak = self._connections_peak, len(self._connections)
            return peak

    def account_parts(self):
        """(copies, notices) for account.account(): notices are the messages from the null sender."""
        with self._lock:
            return list(self._copies), list(self._notices)

    def find(self, identity):
        """Records whose content carries the id, or returns it."""
        return [record for record in self.records() if account.find_id(record.content) == identity]

    # What follows is called by the server.

    def answer_recipient(self, sender, recipient):
        local = recipient.rsplit("@", 1)[0].lower()
        with self._lock:
            if local.startswith("reject"):
                self._counts["rejected"] += 1
                return "550 5.1.1 no such user here"
            if local.startswith("defer"):
                tries = self._tries.get((sender, recipient), 0) + 1
                self._tries[sender, recipient] = tries
                if tries <= self.options.defer_tries:
                    self._counts["deferred"] += 1
                    return "451 4.7.1 not now, come again"
        if local.startswith("crash") and self.options.on_crash:
            self.options.on_crash()
        return None

    def is_held(self, host):
        with self._lock:
            return host in self._held

    def count_held(self, host, change):
        with self._lock:
            if host in self._held:
                self._held[host] += change

    def count_connection(self, connection, host):
        with self._lock:
            if host is None:
                self._connections.pop(connection, None)
            else:
                self._connections[connection] = host
            self._connections_peak = max(self._connections_peak, len(self._connections))

    def count_dot(self, host, change):
        with self._lock:
            self._open_dots[host] = self._open_dots.get(host, 0) + change

    def record(self, envelope, session):
        content = bytes(envelope.original_content)
        sender = "" if envelope.mail_from in (None, "<>") else envelope.mail_from
        record = Record(at=time.monotonic(), sender=sender, recipients=tuple(envelope.rcpt_tos),
                        options=tuple(envelope.mail_options), peer=session.peer,
                        tls=session.ssl is not None,
                        content=content if self.options.keep_content else b"")
        notices = account.read_notices(content) if not sender else []
        copies = []
        if not notices:
            identity = account.find_id(content)
            digest = hashlib.sha256(account.without_trace(content)).hexdigest()
            copies = [account.Copy(identity, recipient, record.at, digest, session.host_name or "")
                      for recipient in record.recipients]
        with self._lock:
            self._records.append(record)
            self._copies.extend(copies)
            self._notices.extend(notices)
            self._counts["accepted"] += len(record.recipients)


class _Handler:
    """aiosmtpd's hooks. Recipients that are refused never reach the envelope."""

    def __init__(self, sink):
        self._sink = sink

    async def handle_EHLO(self, server, session, _envelope, hostname, responses):
        session.host_name = hostname
        server.name_connection(hostname)
        hidden = tuple(self._sink.options.hide)
        return [line for line in responses if not (line[4:].split(" ")[0] in hidden)]

    async def handle_RCPT(self, _server, session, envelope, address, options):
        await self._wait_while_held(session.host_name)
        refusal = self._sink.answer_recipient(envelope.mail_from, address)
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 ok"

    async def handle_DATA(self, _server, session, envelope):
        # Recorded before the answer: from here on the sender may believe either.
        self._sink.count_dot(session.host_name, 1)
        try:
            self._sink.record(envelope, session)
            if any(recipient.lower().startswith("late") for recipient in envelope.rcpt_tos):
                await asyncio.sleep(self._sink.options.late_seconds)
        finally:
            self._sink.count_dot(session.host_name, -1)
        return "250 2.0.0 taken"

    async def _wait_while_held(self, host):
        if not self._sink.is_held(host):
            return
        self._sink.count_held(host, 1)
        try:
            while self._sink.is_held(host):
                await asyncio.sleep(HELD_POLL_SECONDS)
        finally:
            self._sink.count_held(host, -1)


class _Controller(Controller):
    def __init__(self, sink, port):
        self._sink = sink
        super().__init__(_Handler(sink), hostname="127.0.0.1", port=port)

    def factory(self):
        options = self._sink.options
        server = _Server(self.handler, hostname="sink.test", data_size_limit=options.content_bytes_max,
                         enable_SMTPUTF8="SMTPUTF8" not in options.hide, tls_context=options.tls, loop=self.loop)
        server.sink = self._sink
        return server

    def _trigger_server(self):
        # The base class connects to self.port, which is 0 until the kernel has chosen.
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()
