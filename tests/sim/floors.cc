#include "base/text.h"
#include "tests/raft/group_sim.h"
#include "tests/sim/floor.h"
#include "tests/sim/host_sim.h"
#include "tests/sim/node_sim.h"

namespace holdfast::raft_test {
namespace {

SimOptions CoreOptions(const FloorArguments& arguments) {
  SimOptions options;
  options.seed = arguments.seed;
  if (arguments.steps > 0) options.steps = arguments.steps;
  if (arguments.nodes > 0) options.nodes = arguments.nodes;
  if (arguments.voters > 0) options.voters = arguments.voters;
  options.mutation = static_cast<raft::Mutation>(arguments.mutation);
  return options;
}

HostSimOptions HostOptions(const FloorArguments& arguments) {
  HostSimOptions options;
  options.seed = arguments.seed;
  if (arguments.seconds > 0) options.seconds = arguments.seconds;
  options.nodes = arguments.nodes;
  options.trace = arguments.trace;
  using Members = HostSimOptions::Members;
  if (arguments.members > 0) options.members = Members::kChange;
  if (arguments.members == 0) options.members = Members::kStay;
  using Aim = HostSimOptions::Aim;
  if (arguments.aim >= 0) options.aim = arguments.aim > 0 ? Aim::kAlways : Aim::kNever;
  options.mutation = static_cast<raft::HostMutation>(arguments.mutation);
  return options;
}

NodeSimOptions NodeOptions(const FloorArguments& arguments) {
  NodeSimOptions options;
  options.seed = arguments.seed;
  if (arguments.seconds > 0) options.seconds = arguments.seconds;
  options.nodes = arguments.nodes;
  options.trace = arguments.trace;
  using Members = NodeSimOptions::Members;
  if (arguments.members > 0) options.members = Members::kChange;
  if (arguments.members == 0) options.members = Members::kStay;
  options.mutation = static_cast<node::NodeMutation>(arguments.mutation);
  return options;
}

std::string MembersArgument(const FloorArguments& arguments) {
  return arguments.members < 0 ? "" : format(" --members {}", arguments.members);
}

}  // namespace

Floor CoreFloor() {
  Floor floor;
  floor.name = "core";
  floor.run = [](const FloorArguments& arguments) {
    const SimResult result = RunSim(CoreOptions(arguments));
    return FloorOutcome{
        result.error, result.hash,
        format("{} committed, {} leaders, {} crashes, {} changes, {} snapshots", result.committed,
               result.leaders, result.crashes, result.conf_changes, result.snapshots)};
  };
  floor.replay = [](const FloorArguments& arguments) {
    const SimOptions options = CoreOptions(arguments);
    return format("--floor core --seed {} --steps {} --nodes {} --voters {} --mutation {}",
                  options.seed, options.steps, options.nodes, options.voters,
                  static_cast<int>(options.mutation));
  };
  return floor;
}

Floor HostFloor() {
  Floor floor;
  floor.name = "host";
  floor.run = [](const FloorArguments& arguments) {
    const HostSimResult result = RunHostSim(HostOptions(arguments));
    return FloorOutcome{
        result.error, result.hash,
        format("{} events, {} committed, {} answered, {} reads, {} elections, {} crashes, {} "
               "bodies elided, {} snapshots installed, {} disks lost ({} found out by others), {} "
               "changes of members, {} aimed faults",
               result.events, result.committed, result.acknowledged, result.reads, result.elected,
               result.crashes, result.elided, result.installed, result.lost_disks, result.found_out,
               result.changes, result.aimed)};
  };
  floor.replay = [](const FloorArguments& arguments) {
    const HostSimOptions options = HostOptions(arguments);
    const std::string aim = arguments.aim < 0 ? "" : format(" --aim {}", arguments.aim);
    return format("--floor host --seed {} --seconds {} --nodes {} --mutation {}{}{}", options.seed,
                  options.seconds, options.nodes, static_cast<int>(options.mutation),
                  MembersArgument(arguments), aim);
  };
  return floor;
}

Floor NodeFloor() {
  Floor floor;
  floor.name = "node";
  floor.run = [](const FloorArguments& arguments) {
    const NodeSimResult result = RunNodeSim(NodeOptions(arguments));
    return FloorOutcome{
        result.error, result.hash,
        format("{} events, {} elections, {} crashes, {} messages sent, {} acknowledged "
               "({} empty, {} of 25 MB), {} recipients delivered, {} failed, {} taken by remotes, "
               "{} attempts in doubt, {} "
               "recipients twice, {} messages offered again, {} changes of members, {} disks lost "
               "({} emptied, {} of these put back), {} builds installed, the level raised {} times",
               result.events, result.elected, result.crashes, result.sent, result.acknowledged,
               result.empty, result.largest, result.delivered, result.failed, result.taken,
               result.doubts, result.repeats, result.offered_again, result.changes,
               result.lost_disks, result.wiped, result.put_back, result.installs, result.raises),
        result.simulated_seconds};
  };
  floor.replay = [](const FloorArguments& arguments) {
    const NodeSimOptions options = NodeOptions(arguments);
    return format("--floor node --seed {} --seconds {} --nodes {} --mutation {}{}", options.seed,
                  options.seconds, options.nodes, static_cast<int>(options.mutation),
                  MembersArgument(arguments));
  };
  return floor;
}

}  // namespace holdfast::raft_test
