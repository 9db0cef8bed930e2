#include "node/delivery/leader_lease.h"

namespace holdfast::node {

void LeaderLease::Confirm(absl::Duration since, Done done) {
  if (lifetime_ == absl::InfiniteDuration() || Holds(since)) {
    done(absl::OkStatus());
    return;
  }
  {
    MutexLock lock(mutex_);
    waiting_.push_back(std::move(done));
    if (reading_) return;
    reading_ = true;
  }
  AskForAll();
}

void LeaderLease::AskForAll() {
  {
    MutexLock lock(mutex_);
    asked_.swap(waiting_);
  }
  auto self = shared_from_this();
  parts_.read([self](const absl::StatusOr<raft::ReadPoint>& point) { self->OnRead(point); });
}

void LeaderLease::OnRead(const absl::StatusOr<raft::ReadPoint>& point) {
  std::vector<Done> answered;
  bool more = false;
  {
    MutexLock lock(mutex_);
    answered.swap(asked_);
    more = !waiting_.empty();
    reading_ = more;
  }
  absl::Status status;
  if (!point.ok()) {
    status = absl::AbortedError(std::string(Message(point.status())));
  } else if (!Holds(point->asked_at)) {
    status = absl::AbortedError("another node may lead the group by now");
  }
  for (const Done& done : answered) done(status);
  if (more) AskForAll();
}

}  // namespace holdfast::node
