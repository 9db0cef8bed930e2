// node/replay/replay_guard.h
// ReplayGuard keeps a message from being delivered twice because its client offered it twice (the
// problem of RFC 1047, in a cluster): it knows when to ask whether a submission is a replay
// (ReplayWatch), asks (ReplayQuestions) and answers (ReplayAnswers), and has the groups forget the
// messages whose clients went on (ConfirmBatch). docs/decisions/016 says why it is so.
//
//   if (guard.MustAsk()) guard.Ask(sha256, ...);       // A match is answered 250 with its id.
//   guard.Proposing(message, sha256); propose; guard.Decided(message.queue_id, status);
//   guard.Confirmed(queue_id);                         // or Unconfirmed()
//
// Threads:  thread-safe; Tick() from the node's ticker.
// Lifetime: what Parts refers to outlives Stop() and all callbacks of proposals, reads and calls.
// Limits:   see the options; questions under way are bounded by sessions too.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "node/control/policy.h"
#include "node/peers/peer_gate.h"
#include "node/replay/confirm_batch.h"
#include "node/replay/recent_submissions.h"
#include "node/replay/replay_answers.h"
#include "node/replay/replay_questions.h"
#include "node/replay/replay_watch.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

struct ReplayGuardOptions {
  ReplayQuestionsOptions questions;
  // A peer that was not heard for so long may be gone, and is not asked.
  absl::Duration silence_max = absl::Seconds(2);
  absl::Duration confirm_interval = absl::Seconds(1);
  // Of one group, with this node.
  size_t confirms_waiting_max = 20'000;
  // A leader that can't confirm itself for so long is left out of an answer, and asked again.
  absl::Duration answer_max = absl::Milliseconds(1500);
  // One that has, but hasn't applied what it must (its disk is slow), is waited for so long: then
  // its point is the answer. With ticks in between it is what such a node costs the others.
  absl::Duration apply_max = absl::Milliseconds(100);
  // Longer than a question takes.
  absl::Duration linger = absl::Seconds(10);
  size_t recent_max = 50'000;
};

class ReplayGuard final : public PeerListener {
 public:
  struct Parts {
    std::function<void(GroupId, raft::Proposal, raft::ProposeCallback)> propose;
    std::function<KnownLeader(GroupId)> leader_of;
    std::function<void(GroupId, raft::ReadCallback, raft::PointCallback)> read;
    // Whether this node's clock may be believed.
    std::function<bool()> may_stamp;
    // ReplayAnswerParts::find.
    std::function<absl::StatusOr<std::optional<queue::QueueId>>(GroupId, std::string_view)> find;
    // ReplayQuestions::Parts.
    std::function<raft::LogIndex(GroupId)> applied;
    std::function<void(std::function<void()>)> look;
    // PeerRoom::Call().
    std::function<void(NodeId, std::string, absl::Duration,
                       std::function<void(absl::StatusOr<std::string>)>)>
        call;
    // The other nodes of the cluster.
    std::function<std::vector<NodeId>()> peers;
    // Has them told at once how this node is.
    std::function<void()> beat_soon;
    const PolicyHolder& policy;
    const Clock& clock;
  };

  ReplayGuard(Parts parts, const ReplayGuardOptions& options);
  ~ReplayGuard() override;  // Stop().

  // This node took part in its cluster before it was started.
  void SetRestarted();

  // How long messages are remembered; zero: never, and nothing is asked.
  absl::Duration window() const;
  bool MustAsk() const;
  // See ReplayQuestions::Ask().
  void Ask(const std::string& sha256, ReplayQuestions::SeenCallback done);

  void Proposing(const SeenMessage& message, const std::string& sha256);
  // By the status of its proposal. OK: it is answered 250.
  void Decided(const std::string& queue_id, const absl::Status& status);
  // A replay of `message` is answered 250.
  void Repeated(const SeenMessage& message, const std::string& sha256);
  // As MessageSink's; ids of messages without a fingerprint are ignored.
  void Confirmed(const std::string& queue_id);
  void Unconfirmed(const std::string& queue_id);

  // A peer, or this node, asks.
  void Answer(peer_call::DidYouSee asked, std::function<void(peer_call::DidYouSee)> done);
  void AddToBeat(peer_call::Beat& beat) const;
  void OnBeat(NodeId peer, const peer_call::Beat& beat) override;
  void OnUnreachable(NodeId peer) override;

  // Every tick of the node.
  void Tick();
  // Confirms what waits, whatever the interval. True when nothing waits or is under way any more.
  bool FlushConfirms();
  // Questions are answered kUnavailable from now on. Idempotent.
  void Stop();

 private:
  ReplayQuestions::Parts QuestionParts();
  void AskNode(NodeId node, peer_call::DidYouSee asked, absl::Duration timeout,
               std::function<void(absl::StatusOr<peer_call::DidYouSee>)> done);
  void Unsettled();
  void ProposeConfirms(std::vector<ConfirmBatch::Command> commands);
  void OnConfirmAnswer(ConfirmBatch::Command command, const raft::ProposeResult& result);

  const Parts parts_;
  const ReplayGuardOptions options_;
  const ReplayAnswerParts answers_;
  mutable Mutex mutex_;
  ReplayWatch watch_ ABSL_GUARDED_BY(mutex_);
  RecentSubmissions recent_ ABSL_GUARDED_BY(mutex_);
  ConfirmBatch confirms_ ABSL_GUARDED_BY(mutex_);
  struct Answering {
    absl::Duration since;
    HurryReplays hurry;
  };
  // Ends answers that have taken long enough.
  void HurryAnswers(absl::Duration now);

  std::deque<Answering> answering_ ABSL_GUARDED_BY(mutex_);
  ReplayQuestions questions_;
};

}  // namespace holdfast::node
