// raft/storage/store_records.h
// What stands behind the keys of a store: records that begin with a format number and end with
// their CRC-32C, numbers in little endian. Bytes from a disk are never trusted: every Decode
// answers kDataLoss for what is damaged and kUnimplemented for a format newer than this build.
//
//   log header   1 | type(1) | term(8) | index(8) | command length(4) | command
//                  | body count(4) | { bytes(4) crc32c(4) }* | crc32c(4)
//   body         1 | crc32c of the bytes(4) | crc32c of key and the five bytes before(4) | bytes
//   meta         1 | fields of the record | crc32c(4)
//   state        1 | bytes of the state machine (covered by the engine's block checksums)
//
// Headers carry their own index, and a body's frame its key, so that a record under a wrong key is
// damage too.
// Threads: functions of their arguments. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "raft/core/raft_types.h"
#include "raft/storage/store.h"

namespace holdfast::raft {

inline constexpr char kRecordFormat = 1;

struct BodySum {
  uint32_t bytes = 0;
  uint32_t crc32c = 0;

  bool operator==(const BodySum&) const = default;
};

// What the log family keeps of an entry.
struct LogHeader {
  LogIndex index{};
  Term term{};
  EntryType type{};
  std::string command;
  std::vector<BodySum> bodies;

  bool operator==(const LogHeader&) const = default;
};

std::string EncodeLogHeader(const LogHeader& header);
absl::StatusOr<LogHeader> DecodeLogHeader(std::string_view record);

// The bytes before a body's own, which are not copied here.
std::string EncodeBodyFrame(std::string_view disk_key, uint32_t body_crc32c);
// The body inside `record`, checked against its frame and `disk_key`; a view into `record`.
absl::StatusOr<std::string_view> DecodeBody(std::string_view disk_key, std::string_view record);

std::string EncodeIdentity(const StoreIdentity& identity);
absl::StatusOr<StoreIdentity> DecodeIdentity(std::string_view record);

std::string EncodeHardState(const HardState& hard_state);
absl::StatusOr<HardState> DecodeHardState(std::string_view record);

std::string EncodeConfState(const ConfState& conf_state);
absl::StatusOr<ConfState> DecodeConfState(std::string_view record);

// An index and the term of the entry there: where the log begins (the last header that is gone),
// how far the rows are.
struct LogMark {
  LogIndex index{};
  Term term{};

  bool operator==(const LogMark&) const = default;
};
std::string EncodeLogMark(const LogMark& mark);
absl::StatusOr<LogMark> DecodeLogMark(std::string_view record);

// A record of one number: incarnation, applied index, durable write.
std::string EncodeNumber(uint64_t number);
absl::StatusOr<uint64_t> DecodeNumber(std::string_view record);

std::string EncodeStateRow(std::string_view value);
absl::StatusOr<std::string_view> DecodeStateRow(std::string_view record);

}  // namespace holdfast::raft
