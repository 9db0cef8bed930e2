#include "node/peers/propose_router.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "node/peers/peer_calls.h"

namespace holdfast::node {
namespace {

// The state machine has not spoken and never will on this offer.
bool CertainlyNothing(const raft::ProposeResult& result) {
  if (result.index != raft::LogIndex{}) return false;
  switch (result.status.code()) {
    case absl::StatusCode::kUnavailable:         // Stopping, no such group yet, not reached.
    case absl::StatusCode::kFailedPrecondition:  // Not the leader.
    case absl::StatusCode::kAborted:             // Another entry has its place.
      return true;
    default:
      return false;
  }
}

raft::ProposeResult ResultOfCall(const absl::StatusOr<std::string>& bytes) {
  raft::ProposeResult result;
  if (!bytes.ok()) {
    // Whatever a call that ended in the middle of a stop may have done is not known.
    result.status = bytes.status().code() == absl::StatusCode::kCancelled
                        ? absl::DeadlineExceededError("the node is stopping")
                        : bytes.status();
    return result;
  }
  const absl::StatusOr<peer_call::Answer> answer = DecodeAnswer(*bytes);
  if (answer.ok() && answer->has_proposed()) return ResultOf(answer->proposed());
  result.status = absl::DeadlineExceededError("the leader's answer can't be understood");
  return result;
}

}  // namespace

struct ProposeRouter::Offer {
  GroupId group;
  raft::Proposal proposal;
  raft::ProposeCallback done;
  absl::Duration until;  // Clock::SinceBoot().
  std::atomic<bool> answered{false};
  // It was given to a leader, whose answer did not come yet.
  std::atomic<bool> out{false};
};

struct ProposeRouter::Shared {
  Shared(Parts given, const ProposeRouterOptions& chosen)
      : parts(std::move(given)), options(chosen) {}

  const Parts parts;
  const ProposeRouterOptions options;
  mutable Mutex mutex;
  std::deque<std::shared_ptr<Offer>> waiting ABSL_GUARDED_BY(mutex);
  // All that have no answer, in the order in which their time is up, and some that are gone: what
  // was answered must not keep its bytes.
  std::multimap<absl::Duration, std::weak_ptr<Offer>> open ABSL_GUARDED_BY(mutex);
  bool stopped ABSL_GUARDED_BY(mutex) = false;
};

ProposeRouter::ProposeRouter(Parts parts, const ProposeRouterOptions& options)
    : shared_(std::make_shared<Shared>(std::move(parts), options)) {}

ProposeRouter::~ProposeRouter() { Stop(); }

void ProposeRouter::Propose(GroupId group, raft::Proposal proposal, raft::ProposeCallback done,
                            absl::Duration until) {
  const absl::Duration now = shared_->parts.clock.SinceBoot();
  if (until <= now) {
    raft::ProposeResult result;
    result.status = absl::UnavailableError("no time is left for it");
    return done(result);
  }
  auto offer = std::make_shared<Offer>();
  offer->group = group;
  offer->proposal = std::move(proposal);
  offer->done = std::move(done);
  offer->until = std::min(now + shared_->options.timeout, until);
  {
    MutexLock lock(shared_->mutex);
    shared_->open.emplace(offer->until, offer);
  }
  Try(shared_, std::move(offer));
}

void ProposeRouter::Try(const std::shared_ptr<Shared>& shared, std::shared_ptr<Offer> offer) {
  const Parts& parts = shared->parts;
  const KnownLeader leader = parts.leader_of(offer->group);
  offer->out = true;
  if (leader.here) {
    raft::Proposal copy = offer->proposal;
    parts.propose_here(
        offer->group, std::move(copy),
        [shared, offer](const raft::ProposeResult& result) { Answer(shared, offer, result); });
    return;
  }
  // This node was elected and isn't ready to lead yet, or there is nobody.
  if (leader.node == NodeId{} || leader.node == parts.self || parts.call == nullptr) {
    raft::ProposeResult result;
    result.status = absl::UnavailableError("the queue group has no leader");
    Answer(shared, std::move(offer), result);
    return;
  }
  std::string request = EncodeRequest(ProposeRequest(offer->group, offer->proposal));
  const absl::Duration left = offer->until - parts.clock.SinceBoot();
  parts.call(leader.node, std::move(request), left + shared->options.answer_time,
             [shared, offer](absl::StatusOr<std::string> answer) {
               Answer(shared, offer, ResultOfCall(answer));
             });
}

void ProposeRouter::Answer(const std::shared_ptr<Shared>& shared, std::shared_ptr<Offer> offer,
                           const raft::ProposeResult& result) {
  // Alone, a refusal is final: no other node could lead.
  offer->out = false;
  const bool again = CertainlyNothing(result) && shared->parts.call != nullptr &&
                     shared->parts.clock.SinceBoot() < offer->until;
  raft::ProposeResult answer = result;
  if (again) {
    MutexLock lock(shared->mutex);
    if (!shared->stopped && shared->waiting.size() < shared->options.waiting_max) {
      shared->waiting.push_back(std::move(offer));
      return;
    }
    if (!shared->stopped) {
      answer.status = absl::ResourceExhaustedError("too many proposals wait for a leader");
    }
  }
  // Whoever made the proposal need not know how leaders say no.
  if (CertainlyNothing(answer) && answer.status.code() != absl::StatusCode::kUnavailable) {
    answer.status = absl::UnavailableError(std::string(Message(answer.status)));
  }
  Finish(*offer, answer);
}

void ProposeRouter::Finish(Offer& offer, const raft::ProposeResult& answer) {
  if (!offer.answered.exchange(true)) offer.done(answer);
}

void ProposeRouter::Tick() {
  std::deque<std::shared_ptr<Offer>> all;
  std::vector<std::shared_ptr<Offer>> late;
  const absl::Duration now = shared_->parts.clock.SinceBoot();
  {
    MutexLock lock(shared_->mutex);
    all.swap(shared_->waiting);
    auto& open = shared_->open;
    while (!open.empty()) {
      std::shared_ptr<Offer> next = open.begin()->second.lock();
      if (next != nullptr && open.begin()->first > now) break;
      if (next != nullptr && next->out) late.push_back(std::move(next));
      open.erase(open.begin());
    }
  }
  raft::ProposeResult unknown;
  unknown.status =
      absl::DeadlineExceededError("no answer from the leader in time; the outcome is unknown");
  for (const std::shared_ptr<Offer>& offer : late) Finish(*offer, unknown);
  raft::ProposeResult nobody;
  nobody.status = absl::UnavailableError("the queue group has no leader");
  for (std::shared_ptr<Offer>& offer : all) {
    if (offer->until <= now) {
      Finish(*offer, nobody);
    } else {
      Try(shared_, std::move(offer));
    }
  }
}

void ProposeRouter::Stop() {
  std::deque<std::shared_ptr<Offer>> all;
  {
    MutexLock lock(shared_->mutex);
    shared_->stopped = true;
    all.swap(shared_->waiting);
  }
  raft::ProposeResult result;
  result.status = absl::UnavailableError("the node is stopping");
  for (const std::shared_ptr<Offer>& offer : all) Finish(*offer, result);
}

size_t ProposeRouter::waiting() const {
  MutexLock lock(shared_->mutex);
  return shared_->waiting.size();
}

}  // namespace holdfast::node
