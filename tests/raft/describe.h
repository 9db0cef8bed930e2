// tests/raft/describe.h
// Raft's values as the scripts print them. The words are those of etcd-io/raft, whose scripts are
// read too.
// Threads: pure functions.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "raft/core/membership.h"
#include "raft/core/raft_core.h"
#include "raft/core/raft_types.h"

namespace holdfast::raft_test {

// A message as scripts see it: one between cores, or one of the two that stand for storage work
// there (MsgStorageAppend and MsgStorageApply, with what they release when done).
struct ScriptMessage {
  std::string type;
  raft::Message message;  // Fields that `type` does not use are zero.
  NodeId vote;
  std::vector<ScriptMessage> responses;
  raft::ApplyToken applied;  // Of a MsgStorageApplyResp.
};

std::string Describe(NodeId node);
std::string Describe(const raft::HardState& state);
std::string Describe(const raft::SoftState& state);
std::string Describe(const raft::ConfState& state);
std::string Describe(const raft::Snapshot& snapshot);
std::string Describe(const raft::Entry& entry);
std::string Describe(const std::vector<raft::Entry>& entries);  // One a line.
std::string Describe(const raft::ProgressStatus& progress);
std::string Describe(const std::map<NodeId, raft::ProgressStatus>& progress);  // One a line.
std::string Describe(const raft::Configuration& configuration);
std::string Describe(const raft::ProgressMap& progress);
std::string Describe(const ScriptMessage& message);
std::string_view RoleName(raft::Role role);
std::string_view MessageTypeName(raft::MessageType type);

raft::ProgressStatus StatusOf(const raft::Progress& progress);

// "v1 l2 r3 u4" and back: voter, learner, remove, update.
std::string DescribeSteps(const std::vector<raft::ConfChangeStep>& steps);
absl::StatusOr<std::vector<raft::ConfChangeStep>> ParseSteps(std::string_view text);

}  // namespace holdfast::raft_test
