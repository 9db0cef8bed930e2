// tests/raft/group_script.h
// GroupScript is a group of cores under a script's hand: it delivers, drops, stores and applies
// only what a command says, and prints what happens.
//
// A node stores in one of two ways. With async-storage-writes its tasks wait, as messages to an
// "append thread" and an "apply thread", until commands process them. Without, an adapter here
// completes them at once, as part of process-ready: store, apply, send, then give the core its own
// answers.
// Threads: thread-compatible. Errors: wrong commands and arguments are printed as output.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/core/raft_core.h"
#include "tests/raft/describe.h"
#include "tests/raft/memory_log.h"
#include "tests/raft/script.h"

namespace holdfast::raft_test {

class GroupScript {
 public:
  explicit GroupScript(raft::Mutation mutation) : mutation_(mutation) {}

  // The command's output; empty if there is nothing to say.
  std::string Handle(const ScriptCommand& command);

 private:
  struct Node {
    raft::RaftOptions options;
    bool async = false;
    std::unique_ptr<MemoryLog> log;
    std::unique_ptr<raft::RaftCore> core;
    std::deque<ScriptMessage> append_work;
    std::deque<ScriptMessage> apply_work;
    // The state machine appends every command to a string; one snapshot for each applied entry.
    raft::Snapshot state;
    raft::HardState told;  // For the MustSync flag.

    NodeId id() const { return options.id; }
  };
  struct NewNodes {
    raft::RaftOptions options;
    bool async = false;
    raft::Snapshot snapshot;
  };

  void RunHeard(const ScriptCommand& command);
  absl::Status Run(const ScriptCommand& command);
  absl::Status RunOnNode(const ScriptCommand& command, Node& node);

  absl::Status AddNodes(const ScriptCommand& command);
  static absl::Status SetSwitch(const std::string& key, const std::string& value, NewNodes& wanted);
  static absl::Status SetNumber(const std::string& key, const std::string& value, NewNodes& wanted);
  absl::Status AddNode(const NewNodes& wanted);
  absl::Status Propose(Node& node, const std::string& command);
  absl::Status ProposeConfChange(Node& node, const ScriptCommand& command);
  absl::Status DeliverMessages(const ScriptCommand& command);
  absl::Status ForEachNode(const ScriptCommand& command, const char* doing,
                           void (GroupScript::*work)(Node&));
  absl::Status Stabilize(const ScriptCommand& command);
  absl::Status Compact(Node& node, const std::string& index);
  absl::Status SendSnapshot(const ScriptCommand& command);
  absl::Status Transfer(const ScriptCommand& command);
  absl::Status SetLogLevel(const std::string& level);
  void PrintLog(Node& node);
  void PrintRoles();

  void ProcessReady(Node& node);
  void ProcessAppend(Node& node);
  void ProcessApply(Node& node);
  void FinishAtOnce(Node& node, raft::Ready ready);
  void Apply(Node& node, const std::vector<raft::Entry>& entries);
  std::vector<ScriptMessage> ToScript(Node& node, const raft::Ready& ready) const;
  void PrintReady(Node& node, const raft::Ready& ready, const std::vector<ScriptMessage>& messages);

  // Delivers or drops what is under way to `to`, of `type` only unless empty. How many it was.
  size_t Deliver(NodeId to, const std::string& type, bool drop);
  void DeliverOne(const ScriptMessage& message);
  bool AnyFor(NodeId to) const;

  absl::StatusOr<Node*> FindNode(const std::string& word);
  absl::StatusOr<std::vector<Node*>> FindNodes(const ScriptCommand& command);
  void Print(const std::string& text);
  // Everything that `body` prints stands two blanks to the right.
  template <typename Body>
  void Indented(const std::string& title, Body body);

  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<ScriptMessage> network_;
  std::string output_;
  bool quiet_ = false;
  raft::Mutation mutation_;
};

}  // namespace holdfast::raft_test
