#include "tests/sim/mail_levels.h"

#include <algorithm>

#include "base/text.h"
#include "node/cluster/level_choice.h"
#include "proto/command.pb.h"

namespace holdfast::raft_test {
namespace {

// A build counts as told after so long: the life before may take a moment to stop, a beat may be a
// pause (3 s) and a call's time (3 s) old when it is heard, and counts for kSilentAfter then.
constexpr absl::Duration kKnownAfter = absl::Seconds(13);
constexpr absl::Duration kDownMax = absl::Milliseconds(1500);
constexpr absl::Duration kEntryUnderWay = absl::Milliseconds(500);
constexpr absl::Duration kBeforeItTells = absl::Milliseconds(80);
constexpr absl::Duration kAskAgain = absl::Seconds(1);

}  // namespace

MailLevels::MailLevels(const SimShared& shared, uint64_t seed, MailChecker& checker,
                       std::vector<std::unique_ptr<HostNode>>& nodes, node::NodeMutation mutation)
    : shared_(shared),
      luck_(seed),
      checker_(checker),
      nodes_(nodes),
      mutation_(mutation),
      newest_(static_cast<uint32_t>(luck_.Between(2, 4))) {
  // Half of the clusters are upgraded already and wait to be raised.
  const bool upgraded = luck_.OneIn(2);
  const bool mixed = luck_.OneIn(2);
  for (const auto& node : nodes_) {
    const uint32_t level = upgraded ? newest_
                           : mixed  ? static_cast<uint32_t>(luck_.Between(1, newest_))
                                    : 1;
    builds_[node->id()] = {level, absl::ZeroDuration()};
  }
}

// A machine that comes later gets what is on the shelf: mostly the newest build that is in use.
MailLevels::Build& MailLevels::BuildOf(NodeId node) {
  const auto found = builds_.find(node);
  if (found != builds_.end()) return found->second;
  Build build{1, shared_.loop.now()};
  for (const auto& [other, installed] : builds_)
    build.level = std::max(build.level, installed.level);
  if (!finished_ && build.level > 1 && luck_.OneIn(4)) --build.level;
  return builds_.emplace(node, build).first->second;
}

node::LevelRange MailLevels::SpokenBy(NodeId node) { return {1, BuildOf(node).level}; }

HostNode* MailLevels::AnyRunning() {
  std::vector<HostNode*> running;
  for (const auto& node : nodes_) {
    if (node->running() && !node->stopping() && !node->dying()) running.push_back(node.get());
  }
  return running.empty() ? nullptr : running[luck_.Below(running.size())];
}

uint32_t MailLevels::Agreed() const {
  uint32_t agreed = node::kFirstFeatureLevel;
  for (const auto& node : nodes_) {
    if (node->running()) agreed = std::max(agreed, Mail(*node).level().agreed());
  }
  return agreed;
}

void MailLevels::Act() {
  if (luck_.OneIn(6)) return RaiseBehindABack();
  if (luck_.OneIn(3)) return Raise();
  InstallSome();
}

// Mostly a newer one, rather where it is needed. A mistake leaves no second node unable to start.
void MailLevels::InstallSome() {
  const uint32_t agreed = Agreed();
  std::vector<HostNode*> fit;
  std::vector<HostNode*> left_behind;
  for (const auto& node : nodes_) {
    if (node->retired() || node->lost()) continue;
    fit.push_back(node.get());
    if (BuildOf(node->id()).level < agreed) left_behind.push_back(node.get());
  }
  if (fit.empty()) return;
  const bool mistake = luck_.OneIn(6) && left_behind.empty();
  const std::vector<HostNode*>& choice =
      !left_behind.empty() && !luck_.OneIn(4) ? left_behind : fit;
  HostNode& node = *choice[luck_.Below(choice.size())];
  const uint32_t level = BuildOf(node.id()).level;
  if (mistake && level > 1) return Install(node, level - 1);
  if (level < newest_) Install(node, level + 1);
}

void MailLevels::Install(HostNode& node, uint32_t level) {
  shared_.trace.Note("installs", {node.id().value(), level});
  BuildOf(node.id()) = {level, shared_.loop.now()};
  ++installs_;
  if (node.running() && !node.stopping()) {
    if (luck_.OneIn(2)) {
      node.Crash();
    } else {
      node.StopInOrder();
    }
  }
  StartSoon(node);
}

void MailLevels::StartSoon(HostNode& node) {
  const double share = static_cast<double>(luck_.Below(1000)) / 1000.0;
  shared_.loop.After(kDownMax * share, [this, &node] {
    if (node.stopping()) return StartSoon(node);
    if (node.may_start()) node.Start();
  });
}

void MailLevels::Raise() {
  const size_t first = luck_.Below(nodes_.size());
  for (size_t i = 0; i < nodes_.size(); ++i) {
    HostNode& asked = *nodes_[(first + i) % nodes_.size()];
    if (!asked.running() || asked.stopping() || !RaiseAt(asked)) continue;
    if (!finished_ && luck_.OneIn(2)) GoBackSoon();
    return;
  }
}

// A node starts again with an older build, and the cluster is raised before it can tell: it is
// connected, and meets the entry.
void MailLevels::RaiseBehindABack() {
  HostNode* const asked = AnyRunning();
  HostNode* const other = AnyRunning();
  if (asked == other || BuildOf(other->id()).level == 1 || !ChoiceAt(*asked, 0).ok()) return;
  BuildOf(other->id()) = {BuildOf(other->id()).level - 1, shared_.loop.now()};
  ++installs_;
  other->Crash();
  shared_.trace.Note("goes back", {other->id().value(), BuildOf(other->id()).level});
  if (!other->Start()) return;
  const double share = static_cast<double>(luck_.Below(1000)) / 1000.0;
  shared_.loop.After(kBeforeItTells * share, [this, asked] {
    if (asked->running() && !asked->stopping()) RaiseAt(*asked);
  });
}

absl::StatusOr<uint32_t> MailLevels::ChoiceAt(HostNode& asked, uint32_t wanted) {
  return node::ChooseLevel(Mail(asked).level().agreed(), wanted, Mail(asked).WhatMembersSpeak());
}

// Somebody has the wrong package ready just when the entry is on its way, and the node is slow: it
// has the entry in its log, and not applied, when the older build starts.
void MailLevels::GoBackSoon() {
  HostNode* const node = AnyRunning();
  if (node == nullptr || node->pace().apply_max >= kEntryUnderWay * 2) return;
  const absl::Duration usual = node->pace().apply_max;
  node->pace().apply_max = kEntryUnderWay * 2;
  const double share = static_cast<double>(luck_.Below(1000)) / 1000.0;
  shared_.loop.After(kEntryUnderWay * share, [this, node, usual] {
    if (finished_) return;
    node->pace().apply_max = usual;
    const uint32_t level = BuildOf(node->id()).level;
    if (level == 1 || !node->running()) return;
    node->Crash();
    Install(*node, level - 1);
  });
}

// As ClusterVerbs::RaiseLevel().
bool MailLevels::RaiseAt(HostNode& asked) {
  MailNode& mail = Mail(asked);
  const uint32_t agreed = mail.level().agreed();
  absl::StatusOr<uint32_t> level = ChoiceAt(asked, luck_.OneIn(3) ? agreed + 1 : 0);
  if (mutation_ == node::NodeMutation::kRaiseUnasked) level = newest_;
  if (!level.ok()) {
    refusals_ += absl::IsFailedPrecondition(level.status());
    return false;
  }
  CheckAllSpeak(asked, *level);
  command::Command command;
  command::RaiseFeatureLevel& raise = *command.mutable_raise_feature_level();
  raise.set_expected_level(agreed);
  raise.set_level(*level);
  raise.set_actor("operator");
  uint64_t list_version = 0;
  (void)mail.members(&list_version);
  raise.set_expected_list_version(1 + list_version);
  shared_.trace.Note("raises", {asked.id().value(), *level});
  mail.Decide(std::move(command),
              [this](const absl::Status& status) { raises_ += status.ok() && !finished_; });
  asked.AfterCall();
  return true;
}

void MailLevels::CheckAllSpeak(HostNode& asked, uint32_t level) {
  for (const NodeId member : Mail(asked).AllMembers()) {
    if (member.value() > nodes_.size()) continue;  // It has not begun.
    const HostNode& node = *nodes_.at(member.value() - 1);
    const Build& build = BuildOf(member);
    if (node.retired() || build.level >= level || shared_.loop.now() - build.since < kKnownAfter) {
      continue;
    }
    shared_.checker.Fail(
        format("node {} raises the cluster to level {}, and the build of node {} "
               "has spoken {} for {}",
               asked.id().value(), level, member.value(), build.level,
               absl::FormatDuration(shared_.loop.now() - build.since)));
  }
}

void MailLevels::Finish() {
  finished_ = true;
  for (const auto& node : nodes_) {
    if (node->retired() || node->lost() || BuildOf(node->id()).level == newest_) continue;
    if (node->running()) node->Crash();
    BuildOf(node->id()) = {newest_, shared_.loop.now()};
  }
  for (auto& [node, build] : builds_) build.level = newest_;
  RaiseAgain();
}

void MailLevels::RaiseAgain() {
  if (Agreed() == newest_) return;
  Raise();
  shared_.loop.After(kAskAgain, [this] { RaiseAgain(); });
}

bool MailLevels::Apart(NodeId from, NodeId to) {
  const bool from_is_one = from < to;
  HostNode& one = *nodes_.at(std::min(from, to).value() - 1);
  HostNode& other = *nodes_.at(std::max(from, to).value() - 1);
  if (!one.running() || !other.running()) return false;
  const std::pair<uint64_t, uint64_t> lives{one.life(), other.life()};
  const auto made = connected_.find({one.id(), other.id()});
  const node::FeatureLevel& here = Mail(one).level();
  const node::FeatureLevel& there = Mail(other).level();
  if (made != connected_.end() && made->second == lives) {
    // Nothing is heard of who does not speak what was agreed since.
    return !(from_is_one ? there.CheckPeer(one.id(), here.build())
                         : here.CheckPeer(other.id(), there.build()))
                .ok();
  }
  if (!here.CheckPeer(other.id(), there.build()).ok() ||
      !there.CheckPeer(one.id(), here.build()).ok()) {
    return true;
  }
  connected_[{one.id(), other.id()}] = lives;
  return false;
}

// Whoever is lost and was not taken out yet might speak anything, so the level stays where it is.
uint32_t MailLevels::Wanted() const {
  for (const auto& node : nodes_) {
    if (!node->running()) continue;
    for (const NodeId member : Mail(*node).AllMembers()) {
      const bool begun = member.value() <= nodes_.size();
      if (!begun || !nodes_[member.value() - 1]->running()) return Agreed();
    }
  }
  return newest_;
}

std::string MailLevels::Unsettled() const {
  std::string all;
  const uint32_t wanted = Wanted();
  for (const auto& node : nodes_) {
    if (!node->running()) continue;
    const uint32_t agreed = Mail(*node).level().agreed();
    if (agreed == wanted) continue;
    all += format("\n  node {} is at level {}, not {}", node->id().value(), agreed, wanted);
  }
  for (const GroupId group : nodes_.front()->groups()) {
    if (group == kControlGroup) continue;
    const uint32_t version = checker_.VersionAt(group, std::nullopt);
    if (version == wanted) continue;
    all += format("\n  group {} is at state version {}, not {}", group.value(), version, wanted);
  }
  return all;
}

}  // namespace holdfast::raft_test
