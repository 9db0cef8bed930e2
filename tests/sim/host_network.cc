#include "tests/sim/host_network.h"

#include <iterator>

namespace holdfast::raft_test {

absl::Duration HostNetwork::UpTo(absl::Duration most) {
  return most * (static_cast<double>(shared_.luck.Below(10'000)) / 10'000.0);
}

void HostNetwork::Send(HostNode& from, NodeId to, GroupId group, raft::Message message) {
  Sent sent{from.id(), from.life(), to, group, std::move(message)};
  shared_.loop.After(UpTo(weather_.queue_max),
                     [this, sent = std::move(sent)]() mutable { Leave(std::move(sent)); });
}

void HostNetwork::Leave(Sent sent) {
  HostNode& from = *nodes_.at(sent.from);
  if (!from.running() || from.life() != sent.from_life) return;
  if (from.paused_until() > shared_.loop.now()) {
    return shared_.loop.At(from.paused_until(),
                           [this, sent = std::move(sent)]() mutable { Leave(std::move(sent)); });
  }
  if (!sent.message.entries.empty()) {
    const absl::Status filled = from.host().FillBodies(sent.group, sent.message);
    if (!filled.ok()) {
      shared_.trace.Note("not filled", {sent.from.value(), sent.group.value()});
      return Lost(sent, /*surely=*/true);
    }
    shared_.checker.OnTransmit(sent.from, sent.group, sent.message);
  }
  if (shared_.luck.Below(1000) < weather_.lose_permille) return Lost(sent, /*surely=*/false);
  const uint64_t copies = shared_.luck.Below(1000) < weather_.repeat_permille ? 2 : 1;
  for (uint64_t copy = 0; copy < copies; ++copy) {
    const bool late = shared_.luck.Below(1000) < weather_.late_permille;
    shared_.loop.After(UpTo(late ? weather_.late_max : weather_.delay_max),
                       [this, sent]() mutable { Arrive(std::move(sent)); });
  }
}

void HostNetwork::Arrive(Sent sent) {
  const auto it = nodes_.find(sent.to);
  if (it == nodes_.end()) return;
  HostNode& to = *it->second;
  if (!to.running() || cut_.contains({sent.from, sent.to})) return Lost(sent, /*surely=*/false);
  if (to.paused_until() > shared_.loop.now()) {  // It waits in a buffer of the kernel.
    return shared_.loop.At(to.paused_until(),
                           [this, sent = std::move(sent)]() mutable { Arrive(std::move(sent)); });
  }
  ++delivered_;
  shared_.trace.Note(
      "message", {sent.from.value(), sent.to.value(), sent.group.value(),
                  static_cast<uint64_t>(sent.message.type), sent.message.term, sent.message.index,
                  sent.message.entries.size(), sent.message.reject});
  to.host().Receive(sent.group, std::move(sent.message));
}

void HostNetwork::Lost(const Sent& sent, bool surely) {
  HostNode& from = *nodes_.at(sent.from);
  if (!from.running() || from.life() != sent.from_life) return;
  if (surely || shared_.luck.OneIn(3)) from.host().PeerUnreachable(sent.to);
}

NodeId HostNetwork::AnyNode() {
  auto it = nodes_.begin();
  std::advance(it, static_cast<std::ptrdiff_t>(shared_.luck.Below(nodes_.size())));
  return it->first;
}

void HostNetwork::CutOff(NodeId alone) {
  for (const auto& [other, node] : nodes_) {
    if (other == alone) continue;
    Cut(alone, other);
    Cut(other, alone);
  }
}

// Two halves that hear each other only through one node, which neither can use as a relay.
void HostNetwork::CutBridge(NodeId bridge) {
  for (const auto& [a, first] : nodes_) {
    for (const auto& [b, second] : nodes_) {
      const bool apart = a.value() % 2 != b.value() % 2;
      if (apart && a != bridge && b != bridge) Cut(a, b);
    }
  }
}

void HostNetwork::CutOrMend() {
  if (!cut_.empty() && shared_.luck.OneIn(2)) {
    shared_.trace.Note("mends", {});
    return Mend();
  }
  const uint64_t kind = shared_.luck.Below(4);
  const NodeId a = AnyNode();
  shared_.trace.Note("cuts", {kind, a.value()});
  if (kind == 0) return CutOff(a);
  if (kind == 1) return CutBridge(a);
  const NodeId b = AnyNode();
  if (a == b) return;
  Cut(a, b);
  if (kind == 2) Cut(b, a);
}

}  // namespace holdfast::raft_test
