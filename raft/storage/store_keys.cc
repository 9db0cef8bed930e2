#include "raft/storage/store_keys.h"

#include "raft/storage/byte_codec.h"

namespace holdfast::raft {
namespace {

bool TakeFormat(ByteReader& in) { return in.BigEndian(1) == static_cast<uint64_t>(kKeyFormat); }

}  // namespace

std::string MetaKey(MetaKind kind) { return std::string{kKeyFormat, static_cast<char>(kind)}; }

std::string MetaKey(MetaKind kind, GroupId group) {
  std::string key = MetaKey(kind);
  AppendBigEndian(group.value(), 4, key);
  return key;
}

bool ParseMetaKey(std::string_view key, MetaKind kind, GroupId& group) {
  ByteReader in(key);
  if (!TakeFormat(in) || in.BigEndian(1) != static_cast<uint8_t>(kind)) return false;
  group = GroupId(static_cast<uint32_t>(in.BigEndian(4)));
  return in.AtEnd();
}

std::string LogKey(GroupId group, LogIndex index) {
  std::string key{kKeyFormat};
  AppendBigEndian(group.value(), 4, key);
  AppendBigEndian(index, 8, key);
  return key;
}

bool ParseLogKey(std::string_view key, GroupId& group, LogIndex& index) {
  ByteReader in(key);
  if (!TakeFormat(in)) return false;
  group = GroupId(static_cast<uint32_t>(in.BigEndian(4)));
  index = in.BigEndian(8);
  return in.AtEnd();
}

std::string BodyDiskKey(uint64_t incarnation, const BodyKey& key) {
  std::string out{kKeyFormat};
  AppendBigEndian(incarnation, 8, out);
  AppendBigEndian(key.group.value(), 4, out);
  AppendBigEndian(key.index, 8, out);
  AppendBigEndian(key.term, 8, out);
  AppendBigEndian(key.ordinal, 4, out);
  return out;
}

bool ParseBodyDiskKey(std::string_view disk_key, uint64_t incarnation, BodyKey& key) {
  ByteReader in(disk_key);
  if (!TakeFormat(in) || in.BigEndian(8) != incarnation) return false;
  key.group = GroupId(static_cast<uint32_t>(in.BigEndian(4)));
  key.index = in.BigEndian(8);
  key.term = in.BigEndian(8);
  key.ordinal = static_cast<uint32_t>(in.BigEndian(4));
  return in.AtEnd();
}

std::string StatePrefix(GroupId group, uint64_t generation) {
  std::string key{kStateKeyFormat};
  AppendBigEndian(group.value(), 4, key);
  AppendBigEndian(generation, 8, key);
  return key;
}

std::string PrefixEnd(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

}  // namespace holdfast::raft
