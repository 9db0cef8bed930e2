#include "tests/sim/mail_faults.h"

#include <utility>

namespace holdfast::raft_test {
namespace {

// An apply takes up to so long: longer than another node needs to be elected where it is asked to.
constexpr absl::Duration kLag = absl::Milliseconds(800);

}  // namespace

MailFaults::MailFaults(const SimShared& shared, std::vector<HostNode*> nodes, uint64_t seed)
    : shared_(shared), nodes_(std::move(nodes)), luck_(seed), pause_max_(Between(500, 5000)) {}

absl::Duration MailFaults::Between(uint64_t low_ms, uint64_t high_ms) {
  return absl::Milliseconds(static_cast<int64_t>(luck_.Between(low_ms, high_ms)));
}

void MailFaults::Later(absl::Duration after, HostNode& node, std::function<void()> act) {
  shared_.loop.After(after, [this, &node, life = node.life(), act = std::move(act)] {
    if (!ended_ && node.life() == life) act();
  });
}

void MailFaults::Begin() {
  if (luck_.OneIn(2)) Arm();
}

void MailFaults::Arm() {
  const auto most = static_cast<uint64_t>(absl::ToInt64Milliseconds(pause_max_));
  shared_.loop.After(Between(most / 4, most), [this] {
    if (ended_) return;
    armed_ = true;
    Arm();
  });
}

void MailFaults::OnIntent(HostNode& node, GroupId group) {
  if (ended_ || !std::exchange(armed_, false)) return;
  shared_.trace.Note("aims", {node.id().value(), group.value()});
  // By then it is proposed, and by far not committed yet.
  Later(absl::Milliseconds(3), node, [this, &node] { Lag(node); });
  Later(Between(5, 100), node, [this, &node, group] { TakeLeadership(node, group); });
}

void MailFaults::Lag(HostNode& node) {
  const absl::Duration usual = node.pace().apply_max;
  if (usual >= kLag) return;
  node.pace().apply_max = kLag;
  shared_.loop.After(absl::Seconds(1), [this, &node, usual] {
    if (!ended_) node.pace().apply_max = usual;
  });
}

// As Raft alone would, which waits for nothing; or the node is stopped and the others wait no
// longer.
void MailFaults::TakeLeadership(HostNode& node, GroupId group) {
  const HostNode& other = *nodes_[luck_.Below(nodes_.size())];
  if (luck_.OneIn(4)) return node.PauseUntil(shared_.loop.now() + Between(1000, 3000));
  if (other.id() == node.id() || !other.running()) return;
  shared_.trace.Note("takes", {node.id().value(), group.value(), other.id().value()});
  node.host().TransferLeadership(group, other.id());
}

}  // namespace holdfast::raft_test
