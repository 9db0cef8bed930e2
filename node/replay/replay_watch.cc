#include "node/replay/replay_watch.h"

#include <algorithm>

namespace holdfast::node {
namespace {

bool Within(const std::optional<absl::Duration>& when, absl::Duration now, absl::Duration window) {
  return when && now - *when < window;
}

}  // namespace

void ReplayWatch::OnBeat(NodeId peer, int64_t life, std::optional<absl::Duration> unsettled_ago,
                         absl::Duration now) {
  const auto [found, is_new] = peers_.try_emplace(peer);
  Peer& known = found->second;
  if (!is_new && known.life != life) known.reborn = now;
  known.life = life;
  known.heard = now;
  known.unreachable.reset();
  if (unsettled_ago) {
    const absl::Duration at = now - *unsettled_ago;
    known.unsettled = std::max(known.unsettled.value_or(at), at);
  }
}

void ReplayWatch::OnUnreachable(NodeId peer, absl::Duration now) {
  const auto found = peers_.find(peer);
  // Before its first beat it is nobody: it may be a node that joins.
  if (found == peers_.end() || found->second.unreachable) return;
  found->second.unreachable = now;
}

void ReplayWatch::KeepOnly(const std::set<NodeId>& peers, absl::Duration now) {
  std::erase_if(peers_, [&](const auto& entry) {
    if (peers.contains(entry.first)) return false;
    if (belong_.contains(entry.first)) removed_ = now;
    return true;
  });
  belong_ = peers;
}

bool ReplayWatch::MayHaveLost(const Peer& peer, absl::Duration now, absl::Duration window) const {
  if (Within(peer.unsettled, now, window) || Within(peer.reborn, now, window)) return true;
  if (Within(peer.unreachable, now, window)) return true;
  const absl::Duration silent = now - peer.heard;
  return silent > silence_max_ && silent < window;
}

bool ReplayWatch::MustAsk(absl::Duration now, absl::Duration window) const {
  if (Within(restarted_, now, window) || Within(unsettled_, now, window)) return true;
  if (Within(removed_, now, window)) return true;
  return std::any_of(peers_.begin(), peers_.end(),
                     [&](const auto& entry) { return MayHaveLost(entry.second, now, window); });
}

std::vector<NodeId> ReplayWatch::Heard(absl::Duration now) const {
  std::vector<NodeId> heard;
  for (const auto& [node, peer] : peers_) {
    if (!peer.unreachable && now - peer.heard <= silence_max_) heard.push_back(node);
  }
  return heard;
}

std::optional<absl::Duration> ReplayWatch::UnsettledAgo(absl::Duration now) const {
  if (!unsettled_) return std::nullopt;
  return now - *unsettled_;
}

}  // namespace holdfast::node
