"""kill -9 at random moments under load, restart, and an account of every acknowledged message.

A round: load on several connections, kill -9 after a random time, restart on the same data, more load,
then wait until the queue is empty. Rounds share one data directory, so that later rounds start from what
earlier ones left. A case fails when anything is lost, changed, bounced twice, or both delivered and
bounced; and when a duplicate has no excuse. The only excuse is an attempt whose outcome was in doubt at a
kill: one copy was sent before the kill, the next one after the restart, the node listed the message as in
doubt after the restart, and there are no more of them than attempts can have been under way.

  tests/cluster/crash.py --rounds 3 [--seed N] [--connections N]
"""

import argparse
import asyncio
import json
import os
import pathlib
import random
import re
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent.parent.parent / "ops" / "lib"))

import account  # noqa: E402
import cases  # noqa: E402
import harness  # noqa: E402
import sink as sink_module  # noqa: E402
import smtp_client  # noqa: E402

CONNECTIONS_PER_DESTINATION = 5
DRAIN_SECONDS = 60.0
# How long before a kill the first copy of a duplicate may have arrived: its outcome was not yet on disk.
IN_FLIGHT_SECONDS = 2.0


def run_load(load):
    thread = threading.Thread(target=lambda: asyncio.run(load.run()), daemon=True)
    thread.start()
    return thread


def attempts_in_flight_max(load_options):
    """Recipients that attempts can hold at one moment: one each here, on every connection allowed, for
    the load's destinations and the one that notices go to; twice, for a connection may begin its next
    attempt while the outcome of the last one is on its way to disk."""
    return 2 * CONNECTIONS_PER_DESTINATION * (len(load_options.domains) + 1)


def ids_in_doubt(node):
    """Our ids of the messages that the node lists as in doubt."""
    listed = node.cli("queue", "list", "--state", "in-doubt", "--limit", "0", "--output", "json").stdout
    queue_ids = {entry["queue_id"] for line in listed.splitlines() for entry in json.loads(line)["messages"]}
    names = dict(re.findall(r"queue_id=(\S+) message_id=<([^@>]+)@", node.log_text()))
    return {names.get(queue_id, queue_id) for queue_id in queue_ids}


def check_round(result, kill_at, listed_at, in_doubt, bound):
    faults = result.faults()
    if faults:
        raise cases.CaseFailed("; ".join(faults) + f" ({result.line()})")
    for key, times in result.repeated.items():
        # What the killed process had sent may be read by the sink a little after the kill. What is listed as in
        # doubt has not been attempted again before the listing.
        before = [at for at in times if at < listed_at]
        explained = len(times) == 2 and len(before) == 1 and kill_at - before[0] < IN_FLIGHT_SECONDS
        cases.expect(explained, f"a duplicate that no kill explains: {key}, seconds after the kill: "
                                f"{[round(at - kill_at, 2) for at in times]}")
        cases.expect(key[0] in in_doubt, f"a duplicate that was not listed as in doubt: {key}")
    cases.expect(len(result.repeated) <= bound,
                 f"{len(result.repeated)} duplicates at one kill, more than {bound} attempts in flight")


def one_round(number, node, sink, options, rng):
    """Returns the round's line; raises CaseFailed."""
    load_options = smtp_client.LoadOptions(connections=options.connections)
    first = smtp_client.Load(node.smtp_port, f"r{number}a", rng.random(), load_options)
    thread = run_load(first)
    time.sleep(rng.uniform(0.2, options.seconds))  # Not a wait for anything: the random moment itself.
    kill_at = time.monotonic()
    node.kill()
    first.stop()
    thread.join(30)
    before_restart = len(first.acknowledged)
    ready = node.start()
    listed_at = time.monotonic()
    in_doubt = ids_in_doubt(node)
    second = smtp_client.Load(node.smtp_port, f"r{number}b", rng.random(),
                              smtp_client.LoadOptions(connections=options.connections, messages_max=40))
    thread = run_load(second)
    thread.join(60)
    cases.expect(not thread.is_alive(), "the load after the restart did not end within 60 s")
    cases.expect_equal(len(second.acknowledged), 40,
                       f"messages accepted after the restart (refused: {second.refused[:3]}, broken: {second.broken})")
    cases.wait_until(node.queue_empty, DRAIN_SECONDS, lambda: f"queue empty: {node.queue()}")
    acknowledged = first.acknowledged + second.acknowledged
    copies, notices = sink.account_parts()
    ours = (f"r{number}a-", f"r{number}b-")
    result = account.account(acknowledged, [copy for copy in copies if copy.id.startswith(ours)],
                             [notice for notice in notices if notice.id.startswith(ours)])
    check_round(result, kill_at, listed_at, in_doubt, attempts_in_flight_max(load_options))
    cases.expect(before_restart > 0, "no message was accepted before the kill: the round tried nothing")
    rejected = sum(1 for entry in acknowledged if entry.recipient.startswith("reject"))
    cases.expect_equal(result.bounced, rejected, "bounces for refused recipients")
    return (f"{result.line()}; in doubt after restart {len(in_doubt)}, unanswered {first.broken}, of those delivered "
            f"{result.unacknowledged}, ready in {ready:.1f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4.0, help="longest time from load to kill")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4), "big")
    print(f"crash: {options.rounds} rounds, --seed {seed} repeats the moments of the kills", flush=True)
    rng = random.Random(seed)
    counter = cases.Cases()
    with sink_module.Sink(sink_module.SinkOptions(keep_content=False, defer_tries=1)) as sink:
        routes = {"*": f"[127.0.0.1]:{sink.port}"}
        options_of_node = harness.NodeOptions(routes=routes, in_doubt_wait="3s",
                                              connections_per_destination_max=CONNECTIONS_PER_DESTINATION)
        with harness.Node(options_of_node) as node:
            node.start()
            for number in range(options.rounds):
                if counter.run(f"round {number}", one_round, number, node, sink, options, rng) is False:
                    print(f"--- last lines of the log:\n{node.log_tail()}", flush=True)
                    if not node.ready_or_restarted():
                        break
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
