"""Tests of what logs say of doubt: which duplicates they explain, and which not."""

import sys

import cases
from cases import expect_equal
from doubts import Doubts, fields, seconds_of

ACCEPTED = ("ts=2026-01-01T00:00:00.000Z level=info event=accepted node=1 queue_id=Q1 message_id=<m-1@load.test> "
            "from=a@b.test to=c@d.test\n"
            "ts=2026-01-01T00:00:00.000Z level=info event=accepted node=1 queue_id=Q2 message_id=<m-2@load.test>\n")
IN_DOUBT = "ts=2026-01-01T00:00:09.000Z level=warn event=in_doubt node=2 group=7 queue_id=Q1 destination=d.test\n"
SETTLED = seconds_of("2026-01-01T00:00:09.000Z")
# A line that a kill has cut, and one whose quoted text looks like fields.
OTHER = ('ts=1 event=attempt queue_id=Q2 group=3 reply="said \\"queue_id=Q9\\" event=in_doubt"\n'
         "ts=1 event=in_doubt node=3 queue_i")


def reads_fields():
    entry = fields(OTHER.splitlines()[0])
    expect_equal((entry["queue_id"], entry["event"], entry["group"]), ("Q2", "attempt", "3"), "fields")


def one_event_explains_one_copy():
    doubts = Doubts([ACCEPTED, IN_DOUBT + OTHER])
    expect_equal(doubts.settled, {"m-1": [SETTLED]}, "settled")
    expect_equal(doubts.groups, {"Q1": 7, "Q2": 3}, "groups")
    epoch = SETTLED - 1.5
    expect_equal(doubts.unexplained({("m-1", "c@d.test"): [1.0, 2.0]}, epoch), [], "a copy of what was in doubt")
    expect_equal(doubts.unexplained({("m-1", "c@d.test"): [2.0, 3.0]}, epoch), [], "the first copy after the doubt")
    expect_equal(len(doubts.unexplained({("m-1", "c@d.test"): [1.0, 2.0, 3.0]}, epoch)), 1, "a third after one doubt")


def a_copy_before_the_doubt_is_not_explained():
    doubts = Doubts([ACCEPTED, IN_DOUBT])
    expect_equal(len(doubts.unexplained({("m-1", "c@d.test"): [1.0, 2.0]}, SETTLED - 2.5)), 1, "faults")


def a_silent_remote_explains_a_copy():
    silent = ('ts=2026-01-01T00:00:09.000Z level=info event=attempt node=1 group=7 queue_id=Q1 '
              'reply="delivered 0, deferred 1, failed 0, not sent 0, in doubt" attempt=1\n')
    doubts = Doubts([ACCEPTED, silent, silent.replace("Q1", "Q2").replace(", in doubt", "")])
    expect_equal(doubts.settled, {"m-1": [SETTLED]}, "settled")


def messages_with_one_id_are_told_apart_by_recipient():
    accepted = "".join(f"ts=1 event=accepted node=1 queue_id=Q{n} message_id=<same@load.test> to={n}@d.test\n"
                       for n in (1, 2, 3))
    later = IN_DOUBT.replace("Q1", "Q2").replace("09.000Z", "20.000Z")
    doubts = Doubts([accepted, IN_DOUBT + later])
    expect_equal(doubts.settled, {"same": [SETTLED, SETTLED + 11]}, "settled")
    copies = [1.0, 2.0]
    epoch = SETTLED - 1.5
    expect_equal(doubts.unexplained({("same", "1@d.test"): copies}, epoch), [], "the first was in doubt by then")
    for number in (2, 3):
        expect_equal(len(doubts.unexplained({("same", f"{number}@d.test"): copies}, epoch)), 1, f"not number {number}")


def a_clock_that_jumped_is_set_right():
    doubts = Doubts([ACCEPTED, IN_DOUBT], [float, lambda seen: seen - 60.0])
    expect_equal(doubts.settled, {"m-1": [SETTLED - 60.0]}, "settled")


def other_copies_are_not_explained():
    doubts = Doubts([ACCEPTED, IN_DOUBT + OTHER])
    expect_equal(doubts.unexplained({("m-2", "x@d.test"): [1.0, 2.0]}, SETTLED), [(("m-2", "x@d.test"), [1.0, 2.0])], "faults")
    expect_equal(len(Doubts([]).unexplained({("m-1", "c@d.test"): [1.0, 2.0]}, 0.0)), 1, "without any log")


def main():
    counter = cases.Cases()
    counter.run("reads fields", reads_fields)
    counter.run("one event explains one copy", one_event_explains_one_copy)
    counter.run("a copy before the doubt is not explained", a_copy_before_the_doubt_is_not_explained)
    counter.run("a silent remote explains a copy", a_silent_remote_explains_a_copy)
    counter.run("messages with one id are told apart by recipient", messages_with_one_id_are_told_apart_by_recipient)
    counter.run("a clock that jumped is set right", a_clock_that_jumped_is_set_right)
    counter.run("other copies are not explained", other_copies_are_not_explained)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
