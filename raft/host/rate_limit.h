// raft/host/rate_limit.h
// RateLimit is a token bucket that may be overdrawn: what was taken is paid for afterwards, by
// waiting, so that one large take never waits for tokens that can't be there.
// Threads: thread-compatible. Pure: time comes from the caller.
#pragma once

#include <absl/time/time.h>

#include <algorithm>
#include <cstdint>

namespace holdfast::raft {

class RateLimit {
 public:
  // 0: no limit. `burst` bytes may be taken at once after a rest.
  RateLimit(uint64_t bytes_per_second, uint64_t burst)
      : rate_(static_cast<double>(bytes_per_second)),
        burst_(static_cast<double>(burst)),
        tokens_(burst_) {}

  // How long to wait after having taken `bytes`, so that all takers together keep the rate.
  absl::Duration Take(uint64_t bytes, absl::Duration now) {
    if (rate_ == 0) return absl::ZeroDuration();
    if (now > last_) {
      tokens_ = std::min(burst_, tokens_ + rate_ * absl::ToDoubleSeconds(now - last_));
      last_ = now;
    }
    tokens_ -= static_cast<double>(bytes);
    return tokens_ >= 0 ? absl::ZeroDuration() : absl::Seconds(-tokens_ / rate_);
  }

 private:
  const double rate_;
  const double burst_;
  double tokens_;
  absl::Duration last_;
};

}  // namespace holdfast::raft
