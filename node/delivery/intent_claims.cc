#include "node/delivery/intent_claims.h"

#include <algorithm>
#include <set>

namespace holdfast::node {

std::map<AttemptMaker, std::vector<uint64_t>> IntentClaims::Questions(
    const std::vector<queue::InDoubtUnit>& units) const {
  std::map<AttemptMaker, std::vector<uint64_t>> questions;
  for (const queue::InDoubtUnit& unit : units) {
    if (unit.attempt.node_id == self_) continue;
    // Not more than one call may ask about: a sweep reads no more units.
    questions[{unit.attempt.node_id, unit.attempt.boot_id}].push_back(unit.attempt.attempt_id);
  }
  return questions;
}

void IntentClaims::OnAnswer(const AttemptMaker& maker, const std::vector<uint64_t>& asked,
                            const std::vector<uint64_t>& under_way, absl::Duration now) {
  for (const uint64_t attempt : asked) {
    known_.try_emplace({attempt, maker.node_id, maker.boot_id}, -absl::InfiniteDuration());
  }
  for (const uint64_t attempt : under_way) {
    const auto found = known_.find({attempt, maker.node_id, maker.boot_id});
    if (found != known_.end()) found->second = now;  // Nobody asked about the others.
  }
}

absl::Duration IntentClaims::WaitFrom(const queue::AttemptKey& attempt, absl::Duration known_since,
                                      absl::Duration now) const {
  if (attempt.node_id == self_) return known_since;
  const auto found = known_.find(attempt);
  if (found == known_.end() || now - found->second <= lifetime_) return absl::InfiniteDuration();
  return std::max(known_since, found->second);
}

void IntentClaims::Keep(const std::vector<queue::InDoubtUnit>& units) {
  std::set<queue::AttemptKey> open;
  for (const queue::InDoubtUnit& unit : units) open.insert(unit.attempt);
  std::erase_if(known_, [&open](const auto& one) { return !open.contains(one.first); });
}

}  // namespace holdfast::node
