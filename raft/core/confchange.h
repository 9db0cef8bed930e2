// raft/core/confchange.h
// Changes of a group's configuration (thesis chapter 4): what a proposer may ask for, how it stands
// in a log entry, and the pure step from one configuration to the next.
// Threads: values and pure functions.
// Errors:  a change that would break a rule is refused with kInvalidArgument and its reason; the
//          input is not touched.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "raft/core/raft_types.h"

namespace holdfast::raft {

// Stored as these numbers.
enum class ConfChangeType : uint8_t { kAddVoter = 0, kRemove = 1, kUpdate = 2, kAddLearner = 3 };

struct ConfChangeStep {
  ConfChangeType type = ConfChangeType::kAddVoter;
  NodeId node{};

  bool operator==(const ConfChangeStep&) const = default;
};

// Stored as these numbers.
enum class ConfChangeTransition : uint8_t {
  kAuto = 0,           // Joint only if more than one step needs it; left by itself.
  kJointImplicit = 1,  // Always joint; left by itself as soon as it is applied.
  kJointExplicit = 2,  // Always joint; left when the caller proposes an empty ConfChange.
};

// Without steps it leaves a joint configuration.
struct ConfChange {
  ConfChangeTransition transition = ConfChangeTransition::kAuto;
  std::vector<ConfChangeStep> steps{};
  std::string context{};  // The caller's own; not read here.
  // Proposes it as EntryType::kConfChangeSimple; exactly one step, transition kAuto.
  bool simple_form = false;

  bool LeavesJoint() const;
  // Whether applying it makes the configuration joint, and whether that is left by itself.
  bool EntersJoint() const;
  bool AutoLeaves() const { return transition != ConfChangeTransition::kJointExplicit; }

  bool operator==(const ConfChange&) const = default;
};

// The entry (without index and term) that proposes `change`. Leaving a joint configuration encodes
// to nothing, so that no byte limit can ever refuse it.
Entry EncodeConfChange(const ConfChange& change);
// kInvalidArgument: not an entry of a configuration change; kDataLoss: its command is damaged;
// kUnimplemented: a format newer than this build.
absl::StatusOr<ConfChange> DecodeConfChange(const Entry& entry);

}  // namespace holdfast::raft
