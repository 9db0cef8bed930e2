// node/peers/propose_router.h
// ProposeRouter takes proposals to whoever leads their group: here, or by a call to the leader that
// this node knows. A node that is asked by a peer never passes the proposal on, so a proposal makes
// one hop at most.
//
// What certainly did not happen (no leader known, not the leader any more, overwritten, not
// reached) is offered again until `timeout` has passed: a planned change of leaders costs a client
// nothing. What may have happened is never offered again; it is answered kDeadlineExceeded.
//
// Threads:  thread-safe. Callbacks run on whatever thread answers, or inside Propose() or Tick().
// Lifetime: what Parts refers to outlives Stop(); callbacks of calls may come after it.
// Limits:   waiting_max proposals wait for a leader; more are refused (kResourceExhausted). Their
//           bytes are bounded by those who propose: the submit path's memory, the attempts.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "base/strong_id.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

// Who leads a group, as far as this node knows.
struct KnownLeader {
  NodeId node;        // 0: nobody.
  bool here = false;  // This node, and it may propose.
};

struct ProposeRouterOptions {
  // From Propose() to the answer, unless that is wanted sooner. Until then it is offered again and
  // again; when it has passed the answer is the last refusal, or kDeadlineExceeded while a leader
  // has the proposal.
  absl::Duration timeout = absl::Seconds(5);
  // A call may take so much longer than what is left of that, so that the leader's own word for
  // what went wrong is heard.
  absl::Duration answer_time = absl::Milliseconds(200);
  size_t waiting_max = 10'000;
};

class ProposeRouter {
 public:
  struct Parts {
    std::function<void(GroupId, raft::Proposal, raft::ProposeCallback)> propose_here;
    std::function<KnownLeader(GroupId)> leader_of;
    // Transport::Call(). Null: there are no other nodes.
    std::function<void(NodeId, std::string, absl::Duration,
                       std::function<void(absl::StatusOr<std::string>)>)>
        call;
    const Clock& clock;
    NodeId self;
  };

  ProposeRouter(Parts parts, const ProposeRouterOptions& options);
  ~ProposeRouter();  // Stop().

  // As GroupHost::Propose(), on behalf of whoever leads. `done` is called exactly once.
  // kUnavailable, index 0: nothing happened, nobody leads. `until` (Clock::SinceBoot()): when the
  // answer is wanted, if that is before `timeout` has passed; when it has gone by, nothing happens.
  void Propose(GroupId group, raft::Proposal proposal, raft::ProposeCallback done,
               absl::Duration until = absl::InfiniteDuration());

  // Offers again what waits. Every 50 ms or so.
  void Tick();

  // Answers what waits (kUnavailable) and lets nothing wait any more. Idempotent.
  void Stop();

  size_t waiting() const;

 private:
  struct Offer;
  struct Shared;

  static void Try(const std::shared_ptr<Shared>& shared, std::shared_ptr<Offer> offer);
  static void Finish(Offer& offer, const raft::ProposeResult& answer);
  static void Answer(const std::shared_ptr<Shared>& shared, std::shared_ptr<Offer> offer,
                     const raft::ProposeResult& result);

  const std::shared_ptr<Shared> shared_;
};

}  // namespace holdfast::node
