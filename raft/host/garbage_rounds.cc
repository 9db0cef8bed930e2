#include "raft/host/garbage_rounds.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"

namespace holdfast::raft {

struct GarbageRounds::Round {
  GroupId group;
  std::function<void()> done;
  std::vector<BodyKey> live;  // Sorted.
};

void GarbageRounds::Collect(GroupId group, const StateMachine& machine,
                            std::function<void()> done) {
  auto round = std::make_shared<Round>();
  round->group = group;
  round->done = std::move(done);
  // Here, beside no Apply(), rows are of one moment. Later ones list no older body that these
  // don't.
  apply_.Post([self = shared_from_this(), round, &machine] { self->Begin(round, machine); });
}

void GarbageRounds::Fail(const Round& round, const absl::Status& status) {
  Log(LogLevel::kError, "garbage_kept",
      {{"group", round.group.value()}, {"reason", holdfast::Message(status)}});
  round.done();
}

void GarbageRounds::Begin(const std::shared_ptr<Round>& round, const StateMachine& machine) {
  if (stopped_) return;
  const absl::Status status =
      machine.LiveBodies(*store_.Reader(round->group), [&round](const BodyRef& ref) {
        round->live.push_back(ref.key);
        return true;
      });
  if (!status.ok()) return Fail(*round, status);
  std::sort(round->live.begin(), round->live.end());
  storage_.Post([self = shared_from_this(), round] { self->CollectSlice(round); });
}

void GarbageRounds::CollectSlice(const std::shared_ptr<Round>& round) {
  if (stopped_) return;
  const absl::StatusOr<bool> clean =
      store_.CollectGarbage(round->group, round->live, options_.garbage_steps);
  if (!clean.ok()) return Fail(*round, clean.status());
  if (*clean) return round->done();
  // Behind the writes that wait: those are not held up by more than one slice.
  storage_.Post([self = shared_from_this(), round] { self->CollectSlice(round); });
}

}  // namespace holdfast::raft
