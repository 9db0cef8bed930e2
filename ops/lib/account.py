"""The account of a run: what was acknowledged against what arrived. Pure: values in, values out.

Every submission carries its own id in the field `X-Holdfast-Id`, also a repeated one, so that a client's
own repeat is never mistaken for one of ours. An acknowledged recipient must end in exactly one of
delivered and bounced. Copies beyond the first are duplicates; a second notice for one recipient that has
a Message-ID of its own was made twice, which is a fault, while one with the same Message-ID was only
delivered twice.
"""

import collections
import dataclasses
import email
import email.policy
import re

ID_FIELD = "X-Holdfast-Id"
_STATUS_PART = re.compile(rb"^Content-Type:\s*message/(global-)?delivery-status", re.M | re.I)
_ID_LINE = re.compile(rb"^X-Holdfast-Id:[ \t]*([^\s]+)[ \t]*\r?$", re.M | re.I)


@dataclasses.dataclass(frozen=True)
class Acknowledged:
    """One recipient of a submission that was answered 250 after its final dot."""

    id: str
    sender: str
    recipient: str
    digest: str = ""  # Of the content as sent; empty: not compared.


@dataclasses.dataclass(frozen=True)
class Copy:
    """One recipient of a message that the sink accepted."""

    id: str
    recipient: str
    at: float
    digest: str = ""  # Of the content without the trace fields on top.
    host: str = ""  # The name that the client gave at EHLO.


@dataclasses.dataclass(frozen=True)
class Notice:
    """One recipient that a received DSN reports."""

    id: str
    recipient: str
    action: str  # "failed", "delayed", ...
    status: str
    message_id: str


@dataclasses.dataclass
class Account:
    accepted: int = 0
    delivered: int = 0
    bounced: int = 0
    duplicates: int = 0
    lost: list = dataclasses.field(default_factory=list)  # (id, recipient): neither delivered nor bounced.
    both: list = dataclasses.field(default_factory=list)  # Delivered and bounced.
    bounced_twice: list = dataclasses.field(default_factory=list)  # Two different notices.
    changed: list = dataclasses.field(default_factory=list)  # The content is not what was sent.
    repeated: dict = dataclasses.field(default_factory=dict)  # (id, recipient) -> times of its copies.
    unacknowledged: int = 0  # Delivered though the client got no answer: allowed, at least once.

    def line(self):
        return (f"accepted {self.accepted}, delivered {self.delivered}, bounced {self.bounced}, "
                f"duplicates {self.duplicates}, lost {len(self.lost)}")

    def faults(self):
        """What must never be, in words; empty when the account is clean."""
        names = (("lost", self.lost), ("delivered and bounced", self.both),
                 ("bounced twice", self.bounced_twice), ("content changed", self.changed))
        return [f"{name}: {len(keys)}, for example {keys[0]}" for name, keys in names if keys]


def account(acknowledged, copies, notices):
    """Compares the three lists; see Account."""
    by_key = collections.defaultdict(list)
    for copy in copies:
        by_key[copy.id, copy.recipient.lower()].append(copy)
    failed = collections.defaultdict(set)
    for notice in notices:
        if notice.action == "failed":
            failed[notice.id, notice.recipient.lower()].add(notice.message_id)
    result = Account()
    known = set()
    for entry in acknowledged:
        key = (entry.id, entry.recipient.lower())
        known.add(key)
        result.accepted += 1
        arrived = by_key.get(key, [])
        result.delivered += 1 if arrived else 0
        result.bounced += 1 if key in failed else 0
        if not arrived and key not in failed:
            result.lost.append(key)
        if arrived and key in failed:
            result.both.append(key)
        if any(entry.digest and copy.digest and copy.digest != entry.digest for copy in arrived):
            result.changed.append(key)
    for key, arrived in by_key.items():
        if len(arrived) > 1:
            result.duplicates += len(arrived) - 1
            result.repeated[key] = sorted(copy.at for copy in arrived)
        if key not in known:
            result.unacknowledged += 1
    result.bounced_twice = [key for key, ids in failed.items() if len(ids) > 1]
    return result


def settled(acknowledged, copies, notices):
    """True when every acknowledged recipient is delivered or bounced."""
    ended = {(copy.id, copy.recipient.lower()) for copy in copies}
    ended |= {(notice.id, notice.recipient.lower()) for notice in notices if notice.action == "failed"}
    return all((entry.id, entry.recipient.lower()) in ended for entry in acknowledged)


def without_trace(content):
    """The content below the Received fields that hops have put on top of it."""
    while content[:9].lower() == b"received:":
        end = content.find(b"\r\n")
        while end >= 0 and content[end + 2:end + 3] in (b" ", b"\t"):
            end = content.find(b"\r\n", end + 2)
        if end < 0:
            return b""
        content = content[end + 2:]
    return content


def find_id(content):
    """The id of a message, or of the message that a notice returns; empty when there is none."""
    match = _ID_LINE.search(content)
    return match.group(1).decode("ascii", "replace") if match else ""


def read_notices(content):
    """The recipients that a DSN (RFC 3464, RFC 6533) reports; empty when the content is no DSN."""
    message = email.message_from_bytes(content, policy=email.policy.compat32)
    if message.get_content_type() != "multipart/report" or not message.get_boundary():
        return []
    identity = find_id(content)
    message_id = (message.get("Message-ID") or "").strip()
    notices = []
    # By hand, for the standard parser reads the blocks of message/delivery-status, but not those of
    # message/global-delivery-status, and loses UTF-8 in both.
    for part in content.split(b"\r\n--" + message.get_boundary().encode())[1:]:
        head, _, body = part.partition(b"\r\n\r\n")
        if not _STATUS_PART.search(head):
            continue
        for block in body.decode("utf-8", "replace").split("\r\n\r\n"):
            fields = email.message_from_string(block)
            recipient = fields.get("Final-Recipient", "")
            if recipient:
                notices.append(Notice(
                    id=identity, recipient=recipient.split(";", 1)[-1].strip(),
                    action=fields.get("Action", "").strip().lower(), status=fields.get("Status", "").strip(),
                    message_id=message_id))
    return notices
