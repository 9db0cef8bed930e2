// Linearizable reads without writing to the log (thesis 6.4).
#include <algorithm>
#include <utility>

#include "raft/core/core_impl.h"

namespace holdfast::raft {
namespace {

constexpr size_t kContextBytes = 8;

}  // namespace

std::string ReadQueue::HeartbeatContext() const {
  std::string context;
  if (waiting_.empty()) return context;
  const uint64_t newest = confirmed_ + waiting_.size();
  for (size_t i = 0; i < kContextBytes; ++i) {
    context.push_back(static_cast<char>(newest >> (i * 8)));
  }
  return context;
}

void ReadQueue::Acknowledge(NodeId from, std::string_view context) {
  if (context.size() != kContextBytes) return;
  uint64_t number = 0;
  for (size_t i = kContextBytes; i > 0; --i) {
    number = number << 8 | static_cast<unsigned char>(context[i - 1]);
  }
  uint64_t& known = acknowledged_[from];
  known = std::max(known, number);
}

std::vector<ReadQueue::Read> ReadQueue::TakeConfirmed(const JointQuorum& voters) {
  const uint64_t all = confirmed_ + waiting_.size();
  std::vector<Read> confirmed;
  for (const uint64_t to = std::min(voters.Committed(acknowledged_), all); confirmed_ < to;
       ++confirmed_) {
    confirmed.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return confirmed;
}

absl::Status RaftCore::Impl::ReadIndex(NodeId reader, std::string context) {
  if (!leading()) {
    if (leader == kNoNode) {
      return MakeStatus(absl::StatusCode::kFailedPrecondition, "no leader known");
    }
    Send({.type = MessageType::kReadIndex, .to = leader, .context = std::move(context)});
    return absl::OkStatus();
  }
  if (reads_.waiting() + early_reads_.size() >= options.pending_reads_max) {
    return MakeStatus(absl::StatusCode::kResourceExhausted, "pending_reads_max is {}",
                      options.pending_reads_max);
  }
  // Until an entry of our own term is committed, our commit index may lag behind what a former
  // leader (or we ourselves, before a restart) have promised. True of a single voter too.
  if (!CommittedInOwnTerm()) {
    early_reads_.push_back({reader, std::move(context), 0});
  } else {
    StartRead(reader, std::move(context));
  }
  return absl::OkStatus();
}

void RaftCore::Impl::StartRead(NodeId reader, std::string context) {
  const bool alone = members.config.voters.All() == NodeSet{id};
  if (alone || options.read_mode == ReadMode::kLease) {
    AnswerRead(reader, std::move(context), log.committed());
    return;
  }
  reads_.Add({reader, std::move(context), log.committed()});
  reads_.Acknowledge(id, reads_.HeartbeatContext());
  BroadcastHeartbeat();
}

void RaftCore::Impl::ReleaseEarlyReads() {
  if (early_reads_.empty() || !CommittedInOwnTerm()) return;
  for (ReadQueue::Read& read : std::exchange(early_reads_, {})) {
    StartRead(read.reader, std::move(read.context));
  }
}

void RaftCore::Impl::AnswerRead(NodeId reader, std::string context, LogIndex index) {
  if (reader == id) {
    read_states_.push_back({index, std::move(context)});
  } else {
    Send({.type = MessageType::kReadIndexResponse,
          .to = reader,
          .index = index,
          .context = std::move(context)});
  }
}

void RaftCore::Impl::ConfirmReads(const Message& heartbeat_response) {
  if (options.read_mode != ReadMode::kQuorum || heartbeat_response.context.empty()) return;
  reads_.Acknowledge(heartbeat_response.from, heartbeat_response.context);
  for (ReadQueue::Read& read : reads_.TakeConfirmed(members.config.voters)) {
    AnswerRead(read.reader, std::move(read.context), read.index);
  }
}

}  // namespace holdfast::raft
