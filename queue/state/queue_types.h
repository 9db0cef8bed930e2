// queue/state/queue_types.h
// The names of things in the queue: messages, units, bodies.
// Threads: values; QueueIdGenerator is thread-compatible.
#pragma once

#include <absl/time/time.h>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/strong_id.h"

namespace holdfast::queue {

// QueueId names a message for ever: 16 characters of Crockford base32 (0-9, A-Z without I, L, O, U)
// that spell 80 bits: 48 of milliseconds since 1970, 12 of the node that accepted the message, 20
// of a counter. The alphabet ascends in ASCII, so the order of ids is the order of acceptance.
class QueueId {
 public:
  static constexpr size_t kSize = 16;

  QueueId() { text_.fill('0'); }

  // Exactly the canonical form, as commands and rows have it.
  static std::optional<QueueId> Parse(std::string_view text);
  // What a person typed: lower case, and I, L for 1, O for 0, as Crockford has it.
  static std::optional<QueueId> ParseTyped(std::string_view text);
  // The smallest id given at `time` or later; for scans.
  static QueueId FirstAt(absl::Time time);
  static QueueId FromParts(uint64_t milliseconds, uint32_t node, uint32_t counter);

  std::string_view text() const { return {text_.data(), text_.size()}; }
  std::string ToString() const { return std::string(text()); }
  // When it was given, by the clock of the accepting node.
  absl::Time time() const;
  // The lowest 12 bits of the accepting node's id.
  uint32_t node_bits() const;
  static uint32_t NodeBits(NodeId node);

  auto operator<=>(const QueueId&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const QueueId& id) { return out << id.text(); }

 private:
  std::array<char, kSize> text_;
};

// Gives ids that ascend, also while the clock stands still or goes back, and at more than 2^20 a
// millisecond (it then borrows from the next). `counter_start` should be drawn by chance at each
// start, so that a restart with the clock set back meets its former self with odds of 1 in 2^20.
class QueueIdGenerator {
 public:
  QueueIdGenerator(NodeId node, uint32_t counter_start);
  QueueId Next(absl::Time now);

 private:
  const uint32_t node_bits_;
  const uint32_t counter_start_;
  uint64_t milliseconds_ = 0;
  uint32_t counter_ = 0;
  uint32_t given_ = 0;  // In this millisecond.
};

// Where the log keeps one body of an entry.
struct BodyRef {
  uint64_t index = 0;
  uint64_t term = 0;
  uint32_t ordinal = 0;
  uint32_t bytes = 0;
  uint32_t crc32c = 0;

  auto operator<=>(const BodyRef&) const = default;
};

// Who acts in commands that a leader makes of its own accord. People are "local:alice", "tls:...".
inline constexpr std::string_view kQueueActor = "queue";

struct UnitKey {
  QueueId queue_id;
  uint32_t unit = 0;

  auto operator<=>(const UnitKey&) const = default;
  // "01J9ZC3W5R0G4000/0", as logs and scripts print it.
  std::string ToString() const;
};

// Who makes an attempt, and which: never repeated, in the life of a cluster.
struct AttemptKey {
  uint64_t attempt_id = 0;
  uint64_t node_id = 0;
  uint64_t boot_id = 0;

  auto operator<=>(const AttemptKey&) const = default;
};

// How a recipient ended.
enum class RecipientEnd { kOpen, kDelivered, kBounced, kExpired, kSuppressed, kRemoved };
// "open", "delivered", "bounced", "expired", "suppressed", "removed".
std::string_view RecipientEndName(RecipientEnd end);

// Which of its destination's three lists a unit stands in.
enum class UnitList : uint8_t {
  kReady = 0,   // May be attempted when due.
  kIntent = 1,  // An attempt may be past its final dot: in doubt until its outcome is applied.
  kHeld = 2,    // Waits for an operator.
};
std::string_view UnitListName(UnitList list);  // "ready", "in doubt", "held".

}  // namespace holdfast::queue
