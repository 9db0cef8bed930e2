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

std::vector<SpokenLevels> ClusterVerbs::SpokenByMembers(uint64_t* list_version) const {
  const std::vector<NodeRow> rows = parts_.cluster.nodes(list_version);
  return WhatMembersSpeak(AllMembers(parts_.room, rows, parts_.host.Statuses()),
                          parts_.room.beats(), parts_.self, parts_.level.build(),
                          parts_.clock.SinceBoot());
}

absl::Status ClusterVerbs::RaiseLevel(const admin::ClusterRaiseLevelRequest& request,
                                      const std::string& actor, absl::Time deadline,
                                      admin::ClusterRaiseLevelResponse* response) {
  const uint32_t before = parts_.level.agreed();
  uint64_t list_version = 0;
  const std::vector<SpokenLevels> members = SpokenByMembers(&list_version);
  response->set_before(before);
  const absl::StatusOr<uint32_t> level = ChooseLevel(before, request.level(), members);
  const bool there = request.level() == 0 || request.level() == before;
  if (there && absl::IsAlreadyExists(level.status()) && GroupsAt(before) < parts_.duties.size()) {
    // It was asked for before, and the groups are still on their way.
    response->set_level(before);
    return AwaitLevel(before, deadline, response);
  }
  HOLDFAST_RETURN_IF_ERROR(level.status());
  command::Command command;
  command::RaiseFeatureLevel& raise = *command.mutable_raise_feature_level();
  raise.set_expected_level(before);
  raise.set_level(*level);
  raise.set_actor(actor);
  raise.set_reason(request.reason());
  raise.set_expected_list_version(1 + list_version);
  raise.set_stamped_us(absl::ToUnixMicros(parts_.clock.Now()));
  HOLDFAST_RETURN_IF_ERROR(Decide(std::move(command), deadline - kAnswerTime));
  response->set_level(*level);
  return AwaitLevel(*level, deadline, response);
}

// A replica that can't be read counts as one that is behind.
size_t ClusterVerbs::GroupsAt(uint32_t level) const {
  size_t there = 0;
  for (uint32_t group = 1; group <= parts_.duties.size(); ++group) {
    const std::unique_ptr<raft::StateReader> rows = parts_.store.Reader(GroupId{group});
    const absl::StatusOr<uint32_t> version = queue::ReadStateVersion(GroupReader(*rows));
    there += version.ok() && *version >= level;
  }
  return there;
}

// As this node's replicas have it.
absl::Status ClusterVerbs::AwaitLevel(uint32_t level, absl::Time deadline,
                                      admin::ClusterRaiseLevelResponse* response) const {
  while (true) {
    const size_t there = GroupsAt(level);
    response->set_queue_groups(static_cast<uint32_t>(parts_.duties.size()));
    response->set_queue_groups_there(static_cast<uint32_t>(there));
    response->set_done(there == parts_.duties.size() && parts_.level.agreed() >= level);
    if (response->done() || parts_.clock.Now() >= deadline - kAnswerTime || stopping_.load()) {
      return absl::OkStatus();
    }
    std::this_thread::sleep_for(kLookInterval);
  }
}

}  // namespace holdfast::node
