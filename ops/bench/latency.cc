#include "ops/bench/latency.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace holdfast::bench {

// Values below 64 have a bucket each; above, the six bits behind the first one choose among 64.
size_t LatencyHistogram::BucketOf(uint64_t microseconds) {
  constexpr uint64_t kSubs = 1 << kSubBits;
  if (microseconds < kSubs) return microseconds;
  const int power = std::bit_width(microseconds) - 1 - kSubBits;
  if (power >= kPowers) return (kSubs * (kPowers + 1)) - 1;
  return (static_cast<size_t>(power) + 1) * kSubs + ((microseconds >> power) - kSubs);
}

uint64_t LatencyHistogram::TopOf(size_t bucket) {
  constexpr uint64_t kSubs = 1 << kSubBits;
  if (bucket < kSubs) return bucket;
  const int power = static_cast<int>(bucket / kSubs) - 1;
  return ((kSubs + bucket % kSubs + 1) << power) - 1;
}

void LatencyHistogram::Add(absl::Duration duration) {
  const int64_t microseconds = std::max<int64_t>(absl::ToInt64Microseconds(duration), 0);
  ++buckets_[BucketOf(static_cast<uint64_t>(microseconds))];
  ++count_;
  max_ = std::max(max_, duration);
}

absl::Duration LatencyHistogram::Percentile(double percent) const {
  if (count_ == 0) return absl::ZeroDuration();
  const double share = std::ceil(static_cast<double>(count_) * percent / 100);
  const auto wanted = std::clamp<uint64_t>(static_cast<uint64_t>(share), 1, count_);
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    // The last bucket has no top.
    if (seen >= wanted && bucket + 1 < buckets_.size()) {
      return std::min(max_, absl::Microseconds(static_cast<int64_t>(TopOf(bucket))));
    }
  }
  return max_;
}

}  // namespace holdfast::bench
