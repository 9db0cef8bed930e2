#include "raft/host/garbage_run.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace holdfast::raft {

GarbageRun::GarbageRun(Parts parts, GroupId group, size_t steps_max, Done done)
    : parts_(std::move(parts)), group_(group), steps_max_(steps_max), done_(std::move(done)) {}

void GarbageRun::Start() {
  parts_.apply.Post([self = shared_from_this()] { self->FindLive(); });
}

// Here, beside no Apply(), rows are of one moment. Later ones list no older body that these don't.
void GarbageRun::FindLive() {
  if (parts_.stopped()) return;
  if (parts_.store.DeadBodiesPending(group_)) {
    live_.emplace();
    const absl::Status status =
        parts_.machine.LiveBodies(*parts_.store.Reader(group_), [this](const BodyRef& ref) {
          live_->push_back(ref.key);
          return true;
        });
    if (!status.ok()) return End(status);
    std::sort(live_->begin(), live_->end());
  }
  parts_.storage.Post([self = shared_from_this()] { self->CollectSlice(); });
}

void GarbageRun::CollectSlice() {
  if (parts_.stopped()) return;
  const absl::StatusOr<bool> clean = parts_.store.CollectGarbage(group_, live_, steps_max_);
  if (!clean.ok() || *clean) return End(clean.status());
  // Behind the writes that wait: those are not held up by more than one slice.
  parts_.storage.Post([self = shared_from_this()] { self->CollectSlice(); });
}

void GarbageRun::End(const absl::Status& status) {
  if (!status.ok()) {
    Log(LogLevel::kError, "garbage_kept",
        {{"group", group_.value()}, {"reason", holdfast::Message(status)}});
  }
  done_(status.ok());
}

}  // namespace holdfast::raft
