// node/control/control_nodes.h
// ControlNodes is the control group's list of nodes that were added or removed since the cluster
// was formed; its first nodes have a row only once they are removed. What each group makes of it is
// cluster/members.h's matter.
//
// Pure: no clock, no luck, no I/O but the rows.
// Threads: owned by the apply context, or over a read view.
// Limits:  one row for each node that ever came or went.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/strong_id.h"
#include "node/control/control_tables.h"

namespace holdfast::command {
class AddNode;
class AdmitNode;
class RemoveNode;
}  // namespace holdfast::command

namespace holdfast::node {

// The fate of one command, the same on all nodes.
enum class ControlVerdict {
  kApplied,
  kConflict,     // SetPolicy: expected_version is not the current one (kAborted to the caller).
  kTooLarge,     // SetPolicy: text over the bound.
  kKnownNode,    // AddNode: the id was used before.
  kUnknownNode,  // AdmitNode: nobody added it, or it was removed.
  kListChanged,  // RemoveNode: decided by an older list.
  kReplacing,    // RemoveNode: it takes the place of a node that is not recorded as removed yet.
  kOtherToken,   // AdmitNode: it was admitted with another directory.
  kOtherLevel,   // RaiseFeatureLevel: the level, or the list of nodes, is not the expected one.
};

struct NodeRow {
  NodeId node;
  bool removed = false;
  std::string address;  // "host:port"; empty for a first node.
  NodeId replaces;      // 0: nobody.
  std::string token;    // Of the directory with which it began; empty: not admitted yet.

  bool operator==(const NodeRow&) const = default;
};

// Those in whose place `node` was added and who are not recorded as removed: whom it replaces, whom
// that one was to replace, and so on. The nearest comes first.
std::vector<NodeId> PlacesTakenBy(NodeId node, const std::vector<NodeRow>& rows);

// `node` was admitted in the place of another one that is not recorded as removed yet. It must not
// be removed: the other one might have left some groups for it without ever counting as removed.
bool IsReplacing(NodeId node, const std::vector<NodeRow>& rows);

class ControlNodes {
 public:
  explicit ControlNodes(ControlTables& tables) : tables_(tables) {}

  ControlVerdict Add(const command::AddNode& add);
  // Again with the same token: kApplied, and nothing changes.
  ControlVerdict Admit(const command::AdmitNode& admit);
  // Of an added node, or of one that nobody added: a first node. Again: nothing changes. Admission
  // and removal are in one order, so nobody is removed who has begun to take another's place.
  ControlVerdict Remove(const command::RemoveNode& remove);

  // By id.
  std::vector<NodeRow> All() const;
  // Raised by every change of the list.
  uint64_t Version() const;

 private:
  void Put(const NodeRow& row);

  ControlTables& tables_;
};

}  // namespace holdfast::node
