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
# Groups stay away from a node that was overloaded for a moment (a busy machine is enough) until it was calm for a minute,
# and no group moves twice in a minute.
SPREAD_SECONDS = 180.0
COMPARE_SECONDS = 60.0
QUEUE_GROUPS = 12


def host_name(number):
    """What node `number` says at EHLO."""
    return f"node{number}.test"


def direct(_number, _other, port):
    """Where node `number` reaches node `other`, which listens on `port`: there."""
    return port


def cluster_lines(number, port, peers, cluster_id, join=False):
    """`peers`: {node id: port} of the others."""
    text = "".join(f" peers {{ node_id: {other} address: \"127.0.0.1:{peer}\" }}" for other, peer in peers.items())
    return (f"node_id: {number}\nhostname: \"{host_name(number)}\"\ncluster {{ address: \"127.0.0.1:{port}\" "
            f"plain_text_on_loopback: true cluster_id: \"{cluster_id}\"{text}{' join: true' if join else ''} }}\n")


class Cluster:
    """Nodes 1..count, each with its directory; nodes[i] has node_id i + 1. `via`: see direct() and proxy.py."""

    def __init__(self, count, options, cluster_id="trial", via=direct):
        self.options = options
        self.cluster_id = cluster_id
        self.via = via
        self.ports = {number: harness.free_port() for number in range(1, count + 1)}
        self.first = tuple(self.ports)
        self.nodes = [self._make(number, join=False) for number in range(1, count + 1)]

    def _make(self, number, join):
        # Who joins is told of later nodes by those that its file names.
        known = self.known_to_joiner() if join else self.ports
        others = {other: self.via(number, other, self.ports[other]) for other in known if other != number}
        extra = cluster_lines(number, self.ports[number], others, self.cluster_id, join)
        return self.make_node(dataclasses.replace(self.options, node_extra=self.options.node_extra + extra))

    def known_to_joiner(self):
        """The nodes that the node file of one who joins names."""
        return self.first

    def make_node(self, options):
        return harness.Node(options)

    def add(self, number):
        """A node that wants to join: not started, and not announced to the others."""
        self.ports[number] = harness.free_port()
        node = self._make(number, join=True)
        self.nodes.append(node)
        return node

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

    def transfer(self, group, number, seconds=30):
        """The node leads the group: it is asked for again while the group has no leader or can't be handed over."""
        node, tries = self.nodes[number - 1], []

        def moved():
            tries.append(node.cli("cluster", "transfer", "--group", str(group), "--to", str(number), check=False))
            return tries[-1].returncode == 0

        cases.wait_until(moved, seconds, lambda: f"node {number} leads group {group}: {tries[-1].stderr}", poll=0.1)

    def members(self, node=None):
        """{node id: groups in which it votes}, the control group among them; learners under their negative id."""
        counts = {}
        for group in self.status(node)["groups"]:
            for member in group.get("members", []):
                number = int(member["node_id"]) * (-1 if member.get("learner") else 1)
                counts[number] = counts.get(number, 0) + 1
        return counts

    def all_led(self, node=None):
        return self.led(node).get(0, 0) == 0

    def queue_empty(self):
        """On every running node: all have applied the end of every message."""
        return all(node.queue_empty() for node in self.running())

    def compare_replicas(self):
        """Of each group all replicas, as soon as they have applied as much."""
        equal = {}  # Group -> rows.

        def all_compared():
            by_group = {}
            for node in self.nodes:
                for group in node.cli_json("cluster", "status", "--checksums")["groups"]:
                    mark = int(group.get("applied_index", 0)), int(group.get("applied_term", 0))
                    by_group.setdefault(int(group.get("group", 0)), []).append(
                        (mark, int(group.get("rows", 0)), group["checksum"]))
            for group, replicas in by_group.items():
                marks = {mark for mark, _, _ in replicas}
                cases.expect(len(set(replicas)) == len(marks),
                             f"group {group}: replicas that have applied as much differ: {replicas}")
                if len(marks) == 1 and len(replicas) == len(self.nodes):
                    equal[group] = replicas[0][1]
            return len(equal) == QUEUE_GROUPS + 1
        cases.wait_until(all_compared, COMPARE_SECONDS, lambda: f"all groups at rest; compared: {sorted(equal)}",
                         poll=0.5)
        return f"{len(equal)} groups, {sum(equal.values())} rows"
