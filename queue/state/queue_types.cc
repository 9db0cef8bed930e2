#include "queue/state/queue_types.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::queue {
namespace {

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr uint32_t kCounterMask = (1u << 20) - 1;
constexpr uint32_t kNodeMask = (1u << 12) - 1;
constexpr uint64_t kMillisecondsMask = (uint64_t{1} << 48) - 1;

int DigitOf(char c) {
  size_t at = kAlphabet.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

uint64_t MillisecondsOf(absl::Time time) {
  return static_cast<uint64_t>(
      std::clamp<int64_t>(absl::ToUnixMillis(time), 0, static_cast<int64_t>(kMillisecondsMask)));
}

}  // namespace

std::optional<QueueId> QueueId::Parse(std::string_view text) {
  if (text.size() != kSize) return std::nullopt;
  QueueId id;
  for (size_t i = 0; i < kSize; ++i) {
    if (DigitOf(text[i]) < 0) return std::nullopt;
    id.text_[i] = text[i];
  }
  return id;
}

std::optional<QueueId> QueueId::ParseTyped(std::string_view text) {
  std::string canonical(text);
  for (char& c : canonical) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == 'I' || c == 'L') c = '1';
    if (c == 'O') c = '0';
  }
  return Parse(canonical);
}

QueueId QueueId::FirstAt(absl::Time time) { return FromParts(MillisecondsOf(time), 0, 0); }

QueueId QueueId::FromParts(uint64_t milliseconds, uint32_t node, uint32_t counter) {
  // Two halves of 40 bits, 8 digits each.
  milliseconds &= kMillisecondsMask;
  const uint64_t low = uint64_t{node & kNodeMask} << 20 | (counter & kCounterMask);
  const uint64_t high = milliseconds >> 8;
  const uint64_t rest = (milliseconds & 0xFF) << 32 | low;
  QueueId id;
  for (int i = 0; i < 8; ++i) {
    id.text_[7 - i] = kAlphabet[(high >> (5 * i)) & 31];
    id.text_[15 - i] = kAlphabet[(rest >> (5 * i)) & 31];
  }
  return id;
}

absl::Time QueueId::time() const {
  uint64_t high = 0;
  for (int i = 0; i < 8; ++i) high = high << 5 | static_cast<uint64_t>(DigitOf(text_[i]));
  uint64_t rest = 0;
  for (int i = 8; i < 16; ++i) rest = rest << 5 | static_cast<uint64_t>(DigitOf(text_[i]));
  return absl::FromUnixMillis(static_cast<int64_t>(high << 8 | rest >> 32));
}

uint32_t QueueId::node_bits() const {
  uint64_t rest = 0;
  for (int i = 8; i < 16; ++i) rest = rest << 5 | static_cast<uint64_t>(DigitOf(text_[i]));
  return static_cast<uint32_t>(rest >> 20) & kNodeMask;
}

uint32_t QueueId::NodeBits(NodeId node) { return static_cast<uint32_t>(node.value()) & kNodeMask; }

QueueIdGenerator::QueueIdGenerator(NodeId node, uint32_t counter_start)
    : node_bits_(QueueId::NodeBits(node)), counter_start_(counter_start & kCounterMask) {}

QueueId QueueIdGenerator::Next(absl::Time now) {
  const uint64_t milliseconds = MillisecondsOf(now);
  if (milliseconds > milliseconds_ || given_ > kCounterMask - counter_start_) {
    // Within a millisecond the counter only ascends from its start to the end of its range.
    milliseconds_ = milliseconds > milliseconds_ ? milliseconds : milliseconds_ + 1;
    given_ = 0;
  }
  counter_ = counter_start_ + given_;
  ++given_;
  return QueueId::FromParts(milliseconds_, node_bits_, counter_);
}

std::string UnitKey::ToString() const { return format("{}/{}", queue_id.text(), unit); }

std::string_view RecipientEndName(RecipientEnd end) {
  switch (end) {
    case RecipientEnd::kOpen:
      return "open";
    case RecipientEnd::kDelivered:
      return "delivered";
    case RecipientEnd::kBounced:
      return "bounced";
    case RecipientEnd::kExpired:
      return "expired";
    case RecipientEnd::kSuppressed:
      return "suppressed";
    case RecipientEnd::kRemoved:
      return "removed";
  }
  return "open";
}

std::string_view UnitListName(UnitList list) {
  switch (list) {
    case UnitList::kReady:
      return "ready";
    case UnitList::kIntent:
      return "in doubt";
    case UnitList::kHeld:
      return "held";
  }
  return "ready";
}

}  // namespace holdfast::queue
