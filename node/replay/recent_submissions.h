// node/replay/recent_submissions.h
// RecentSubmissions is what a node remembers of its own submissions, until the groups' rows say the
// same: which are under way, which were answered and not confirmed yet, and which were confirmed
// although the Confirm may not be applied yet. Kept for `linger` after the last change, so that
// who asks leaders and this node in any order misses nothing.
// Threads: thread-compatible. No I/O, no clock: `now` is Clock::SinceBoot().
// Limits:  entries_max, and kAlikeMax with one fingerprint: those whose linger has begun go first,
//          then the oldest. A session has one to a few at a time.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/strong_id.h"

namespace holdfast::node {

// More that are alike say no more than these, and everybody who asks is told all of them.
inline constexpr size_t kAlikeMax = 64;

// A message as a replay of it would be answered.
struct SeenMessage {
  GroupId group;
  std::string queue_id;
};

class RecentSubmissions {
 public:
  RecentSubmissions(absl::Duration linger, size_t entries_max)
      : linger_(linger), entries_max_(entries_max) {}

  void Propose(const SeenMessage& message, const std::string& sha256);
  // Nothing happened, for sure.
  void Refuse(const std::string& queue_id);
  // Nobody knows: the group will.
  void LoseSight(const std::string& queue_id, absl::Duration now);
  // It is a message, and is answered 250.
  void Answer(const std::string& queue_id);
  // The same of any message, whose replay came here.
  void Accept(const SeenMessage& message, const std::string& sha256);
  // The client went on: what is to be confirmed to the group. nullopt: not known here.
  struct Confirmation {
    GroupId group;
    std::string sha256;
  };
  std::optional<Confirmation> Confirm(const std::string& queue_id);
  // The group knows it too now, or never will.
  void EndConfirm(const std::string& queue_id, absl::Duration now);
  // The connection ended unconfirmed. False: not known here.
  bool Leave(const std::string& queue_id, absl::Duration now);

  struct Knowledge {
    bool under_way = false;
    std::optional<SeenMessage> seen;     // Answered 250, and not confirmed.
    std::vector<SeenMessage> confirmed;  // At most kAlikeMax.
  };
  Knowledge About(const std::string& sha256) const;

  void ForgetOld(absl::Duration now);
  size_t size() const { return entries_.size(); }

 private:
  enum class State { kUnderWay, kAccepted, kConfirmed };
  struct Entry {
    SeenMessage message;
    std::string sha256;
    State state = State::kUnderWay;
    std::optional<absl::Duration> forget;  // nullopt: not yet.
    uint64_t place = 0;                    // In order_.
  };
  using Entries = std::unordered_map<std::string, Entry>;

  void Put(const SeenMessage& message, const std::string& sha256, State state);
  void Erase(Entries::iterator entry);
  void MakeRoom(const std::string& sha256);
  // Forgets it in a while.
  void Finish(Entry& entry, absl::Duration now);

  const absl::Duration linger_;
  const size_t entries_max_;
  Entries entries_;                                           // By queue id.
  std::unordered_multimap<std::string, std::string> ids_of_;  // By fingerprint.
  std::map<uint64_t, std::string> order_;                     // As they came.
  uint64_t next_place_ = 0;
  struct Finished {
    absl::Duration forget;
    std::string queue_id;
  };
  std::deque<Finished> finished_;
};

}  // namespace holdfast::node
