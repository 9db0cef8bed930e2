// node/delivery/notice_writer.h
// NoticeWriter makes the notices that an event causes: who is told (queue/dsn/notice_rules.h), what
// it says (queue/dsn/report.h), and the Enqueue that becomes part of the causing command.
// Threads:  owned by the apply context. It reads the original's first body from the store: at most
//           one piece for each event that causes a notice.
// Lifetime: store and ids outlive it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/strong_id.h"
#include "node/control/policy.h"
#include "proto/command.pb.h"
#include "queue/dsn/notice_rules.h"
#include "queue/queue_view.h"
#include "raft/storage/store.h"

namespace holdfast::node {

struct MadeNotice {
  // first_body_ordinal is left to whoever puts several into one entry.
  command::Enqueue enqueue;
  std::shared_ptr<const std::string> body;
};

// What is said of one recipient.
struct NoticeFact {
  uint32_t recipient = 0;
  queue::NoticeCause cause = queue::NoticeCause::kFailed;
  uint32_t code = 0;
  std::string enhanced;
  std::string text;
  std::string remote;
  absl::Time last_attempt = absl::InfinitePast();
  bool expired = false;
};

class NoticeWriter {
 public:
  NoticeWriter(const raft::Store& store, GroupId group, std::string hostname,
               std::function<std::string()> next_queue_id)
      : store_(store),
        group_(group),
        hostname_(std::move(hostname)),
        next_queue_id_(std::move(next_queue_id)) {}

  std::vector<MadeNotice> Make(const queue::MessageView& message,
                               const std::vector<NoticeFact>& facts, const PolicySnapshot& policy,
                               absl::Time now) const;

 private:
  struct Original {
    std::string content;
    bool full = false;
  };
  Original ReadOriginal(const queue::MessageView& message, queue::NoticeKind kind,
                        const PolicySnapshot& policy) const;
  std::optional<MadeNotice> MakeOne(const queue::MessageView& message,
                                    const queue::PlannedNotice& plan,
                                    const std::vector<NoticeFact>& facts,
                                    const PolicySnapshot& policy, absl::Time now) const;

  const raft::Store& store_;
  const GroupId group_;
  const std::string hostname_;
  const std::function<std::string()> next_queue_id_;
};

}  // namespace holdfast::node
