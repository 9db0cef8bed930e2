#include "tests/sim/host_aim.h"

#include <optional>
#include <utility>

namespace holdfast::raft_test {
namespace {

constexpr absl::Duration kLoseMean = absl::Seconds(3);
constexpr absl::Duration kBetrayMean = absl::Seconds(2);
// Messages may take 200 ms, and the last confirmation should come just before the restart.
constexpr absl::Duration kAskInterval = absl::Milliseconds(20);
constexpr int kAsked = 15;

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
  const uint64_t kind = luck_.Below(3);
  if (kind != 0) Repeat(kLoseMean, [this] { Lose(); });
  if (kind != 1) Repeat(kBetrayMean, [this] { Betray(); });
}

void HostAim::Restart(HostNode& node, absl::Duration within, std::function<void()> started) {
  node.Crash();
  shared_.loop.After(UpTo(within), [this, &node, started = std::move(started)] {
    if (!node.may_start() || cluster_.is_over()) return;
    if (node.Start() && started) started();
  });
}

void HostAim::Lose() {
  HostNode& node = *cluster_.nodes[luck_.Below(cluster_.nodes.size())];
  const absl::Duration waits = UpTo(absl::Seconds(2));
  if (!node.running() || node.damaged()) return;
  Later(waits, node, [this, &node, then = node.disk().durable()] {
    if (node.damaged() || node.stopping() || !cluster_.may_lose_disk(node)) return;
    // A disk is lost once in a seed, or twice: not where nobody could tell.
    const std::optional<NodeId> knower = cluster_.greetings.Knower(
        node, [&then](GroupId group) { return then.groups.at(group).record; });
    if (!knower) return;
    ++made_;
    Restart(node, absl::Milliseconds(100), nullptr);
    node.GoBackTo(then);
  });
}

void HostAim::Ask(HostNode& leader, GroupId group, int times) {
  cluster_.workload.Read(leader, group);
  if (times <= 1) return;
  Later(kAskInterval, leader, [this, &leader, group, times] { Ask(leader, group, times - 1); });
}

HostAim::Cast HostAim::Choose(GroupId group, bool swapped) const {
  HostNode* leader = cluster_.workload.Leader(group);
  if (leader == nullptr) return {};
  const std::optional<raft::GroupStatus> status = leader->host().Status(group);
  if (!status) return {};
  std::vector<HostNode*> others;
  for (const NodeId voter : status->voters) {
    HostNode& node = *cluster_.nodes[voter.value() - 1];
    if (&node != leader && node.running()) others.push_back(&node);
  }
  if (others.size() != 2) return {};
  if (swapped) std::swap(others[0], others[1]);
  return {group, leader, others[0], others[1]};
}

void HostAim::Betray() {
  if (shared_.loop.now() < betrays_until_) return;
  const GroupId group(static_cast<uint32_t>(luck_.Below(cluster_.queue_groups + 1)));
  const Cast cast = Choose(group, luck_.OneIn(2));
  const absl::Duration settles_for = absl::Milliseconds(200) + UpTo(absl::Milliseconds(500));
  // It stands for election after one timeout to two; the restart should come just before.
  const absl::Duration apart_for = 0.9 * cluster_.election + UpTo(0.4 * cluster_.election);
  if (cast.leader == nullptr) return;
  const absl::Duration turns_at = settles_for + apart_for;
  const absl::Duration over_at = turns_at + 2 * cluster_.election;
  betrays_until_ = shared_.loop.now() + over_at;
  // The one apart must lack no entry of the one between, or that would refuse it anyway: so nobody
  // proposes anything meanwhile.
  cluster_.workload.Hush(group, betrays_until_);
  Later(settles_for, *cast.leader, [this, cast] {
    cluster_.network.Mend();
    CutBoth(*cast.leader, *cast.apart);
  });
  Later(turns_at - kAsked * kAskInterval, *cast.leader,
        [this, cast] { Ask(*cast.leader, cast.group, kAsked); });
  Later(turns_at, *cast.between, [this, cast] { Turn(cast); });
  shared_.loop.After(over_at, [this] { cluster_.network.Mend(); });
}

// Who has restarted hears nothing before all have greeted it, and no candidate once it has heard
// its leader: the link to that one breaks between the two.
void HostAim::Turn(const Cast& cast) {
  if (cast.between->stopping()) return;
  ++made_;
  shared_.trace.Note("betrays", {cast.leader->id().value(), cast.between->id().value()});
  Restart(*cast.between, absl::Milliseconds(10), [this, cast] {
    cluster_.greetings.MeetNow(*cast.between, *cast.leader);
    CutBoth(*cast.leader, *cast.between);
    cluster_.greetings.MeetNow(*cast.between, *cast.apart);
  });
}

void HostAim::CutBoth(const HostNode& a, const HostNode& b) {
  cluster_.network.Cut(a.id(), b.id());
  cluster_.network.Cut(b.id(), a.id());
}

}  // namespace holdfast::raft_test
