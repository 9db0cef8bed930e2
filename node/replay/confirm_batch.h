// node/replay/confirm_batch.h
// ConfirmBatch collects the messages whose clients went on, and says when a group is told: many in
// one command, one command of a group at a time, at most once per `interval`.
// Threads: thread-compatible. No I/O, no clock: `now` is Clock::SinceBoot().
// Limits:  waiting_max per group; the oldest go first, unconfirmed, and are forgotten in time.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/strong_id.h"

namespace holdfast::node {

struct ToConfirm {
  std::string queue_id;
  std::string sha256;
};

class ConfirmBatch {
 public:
  ConfirmBatch(absl::Duration interval, size_t items_max, size_t waiting_max)
      : interval_(interval), items_max_(items_max), waiting_max_(waiting_max) {}

  void Add(GroupId group, ToConfirm item);

  struct Command {
    GroupId group;
    std::vector<ToConfirm> items;
  };
  // What is to be proposed now; each is answered by OnAnswer(). `at_once`: whatever the interval.
  std::vector<Command> Take(absl::Duration now, bool at_once = false);
  // `again`: nothing came of it, or nobody knows; confirming twice does no harm.
  void OnAnswer(Command command, bool again);

  // Nothing waits, and nothing is under way.
  bool empty() const;

 private:
  struct Group {
    std::deque<ToConfirm> waiting;
    bool under_way = false;
    absl::Duration next = -absl::InfiniteDuration();
  };

  const absl::Duration interval_;
  const size_t items_max_;
  const size_t waiting_max_;
  std::map<GroupId, Group> groups_;
};

}  // namespace holdfast::node
