// node/cluster/load_score.h
// LoadScore turns what a node measures of itself once a second into one figure, per thousand of
// what it can bear, and the part that is highest. Over 1000 for a moment the node is *overloaded*:
// it hands groups over. Once it was, it is *recovering* until it has been calm for calm_for: it
// gets no groups so long. Over refuse_permille it is *refusing*: clients are told to go elsewhere.
//
// Each part is smoothed, quicker upwards than downwards, so that neither one slow sync nor one
// pause of the machine makes a node overloaded. A part is cut at kPartPermilleMax. Due mail and
// disk space are cut at kMildPermilleMax and never make the node refuse, nor go on refusing: no
// amount of waiting mail is a reason to take less (a queue is for that), and the disk's own reserve
// decides about space.
// Threads: thread-compatible. Pure: samples and time are arguments.
#pragma once

#include <absl/time/time.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::node {

inline constexpr uint32_t kOverloadedPermille = 1000;
inline constexpr uint32_t kPartPermilleMax = 3000;
inline constexpr uint32_t kMildPermilleMax = 1500;

enum class LoadPart : uint8_t { kEventLoop, kCpu, kSync, kMemory, kDueMail, kSpace };
inline constexpr size_t kLoadParts = 6;
// For people and metrics: "event loop", "cpu", "fsync", "memory", "due mail", "disk space".
std::string_view NameOf(LoadPart part);

// At these values a part stands at 1000; a part with 0 does not count.
struct LoadOptions {
  absl::Duration event_loop_lag_max = absl::Milliseconds(500);
  absl::Duration sync_latency_max = absl::Milliseconds(300);
  // Shares, 0 to 1.
  double cpu_wait_max = 0.5;
  double memory_used_max = 0.8;
  absl::Duration due_age_max = absl::Seconds(60);

  // Times in which a part comes within a third of what is measured.
  absl::Duration rise = absl::Milliseconds(1500);
  absl::Duration fall = absl::Seconds(2);

  // Over kOverloadedPermille for so long: overloaded, until the score is below calm_permille.
  absl::Duration overloaded_after = absl::Seconds(2);
  uint32_t calm_permille = 700;
  // Below calm_permille for so long: not recovering any more.
  absl::Duration calm_for = absl::Seconds(60);
  // A part, neither due mail nor disk space, is over it for overloaded_after: refusing, until all
  // such parts are below kOverloadedPermille.
  uint32_t refuse_permille = 2000;
};

// Measured since the sample before, at the worst place of the node.
struct LoadSample {
  // What was posted to a context ran so late; a tick came so late.
  absl::Duration event_loop_lag;
  // Share of the time that a thread of ours was ready to run and no CPU was given to it.
  double cpu_wait = 0;
  // Of the syncs of the log: how long one takes; at least, how long the one under way has taken, of
  // the log or of the witness.
  absl::Duration sync_latency;
  // The fullest of the byte budgets, 0 to 1.
  double memory_used = 0;
  // For so long mail has been due that only this node's own bounds hold up.
  absl::Duration due_age;
  // Reserve against what is left, 0 to 1: at 1 no mail is taken any more.
  double space_used = 0;
};

struct LoadState {
  uint32_t permille = 0;
  LoadPart part = LoadPart::kEventLoop;
  std::array<uint32_t, kLoadParts> parts{};
  bool overloaded = false;
  bool recovering = false;  // Was overloaded, and has not been calm for long enough.
  bool refusing = false;
  // The highest of the parts for which mail may be refused, and that in words.
  LoadPart refuse_part = LoadPart::kEventLoop;
  std::string refuse_reason;
  // The highest part in words: "fsync takes 812 ms, 300 ms can be borne".
  std::string reason;
};

class LoadScore {
 public:
  explicit LoadScore(const LoadOptions& options) : options_(options) {}

  // About once a second. `now`: Clock::SinceBoot(), never less than before.
  const LoadState& Add(const LoadSample& sample, absl::Duration now);
  const LoadState& state() const { return state_; }

 private:
  void Smooth(const LoadSample& sample, absl::Duration elapsed);
  void Judge(absl::Duration now);
  std::string ReasonText(LoadPart part) const;

  const LoadOptions options_;
  LoadState state_;
  std::array<double, kLoadParts> smooth_{};
  absl::Duration last_ = -absl::InfiniteDuration();
  // Since when the score (for the second: its parts that may refuse) has been over or under the
  // mark; InfiniteDuration: it is not.
  absl::Duration over_since_ = absl::InfiniteDuration();
  absl::Duration refuse_since_ = absl::InfiniteDuration();
  absl::Duration calm_since_ = absl::InfiniteDuration();
};

}  // namespace holdfast::node
