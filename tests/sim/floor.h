// tests/sim/floor.h
// A floor of the simulation: what runs from one seed, and how to say so again. The program
// (raft_sim.cc) knows floors only by this.
// Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace holdfast::raft_test {

// How a seed is to be run. 0: the floor's own default.
struct FloorArguments {
  uint64_t seed = 1;
  int steps = 0;     // core
  int nodes = 0;     // all
  int voters = 0;    // core
  int seconds = 0;   // host, node
  int members = -1;  // host, node: 1 change, 0 stay; the seed decides otherwise
  int aim = -1;      // host: 1 faults that aim at one rule, 0 none; the seed decides otherwise
  int mutation = 0;
  bool trace = false;  // host, node
};

struct FloorOutcome {
  std::string error;  // Empty: all checks held.
  uint64_t hash = 0;
  std::string tally;             // What happened, in words.
  double simulated_seconds = 0;  // 0: the floor does not count them.
};

struct Floor {
  std::string name;
  // In this process: a broken invariant of the product ends it.
  std::function<FloorOutcome(const FloorArguments&)> run;
  // The arguments that make the same run again.
  std::function<std::string(const FloorArguments&)> replay;
};

Floor CoreFloor();
Floor HostFloor();
Floor NodeFloor();

}  // namespace holdfast::raft_test
