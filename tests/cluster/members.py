"""Nodes come and go under load: a fourth node joins, takes over, a dead one is replaced, a living one leaves.

  tests/cluster/members.py [--only NAME]
"""

import argparse
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent.parent.parent / "ops" / "lib"))

import cases  # noqa: E402
import cluster as cluster_module  # noqa: E402
import harness  # noqa: E402
import sink as sink_module  # noqa: E402
import three_nodes  # noqa: E402

ALL_GROUPS = cluster_module.QUEUE_GROUPS + 1
WAITING = 60  # Messages per node that wait in the queue while members change.


def address(world, number):
    return f"127.0.0.1:{world.cluster.ports[number]}"


def votes_of(world, number):
    return world.cluster.members().get(number, 0)


def wait_votes(world, numbers, by=None):
    """Every group has these voters and no other member; each node hears of the others' groups once a second."""
    want = {number: ALL_GROUPS for number in numbers}
    cases.wait_until(lambda: world.cluster.members(by) == want, 30, lambda: f"votes: {world.cluster.members(by)}")


def join(world, by, number, *more):
    node = world.cluster.add(number)
    node.spawn()
    out = by.cli("cluster", "join", "--node", str(number), "--address", address(world, number), "--reason", "a test",
                 "--timeout", "120", *more, timeout=130)
    cases.expect(f"node {number} is a voter of all {ALL_GROUPS} groups" in out.stdout, out.stdout + out.stderr)
    cases.wait_until(node.ready, 30, lambda: f"ready:\n{node.log_tail()}")
    return node


def lose_nothing(world, loads, prefix):
    loads.wait_for(30)
    loads.stop()
    return world.settle(loads.acknowledged(), prefix)


def a_node_that_nobody_added_waits(world):
    """It says what to do, and changes nothing; then it is let in, and the mail that waits reaches it."""
    stranger = world.cluster.add(4)
    stranger.spawn()
    cases.wait_until(lambda: "event=joining" in stranger.log_text(), 20, lambda: stranger.log_tail())
    cases.expect("holdfast cluster join --node 4" in stranger.log_text(), stranger.log_tail())
    cases.expect(not (stranger.data / "store").exists(), "it made a store")
    cases.expect_equal(sorted(world.cluster.members(world.node(1))), [1, 2, 3], "members")
    refused = world.node(1).cli("cluster", "join", "--node", "2", "--address", "127.0.0.1:1", "--reason", "x",
                                check=False)
    cases.expect(refused.returncode == 1 and "is a member already" in refused.stderr, refused.stderr)
    loads = three_nodes.Loads("join", [world.node(n) for n in (1, 2, 3)])
    loads.wait_for(20)
    out = world.node(2).cli("cluster", "join", "--node", "4", "--address", address(world, 4), "--reason", "more disk",
                            "--timeout", "120", timeout=130)
    cases.expect("node 4 is a voter of all 13 groups" in out.stdout, out.stdout + out.stderr)
    cases.wait_until(stranger.ready, 30, lambda: f"ready:\n{stranger.log_tail()}")
    result = lose_nothing(world, loads, "join")
    wait_votes(world, (1, 2, 3, 4))
    cases.expect_equal(result.duplicates, 0, "duplicates")
    world.cluster.wait_spread()
    return f"{result.line()}; leaders {world.cluster.led()}"


def waiting_mail_reaches_who_joined(world):
    """Mail that waits for a dead destination when a node joins is on that node too: two of the old ones die."""
    world.sink.close()
    loads = three_nodes.Loads("wait", [world.node(n) for n in (1, 2, 3)], messages_max=WAITING)
    loads.wait_for(WAITING)
    loads.stop()
    node = join(world, world.node(1), 5)
    cases.expect(not node.queue_empty(), "the queue as node 5 sees it")
    for number in (2, 3):
        world.node(number).kill()
    world.sink.open()
    # Destinations that refused would rest for a minute. The verb waits for leaders, but not for ever.
    cases.wait_until(lambda: node.cli("queue", "retry", "--all", check=False).returncode == 0, 60, "all is due now")
    result = world.settle(loads.acknowledged(), "wait")
    for number in (2, 3):
        world.node(number).spawn()
    for number in (2, 3):
        cases.wait_until(world.node(number).ready, 30, lambda: world.node(2).log_tail())
    return result.line()


def a_dead_node_is_replaced(world):
    """One command, and the dead one does not come back."""
    world.cluster.wait_spread()
    world.node(2).kill()
    loads = three_nodes.Loads("repl", [world.node(n) for n in (1, 3)])
    loads.wait_for(20)
    join(world, world.node(3), 6, "--replaces", "2")
    result = lose_nothing(world, loads, "repl")
    wait_votes(world, (1, 3, 4, 5, 6), world.node(1))
    world.node(2).spawn()
    cases.wait_until(lambda: "was removed from this cluster" in world.node(2).log_text(), 30,
                     lambda: f"it is told why:\n{world.node(2).log_tail()}")
    cases.wait_until(lambda: world.node(2).http("/readyz")[0] == 503, 20, lambda: "/readyz of a node that was replaced")
    world.node(2).terminate()
    return result.line()


def a_living_node_leaves(world):
    """Five become three again under load; the last that could not be spared is refused."""
    loads = three_nodes.Loads("leave", [world.node(n) for n in (1, 3)])
    for number in (5, 4):
        loads.wait_for(10)
        out = world.node(1).cli("cluster", "remove", "--node", str(number), "--reason", "retired", "--timeout", "90",
                                timeout=100)
        cases.expect(f"node {number} is in no group any more" in out.stdout, out.stdout + out.stderr)
        cases.expect_equal(world.node(number).terminate(), 0, f"exit code of node {number}")
    result = lose_nothing(world, loads, "leave")
    wait_votes(world, (1, 3, 6), world.node(1))
    world.node(6).kill()
    cases.wait_until(lambda: any(int(node["node_id"]) == 6 and node["state"] == "SILENT"
                                 for node in world.cluster.status(world.node(1))["nodes"]), 20, lambda: "6 is silent")
    refused = world.node(1).cli("cluster", "remove", "--node", "3", "--reason", "x", check=False)
    cases.expect(refused.returncode == 1 and "no majority" in refused.stderr, refused.stderr)
    world.node(6).spawn()
    cases.wait_until(world.node(6).ready, 30, lambda: world.node(6).log_tail())
    return result.line()


def a_joined_directory_that_is_lost_stays_out(world):
    node = world.node(6)
    node.kill()
    shutil.rmtree(node.data)
    node.spawn()
    code = node.wait(40)
    cases.expect_equal(code, 2, f"exit code with an empty directory:\n{node.log_tail()}")
    cases.expect("has begun before" in node.log_text(), node.log_tail())
    world.cluster.nodes.remove(node)
    join(world, world.node(1), 7, "--replaces", "6")
    wait_votes(world, (1, 3, 7), world.node(1))
    return "exit 2; its successor votes"


CASES = (
    ("a node that nobody added waits, then joins under load", a_node_that_nobody_added_waits),
    ("mail that waits reaches who joined", waiting_mail_reaches_who_joined),
    ("a dead node is replaced with one command", a_dead_node_is_replaced),
    ("living nodes leave, down to three", a_living_node_leaves),
    ("a joined directory that is lost stays out", a_joined_directory_that_is_lost_stays_out),
)


class World(three_nodes.World):
    def node(self, number):
        """By node id; nodes are not in the order of their ids any more."""
        for node in self.cluster.nodes:
            if f"node_id: {number}\n" in node.config.read_text():
                return node
        raise cases.CaseFailed(f"there is no node {number}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only")
    options = parser.parse_args()
    counter = cases.Cases(options.only)
    with sink_module.Sink(sink_module.SinkOptions(keep_content=False, defer_tries=1)) as sink:
        node_options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"}, in_doubt_wait="2s")
        with cluster_module.Cluster(3, node_options) as cluster:
            cluster.start()
            world = World(cluster, sink)
            for name, function in CASES:
                counter.run(name, function, world)
            if counter.failed:
                for node in cluster.nodes:
                    print(f"--- {node.log}:\n{node.log_tail(15)}", flush=True)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
