// raft/storage/body_key.h
// Bodies are the big bytes that travel beside a command: each has a key, and a life of its own that
// outlasts the log entry that brought it. A body is written once, never changed, and deleted by the
// state machine when nothing needs it any more.
//
// The term belongs to the key because Raft can write the same index twice (thesis 3.5): a body of
// an entry that lost must never be taken for the body of the entry that won. On disk the store adds
// the replica's incarnation, so a replica that rejoined empty can't meet bodies of its former self.
// Threads: values.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>

#include "base/strong_id.h"
#include "raft/core/raft_types.h"

namespace holdfast::raft {

// The bytes of one body; shared between the log, the transport and readers, never copied or
// changed.
using Body = std::shared_ptr<const std::string>;

struct BodyKey {
  GroupId group;
  LogIndex index{};
  Term term{};
  uint32_t ordinal = 0;  // 0, 1, ... within the entry.

  auto operator<=>(const BodyKey&) const = default;
};

// What a command's reader learns of a body without reading it.
struct BodyRef {
  BodyKey key;
  uint32_t bytes = 0;
  uint32_t crc32c = 0;

  bool operator==(const BodyRef&) const = default;
};

}  // namespace holdfast::raft
