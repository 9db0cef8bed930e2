#include "node/replay/recent_submissions.h"

#include <utility>

namespace holdfast::node {

void RecentSubmissions::Put(const SeenMessage& message, const std::string& sha256, State state) {
  const auto known = entries_.find(message.queue_id);
  if (known != entries_.end()) Erase(known);
  MakeRoom(sha256);
  const uint64_t place = next_place_++;
  entries_.emplace(message.queue_id, Entry{message, sha256, state, std::nullopt, place});
  ids_of_.emplace(sha256, message.queue_id);
  order_.emplace(place, message.queue_id);
}

void RecentSubmissions::MakeRoom(const std::string& sha256) {
  if (ids_of_.count(sha256) >= kAlikeMax) {
    auto victim = entries_.end();
    const auto [from, to] = ids_of_.equal_range(sha256);
    for (auto one = from; one != to; ++one) {
      const auto entry = entries_.find(one->second);
      const auto rank = [](const Entry& e) { return std::make_pair(!e.forget, e.place); };
      if (victim == entries_.end() || rank(entry->second) < rank(victim->second)) victim = entry;
    }
    Erase(victim);
  }
  if (entries_.size() < entries_max_) return;
  while (!finished_.empty()) {
    const auto entry = entries_.find(finished_.front().queue_id);
    finished_.pop_front();
    if (entry != entries_.end() && entry->second.forget) return Erase(entry);
  }
  Erase(entries_.find(order_.begin()->second));
}

void RecentSubmissions::Erase(Entries::iterator entry) {
  const auto [from, to] = ids_of_.equal_range(entry->second.sha256);
  for (auto one = from; one != to; ++one) {
    if (one->second != entry->first) continue;
    ids_of_.erase(one);
    break;
  }
  order_.erase(entry->second.place);
  entries_.erase(entry);
}

void RecentSubmissions::Finish(Entry& entry, absl::Duration now) {
  entry.forget = now + linger_;
  finished_.push_back({*entry.forget, entry.message.queue_id});
}

void RecentSubmissions::Propose(const SeenMessage& message, const std::string& sha256) {
  Put(message, sha256, State::kUnderWay);
}

void RecentSubmissions::Refuse(const std::string& queue_id) {
  const auto entry = entries_.find(queue_id);
  if (entry != entries_.end()) Erase(entry);
}

void RecentSubmissions::LoseSight(const std::string& queue_id, absl::Duration now) {
  const auto entry = entries_.find(queue_id);
  if (entry != entries_.end()) Finish(entry->second, now);
}

void RecentSubmissions::Answer(const std::string& queue_id) {
  const auto entry = entries_.find(queue_id);
  if (entry != entries_.end()) entry->second.state = State::kAccepted;
}

void RecentSubmissions::Accept(const SeenMessage& message, const std::string& sha256) {
  const auto entry = entries_.find(message.queue_id);
  if (entry == entries_.end()) return Put(message, sha256, State::kAccepted);
  entry->second.state = State::kAccepted;
  entry->second.forget.reset();
}

std::optional<RecentSubmissions::Confirmation> RecentSubmissions::Confirm(
    const std::string& queue_id) {
  const auto entry = entries_.find(queue_id);
  if (entry == entries_.end() || entry->second.state != State::kAccepted) return std::nullopt;
  entry->second.state = State::kConfirmed;
  entry->second.forget.reset();
  return Confirmation{entry->second.message.group, entry->second.sha256};
}

void RecentSubmissions::EndConfirm(const std::string& queue_id, absl::Duration now) {
  const auto entry = entries_.find(queue_id);
  if (entry != entries_.end()) Finish(entry->second, now);
}

bool RecentSubmissions::Leave(const std::string& queue_id, absl::Duration now) {
  const auto entry = entries_.find(queue_id);
  if (entry == entries_.end()) return false;
  Finish(entry->second, now);
  return true;
}

RecentSubmissions::Knowledge RecentSubmissions::About(const std::string& sha256) const {
  Knowledge knowledge;
  const auto [from, to] = ids_of_.equal_range(sha256);
  for (auto one = from; one != to; ++one) {
    const Entry& entry = entries_.at(one->second);
    switch (entry.state) {
      case State::kUnderWay:
        knowledge.under_way = true;
        break;
      case State::kAccepted:
        if (!knowledge.seen || entry.message.queue_id < knowledge.seen->queue_id) {
          knowledge.seen = entry.message;
        }
        break;
      case State::kConfirmed:
        knowledge.confirmed.push_back(entry.message);
        break;
    }
  }
  return knowledge;
}

void RecentSubmissions::ForgetOld(absl::Duration now) {
  while (!finished_.empty() && finished_.front().forget <= now) {
    const auto entry = entries_.find(finished_.front().queue_id);
    // It may have changed since: then a later one of these speaks for it.
    if (entry != entries_.end() && entry->second.forget && *entry->second.forget <= now) {
      Erase(entry);
    }
    finished_.pop_front();
  }
}

}  // namespace holdfast::node
