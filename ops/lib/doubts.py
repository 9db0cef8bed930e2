"""What the nodes' logs say of attempts whose outcome nobody knew. Pure: text in, values out.

A second copy of a message is allowed only where an attempt was in doubt: a node that settles such a unit
says `event=in_doubt queue_id=...`. One event explains one more copy, and no other copy is explained.
"""

import collections
import re

_FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')
_IDENTITY = re.compile(r"<([^@>]+)@")


def fields(line):
    """The fields of one line of logfmt; the first of each name counts."""
    found = {}
    for name, value in _FIELD.findall(line):
        found.setdefault(name, value[1:-1] if value.startswith('"') else value)
    return found


class Doubts:
    """Of all nodes' logs together."""

    def __init__(self, texts):
        self.identities = {}  # queue id -> our id of the message, from its Message-ID.
        self.groups = {}  # queue id -> group, of what was delivered, deferred or in doubt.
        events = []
        for text in texts:
            for line in text.splitlines():
                if " queue_id=" in line:
                    self._read(fields(line), events)
        self.settled = collections.Counter(self.identities.get(queue_id, queue_id) for queue_id in events)

    def _read(self, entry, events):
        queue_id = entry["queue_id"]
        match = _IDENTITY.search(entry.get("message_id", ""))
        if match:
            self.identities.setdefault(queue_id, match.group(1))
        if "group" in entry:
            self.groups.setdefault(queue_id, int(entry["group"]))
        if entry.get("event") == "in_doubt":
            events.append(queue_id)

    def unexplained(self, repeated):
        """Of account.Account.repeated: [(key, times)] with more copies than attempts in doubt allow."""
        return [(key, times) for key, times in sorted(repeated.items()) if len(times) > 1 + self.settled[key[0]]]
