// node/replay/replay_questions.h
// ReplayQuestions asks whether submissions are replays: the leader of every queue group, because a
// client offers again to any node, which may put it into any group; and the nodes that are heard,
// what they know of their own recent submissions. One call at a time goes to each node, with all
// the questions that have come up meanwhile, so that a node that asks about every message still
// makes few calls.
//
// A group whose leader doesn't answer (an election, a node that is gone) is asked again, wherever
// its leader is by then, until half of commit_timeout has passed (its options). A leader that is
// late with its own rows says how far they must be (a point); then the rows of this node's replica
// are the answer, as soon as they are as far.
//
// Threads:  thread-safe. `done` runs on whatever thread answers or looks, or inside Ask() or
// Tick(). Lifetime: what Parts refers to outlives Stop(); callbacks of calls may come after it.
// Limits:   waiting_max questions without an answer (kResourceExhausted beyond).
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "base/strong_id.h"
#include "node/peers/propose_router.h"
#include "node/replay/recent_submissions.h"
#include "proto/peer_call.pb.h"
#include "queue/state/queue_types.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

struct ReplayQuestionsOptions {
  NodeId self;
  uint32_t queue_groups = 0;
  // For an answer in all. A call may take as long: a group whose leader moves meanwhile is asked
  // for at the new one.
  absl::Duration timeout = absl::Seconds(5);
  size_t waiting_max = 10'000;
};

class ReplayQuestions {
 public:
  using SeenCallback = std::function<void(absl::StatusOr<std::optional<SeenMessage>>)>;

  struct Parts {
    std::function<KnownLeader(GroupId)> leader_of;
    // Other nodes that were heard a moment ago.
    std::function<std::vector<NodeId>()> heard;
    // Asks a node, this one included. Answers exactly once, maybe inside.
    std::function<void(NodeId, peer_call::DidYouSee, absl::Duration timeout,
                       std::function<void(absl::StatusOr<peer_call::DidYouSee>)>)>
        ask;
    // How far this node's replica of a group has applied; 0: it has none. Maybe a moment old.
    std::function<raft::LogIndex(GroupId)> applied;
    // ReplayAnswerParts::find; called by way of `look` only.
    std::function<absl::StatusOr<std::optional<queue::QueueId>>(GroupId, std::string_view)> find;
    // Runs it where rows are read, maybe inside; or never, once the node is stopping.
    std::function<void(std::function<void()>)> look;
    const Clock& clock;
  };

  ReplayQuestions(Parts parts, const ReplayQuestionsOptions& options);
  ~ReplayQuestions();  // Stop().

  // The first message known that such a submission would repeat; nullopt: there is none, in any
  // group. kUnavailable: not all have answered in time. kResourceExhausted: see Limits.
  void Ask(const std::string& sha256, SeenCallback done);

  // Asks again what has no answer. Every 50 ms or so.
  void Tick();

  // Answers what waits (kUnavailable), and everything from then on. Idempotent.
  void Stop();

 private:
  struct Question;
  struct Shared;
  struct Call;
  struct Answered;

  static void Pump(const std::shared_ptr<Shared>& shared);
  // Looks into this node's rows for those whose points they have reached.
  static void LookSoon(const std::shared_ptr<Shared>& shared);
  static void Look(const std::shared_ptr<Shared>& shared);
  static void OnAnswer(const std::shared_ptr<Shared>& shared, const std::shared_ptr<Call>& call,
                       const absl::StatusOr<peer_call::DidYouSee>& answer);

  const std::shared_ptr<Shared> shared_;
};

}  // namespace holdfast::node
