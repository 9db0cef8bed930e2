"""Tests of what logs say of doubt: which duplicates they explain, and which not."""

import sys

import cases
from cases import expect_equal
from doubts import Doubts, fields

ACCEPTED = ("ts=2026-01-01T00:00:00.000Z level=info event=accepted node=1 queue_id=Q1 message_id=<m-1@load.test> "
            "from=a@b.test to=c@d.test\n"
            "ts=2026-01-01T00:00:00.000Z level=info event=accepted node=1 queue_id=Q2 message_id=<m-2@load.test>\n")
IN_DOUBT = "ts=2026-01-01T00:00:09.000Z level=warn event=in_doubt node=2 group=7 queue_id=Q1 destination=d.test\n"
# A line that a kill has cut, and one whose quoted text looks like fields.
OTHER = ('ts=1 event=attempt queue_id=Q2 group=3 reply="said \\"queue_id=Q9\\" event=in_doubt"\n'
         "ts=1 event=in_doubt node=3 queue_i")


def reads_fields():
    entry = fields(OTHER.splitlines()[0])
    expect_equal((entry["queue_id"], entry["event"], entry["group"]), ("Q2", "attempt", "3"), "fields")


def one_event_explains_one_copy():
    doubts = Doubts([ACCEPTED, IN_DOUBT + OTHER])
    expect_equal(dict(doubts.settled), {"m-1": 1}, "settled")
    expect_equal(doubts.groups, {"Q1": 7, "Q2": 3}, "groups")
    expect_equal(doubts.unexplained({("m-1", "c@d.test"): [1.0, 2.0]}), [], "a copy of what was in doubt")
    expect_equal(len(doubts.unexplained({("m-1", "c@d.test"): [1.0, 2.0, 3.0]})), 1, "a third copy after one doubt")


def other_copies_are_not_explained():
    doubts = Doubts([ACCEPTED, IN_DOUBT + OTHER])
    expect_equal(doubts.unexplained({("m-2", "x@d.test"): [1.0, 2.0]}), [(("m-2", "x@d.test"), [1.0, 2.0])], "faults")
    expect_equal(len(Doubts([]).unexplained({("m-1", "c@d.test"): [1.0, 2.0]})), 1, "without any log")


def main():
    counter = cases.Cases()
    counter.run("reads fields", reads_fields)
    counter.run("one event explains one copy", one_event_explains_one_copy)
    counter.run("other copies are not explained", other_copies_are_not_explained)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
