"""Tests of the account: that it sees each fault it is there to see."""

import sys

import cases
from account import Acknowledged, Copy, Notice, account, find_id, read_notices, settled, without_trace
from cases import expect, expect_equal

NOTICE = b"""Received: from x by y; now
From: <MAILER-DAEMON@x.test>
Message-ID: <n1@x.test>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; x.test

Final-Recipient: rfc822; a@one.test
Action: failed
Status: 5.1.1

Final-Recipient: rfc822;b@one.test
Action: failed
Status: 5.2.2

--b
Content-Type: message/rfc822

X-Holdfast-Id: m1
Subject: original

text
--b--
""".replace(b"\n", b"\r\n")


def acknowledged(*ids):
    return [Acknowledged(identity, "s@back.test", f"{identity}@one.test", "d") for identity in ids]


def copy(identity, at=0.0, digest="d"):
    return Copy(identity, f"{identity}@one.test", at, digest)


def notice(identity, message_id="<1>", action="failed"):
    return Notice(identity, f"{identity}@one.test", action, "5.1.1", message_id)


def clean_run():
    result = account(acknowledged("a", "b"), [copy("a")], [notice("b")])
    expect_equal(result.line(), "accepted 2, delivered 1, bounced 1, duplicates 0, lost 0", "line")
    expect_equal(result.faults(), [], "faults")


def lost_is_seen():
    result = account(acknowledged("a", "b"), [copy("a")], [])
    expect_equal(result.lost, [("b", "b@one.test")], "lost")
    expect(result.faults(), "no fault for a lost message")


def a_delay_notice_is_no_end():
    expect_equal(len(account(acknowledged("a"), [], [notice("a", action="delayed")]).lost), 1, "lost")


def duplicates_are_counted_and_dated():
    result = account(acknowledged("a"), [copy("a", 2.0), copy("a", 1.0), copy("a", 3.0)], [])
    expect_equal(result.duplicates, 2, "duplicates")
    expect_equal(result.repeated, {("a", "a@one.test"): [1.0, 2.0, 3.0]}, "times")


def changed_content_is_seen():
    expect_equal(len(account(acknowledged("a"), [copy("a", digest="x")], []).changed), 1, "changed")


def both_fates_are_seen():
    expect_equal(len(account(acknowledged("a"), [copy("a")], [notice("a")]).both), 1, "both")


def one_notice_twice_is_not_two_notices():
    expect_equal(account(acknowledged("a"), [], [notice("a"), notice("a")]).bounced_twice, [], "same Message-ID")
    expect_equal(len(account(acknowledged("a"), [], [notice("a"), notice("a", "<2>")]).bounced_twice), 1, "another")


def copies_without_acknowledgement_are_allowed():
    result = account([], [copy("a")], [])
    expect_equal((result.unacknowledged, result.faults()), (1, []), "unacknowledged and faults")


def notices_are_read():
    notices = read_notices(NOTICE)
    expect_equal([(n.id, n.recipient, n.action, n.status, n.message_id) for n in notices],
                 [("m1", "a@one.test", "failed", "5.1.1", "<n1@x.test>"),
                  ("m1", "b@one.test", "failed", "5.2.2", "<n1@x.test>")], "notices")
    utf8 = NOTICE.replace(b"message/delivery-status", b"message/global-delivery-status").replace(
        b"rfc822; a@one.test", "utf-8; \u00fc@one.test".encode())
    expect_equal([n.recipient for n in read_notices(utf8)], ["\u00fc@one.test", "b@one.test"], "of RFC 6533")
    expect_equal(read_notices(b"Subject: x\r\n\r\ntext\r\n"), [], "of an ordinary message")


def settled_waits_for_all():
    expect(not settled(acknowledged("a", "b"), [copy("a")], []), "settled too early")
    expect(settled(acknowledged("a", "b"), [copy("a")], [notice("b")]), "not settled")


def trace_fields_are_taken_off():
    content = b"Received: a\r\n\tb\r\nreceived: c\r\nSubject: x\r\n\r\n"
    expect_equal(without_trace(content), b"Subject: x\r\n\r\n", "rest")
    expect_equal(find_id(b"A: b\r\nx-holdfast-id: z-1\r\n\r\n"), "z-1", "id")


def main():
    counter = cases.Cases()
    for function in (clean_run, lost_is_seen, a_delay_notice_is_no_end, duplicates_are_counted_and_dated,
                     changed_content_is_seen, both_fates_are_seen, one_notice_twice_is_not_two_notices,
                     copies_without_acknowledgement_are_allowed, notices_are_read, settled_waits_for_all,
                     trace_fields_are_taken_off):
        counter.run(function.__name__.replace("_", " "), function)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
