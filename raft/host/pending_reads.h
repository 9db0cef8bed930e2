// raft/host/pending_reads.h
// PendingReads keeps the reads of one group that wait: first for a majority's word that this node
// leads (the core's read index, thesis 6.4), then for apply to come as far as the index given.
// Threads: owned by the raft context. Pure.
// Errors:  each read is answered once. A callback may ask again from inside.
// Limits:  `reads_max` reads wait; the next one is answered kResourceExhausted.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raft/host/group_host.h"

namespace holdfast::raft {

// What GroupHost::Read() got.
struct AskedRead {
  ReadCallback done;
  PointCallback confirmed;
};

class PendingReads {
 public:
  explicit PendingReads(uint64_t reads_max) : reads_max_(reads_max) {}

  // The mark to give to the core; nullopt when the read was refused, and answered.
  std::optional<std::string> Ask(AskedRead read, absl::Duration now, absl::Duration deadline) {
    if (asked_.size() + confirmed_.size() >= reads_max_) {
      read.done(
          MakeStatus(absl::StatusCode::kResourceExhausted, "{} reads wait already", reads_max_));
      return std::nullopt;
    }
    const uint64_t number = ++newest_;
    asked_.emplace(number, Read{std::move(read.done), std::move(read.confirmed), now, deadline});
    return std::to_string(number);
  }

  // The core's answer; marks of reads that were given up are passed over.
  void Confirm(const std::string& mark, LogIndex index) {
    auto it = Find(mark);
    if (it == asked_.end()) return;
    const PointCallback confirmed = std::move(it->second.confirmed);
    const ReadPoint point{index, it->second.asked_at};
    confirmed_.emplace(index, std::move(it->second));
    asked_.erase(it);
    if (confirmed) confirmed(point);
  }

  // Answers those whose point is applied.
  void Answer(LogIndex applied) {
    while (!confirmed_.empty() && confirmed_.begin()->first <= applied) {
      auto node = confirmed_.extract(confirmed_.begin());
      node.mapped().done(ReadPoint{node.key(), node.mapped().asked_at});
    }
  }

  void Fail(const std::string& mark, const absl::Status& status) {
    auto it = Find(mark);
    if (it == asked_.end()) return;
    Read read = std::move(it->second);
    asked_.erase(it);
    read.done(status);
  }

  void FailAll(const absl::Status& status) {
    if (asked_.empty() && confirmed_.empty()) return;
    for (Read& read : Take([](const Read&) { return true; })) read.done(status);
  }

  void Expire(absl::Duration now, const absl::Status& status) {
    if (asked_.empty() && confirmed_.empty()) return;
    for (Read& read : Take([now](const Read& r) { return r.deadline <= now; })) read.done(status);
  }

 private:
  struct Read {
    ReadCallback done;
    PointCallback confirmed;
    absl::Duration asked_at;
    absl::Duration deadline;
  };

  std::map<uint64_t, Read>::iterator Find(const std::string& mark) {
    uint64_t number = 0;
    for (const char digit : mark) number = number * 10 + static_cast<uint64_t>(digit - '0');
    return asked_.find(number);
  }

  template <typename Wanted>
  std::vector<Read> Take(Wanted wanted) {
    std::vector<Read> taken;
    const auto take_from = [&](auto& reads) {
      for (auto it = reads.begin(); it != reads.end();) {
        if (!wanted(it->second)) {
          ++it;
          continue;
        }
        taken.push_back(std::move(it->second));
        it = reads.erase(it);
      }
    };
    take_from(asked_);
    take_from(confirmed_);
    return taken;
  }

  const uint64_t reads_max_;
  uint64_t newest_ = 0;
  std::map<uint64_t, Read> asked_;           // By number, which is the mark.
  std::multimap<LogIndex, Read> confirmed_;  // By the index that apply must reach.
};

}  // namespace holdfast::raft
