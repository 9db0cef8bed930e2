"""`ops/dev chaos`: real nodes under load and faults that a seed draws; then everything heals, and an account is made.

  ops/dev chaos [--minutes M] [--seed S] [--nodes 3|5] [--rate N] [--only KIND]...

At no time is more than a minority harmed. Afterwards nothing that was acknowledged may be missing, each duplicate must
be one that the nodes' logs list as in doubt, the queue must be empty, all replicas equal, and no process may have ended
by itself. Exit 1 otherwise: then the directory stays, and the command that replays the seed is printed. A seed fixes
faults, victims and durations; what they meet depends on the machine.
"""

import argparse
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

import account
import cases
import chaos_faults
import chaos_world
import cluster as cluster_module
import doubts as doubts_module
import harness
import holdfast_bench
import netns

RECOVER_SECONDS = 90
FAIL_OVER_SECONDS = 6.0
SETTLE_SECONDS = 180
CALM_SECONDS_MAX = 3.0
TOOLS = ("swaks", "smtp-source")


class Timeline:
    def __init__(self):
        self._begun = time.monotonic()

    def say(self, text):
        print(f"{time.monotonic() - self._begun:8.2f} s  {text}", flush=True)


class Chaos:
    def __init__(self, options, cluster, sink, directory):
        self.options = options
        self.cluster = cluster
        self.sink = sink
        self.directory = directory
        self.timeline = Timeline()
        self.counter = cases.Cases()
        tools = [tool for tool in TOOLS if shutil.which(tool)]
        self.loads = chaos_world.Loads(self.targets, directory, options.rate, tools)
        self.done = {}  # Kind -> how often.
        self.stopping = False  # An interrupt ends the faults early; the account is made all the same.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.on_signal)

    def on_signal(self, _number, _frame):
        if self.stopping:
            raise KeyboardInterrupt
        self.stopping = True

    def targets(self):
        return [node.target for node in self.cluster.nodes]

    def run(self):
        luck = random.Random(self.options.seed)
        kinds, left_out = chaos_faults.possible_kinds(self.cluster, self.options.only)
        if left_out:
            self.timeline.say(f"left out, for this machine can't do it: {', '.join(left_out)}")
        self.timeline.say(f"{self.options.nodes} nodes are ready: {', '.join(self.targets())}")
        self.loads.start()
        end = time.monotonic() + self.options.minutes * 60
        healthy = True
        number = 0
        while healthy and not self.stopping and time.monotonic() < end:
            number += 1
            faults = chaos_faults.draw_faults(luck, self.cluster, kinds)
            calm = luck.random() ** 2 * CALM_SECONDS_MAX
            name = f"fault {number}: " + ", ".join(fault.text() for fault in faults)
            healthy = self.counter.run(name, self.one_moment, faults)
            time.sleep(calm)
        self.finish()

    def one_moment(self, faults):
        begun = time.monotonic()
        for fault in faults:
            self.timeline.say(f"{fault.text()} for {fault.draw.seconds:.1f} s")
            self.done[fault.draw.kind] = self.done.get(fault.draw.kind, 0) + 1
        undone = []
        try:
            for fault in faults:
                undone.append(fault)
                fault.begin()
            for fault in sorted(faults, key=lambda fault: fault.draw.seconds):
                time.sleep(max(0.0, begun + fault.draw.seconds - time.monotonic()))
                if fault.draw.seconds > FAIL_OVER_SECONDS and undone == faults:
                    self.others_accept(faults)
                undone.remove(fault)
                fault.end()
        finally:
            for fault in undone:
                fault.end()
        ended = time.monotonic()
        self.wait_well()
        return f"well again after {time.monotonic() - ended:.1f} s"

    def others_accept(self, faults):
        """Who isn't harmed takes mail, long enough after the fault began."""
        harmed = set().union(*(fault.harmed() for fault in faults))
        others = [self.cluster.node(number) for number in self.cluster.numbers() if number not in harmed]
        cases.wait_until(lambda: all(node.accepts() for node in others), FAIL_OVER_SECONDS,
                         lambda: "nodes that nobody harms accept mail: " + ", ".join(
                             f"{node.target} {node.http('/readyz')}" for node in others), poll=0.1)

    def wait_well(self):
        def well():
            for node in self.cluster.nodes:
                cases.expect(not node.ended_by_itself(), self.post_mortem(node))
            cases.expect(not self.loads.failures, f"a load ended: {self.loads.failures[:1]}")
            return all(node.accepts() for node in self.cluster.nodes)
        cases.wait_until(well, RECOVER_SECONDS, lambda: "all nodes accept mail: " + ", ".join(
            f"{node.target} {node.http('/readyz')}" for node in self.cluster.nodes), poll=0.1)

    @staticmethod
    def post_mortem(node):
        return f"{node.target} ended by itself with {node.process.returncode}:\n{node.log_tail(12)}"

    def finish(self):
        """Everything heals, and is judged."""
        self.timeline.say("the loads stop")
        self.counter.run("the loads end", self.loads.stop)
        self.counter.run("all nodes are well", self.all_well)
        self.counter.run("the queue is empty on every node", self.queue_empties)
        self.counter.run("nothing is lost, changed, bounced twice, or bounced and delivered", self.check_account)
        self.counter.run("each duplicate is of an attempt in doubt", self.check_duplicates)
        self.counter.run("replicas are equal", self.check_replicas)
        self.timeline.say("faults: " + ", ".join(f"{kind} {count}" for kind, count in sorted(self.done.items())))

    def all_well(self):
        self.cluster.links.heal()
        for node in self.cluster.nodes:
            if node.process.poll() is not None:
                node.spawn()
        self.wait_well()
        cases.wait_until(self.cluster.all_led, 60, lambda: f"a leader for every group: {self.cluster.led()}")
        for node in self.cluster.nodes:
            cases.expect("assertion failed" not in node.log_text(), self.post_mortem(node))

    def queue_empties(self):
        cases.wait_until(self.cluster.queue_empty, SETTLE_SECONDS,
                         lambda: f"queue empty: {[(node.target, node.queue()) for node in self.cluster.nodes]}")

    def read_account(self):
        acknowledged = chaos_world.read_records(self.loads.records)[0] + self.loads.accepted.entries
        _, copies, notices = chaos_world.read_records([self.sink.record])
        return account.account(acknowledged, copies, notices)

    def check_account(self):
        self.account = self.read_account()
        cases.expect(self.account.accepted > 0, "nothing was accepted")
        cases.expect(not self.account.faults(), f"{'; '.join(self.account.faults())} ({self.account.line()})")
        tools = ", ".join(f"{tool} {count}" for tool, count in self.loads.tools.items())
        return f"{self.account.line()}; of tools: {tools}"

    def check_duplicates(self):
        logs = self.cluster.nodes + self.cluster.former
        doubts = doubts_module.Doubts([node.log_text() for node in logs],
                                      [node.faults.true_time if node.faults else float for node in logs])
        unexplained = doubts.unexplained(self.account.repeated, 0.0)
        cases.expect(not unexplained, f"{len(unexplained)} of {self.account.duplicates} that no log explains, for "
                                      f"example {unexplained[:3]}")
        return f"duplicates {self.account.duplicates}, in doubt {sum(len(times) for times in doubts.settled.values())}"

    def check_replicas(self):
        return self.cluster.compare_replicas()


def play(options, directory):
    """The exit code."""
    with holdfast_bench.Sink(*sink_arguments(), directory=directory) as sink, chaos_world.make_links() as links:
        target = f"[{links.hub}]:{sink.port}"
        node_options = harness.NodeOptions(
            routes={"*": target}, in_doubt_wait="2s", drain_deadline="20s", retry_waits=("1s", "2s", "4s"), expiry="1h",
            policy_extra='postmaster_address: "postmaster@back.test" trusted_networks: "127.0.0.0/8" '
                         'trusted_networks: "10.231.0.0/24"')
        with chaos_world.Cluster(options.nodes, node_options, links, directory) as cluster:
            cluster.start()
            cluster.wait_spread()
            chaos = Chaos(options, cluster, sink, directory)
            chaos.run()
            if chaos.counter.failed:
                keep(cluster, directory)
            return chaos.counter.finish()


def sink_arguments():
    return ("--listen", f"{'0.0.0.0' if netns.inside() else '127.0.0.1'}:0", "--reject-percent", "2", "--defer-percent",
            "5", "--defer-for", "30s", "--silent-percent", "0.5")


def keep(cluster, directory):
    """Logs, files and stores of all nodes, beside the records."""
    for node in cluster.nodes + cluster.former:
        if node.process is not None and node.process.poll() is None:
            node.kill()
        shutil.copytree(node.directory, directory / f"node-{node.directory.name}", dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("*.sock", "filler"))


def parse():
    parser = argparse.ArgumentParser(prog="ops/dev chaos", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, help="default: drawn, and printed")
    parser.add_argument("--nodes", type=int, choices=(3, 5), default=3)
    parser.add_argument("--rate", type=float, default=60.0, help="messages a second of holdfast-bench")
    parser.add_argument("--only", action="append", default=[], metavar="KIND",
                        help="these faults alone: " + ", ".join(chaos_faults.KINDS))
    parser.add_argument("--proxies", action="store_true", help="no network namespaces, even if there could be some")
    options = parser.parse_args()
    for kind in options.only:
        if kind not in chaos_faults.KINDS:
            parser.error(f"no fault {kind!r}: see --help")
    return options


def replay_command(options):
    only = "".join(f" --only '{kind}'" for kind in options.only)
    return (f"ops/dev chaos --minutes {options.minutes:g} --seed {options.seed} --nodes {options.nodes} --rate "
            f"{options.rate:g}{only}{' --proxies' if options.proxies else ''}")


def main():
    # Where nft and smtp-source are, which tests don't look into by themselves.
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    options = parse()
    if not netns.inside() and not options.proxies:
        why = netns.impossible()
        if not why:
            netns.enter([str(pathlib.Path(__file__).absolute()), *sys.argv[1:]])
        print(f"no network namespaces here ({why}): proxies on loopback instead, no packet loss, no full disks",
              flush=True)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 31)
    print(f"seed {options.seed}: {replay_command(options)}", flush=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="hfchaos-", dir="/tmp"))
    code = 1
    try:
        code = play(options, directory)
    finally:
        if code == 0:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            print(f"seed {options.seed} failed; everything is in {directory}\nreplay: {replay_command(options)}",
                  flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
