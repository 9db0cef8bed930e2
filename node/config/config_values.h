// node/config/config_values.h
// The small texts within configuration fields, and the nearest word for a mistyped one. Pure.
// Threads: functions without state.
#pragma once

#include <absl/time/time.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/config/settings.h"

namespace holdfast::node {

// Numbers with a unit each: "250ms" "30s" "5m" "4h" "5d" "1h30m"; "0s" too. No sign, no blanks, at
// most 10,000 days.
std::optional<absl::Duration> ParseDuration(std::string_view text);
// The same form, in the largest units that fit: "1h30m".
std::string DurationText(absl::Duration duration);

// "100/1m": count 1 to 1,000,000,000, per a duration above zero.
std::optional<RateLimit> ParseRate(std::string_view text);

// The candidate with the fewest edits from `word`; nothing when none is near enough to be meant.
std::optional<std::string> NearestName(std::string_view word,
                                       const std::vector<std::string>& candidates);

}  // namespace holdfast::node
