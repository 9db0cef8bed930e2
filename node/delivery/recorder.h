// node/delivery/recorder.h
// Recorder puts what attempts need recorded into the group's log: intents before a final dot,
// outcomes after it. While one command is on its way the next ones gather, so that many attempts
// share an entry. Outcomes are offered until they are recorded, also when the group is led
// elsewhere by then: an attempt that happened must not be forgotten. Intents are offered once, and
// only to a leader on this node: without one the dot is not sent.
//
// Threads:  owned by the apply context; proposals' answers are posted there.
// Lifetime: shared by the callbacks that are under way; what `propose` needs outlives them.
// Limits:   attempts under way bound what can gather; kOutcomesPerCommandMax, kBodiesPerCommandMax.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "node/control/policy.h"
#include "node/delivery/outcome_writer.h"
#include "queue/state/events.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

class Recorder : public std::enable_shared_from_this<Recorder> {
 public:
  using IntentDone = std::function<void(absl::Status)>;
  // The outcome was applied, or refused by the queue's state: it is settled either way.
  using OutcomeDone = std::function<void()>;

  using Proposer = std::function<void(raft::Proposal, raft::ProposeCallback)>;

  // `propose_here` is GroupHost::Propose(), for intents; `propose` goes to whoever leads the group.
  Recorder(GroupId group, Proposer propose_here, Proposer propose, Context& apply,
           const PolicyHolder& policy)
      : group_(group),
        propose_here_(std::move(propose_here)),
        propose_(std::move(propose)),
        apply_(apply),
        policy_(policy) {}

  void OnLeaderChange(bool leads);

  void Intent(command::Intent intent, IntentDone done);
  // What the log says of intents; answers those that wait.
  void OnEvents(const std::vector<queue::Event>& events);

  void Outcome(MadeOutcome outcome, OutcomeDone done);
  // Offers again what could not be recorded. From the group's tick, whoever leads.
  void Tick();
  // Outcomes could not be recorded just now: no new attempts meanwhile.
  bool stuck() const { return stuck_; }
  size_t outcomes_waiting() const { return outcomes_.size() + offered_.size(); }

  // A command without anybody waiting for it.
  void Propose(command::Command command, std::vector<raft::Body> bodies);

 private:
  struct PendingOutcome {
    MadeOutcome made;
    OutcomeDone done;
  };

  void FlushIntents();
  void OnIntentsProposed(const std::vector<uint64_t>& attempts, const raft::ProposeResult& result);
  void FlushOutcomes();
  void OfferOutcomes();
  void OfferLess();
  void OnOutcomesProposed(const raft::ProposeResult& result);
  void ProposeWarning(MadeOutcome& made);
  using Answered = std::function<void(Recorder&, const raft::ProposeResult&)>;
  void Send(const Proposer& propose, command::Command command, std::vector<raft::Body> bodies,
            Answered done);

  const GroupId group_;
  const Proposer propose_here_;
  const Proposer propose_;
  Context& apply_;
  const PolicyHolder& policy_;
  bool leads_ = false;
  bool stuck_ = false;
  uint64_t generation_ = 0;  // Of leadership: raised whenever it comes or goes. For intents.
  size_t batch_max_ = 200;   // Outcomes in one command; less after one that was too large.

  bool intents_under_way_ = false;
  std::vector<command::Intent> intents_;
  std::map<uint64_t, IntentDone> intents_waiting_;  // By attempt id.

  bool outcomes_under_way_ = false;
  std::deque<PendingOutcome> outcomes_;
  std::vector<PendingOutcome> offered_;  // In the command on its way, or to be offered again.
};

}  // namespace holdfast::node
