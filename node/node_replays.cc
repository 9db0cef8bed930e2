#include "node/node_replays.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "node/replay/find_replay.h"

namespace holdfast::node {
namespace {

using Rows = std::vector<std::unique_ptr<raft::StateReader>>;

ReplayGuard::Parts GuardParts(const NodeReplayParts& parts) {
  auto rows = std::make_shared<Rows>();  // Of queue group i + 1.
  for (uint32_t group = 1; group <= parts.queue_groups; ++group) {
    rows->push_back(parts.store.Reader(GroupId{group}));
  }
  return {parts.propose,
          parts.leader_of,
          [parts](GroupId group, raft::ReadCallback done, raft::PointCallback confirmed) {
            // Rows are read after it: not on the raft context, which answers reads.
            parts.host.Read(
                group,
                [parts, done = std::move(done)](const auto& point) {
                  parts.apply_context.Post([done, point] { done(point); });
                },
                std::move(confirmed));
          },
          [parts] { return parts.health.MayStamp().ok(); },
          [parts, rows](GroupId group, std::string_view sha256) {
            return FindReplay(*rows, group, sha256, parts.clock.Now());
          },
          [parts](GroupId group) {
            const std::optional<raft::GroupStatus> status = parts.host.Status(group);
            return status ? status->applied : raft::LogIndex{};
          },
          [parts](std::function<void()> look) { parts.apply_context.Post(std::move(look)); },
          [parts](NodeId to, std::string request, absl::Duration timeout, auto done) {
            parts.room.Call(to, std::move(request), timeout, std::move(done));
          },
          [parts] { return parts.room.peers(); },
          [parts] { parts.room.BeatSoon(); },
          parts.policy,
          parts.clock};
}

}  // namespace

std::unique_ptr<ReplayGuard> MakeReplays(const NodeReplayParts& parts) {
  ReplayGuardOptions options;
  options.questions.self = parts.settings.node_id;
  options.questions.queue_groups = parts.queue_groups;
  // The rest is for the proposal that comes after it.
  options.questions.timeout = parts.settings.timing.commit_timeout / 2;
  auto guard = std::make_unique<ReplayGuard>(GuardParts(parts), options);
  parts.room.gate().Listen(*guard);
  return guard;
}

}  // namespace holdfast::node
