#include "node/delivery/unreadable_units.h"

#include <utility>
#include <vector>

#include "base/log.h"

namespace holdfast::node {
namespace {

constexpr absl::Duration kAskInterval = absl::Seconds(1);
// Members that don't answer are waited for so long before the unit is put off.
constexpr absl::Duration kPatience = absl::Minutes(1);

}  // namespace

UnreadableUnits::UnreadableUnits(Parts parts)
    : parts_(std::move(parts)), self_(std::make_shared<UnreadableUnits*>(this)) {}

UnreadableUnits::~UnreadableUnits() { *self_ = nullptr; }

void UnreadableUnits::Add(const queue::UnitKey& unit, uint64_t attempt_id,
                          const raft::BodyRef& ref) {
  One one;
  one.unit = unit;
  one.ref = ref;
  one.since = parts_.clock.SinceBoot();
  const auto [place, fresh] = units_.emplace(attempt_id, std::move(one));
  if (fresh) Act(attempt_id, place->second);
}

void UnreadableUnits::Act(uint64_t attempt_id, One& one) {
  one.next = parts_.clock.SinceBoot() + kAskInterval;
  if (!one.lost.empty()) return parts_.hold(one.unit, one.lost);
  if (one.asking) return;
  one.asking = true;
  Context* const apply = &parts_.apply;
  parts_.mend(
      one.ref,
      [self = self_, unit = one.unit] {
        return *self != nullptr && (*self)->parts_.state_of(unit) != State::kGone;
      },
      // Posted: the answer may come in this call.
      [self = self_, apply, attempt_id](const absl::Status& answer) {
        apply->Post([self, attempt_id, answer] {
          if (*self != nullptr) (*self)->OnAnswer(attempt_id, answer);
        });
      });
}

void UnreadableUnits::OnAnswer(uint64_t attempt_id, const absl::Status& answer) {
  const auto found = units_.find(attempt_id);
  if (found == units_.end()) return;  // Leadership came and went.
  One& one = found->second;
  one.asking = false;
  if (answer.code() == absl::StatusCode::kNotFound) {
    one.lost = std::string(Message(answer));
    Log(LogLevel::kError, "body_lost",
        {{"queue_id", one.unit.queue_id.text()},
         {"reason", one.lost},
         {"advice", "held; release it when a node that has it is back, or remove it"}});
    return Act(attempt_id, one);
  }
  const bool mended = answer.ok() || answer.code() == absl::StatusCode::kAborted;
  const bool patient = parts_.clock.SinceBoot() - one.since < kPatience;
  if (!mended && patient) return;  // Tick() asks again.
  const queue::UnitKey unit = one.unit;
  units_.erase(found);
  if (mended) {
    parts_.end(unit, attempt_id);
  } else {
    parts_.put_off(unit, attempt_id);
  }
}

void UnreadableUnits::Tick() {
  const absl::Duration now = parts_.clock.SinceBoot();
  std::vector<std::pair<uint64_t, queue::UnitKey>> ended;
  for (auto& [attempt_id, one] : units_) {
    if (now < one.next) continue;
    // Held, by us or an operator, or removed: nobody waits for the content.
    if (parts_.state_of(one.unit) != State::kWaits) {
      ended.emplace_back(attempt_id, one.unit);
    } else {
      Act(attempt_id, one);
    }
  }
  for (const auto& [attempt_id, unit] : ended) {
    units_.erase(attempt_id);
    parts_.end(unit, attempt_id);
  }
}

void UnreadableUnits::Clear() {
  for (const auto& [attempt_id, one] : std::exchange(units_, {})) parts_.end(one.unit, attempt_id);
}

}  // namespace holdfast::node
