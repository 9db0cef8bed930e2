#include "queue/state/keys.h"

namespace holdfast::queue {
namespace {

void AppendNumber(uint64_t value, int bytes, std::string& out) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift));
  }
}

// Signed times keep their order with the sign bit turned over.
void AppendTime(int64_t us, std::string& out) {
  AppendNumber(static_cast<uint64_t>(us) ^ (uint64_t{1} << 63), 8, out);
}

void AppendName(std::string_view name, std::string& out) {
  out.append(name);
  out.push_back('\0');
}

// Reads fields in order; the first one that is missing makes the key unreadable.
class KeyParser {
 public:
  KeyParser(std::string_view bytes, KeyFamily family) : rest_(bytes) {
    ok_ = rest_.size() >= 2 && rest_[0] == static_cast<char>(family) && rest_[1] == kKeyFormat;
    if (ok_) rest_.remove_prefix(2);
  }

  uint64_t Number(int bytes) {
    uint64_t value = 0;
    for (unsigned char c : Take(bytes)) value = value << 8 | c;
    return value;
  }
  int64_t Time() { return static_cast<int64_t>(Number(8) ^ (uint64_t{1} << 63)); }
  std::string Name() {
    size_t end = rest_.find('\0');
    if (!ok_ || end == std::string_view::npos) {
      ok_ = false;
      return {};
    }
    std::string name(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return name;
  }
  QueueId Id() {
    std::optional<QueueId> id = QueueId::Parse(Take(QueueId::kSize));
    if (!id) ok_ = false;
    return id.value_or(QueueId());
  }
  std::string Bytes(size_t count) { return std::string(Take(count)); }
  bool AtEnd() const { return ok_ && rest_.empty(); }

 private:
  std::string_view Take(size_t bytes) {
    if (!ok_ || bytes > rest_.size()) {
      ok_ = false;
      return {};
    }
    std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }
  std::string_view rest_;
  bool ok_;
};

std::string WithId(KeyFamily family, const QueueId& id) {
  std::string key = FamilyPrefix(family);
  key.append(id.text());
  return key;
}

std::string WithNumber(KeyFamily family, uint64_t number) {
  std::string key = FamilyPrefix(family);
  AppendNumber(number, 8, key);
  return key;
}

std::string ListPrefix(UnitList list, uint16_t pool, std::string_view destination) {
  std::string key = FamilyPrefix(KeyFamily::kUnitList);
  AppendNumber(static_cast<uint8_t>(list), 1, key);
  AppendNumber(pool, 2, key);
  AppendName(destination, key);
  return key;
}

}  // namespace

std::string FamilyPrefix(KeyFamily family) {
  return std::string{static_cast<char>(family), kKeyFormat};
}

KeyRange PrefixRange(std::string prefix) {
  KeyRange range{prefix, std::move(prefix)};
  while (!range.to.empty() && range.to.back() == '\xFF') range.to.pop_back();
  if (!range.to.empty()) ++range.to.back();
  return range;
}

std::string MessageKey(const QueueId& id) { return WithId(KeyFamily::kMessage, id); }

std::string OpenUnitKey(const UnitKey& unit) {
  std::string key = WithId(KeyFamily::kOpenUnit, unit.queue_id);
  AppendNumber(unit.unit, 4, key);
  return key;
}

std::string EndedUnitKey(const UnitKey& unit) {
  std::string key = WithId(KeyFamily::kEndedUnit, unit.queue_id);
  AppendNumber(unit.unit, 4, key);
  return key;
}

KeyRange OpenUnitsOf(const QueueId& id) { return PrefixRange(WithId(KeyFamily::kOpenUnit, id)); }

KeyRange EndedUnitsOf(const QueueId& id) { return PrefixRange(WithId(KeyFamily::kEndedUnit, id)); }

std::string ChunkKey(const QueueId& id, uint32_t ordinal) {
  std::string key = WithId(KeyFamily::kChunk, id);
  AppendNumber(ordinal, 4, key);
  return key;
}

KeyRange ChunksOf(const QueueId& id) { return PrefixRange(WithId(KeyFamily::kChunk, id)); }

std::string RememberedKey(const QueueId& id) { return WithId(KeyFamily::kRemembered, id); }

std::string RememberedRingKey(uint64_t number) {
  return WithNumber(KeyFamily::kRememberedRing, number);
}

std::string UnconfirmedKey(std::string_view sha256) {
  std::string key = FamilyPrefix(KeyFamily::kUnconfirmed);
  key.append(sha256);
  return key;
}

std::string UnconfirmedRingKey(uint64_t number) {
  return WithNumber(KeyFamily::kUnconfirmedRing, number);
}

std::string AuditKey(uint64_t number) { return WithNumber(KeyFamily::kAudit, number); }

std::string StateVersionKey() { return FamilyPrefix(KeyFamily::kStateVersion); }

std::string TotalsKey() { return FamilyPrefix(KeyFamily::kTotals); }

std::string DestinationKey(std::string_view destination, uint16_t pool) {
  std::string key = FamilyPrefix(KeyFamily::kDestination);
  AppendNumber(pool, 2, key);
  AppendName(destination, key);
  return key;
}

std::string WakeKey(int64_t wake_us, std::string_view destination, uint16_t pool) {
  std::string key = FamilyPrefix(KeyFamily::kWake);
  AppendTime(wake_us, key);
  AppendNumber(pool, 2, key);
  AppendName(destination, key);
  return key;
}

std::string EncodeListKey(const ListKey& list_key) {
  std::string key = ListPrefix(list_key.list, list_key.pool, list_key.destination);
  AppendNumber(list_key.unit_class, 1, key);
  AppendTime(list_key.due_us, key);
  key.append(list_key.unit.queue_id.text());
  AppendNumber(list_key.unit.unit, 4, key);
  return key;
}

KeyRange ListRange(UnitList list, std::string_view destination, int64_t from_us, int64_t to_us,
                   uint16_t pool) {
  KeyRange range;
  range.from = ListPrefix(list, pool, destination);
  AppendNumber(kDefaultClass, 1, range.from);
  range.to = range.from;
  AppendTime(from_us, range.from);
  AppendTime(to_us, range.to);
  return range;
}

KeyRange ListRange(UnitList list, std::string_view destination) {
  return PrefixRange(ListPrefix(list, kDefaultPool, destination));
}

KeyRange ListRange(UnitList list) {
  std::string prefix = FamilyPrefix(KeyFamily::kUnitList);
  AppendNumber(static_cast<uint8_t>(list), 1, prefix);
  return PrefixRange(std::move(prefix));
}

std::string EncodeListValue(int64_t expires_us) {
  std::string value;
  AppendTime(expires_us, value);
  return value;
}

std::optional<ListKey> DecodeListKey(std::string_view bytes) {
  KeyParser parser(bytes, KeyFamily::kUnitList);
  ListKey key;
  const uint64_t list = parser.Number(1);
  key.pool = static_cast<uint16_t>(parser.Number(2));
  key.destination = parser.Name();
  key.unit_class = static_cast<uint8_t>(parser.Number(1));
  key.due_us = parser.Time();
  key.unit.queue_id = parser.Id();
  key.unit.unit = static_cast<uint32_t>(parser.Number(4));
  if (!parser.AtEnd() || list > static_cast<uint64_t>(UnitList::kHeld)) return std::nullopt;
  key.list = static_cast<UnitList>(list);
  return key;
}

std::optional<int64_t> DecodeListValue(std::string_view bytes) {
  if (bytes.size() != 8) return std::nullopt;
  uint64_t value = 0;
  for (unsigned char c : bytes) value = value << 8 | c;
  return static_cast<int64_t>(value ^ (uint64_t{1} << 63));
}

std::optional<WakeParts> DecodeWakeKey(std::string_view bytes) {
  KeyParser parser(bytes, KeyFamily::kWake);
  WakeParts parts;
  parts.wake_us = parser.Time();
  parts.pool = static_cast<uint16_t>(parser.Number(2));
  parts.destination = parser.Name();
  if (!parser.AtEnd()) return std::nullopt;
  return parts;
}

std::optional<std::string> DecodeDestinationKey(std::string_view bytes) {
  KeyParser parser(bytes, KeyFamily::kDestination);
  parser.Number(2);
  std::string destination = parser.Name();
  if (!parser.AtEnd()) return std::nullopt;
  return destination;
}

std::optional<QueueId> DecodeQueueIdKey(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  KeyParser parser(bytes, static_cast<KeyFamily>(bytes[0]));
  QueueId id = parser.Id();
  if (!parser.AtEnd()) return std::nullopt;
  return id;
}

std::optional<UnitKey> DecodeUnitKey(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  KeyParser parser(bytes, static_cast<KeyFamily>(bytes[0]));
  UnitKey key;
  key.queue_id = parser.Id();
  key.unit = static_cast<uint32_t>(parser.Number(4));
  if (!parser.AtEnd()) return std::nullopt;
  return key;
}

std::optional<ChunkParts> DecodeChunkKey(std::string_view bytes) {
  KeyParser parser(bytes, KeyFamily::kChunk);
  ChunkParts parts;
  parts.queue_id = parser.Id();
  parts.ordinal = static_cast<uint32_t>(parser.Number(4));
  if (!parser.AtEnd()) return std::nullopt;
  return parts;
}

std::optional<uint64_t> DecodeNumberKey(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  KeyParser parser(bytes, static_cast<KeyFamily>(bytes[0]));
  uint64_t number = parser.Number(8);
  if (!parser.AtEnd()) return std::nullopt;
  return number;
}

std::optional<std::string> DecodeUnconfirmedKey(std::string_view bytes) {
  KeyParser parser(bytes, KeyFamily::kUnconfirmed);
  std::string sha256 = parser.Bytes(kFingerprintBytes);
  if (!parser.AtEnd()) return std::nullopt;
  return sha256;
}

}  // namespace holdfast::queue
