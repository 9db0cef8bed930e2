"""A small asyncio SMTP client that sends exactly the bytes given, and a load made of many of them.

smtplib normalises line ends and hides which reply came to which command; a test that compares bytes and
accounts for acknowledgements needs neither.
"""

import asyncio
import dataclasses
import hashlib
import random

import account


class Refused(Exception):
    """The server answered, and not with what was hoped for."""


class Connection:
    """One SMTP connection; each method is one exchange. OSError and EOFError: it is gone."""

    def __init__(self, reader, writer):
        self._reader = reader
        self._writer = writer
        self.keywords = ()

    @classmethod
    async def open(cls, port, name="load.test"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        self = cls(reader, writer)
        await self.expect(b"2")
        lines = await self.command(f"EHLO {name}".encode(), b"2")
        self.keywords = tuple(line[4:].split(" ")[0].upper() for line in lines[1:])
        return self

    async def read_reply(self):
        lines = []
        while True:
            line = await self._reader.readline()
            if not line.endswith(b"\n"):
                raise EOFError("connection closed in a reply")
            lines.append(line.rstrip(b"\r\n").decode("utf-8", "replace"))
            if line[3:4] != b"-":
                return lines

    async def expect(self, first):
        lines = await self.read_reply()
        if not lines[-1].encode().startswith(first):
            raise Refused(lines[-1])
        return lines

    async def write(self, octets):
        self._writer.write(octets)
        await self._writer.drain()

    async def command(self, line, first):
        await self.write(line + b"\r\n")
        return await self.expect(first)

    async def send(self, sender, recipients, content, parameters=""):
        """One message. Returns the reply to the final dot; Refused at the first reply that refuses."""
        await self.command(f"MAIL FROM:<{sender}>{parameters}".encode(), b"2")
        for recipient in recipients:
            await self.command(f"RCPT TO:<{recipient}>".encode(), b"2")
        await self.command(b"DATA", b"3")
        lines = await self.command(stuff(content) + b".", b"2")
        return lines[-1]

    async def close(self):
        self._writer.close()

    async def quit(self):
        """The end of a client that has all its answers; one that just goes may come again with its last message."""
        try:
            await self.command(b"QUIT", b"2")
        except (Refused, OSError, EOFError):
            pass  # It was on its way out anyway.


def stuff(content):
    """Dot stuffing (RFC 5321 4.5.2); content must end with CRLF."""
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..")


def make_message(identity, sender, recipient, body_bytes):
    """A message with its id, and with lines that a careless relay would change."""
    head = (f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: message {identity}\r\n"
            f"{account.ID_FIELD}: {identity}\r\nMessage-ID: <{identity}@load.test>\r\n"
            "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n\r\n").encode()
    line = (hashlib.sha256(identity.encode()).hexdigest() + "\r\n").encode()
    body = b".\r\n..two dots\r\ntrailing blanks  \r\n" + line * (body_bytes // len(line))
    return head + body


def digest(content):
    return hashlib.sha256(content).hexdigest()


@dataclasses.dataclass
class LoadOptions:
    connections: int = 8
    messages_max: int = 1_000_000
    large_every: int = 50  # Every so manieth message is larger than one log entry takes.
    large_bytes: int = 1_500_000
    small_bytes_max: int = 40_000
    local_parts: tuple = ("user", "user", "user", "user", "late", "user", "defer", "reject")
    domains: tuple = ("one.test", "two.test", "three.test", "four.test")
    pause_seconds: float = 0.0  # Of each connection after a message: a bound to the rate on a machine of any speed.


class Load:
    """Sends messages over several connections until stop(), and remembers every acknowledgement."""

    def __init__(self, port, prefix, seed, options=LoadOptions()):
        self.port = port
        self.prefix = prefix
        self.options = options
        self.acknowledged = []
        self.refused = []
        self.broken = 0  # Submissions whose answer never came.
        self._random = random.Random(seed)
        self._next = 0
        self._stop = False

    def stop(self):
        self._stop = True

    def _take_message(self):
        number = self._next
        self._next += 1
        options = self.options
        identity = f"{self.prefix}-{number}"
        domain = options.domains[number % len(options.domains)]
        local = options.local_parts[number % len(options.local_parts)]
        sender = f"sender{number}@back.test"
        recipient = f"{local}.{self.prefix}.{number}@{domain}"
        size = options.large_bytes if number % options.large_every == options.large_every - 1 \
            else self._random.randrange(200, options.small_bytes_max)
        return identity, sender, recipient, make_message(identity, sender, recipient, size)

    def _more(self):
        return not self._stop and self._next < self.options.messages_max

    async def _work(self):
        while self._more():
            try:
                connection = await Connection.open(self.port)
            except Refused as error:
                self.refused.append(str(error))
                return
            except (OSError, EOFError):
                return
            try:
                while self._more():
                    identity, sender, recipient, content = self._take_message()
                    await connection.send(sender, [recipient], content)
                    self.acknowledged.append(
                        account.Acknowledged(identity, sender, recipient, digest(content)))
                    if self.options.pause_seconds > 0:
                        await asyncio.sleep(self.options.pause_seconds)
                await connection.quit()
            except Refused as error:
                self.refused.append(str(error))
            except (OSError, EOFError):
                self.broken += 1
            finally:
                await connection.close()

    async def run(self):
        """Ends after stop(), after messages_max, or when the server is gone."""
        await asyncio.gather(*(self._work() for _ in range(self.options.connections)))
