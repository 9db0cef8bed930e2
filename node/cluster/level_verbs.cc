// The verb of ClusterVerbs that raises the cluster's feature level.
#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

#include "node/cluster/cluster_verbs.h"
#include "node/cluster/level_choice.h"
#include "node/groups/group_tables.h"
#include "queue/state/rows.h"

namespace holdfast::node {
namespace {

constexpr std::chrono::milliseconds kLookInterval(50);
constexpr absl::Duration kAnswerTime = absl::Milliseconds(500);

}  // namespace

absl::Status ClusterVerbs::RaiseLevel(const admin::ClusterRaiseLevelRequest& request,
                                      const std::string& actor, absl::Time deadline,
                                      admin::ClusterRaiseLevelResponse* response) {
  const uint32_t before = parts_.level.agreed();
  HOLDFAST_ASSIGN_OR_RETURN(
      const uint32_t level,
      ChooseLevel(before, request.level(),
                  WhatMembersSpeak(parts_.room, parts_.self, parts_.level.build(),
                                   parts_.clock.SinceBoot())));
  command::Command command;
  command::RaiseFeatureLevel& raise = *command.mutable_raise_feature_level();
  raise.set_expected_level(before);
  raise.set_level(level);
  raise.set_actor(actor);
  raise.set_reason(request.reason());
  raise.set_stamped_us(absl::ToUnixMicros(parts_.clock.Now()));
  HOLDFAST_RETURN_IF_ERROR(Decide(std::move(command), deadline - kAnswerTime));
  response->set_before(before);
  response->set_level(level);
  return AwaitLevel(level, deadline, response);
}

// As this node's replicas have it.
absl::Status ClusterVerbs::AwaitLevel(uint32_t level, absl::Time deadline,
                                      admin::ClusterRaiseLevelResponse* response) const {
  while (true) {
    uint32_t there = 0;
    for (uint32_t group = 1; group <= parts_.duties.size(); ++group) {
      const std::unique_ptr<raft::StateReader> rows = parts_.store.Reader(GroupId{group});
      HOLDFAST_ASSIGN_OR_RETURN(const uint32_t version,
                                queue::ReadStateVersion(GroupReader(*rows)));
      there += version >= level;
    }
    response->set_queue_groups(static_cast<uint32_t>(parts_.duties.size()));
    response->set_queue_groups_there(there);
    response->set_done(there == parts_.duties.size() && parts_.level.agreed() >= level);
    if (response->done() || parts_.clock.Now() >= deadline - kAnswerTime || stopping_.load()) {
      return absl::OkStatus();
    }
    std::this_thread::sleep_for(kLookInterval);
  }
}

}  // namespace holdfast::node
