// node/delivery/attempts_under_way.h
// AttemptsUnderWay remembers a group's attempts from their grant until their outcome is recorded,
// and which of their units somebody asked to be attempted anew meanwhile (retry, release, reroute).
// Such an attempt may have begun before whatever made the operator ask; if it fails for now, its
// unit is due at once, and not after the usual wait. (Not so where its content could not be read:
// nobody knows when it will be.)
// Threads: owned by the apply context; pure. Limits: the scheduler's attempts_max.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "queue/state/queue_types.h"

namespace holdfast::node {

class AttemptsUnderWay {
 public:
  // A unit has one attempt at a time.
  void Add(uint64_t attempt_id, const queue::UnitKey& key) {
    units_.insert_or_assign(key, attempt_id);
    attempts_.insert_or_assign(attempt_id, Attempt{key, std::nullopt});
  }

  // The destination that is to be attempted anew, if that was asked for.
  std::optional<std::string> Remove(uint64_t attempt_id) {
    const auto found = attempts_.find(attempt_id);
    if (found == attempts_.end()) return std::nullopt;
    std::optional<std::string> asked = std::move(found->second.asked);
    units_.erase(found->second.key);
    attempts_.erase(found);
    return asked;
  }

  void AskAgain(const queue::UnitKey& key, const std::string& destination) {
    const auto found = units_.find(key);
    if (found != units_.end()) attempts_.at(found->second).asked = destination;
  }

  bool AskedAgain(uint64_t attempt_id) const {
    const auto found = attempts_.find(attempt_id);
    return found != attempts_.end() && found->second.asked.has_value();
  }

  bool Contains(uint64_t attempt_id) const { return attempts_.contains(attempt_id); }
  bool empty() const { return attempts_.empty(); }

 private:
  struct Attempt {
    queue::UnitKey key;
    std::optional<std::string> asked;
  };
  std::map<uint64_t, Attempt> attempts_;
  std::map<queue::UnitKey, uint64_t> units_;
};

}  // namespace holdfast::node
