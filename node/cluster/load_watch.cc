#include "node/cluster/load_watch.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/log.h"

namespace holdfast::node {
namespace {

constexpr absl::Duration kSampleInterval = absl::Seconds(1);

std::string ClockText(absl::Duration ahead) {
  return format("this node's clock is {} s {} the median of all clocks",
                std::abs(absl::ToInt64Seconds(ahead)),
                ahead > absl::ZeroDuration() ? "ahead of" : "behind");
}

}  // namespace

LoadWatch::LoadWatch(const Parts& parts, const Options& options)
    : parts_(parts),
      options_(options),
      last_tick_(parts.clock.SinceBoot()),
      last_sample_(last_tick_),
      counters_(parts.store_counters()),
      score_(options.load),
      clock_(options.clock) {
  for (const LagProbe::Post& post : parts_.contexts) lags_.emplace_back(post, parts_.clock);
  RegisterMetrics();
}

void LoadWatch::Tick() {
  const absl::Duration now = parts_.clock.SinceBoot();
  worst_gap_ = std::max(worst_gap_, now - std::exchange(last_tick_, now) - options_.tick);
  if (now - last_sample_ >= kSampleInterval) {
    const LoadSample sample = Measure(now);
    LoadState before;
    LoadState after;
    {
      MutexLock lock(mutex_);
      before = score_.state();
      after = score_.Add(sample, now);
    }
    LogChange(before, after);
  }
  for (LagProbe& lag : lags_) lag.Ping();
}

LoadSample LoadWatch::Measure(absl::Duration now) {
  LoadSample sample;
  sample.event_loop_lag = std::exchange(worst_gap_, absl::ZeroDuration());
  for (LagProbe& lag : lags_) {
    sample.event_loop_lag = std::max(sample.event_loop_lag, lag.TakeWorst());
  }
  sample.cpu_wait = cpu_wait_.TakeWorst(now - std::exchange(last_sample_, now));
  sample.sync_latency = SyncLatency();
  sample.memory_used = parts_.memory_used();
  sample.due_age = DueAge(now);
  const DiskBudget& disk = parts_.health.disk();
  // Full is where no message of unknown size fits any more (NodeHealth).
  const double reserve = static_cast<double>(disk.reserve_bytes() + kUndeclaredBytes);
  const double left = static_cast<double>(disk.reserve_bytes()) + static_cast<double>(disk.Room());
  sample.space_used = left > 0 ? reserve / left : 0;
  return sample;
}

absl::Duration LoadWatch::SyncLatency() {
  const raft::StoreCounters before = std::exchange(counters_, parts_.store_counters());
  const auto syncs = static_cast<int64_t>(counters_.syncs - before.syncs);
  const bool waited = counters_.witness_syncs != before.witness_syncs ||
                      counters_.sync_running > absl::ZeroDuration();
  if (syncs > 0) {
    last_latency_ = (counters_.sync_time - before.sync_time) / syncs;
  } else if (!waited) {
    last_latency_ = absl::ZeroDuration();  // Nothing is synced.
  }
  // The one under way has taken this long so far; the last ones say how long it will take.
  return std::max(last_latency_, counters_.sync_running);
}

absl::Duration LoadWatch::DueAge(absl::Duration now) {
  if (!due_mail_->asked.exchange(true)) {
    const bool posted = parts_.apply.TryPost([due_mail = due_mail_, waits = parts_.due_mail_waits] {
      due_mail->waits = waits();
      due_mail->asked = false;
    });
    if (!posted) due_mail_->asked = false;
  }
  if (!due_mail_->waits) {
    due_since_ = absl::InfiniteDuration();
    return absl::ZeroDuration();
  }
  due_since_ = std::min(due_since_, now);
  return now - due_since_;
}

void LoadWatch::LogChange(const LoadState& before, const LoadState& now) const {
  if (now.overloaded != before.overloaded) {
    Log(now.overloaded ? LogLevel::kWarn : LogLevel::kInfo,
        now.overloaded ? "overloaded" : "overload_over",
        {{"permille", now.permille}, {"part", NameOf(now.part)}, {"reason", now.reason}});
  }
  if (before.recovering && !now.recovering) Log(LogLevel::kInfo, "load_calm");
  if (now.refusing != before.refusing) {
    Log(now.refusing ? LogLevel::kWarn : LogLevel::kInfo,
        now.refusing ? "refuses_for_load" : "accepts_again",
        {{"permille", now.parts[static_cast<size_t>(now.refuse_part)]},
         {"reason", now.refuse_reason}});
  }
}

void LoadWatch::Judge(const std::vector<VoterReport>& voters,
                      std::vector<absl::Duration> others_ahead) {
  const LoadState load = state();
  parts_.health.SetOverloaded(load.refusing ? load.refuse_reason : "",
                              load.refuse_part == LoadPart::kMemory);
  const bool turn_away = load.refusing && BetterElsewhere(options_.self, voters);
  if (std::exchange(turned_away_, turn_away) != turn_away) {
    parts_.turn_away(turn_away ? "This node is overloaded" : "");
  }
  JudgeSpace(voters);
  JudgeClock(std::move(others_ahead), voters.size());
}

void LoadWatch::JudgeSpace(const std::vector<VoterReport>& voters) {
  const std::optional<std::string> why = SpaceShort(voters);
  parts_.health.SetClusterSpaceShort(why.value_or(""));
  if (std::exchange(space_short_, why.has_value()) == why.has_value()) return;
  if (why) {
    Log(LogLevel::kWarn, "cluster_space_short", {{"reason", *why}});
  } else {
    Log(LogLevel::kInfo, "cluster_space_back");
  }
}

void LoadWatch::JudgeClock(std::vector<absl::Duration> others_ahead, size_t voters) {
  bool was_off = false;
  ClockState now;
  {
    MutexLock lock(mutex_);
    was_off = clock_.state().off;
    now = clock_.Look(std::move(others_ahead), voters, parts_.clock.SinceBoot());
  }
  if (now.ahead || !now.off) {
    parts_.health.SetClockOff(now.off ? ClockText(*now.ahead) : "");
  }
  if (now.off == was_off || !now.ahead) return;
  const double ahead_seconds = absl::ToDoubleSeconds(*now.ahead);
  if (now.off) {
    Log(LogLevel::kError, "clock_off",
        {{"ahead_seconds", ahead_seconds},
         {"advice", "set the clock; until then this node leads and accepts nothing"}});
  } else {
    Log(LogLevel::kInfo, "clock_right", {{"ahead_seconds", ahead_seconds}});
  }
}

LoadState LoadWatch::state() const {
  MutexLock lock(mutex_);
  return score_.state();
}

ClockState LoadWatch::clock_state() const {
  MutexLock lock(mutex_);
  return clock_.state();
}

void LoadWatch::FillBeat(peer_call::Beat* beat) const {
  const LoadState load = state();
  const ClockState clock = clock_state();
  beat->set_load_permille(load.permille);
  if (load.permille > 0) beat->set_load_part(std::string(NameOf(load.part)));
  peer_call::Fitness& fitness = *beat->mutable_fitness();
  fitness.set_overloaded(load.overloaded);
  fitness.set_recovering(load.recovering);
  fitness.set_refusing(load.refusing);
  if (load.permille > 0) fitness.set_load_reason(load.reason);
  fitness.set_has_room(parts_.health.disk().Room() >= kUndeclaredBytes);
  fitness.set_clock_off(clock.off);
  if (clock.ahead) fitness.set_clock_ahead_us(absl::ToInt64Microseconds(*clock.ahead));
}

void LoadWatch::RegisterMetrics() {
  for (size_t i = 0; i < kLoadParts; ++i) {
    parts_.metrics.AddGaugeFunction("holdfast_load_permille",
                                    "Load, per thousand of what the node can bear, by its parts.",
                                    [this, i] { return static_cast<double>(state().parts[i]); },
                                    {{"part", std::string(NameOf(static_cast<LoadPart>(i)))}});
  }
  const auto add = [this](std::string_view name, std::string_view help, bool LoadState::*is) {
    parts_.metrics.AddGaugeFunction(name, help, [this, is] { return state().*is ? 1.0 : 0.0; });
  };
  add("holdfast_overloaded", "1 while the node is overloaded and hands groups over.",
      &LoadState::overloaded);
  add("holdfast_overload_recovering", "1 from then until the node has been calm for a minute.",
      &LoadState::recovering);
  add("holdfast_overload_refusing", "1 while the node refuses mail because of its load.",
      &LoadState::refusing);
  parts_.metrics.AddGaugeFunction("holdfast_clock_off",
                                  "1 while the clock is too far from the median of all clocks.",
                                  [this] { return clock_state().off ? 1.0 : 0.0; });
  parts_.metrics.AddGaugeFunction(
      "holdfast_clock_ahead_seconds", "The node's clock against the median of all clocks.",
      [this] { return absl::ToDoubleSeconds(clock_state().ahead.value_or(absl::ZeroDuration())); });
}

}  // namespace holdfast::node
