"""What the nodes' logs say of attempts whose outcome nobody knew. Pure: text in, values out.

A second copy of a message is allowed only where an attempt was in doubt: a node that settles such a unit
says `event=in_doubt queue_id=...` before the unit can be sent again. Where the remote itself fell silent after the
dot, the attempt's own line says `in doubt`. So at no time may there be more copies than one and the events until then.
"""

import collections
import datetime
import re

_FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')
_IDENTITY = re.compile(r"<([^@>]+)@")


def fields(line):
    """The fields of one line of logfmt; the first of each name counts."""
    found = {}
    for name, value in _FIELD.findall(line):
        found.setdefault(name, value[1:-1] if value.startswith('"') else value)
    return found


def seconds_of(stamp):
    """Seconds since 1970 of a log line's `ts`."""
    return datetime.datetime.fromisoformat(stamp).timestamp()


class Doubts:
    """Of all nodes' logs together. `true_times`: for each log, what turns its stamps into true seconds since 1970."""

    def __init__(self, texts, true_times=None):
        self.identities = {}  # queue id -> our id of the message, from its Message-ID.
        self._alike = collections.defaultdict(set)  # Our id -> queue ids.
        self._recipients = collections.defaultdict(set)  # queue id -> recipients that a log names.
        self.groups = {}  # queue id -> group, of what was delivered, deferred or in doubt.
        events = collections.defaultdict(list)  # queue id -> times.
        texts = list(texts)
        for text, true_time in zip(texts, true_times or [float] * len(texts)):
            for line in text.splitlines():
                if " queue_id=" in line:
                    self._read(fields(line), events, true_time)
        self._events = events  # Queue id -> when its doubts were settled, seconds since 1970.
        # The same for our id: messages of some tools share one.
        self.settled = collections.defaultdict(list)
        for queue_id, times in events.items():
            self.settled[self.identities.get(queue_id, queue_id)] += times
        self.settled = {identity: sorted(times) for identity, times in self.settled.items()}

    def _read(self, entry, events, true_time):
        queue_id = entry["queue_id"]
        match = _IDENTITY.search(entry.get("message_id", ""))
        if match:
            self.identities.setdefault(queue_id, match.group(1))
            self._alike[match.group(1)].add(queue_id)
        if "to" in entry:
            self._recipients[queue_id].add(entry["to"])
        if "group" in entry:
            self.groups.setdefault(queue_id, int(entry["group"]))
        silent = entry.get("event") == "attempt" and entry.get("reply", "").endswith(", in doubt")
        if entry.get("event") == "in_doubt" or silent:
            events[queue_id].append(true_time(seconds_of(entry["ts"])))

    def unexplained(self, repeated, epoch):
        """Of account.Account.repeated: [(key, times)] with more copies than attempts in doubt allow.

        `epoch` is what to add to the times of copies to get seconds since 1970."""
        return [(key, times) for key, times in sorted(repeated.items())
                if not self._explains(self._doubts_of(*key), [at + epoch for at in times])]

    def _doubts_of(self, identity, recipient):
        """When the recipient's doubts were settled, of one message; of several with one id, those to the recipient."""
        alike = self._alike.get(identity, {identity})
        if len(alike) > 1:
            alike = {queue_id for queue_id in alike if recipient in self._recipients[queue_id]}
        return sorted(at for queue_id in alike for at in self._events.get(queue_id, []))

    @staticmethod
    def _explains(settled, copies):
        return len(settled) >= len(copies) - 1 and \
            all(event <= copy for event, copy in zip(settled, sorted(copies)[1:]))
