#include "tests/sim/host_aim.h"

#include <cmath>
#include <utility>

namespace holdfast::raft_test {
namespace {

constexpr absl::Duration kAskInterval = absl::Milliseconds(20);
constexpr int kAsked = 8;

}  // namespace

HostAim::HostAim(const SimShared& shared, uint64_t seed, Cluster cluster)
    : shared_(shared), luck_(seed), cluster_(std::move(cluster)) {}

absl::Duration HostAim::UpTo(absl::Duration most) {
  return most * (static_cast<double>(luck_.Below(10'000)) / 10'000.0);
}

void HostAim::Later(absl::Duration delay, HostNode& node, std::function<void()> act) {
  shared_.loop.After(delay, [this, &node, life = node.life(), act = std::move(act)] {
    if (!cluster_.is_over() && node.running() && node.life() == life) act();
  });
}

void HostAim::Repeat(absl::Duration mean, std::function<void()> fault) {
  const absl::Duration wait = UpTo(2 * mean);
  shared_.loop.After(wait, [this, mean, fault = std::move(fault)] {
    if (cluster_.is_over()) return;
    fault();
    Repeat(mean, fault);
  });
}

void HostAim::Begin() {
  Repeat(absl::Seconds(4), [this] { Lose(); });
  Repeat(absl::Seconds(3), [this] { Betray(); });
}

void HostAim::Restart(HostNode& node, absl::Duration within) {
  node.Crash();
  const absl::Duration delay = UpTo(within);
  shared_.loop.After(delay, [this, &node] {
    if (node.may_start() && !cluster_.is_over()) node.Start();
  });
}

void HostAim::Lose() {
  HostNode& node = *cluster_.nodes[luck_.Below(cluster_.nodes.size())];
  const absl::Duration waits = UpTo(absl::Seconds(2));
  if (!node.running()) return;
  Later(waits, node, [this, &node, then = node.disk().durable()] {
    if (!cluster_.may_lose_disk(node) || node.stopping()) return;
    Restart(node, absl::Milliseconds(100));
    node.GoBackTo(then);
  });
}

void HostAim::Ask(HostNode& leader, GroupId group, int times) {
  cluster_.workload.Read(leader, group);
  if (times <= 1) return;
  Later(kAskInterval, leader, [this, &leader, group, times] { Ask(leader, group, times - 1); });
}

// The one apart must lack no entry of the one between, or that would refuse it anyway: so nobody
// proposes anything meanwhile.
void HostAim::Betray() {
  const GroupId group(static_cast<uint32_t>(luck_.Below(cluster_.queue_groups + 1)));
  const bool first = luck_.OneIn(2);
  const absl::Duration settles_for = absl::Milliseconds(200) + UpTo(absl::Milliseconds(500));
  const absl::Duration apart_for = cluster_.election + UpTo(2 * cluster_.election);
  const absl::Duration heard_for = UpTo(cluster_.election);
  HostNode* leader = cluster_.workload.Leader(group);
  if (leader == nullptr) return;
  std::vector<HostNode*> others;
  for (const NodeId voter : leader->host().Status(group)->voters) {
    HostNode& node = *cluster_.nodes[voter.value() - 1];
    if (&node != leader && node.running()) others.push_back(&node);
  }
  if (others.size() != 2) return;
  HostNode& between = *others[first ? 0 : 1];
  HostNode& apart = *others[first ? 1 : 0];
  const absl::Duration asks_at = settles_for + apart_for;
  const absl::Duration restarts_at = asks_at + kAsked * kAskInterval;
  const absl::Duration over_at = restarts_at + 2 * cluster_.election;
  cluster_.workload.Hush(group, shared_.loop.now() + over_at);
  Later(settles_for, *leader, [this, leader, &apart] {
    cluster_.network.Mend();
    CutBoth(*leader, apart);
  });
  Later(asks_at, *leader, [this, leader, group] { Ask(*leader, group, kAsked); });
  Later(restarts_at, between, [this, leader, &between, heard_for] {
    if (between.stopping()) return;
    shared_.trace.Note("betrays", {leader->id().value(), between.id().value()});
    Restart(between, absl::Milliseconds(10));
    Later(heard_for, *leader, [this, leader, &between] { CutBoth(*leader, between); });
  });
  shared_.loop.After(over_at, [this] { cluster_.network.Mend(); });
}

void HostAim::CutBoth(const HostNode& a, const HostNode& b) {
  cluster_.network.Cut(a.id(), b.id());
  cluster_.network.Cut(b.id(), a.id());
}

}  // namespace holdfast::raft_test
