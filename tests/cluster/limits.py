"""A destination's limits hold over the cluster: connections, while all is well and while its coordinator dies; a rate.

The receiving server counts its connections, those that are idle too.

  tests/cluster/limits.py [--only NAME]
"""

import argparse
import sys

from three_nodes import CONNECTIONS, Loads, World  # It also finds ops/lib for the next ones.

import cases
import cluster as cluster_module
import harness
import sink as sink_module

LIMIT = 10
LIMIT_SEEN = 11  # A tenth more: one may open while another is being closed.
ANSWER_SECONDS = 0.4
RATE, RATE_SECONDS = 20, 10
RATE_SEEN = 24  # A tenth more, and a message that each node may have saved up.
COORDINATED = "holdfast_limit_coordinated "


def slow_loads(prefix, nodes):
    """Mail to one destination that takes its time, for as long as the load lasts a little more than it can take.

    Shares move with answers that may get lost: 24 s later at the latest, see docs/decisions/017."""
    pause = CONNECTIONS * len(nodes) / (1.25 * LIMIT / ANSWER_SECONDS)
    return Loads(prefix, nodes, messages_max=2000, local_parts=("late",), domains=("one.test",),
                 large_every=1 << 30, pause_seconds=pause)


def wait_for_connections(world, least, what, without=""):
    """Until so many are open at the same time; returns who had them."""
    def enough():
        open_now = {host: count for host, count in world.sink.connections().items() if host not in ("", without)}
        return open_now if sum(open_now.values()) >= least else None

    return cases.wait_until(enough, 60, lambda: f"{least} connections {what}: {world.sink.connections()}", poll=0.02)


def coordinator(world):
    """The number of the node that divides the limit of the one destination."""
    def find():
        for number, node in enumerate(world.cluster.nodes, 1):
            lines = [line for line in node.http("/metrics")[1].splitlines() if line.startswith(COORDINATED)]
            if lines and float(lines[0].split()[1]) >= 1:
                return number
        return None

    return cases.wait_until(find, 20, "a node that coordinates")


def the_limit_holds(world):
    prefix = "all"
    world.sink.take_connections_peak()
    loads = slow_loads(prefix, world.cluster.nodes)
    seen = wait_for_connections(world, LIMIT, "of the cluster")
    loads.wait_for(120)
    loads.stop()
    result = world.settle(loads.acknowledged(), prefix)
    peak = world.sink.take_connections_peak()
    cases.expect(peak <= LIMIT_SEEN, f"{peak} connections at once, {LIMIT} allowed")
    return f"{peak} at once, by {seen}; {result.line()}"


def one_node_may_use_most(world):
    """Only one node has mail for the destination: it gets what the others leave."""
    prefix = "one"
    world.sink.take_connections_peak()
    node, host = world.node(2), cluster_module.host_name(2)
    loads = slow_loads(prefix, [node])
    # The floor is 3; the others may use one each without asking.
    cases.wait_until(lambda: world.sink.connections().get(host, 0) >= LIMIT - 2, 60,
                     lambda: f"one node's connections: {world.sink.connections()}", poll=0.02)
    loads.stop()
    result = world.settle(loads.acknowledged(), prefix)
    peak = world.sink.take_connections_peak()
    cases.expect(peak <= LIMIT_SEEN, f"{peak} connections at once, {LIMIT} allowed")
    return f"{peak} at once; {result.line()}"


def the_coordinator_dies(world):
    prefix = "dies"
    world.sink.take_connections_peak()
    loads = slow_loads(prefix, world.cluster.nodes)
    try:
        wait_for_connections(world, LIMIT - 1, "of the cluster")
        number = coordinator(world)
        world.node(number).kill()
        # First what they had; a new coordinator shares out the dead node's part after one lifetime.
        seen = wait_for_connections(world, LIMIT - 1, "of two nodes", without=cluster_module.host_name(number))
        peak_dead = world.sink.take_connections_peak()
        world.node(number).start()
    finally:
        loads.stop()
    result = world.settle(loads.acknowledged(), prefix)
    peak = world.sink.take_connections_peak()
    cases.expect(max(peak, peak_dead) <= LIMIT_SEEN, f"{peak_dead}, later {peak} at once, {LIMIT} allowed")
    world.heal()
    return f"node {number} coordinated; {peak_dead} at once, later {peak}, by {seen}; {result.line()}"


def a_rate_holds(world):
    prefix = "rate"
    loads = Loads(prefix, world.cluster.nodes, messages_max=25, local_parts=("user",), domains=("rated.test",),
                  large_every=1 << 30)
    loads.wait_for(25)
    loads.stop()
    result = world.settle(loads.acknowledged(), prefix)
    times = sorted(copy.at for copy in world.sink.account_parts()[0] if copy.id.startswith(prefix))
    most = max(sum(1 for at in times if start <= at < start + RATE_SECONDS) for start in times)
    cases.expect(most <= RATE_SEEN, f"{most} messages in {RATE_SECONDS} s, {RATE} allowed")
    rate = (len(times) - 1) / (times[-1] - times[0]) * RATE_SECONDS
    cases.expect(rate >= RATE * 0.5, f"no more than {rate:.1f} in {RATE_SECONDS} s, {RATE} allowed")
    return f"at most {most} in {RATE_SECONDS} s, {rate:.1f} on average; {result.line()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only")
    options = parser.parse_args()
    counter = cases.Cases(options.only)
    with sink_module.Sink(sink_module.SinkOptions(keep_content=False, late_seconds=ANSWER_SECONDS)) as sink:
        node_options = harness.NodeOptions(
            routes={"*": f"[127.0.0.1]:{sink.port}"}, in_doubt_wait="2s", connections_per_destination_max=LIMIT,
            policy_extra=f'destinations {{ destination: "rated.test" message_rate: "{RATE}/{RATE_SECONDS}s" }}')
        with cluster_module.Cluster(3, node_options) as cluster:
            cluster.start()
            cluster.wait_spread()
            world = World(cluster, sink)
            counter.run("the limit holds", the_limit_holds, world)
            counter.run("one node may use most", one_node_may_use_most, world)
            counter.run("the coordinator dies", the_coordinator_dies, world)
            counter.run("a rate holds", a_rate_holds, world)
            if counter.failed:
                for node in cluster.nodes:
                    print(f"--- {node.log}:\n{node.log_tail(15)}", flush=True)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
