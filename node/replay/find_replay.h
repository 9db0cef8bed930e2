// node/replay/find_replay.h
// Looks in a queue group's committed rows for an unconfirmed message with a fingerprint.
// Threads: any. Errors: kNotFound: no such group; as queue::FindUnconfirmed().
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/strong_id.h"
#include "node/groups/group_tables.h"
#include "queue/state/unconfirmed.h"

namespace holdfast::node {

// `rows` of queue group i + 1 at place i.
inline absl::StatusOr<std::optional<queue::QueueId>> FindReplay(
    const std::vector<std::unique_ptr<raft::StateReader>>& rows, GroupId group,
    std::string_view sha256, absl::Time now) {
  if (group.value() < 1 || group.value() > rows.size()) {
    return absl::NotFoundError("no such queue group");
  }
  const GroupReader reader(*rows[group.value() - 1]);
  return queue::FindUnconfirmed(reader, sha256, now);
}

}  // namespace holdfast::node
