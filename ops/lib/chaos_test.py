"""Tests of what chaos draws, and of how it sets stamps of a clock that jumped right."""

import pathlib
import random
import sys
import tempfile

import cases
import chaos_faults
import chaos_world
from cases import expect, expect_equal


class FakeCluster:
    """Five nodes, of which the odd ones have small disks."""

    class links:
        can_lose = True

    shim = "fault_shim.so"
    in_namespaces = True
    small_disks = {1, 3, 5}

    def __init__(self, count=5):
        self.by_number = {number: None for number in range(1, count + 1)}

    def numbers(self):
        return sorted(self.by_number)

    def node(self, number):
        return self.by_number[number]


def draws_of(seed, cluster, count=200):
    luck = random.Random(seed)
    kinds, _ = chaos_faults.possible_kinds(cluster)
    return [[fault.draw for fault in chaos_faults.draw_faults(luck, cluster, kinds)] for _ in range(count)]


def a_seed_draws_the_same_again():
    expect_equal(draws_of(7, FakeCluster()), draws_of(7, FakeCluster()), "draws of one seed")
    expect(draws_of(7, FakeCluster()) != draws_of(8, FakeCluster()), "two seeds drew the same")
    kinds = {draw.kind for moment in draws_of(7, FakeCluster(), 1000) for draw in moment}
    expect_equal(kinds, set(chaos_faults.KINDS), "kinds drawn")


def at_most_a_minority_is_harmed():
    for count, most in ((3, 1), (5, 2)):
        for moment in draws_of(3, FakeCluster(count), 500):
            victims = {draw.victim for draw in moment}
            expect(len(moment) == len(victims) <= most, f"{count} nodes: {moment}")
            expect(all(draw.other not in victims for draw in moment), f"who helps is harmed: {moment}")
            alone = [draw for draw in moment if chaos_faults.KINDS[draw.kind][0].alone]
            expect(not alone or len(moment) == 1, f"not alone: {moment}")
            expect(all(draw.victim in FakeCluster.small_disks for draw in moment if draw.kind == "full disk"),
                   f"a large disk is filled: {moment}")


def what_a_machine_cannot_do_is_left_out():
    cluster = FakeCluster()
    cluster.shim, cluster.in_namespaces = None, False
    kinds, left_out = chaos_faults.possible_kinds(cluster)
    expect_equal(left_out, ["slow disk", "full disk", "clock jump"], "left out")
    expect(not set(kinds) & set(left_out), "both possible and left out")


def a_jumped_stamp_is_set_right():
    with tempfile.TemporaryDirectory() as directory:
        faults = chaos_world.Faults(pathlib.Path(directory) / "faults")
        faults.jumps = [(0.0, 0.0), (100.0, 60.0), (200.0, 0.0)]
        expect_equal(faults.true_time(50.0), 50.0, "before")
        expect_equal(faults.true_time(210.0), 150.0, "a stamp from within the jump")
        expect_equal(faults.true_time(300.0), 300.0, "afterwards")
        faults.jump(-2.5)
        expect_equal((pathlib.Path(directory) / "faults").read_bytes()[:8],
                     (-2_500_000_000).to_bytes(8, sys.byteorder, signed=True), "what the shim reads")


def main():
    counter = cases.Cases()
    counter.run("a seed draws the same again", a_seed_draws_the_same_again)
    counter.run("at most a minority is harmed", at_most_a_minority_is_harmed)
    counter.run("what a machine can't do is left out", what_a_machine_cannot_do_is_left_out)
    counter.run("a jumped stamp is set right", a_jumped_stamp_is_set_right)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
