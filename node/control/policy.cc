#include "node/control/policy.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/text.h"
#include "node/config/config_reader.h"
#include "smtp/protocol/address.h"

namespace holdfast::node {
namespace {

// The value of `key` itself, or of its nearest parent wildcard: for "a.b.example" also ".b.example"
// and ".example". Null when there is none.
template <typename Value>
const Value* FindByDomain(const std::map<std::string, Value>& values, std::string_view key) {
  if (const auto exact = values.find(std::string(key)); exact != values.end()) {
    return &exact->second;
  }
  for (size_t dot = key.find('.'); dot != std::string_view::npos; dot = key.find('.', dot + 1)) {
    const auto parent = values.find(std::string(key.substr(dot)));
    if (parent != values.end()) return &parent->second;
  }
  return nullptr;
}

template <typename Value>
const Value& FindByDomainOrStar(const std::map<std::string, Value>& values, std::string_view key) {
  if (const Value* found = FindByDomain(values, key)) return *found;
  const auto star = values.find("*");
  HOLDFAST_CHECK(star != values.end()) << "settings without a general rule";
  return star->second;
}

std::vector<std::string_view> SplitLines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

enum class Side { kBoth, kFrom, kTo };
struct DiffLine {
  Side side;
  std::string_view text;
};

// Lines common to both by dynamic programming over what is left between the common ends. When that
// is too large a table, everything between the ends counts as replaced: still a correct diff.
class LineDiff {
 public:
  LineDiff(std::vector<std::string_view> from, std::vector<std::string_view> to)
      : from_(std::move(from)), to_(std::move(to)) {}

  std::vector<DiffLine> Lines() {
    size_t head = 0;
    while (head < from_.size() && head < to_.size() && from_[head] == to_[head]) ++head;
    size_t tail = 0;
    while (tail < from_.size() - head && tail < to_.size() - head &&
           from_[from_.size() - 1 - tail] == to_[to_.size() - 1 - tail]) {
      ++tail;
    }
    for (size_t i = 0; i < head; ++i) lines_.push_back({Side::kBoth, from_[i]});
    Middle(head, from_.size() - tail, to_.size() - tail);
    for (size_t i = from_.size() - tail; i < from_.size(); ++i) {
      lines_.push_back({Side::kBoth, from_[i]});
    }
    return std::move(lines_);
  }

 private:
  void Middle(size_t begin, size_t from_end, size_t to_end) {
    constexpr size_t kCellsMax = 4 << 20;
    const size_t rows = from_end - begin;
    const size_t columns = to_end - begin;
    if (rows != 0 && columns > kCellsMax / rows) {
      for (size_t i = begin; i < from_end; ++i) lines_.push_back({Side::kFrom, from_[i]});
      for (size_t j = begin; j < to_end; ++j) lines_.push_back({Side::kTo, to_[j]});
      return;
    }
    // common[i][j]: the longest common subsequence of what follows line i and line j.
    std::vector<uint32_t> common((rows + 1) * (columns + 1));
    const auto at = [&](size_t i, size_t j) -> uint32_t& { return common[i * (columns + 1) + j]; };
    for (size_t i = rows; i-- > 0;) {
      for (size_t j = columns; j-- > 0;) {
        at(i, j) = from_[begin + i] == to_[begin + j] ? at(i + 1, j + 1) + 1
                                                      : std::max(at(i + 1, j), at(i, j + 1));
      }
    }
    size_t i = 0;
    size_t j = 0;
    while (i < rows || j < columns) {
      if (i < rows && j < columns && from_[begin + i] == to_[begin + j]) {
        lines_.push_back({Side::kBoth, from_[begin + i++]});
        ++j;
      } else if (j == columns || (i < rows && at(i + 1, j) >= at(i, j + 1))) {
        lines_.push_back({Side::kFrom, from_[begin + i++]});
      } else {
        lines_.push_back({Side::kTo, to_[begin + j++]});
      }
    }
  }

  const std::vector<std::string_view> from_;
  const std::vector<std::string_view> to_;
  std::vector<DiffLine> lines_;
};

// "@@ -a,b +c,d @@" and the lines from `begin` to `end`.
std::string Hunk(const std::vector<DiffLine>& lines, size_t begin, size_t end) {
  size_t from_before = 0;
  size_t to_before = 0;
  for (size_t i = 0; i < begin; ++i) {
    if (lines[i].side != Side::kTo) ++from_before;
    if (lines[i].side != Side::kFrom) ++to_before;
  }
  size_t from_count = 0;
  size_t to_count = 0;
  std::string body;
  for (size_t i = begin; i < end; ++i) {
    const Side side = lines[i].side;
    if (side != Side::kTo) ++from_count;
    if (side != Side::kFrom) ++to_count;
    body += side == Side::kBoth ? ' ' : side == Side::kFrom ? '-' : '+';
    body += lines[i].text;
    body += '\n';
  }
  // An empty side is said to begin after the line before it.
  return format("@@ -{},{} +{},{} @@\n{}", from_before + (from_count > 0 ? 1 : 0), from_count,
                to_before + (to_count > 0 ? 1 : 0), to_count, body);
}

}  // namespace

PolicySnapshot::PolicySnapshot(uint64_t version, PolicySettings settings)
    : version_(version), settings_(std::move(settings)) {
  HOLDFAST_CHECK(settings_.routes.contains("*") && settings_.destinations.contains("*"));
}

bool PolicySnapshot::IsTrusted(std::string_view client) const {
  const std::optional<AddressBytes> address = ParseIpAddress(client);
  if (!address) return false;
  return std::any_of(settings_.trusted_networks.begin(), settings_.trusted_networks.end(),
                     [&](const Network& network) { return network.Contains(*address); });
}

const RouteSettings& PolicySnapshot::RouteFor(std::string_view destination) const {
  return FindByDomainOrStar(settings_.routes, destination);
}

const DestinationSettings& PolicySnapshot::DestinationFor(std::string_view destination) const {
  return FindByDomainOrStar(settings_.destinations, destination);
}

const std::string* PolicySnapshot::Suppressed(std::string_view address) const {
  if (settings_.suppressions.empty()) return nullptr;
  const size_t at = address.rfind('@');
  if (at == std::string_view::npos) return nullptr;
  const std::optional<std::string> domain = smtp::DomainKey(address.substr(at + 1));
  if (!domain) return nullptr;
  const std::string whole = format("{}@{}", smtp::ToLowerAscii(address.substr(0, at)), *domain);
  auto found = settings_.suppressions.find(whole);
  if (found == settings_.suppressions.end()) found = settings_.suppressions.find("@" + *domain);
  return found == settings_.suppressions.end() ? nullptr : &found->second;
}

PolicyHolder::PolicyHolder()
    : current_(std::make_shared<const PolicySnapshot>(0, ReadPolicy("").settings)) {}

std::shared_ptr<const PolicySnapshot> PolicyHolder::Current() const {
  MutexLock lock(mutex_);
  return current_;
}

void PolicyHolder::Publish(std::shared_ptr<const PolicySnapshot> snapshot) {
  HOLDFAST_CHECK(snapshot != nullptr);
  MutexLock lock(mutex_);
  current_ = std::move(snapshot);
}

std::string PolicyDiff(std::string_view from_text, std::string_view from_name,
                       std::string_view to_text, std::string_view to_name) {
  constexpr size_t kContextLines = 3;
  const std::string from = CanonicalPolicyText(from_text);
  const std::string to = CanonicalPolicyText(to_text);
  if (from == to) return "";
  const std::vector<DiffLine> lines = LineDiff(SplitLines(from), SplitLines(to)).Lines();
  std::string out = format("--- {}\n+++ {}\n", from_name, to_name);
  size_t i = 0;
  while (i < lines.size()) {
    if (lines[i].side == Side::kBoth) {
      ++i;
      continue;
    }
    const size_t begin = i > kContextLines ? i - kContextLines : 0;
    size_t last_change = i;
    for (size_t j = i; j < lines.size() && j <= last_change + 2 * kContextLines; ++j) {
      if (lines[j].side != Side::kBoth) last_change = j;
    }
    const size_t end = std::min(lines.size(), last_change + kContextLines + 1);
    out += Hunk(lines, begin, end);
    i = end;
  }
  return out;
}

}  // namespace holdfast::node
