"""A node's directory goes back to an earlier copy: it is found out by its peers before it votes, and stays out.

  tests/cluster/amnesia.py [--only NAME]
"""

import argparse
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent.parent.parent / "ops" / "lib"))
sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent))

import cases  # noqa: E402
import cluster as cluster_module  # noqa: E402
import harness  # noqa: E402
import sink as sink_module  # noqa: E402
from three_nodes import Loads, World  # noqa: E402

EXIT_SECONDS = 60


def accept_some(world, prefix, nodes, count=30):
    loads = Loads(prefix, nodes, messages_max=count)
    loads.wait_for(count)
    loads.stop()
    return world.settle(loads.acknowledged(), prefix)


def refuses_with(node, words):
    node.spawn()
    code = node.wait(EXIT_SECONDS)
    said = node.log_tail(6)
    cases.expect_equal(code, 1, f"exit code; it said: {said}")
    for word in words:
        cases.expect(word in said, f"'{word}' in: {said}")
    return said


def a_plain_restart_is_welcome(world):
    node = world.node(2)
    cases.expect_equal(node.terminate(), 0, "exit code of the stop")
    accept_some(world, "away", [world.node(1), world.node(3)])
    node.spawn()
    cases.wait_until(node.ready, 30, lambda: f"ready again:\n{node.log_tail()}")
    return "ready"


def an_old_copy_is_found_out(world):
    node = world.node(2)
    cases.expect_equal(node.terminate(), 0, "exit code of the stop")
    kept = node.directory / "kept"
    shutil.copytree(node.data, kept)
    node.spawn()
    cases.wait_until(node.ready, 30, lambda: f"ready again:\n{node.log_tail()}")
    accept_some(world, "forgotten", world.cluster.nodes)
    cases.expect_equal(node.terminate(), 0, "exit code of the stop")
    shutil.rmtree(node.data)
    shutil.move(kept, node.data)
    refuses_with(node, ["event=amnesia", "has lost what the node promised", "group ", "cluster join --replaces"])
    result = accept_some(world, "others", [world.node(1), world.node(3)])
    cases.expect_equal(result.duplicates, 0, "duplicates")
    return "exit 1"


def it_stays_out_when_the_others_have_forgotten(world):
    """What peers remember is in their memory: a finding must not depend on it twice."""
    for number in (1, 3):
        cases.expect_equal(world.node(number).terminate(), 0, "exit code of the stop")
        world.node(number).spawn()
        cases.wait_until(world.node(number).ready, 30, lambda: "ready after the restart")
    refuses_with(world.node(2), ["has lost what the node promised", "cluster join --replaces"])
    return "exit 1"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only")
    counter = cases.Cases(parser.parse_args().only)
    with sink_module.Sink(sink_module.SinkOptions(keep_content=False)) as sink:
        node_options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"}, in_doubt_wait="2s")
        with cluster_module.Cluster(3, node_options) as cluster:
            cluster.start()
            world = World(cluster, sink)
            cluster.wait_spread()
            counter.run("a plain restart is welcome", a_plain_restart_is_welcome, world)
            counter.run("an old copy is found out", an_old_copy_is_found_out, world)
            counter.run("it stays out when the others have forgotten",
                        it_stays_out_when_the_others_have_forgotten, world)
            if counter.failed:
                for node in cluster.nodes:
                    print(f"--- {node.log}:\n{node.log_tail(15)}", flush=True)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
