// node/control/feature_level.h
// FeatureLevel is what this node's build speaks, and what the cluster has agreed to speak
// (docs/decisions/023). No command, row or message that a level brings is made before an operator
// had the control group raise the cluster to that level, so nodes of an older build can take part,
// and a node can go back to one, until then. Queue groups follow by an entry in their own logs.
//
// Threads:  thread-safe.
// Lifetime: `on_foreign` may be called as long as anything applies entries.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "base/strong_id.h"

namespace holdfast::node {

// What a build speaks, from ... to.
struct LevelRange {
  uint32_t min = 1;
  uint32_t max = 1;

  bool Has(uint32_t level) const { return min <= level && level <= max; }
};

// Of this build. A change of what commands, rows or messages may say raises `max`; `min` rises when
// what an old level did is forgotten.
inline constexpr LevelRange kBuildLevels{1, 1};
// Of a cluster that was never raised.
inline constexpr uint32_t kFirstFeatureLevel = 1;

class FeatureLevel {
 public:
  // `on_foreign` hears that this node met what its build does not speak. It must end the node: what
  // comes next in that log is not for this build, and to skip it would fork the cluster.
  FeatureLevel(LevelRange build, std::function<void(const absl::Status&)> on_foreign)
      : build_(build), on_foreign_(std::move(on_foreign)) {}

  const LevelRange& build() const { return build_; }
  // As far as this node has applied the control group.
  uint32_t agreed() const { return agreed_.load(std::memory_order_acquire); }
  void Agree(uint32_t level) { agreed_.store(level, std::memory_order_release); }

  // kUnimplemented: `what` is at a level that this build does not speak.
  absl::Status Check(uint32_t level, std::string_view what) const;
  // The same, and ends the node if so; returns where that takes a moment.
  absl::Status CheckOrEnd(uint32_t level, std::string_view what) const;
  // Of a peer whose build speaks that: kUnimplemented if that is less than what the cluster does.
  // One that speaks more is never refused: this node may lag, and the peer knows from its own rows.
  absl::Status CheckPeer(NodeId peer, LevelRange speaks) const;

 private:
  const LevelRange build_;
  const std::function<void(const absl::Status&)> on_foreign_;
  std::atomic<uint32_t> agreed_{kFirstFeatureLevel};
};

}  // namespace holdfast::node
