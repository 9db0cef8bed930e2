// tests/sim/mail_checker.h
// MailChecker keeps the account of every message of a simulated cluster, from outside: what clients
// were told, what the queue groups decided, and what remotes saw. It has a replica of each group of
// its own (QueueState on MemoryTables), fed by the first node that applies an entry.
//
//   clients    what was acknowledged is in the queue; what was refused never is; what is offered
//              again while it may be there is queued once
//   fence      a final dot leaves a node only while the unit's open intent is of that node's life
//   attempts   each is recorded once; what was called in doubt may be heard of once more
//   account    a recipient ends once; "delivered" is said only of what a remote took; at the end
//              all have ended
//   repeats    a remote takes a recipient's message again only after an attempt in doubt
//   lease      the fence lets no dot pass while another node leads that was elected later
//   hand-over  while groups are handed over in order and nothing else happens, no attempt ends in
//   doubt notices    a failure is told to the sender by exactly one notice, anything else by none
//   content    a remote gets what the client sent, byte for byte
//   levels     no group's state version rises before the cluster's feature level does
//   replicas   all nodes apply the same commands with the same verdicts, and end with equal rows
//
// Addresses name their message: s7@senders.test sends to r7.0@d1.test, r7.1@d2.test, ...
// Threads: one. Errors: the first violation sticks in error().
#pragma once

#include <absl/time/time.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/strong_id.h"
#include "queue/state/events.h"
#include "queue/state/memory_tables.h"
#include "queue/state/queue_state.h"
#include "raft/host/state_machine.h"
#include "tests/storage/sim_disk.h"

namespace holdfast::raft_test {

// "senders.test": where notices go.
inline constexpr std::string_view kSendersDomain = "senders.test";
std::string SenderOf(uint64_t token);
std::string RecipientOf(uint64_t token, size_t number, size_t destination);
// The number in SenderOf() and RecipientOf(); 0: another address.
uint64_t TokenOf(std::string_view address);

class MailChecker {
 public:
  // `fail` is told of each violation. `ended`: a body's life ended with that entry.
  struct Reports {
    std::function<void(const std::string&)> fail;
    std::function<void(const raft::BodyKey&, raft::LogIndex)> ended;
  };
  // `mutation`: a bug that all replicas have, this one too.
  explicit MailChecker(Reports reports, queue::QueueMutation mutation = queue::QueueMutation::kNone)
      : reports_(std::move(reports)), state_(mutation) {}

  // --- Clients ---
  void OnSubmit(uint64_t token, std::vector<std::string> recipients, std::string content);
  // `offered_as`: the queue id that came with a 250.
  void OnAnswer(uint64_t token, const absl::StatusOr<std::string>& offered_as);
  // The client does not know what became of its offer.
  void OnNoAnswer(uint64_t token) { messages_.at(token).maybe = true; }

  // --- Nodes ---
  void OnApplied(NodeId node, GroupId group, const raft::CommittedEntry& entry,
                 const absl::Status& verdict);
  void OnLeading(NodeId node, GroupId group, raft::Term term);
  // A final dot of the group's mail may leave the node now, which leads in `term`; 0: it does not.
  // Its machine may hear of that later.
  void OnFenceOpens(NodeId node, GroupId group, raft::Term term);
  // The control group raised the cluster to that feature level.
  void OnLevel(uint32_t level) { level_ = std::max(level_, level); }
  // The group's state version when the entry at `index` is applied; nullopt: as far as anybody has.
  uint32_t VersionAt(GroupId group, std::optional<raft::LogIndex> index) const;
  // From now on all is well, and groups are handed over in order only.
  void OnOrder() { in_order_ = true; }
  // The final dot of a message to `recipients` is on its way out.
  void OnDot(NodeId node, uint64_t boot_id, const std::string& sender,
             const std::vector<std::string>& recipients);

  // --- Remotes ---
  // It took the message: whether anybody hears so is another thing.
  void OnTaken(const std::string& sender, const std::vector<std::string>& recipients,
               const std::string& content);

  // --- At the end ---
  // What has not come to its end yet; empty: nothing.
  std::string Unsettled() const;
  // Recipients that have not ended.
  uint64_t Open() const;
  void OnSettled(GroupId group, NodeId node, const raft::SimRows& rows);
  void OnSettled();

  uint64_t acknowledged() const { return acknowledged_; }
  uint64_t delivered() const { return delivered_; }
  uint64_t failed() const { return failed_; }
  uint64_t repeats() const { return repeats_; }
  uint64_t doubts() const { return doubts_; }

 private:
  enum class Answer { kNone, kAcknowledged, kRefused };

  struct Message {
    std::string content;
    Answer answer = Answer::kNone;
    std::vector<std::string> recipients;
    queue::QueueId queued_as;
    bool queued = false;
    bool maybe = false;  // An offer ended without an answer that its client heard.
  };
  struct Recipient {
    uint64_t token = 0;
    std::string destination;
    uint64_t taken = 0;   // By a remote.
    uint64_t doubts = 0;  // Attempts in doubt.
    queue::RecipientEnd end = queue::RecipientEnd::kOpen;
    std::set<std::string> notices;  // Ids of those that say that it failed.
  };
  struct Group {
    std::map<raft::LogIndex, uint32_t> versions;  // From that entry on.
    queue::MemoryTables tables;
    raft::LogIndex last = 0;
    // Of each entry: command and verdict, hashed.
    std::map<raft::LogIndex, uint64_t> applied;
    // Open intents.
    struct Intent {
      queue::AttemptKey attempt;
      bool in_order = false;  // Opened since OnOrder().
    };
    std::map<queue::UnitKey, Intent> intents;
    // Attempts whose outcome was recorded; true: in doubt, so that the attempt itself may still
    // tell.
    std::map<queue::AttemptKey, bool> recorded;
    NodeId leader;  // Of the newest term that was told.
    raft::Term term = 0;
    // Messages and notices, while they are alive.
    std::map<std::pair<queue::QueueId, std::string>, queue::UnitKey> units;
  };

  void Fail(const std::string& what) { reports_.fail(what); }
  void OnEvents(Group& group, const std::vector<queue::Event>& events);
  void OnRecorded(Group& group, const queue::AttemptRecorded& recorded);
  void CheckRecordedOnce(Group& group, const queue::AttemptRecorded& recorded);
  void OnAccepted(const queue::MessageAccepted& accepted);
  void OnFinal(const queue::RecipientFinal& final);
  void OnNotice(const std::string& content);
  void CheckIntent(NodeId node, uint64_t boot_id, const std::string& recipient,
                   const queue::QueueId& queue_id);
  void CheckEnd(const std::string& address, const Recipient& recipient);

  const Reports reports_;
  const queue::QueueState state_;
  uint32_t level_ = 1;
  bool in_order_ = false;
  std::map<uint64_t, Message> messages_;         // By token.
  std::map<std::string, Recipient> recipients_;  // By address.
  std::map<GroupId, Group> groups_;
  uint64_t acknowledged_ = 0;
  uint64_t delivered_ = 0;
  uint64_t failed_ = 0;
  uint64_t repeats_ = 0;
  uint64_t doubts_ = 0;
};

}  // namespace holdfast::raft_test
