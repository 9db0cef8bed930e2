#include "node/replay/replay_answers.h"

#include <utility>

#include "base/mutex.h"

namespace holdfast::node {
namespace {

// One question until all its groups have answered.
class Answering {
 public:
  Answering(const ReplayAnswerParts& parts, peer_call::DidYouSee asked,
            std::function<void(peer_call::DidYouSee)> done)
      : parts_(parts),
        asked_(std::move(asked)),
        done_(std::move(done)),
        missing_(asked_.groups_size()) {}

  static void Run(const std::shared_ptr<Answering>& self) {
    self->TakeOwn();
    if (self->asked_.groups().empty()) return self->Finish();
    for (const uint32_t group : self->asked_.groups()) {
      self->parts_.read(GroupId{group},
                        [self, group](const absl::StatusOr<raft::ReadPoint>& point) {
                          if (self->TakeGroup(GroupId{group}, point.status())) self->Finish();
                        });
    }
  }

 private:
  void TakeOwn() {
    MutexLock lock(mutex_);
    for (int place = 0; place < asked_.sha256_size(); ++place) {
      const RecentSubmissions::Knowledge own = parts_.own(asked_.sha256(place));
      if (own.under_way) answer_.add_under_way(static_cast<uint32_t>(place));
      if (own.seen) AddSeen(place, own.seen->group, own.seen->queue_id);
      for (const std::string& queue_id : own.confirmed) answer_.add_confirmed(queue_id);
    }
  }

  // True when it was the last one.
  bool TakeGroup(GroupId group, absl::Status status) {
    MutexLock lock(mutex_);
    for (int place = 0; status.ok() && place < asked_.sha256_size(); ++place) {
      const auto found = parts_.find(group, asked_.sha256(place));
      status = found.status();
      if (found.ok() && *found) AddSeen(place, group, (*found)->ToString());
    }
    if (!status.ok()) answer_.add_unanswered(group.value());
    return --missing_ == 0;
  }

  void Finish() {
    peer_call::DidYouSee answer;
    {
      MutexLock lock(mutex_);
      answer = std::move(answer_);
    }
    done_(std::move(answer));
  }

  void AddSeen(int place, GroupId group, std::string queue_id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    peer_call::SeenSubmission& seen = *answer_.add_seen();
    seen.set_place(static_cast<uint32_t>(place));
    seen.set_group(group.value());
    seen.set_queue_id(std::move(queue_id));
  }

  const ReplayAnswerParts parts_;
  const peer_call::DidYouSee asked_;
  const std::function<void(peer_call::DidYouSee)> done_;
  Mutex mutex_;
  peer_call::DidYouSee answer_ ABSL_GUARDED_BY(mutex_);
  int missing_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

void AnswerReplays(const ReplayAnswerParts& parts, peer_call::DidYouSee asked,
                   std::function<void(peer_call::DidYouSee)> done) {
  Answering::Run(std::make_shared<Answering>(parts, std::move(asked), std::move(done)));
}

}  // namespace holdfast::node
