"""What `ops/dev chaos` does to nodes. Each fault is drawn from a seed, begins, lasts, and ends.

A fault harms one node, or one pair's link, so that with one at a time (two at a time among five nodes) a majority is
well. What it does is a function of the draw; only the moments depend on the machine.
"""

import dataclasses
import shutil
import signal
import subprocess
import threading

import cases

REJOIN_SECONDS = 150
CLI_SECONDS = 60
WORLD = 0  # Of links: everybody who is no node.


@dataclasses.dataclass(frozen=True)
class Draw:
    """Luck, drawn for every fault alike, so that the rest of a seed's run does not depend on who used how much."""

    kind: str
    victim: int  # Number of a node.
    other: int  # Another one.
    seconds: float
    luck: float  # 0 to 1.


class Fault:
    """begin(), then its seconds, then end(): afterwards the world must be able to heal."""

    seconds_min, seconds_max = 1.0, 6.0
    alone = False  # Not together with another one.

    def __init__(self, cluster, draw):
        self.cluster = cluster
        self.draw = draw
        self.node = cluster.node(draw.victim)

    def text(self):
        return f"{self.draw.kind} of node {self.draw.victim}"

    def harmed(self):
        """Nodes that need not take mail meanwhile."""
        return {self.draw.victim}

    def begin(self):
        raise NotImplementedError

    def end(self):
        pass

    def cli(self, by, *arguments, seconds=CLI_SECONDS):
        """Through node `by`; a refusal is an answer, for there may be no leader at this moment."""
        try:
            return self.cluster.node(by).cli(*arguments, check=False, timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise cases.CaseFailed(f"holdfast {' '.join(arguments)} did not end within {seconds} s") from error


class Kill(Fault):
    """kill -9; with some luck once more while it recovers."""

    seconds_min, seconds_max = 0.2, 8.0

    def begin(self):
        self.node.kill()

    def end(self):
        self.node.spawn()
        if self.draw.luck < 0.3:
            threading.Event().wait(self.draw.luck * 4)
            self.node.kill()
            self.node.spawn()


class Pause(Fault):
    seconds_max = 10.0

    def begin(self):
        self.node.process.send_signal(signal.SIGSTOP)

    def end(self):
        self.node.process.send_signal(signal.SIGCONT)


class LinkFault(Fault):
    seconds_min, seconds_max = 2.0, 12.0

    def others(self):
        return [number for number in self.cluster.numbers() if number != self.draw.victim]

    def end(self):
        self.cluster.links.heal()


class CutOff(LinkFault):
    """No peer hears it or is heard; the world does."""

    def begin(self):
        for number in self.others():
            self.cluster.links.block(number, self.draw.victim)
            self.cluster.links.block(self.draw.victim, number)


class CutOffFromAll(CutOff):
    """Its cable is out: no client and no receiving server either."""

    def begin(self):
        super().begin()
        self.cluster.links.block(WORLD, self.draw.victim)
        self.cluster.links.block(self.draw.victim, WORLD)


class Deaf(LinkFault):
    """One way: it hears no peer, and they hear it. With more luck the other way."""

    def text(self):
        return f"node {self.draw.victim} is {'deaf' if self.draw.luck < 0.5 else 'mute'}"

    def begin(self):
        for number in self.others():
            pair = (number, self.draw.victim) if self.draw.luck < 0.5 else (self.draw.victim, number)
            self.cluster.links.block(*pair)


class Bridge(LinkFault):
    """Two nodes don't reach each other; all others reach both. With more luck only one way."""

    def harmed(self):
        return {self.draw.victim, self.draw.other}

    def text(self):
        way = "<->" if self.draw.luck < 0.6 else "->"
        return f"bridge: cut {self.draw.victim} {way} {self.draw.other}"

    def begin(self):
        self.cluster.links.block(self.draw.victim, self.draw.other)
        if self.draw.luck < 0.6:
            self.cluster.links.block(self.draw.other, self.draw.victim)


class Loss(LinkFault):
    def percent(self):
        return 3 + int(self.draw.luck * 27)

    def text(self):
        return f"{self.percent()} % of the packets to node {self.draw.victim} are lost"

    def begin(self):
        self.cluster.links.loss(self.draw.victim, self.percent())


class SlowLink(LinkFault):
    def kilobits(self):
        return 256 + int(self.draw.luck * 4000)

    def text(self):
        return f"node {self.draw.victim} sends at {self.kilobits()} kbit/s"

    def begin(self):
        self.cluster.links.slow(self.draw.victim, self.kilobits())


class SlowDisk(Fault):
    seconds_min, seconds_max = 3.0, 12.0

    def delay(self):
        return 0.02 + self.draw.luck ** 3 * 1.5

    def text(self):
        return f"each sync of node {self.draw.victim} takes {self.delay():.2f} s longer"

    def begin(self):
        self.node.faults.slow_syncs(self.delay())

    def end(self):
        self.node.faults.slow_syncs(0)


class FullDisk(Fault):
    """Somebody fills the disk, to the last byte or up to the reserve."""

    seconds_min, seconds_max = 2.0, 8.0

    def begin(self):
        leave = 0 if self.draw.luck < 0.5 else 8 << 20
        facts = shutil.disk_usage(self.node.data)
        self.node.expected_end = True  # It may start itself anew, which keeps its process id; see end().
        try:
            with open(self.node.data / "filler", "wb") as filler:
                chunk = bytes(1 << 20)
                for _ in range(max(0, facts.free - leave) // len(chunk)):
                    filler.write(chunk)
                if leave == 0:
                    while True:
                        filler.write(bytes(4096))
                        filler.flush()
        except OSError:
            pass  # Full.

    def end(self):
        (self.node.data / "filler").unlink(missing_ok=True)
        self.node.expected_end = False


class Clock(Fault):
    seconds_min, seconds_max = 3.0, 12.0

    def jump(self):
        size = 2 + abs(self.draw.luck - 0.5) * 2 * 120
        return size if self.draw.luck < 0.5 else -size

    def text(self):
        return f"the clock of node {self.draw.victim} jumps by {self.jump():+.0f} s"

    def begin(self):
        self.node.faults.jump(self.jump())

    def end(self):
        self.node.faults.jump(0)


class Wipe(Fault):
    """The disk is lost with all its contents; a new node takes the place."""

    alone = True
    seconds_min, seconds_max = 0.5, 3.0

    def text(self):
        return f"wiped disk of node {self.draw.victim}, replaced by node {max(self.cluster.by_number) + 1}"

    def begin(self):
        self.node.kill()
        for path in self.node.data.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def end(self):
        join(self, self.draw.other, self.draw.victim)
        self.cluster.leave(self.draw.victim)


class JoinAndRemove(Fault):
    """A node joins, then one that may be another leaves: as many as before."""

    alone = True
    seconds_min, seconds_max = 0.5, 3.0

    def text(self):
        return f"node {max(self.cluster.by_number) + 1} joins, then node {self.draw.victim} leaves"

    def begin(self):
        join(self, self.draw.victim if self.draw.luck < 0.5 else self.draw.other, 0)

    def end(self):
        def gone():
            done = self.cli(self.draw.other, "cluster", "remove", "--node", str(self.draw.victim), "--reason", "chaos",
                            "--timeout", "60", seconds=90)
            return "is in no group any more" in done.stdout or "no member" in done.stderr
        cases.wait_until(gone, REJOIN_SECONDS, lambda: f"node {self.draw.victim} leaves", poll=1.0)
        self.node.terminate(60)
        self.cluster.leave(self.draw.victim)


def join(fault, by, replaces):
    cluster = fault.cluster
    number = max(cluster.by_number) + 1
    node = cluster.add(number)
    node.spawn()
    said = []

    def joined():
        done = fault.cli(by, "cluster", "join", "--node", str(number), "--address", cluster.address(number), "--reason",
                         "chaos", "--timeout", "60", *(["--replaces", str(replaces)] if replaces else []), seconds=90)
        said.append(done.stdout + done.stderr)
        return "is a voter of all" in done.stdout or "member already" in done.stderr
    cases.wait_until(joined, REJOIN_SECONDS, lambda: f"node {number} joins: {said[-1]}", poll=1.0)


class Restart(Fault):
    """A graceful stop, and again."""

    seconds_min, seconds_max = 0.1, 2.0

    def begin(self):
        code = self.node.terminate(60)
        cases.expect_equal(code, 0, f"exit code of node {self.draw.victim}'s graceful stop")

    def end(self):
        self.node.spawn()


class RollingRestart(Fault):
    alone = True
    seconds_min, seconds_max = 0.1, 0.5

    def text(self):
        return "rolling restart of all nodes"

    def begin(self):
        for number in self.cluster.numbers():
            node = self.cluster.node(number)
            cases.expect_equal(node.terminate(60), 0, f"exit code of node {number}'s graceful stop")
            node.spawn()
            cases.wait_until(node.accepts, 60, lambda node=node: f"ready:\n{node.log_tail()}")


class Transfer(Fault):
    """Some groups are handed over at once."""

    seconds_min, seconds_max = 0.1, 1.0

    def text(self):
        return f"transfers of groups to node {self.draw.other}"

    def begin(self):
        for step in range(1 + int(self.draw.luck * 4)):
            group = (int(self.draw.luck * 1000) + step) % 13
            self.cli(self.draw.victim, "cluster", "transfer", "--group", str(group), "--to", str(self.draw.other))


class Drain(Fault):
    seconds_min, seconds_max = 0.5, 5.0

    def begin(self):
        self.cli(self.draw.victim, "node", "drain", "--deadline", "10")

    def end(self):
        def back():
            return self.cli(self.draw.victim, "node", "undrain").returncode == 0
        cases.wait_until(back, 30, lambda: f"node {self.draw.victim} takes mail again", poll=0.5)


# Kind -> (class, weight, what it needs: "" or "lossy", "shim", "small", "world").
KINDS = {
    "kill -9": (Kill, 5, ""),
    "SIGSTOP": (Pause, 3, ""),
    "partition": (CutOff, 3, ""),
    "cable": (CutOffFromAll, 2, "lossy"),
    "one-way partition": (Deaf, 3, ""),
    "bridge": (Bridge, 2, ""),
    "packet loss": (Loss, 2, "lossy"),
    "slow link": (SlowLink, 1, "lossy"),
    "slow disk": (SlowDisk, 2, "shim"),
    "full disk": (FullDisk, 2, "small"),
    "clock jump": (Clock, 2, "shim"),
    "wiped disk": (Wipe, 1, ""),
    "join and remove": (JoinAndRemove, 1, ""),
    "SIGTERM": (Restart, 2, ""),
    "rolling restart": (RollingRestart, 1, ""),
    "transfer": (Transfer, 2, ""),
    "drain": (Drain, 2, ""),
}


def possible_kinds(cluster, only=()):
    """(kinds that this machine can do, why others can't be)."""
    have = {"": True, "lossy": cluster.links.can_lose, "shim": cluster.shim is not None,
            "small": cluster.in_namespaces}
    kinds = [kind for kind, (_, _, need) in KINDS.items() if have[need] and (not only or kind in only)]
    left_out = [kind for kind, (_, _, need) in KINDS.items() if not have[need]]
    return kinds, left_out


def draw_faults(luck, cluster, kinds):
    """[Fault] for the next moment: one, or two that harm different nodes among five."""
    numbers = cluster.numbers()
    weights = [KINDS[kind][1] for kind in kinds]
    draws = []
    victims = luck.sample(range(len(numbers)), len(numbers))
    for place in range(2):
        kind = luck.choices(kinds, weights)[0]
        part, chance = luck.random(), luck.random()
        limits = KINDS[kind][0]
        seconds = limits.seconds_min + part * (limits.seconds_max - limits.seconds_min)
        draws.append(Draw(kind, numbers[victims[place]], numbers[victims[2]], seconds, chance))
    two = luck.random() < 0.5 and len(numbers) >= 5
    first, second = (KINDS[draw.kind][0] for draw in draws)
    links = issubclass(first, LinkFault) + issubclass(second, LinkFault)
    if not two or first.alone or second.alone or links == 2:
        draws = draws[:1]
    for place, draw in enumerate(draws):
        # Not every disk can be filled.
        if draw.kind == "full disk" and draw.victim not in cluster.small_disks:
            taken = {draw.other, *(other.victim for other in draws)}
            small = [number for number in numbers if number in cluster.small_disks and number not in taken]
            draws[place] = dataclasses.replace(draw, victim=small[0]) if small else \
                dataclasses.replace(draw, kind="SIGSTOP")
    return [KINDS[draw.kind][0](cluster, draw) for draw in draws]
