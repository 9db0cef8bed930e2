"""Three (or more) real nodes on loopback, for the demo and for tests: harness.Node, several times.

with Cluster(3, harness.NodeOptions(routes=...)) as cluster:
    cluster.start()
    cluster.nodes[0].smtp_port ...
    cluster.nodes[1].kill()
"""

import dataclasses

import cases
import harness

FORM_SECONDS = 30.0
SPREAD_SECONDS = 90.0
QUEUE_GROUPS = 12


def host_name(number):
    """What node `number` says at EHLO."""
    return f"node{number}.test"


def direct(_number, _other, port):
    """Where node `number` reaches node `other`, which listens on `port`: there."""
    return port


def cluster_lines(number, ports, cluster_id, via):
    peers = "".join(f" peers {{ node_id: {other} address: \"127.0.0.1:{via(number, other, port)}\" }}"
                    for other, port in enumerate(ports, 1) if other != number)
    return (f"node_id: {number}\nhostname: \"{host_name(number)}\"\ncluster {{ address: \"127.0.0.1:{ports[number - 1]}\" "
            f"plain_text_on_loopback: true cluster_id: \"{cluster_id}\"{peers} }}\n")


class Cluster:
    """Nodes 1..count, each with its directory; nodes[i] has node_id i + 1. `via`: see direct() and proxy.py."""

    def __init__(self, count, options, cluster_id="trial", via=direct):
        ports = [harness.free_port() for _ in range(count)]
        self.nodes = [harness.Node(dataclasses.replace(
            options, node_extra=options.node_extra + cluster_lines(number, ports, cluster_id, via)))
            for number in range(1, count + 1)]

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        for node in self.nodes:
            node.__exit__(*reason)

    def start(self):
        """Starts all and waits until each accepts mail."""
        for node in self.nodes:
            node.spawn()
        for node in self.nodes:
            cases.wait_until(node.ready, FORM_SECONDS, lambda node=node: f"ready; last log lines:\n{node.log_tail()}",
                             poll=0.02)

    def running(self):
        return [node for node in self.nodes if node.process is not None and node.process.poll() is None]

    def status(self, node=None):
        """admin.ClusterStatusResponse as a dict, of one node's view."""
        return (node or self.running()[0]).cli_json("cluster", "status")

    def led(self, node=None):
        """{node id: queue groups it leads}, groups without a leader under 0."""
        counts = {}
        for group in self.status(node)["groups"]:
            if int(group.get("group", 0)) != 0:
                leader = int(group.get("leader_node_id", 0))
                counts[leader] = counts.get(leader, 0) + 1
        return counts

    def spread(self):
        """Every running node leads its even share, and somebody leads each group."""
        running = len(self.running())
        counts = self.led()
        return counts.get(0, 0) == 0 and len(counts) == running and \
            max(counts.values()) - min(counts.values()) <= 1

    def wait_spread(self, seconds=SPREAD_SECONDS):
        cases.wait_until(self.spread, seconds, lambda: f"leaders spread evenly: {self.led()}", poll=0.2)

    def all_led(self, node=None):
        return self.led(node).get(0, 0) == 0

    def queue_empty(self):
        """On every running node: all have applied the end of every message."""
        return all(node.queue_empty() for node in self.running())
