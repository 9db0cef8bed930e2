// queue/state/keys.h
// Keys of a queue group's rows. A key is one byte of family, one byte of format, then fields whose
// byte order is their order; names end in a zero byte, which no name contains.
//
//   M  queue id                                      MessageRow
//   U  queue id, unit                                UnitRow, with open recipients
//   V  queue id, unit                                UnitRow, all recipients ended, message lives
//   I  list, pool, destination, class, due, queue id, unit -> expires (8 bytes): the unit lists
//   D  pool, destination                             DestinationRow
//   W  wake, pool, destination                       empty: destinations by earliest due time
//   C  queue id, chunk ordinal                       ChunkRow
//   R  queue id                                      RememberedRow
//   Q  number                                        RememberedRingRow
//   H  fingerprint (32 bytes)                        UnconfirmedRow
//   N  number                                        UnconfirmedRingRow
//   X  number                                        AuditRow
//   T                                                TotalsRow
//   S                                                StateVersionRow
//
// Threads: any; pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "queue/state/queue_types.h"

namespace holdfast::queue {

enum class KeyFamily : char {
  kMessage = 'M',
  kOpenUnit = 'U',
  kEndedUnit = 'V',
  kUnitList = 'I',
  kDestination = 'D',
  kWake = 'W',
  kChunk = 'C',
  kRemembered = 'R',
  kRememberedRing = 'Q',
  kUnconfirmed = 'H',
  kUnconfirmedRing = 'N',
  kAudit = 'X',
  kTotals = 'T',
  kStateVersion = 'S',
};

inline constexpr char kKeyFormat = 1;
inline constexpr size_t kFingerprintBytes = 32;
// The only pool and class until policy can name others.
inline constexpr uint16_t kDefaultPool = 0;
inline constexpr uint8_t kDefaultClass = 0;

// A range [from, to) of keys for a scan.
struct KeyRange {
  std::string from;
  std::string to;
};

std::string FamilyPrefix(KeyFamily family);
// Every key that begins with `prefix` (which must not be all 0xFF bytes).
KeyRange PrefixRange(std::string prefix);

std::string MessageKey(const QueueId& id);
std::string OpenUnitKey(const UnitKey& key);
std::string EndedUnitKey(const UnitKey& key);
// All open, or all ended, units of a message.
KeyRange OpenUnitsOf(const QueueId& id);
KeyRange EndedUnitsOf(const QueueId& id);
std::string ChunkKey(const QueueId& id, uint32_t ordinal);
KeyRange ChunksOf(const QueueId& id);
std::string RememberedKey(const QueueId& id);
std::string RememberedRingKey(uint64_t number);
// `sha256` has kFingerprintBytes.
std::string UnconfirmedKey(std::string_view sha256);
std::string UnconfirmedRingKey(uint64_t number);
std::string AuditKey(uint64_t number);
std::string TotalsKey();
std::string StateVersionKey();
std::string DestinationKey(std::string_view destination, uint16_t pool = kDefaultPool);
std::string WakeKey(int64_t wake_us, std::string_view destination, uint16_t pool = kDefaultPool);

struct ListKey {
  UnitList list = UnitList::kReady;
  uint16_t pool = kDefaultPool;
  std::string destination;
  uint8_t unit_class = kDefaultClass;
  int64_t due_us = 0;
  UnitKey unit;

  bool operator==(const ListKey&) const = default;
};
std::string EncodeListKey(const ListKey& key);
// Of one destination's list: rows due in [from_us, to_us).
KeyRange ListRange(UnitList list, std::string_view destination, int64_t from_us, int64_t to_us,
                   uint16_t pool = kDefaultPool);
// The whole of one destination's list; of a list at all destinations.
KeyRange ListRange(UnitList list, std::string_view destination);
KeyRange ListRange(UnitList list);
std::string EncodeListValue(int64_t expires_us);

// nullopt when the bytes are not such a key (or value).
std::optional<ListKey> DecodeListKey(std::string_view bytes);
std::optional<int64_t> DecodeListValue(std::string_view bytes);
struct WakeParts {
  int64_t wake_us = 0;
  uint16_t pool = kDefaultPool;
  std::string destination;
};
std::optional<WakeParts> DecodeWakeKey(std::string_view bytes);
std::optional<std::string> DecodeDestinationKey(std::string_view bytes);
// Of M and R keys.
std::optional<QueueId> DecodeQueueIdKey(std::string_view bytes);
// Of U and V keys.
std::optional<UnitKey> DecodeUnitKey(std::string_view bytes);
struct ChunkParts {
  QueueId queue_id;
  uint32_t ordinal = 0;
};
std::optional<ChunkParts> DecodeChunkKey(std::string_view bytes);
std::optional<uint64_t> DecodeNumberKey(std::string_view bytes);
std::optional<std::string> DecodeUnconfirmedKey(std::string_view bytes);

}  // namespace holdfast::queue
