// node/delivery/attempt_runner.h
// AttemptRunner carries out attempts on the io threads: route, DNS, connection (kept ones first),
// transaction, fence. It decides nothing about retries and writes nothing to the queue.
// Promises: exactly one report for each Start(). The final dot is sent only after `intents` said OK
//           for the attempt.
// Threads:  Start() from the apply context. `done` is called on an io thread; post from there.
// Lifetime: executors, store and intents outlive Stop() and all reports.
// Limits:   the caller bounds the attempts at the same time, those that wait for their slot among
//           them; idle connections by options.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "node/config/settings.h"
#include "node/delivery/attempt.h"
#include "node/delivery/attempt_edges.h"
#include "raft/storage/store.h"

namespace holdfast::node {

// Keeps the fence before final dots. Answers may come on any thread, exactly once.
class IntentRecorder {
 public:
  virtual ~IntentRecorder() = default;
  // Makes the attempt's intent durable. OK: a dot may follow now. kAborted: the intent is recorded,
  // but this node can't be sure any more that it leads: no dot may follow.
  virtual void RecordIntent(const AttemptTask& task, std::function<void(absl::Status)> done) = 0;
  // For a further dot of an attempt whose intent is recorded. OK: it may follow now.
  virtual void ConfirmLeadership(const AttemptTask& task,
                                 std::function<void(absl::Status)> done) = 0;
};

struct AttemptRunnerOptions {
  std::string hostname;  // For EHLO.
  AttemptSettings attempts;
  // Addresses on which this node itself receives mail; "port" matters not.
  std::vector<std::string> own_addresses;
};

// A connection that an attempt leaves is open for no longer than this: unused, and then until its
// QUIT is answered. One that was stopped as it connected may come later: its slot's next waits for
// it, but other nodes may have been granted its part by then (docs/status.md).
absl::Duration OpenAfterAttempt(const AttemptSettings& settings);

class AttemptRunner {
 public:
  using Done = std::function<void(std::shared_ptr<AttemptTask>, AttemptReport)>;

  AttemptRunner(const AttemptRunnerOptions& options, AttemptEdges edges, const raft::Store& store,
                IntentRecorder& intents, const Clock& clock);
  ~AttemptRunner();
  AttemptRunner(const AttemptRunner&) = delete;
  AttemptRunner& operator=(const AttemptRunner&) = delete;

  void Start(std::shared_ptr<AttemptTask> task, Done done);

  // Attempts that have not reached their dot end as not sent, those that look for a connection at
  // once; those past it go on. `done` of each is still called, once.
  void Drain();
  // The same for the attempts of one group: it is led elsewhere, or about to be.
  void AbortShortOfDot(GroupId group);
  uint32_t running() const { return running_.load(std::memory_order_relaxed); }

 private:
  friend class AttemptConversation;
  struct Lane;  // What one io thread has: resolver, idle connections.

  Lane& LaneFor(const AttemptTask& task);
  // On the lane's thread, as all that follow. Waits while an attempt that was stopped as it looked
  // for a connection lingers in the same slot: the destination would see both.
  void Begin(Lane& lane, const std::shared_ptr<AttemptTask>& task, const Done& done);
  void AbortIn(Lane& lane, std::optional<GroupId> group);
  void AbortWaiting(Lane& lane, std::optional<GroupId> group);

  const AttemptRunnerOptions options_;
  smtp::Connector* const connector_;
  const std::shared_ptr<const smtp::TlsContext> tls_opportunistic_;
  const std::shared_ptr<const smtp::TlsContext> tls_verify_;
  const raft::Store& store_;
  IntentRecorder& intents_;
  const Clock& clock_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::atomic<uint32_t> running_{0};
  std::atomic<bool> draining_{false};
  std::atomic<uint64_t> seed_;
};

}  // namespace holdfast::node
