// node/node_mutation.h
// Known bugs that the simulation of nodes puts back, one at a time, to show that it would find them
// (as raft/host/host_mutation.h). Nothing but tests sets one: no configuration, flag or environment
// leads here.
// Threads: values.
#pragma once

#include <cstdint>

namespace holdfast::node {

enum class NodeMutation : uint8_t {
  kNone = 0,
  kNoIntent = 1,            // A final dot waits for no intent, and none is recorded.
  kSettleAtOnce = 2,        // A leader takes open intents of others for in doubt, and asks nobody.
  kEndBodyWithEnqueue = 3,  // A message's first body ends with the entry that brought it.
  kNoticeTwice = 4,         // A failure is told by two notices.
  kOfferUnknownAgain = 5,   // A submission of unknown outcome is offered to another group.
  kNoLease = 6,             // A committed intent is enough for the dot, whoever leads by then.
  kForgetOutcomes = 7,      // Who ceases to lead forgets the outcomes that are not recorded.
  kOutcomeTwice = 8,        // An attempt's outcome is recorded as often as it comes.
  kForgetReplays = 9,       // After a restart replays are not looked for.
  kRaiseUnasked = 10,       // The feature level is raised, whatever the members' builds speak.
  kSkipForeign = 11,        // A node skips what raises a group beyond its build, and goes on.
  kRaiseEarly = 12,         // A group's leader goes as far as its own build speaks.
};

}  // namespace holdfast::node
