"""A network of its own for each node, inside one for the test: real IP, cut and spoilt by the kernel.

Network namespaces of Linux, joined by a bridge. All of it, mounts too, belongs to the process that entered and to
its children: nothing of the machine changes, and nothing stays when they have ended, however they ended.

    why = netns.impossible()        # "" if it can be done here
    netns.enter(sys.argv)           # starts it anew, inside: netns.inside()
    with netns.Links() as links:
        host = links.host(1)        # .address, .enter: what a command line begins with to run there
        links.block(1, 2)           # 2 no longer hears 1
        links.loss(3, 20)           # percent of what others send to 3
        links.heal()

Linux can lose packets here (nft) and limit a link's speed (tbf); it has no `netem` in many small machines, so there is
no plain delay: a slow link delays by its queue.
"""

import dataclasses
import os
import shutil
import subprocess
import sys

import cases

INSIDE = "HOLDFAST_INSIDE"
HUB = "10.231.0.254"
TOOLS = ("unshare", "nsenter", "ip", "nft", "tc", "mount")
HOSTS_MAX = 200
TBF = ("tbf", "burst", "16k", "latency", "800ms", "rate")


def _unshare():
    # Who isn't root becomes it in a user namespace.
    return ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--net", "--mount"]


def _run(*command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def _must(*command, text=None):
    run = _run(*command, text=text)
    if run.returncode != 0:
        raise cases.CaseFailed(f"{' '.join(command)}: {run.stderr.strip()}")


def impossible():
    """Why it can't be done here; "" if it can."""
    missing = [tool for tool in TOOLS if shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    probe = ("ip link set lo up && ip link add b0 type bridge && ip link add v0 type veth peer name v1 && "
             "nft add table inet t && nft 'add chain inet t c { type filter hook input priority 0; }' && "
             "nft 'add rule inet t c numgen random mod 100 < 5 drop' && "
             "tc qdisc add dev v0 root tbf burst 16k latency 100ms rate 1mbit && mount -t tmpfs tmpfs /mnt")
    run = _run(*_unshare(), "sh", "-c", probe)
    return "" if run.returncode == 0 else run.stderr.strip().splitlines()[-1] if run.stderr.strip() else "not permitted"


def inside():
    return os.environ.get(INSIDE) == "1"


def enter(arguments):
    """Replaces this process by `python3 ARGUMENTS` in namespaces of its own."""
    os.environ[INSIDE] = "1"
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    sys.stdout.flush()
    command = [*_unshare(), sys.executable, *arguments]
    os.execvp(command[0], command)


@dataclasses.dataclass(frozen=True)
class Host:
    number: int
    address: str
    enter: tuple
    holder: subprocess.Popen


class Links:
    """The bridge and the hosts on it. From one thread."""

    can_lose = True
    hub = HUB

    def __init__(self):
        self._hosts = {}
        self._blocked = set()  # (from, to); 0 is everybody who is no node.
        self._loss = {}  # To -> percent.
        self._slow = set()

    def __enter__(self):
        _must("ip", "link", "set", "lo", "up")
        _must("ip", "link", "add", "hub", "type", "bridge")
        _must("ip", "addr", "add", f"{HUB}/24", "dev", "hub")
        _must("ip", "link", "set", "hub", "up")
        return self

    def __exit__(self, *_):
        for host in self._hosts.values():
            host.holder.kill()
            host.holder.wait()

    def host(self, number):
        """That of node `number`, made when it is asked for first."""
        if number not in self._hosts:
            self._hosts[number] = self._make(number)
        return self._hosts[number]

    def _make(self, number):
        cases.expect(0 < number < HOSTS_MAX, f"no room for host {number}")
        # It holds the namespace while the node's process comes and goes; it ends with its standard input.
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo held && read line"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        cases.expect_equal(holder.stdout.readline(), "held\n", "a network namespace")
        pid, address = str(holder.pid), f"10.231.0.{number}"
        _must("ip", "link", "add", f"n{number}", "type", "veth", "peer", "name", "eth0", "netns", pid)
        _must("ip", "link", "set", f"n{number}", "master", "hub", "up")
        there = ("nsenter", "--net", "-t", pid)
        for command in (("addr", "add", f"{address}/24", "dev", "eth0"), ("link", "set", "eth0", "up"),
                        ("link", "set", "lo", "up")):
            _must(*there, "ip", *command)
        _must(*there, "nft", "-f", "-", text="table inet faults { chain in { type filter hook input priority 0; }\n}\n")
        return Host(number, address, there, holder)

    def block(self, sender, receiver):
        """Nothing that `sender` sends reaches `receiver`. 0: everybody who is no node."""
        self._blocked.add((sender, receiver))
        self._write(receiver or sender)

    def loss(self, number, percent):
        """Of what other nodes and the world send to it."""
        self._loss[number] = percent
        self._write(number)

    def slow(self, number, kilobits):
        """What the node sends goes out no faster."""
        self._slow.add(number)
        _must(*self.host(number).enter, "tc", "qdisc", "replace", "dev", "eth0", "root", *TBF, f"{kilobits}kbit")

    def heal(self):
        touched = {end for pair in self._blocked for end in pair} | set(self._loss)
        self._blocked.clear()
        self._loss.clear()
        for number in touched - {0}:
            self._write(number)
        for number in self._slow:
            _must(*self.host(number).enter, "tc", "qdisc", "del", "dev", "eth0", "root")
        self._slow.clear()

    def _write(self, number):
        lines = ["flush ruleset", "table inet faults {", "chain in { type filter hook input priority 0;"]
        out = ["chain out { type filter hook output priority 0;"]
        for sender, receiver in sorted(self._blocked):
            if receiver == number:
                lines.append(f"ip saddr {self._address(sender)} drop")
            elif sender == number and receiver == 0:
                out.append(f"ip daddr {HUB} drop")
        if number in self._loss:
            lines.append(f"numgen random mod 100 < {self._loss[number]} drop")
        _must(*self.host(number).enter, "nft", "-f", "-", text="\n".join([*lines, "}", *out, "}", "}", ""]))

    def _address(self, number):
        return HUB if number == 0 else self.host(number).address
