"""Three nodes whose node files name no policy: the cluster has none until somebody applies one, and works all the same.

  tests/cluster/no_policy.py [--only NAME]
"""

import argparse
import sys

from three_nodes import Loads, World  # It also finds ops/lib for the next ones.

import cases
import cluster as cluster_module
import dns_responder
import harness
import sink as sink_module

PREFIX = "nopolicy"
# No name can be looked up, so that nothing is delivered or given up before there is a route.
DOMAINS = ("one.test", "two.test", "three.test", "four.test", "back.test")
ANSWERS = {name: dns_responder.Answer(rcode=dns_responder.SERVFAIL) for name in DOMAINS}


def control_leader(cluster):
    groups = cluster.status()["groups"]
    return next((int(group.get("leader_node_id", 0)) for group in groups if int(group.get("group", 0)) == 0), 0)


def mail_is_taken_while_the_control_group_elects(world, acknowledged):
    """That nobody can say for a moment whether there is a policy must keep no client waiting."""
    policy = world.node(1).cli_json("policy", "show")
    cases.expect_equal(int(policy.get("version", {}).get("version", 0)), 0, "version of the policy")
    leader = control_leader(world.cluster)
    cases.expect(leader != 0, "nobody leads the control group")
    loads = Loads(PREFIX, [node for number, node in enumerate(world.cluster.nodes, 1) if number != leader],
                  pause_seconds=0.02)
    try:
        loads.wait_for(20)
        world.node(leader).kill()
        cases.wait_until(lambda: control_leader(world.cluster) not in (0, leader), 30, "another leader of the group")
        loads.wait_for(20)
    finally:
        loads.stop()
        acknowledged += loads.acknowledged()
    refused = [text for load in loads.loads for text in load.refused if "policy" in text]
    cases.expect(not refused, f"refused for want of a policy: {refused[:3]}")
    node = world.node(leader)
    node.spawn()
    cases.wait_until(node.ready, 30, lambda: f"ready again:\n{node.log_tail()}")
    return f"node {leader} was killed, {len(acknowledged)} accepted"


def a_policy_that_comes_later_is_followed(world, acknowledged):
    """Its routes hold for what came before it."""
    node = world.node(3)
    cases.expect(acknowledged, "nothing was accepted before")
    node.cli("policy", "apply", str(node.directory / "policy.textproto"))
    cases.wait_until(lambda: all(int(one.cli_json("policy", "show")["version"]["version"]) == 1
                                 for one in world.cluster.nodes), 10, "the policy on all nodes")
    node.cli("queue", "retry", "--all", "--reason", "there are routes now")
    result = world.settle(acknowledged, PREFIX)
    cases.expect_equal(result.accepted, len(acknowledged), "accepted")
    return result.line()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only")
    options = parser.parse_args()
    counter = cases.Cases(options.only)
    with sink_module.Sink(sink_module.SinkOptions(keep_content=False, defer_tries=1)) as sink, \
            dns_responder.Responder(ANSWERS) as responder:
        resolver = f'resolver {{ forwarders: "127.0.0.1:{responder.port}" timeout: "5s" }}\n'
        node_options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"}, policy_file=False,
                                           node_extra=resolver)
        with cluster_module.Cluster(3, node_options) as cluster:
            cluster.start()
            cluster.wait_spread()
            world = World(cluster, sink)
            acknowledged = []
            counter.run("mail is taken while the control group elects",
                        mail_is_taken_while_the_control_group_elects, world, acknowledged)
            counter.run("a policy that comes later is followed", a_policy_that_comes_later_is_followed, world,
                        acknowledged)
            if counter.failed:
                for node in cluster.nodes:
                    print(f"--- {node.log}:\n{node.log_tail(15)}", flush=True)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
