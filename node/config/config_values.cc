#include "node/config/config_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace holdfast::node {
namespace {

struct Unit {
  std::string_view name;
  int64_t milliseconds;
};
// Largest first, for DurationText.
constexpr std::array<Unit, 5> kUnits = {
    {{"d", 24 * 3600 * 1000LL}, {"h", 3600 * 1000LL}, {"m", 60 * 1000LL}, {"s", 1000}, {"ms", 1}}};
constexpr int64_t kMillisecondsMax = 10000LL * 24 * 3600 * 1000;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

size_t EditDistance(std::string_view from, std::string_view to) {
  std::vector<size_t> row(to.size() + 1);
  for (size_t j = 0; j <= to.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= from.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= to.size(); ++j) {
      const size_t replaced = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row[to.size()];
}

}  // namespace

std::optional<absl::Duration> ParseDuration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  int64_t total = 0;
  while (!text.empty()) {
    size_t digits = 0;
    while (digits < text.size() && IsDigit(text[digits])) ++digits;
    size_t unit_end = digits;
    while (unit_end < text.size() && !IsDigit(text[unit_end])) ++unit_end;
    const std::string_view unit_name = text.substr(digits, unit_end - digits);
    const auto unit = std::find_if(kUnits.begin(), kUnits.end(),
                                   [&](const Unit& each) { return each.name == unit_name; });
    // Twelve digits of days still fit into 64 bits of milliseconds.
    if (digits == 0 || digits > 10 || unit == kUnits.end()) return std::nullopt;
    int64_t count = 0;
    std::from_chars(text.data(), text.data() + digits, count);
    if (count > kMillisecondsMax / unit->milliseconds) return std::nullopt;
    total += count * unit->milliseconds;
    if (total > kMillisecondsMax) return std::nullopt;
    text.remove_prefix(unit_end);
  }
  return absl::Milliseconds(total);
}

std::string DurationText(absl::Duration duration) {
  int64_t rest = absl::ToInt64Milliseconds(duration);
  if (rest <= 0) return "0s";
  std::string out;
  for (const Unit& unit : kUnits) {
    if (rest < unit.milliseconds) continue;
    out += fmt::format("{}{}", rest / unit.milliseconds, unit.name);
    rest %= unit.milliseconds;
  }
  return out;
}

std::optional<RateLimit> ParseRate(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash > 10) return std::nullopt;
  uint64_t count = 0;
  const char* const end = text.data() + slash;
  const auto [stop, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || stop != end || count == 0 || count > 1000000000) return std::nullopt;
  const std::optional<absl::Duration> per = ParseDuration(text.substr(slash + 1));
  if (!per || *per <= absl::ZeroDuration()) return std::nullopt;
  return RateLimit{static_cast<uint32_t>(count), *per};
}

std::optional<std::string> NearestName(std::string_view word,
                                       const std::vector<std::string>& candidates) {
  constexpr size_t kWordBytesMax = 64;  // Nobody mistypes more than this; bounds the work.
  if (word.size() > kWordBytesMax) return std::nullopt;
  std::optional<std::string> nearest;
  size_t nearest_edits = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t edits = EditDistance(word, candidate);
    const bool contains = word.size() >= 3 && candidate.find(word) != std::string::npos;
    const size_t score = contains ? std::min<size_t>(edits, 2) : edits;
    if (score < nearest_edits && score < candidate.size()) {
      nearest = candidate;
      nearest_edits = score;
    }
  }
  return nearest;
}

}  // namespace holdfast::node
