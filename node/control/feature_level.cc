#include "node/control/feature_level.h"

#include "base/text.h"

namespace holdfast::node {

absl::Status FeatureLevel::Check(uint32_t level, std::string_view what) const {
  if (build_.Has(level)) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kUnimplemented,
                    "{} is at feature level {}, and this build speaks {} to {}: install a build "
                    "that speaks it on this node",
                    what, level, build_.min, build_.max);
}

absl::Status FeatureLevel::CheckOrEnd(uint32_t level, std::string_view what) const {
  absl::Status status = Check(level, what);
  if (!status.ok()) on_foreign_(status);
  return status;
}

absl::Status FeatureLevel::CheckPeer(NodeId peer, LevelRange speaks) const {
  const uint32_t level = agreed();
  if (speaks.max >= level) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kUnimplemented,
                    "node {} speaks feature levels {} to {}, and this cluster is at level {}: "
                    "install a build on it that speaks {}",
                    peer.value(), speaks.min, speaks.max, level, level);
}

}  // namespace holdfast::node
