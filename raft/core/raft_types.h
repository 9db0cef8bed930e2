// raft/core/raft_types.h
// The words that replicas of a group exchange: entries, messages, hard state, configuration,
// snapshot metadata. Plain values without behaviour, shared by core, storage, transport and host.
// Names follow the Raft thesis (Ongaro 2014); the message set is that of etcd-io/raft, so that its
// published scripts test this core.
// Threads: values. A body's bytes are shared by reference count and never change once made.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/strong_id.h"

namespace holdfast::raft {

// Plain numbers, because the algorithm does arithmetic on them all the time. 0 means "none": the
// first entry of a log has index 1, and the first election term 1.
using Term = uint64_t;
using LogIndex = uint64_t;

// "Nobody": no leader known, no vote cast.
inline constexpr NodeId kNoNode{0};
// Senders of the answers that storage work brings back (AppendTask, ApplyTask). Never a real node.
inline constexpr NodeId kAppendWorker{~uint64_t{0}};
inline constexpr NodeId kApplyWorker{~uint64_t{0} - 1};

// Stored and sent as these numbers: never reuse one.
enum class EntryType : uint8_t {
  kNormal = 0,            // A command of the state machine; empty: a new leader's first entry.
  kConfChangeSimple = 1,  // One change of one node (thesis 4.1).
  kConfChange = 2,  // Any number of changes, joint where needed (thesis 4.3); see confchange.h.
};

// A body: opaque bytes that travel with an entry. The core counts `size` against its limits and
// never reads `bytes`, which may be absent where only the log's shape matters (a header read back
// from the store); the transport fetches such bytes when it sends.
//
// Body elision: a body whose life was ended by a committed entry need not be sent any more.
// `elided_by` is then the index of that entry, in the same group, and `bytes` is absent. Who
// receives that must have applied that entry before anything reads the body.
struct Payload {
  std::shared_ptr<const std::string> bytes{};
  uint32_t size = 0;
  uint32_t crc32c = 0;
  LogIndex elided_by = 0;

  // Equal shape; two absent or equal contents are not compared byte by byte.
  friend bool operator==(const Payload& a, const Payload& b) {
    return a.size == b.size && a.crc32c == b.crc32c;
  }
};

struct Entry {
  LogIndex index = 0;
  Term term = 0;
  EntryType type = EntryType::kNormal;
  std::string command{};  // Small: what the state machine reads. Bodies are beside it.
  std::vector<Payload> bodies{};

  bool operator==(const Entry&) const = default;
};

// Bytes of what the proposer gave: command and bodies. 0 for a leader's own empty entry.
uint64_t PayloadBytes(const Entry& entry);
uint64_t PayloadBytes(const std::vector<Entry>& entries);
// Bytes that the entry takes in a message: PayloadBytes and the framing of a protobuf encoding.
uint64_t EncodedBytes(const Entry& entry);
uint64_t EncodedBytes(const std::vector<Entry>& entries);

// What a replica must remember across a restart (thesis 3.8). `commit` may lag what was known.
struct HardState {
  Term term = 0;
  NodeId vote{};
  LogIndex commit = 0;

  bool operator==(const HardState&) const = default;
  bool empty() const { return *this == HardState{}; }
};

// Who belongs to the group, as stored and as put into snapshots. `voters_outgoing` is not empty
// while the configuration is joint: then majorities of both sets are needed. `learners_next` become
// learners when the joint configuration is left.
struct ConfState {
  std::vector<NodeId> voters;
  std::vector<NodeId> learners;
  std::vector<NodeId> voters_outgoing;
  std::vector<NodeId> learners_next;
  bool auto_leave = false;

  bool operator==(const ConfState&) const = default;
  bool empty() const { return *this == ConfState{}; }
};

// The end of the log that a snapshot replaces, with the configuration there. `data` is opaque to
// the core (the host's handle on the snapshot's contents, or nothing). index 0: no snapshot.
struct Snapshot {
  LogIndex index = 0;
  Term term = 0;
  ConfState conf_state;
  std::string data;

  bool operator==(const Snapshot&) const = default;
  bool empty() const { return index == 0; }
};

enum class Role : uint8_t { kFollower = 0, kCandidate = 1, kLeader = 2, kPreCandidate = 3 };

// What may be lost at a restart. A Ready carries it when it changed.
struct SoftState {
  NodeId leader{};  // kNoNode: unknown.
  Role role = Role::kFollower;

  bool operator==(const SoftState&) const = default;
};

// Sent as these numbers between builds of different age: never reuse one.
enum class MessageType : uint8_t {
  // Of a core to itself, through AppendTask::responses: refused from peers. 1 to 15 are kept for
  // more of them.
  kAppendStored = 0,
  // Between nodes.
  kPropose = 16,
  kAppend = 17,
  kAppendResponse = 18,
  kVote = 19,
  kVoteResponse = 20,
  kSnapshot = 21,
  kHeartbeat = 22,
  kHeartbeatResponse = 23,
  kTransferLeader = 24,
  kTimeoutNow = 25,
  kReadIndex = 26,
  kReadIndexResponse = 27,
  kPreVote = 28,
  kPreVoteResponse = 29,
};
inline constexpr uint8_t kMessageTypeMax = 29;

// One message. Which fields count depends on the type:
//   kAppend              index, log_term: the entry before `entries`; commit
//   kAppendResponse      index: last matching entry; or reject with index refused, reject_hint and
//                        log_term: where the logs may still agree
//   kVote, kPreVote      index, log_term: the candidate's last entry; context: kTransferContext
//                        when a leader asked for this election
//   kHeartbeat(Response) commit; context: position of the newest read to confirm
//   kSnapshot            snapshot
//   kTransferLeader      from: the node that is to lead (a follower passes the wish on)
//   kReadIndex           context: the reader's own mark, given back in the response with index
//   kAppendStored        index, log_term: entries stored up to here; snapshot: the one installed
struct Message {
  MessageType type = MessageType::kAppendStored;
  NodeId to{};
  NodeId from{};
  Term term = 0;
  Term log_term = 0;
  LogIndex index = 0;
  LogIndex commit = 0;
  bool reject = false;
  LogIndex reject_hint = 0;
  std::string context{};
  std::vector<Entry> entries{};
  // Null for every type but kSnapshot and kAppendStored. Shared, never changed.
  std::shared_ptr<const Snapshot> snapshot{};
};

// Context of a vote request that must be heard even by those who know a live leader.
inline constexpr std::string_view kTransferContext = "CampaignTransfer";

// A read may be served once the state machine has applied `index` (thesis 6.4).
struct ReadState {
  LogIndex index = 0;
  std::string context{};

  bool operator==(const ReadState&) const = default;
};

// Types that only this node may give to its own core.
bool IsLocalMessage(MessageType type);
// Answers, which only a member of the configuration may give.
bool IsResponseMessage(MessageType type);

}  // namespace holdfast::raft
