"""Three real nodes get a new build one after the other under load, one goes back to the old one, the cluster's feature
level is raised, and from then on the old build stays out.

  tests/cluster/upgrade.py [--only NAME]
"""

import argparse
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent.parent.parent / "ops" / "lib"))

import cases  # noqa: E402
import cluster as cluster_module  # noqa: E402
import harness  # noqa: E402
import sink as sink_module  # noqa: E402
import three_nodes  # noqa: E402

OLD = "node/holdfastd"
NEXT = "node/holdfastd_next"  # The same, but it speaks level 2 as well.
REFUSED_PEER = "node {} speaks feature levels 1 to 1, and this cluster is at level 2"
REFUSED_START = "this cluster is at feature level 2, and this build speaks 1 to 1: install a build that speaks it"
READY_SECONDS = 60
TRIES = 10  # Of a raise in the few seconds for which a dead node still counts as heard.


def raise_level(node, *more):
    return node.cli("cluster", "raise-level", "--reason", "a test", *more, check=False)


def raised_by(node, *more):
    """Asked for again while a machine that is busy with other things has kept beats back."""
    tries = []

    def done():
        tries.append(raise_level(node, *more))
        cases.expect(tries[-1].returncode == 0 or "is not heard" in tries[-1].stderr, f"the level raised: {tries[-1]}")
        return tries[-1].returncode == 0

    cases.wait_until(done, 20, lambda: f"the level raised: {tries[-1]}")
    return tries[-1]


def refuses(node, words, *more):
    """Always; and with these words as soon as the node has heard from the others, which may take a beat or two."""
    tries = []

    def says_so():
        tries.append(raise_level(node, *more))
        cases.expect(tries[-1].returncode == 1, f"expected a refusal with `{words}`, got {tries[-1]}")
        return words in tries[-1].stderr

    cases.wait_until(says_so, 20, lambda: f"refused with `{words}`: {tries[-1].stdout}{tries[-1].stderr}")


def hear_each_other(cluster, number, level):
    """All nodes all nodes, and of node `number` what its build speaks."""
    nodes = [node for by in cluster.nodes for node in cluster.status(by)["nodes"]]
    return all(node["state"] == "UP" and (int(node["node_id"]) != number or node["feature_level"] == level)
               for node in nodes)


def state_versions(cluster, by):
    return {group["state_version"] for group in cluster.status(by)["groups"] if int(group["group"]) != 0}


def behind(cluster):
    """(group, member, entries) of every member that its leader has not with it, or has something left to send to."""
    found = []
    for group in cluster.status()["groups"]:
        found += [(group["group"], "no leader is heard")] if not group["members"] else []
        found += [(group["group"], member["node_id"], member["entries_behind"] if member["active"] else "away")
                  for member in group["members"] if not member["active"] or int(member["entries_behind"]) != 0]
    return found


def wait_whole(cluster):
    for node in cluster.nodes:
        cases.wait_until(node.ready, READY_SECONDS, lambda node=node: f"ready:\n{node.log_tail()}")
    cases.wait_until(lambda: not behind(cluster), READY_SECONDS, lambda: f"nobody is behind: {behind(cluster)}")


def wait_level(cluster, level):
    """On every node, and of every group in its replicas."""
    for node in cluster.nodes:
        cases.wait_until(lambda node=node: cluster.status(node)["feature_level"] == level
                         and state_versions(cluster, node) == {level}, 30,
                         lambda node=node: f"level {level}: {cluster.status(node)['feature_level']}, "
                                           f"groups {state_versions(cluster, node)}")
        metrics = node.http("/metrics")[1]
        cases.expect(f"\nholdfast_feature_level {level}\n" in metrics, f"no level {level} in /metrics of {node.directory}")


def change_build(world, number, program, while_down=lambda: None):
    """As the runbook has it: drain, stop, start the other build, wait. Returns what others acknowledged meanwhile."""
    node = world.node(number)
    others = [other for other in world.cluster.nodes if other is not node]
    loads = three_nodes.Loads(f"up{number}x{node.starts}", others)
    loads.wait_for(10)
    out = node.cli("node", "drain", "--deadline", "20")
    cases.expect("drained" in out.stdout, out.stdout + out.stderr)
    cases.expect_equal(node.terminate(), 0, "exit code of the stop")
    while_down()
    node.program = program
    node.spawn()
    cases.wait_until(node.ready, READY_SECONDS, lambda: f"ready with the other build:\n{node.log_tail()}")
    loads.wait_for(10)
    loads.stop()
    wait_whole(world.cluster)
    level = 2 if program == NEXT else 1
    cases.wait_until(lambda: hear_each_other(world.cluster, number, level), 20,
                     lambda: f"all nodes know that node {number} speaks {level}: {world.cluster.status(node)['nodes']}")
    for load in loads.loads:
        cases.expect(not load.refused and not load.broken,
                     f"transactions failed while node {number} changed: {load.refused[:3]}, broken {load.broken}")
    return loads.acknowledged()


def one_build_has_nothing_to_raise(world):
    for node in world.cluster.nodes:
        status = world.cluster.status(node)
        cases.expect_equal((status["feature_level"], status["feature_level_possible"]), (1, 1), "level, and possible")
        refuses(node, "the cluster is at feature level 1 already, and not all of its nodes speak a higher one")
        refuses(node, "the cluster is at feature level 1 already", "--to", "1")
        refuses(node, "node 1 runs version", "--to", "2")
    cases.expect("feature level 1\n" in world.node(1).cli("cluster", "status").stdout, "the text for people")
    wait_level(world.cluster, 1)


def nodes_are_upgraded_in_turn(world):
    """Two new, one back to the old build, and all new, with mail all the time."""
    cluster = world.cluster
    old_speaks = "speaks feature levels 1 to 1: install a build that speaks 2 on it first"

    def raise_is_refused(*numbers):
        for by in cluster.nodes:
            refuses(by, f"node {numbers[0]} runs version", "--to", "2")
            refuses(by, old_speaks, "--to", "2")
            refuses(by, "not all of its nodes speak a higher one")
            cases.expect_equal(cluster.status(by)["feature_level_possible"], 1, f"possible with {numbers} of the old build")

    def nobody_knows_of_node_2():
        for by in (1, 3):
            refuses(world.node(by), "node 2 is not heard", "--to", "2")
            refuses(world.node(by), "node 2 is not heard")
        cases.expect_equal(cluster.status(world.node(1))["feature_level_possible"], 1, "possible with a node away")

    acknowledged = change_build(world, 1, NEXT)
    raise_is_refused(2, 3)
    acknowledged += change_build(world, 2, NEXT, nobody_knows_of_node_2)
    raise_is_refused(3)
    acknowledged += change_build(world, 1, OLD)
    raise_is_refused(1, 3)
    acknowledged += change_build(world, 3, NEXT)
    raise_is_refused(1)
    acknowledged += change_build(world, 1, NEXT)
    result = world.settle(acknowledged, "up")
    cases.expect_equal(result.duplicates, 0, "duplicates")
    wait_level(cluster, 1)
    return result.line()


def the_level_is_raised_under_load(world):
    cluster = world.cluster
    cluster.wait_spread()
    loads = three_nodes.Loads("raise", cluster.nodes)
    loads.wait_for(20)
    for node in cluster.nodes:
        cases.wait_until(lambda node=node: cluster.status(node)["feature_level_possible"] == 2, 20,
                         lambda node=node: f"possible with all nodes new: {cluster.status(node)['nodes']}")
    cases.expect("all nodes speak 2: `holdfast cluster raise-level`" in world.node(3).cli("cluster", "status").stdout,
                 "advice for people")
    answer = json.loads(raised_by(world.node(2), "--output", "json").stdout)
    cases.expect_equal((answer["level"], answer["before"], answer["done"]), (2, 1, True), "level, before, done")
    cases.expect_equal((answer["queue_groups"], answer["queue_groups_there"]),
                       (cluster_module.QUEUE_GROUPS, cluster_module.QUEUE_GROUPS), "queue groups, and those there")
    wait_level(cluster, 2)
    loads.wait_for(20)
    loads.stop()
    refused = [text for load in loads.loads for text in load.refused]
    cases.expect(not refused and not any(load.broken for load in loads.loads), f"transactions failed: {refused[:3]}")
    result = world.settle(loads.acknowledged(), "raise")
    cases.expect_equal(result.duplicates, 0, "duplicates")
    refuses(world.node(1), "the cluster is at feature level 2 already")
    refuses(world.node(1), "node 1 runs version", "--to", "3")
    return f"{result.line()}; equal replicas: {cluster.compare_replicas()}"


def the_old_build_does_not_start(world):
    node = world.node(3)
    cases.expect_equal(node.terminate(), 0, "exit code of the stop")
    node.program = OLD
    for _ in range(2):  # Nothing was changed by the first try.
        node.spawn()
        cases.expect_equal(node.wait(30), 2, f"exit code of the old build:\n{node.log_tail()}")
        cases.expect(REFUSED_START in node.log_tail(3), f"it said: {node.log_tail(3)}")
    return node.log_tail(1)


def the_new_build_comes_back(world):
    node = world.node(3)
    node.program = NEXT
    node.start()
    wait_whole(world.cluster)
    loads = three_nodes.Loads("back", world.cluster.nodes)
    loads.wait_for(20)
    loads.stop()
    result = world.settle(loads.acknowledged(), "back")
    cases.expect_equal(result.duplicates, 0, "duplicates")
    wait_level(world.cluster, 2)
    return f"{result.line()}; equal replicas: {world.cluster.compare_replicas()}"


def the_old_build_does_not_join(world):
    """The members' logs and its own name the levels; with the new build it is let in."""
    node = world.cluster.add(4)
    node.spawn()
    words = REFUSED_PEER.format(4)
    for one in (node, *world.cluster.nodes[:3]):
        cases.wait_until(lambda one=one: words in one.log_text(), 20, lambda one=one: f"`{words}`:\n{one.log_tail()}")
    cases.expect(not (node.data / "store").exists(), "it made a store")
    late = world.node(1).cli("cluster", "join", "--node", "4", "--address", f"127.0.0.1:{world.cluster.ports[4]}",
                             "--reason", "a test", "--timeout", "3", check=False)
    cases.expect(late.returncode == 1 and "not done when the time was up" in late.stderr, late.stdout + late.stderr)
    refuses(world.node(2), "node 4 is not heard", "--to", "3")
    cases.expect_equal(node.terminate(), 0, "exit code of one that waits")
    node.program = NEXT
    node.start()
    cases.wait_until(lambda: world.cluster.members(node).get(4) == cluster_module.QUEUE_GROUPS + 1, 60,
                     lambda: f"node 4 votes everywhere: {world.cluster.members(node)}\n{node.log_tail()}")
    wait_whole(world.cluster)
    wait_level(world.cluster, 2)
    return f"equal replicas: {world.cluster.compare_replicas()}"


def raised_in_time(cluster, leave, come_back, refusals):
    """`leave()`, and at once another node raises the level; when it comes too late, `come_back()` and again.

    `refusals`: what a raise says that came too late."""
    asked = cluster.nodes[0]
    for _ in range(TRIES):
        cases.wait_until(lambda: cluster.status(asked)["feature_level_possible"] == 2, 20,
                         lambda: f"all nodes speak 2: {cluster.status(asked)}")
        leave()
        run = raise_level(asked)
        if run.returncode == 0:
            return
        cases.expect(any(words in run.stderr for words in refusals), run.stdout + run.stderr)
        come_back()
    raise cases.CaseFailed(f"no raise within the time in {TRIES} tries")


def raised_without(cluster, number):
    """Kills a node and has the others raise the level while they have only just heard it."""
    node = cluster.nodes[number - 1]
    raised_in_time(cluster, node.kill, node.start, ["is not heard"])


def who_missed_the_raise_gets_nothing_with_the_old_build(options):
    """Its store does not tell it the level: the members do, before it hears an entry that it can't apply."""
    with cluster_module.Cluster(3, options, cluster_id="missed") as cluster:
        for node in cluster.nodes:
            node.program = NEXT
        cluster.start()
        raised_without(cluster, 3)
        node = cluster.nodes[2]
        node.program = OLD
        node.spawn()
        words = REFUSED_PEER.format(3)
        down = re.compile(f"event=peer_down .* peer=3 .*{words}")
        for one in cluster.nodes:
            cases.wait_until(lambda one=one: words in one.log_text(), 20,
                             lambda one=one: f"`{words}`:\n{one.log_tail()}")
        for one in cluster.nodes[:2]:  # Neither does it serve them.
            cases.wait_until(lambda one=one: down.search(one.log_text()), 20,
                             lambda one=one: f"the way to node 3 is refused too:\n{one.log_tail()}")
        cases.wait_until(lambda: node.http("/readyz")[0] == 503 and node.socket.exists(), 20,
                         lambda: f"/readyz of who is refused: {node.http('/readyz')}")
        cases.expect_equal(cluster.status(node)["feature_level"], 1, "the level as far as it knows")
        cases.expect("event=foreign_level" not in node.log_text(), "it was sent what it must not hear")
        cases.expect_equal(node.terminate(), 0, "exit code of the stop")
        node.program = NEXT
        node.start()
        wait_level(cluster, 2)
        return f"equal replicas: {cluster.compare_replicas()}"


def raised_behind_the_back_of(cluster, number):
    """Starts the old build on a node and has the level raised before that build has told what it speaks."""
    asked, node = cluster.nodes[0], cluster.nodes[number - 1]

    def go_back():
        mark = len(asked.log_text())
        node.kill()
        node.program = OLD
        node.spawn()
        cases.wait_until(lambda: f"peer_accepted node=1 peer={number}" in asked.log_text()[mark:], 20,
                         lambda: f"it connects:\n{asked.log_tail()}", poll=0.005)

    def come_back():
        node.kill()
        node.program = NEXT
        node.start()

    raised_in_time(cluster, go_back, come_back, ["is not heard", "runs version"])


def no_group_waits_for_who_went_back_just_before(options):
    """It is connected when the level rises: it must end or not be heard, and keep no group from going on."""
    with cluster_module.Cluster(3, options, cluster_id="back") as cluster:
        for node in cluster.nodes:
            node.program = NEXT
        cluster.start()
        raised_behind_the_back_of(cluster, 3)
        node = cluster.nodes[2]
        words = REFUSED_PEER.format(3)
        cases.wait_until(lambda: node.process.poll() is not None or words in node.log_text(), 30,
                         lambda: f"it ends, or is refused:\n{node.log_tail()}")
        ended = node.process.poll()
        if ended is not None:
            cases.expect_equal(ended, 1, "exit code of who met the entry")
            cases.expect("event=foreign_level" in node.log_text(), node.log_tail())
        else:
            node.kill()
        node.program = NEXT
        node.start()
        wait_level(cluster, 2)
        return f"it {'ended' if ended is not None else 'was refused'}; equal replicas: {cluster.compare_replicas()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only")
    options = parser.parse_args()
    counter = cases.Cases(options.only)
    with sink_module.Sink(sink_module.SinkOptions(keep_content=False, defer_tries=1)) as sink:
        node_options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"}, in_doubt_wait="2s")
        with cluster_module.Cluster(3, node_options) as cluster:
            cluster.start()
            world = three_nodes.World(cluster, sink)
            counter.run("nodes of one build have nothing to raise", one_build_has_nothing_to_raise, world)
            counter.run("nodes are upgraded in turn, one goes back", nodes_are_upgraded_in_turn, world)
            counter.run("the level is raised under load", the_level_is_raised_under_load, world)
            counter.run("the old build does not start any more", the_old_build_does_not_start, world)
            counter.run("the new build comes back", the_new_build_comes_back, world)
            counter.run("the old build does not join", the_old_build_does_not_join, world)
            if counter.failed:
                for node in cluster.nodes:
                    print(f"--- {node.log}:\n{node.log_tail(15)}", flush=True)
        counter.run("who missed the raise gets nothing with the old build",
                    who_missed_the_raise_gets_nothing_with_the_old_build, node_options)
        counter.run("no group waits for who went back just before the raise",
                    no_group_waits_for_who_went_back_just_before, node_options)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
