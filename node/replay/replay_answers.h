// node/replay/replay_answers.h
// Answers DidYouSee (proto/peer_call.proto), whoever asks: what this node knows of its own
// submissions first, then for each group that it leads what the rows say after a read index. In
// this order a submission that is decided meanwhile is in one of the two.
//
// A leader whose disk is slow applies late what the others have committed and applied long since.
// It need not be waited for: once a majority has confirmed a read, its point is as good an answer,
// for the asker has rows of its own.
//
// Threads:  any; `done` runs where the last read is answered, or inside.
// Lifetime: what the parts refer to outlives the host's Stop(), which answers all reads.
// Limits:   a group that is slow to confirm its leader holds the others up: HurryReplays ends that.
//           kFingerprintsPerQuestionMax rows are read for each group, in the apply context.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/strong_id.h"
#include "node/replay/recent_submissions.h"
#include "proto/peer_call.pb.h"
#include "queue/state/queue_types.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

struct ReplayAnswerParts {
  std::function<RecentSubmissions::Knowledge(const std::string& sha256)> own;
  // GroupHost::Read().
  std::function<void(GroupId, raft::ReadCallback, raft::PointCallback)> read;
  // queue::FindUnconfirmed() in the group's rows here.
  std::function<absl::StatusOr<std::optional<queue::QueueId>>(GroupId, std::string_view sha256)>
      find;
};

enum class ReplayHurry {
  kConfirmed,  // Only if each group has answered or knows its point.
  kNow,        // Without the groups that have not spoken yet.
};
// Answers without waiting any longer, unless it has answered; any thread. Whether it has by now.
using HurryReplays = std::function<bool(ReplayHurry)>;

HurryReplays AnswerReplays(const ReplayAnswerParts& parts, peer_call::DidYouSee asked,
                           std::function<void(peer_call::DidYouSee)> done);

}  // namespace holdfast::node
