"""holdfast-bench around a real node: load -> holdfastd -> sink, with a kill -9 in between, and the account.

The sink rejects, defers and falls silent, so that copies, bounces and repeats all pass through the account. What it
must say: nothing lost, changed, bounced twice, or both delivered and bounced. The same records go through
ops/lib/account.py, which must come to the same figures.
"""

import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent.parent.parent / "ops" / "lib"))

import account  # noqa: E402
import cases  # noqa: E402
import harness  # noqa: E402
import holdfast_bench  # noqa: E402
from cases import expect, expect_equal  # noqa: E402

DRAIN_SECONDS = 90.0
LOAD_SECONDS = 120.0


def drain(node):
    cases.wait_until(node.queue_empty, DRAIN_SECONDS, lambda: f"queue empty: {node.queue()}")


def read_records(path):
    """(acknowledged, copies, notices) for account.account(), from the text of a record."""
    acknowledged, copies, notices = [], [], []
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            continue
        fields = [("" if field == "-" else field) for field in line.split("\t")]
        if fields[0] == "offer" and fields[7] == "accepted":
            acknowledged.append(account.Acknowledged(fields[1], "", fields[2], fields[8]))
        elif fields[0] == "copy" and fields[5] == "accepted":
            copies.append(account.Copy(fields[1], fields[2], int(fields[3]) / 1e6, fields[6]))
        elif fields[0] == "notice":
            notices.append(account.Notice(fields[1], fields[2], fields[5], fields[6], fields[7]))
    return acknowledged, copies, notices


def expect_agreement(result, load, sink):
    """Two accounts of the same records, written in two languages."""
    acknowledged = read_records(load)[0]
    _, copies, notices = read_records(sink)
    ours = account.account(acknowledged, copies, notices)
    expect_equal((result["accepted"], result["delivered"], result["bounced"], result["duplicates"], result["lost"]),
                 (ours.accepted, ours.delivered, ours.bounced, ours.duplicates, len(ours.lost)),
                 "account of holdfast-bench beside ops/lib/account.py")
    expect_equal(result["unacknowledged"], ours.unacknowledged, "arrived without a 250")


def clean(node, sink):
    """Without faults on any side each message arrives exactly once."""
    load = sink.directory / "clean.txt"
    report = holdfast_bench.load([node.smtp_port], load, "--messages", "300", "--recipients", "2", "--size", "1k-100k",
                                 "--connections", "8", "--messages-per-connection", "20", "--from", "")
    expect_equal((report["accepted"], report["given_up"]), (600, 0), "recipients accepted, given up")
    drain(node)
    # From the null sender, whom this sink never refuses.
    result = holdfast_bench.account([load], [sink.record])
    expect_equal((result["delivered"], result["duplicates"], result["lost"]), (600, 0, 0),
                 "delivered, duplicates, lost")
    return f"{report['messages_per_second']:.0f} messages a second"


def through_a_kill(node, sink):
    """Connections break at the kill, messages wait for the restart, and nothing that was promised is missing."""
    load = sink.directory / "kill.txt"
    arguments = ("--messages", "3000", "--connections", "8", "--rate", "600", "--patience", "60s", "--tries", "20")
    with holdfast_bench.LoadInBackground([node.smtp_port], load, *arguments) as running:
        # Not before mail is on its way out, so that the kill finds attempts under way too.
        before = sink.arrived()
        cases.wait_until(lambda: sink.arrived() > before + 200, 60, "200 recipients arrived")
        node.kill()
        expect(running.poll() is None, "the load had ended before the kill")
        node.start()
        report = running.wait(LOAD_SECONDS)
    drain(node)
    result = holdfast_bench.account([load], [sink.record], clean=True)
    expect(report["connections_broken"] + report["connections_failed"] > 0, "no connection noticed the kill")
    expect_equal(report["accepted"] + report["unknown"] + report["permanent"] + report["given_up"], 3000,
                 "messages that have an end")
    expect_equal(report["given_up"], 0, "messages given up")
    expect_equal(result["lost"], 0, "lost")
    expect(result["bounced"] > 0, "no bounce came back, though the sink rejects")
    expect(result["silent"] > 0, "the sink was never silent")
    expect_agreement(result, load, sink.record)
    return (f"accepted {result['accepted']}, delivered {result['delivered']}, bounced {result['bounced']}, duplicates "
            f"{result['duplicates']}, lost {result['lost']}; unknown {report['unknown']}, connections broken "
            f"{report['connections_broken']}")


def a_loss_is_found(node, sink):
    """A record with one arrival taken out: the account must name it, and fail."""
    load = sink.directory / "kill.txt"
    delivered = {copy.id for copy in read_records(sink.record)[1]}
    victim = next(entry for entry in read_records(load)[0] if entry.id in delivered)
    torn = sink.directory / "torn.txt"
    torn.write_text("".join(line for line in sink.record.read_text().splitlines(keepends=True)
                            if f"\t{victim.id}\t" not in line))
    run = holdfast_bench.run("account", "--load", str(load), "--sink", str(torn))
    expect_equal(run.returncode, 1, "exit code for a loss")
    expect(f"lost: {victim.id} {victim.recipient}" in run.stdout.splitlines(), f"no line names {victim}: {run.stdout}")
    expect(run.stdout.splitlines()[-1].endswith("lost 1"), f"last line: {run.stdout.splitlines()[-1]}")


def signals_end_both_cleanly(node, sink):
    """SIGTERM: the load finishes what is under way and reports; what it was promised is recorded."""
    load = sink.directory / "stopped.txt"
    with holdfast_bench.LoadInBackground([node.smtp_port], load, "--duration", "10m", "--connections", "4") as running:
        before = sink.arrived()
        cases.wait_until(lambda: sink.arrived() > before + 50, 60, "50 recipients arrived")
        running.send_signal(signal.SIGTERM)
        report = running.wait(30)
    drain(node)
    expect_equal(len(read_records(load)[0]), report["accepted"], "acknowledged recipients in the record")
    expect_equal(holdfast_bench.account([load], [sink.record], clean=True)["lost"], 0, "lost")
    counts = sink.stop()
    expect_equal(counts["copies"], len(read_records(sink.record)[1]), "copies in the record")


def main():
    counter = cases.Cases(os.environ.get("HOLDFAST_ONLY"))
    # Deferred ones are taken after a while, so that every message ends while we wait.
    with holdfast_bench.Sink("--reject-percent", "5", "--defer-percent", "5", "--defer-for", "20s",
                             "--silent-percent", "1") as sink:
        with harness.Node(harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"})) as node:
            node.start()
            counter.run("null sender, no faults: each exactly once", clean, node, sink)
            counter.run("kill -9 of the node under load", through_a_kill, node, sink)
            counter.run("a loss is found and named", a_loss_is_found, node, sink)
            counter.run("SIGTERM ends load and sink cleanly", signals_end_both_cleanly, node, sink)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
