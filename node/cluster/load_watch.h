// node/cluster/load_watch.h
// LoadWatch measures this node (probes), keeps its score and the judgement about its clock, and
// sees to what follows for clients: what NodeHealth answers at MAIL, and whether new connections
// are turned away. What follows for groups is ClusterDuties' part, which asks state().
//
// An overloaded node still takes mail: its groups leave it, so the storing is done elsewhere, and a
// client that is sent away costs more than one that is served. Refused is only beyond
// refuse_permille, before a body is read, never after: new connections get 421 while another node
// can take them, and MAIL in those that are open gets 421 (452 for memory) with the reason.
//
// Threads:  Tick() and Judge() from the node's ticker; the rest is thread-safe.
// Lifetime: everything in Parts outlives it, and the contexts' last tasks too.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "node/admin/metrics.h"
#include "node/cluster/clock_check.h"
#include "node/cluster/cluster_admission.h"
#include "node/cluster/load_probes.h"
#include "node/cluster/load_score.h"
#include "node/submit/node_health.h"
#include "proto/peer_call.pb.h"
#include "raft/storage/store.h"

namespace holdfast::node {

class LoadWatch {
 public:
  struct Parts {
    const Clock& clock;
    std::function<raft::StoreCounters()> store_counters;  // Thread-safe.
    NodeHealth& health;
    MetricRegistry& metrics;
    // Whose lateness counts. Not the storage context: it waits for the disk, which has its own
    // figure.
    std::vector<LagProbe::Post> contexts;
    // The fullest memory budget, 0 to 1. Thread-safe.
    std::function<double()> memory_used;
    // Whether due mail waits for this node's own bounds; asked in the apply context.
    std::function<bool()> due_mail_waits;
    Context& apply;
    // New connections get 421 and this; empty: they don't.
    std::function<void(std::string)> turn_away;
  };
  struct Options {
    NodeId self;
    absl::Duration tick;
    LoadOptions load;
    ClockOptions clock;
  };

  LoadWatch(const Parts& parts, const Options& options);

  // Every tick of the node.
  void Tick();
  // About once a second: what follows from that and from the others. `voters` with this node;
  // `others_ahead`: their clocks against ours.
  void Judge(const std::vector<VoterReport>& voters, std::vector<absl::Duration> others_ahead);

  LoadState state() const;
  ClockState clock_state() const;
  void FillBeat(peer_call::Beat* beat) const;

 private:
  // What is shared with tasks in the apply context, which may run after our end.
  struct DueMail {
    std::atomic<bool> asked{false};
    std::atomic<bool> waits{false};
  };

  LoadSample Measure(absl::Duration now);
  absl::Duration SyncLatency();
  absl::Duration DueAge(absl::Duration now);
  void LogChange(const LoadState& before, const LoadState& now) const;
  void JudgeSpace(const std::vector<VoterReport>& voters);
  void JudgeClock(std::vector<absl::Duration> others_ahead, size_t voters);
  void RegisterMetrics();

  const Parts parts_;
  const Options options_;
  std::vector<LagProbe> lags_;
  CpuWait cpu_wait_;
  const std::shared_ptr<DueMail> due_mail_ = std::make_shared<DueMail>();
  absl::Duration last_tick_;
  absl::Duration last_sample_;
  absl::Duration worst_gap_;  // Between two ticks.
  absl::Duration due_since_ = absl::InfiniteDuration();
  raft::StoreCounters counters_;
  absl::Duration last_latency_;  // Of syncs, as they ended last.
  bool space_short_ = false;
  bool turned_away_ = false;

  mutable Mutex mutex_;
  LoadScore score_ ABSL_GUARDED_BY(mutex_);
  ClockCheck clock_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::node
