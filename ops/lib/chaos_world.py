"""What `ops/dev chaos` has under its hands: nodes, links between them, a sink, loads, and what each node was done to.

Two kinds of network: each node in a namespace of its own, with TLS between them (netns.py), or all on loopback with a
proxy for each pair (proxy.py), where namespaces are not permitted; then packets are not lost and disks not filled.
"""

import dataclasses
import itertools
import mmap
import pathlib
import struct
import subprocess
import threading
import time

import account
import cases
import cluster as cluster_module
import harness
import holdfast_bench
import netns
import proxy

CLUSTER_ID = "chaos"
TRANSPORT_PORT = 7026
SMALL_DISK_BYTES = 1 << 30
SEGMENT = "8s"  # Of a load; members change between two.
TOOL_SECONDS = 90
LOAD_SECONDS = 150  # Until the end of a load that was to end after SEGMENT.


def find_shim():
    """Path of fault_shim.so; None when it is not built."""
    try:
        return harness.find_binary("ops/chaos/fault_shim.so")
    except FileNotFoundError:
        return None


class Faults:
    """The file that a preloaded fault_shim.so maps: a jump of the wall clock, and slow syncs."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(16))
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 16)
        self.jumps = [(0.0, 0.0)]  # (since when by our clock, seconds).

    def jump(self, seconds):
        struct.pack_into("q", self._map, 0, int(seconds * 1e9))
        self.jumps.append((time.time(), seconds))

    def slow_syncs(self, seconds):
        struct.pack_into("q", self._map, 8, int(seconds * 1e6))

    def true_time(self, seen):
        """Seconds since 1970 of what the node's wall clock called `seen`."""
        candidates = []
        for (since, jump), (until, _) in itertools.zip_longest(self.jumps, self.jumps[1:], fillvalue=(float("inf"), 0)):
            if since - 1.0 <= seen - jump <= until + 1.0:
                candidates.append(seen - jump)
        return min(candidates, default=seen)


class Node(harness.Node):
    """faults: what its shim is told. None without the shim."""

    def __init__(self, options, shim):
        self.faults = None
        super().__init__(options)
        if shim is not None:
            self.faults = Faults(self.directory / "faults")
            self.options = dataclasses.replace(options, environment={
                "LD_PRELOAD": shim, "HOLDFAST_FAULTS": str(self.faults.path)})
        self.expected_end = False  # Whoever ends the process says so, for any other end is a fault.

    def spawn(self, *arguments):
        super().spawn(*arguments)
        self.expected_end = False

    def kill(self):
        self.expected_end = True
        super().kill()

    def terminate(self, seconds=harness.STOP_SECONDS):
        self.expected_end = True
        return super().terminate(seconds)

    def ended_by_itself(self):
        return self.process is not None and self.process.poll() is not None and not self.expected_end

    @property
    def target(self):
        return f"{self.options.address}:{self.smtp_port}"

    def accepts(self):
        """Ready, and not an error if it has ended."""
        return self.process.poll() is None and self.http("/readyz")[0] == 200 and self.socket.exists()


class Cluster(cluster_module.Cluster):
    """Numbers of nodes are never used twice: by_number[n] is the newest of all and may be gone from the cluster."""

    def __init__(self, count, options, links, directory):
        self.links = links
        self.directory = directory
        self.by_number = {}
        self.small_disks = set()
        self.former = []  # Nodes that have left, with their logs.
        self.shim = find_shim()
        self.in_namespaces = isinstance(links, netns.Links)
        if self.in_namespaces:
            self._make_authority()
        super().__init__(count, options, CLUSTER_ID, cluster_module.direct if self.in_namespaces else links.via)
        if self.in_namespaces:
            self.ports = {number: TRANSPORT_PORT for number in self.ports}

    def _make(self, number, join):
        if not self.in_namespaces:
            return self._keep(number, super()._make(number, join))
        host = self.links.host(number)
        known = self.known_to_joiner() if join else tuple(self.ports)
        options = dataclasses.replace(self.options, address=host.address, enter=host.enter,
                                      node_extra=self.options.node_extra + self._lines(number, known, join))
        return self._keep(number, Node(options, self.shim))

    def known_to_joiner(self):
        """The members of the moment: after some faults none of the first nodes is left."""
        return tuple(self.numbers())

    def make_node(self, options):
        return Node(options, self.shim)

    def _keep(self, number, node):
        self.by_number[number] = node
        # Every other node has a disk that can be filled.
        if self.in_namespaces and number % 2 == 1:
            node.data.mkdir(mode=0o700)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES},mode=700", "tmpfs", str(node.data)],
                           check=True)
            self.small_disks.add(number)
        return node

    def _make_authority(self):
        self.cert("ca", "--out", str(self.directory / "ca"), "--cluster-id", CLUSTER_ID)

    @staticmethod
    def cert(*arguments):
        subprocess.run([harness.find_binary("ops/cli/holdfast"), "cert", *arguments], check=True, capture_output=True)

    def _lines(self, number, known, join):
        place, name = self.directory / f"tls{number}", f"node{number}"
        self.cert("node", "--ca", str(self.directory / "ca"), "--node", str(number), "--host",
                  self.links.host(number).address, "--out", str(place))
        peers = "".join(f" peers {{ node_id: {other} address: \"{self.address(other)}\" }}"
                        for other in known if other != number)
        return (f"node_id: {number}\nhostname: \"{cluster_module.host_name(number)}\"\ncluster {{ address: "
                f"\"{self.address(number)}\" tls {{ certificate_file: \"{place}/{name}.pem\" key_file: "
                f"\"{place}/{name}.key\" authority_file: \"{place}/ca.pem\" }}{peers}"
                f"{' join: true' if join else ''} }}\n")

    def address(self, number):
        """Of its transport."""
        if self.in_namespaces:
            return f"{self.links.host(number).address}:{TRANSPORT_PORT}"
        return f"127.0.0.1:{self.ports[number]}"

    def numbers(self):
        """Of the nodes that belong to the cluster, as far as we wished it so."""
        return sorted(number for number, node in self.by_number.items() if node in self.nodes)

    def node(self, number):
        return self.by_number[number]

    def leave(self, number):
        """It belongs to the cluster no more."""
        node = self.by_number[number]
        self.nodes.remove(node)
        self.former.append(node)

    def __exit__(self, *reason):
        for node in self.nodes + self.former:
            node.__exit__(*reason)


@dataclasses.dataclass
class Accepted:
    """What loads from tools were acknowledged."""

    entries: list = dataclasses.field(default_factory=list)
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def add(self, entries):
        with self.lock:
            self.entries.extend(entries)


class Loads:
    """holdfast-bench through all nodes in two lanes that relieve each other, and public tools beside it."""

    def __init__(self, targets, directory, rate, tools):
        self._targets = targets  # Called for the members now: ["host:port"].
        self._directory = directory
        self._rate = rate
        self._stop = threading.Event()
        self._numbers = itertools.count(1)
        self.records = []
        self.reports = []
        self.failures = []
        self.accepted = Accepted()
        self.tools = {tool: 0 for tool in tools}
        lanes = [(self._bench_lane,), (self._bench_lane,)] + [(self._tool_lane, tool) for tool in tools]
        self._threads = [threading.Thread(target=self._guarded, args=lane, daemon=True) for lane in lanes]

    def start(self):
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(180)
            cases.expect(not thread.is_alive(), "a load did not end within 180 s")

    def _guarded(self, lane, *arguments):
        try:
            while not self._stop.is_set():
                lane(next(self._numbers), *arguments)
        except Exception as error:  # Told by the main thread: a load that ended tests nothing.
            self.failures.append(repr(error))

    def _bench_lane(self, number):
        record = self._directory / f"load-{number}.txt"
        self.records.append(record)
        targets = [word for target in self._targets() for word in ("--to", target)]
        done = holdfast_bench.run("load", *targets, "--record", str(record), "--quiet", "--output", "json", "--duration",
                                  SEGMENT, "--rate", str(self._rate / 2), "--connections", "6", "--size", "1k-60k",
                                  "--tries", "20", "--patience", "20s", "--recipients", "2",
                                  "--messages-per-connection", "15", "--domain", "one.test", "--domain", "two.test",
                                  "--domain", "three.test", "--domain", "four.test", seconds=LOAD_SECONDS)
        if done.returncode not in (0, 1):  # 1: nothing was accepted, which a bad moment explains.
            raise cases.CaseFailed(f"holdfast-bench load ended with {done.returncode}: {done.stderr}{done.stdout}")

    def _tool_lane(self, number, tool):
        targets = self._targets()
        target = targets[number % len(targets)]
        entries = _swaks(target, number) if tool == "swaks" else _smtp_source(self._directory, target, number)
        self.accepted.add(entries)
        self.tools[tool] += len(entries)
        self._stop.wait(0.3)


def _ended_well(command):
    try:
        return subprocess.run(command, capture_output=True, timeout=TOOL_SECONDS, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _swaks(target, number):
    identity, recipient = f"swaks-{number}", f"user{number}@swaks.test"
    command = ["swaks", "--server", target, "--helo", "client.test", "--from", "sender@back.test", "--to", recipient,
               "--header", f"{account.ID_FIELD}: {identity}", "--header", f"Message-Id: <{identity}@swaks.test>",
               "--body", f"Message {identity}.", "--timeout", "30s", "--silent", "3"]
    return [account.Acknowledged(identity, "sender@back.test", recipient)] if _ended_well(command) else []


def _smtp_source(directory, target, number, count=10):
    """All its messages were acknowledged when it ends with 0; otherwise nobody knows which, and none counts."""
    identity = f"source-{number}"
    content = directory / f"{identity}.eml"
    content.write_text(f"{account.ID_FIELD}: {identity}\nMessage-ID: <{identity}@source.test>\nSubject: {identity}\n"
                       "From: <sender@back.test>\n\nOne of several.\n.\nWith a dot.\n")
    command = ["smtp-source", "-N", "-s", "2", "-m", str(count), "-f", "sender@back.test", "-M", "client.test", "-F",
               str(content), "-t", f"u{number}@source.test", f"inet:{target}"]
    done = _ended_well(command)
    content.unlink()
    return [account.Acknowledged(identity, "sender@back.test", f"{place}u{number}@source.test")
            for place in range(1, count + 1)] if done else []


def read_records(paths):
    """(acknowledged, copies, notices) for account.account(), from holdfast-bench's records."""
    acknowledged, copies, notices = [], [], []
    for path in paths:
        if not pathlib.Path(path).exists():
            continue
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("#") or not line.endswith("\n"):
                    continue
                fields = [("" if field == "-" else field) for field in line.rstrip("\n").split("\t")]
                if fields[0] == "offer" and fields[7] == "accepted":
                    acknowledged.append(account.Acknowledged(fields[1], "", fields[2], fields[8]))
                elif fields[0] == "copy" and fields[5] == "accepted":
                    copies.append(account.Copy(fields[1], fields[2], int(fields[3]) / 1e6, fields[6]))
                elif fields[0] == "notice":
                    notices.append(account.Notice(fields[1], fields[2], fields[5], fields[6], fields[7]))
    return acknowledged, copies, notices


def make_links():
    """Namespaces if we are inside of some, proxies otherwise."""
    return netns.Links() if netns.inside() else proxy.Network()
