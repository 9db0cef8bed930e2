#include "node/replay/replay_answers.h"

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace holdfast::node {
namespace {

// One question until it is answered.
class Answering {
 public:
  Answering(const ReplayAnswerParts& parts, peer_call::DidYouSee asked,
            std::function<void(peer_call::DidYouSee)> done)
      : parts_(parts),
        asked_(std::move(asked)),
        done_(std::move(done)),
        missing_(asked_.groups().begin(), asked_.groups().end()) {}

  static void Run(const std::shared_ptr<Answering>& self) {
    self->TakeOwn();
    const std::set<uint32_t> groups(self->asked_.groups().begin(), self->asked_.groups().end());
    for (const uint32_t group : groups) {
      self->parts_.read(
          GroupId{group},
          [self, group](const absl::StatusOr<raft::ReadPoint>& point) {
            self->TakeGroup(GroupId{group}, point.status());
          },
          [self, group](const raft::ReadPoint& point) { self->TakePoint(group, point.index); });
    }
    if (groups.empty()) self->Finish();
  }

  bool Hurry(ReplayHurry hurry) {
    {
      MutexLock lock(mutex_);
      if (!finished_ && hurry == ReplayHurry::kConfirmed && points_.size() < missing_.size()) {
        return false;
      }
    }
    Finish();
    return true;
  }

  // Without what is missing.
  void Finish() {
    peer_call::DidYouSee answer;
    {
      MutexLock lock(mutex_);
      if (std::exchange(finished_, true)) return;
      answer = std::move(answer_);
      for (const uint32_t group : missing_) {
        const auto point = points_.find(group);
        if (point == points_.end()) {
          answer.add_unanswered(group);
          continue;
        }
        peer_call::GroupPoint& said = *answer.add_points();
        said.set_group(group);
        said.set_index(point->second);
      }
    }
    done_(std::move(answer));
  }

 private:
  void TakeOwn() {
    MutexLock lock(mutex_);
    for (int place = 0; place < asked_.sha256_size(); ++place) {
      const RecentSubmissions::Knowledge own = parts_.own(asked_.sha256(place));
      if (own.under_way) answer_.add_under_way(static_cast<uint32_t>(place));
      if (own.seen) *answer_.add_seen() = Submission(place, own.seen->group, own.seen->queue_id);
      for (const SeenMessage& message : own.confirmed) {
        *answer_.add_confirmed() = Submission(place, message.group, message.queue_id);
      }
    }
  }

  void TakePoint(uint32_t group, raft::LogIndex index) {
    MutexLock lock(mutex_);
    if (missing_.contains(group)) points_[group] = index;
  }

  void TakeGroup(GroupId group, absl::Status status) {
    std::vector<peer_call::SeenSubmission> seen;
    for (int place = 0; status.ok() && place < asked_.sha256_size(); ++place) {
      const auto found = parts_.find(group, asked_.sha256(place));
      status = found.status();
      if (found.ok() && *found) seen.push_back(Submission(place, group, (*found)->ToString()));
    }
    {
      MutexLock lock(mutex_);
      if (finished_) return;
      missing_.erase(group.value());
      points_.erase(group.value());
      if (!status.ok()) answer_.add_unanswered(group.value());
      for (peer_call::SeenSubmission& one : seen) *answer_.add_seen() = std::move(one);
      if (!missing_.empty()) return;
    }
    Finish();
  }

  static peer_call::SeenSubmission Submission(int place, GroupId group, const std::string& id) {
    peer_call::SeenSubmission seen;
    seen.set_place(static_cast<uint32_t>(place));
    seen.set_group(group.value());
    seen.set_queue_id(id);
    return seen;
  }

  const ReplayAnswerParts parts_;
  const peer_call::DidYouSee asked_;
  const std::function<void(peer_call::DidYouSee)> done_;
  Mutex mutex_;
  peer_call::DidYouSee answer_ ABSL_GUARDED_BY(mutex_);
  std::set<uint32_t> missing_ ABSL_GUARDED_BY(mutex_);
  // Of the missing ones, those that a majority has confirmed.
  std::map<uint32_t, raft::LogIndex> points_ ABSL_GUARDED_BY(mutex_);
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

HurryReplays AnswerReplays(const ReplayAnswerParts& parts, peer_call::DidYouSee asked,
                           std::function<void(peer_call::DidYouSee)> done) {
  auto answering = std::make_shared<Answering>(parts, std::move(asked), std::move(done));
  Answering::Run(answering);
  return [weak = std::weak_ptr<Answering>(answering)](ReplayHurry hurry) {
    const auto still = weak.lock();
    return still == nullptr || still->Hurry(hurry);
  };
}

}  // namespace holdfast::node
