// raft/storage/store_keys.h
// The keys of a store. Each begins with the format of its family, then numbers in big endian, so
// that a group's keys are neighbours and stand in log order:
//
//   meta   1 | kind                                 the store: identity 'I', durable write 'W'
//          1 | kind | group(4)                      a replica: see MetaKind
//   log    1 | group(4) | index(8)
//   body   1 | incarnation(8) | group(4) | index(8) | term(8) | ordinal(4)
//   state  2 | group(4) | generation(8) | key of the state machine
//
// Threads: functions of their arguments. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/strong_id.h"
#include "raft/core/raft_types.h"
#include "raft/storage/body_key.h"

namespace holdfast::raft {

inline constexpr char kKeyFormat = 1;
inline constexpr char kStateKeyFormat = 2;

enum class MetaKind : char {
  kIdentity = 'I',      // StoreIdentity and kStoreFormat.
  kDurableWrite = 'W',  // The number of the newest synced write; see witness.h.
  kReplica = 'R',       // Incarnation.
  kHardState = 'H',
  kConfState = 'C',
  kTruncated = 'T',   // Index and term of the last header that is gone.
  kApplied = 'A',     // Index and term.
  kGeneration = 'S',  // Of the rows in use.
  kGarbage = 'G',     // Bodies of entries up to this index may be garbage of installs.
  kElided = 'E',      // GroupRecord::elided_through; absent: 0.
};

std::string MetaKey(MetaKind kind);
std::string MetaKey(MetaKind kind, GroupId group);
// The group of a key made by MetaKey(kind, group) for this kind; false for every other key.
bool ParseMetaKey(std::string_view key, MetaKind kind, GroupId& group);

std::string LogKey(GroupId group, LogIndex index);
bool ParseLogKey(std::string_view key, GroupId& group, LogIndex& index);

std::string BodyDiskKey(uint64_t incarnation, const BodyKey& key);
// The key of a body of that replica; false for every other key.
bool ParseBodyDiskKey(std::string_view disk_key, uint64_t incarnation, BodyKey& key);

std::string StatePrefix(GroupId group, uint64_t generation);
// Group and generation of a row's key; false for every other key.
bool ParseStateKey(std::string_view key, GroupId& group, uint64_t& generation);
// The first key behind all that begin with `prefix`; empty when there is none.
std::string PrefixEnd(std::string_view prefix);

}  // namespace holdfast::raft
