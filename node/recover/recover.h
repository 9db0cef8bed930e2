// node/recover/recover.h
// `holdfastd recover`, for a cluster that has lost a majority of its nodes for good: shows what
// this node's stopped store has, so that the best survivor can be chosen; and, with --accept-loss,
// makes this node alone the cluster, in a new incarnation that every other node of the old one is
// refused by. What only the lost nodes had is gone then.
//
// Threads: call RunRecover once, from main, before any other thread exists.
// Errors:  exit codes: 0 done; 1 refused, given up or failed: nothing was changed unless it says
//          so; 2 wrong usage.
#pragma once

#include <istream>
#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/strong_id.h"
#include "node/config/settings.h"
#include "raft/core/raft_types.h"
#include "raft/storage/store.h"

namespace holdfast::node {

struct RecoverOptions {
  bool accept_loss = false;
  // The cluster's id, instead of the question for it.
  std::string yes_accept_loss;
  // "position" lines that `recover` printed on other survivors.
  std::vector<std::string> others;
};

// How far one replica's log goes: the longer one has the newer last term, or in the same term more
// entries (Raft thesis, 3.6.1).
struct LogEnd {
  raft::Term term{};
  raft::LogIndex index{};

  auto operator<=>(const LogEnd&) const = default;
};

// What `recover` prints for others to compare with: "node 3: 0:7/120 1:6/99 ...", group:term/index.
struct Position {
  NodeId node;
  std::map<GroupId, LogEnd> ends;

  std::string ToText() const;
  // kInvalidArgument: no such line.
  static absl::StatusOr<Position> FromText(std::string_view text);
};

struct RecoverStreams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
};

int RunRecover(const NodeSettings& settings, const RecoverOptions& options,
               const RecoverStreams& streams);

}  // namespace holdfast::node
