"""The loss of a majority, rehearsed as docs/runbooks/lost-majority.md says: two of three directories are wiped.

  tests/cluster/recover.py [--only NAME]
"""

import argparse
import shutil
import subprocess
import sys

import three_nodes  # It also finds ops/lib for the next ones.

import account
import cases
import cluster as cluster_module
import harness
import sink as sink_module
from members import World, join, wait_votes

WAITING = 40  # Messages per node that wait in the queue when the disaster comes.


def recover(node, *arguments, typed=""):
    """`holdfast cluster recover` of a stopped node, as an operator runs it."""
    return subprocess.run(
        [harness.find_binary("ops/cli/holdfast"), "cluster", "recover", "--config", str(node.config), "--daemon",
         harness.find_binary("node/holdfastd"), *arguments],
        capture_output=True, text=True, input=typed, timeout=60, check=False)


def position(text):
    return next(line for line in text.splitlines() if line.startswith("position: "))


def survivors_are_compared(world):
    """Mail waits on all three nodes; node 3 is cut short before the last of it."""
    world.sink.close()
    loads = three_nodes.Loads("early", world.cluster.nodes, messages_max=WAITING)
    loads.wait_for(WAITING)
    loads.stop()
    world.acknowledged = loads.acknowledged()
    world.node(3).kill()
    more = three_nodes.Loads("late", [world.node(1), world.node(2)], messages_max=20)
    more.wait_for(20)
    more.stop()
    world.acknowledged += more.acknowledged()
    refused = recover(world.node(1))
    cases.expect(refused.returncode == 1 and "must be stopped" in refused.stderr, refused.stdout + refused.stderr)
    for number in (1, 2):
        world.node(number).kill()
    behind = recover(world.node(3))
    cases.expect_equal(behind.returncode, 0, f"exit code of a look: {behind.stderr}")
    ahead = recover(world.node(1), "--beside", position(behind.stdout))
    cases.expect_equal(ahead.returncode, 0, f"exit code of a look: {ahead.stderr}")
    cases.expect("the other members: 2, 3" in ahead.stdout, ahead.stdout)
    verdict = next(line for line in ahead.stdout.splitlines() if line.startswith("beside node 3: "))
    cases.expect(" in 0 there" in verdict and "longer in 0 groups here" not in verdict, verdict)
    return verdict


def a_majority_is_lost(world):
    """Nodes 2 and 3 lose their disks (what node 2 had is kept aside); node 1 alone takes no mail."""
    shutil.copytree(world.node(2).data, world.node(2).directory / "old",
                    ignore=shutil.ignore_patterns("*.sock"))
    for number in (2, 3):
        shutil.rmtree(world.node(number).data)
    last = world.node(1)
    last.spawn()
    cases.wait_until(lambda: last.http("/readyz")[0] == 503, 20, lambda: f"not ready: {last.log_tail()}")
    last.terminate()
    for typed, arguments in (("yes\n", ()), ("", ("--yes-i-accept-loss", "other"))):
        refused = recover(last, "--accept-loss", *arguments, typed=typed)
        cases.expect(refused.returncode == 1 and "LOST FOR GOOD" in refused.stdout, refused.stdout + refused.stderr)
    done = recover(last, "--accept-loss", typed="trial\n")
    cases.expect(done.returncode == 0 and "begins with this node" in done.stdout, done.stdout + done.stderr)
    world.cluster.nodes = [last]
    last.spawn()
    cases.wait_until(last.ready, 40, lambda: f"ready alone:\n{last.log_tail()}")
    wait_votes(world, (1,), last)
    cases.expect_equal([int(node["node_id"]) for node in world.cluster.status(last)["nodes"]], [1], "nodes of the cluster")
    world.sink.open()
    loads = three_nodes.Loads("alone", [last], messages_max=20)
    loads.wait_for(20)
    loads.stop()
    world.acknowledged += loads.acknowledged()
    # A destination that refused for a while would rest for a minute.
    last.cli("queue", "retry", "--all")
    cases.wait_until(last.queue_empty, 150, lambda: f"queue empty: {last.queue()}")
    # Node 1 had a part in every commit, so that in this case nothing is lost.
    copies, notices = world.sink.account_parts()
    result = account.account(world.acknowledged, copies, notices)
    cases.expect(not result.faults(), f"{result.faults()} ({result.line()})")
    return result.line()


def an_old_node_is_refused(world):
    """A node that comes back with what it had is told that the cluster has gone on without it."""
    old = world.all[2]
    shutil.move(old.directory / "old", old.data)
    log_begin = len(old.log_text())
    old.spawn()
    cases.wait_until(lambda: "belongs to incarnation" in old.log_text()[log_begin:] or
                     "was removed from this cluster" in old.log_text()[log_begin:], 30,
                     lambda: f"it is told why:\n{old.log_tail()}")
    cases.wait_until(lambda: old.http("/readyz")[0] == 503, 20, lambda: "/readyz of a node of the old incarnation")
    wait_votes(world, (1,), world.node(1))
    old.kill()
    # An empty directory under the old id does not begin either.
    shutil.rmtree(old.data)
    log_begin = len(old.log_text())
    old.spawn()
    cases.wait_until(lambda: "was removed from this cluster" in old.log_text()[log_begin:], 30,
                     lambda: f"it is told why:\n{old.log_tail()}")
    cases.expect(not (old.data / "store").exists(), "it made a store")
    old.kill()


def new_nodes_join(world):
    """The cluster has three nodes again, and survives the loss of the one that had survived."""
    world.cluster.first = (1,)
    loads = three_nodes.Loads("join", [world.node(1)])
    loads.wait_for(10)
    for number in (4, 5):
        join(world, world.node(1), number)
    wait_votes(world, (1, 4, 5), world.node(1))
    loads.stop()
    world.node(1).kill()
    more = three_nodes.Loads("after", [world.node(4), world.node(5)], messages_max=20)
    more.wait_for(20)
    more.stop()
    world.acknowledged += loads.acknowledged() + more.acknowledged()
    world.node(1).spawn()
    cases.wait_until(world.node(1).ready, 30, lambda: world.node(1).log_tail())
    cases.wait_until(world.cluster.queue_empty, 60, lambda: "queue empty")
    result = account.account(world.acknowledged, *world.sink.account_parts())
    cases.expect(not result.faults(), f"{result.faults()} ({result.line()})")
    return result.line()


CASES = (
    ("survivors are compared", survivors_are_compared),
    ("a majority is lost, and one node goes on", a_majority_is_lost),
    ("an old node is refused", an_old_node_is_refused),
    ("new nodes join", new_nodes_join),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only")
    options = parser.parse_args()
    counter = cases.Cases(options.only)
    with sink_module.Sink(sink_module.SinkOptions(keep_content=False, defer_tries=1)) as sink:
        node_options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"}, in_doubt_wait="2s")
        with cluster_module.Cluster(3, node_options) as cluster:
            cluster.start()
            cluster.wait_spread()
            world = World(cluster, sink)
            world.all = dict(enumerate(cluster.nodes, 1))
            for name, function in CASES:
                counter.run(name, function, world)
            if counter.failed:
                for node in world.all.values():
                    print(f"--- {node.log}:\n{node.log_tail(15)}", flush=True)
        for node in list(world.all.values())[1:]:
            node.__exit__(None)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
