// queue/testing/test_queue.h
// A queue of one replica for tests: commands are built in a line, go through their encoding as they
// would in a cluster, and after each the invariants are checked.
// Threads: one.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "proto/command.pb.h"
#include "queue/state/memory_tables.h"
#include "queue/state/queue_state.h"
#include "queue/state/queue_types.h"

namespace holdfast::queue::testing {

// Ids that ascend with `n`.
QueueId TestId(uint32_t n);
absl::Time AtSecond(double seconds);

struct MessageSpec {
  uint32_t id = 1;
  std::string sender = "a@sender.test";
  std::vector<std::string> to = {"b@one.test"};  // Routed by their domain.
  double at = 0;                                 // Seconds.
  double expires = 432'000;
  double due = -1;  // As `at`.
  uint32_t first_body = 0;
  uint32_t bodies = 1;
  uint32_t chunks = 0;
  bool held = false;
  bool is_notice = false;
  std::string fingerprint = "";  // "": none. Made as long as one is.
  double forget = 900;           // Seconds after `at`.
  uint32_t kept_max = 1000;
};
// 32 bytes.
std::string FingerprintOf(const std::string& name);
command::Enqueue EnqueueOf(const MessageSpec& spec);
command::Command MakeEnqueue(const MessageSpec& spec);

struct AttemptSpec {
  uint32_t id = 1;
  uint32_t unit = 0;
  uint64_t attempt = 1;
  uint64_t node = 1;
  uint64_t boot = 1;
  double at = 1;
  double next = 0;
  bool in_doubt = false;
  // By position: the unit's first recipient of the envelope is `first_recipient`.
  uint32_t first_recipient = 0;
  std::vector<command::Result> results = {command::RESULT_DELIVERED};
  std::vector<MessageSpec> notices = {};
};
command::Command MakeIntent(const AttemptSpec& spec);
command::Command MakeOutcome(const AttemptSpec& spec);

class TestQueue {
 public:
  // Checks invariants after each command unless told not to (they cost a walk over all rows).
  explicit TestQueue(bool check_invariants = true) : check_invariants_(check_invariants) {}

  // The entry has `bodies` bodies of 1000 bytes each.
  ApplyResult Apply(const command::Command& command, uint32_t bodies = 0);
  ApplyResult Enqueue(const MessageSpec& spec) { return Apply(MakeEnqueue(spec), spec.bodies); }
  ApplyResult Intent(const AttemptSpec& spec) { return Apply(MakeIntent(spec)); }
  ApplyResult Outcome(const AttemptSpec& spec) {
    return Apply(MakeOutcome(spec), static_cast<uint32_t>(spec.notices.size()));
  }

  MemoryTables& tables() { return tables_; }
  uint64_t index() const { return index_; }

 private:
  const bool check_invariants_;
  QueueState state_;
  MemoryTables tables_;
  uint64_t index_ = 0;
};

// Rows with printable keys, for messages of failed tests.
std::string DumpTables(const MemoryTables& tables);

}  // namespace holdfast::queue::testing
