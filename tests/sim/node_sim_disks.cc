// Disks that are emptied or bad, and clocks that drift: each with luck of its own, so that the
// seeds that have none of them keep their stories.
#include <vector>

#include "tests/sim/members_look.h"
#include "tests/sim/node_sim.h"

namespace holdfast::raft_test {

// With luck of its own, as DrawMembers().
void NodeSim::DrawWipes() {
  if (options_.seed < NodeSimOptions::kWipesFromSeed) return;
  const bool drawn = members_change_ ? !wipe_luck_.OneIn(4) : wipe_luck_.OneIn(2);
  if (!drawn) return;
  weather_.wipe = absl::Milliseconds(static_cast<int64_t>(wipe_luck_.Between(2000, 12'000)));
}

void NodeSim::WipeOne() {
  HostNode* const node = ToLose(wipe_luck_);
  if (node == nullptr) return;
  node->Wipe();
  ++spoiled_.wiped;
  if (members_ != nullptr) members_->OnWiped(node->id());
}

// From 0.1 to 5 percent, each fast or slow. A lease lasts four fifths of what it may, less a tick,
// so one clock may be a quarter faster than another. Nodes that come later go right.
void NodeSim::DriftClocks() {
  for (const auto& node : nodes_) {
    const double by = static_cast<double>(clock_luck_.Between(10, 500)) / 10'000.0;
    const bool fast = clock_luck_.OneIn(2);
    trace_.Note("drifts", {node->id().value(), fast, static_cast<uint64_t>(by * 10'000)});
    node->SetClockRate(fast ? 1 + by : 1 - by);
    ++spoiled_.drifting;
  }
}

// With luck of its own, as DrawMembers().
void NodeSim::DrawBadDisks() {
  if (options_.seed < NodeSimOptions::kBadDisksFromSeed || !disk_luck_.OneIn(2)) return;
  const auto between = [this](uint64_t low_ms, uint64_t high_ms) {
    return absl::Milliseconds(static_cast<int64_t>(disk_luck_.Between(low_ms, high_ms)));
  };
  weather_.flip = between(300, 3000);
  weather_.sync = between(3000, 30'000);
  if (disk_luck_.OneIn(2)) weather_.decay = between(3000, 20'000);
  if (disk_luck_.OneIn(2)) weather_.die = between(3000, 20'000);
}

bool NodeSim::MayLose(const HostNode& node) const {
  if (members_ != nullptr) return members_->MayLose(node.id());
  return MembersLook{loop_, nodes_, nullptr, 0}.MayLose(node.id(),
                                                        {voters_.begin(), voters_.end()});
}

HostNode* NodeSim::ToLose(Random& luck) {
  std::vector<HostNode*> fit;
  for (const auto& node : nodes_) {
    if (!node->retired() && !node->damaged() && MayLose(*node)) fit.push_back(node.get());
  }
  return fit.empty() ? nullptr : fit[luck.Below(fit.size())];
}

void NodeSim::BeginBadDisks() {
  RepeatBy(disk_luck_, weather_.flip, [this] {
    HostNode* const node = ToLose(disk_luck_);
    if (node != nullptr && node->DamageBody(disk_luck_)) ++spoiled_.flipped_bodies;
  });
  // Found at its next start, which may be now.
  RepeatBy(disk_luck_, weather_.decay, [this] {
    HostNode* const node = ToLose(disk_luck_);
    if (node == nullptr) return;
    ++spoiled_.damaged_stores;
    node->DamageStore(GroupId(static_cast<uint32_t>(disk_luck_.Below(cluster_->queue_groups + 1))));
    if (disk_luck_.OneIn(2)) node->EndDoomed();
  });
  RepeatBy(disk_luck_, weather_.sync, [this] {
    HostNode& node = *nodes_[disk_luck_.Below(nodes_.size())];
    if (!node.damaged()) {
      ++spoiled_.failed_syncs;
      node.disk().FailSyncs(/*for_good=*/false);
    }
    StartLater(node);  // If it is down by then.
  });
  RepeatBy(disk_luck_, weather_.die, [this] {
    HostNode* const node = ToLose(disk_luck_);
    if (node == nullptr) return;
    ++spoiled_.dead_disks;
    node->SpoilSyncs();
  });
}

}  // namespace holdfast::raft_test
