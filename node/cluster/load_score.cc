#include "node/cluster/load_score.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace holdfast::node {
namespace {

constexpr absl::Duration kNever = absl::InfiniteDuration();

double Permille(double value, double max) {
  if (!(value > 0) || max <= 0) return 0;
  return 1000.0 * value / max;
}

double Permille(absl::Duration value, absl::Duration max) {
  return Permille(absl::ToDoubleSeconds(value), absl::ToDoubleSeconds(max));
}

// The moment at which `is` became true, as far as it is now.
void Follow(bool is, absl::Duration now, absl::Duration& since) {
  if (!is) {
    since = kNever;
  } else if (since == kNever) {
    since = now;
  }
}

bool LastsFor(absl::Duration since, absl::Duration least, absl::Duration now) {
  return since != kNever && now - since >= least;
}

bool MayRefuse(LoadPart part) { return part != LoadPart::kDueMail && part != LoadPart::kSpace; }

std::string Milliseconds(double seconds) {
  return format("{} ms", static_cast<int64_t>(std::llround(seconds * 1000)));
}

std::string Percent(double share) {
  return format("{} %", static_cast<int64_t>(std::llround(share * 100)));
}

}  // namespace

std::string_view NameOf(LoadPart part) {
  switch (part) {
    case LoadPart::kEventLoop:
      return "event loop";
    case LoadPart::kCpu:
      return "cpu";
    case LoadPart::kSync:
      return "fsync";
    case LoadPart::kMemory:
      return "memory";
    case LoadPart::kDueMail:
      return "due mail";
    case LoadPart::kSpace:
      return "disk space";
  }
  return "unknown";
}

const LoadState& LoadScore::Add(const LoadSample& sample, absl::Duration now) {
  Smooth(sample, now - last_);
  last_ = now;
  Judge(now);
  return state_;
}

void LoadScore::Smooth(const LoadSample& sample, absl::Duration elapsed) {
  const std::array<double, kLoadParts> measured = {
      Permille(sample.event_loop_lag, options_.event_loop_lag_max),
      Permille(sample.cpu_wait, options_.cpu_wait_max),
      Permille(sample.sync_latency, options_.sync_latency_max),
      Permille(sample.memory_used, options_.memory_used_max),
      Permille(sample.due_age, options_.due_age_max),
      Permille(sample.space_used, 1)};
  // The first sample counts as one second like any other.
  const double seconds =
      elapsed == absl::InfiniteDuration() ? 1.0 : std::max(absl::ToDoubleSeconds(elapsed), 0.0);
  const auto higher = [this](size_t i, LoadPart than) {
    return smooth_[i] > smooth_[static_cast<size_t>(than)];
  };
  state_.part = LoadPart::kEventLoop;
  state_.refuse_part = LoadPart::kEventLoop;
  for (size_t i = 0; i < kLoadParts; ++i) {
    const auto part = static_cast<LoadPart>(i);
    const double cut =
        std::min<double>(measured[i], MayRefuse(part) ? kPartPermilleMax : kMildPermilleMax);
    const absl::Duration time = cut > smooth_[i] ? options_.rise : options_.fall;
    const double share = 1 - std::exp(-seconds / std::max(absl::ToDoubleSeconds(time), 1e-3));
    smooth_[i] += (cut - smooth_[i]) * share;
    state_.parts[i] = static_cast<uint32_t>(std::llround(smooth_[i]));
    if (higher(i, state_.part)) state_.part = part;
    if (MayRefuse(part) && higher(i, state_.refuse_part)) state_.refuse_part = part;
  }
  state_.permille = state_.parts[static_cast<size_t>(state_.part)];
}

void LoadScore::Judge(absl::Duration now) {
  Follow(state_.permille >= kOverloadedPermille, now, over_since_);
  const uint32_t refuse_permille = state_.parts[static_cast<size_t>(state_.refuse_part)];
  Follow(refuse_permille >= options_.refuse_permille, now, refuse_since_);
  Follow(state_.permille < options_.calm_permille, now, calm_since_);
  if (LastsFor(over_since_, options_.overloaded_after, now)) {
    state_.overloaded = true;
    state_.recovering = true;
  } else if (calm_since_ != kNever) {
    state_.overloaded = false;
  }
  if (LastsFor(calm_since_, options_.calm_for, now)) state_.recovering = false;
  if (LastsFor(refuse_since_, options_.overloaded_after, now)) {
    state_.refusing = true;
  } else if (refuse_permille < kOverloadedPermille) {
    state_.refusing = false;
  }
  state_.reason = ReasonText(state_.part);
  state_.refuse_reason = ReasonText(state_.refuse_part);
}

std::string LoadScore::ReasonText(LoadPart part) const {
  const double share = smooth_[static_cast<size_t>(part)] / 1000;
  const auto of = [share](absl::Duration max) { return share * absl::ToDoubleSeconds(max); };
  const auto most = [](absl::Duration max) { return Milliseconds(absl::ToDoubleSeconds(max)); };
  switch (part) {
    case LoadPart::kEventLoop:
      return format("the event loop is {} late, {} can be borne",
                    Milliseconds(of(options_.event_loop_lag_max)),
                    most(options_.event_loop_lag_max));
    case LoadPart::kCpu:
      return format("threads wait for a CPU {} of the time, {} can be borne",
                    Percent(share * options_.cpu_wait_max), Percent(options_.cpu_wait_max));
    case LoadPart::kSync:
      return format("fsync takes {}, {} can be borne", Milliseconds(of(options_.sync_latency_max)),
                    most(options_.sync_latency_max));
    case LoadPart::kMemory:
      return format("a memory budget is full to {}, {} can be borne",
                    Percent(share * options_.memory_used_max), Percent(options_.memory_used_max));
    case LoadPart::kDueMail:
      return format("due mail has waited for this node for {} s, {} s can be borne",
                    static_cast<int64_t>(of(options_.due_age_max)),
                    absl::ToInt64Seconds(options_.due_age_max));
    case LoadPart::kSpace:
      return format("disk space: the reserve is {} of what is left", Percent(share));
  }
  return "";
}

}  // namespace holdfast::node
