"""A blocking SMTP conversation for tests that stop half way through: say a line, read the reply."""

import socket


class Talk:
    """with Talk(port) as talk: talk.say("EHLO x"); talk.reply()"""

    def __init__(self, port, seconds=20):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self._file = self._socket.makefile("rb")
        self.greeting = self.reply()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._file.close()
        self._socket.close()

    def write(self, octets):
        self._socket.sendall(octets)

    def reply(self):
        """The whole reply as text, lines joined by newlines; empty when the server has closed."""
        lines = []
        while True:
            try:
                line = self._file.readline()
            except ConnectionResetError:
                return ""
            if not line:
                return ""
            lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
            if line[3:4] != b"-":
                return "\n".join(lines)

    def say(self, line):
        """Sends one line and reads its reply."""
        self.write(line.encode() + b"\r\n")
        return self.reply()

    def begin(self, sender, recipient):
        """EHLO up to the 354 of DATA; returns the last reply."""
        for line in ("EHLO client.test", f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "DATA"):
            reply = self.say(line)
            if reply[:1] not in "23" or not reply:
                return reply
        return reply
