#include "node/backend/fresh_rows.h"

#include <absl/cleanup/cleanup.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "base/text.h"
#include "node/peers/peer_calls.h"

namespace holdfast::node {
namespace {

constexpr absl::Duration kAskAgain = absl::Milliseconds(50);
// A leader that hangs may be no leader any more: then whoever leads by now is asked.
constexpr absl::Duration kRoundMax = absl::Milliseconds(500);
// Twice that: no more than two questions about a group are open.
constexpr absl::Duration kQuestionMax = absl::Seconds(1);
// The threads that wait are those that answer `status`, too: the others wait for less.
constexpr int kLongWaitsMax = 4;
constexpr absl::Duration kShortWait = absl::Milliseconds(250);
constexpr absl::Duration kLookAgain = absl::Milliseconds(2);

using PointOrWhy = absl::StatusOr<raft::LogIndex>;

// What the host says of a read: the point as soon as a majority has confirmed it, or the refusal.
void ReadOnce(const FreshRows::GroupRead& read, GroupId group,
              std::function<void(PointOrWhy)> done) {
  const auto answered = std::make_shared<std::atomic<bool>>(false);
  const auto once = [answered, done = std::move(done)](const PointOrWhy& point) {
    if (!answered->exchange(true)) done(point);
  };
  read(
      group,
      [once](const absl::StatusOr<raft::ReadPoint>& point) {
        once(point.ok() ? PointOrWhy(point->index) : PointOrWhy(point.status()));
      },
      [once](const raft::ReadPoint& point) { once(point.index); });
}

PointOrWhy PointOf(const absl::StatusOr<std::string>& bytes) {
  // A build that does not know the question: whatever this node has must do.
  if (absl::IsUnimplemented(bytes.status()) && Message(bytes.status()) == kUnknownCall) {
    return raft::LogIndex{};
  }
  HOLDFAST_RETURN_IF_ERROR(bytes.status());
  HOLDFAST_ASSIGN_OR_RETURN(const peer_call::Answer answer, DecodeAnswer(*bytes));
  if (!answer.has_read_point()) return absl::InternalError("another question was answered");
  return raft::LogIndex{answer.read_point().index()};
}

FreshRows::GroupRead ReadOf(raft::GroupHost& host) {
  return [&host](GroupId group, raft::ReadCallback done, raft::PointCallback confirmed) {
    host.Read(group, std::move(done), std::move(confirmed));
  };
}

}  // namespace

// What is known by now. Shared with the callbacks, which may come when nobody waits any more.
class FreshRows::Points {
 public:
  explicit Points(size_t places) : points_(places), missing_(places) {
    for (PointOrWhy& point : points_) {
      point = absl::DeadlineExceededError("its leader was not heard in time");
    }
  }

  // The places without a point, which are asked about now.
  std::vector<size_t> BeginRound() {
    MutexLock lock(mutex_);
    std::vector<size_t> missing;
    for (size_t place = 0; place < points_.size(); ++place) {
      if (!points_[place].ok()) missing.push_back(place);
    }
    ++round_;
    unanswered_ = missing.size();
    return missing;
  }

  // An answer that comes late is as good: it was asked for after Wait() began.
  std::function<void(PointOrWhy)> Setter(const std::shared_ptr<Points>& self, size_t place) {
    MutexLock lock(mutex_);
    return [self, place, round = round_](PointOrWhy answer) {
      self->Set(round, place, std::move(answer));
    };
  }

  // Until there are all points, all of the round have answered, or `timeout` has passed. Whether
  // there are all points.
  bool WaitForRound(absl::Duration timeout) {
    const auto until = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
    MutexLock lock(mutex_);
    while (missing_ > 0 && unanswered_ > 0) {
      const auto left = until - std::chrono::steady_clock::now();
      if (left <= std::chrono::nanoseconds(0)) break;
      changed_.WaitFor(mutex_, left);
    }
    return missing_ == 0;
  }

  std::vector<PointOrWhy> Get() {
    MutexLock lock(mutex_);
    return points_;
  }

 private:
  void Set(uint64_t round, size_t place, PointOrWhy answer) {
    MutexLock lock(mutex_);
    if (!points_[place].ok()) {
      if (answer.ok()) --missing_;
      points_[place] = std::move(answer);
    }
    if (round == round_) --unanswered_;
    if (missing_ == 0 || unanswered_ == 0) changed_.NotifyAll();
  }

  Mutex mutex_;
  CondVar changed_;
  std::vector<PointOrWhy> points_ ABSL_GUARDED_BY(mutex_);
  size_t missing_ ABSL_GUARDED_BY(mutex_);  // Places without a point.
  uint64_t round_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t unanswered_ ABSL_GUARDED_BY(mutex_) = 0;  // Of the round.
};

void FreshRows::Ask(GroupId group, absl::Duration timeout,
                    std::function<void(PointOrWhy)> set) const {
  const KnownLeader leader = parts_.leader_of(group);
  // Elected, and not at work yet: the host answers all the same.
  if (leader.here || leader.node == parts_.self) {
    return ReadOnce(parts_.read, group, std::move(set));
  }
  if (leader.node == NodeId{} || parts_.call == nullptr) {
    return set(absl::UnavailableError("nobody leads it, as far as this node knows"));
  }
  peer_call::Request request;
  request.mutable_read_point()->set_group(group.value());
  parts_.call(leader.node, EncodeRequest(std::move(request)), timeout,
              [set = std::move(set), node = leader.node](const absl::StatusOr<std::string>& bytes) {
                const PointOrWhy point = PointOf(bytes);
                set(point.ok() ? point
                               : Annotate(point.status(), format("node {}, which led it, could "
                                                                 "not be asked",
                                                                 node.value())));
              });
}

std::vector<FreshRows::PointOrWhy> FreshRows::FindPoints(const std::vector<GroupId>& groups,
                                                         absl::Duration until) const {
  const auto points = std::make_shared<Points>(groups.size());
  while (true) {
    const absl::Duration left = until - parts_.clock.SinceBoot();
    const std::vector<size_t> missing = points->BeginRound();
    if (missing.empty() || left <= absl::ZeroDuration()) return points->Get();
    for (const size_t place : missing) {
      Ask(groups[place], std::min(left, kQuestionMax), points->Setter(points, place));
    }
    if (points->WaitForRound(std::min(left, kRoundMax))) return points->Get();
    std::this_thread::sleep_for(absl::ToChronoNanoseconds(
        std::clamp(until - parts_.clock.SinceBoot(), absl::ZeroDuration(), kAskAgain)));
  }
}

std::vector<LateGroup> FreshRows::Wait(const std::vector<GroupId>& groups,
                                       absl::Duration timeout) const {
  const bool long_one = ++*waiting_ <= kLongWaitsMax;
  const absl::Cleanup ended = [this] { --*waiting_; };
  const absl::Duration until =
      parts_.clock.SinceBoot() + (long_one ? timeout : std::min(timeout, kShortWait));
  const std::vector<PointOrWhy> points = FindPoints(groups, until);
  std::vector<LateGroup> late;
  for (size_t place = 0; place < groups.size(); ++place) {
    const PointOrWhy& point = points[place];
    if (!point.ok()) {
      late.push_back({groups[place], std::string(Message(point.status()))});
      continue;
    }
    raft::LogIndex applied = parts_.applied(groups[place]);
    while (applied < *point && parts_.clock.SinceBoot() < until) {
      std::this_thread::sleep_for(absl::ToChronoNanoseconds(kLookAgain));
      applied = parts_.applied(groups[place]);
    }
    if (applied >= *point) continue;
    late.push_back({groups[place], format("this node is {} entries behind", *point - applied)});
  }
  return late;
}

FreshRows FreshRows::Of(NodeId self, raft::GroupHost& host,
                        std::function<KnownLeader(GroupId)> leader_of, PeerCall call,
                        const Clock& clock) {
  const auto applied = [&host](GroupId group) {
    const std::optional<raft::GroupStatus> status = host.Status(group);
    return status ? status->applied : raft::LogIndex{};
  };
  return FreshRows({ReadOf(host), applied, std::move(leader_of), std::move(call), clock, self});
}

void AnswerReadPoint(raft::GroupHost& host, GroupId group,
                     std::function<void(absl::StatusOr<peer_call::Answer>)> reply) {
  ReadOnce(ReadOf(host), group, [group, reply = std::move(reply)](const PointOrWhy& point) {
    if (!point.ok()) return reply(point.status());
    peer_call::Answer answer;
    answer.mutable_read_point()->set_group(group.value());
    answer.mutable_read_point()->set_index(*point);
    reply(std::move(answer));
  });
}

}  // namespace holdfast::node
